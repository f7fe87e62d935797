"""How far the ring is from where it wants to be, read from `DISTRODB STATUS` (pure).

A partition is settled, moves, waits for its turn, or is stuck until a slave comes back; one without
a leader is never settled. What a status leaves out (an older slave's does) is nothing to do.

Caveat: a status is what the asked slave sees; it may lag the controller by some milliseconds.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Status = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Move:
    """A group on its way to other members: `coming` copy what `going` are to forget. Both are empty
    when the asked slave does not know who they are."""

    group: str  # a partition's number, or "map"
    going: tuple[str, ...]
    coming: tuple[str, ...]
    done: int  # bytes of the snapshots that are being copied
    total: int  # 0: nothing is being copied now

    @property
    def what(self) -> str:
        return "cluster map" if self.group == "map" else f"partition {self.group}"


@dataclass(frozen=True, slots=True)
class Healing:
    is_done: bool  # nothing can be done with the slaves that live; some may be stuck all the same
    is_map_moving: bool  # the cluster map's own group
    moving: tuple[int, ...]
    waiting: tuple[int, ...]
    stuck: tuple[int, ...]  # by the controller's word, or without a majority
    leaderless: tuple[int, ...]
    is_map_lost: bool  # its group has no majority: nobody can act
    absent: tuple[str, ...]  # down or suspect members of what is stuck
    moves: tuple[Move, ...]
    partitions: int
    copies: int  # of the partition that has the fewest, on slaves that are not down
    replicas: int  # how many each should have
    suspects: tuple[str, ...]  # not heard just now; whether they are down is not known yet

    @property
    def settled(self) -> int:
        under_way = {int(move.group) for move in self.moves if move.group != "map"}
        unsettled = {*self.moving, *self.waiting, *self.stuck, *self.leaderless, *under_way}
        return self.partitions - len(unsettled)


def healing_of(status: Status) -> Healing:
    healing = status.get("healing") or {}
    partitions, nodes = status["partitions"], status["nodes"]
    groups = {partition["id"]: partition["group"] for partition in partitions}
    down = {id for id, node in nodes.items() if node["status"] == "down"}
    suspects = tuple(id for id, node in nodes.items() if node["status"] == "suspect")
    copies = min((len(set(group) - down) for group in groups.values()), default=0)
    absent = down | set(suspects)
    leaderless = [partition["id"] for partition in partitions if partition["leader"] is None]
    lost = [id for id in leaderless if _has_no_majority(groups[id], absent)]
    map_group = status.get("map_group") or ()
    is_map_lost = not status.get("controller") and _has_no_majority(map_group, absent)
    missed = [groups[id] for id in lost] + [map_group] * is_map_lost
    return Healing(
        bool(healing.get("is_done", True)),
        bool(healing.get("is_map_moving", False)),
        tuple(healing.get("moving", ())),
        tuple(healing.get("waiting", ())),
        tuple(sorted({*healing.get("stuck", ()), *lost})),
        tuple(leaderless),
        is_map_lost,
        tuple(sorted({id for group in missed for id in group} & absent)),
        tuple(_move(row, groups, map_group) for row in status.get("moves") or ()),
        len(partitions),
        copies,
        status.get("replicas", copies),
        suspects,
    )


def _has_no_majority(group: Collection[str], absent: set[str]) -> bool:
    return len(group) > 0 and 2 * len(set(group) - absent) <= len(group)


def _move(row: Mapping[str, Any], groups: Mapping[int, Any], map_group: Collection[str]) -> Move:
    group = map_group if row["group"] == "map" else groups.get(row["group"], ())
    going, coming = tuple(row.get("from", ())), tuple(row.get("to", ()))
    if set(coming) >= set(group) and not going:
        # All of a group come, nobody goes: the asked slave is new to it and knows no members yet.
        coming = ()
    return Move(str(row["group"]), going, coming, int(row.get("done", 0)), int(row.get("total", 0)))


def unborn(status: Status) -> str | None:
    """Why there is no cluster yet at the asked slave; None: there is one."""
    if status["epoch"] != 0:
        return None
    asked = status.get("asked", {})
    if asked.get("waits_to_join"):  # the map that it has is its own, and no cluster's
        return (
            f"{asked['node']} waits to be let into the cluster; if it is refused, its log says why"
        )
    missing = [id for id, node in status["nodes"].items() if node["status"] != "up"]
    who = f"start {' '.join(missing)}" if missing else "they are meeting now"
    return f"the cluster is not born yet: its first start needs all of its slaves; {who}"


def held_by(status: Status, node_id: str) -> list[int]:
    """The partitions whose group has that slave still, whatever the map wants."""
    leaves = {move.group for move in healing_of(status).moves if node_id in move.going}
    return [
        partition["id"]
        for partition in status["partitions"]
        if node_id in partition["group"] or str(partition["id"]) in leaves
    ]


def ranges(numbers: Iterable[int]) -> str:
    """ "0-3 7" """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def of_partitions(numbers: Iterable[int]) -> str:
    """ "partition 7" or "partitions 0-3 7" """
    numbers = list(numbers)
    return f"{'partition' if len(numbers) == 1 else 'partitions'} {ranges(numbers)}"


def of_stuck(healing: Healing) -> str:
    """ "partitions 2-4 and the cluster map" """
    parts = [of_partitions(healing.stuck)] if healing.stuck else []
    return " and ".join([*parts, *["the cluster map"] * healing.is_map_lost])


def byte_count(done: int, total: int) -> str:
    """ "12.3 / 40.0 MB" """
    size, unit = 1, "B"
    for name in ("kB", "MB", "GB"):
        if total >= size * 1000:
            size, unit = size * 1000, name
    if size == 1:
        return f"{done} / {total} {unit}"
    return f"{done / size:.1f} / {total / size:.1f} {unit}"


def changes(status: Status) -> str:
    """One line that is another when something but a count of bytes is."""
    if why := unborn(status):
        return why
    healing = healing_of(status)
    parts = [f"{healing.settled} of {healing.partitions} partitions settled"]
    moves = {move.group for move in healing.moves} | set(map(str, healing.moving))
    numbers = ranges(int(group) for group in moves if group != "map")
    if healing.is_map_moving or "map" in moves:
        numbers = f"{numbers} map".strip()
    waits_for_leader = set(healing.leaderless) - set(healing.stuck)
    for name, value in (
        ("moving", numbers),
        ("waiting", ranges(healing.waiting)),
        ("without a leader", ranges(waits_for_leader)),
        ("stuck", f"{ranges(healing.stuck)}{' map' * healing.is_map_lost}".strip()),
    ):
        if value:
            parts.append(f"{name}: {value}")
    nodes = status["nodes"].items()
    parts += [f"{id} {node['status']}" for id, node in nodes if node["status"] != "up"]
    return "; ".join(parts)
