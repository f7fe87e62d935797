"""What is wrong with slaves by what they tell of themselves: disks, memory, certificates, clocks,
security, versions and settings.  Pure.
"""

from collections.abc import Iterable, Iterator

from distrodb.slave.condition import (
    NO_PASSWORD,
    NO_SECRET,
    PEERS_REACHED,
    REACHED,
    SHORT_SECRET,
    UNPROTECTED,
    Condition,
)
from distrodb.slave.doctor.cluster import size_text
from distrodb.slave.doctor.facts import Facts
from distrodb.slave.doctor.finding import ERROR, NOTE, WARNING, Finding

DISK_ERROR, DISK_WARNING = 0.05, 0.15  # of the disk that is free
CERTIFICATE_DAYS, DAY_S = 30, 86400.0
CLOCK_MS = 2000  # apart; gossip that waited looks like less
NEARLY = 0.85  # of a bound of memory
NEARLY_CONNECTIONS = 0.9


def findings(facts: Facts) -> Iterator[Finding]:
    for node, condition in facts.conditions.items():
        yield from _disk(node, condition)
        yield from _certificate(facts, node, condition)
        yield from _memory(node, condition)
        yield from _connections(node, condition)
    yield from _security(facts)
    yield from _clocks(facts)
    yield from _sameness(facts)


def _disk(node: str, condition: Condition) -> Iterator[Finding]:
    total = condition.disk_total
    share = condition.disk_free / total if total else 1.0
    if share < DISK_WARNING:
        yield Finding(
            "disk_nearly_full",
            ERROR if share < DISK_ERROR else WARNING,
            node,
            f"The disk of {node} is nearly full: {size_text(condition.disk_free)} of"
            f" {size_text(total)} are free ({100 * share:.1f} %).",
            "Make room, or let slaves join and BALANCE; a slave whose disk is full stops.",
        )


def _certificate(facts: Facts, node: str, condition: Condition) -> Iterator[Finding]:
    left_s = condition.certificate_ends_s - facts.now_s
    if not condition.certificate_ends_s or left_s > CERTIFICATE_DAYS * DAY_S:
        return
    has_ended = left_s <= 0
    yield Finding(
        "certificate_ends",
        ERROR if has_ended else WARNING,
        node,
        f"The certificate of {node} "
        + ("has ended." if has_ended else f"ends in {left_s / DAY_S:.1f} days."),
        f"Make a new one (distrodb certs), put it there and send the process of {node} SIGHUP.",
    )


def _memory(node: str, condition: Condition) -> Iterator[Finding]:
    for code, name, used, bound, when in (
        (
            "memory_nearly_full",
            "maxmemory",
            condition.data,
            condition.data_max,
            "commands that need memory are refused",
        ),
        (
            "client_memory_nearly_full",
            "maxmemory_clients",
            condition.clients,
            condition.clients_max,
            "the clients that hold the most are closed",
        ),
    ):
        if not bound or used < NEARLY * bound:
            continue
        is_full = used > bound
        what = "Data" if name == "maxmemory" else "Inputs and outputs of clients"
        yield Finding(
            code,
            ERROR if is_full else WARNING,
            node,
            f"{what} of {node} take {size_text(used)} of {size_text(bound)} ({name})"
            + (f": {when}." if is_full else f"; at that bound {when}."),
            "Raise it, or let slaves join and BALANCE."
            if name == "maxmemory"
            else "CLIENT LIST shows who holds much; raise it if all of them are to.",
        )


def _connections(node: str, condition: Condition) -> Iterator[Finding]:
    there, most = condition.connections, condition.connections_max
    if most and there >= NEARLY_CONNECTIONS * most:
        yield Finding(
            "connections_nearly_full",
            ERROR if there >= most else WARNING,
            node,
            f"{node} has {there} clients of at most {most}"
            + (": others are refused." if there >= most else "."),
            "Raise connections_max and the limit of open files, set timeout_s, or look for clients"
            " that do not close (CLIENT LIST).",
        )
    if condition.connections_wanted:
        yield Finding(
            "few_files",
            WARNING,
            node,
            f"{node} takes {most} clients, not {condition.connections_wanted} as its file says: the"
            " system allows it too few open files.",
            "Raise its limit of open files (LimitNOFILE= in its unit, ulimit -n), and start it"
            " again.",
        )


