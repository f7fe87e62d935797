"""What is wrong with partitions, slaves and copies, as the asked slave sees them.  Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distrodb.ranges import of_groups
from distrodb.slave.doctor.facts import Facts
from distrodb.slave.doctor.finding import ERROR, NOTE, WARNING, Finding

_LOST = (
    "bring their old directories back; if those of a majority are gone for good see"
    " docs/operations.md#a-majority-is-lost-for-good"
)


def findings(facts: Facts) -> Iterator[Finding]:
    asked = facts.status["asked"]
    if asked["waits_to_join"]:
        yield Finding(
            "waits_to_join",
            ERROR,
            facts.me,
            f"{facts.me} waits to be let into the cluster, and holds nothing.",
            "See in its log why it is not let in; the slaves under join in its file must run.",
        )
        return  # its map is its own, and no cluster's
    if facts.status["asked"].get("waits_for_cluster"):
        yield Finding(
            "waits_for_cluster",
            ERROR,
            facts.me,
            f"The directory of {facts.me} is empty, and its file says that the cluster has been"
            " born: it waits for a slave that knows it.",
            "See on each machine whether the disk is mounted where it should be; if the data of all"
            " is gone, restore a backup into a new cluster (born = false).",
        )
        return
    if facts.status["epoch"] == 0:
        missing = [node for node in facts.nodes if facts.nodes[node]["status"] != "up"]
        yield Finding(
            "not_born",
            ERROR,
            "cluster",
            "The cluster is not born yet: all of its slaves must meet once"
            + (f", and {facts.me} does not hear {_list(missing)}." if missing else "."),
            f"Start {_list(missing)}." if missing else "Wait a moment.",
        )
        return
    yield from _groups(facts)
    yield from _absent(facts)
    yield from _copies(facts)
    yield from _healing(facts)
    yield from _membership(facts)
    for node, row in facts.nodes.items():
        if row["slow_disk"]:
            yield Finding(
                "slow_disk",
                WARNING,
                node,
                f"The disk of {node} is slow: a sync took {row['sync_ms']} ms; it hands on what it"
                " leads.",
                "Look at this disk, and at who else uses it.",
            )


def _groups(facts: Facts) -> Iterator[Finding]:
    """Those that answer nobody."""
    lost: dict[tuple[str, ...], list[int]] = {}
    headless: list[int] = []
    for row in facts.status["partitions"]:
        if not facts.has_majority(row["group"]):
            missing = tuple(node for node in row["group"] if node in facts.absent)
            lost.setdefault(missing, []).append(row["id"])
        elif row["leader"] is None:
            headless.append(row["id"])
    for missing, partitions in lost.items():
        about, who = of_groups(partitions), _list(missing)
        has = "has" if len(partitions) == 1 else "have"
        yield Finding(
            "no_majority",
            ERROR,
            about,
            f"{about.capitalize()} {has} no majority, and no command there is answered: {who}"
            f" {_is(missing)} down or not heard.",
            f"Start {who} with {_theirs(missing)}, or mend the network.",
        )
    if headless:
        about = of_groups(headless)
        has = "has" if len(headless) == 1 else "have"
        yield Finding(
            "no_leader",
            ERROR,
            about,
            f"{about.capitalize()} {has} no leader that {facts.me} knows of, though a majority is"
            " there.",
            "An election takes a moment; if this stays, look at the network and at slow disks. If"
            f" slaves were started with empty directories: {_LOST}.",
        )
    group = facts.status["map_group"]
    if not facts.has_majority(group):
        gone = [node for node in group if node in facts.absent]
        yield Finding(
            "map_without_majority",
            ERROR,
            "the cluster map",
            f"The cluster map has no majority ({_list(gone)} {_is(gone)} down or not heard): the"
            " ring does not heal and nothing of it can be changed.",
            f"Start {_list(gone)}.",
        )
    elif facts.status["controller"] is None:
        yield Finding(
            "map_without_leader",
            ERROR,
            "the cluster map",
            f"Nobody leads the cluster map, as far as {facts.me} knows: the ring does not heal.",
            "An election takes a moment; if this stays, look at the network and at slow disks.",
        )


def _absent(facts: Facts) -> Iterator[Finding]:
    for node in facts.by_status("down"):
        yield Finding(
            "slave_down",
            WARNING,
            node,
            f"{node} is down. {_gap(facts, node)} {_tolerance(facts)}",
            f"Start {node} with its directory; if it is gone for good, REMOVE {node} in the shell"
            " and let another slave join.",
        )
    for node in facts.by_status("suspect"):
        yield Finding(
            "slave_not_heard",
            WARNING,
            node,
            f"{facts.me} does not hear {node}; it is not yet known to be down.",
            f"See whether {node} runs, and whether these two reach each other.",
        )


def _gap(facts: Facts, node: str) -> str:
    plain = facts.status
    held = [row["id"] for row in plain["partitions"] if node in row["group"]]
    if held:
        count = len(held)
        return (
            f"Its gap is not closed: {count} partition{'s have' if count > 1 else ' has'} a copy"
            " less."
        )
    return "Its gap is closed." if plain["healing"]["is_done"] else "Its gap is being closed."


def _tolerance(facts: Facts) -> str:
    """How many more may die."""
    sizes = [
        (len(row["group"]), len(set(row["group"]) - facts.absent))
        for row in facts.status["partitions"]
    ]
    at_once = min((alive - (size // 2 + 1) for size, alive in sizes), default=0)
    alive = len([node for node in facts.status["ring"] if node not in facts.absent])
    if at_once < 1 or not facts.has_majority(facts.status["map_group"]):
        return "No other slave may die now."
    one_by_one = max(at_once, alive - 2)
    text = f"{at_once} more may die at once"
    return f"{text}, {one_by_one} one after another." if one_by_one > at_once else f"{text}."


def _copies(facts: Facts) -> Iterator[Finding]:
    """Partitions with fewer copies than wanted, and clusters that tolerate nothing."""
    wanted, rows = facts.status["replicas"], facts.status["partitions"]
    short = [row["id"] for row in rows if len(set(row["group"]) - facts.absent) < wanted]
    alive = [node for node in facts.status["ring"] if node not in facts.absent]
    size = min((len(row["group"]) for row in rows), default=wanted)
    if wanted < 3:
        yield Finding(
            "few_replicas",
            WARNING,
            "cluster",
            f"Each partition has {wanted} cop{'y' if wanted == 1 else 'ies'} (replicas): none of"
            " its slaves may die"
            + (", or its data is lost with the disk." if wanted == 1 else "."),
            "For what must stay: three slaves or more, and REPLICAS 3 in the shell.",
        )
    elif size < 3:
        yield Finding(
            "few_slaves",
            WARNING,
            "cluster",
            f"The ring has {len(alive)} slave{'' if len(alive) == 1 else 's'} that live, for"
            f" {wanted} copies of each partition: no other slave may die.",
            "Start slaves that are down, or let others join, until there are three.",
        )
    of_file = facts.status["asked"]["replicas_of_file"]
    if of_file != wanted:
        yield Finding(
            "replicas_differ",
            NOTE,
            "cluster",
            f"Files of slaves, {facts.me}'s too, say replicas = {of_file}, and the cluster keeps"
            f" {wanted}: its map rules.",
            f"Write replicas = {wanted} into each file when it suits you; nothing waits for it.",
        )
    elif short:
        yield Finding(
            "few_copies",
            WARNING,
            of_groups(short),
            f"{of_groups(short).capitalize()} {'has' if len(short) == 1 else 'have'} fewer than"
            f" {wanted} copies on slaves that live.",
            "Start the slaves that are down; else the ring makes new copies, where enough slaves"
            " live.",
        )


def _healing(facts: Facts) -> Iterator[Finding]:
    healing, moves = facts.status["healing"], facts.status["moves"]
    dead = {row["id"] for row in facts.status["partitions"] if not facts.has_majority(row["group"])}
    stuck = [group for group in healing["stuck"] if group not in dead]
    alike: dict[_Missing, list[int]] = {}
    for row in facts.status["partitions"]:
        if row["id"] in stuck:
            alike.setdefault(_missing(facts, row), []).append(row["id"])
    for missing, groups in alike.items():
        yield _stuck(groups, missing)
    moving = {*healing["moving"], *(row["group"] for row in moves)}
    waiting = [group for group in healing["waiting"] if group not in moving]
    if moving or waiting or healing["is_map_moving"]:
        done, total = (sum(row[name] for row in moves) for name in ("done", "total"))
        moving |= {"map"} if healing["is_map_moving"] else set()
        said = f"The ring heals: {len(moving)} group{_s(moving)} on the way"
        said += f", {len(waiting)} wait{'s' if len(waiting) == 1 else ''}" if waiting else ""
        said += f"; {size_text(done)} of {size_text(total)} are copied" if total else ""
        yield Finding(
            "healing",
            NOTE,
            "cluster",
            f"{said}.",
            "Nothing; WATCH-RING in the shell shows it. [healing] moves_at_once and"
            " copy_bytes_per_s bound it.",
        )


@dataclass(frozen=True)
class _Missing:
    """Of the slaves of one group."""

    down: tuple[str, ...]
    emptied: tuple[str, ...]  # up, with another directory than they had in this group
    is_majority: bool  # these are, or it is not known who voted


def _missing(facts: Facts, row: Mapping[str, Any]) -> _Missing:
    group, members = row["group"], row.get("members")
    had = dict(member.split("/", 1) for member in members or ())
    down = tuple(node for node in group if node in facts.absent)
    emptied = tuple(
        node
        for node in group
        if node in had and node not in down and had[node] != facts.nodes[node].get("incarnation")
    )
    is_majority = members is None or 2 * len(down + emptied) >= len(group)
    return _Missing(down, emptied, is_majority)


def _stuck(groups: list[int], missing: _Missing) -> Finding:
    about, down, emptied = of_groups(groups), missing.down, missing.emptied
    cannot = f"{about.capitalize()} cannot be moved"
    if not missing.is_majority:
        seen = f"{cannot}: nobody is there who could take a copy."
        do = [f"Start {_list(down)}, or let another slave join." if down else "Let a slave join."]
        return Finding("healing_stuck", ERROR, about, seen, do[0])
    seen, do = f"{cannot}: a majority of the slaves that hold it is", []
    what = []
    if down:
        what.append(f"down ({_list(down)})")
        do.append(f"Start {_list(down)} with {_theirs(down)}.")
    if emptied or not down:
        what.append("up without what it held" + (f" ({_list(emptied)})" if emptied else ""))
        do.append(
            "A slave was started with an empty directory: see whether the disks are mounted, and"
            " start it with its old one. If a majority's are gone for good: distrodb recover and"
            " restore (docs/operations.md#a-majority-is-lost-for-good)."
        )
    return Finding("healing_stuck", ERROR, about, f"{seen} {' or '.join(what)}.", " ".join(do))


def _theirs(nodes: Sequence[str]) -> str:
    return "its directory" if len(nodes) == 1 else "their directories"


def _membership(facts: Facts) -> Iterator[Finding]:
    asked = facts.status["asked"]
    for node in facts.by_status("leaving"):
        yield Finding(
            "slave_leaving",
            NOTE,
            node,
            f"{node} is leaving: others take over what it holds.",
            f"Nothing; KEEP {node} in the shell calls it back.",
        )
    if facts.me not in facts.nodes:
        yield Finding(
            "not_in_map",
            ERROR,
            facts.me,
            f"{facts.me} is not one of the cluster's slaves.",
            "It was removed: end it; to join again it needs an empty directory.",
        )
    elif asked["not_yet_in"]:
        groups = of_groups(asked["not_yet_in"])
        leaders = {row["id"]: row["leader"] for row in facts.status["partitions"]}
        leaders["map"] = facts.status["controller"]
        headless = [each for each in asked["not_yet_in"] if leaders.get(each) is None]
        yield Finding(
            "not_yet_in",
            NOTE,
            facts.me,
            f"{facts.me} is being taken in: it does not count yet in {groups}.",
            f"{of_groups(headless).capitalize()} {_has(headless)} no leader to copy from. If that"
            f" stays: {_LOST}."
            if headless
            else "Wait; it gets its copies from their leaders.",
        )


def size_text(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def _list(nodes: Iterable[str]) -> str:
    return " ".join(nodes)


def _is(nodes: Iterable[str]) -> str:
    return "is" if len(list(nodes)) == 1 else "are"


def _has(things: object) -> str:
    return "has" if len(things) == 1 else "have"  # type: ignore[arg-type]


def _s(things: object) -> str:
    return "" if len(things) == 1 else "s"  # type: ignore[arg-type]
