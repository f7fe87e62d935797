"""How far the ring is from where it wants to be, read from `DISTRODB STATUS` (pure).

Every partition is settled, or moves, waits for its turn, or is stuck until a slave comes back. What
a status leaves out (an older slave's does) counts as nothing to do.

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
    stuck: tuple[int, ...]
    moves: tuple[Move, ...]
    partitions: int
    copies: int  # of the partition that has the fewest, on slaves that are not down
    replicas: int  # how many each should have
    suspects: tuple[str, ...]  # not heard just now; whether they are down is not known yet

    @property
    def settled(self) -> int:
        under_way = {int(move.group) for move in self.moves if move.group != "map"}
        return self.partitions - len({*self.moving, *self.waiting, *self.stuck, *under_way})


def healing_of(status: Status) -> Healing:
    healing = status.get("healing") or {}
    partitions = status["partitions"]
    groups = {partition["id"]: partition["group"] for partition in partitions}
    down = {id for id, node in status["nodes"].items() if node["status"] == "down"}
    copies = min((len(set(group) - down) for group in groups.values()), default=0)
    groups["map"] = status.get("map_group") or ()
    return Healing(
        bool(healing.get("is_done", True)),
        bool(healing.get("is_map_moving", False)),
        tuple(healing.get("moving", ())),
        tuple(healing.get("waiting", ())),
        tuple(healing.get("stuck", ())),
        tuple(_move(row, groups.get(row["group"], ())) for row in status.get("moves") or ()),
        len(partitions),
        copies,
        status.get("replicas", copies),
        tuple(id for id, node in status["nodes"].items() if node["status"] == "suspect"),
    )


def _move(row: Mapping[str, Any], group: Collection[str]) -> Move:
    going, coming = tuple(row.get("from", ())), tuple(row.get("to", ()))
    if set(coming) >= set(group) and not going:
        # All of a group come, nobody goes: the asked slave is new to it and knows no members yet.
        coming = ()
    return Move(str(row["group"]), going, coming, int(row.get("done", 0)), int(row.get("total", 0)))


def held_by(status: Status, node_id: str) -> list[int]:
    """The partitions whose group has that slave still, whatever the map wants."""
    leaves = {move.group for move in healing_of(status).moves if node_id in move.going}
    return [
        partition["id"]
        for partition in status["partitions"]
        if node_id in partition["group"] or str(partition["id"]) in leaves
    ]


def copied_for(status: Status, node_id: str) -> tuple[int, int]:
    """Bytes done and in all of the copies under way that take that slave's place."""
    moves = [move for move in healing_of(status).moves if node_id in move.going]
    return sum(move.done for move in moves), sum(move.total for move in moves)


def circle_of(status: Status) -> list[str]:
    """Every slave in the order of the ring, those that are not in it at the place they would have:
    behind the row before their own."""
    circle = list(status["ring"])
    before: str | None = None
    for node_id in status["nodes"]:
        if node_id not in circle:
            circle.insert(0 if before is None else circle.index(before) + 1, node_id)
        before = node_id
    return circle


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


def byte_count(done: int, total: int) -> str:
    """ "12.3 / 40.0 MB" """
    size, unit = 1, "B"
    for name in ("kB", "MB", "GB"):
        if total >= size * 1000:
            size, unit = size * 1000, name
    if size == 1:
        return f"{done} / {total} {unit}"
    return f"{done / size:.1f} / {total / size:.1f} {unit}"


def news(status: Status) -> str:
    """One line that changes when something but a count of bytes has changed."""
    healing = healing_of(status)
    parts = [f"{healing.settled} of {healing.partitions} partitions settled"]
    moves = {move.group for move in healing.moves} | set(map(str, healing.moving))
    numbers = ranges(int(group) for group in moves if group != "map")
    if healing.is_map_moving or "map" in moves:
        numbers = f"{numbers} map".strip()
    for name, value in (
        ("moving", numbers),
        ("waiting", ranges(healing.waiting)),
        ("stuck", ranges(healing.stuck)),
    ):
        if value:
            parts.append(f"{name}: {value}")
    parts += [f"{id} {node['status']}" for id, node in status["nodes"].items() if _is_odd(node)]
    return "; ".join(parts)


def _is_odd(node: Mapping[str, Any]) -> bool:
    return bool(node["status"] != "up")