def _security(facts: Facts) -> Iterator[Finding]:
    found = facts.conditions

    def those(*flags: str) -> list[str]:
        return [node for node, each in sorted(found.items()) if each.flags.issuperset(flags)]

    open_peers = those(NO_SECRET, PEERS_REACHED)
    if open_peers:
        yield Finding(
            "no_secret",
            WARNING,
            " ".join(open_peers),
            f"There is no secret at {' '.join(open_peers)}: whoever reaches the peer port may join"
            " in, and read and change everything.",
            "Write the same secret under [cluster] in every file.",
        )
    elif secretless := those(NO_SECRET):
        yield Finding(
            "no_secret",
            NOTE,
            " ".join(secretless),
            "There is no secret between slaves; only their own machine reaches them.",
            "Write the same secret under [cluster] in every file before other machines do.",
        )
    if short := those(SHORT_SECRET):
        yield Finding(
            "short_secret",
            WARNING if set(short) & set(those(PEERS_REACHED)) else NOTE,
            " ".join(short),
            "The secret between slaves is short: who listens on the network may find it by trying.",
            "Write a longer one under [cluster] in every file; openssl rand -hex 16 makes one.",
        )
    if unprotected := those(UNPROTECTED, REACHED):
        yield Finding(
            "unprotected",
            WARNING,
            " ".join(unprotected),
            f"protected_mode is off at {' '.join(unprotected)}, and others than its machine reach"
            " it.",
            "Set a password and a secret, and take protected_mode = false out of its file.",
        )
    if open_clients := those(NO_PASSWORD, REACHED):
        yield Finding(
            "no_password",
            WARNING,
            " ".join(open_clients),
            f"Clients of {' '.join(open_clients)} need no password, and others than its machine"
            " reach it.",
            "Write requirepass under [clients] in every file, or ACL SETUSER default.",
        )
    elif passwordless := those(NO_PASSWORD):
        yield Finding(
            "no_password",
            NOTE,
            " ".join(passwordless),
            "Clients need no password; only their own machine reaches the slaves.",
            "Write requirepass under [clients] in every file before other machines do.",
        )


def _clocks(facts: Facts) -> Iterator[Finding]:
    """Against what most clocks say: the asked slave's own may be the odd one."""
    ahead_ms = {facts.me: 0, **facts.skews_ms}  # of the asked slave's clock
    usual_ms = _most(ahead_ms.values())
    alike = sum(abs(at_ms - usual_ms) < CLOCK_MS for at_ms in ahead_ms.values())
    others_are = "most others" if 2 * alike > len(ahead_ms) else "others"
    for node, at_ms in ahead_ms.items():
        skew_ms = at_ms - usual_ms
        if abs(skew_ms) >= CLOCK_MS:
            way = "ahead of" if skew_ms > 0 else "behind"
            others = [other for other in ahead_ms if other != node]
            whom = f"that of {others[0]}" if len(others) == 1 else others_are
            yield Finding(
                "clock_apart",
                WARNING,
                node,
                f"The clock of {node} is {abs(skew_ms) / 1000:.1f} s {way} {whom}, as {facts.me}"
                " sees it: keys may expire at another moment when the lead changes.",
                "Let all machines set their clocks by NTP (chrony, systemd-timesyncd).",
            )


def _most(ahead_ms: Iterable[int]) -> int:
    """The median; of an even number the one of both in the middle that is nearer to the asked
    slave's, so that of two slaves the other one is told of."""
    in_order = sorted(ahead_ms)
    low, high = in_order[(len(in_order) - 1) // 2], in_order[len(in_order) // 2]
    return min(low, high, key=abs)


def _sameness(facts: Facts) -> Iterator[Finding]:
    versions: dict[str, list[str]] = {}
    settings: dict[str, dict[str, list[str]]] = {}
    for node, condition in facts.conditions.items():
        versions.setdefault(condition.version, []).append(node)
        for name, value in condition.settings.items():
            settings.setdefault(name, {}).setdefault(value, []).append(node)
    if len(versions) > 1:
        yield Finding(
            "versions_differ",
            WARNING,
            "cluster",
            f"Slaves run different versions: {_who_has(versions)}.",
            "Upgrade those that are behind, one after another (docs/operations.md).",
        )
    for name, values in settings.items():
        if len(values) > 1:
            yield Finding(
                "settings_differ",
                WARNING,
                name,
                f"{name} is not the same everywhere: {_who_has(values)}.",
                "Write the same in every file, and start those slaves again one after another.",
            )


def _who_has(values: dict[str, list[str]]) -> str:
    return ", ".join(f"{value} at {' '.join(nodes)}" for value, nodes in sorted(values.items()))
