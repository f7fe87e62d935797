"""How far the ring is from where it wants to be, read from `DISTRODB STATUS` (pure).

A partition is settled, moves, waits for its turn, or is stuck until a slave comes back; one without
a leader is never settled. What a status leaves out (an older slave's does) is nothing to do. The
cluster map's own group, "map", stands among the partitions' numbers.

Caveat: a status is what the asked slave sees; it may lag the controller by some milliseconds.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from distrodb.ranges import Group, of_groups

Status = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Move:
    """A group on its way to other members: `coming` copy what `going` are to forget. Both are empty
    when the asked slave does not know who they are."""

    group: Group
    going: Collection[str]
    coming: Collection[str]
    done: int  # bytes of the snapshots that are being copied
    total: int  # 0: nothing is being copied now


class Healing:
    def __init__(self, status: Status) -> None:
        partitions, told = status["partitions"], status.get("healing") or {}
        members = {row["id"]: row["group"] for row in partitions}
        members["map"] = status.get("map_group") or ()
        known = {node_id: node["status"] for node_id, node in status["nodes"].items()}
        down = {node_id for node_id, word in known.items() if word == "down"}
        # Not heard just now; whether they are down is not known yet.
        self.suspects = [node_id for node_id, word in known.items() if word == "suspect"]
        absent = down.union(self.suspects)
        leaderless = {row["id"] for row in partitions if row["leader"] is None}
        self.has_controller = bool(status.get("controller"))
        headless = leaderless if self.has_controller else {*leaderless, "map"}
        lost = {group for group in headless if _has_no_majority(members[group], absent)}
        # Nothing can be done with the slaves that live; some groups may be stuck all the same.
        self.is_done = bool(told.get("is_done", True))
        self.is_map_lost = "map" in lost  # its group has no majority: nobody can act
        self.stuck: set[Group] = {*told.get("stuck", ()), *lost}
        self.absent = sorted(absent & {node_id for group in lost for node_id in members[group]})
        self.electing: set[Group] = leaderless - self.stuck
        self.waiting: set[Group] = set(told.get("waiting", ()))
        self.moves = [_move(row, members) for row in status.get("moves") or ()]
        self.moving = {*told.get("moving", ()), *(move.group for move in self.moves)}
        if told.get("is_map_moving"):
            self.moving.add("map")
        self.partitions = len(partitions)
        unsettled = self.moving | self.waiting | self.stuck | self.electing
        self.settled = self.partitions - len(unsettled - {"map"})
        # Of the partition that has the fewest, on slaves that are not down.
        self.copies = min((len(set(row["group"]) - down) for row in partitions), default=0)
        self.replicas = status.get("replicas", self.copies)  # how many each should have

    def lines(self) -> dict[str, str]:
        """What is not settled, by what becomes of it."""
        without = f"without {' '.join(self.absent)}" if self.absent else "until a slave comes back"
        found = {
            "moving": self.moving,
            "waiting": self.waiting,
            "without a leader": self.electing,
            f"stuck {without}": self.stuck,
        }
        return {name: f"{name}: {of_groups(groups)}" for name, groups in found.items() if groups}


def _has_no_majority(members: Collection[str], absent: Collection[str]) -> bool:
    return len(members) > 0 and 2 * len(set(members).difference(absent)) <= len(members)


def _move(row: Mapping[str, Any], members: Mapping[Group, Collection[str]]) -> Move:
    going, coming = row.get("from", ()), row.get("to", ())
    if set(coming) >= set(members.get(row["group"], ())) and not going:
        # All of a group come, nobody goes: the asked slave is new to it and knows no members yet.
        coming = ()
    return Move(row["group"], going, coming, int(row.get("done", 0)), int(row.get("total", 0)))


def unborn(status: Status) -> str | None:
    """Why there is no cluster yet at the asked slave; None: there is one."""
    if status["epoch"] != 0:
        return None
    asked = status.get("asked", {})
    if asked.get("waits_to_join"):  # the map that it has is its own, and no cluster's
        return (
            f"{asked['node']} waits to be let into the cluster; if it is refused, its log says why"
        )
    if asked.get("waits_for_cluster"):
        return (
            f"the directory of {asked['node']} is empty, and it waits for a slave that knows the"
            " cluster: see whether the disks are mounted (born, in its file)"
        )
    missing = [id for id, node in status["nodes"].items() if node["status"] != "up"]
    who = f"start {' '.join(missing)}" if missing else "they are meeting now"
    return f"the cluster is not born yet: its first start needs all of its slaves; {who}"


def held_by(status: Status, node_id: str) -> set[Group]:
    """The partitions whose group has that slave still, whatever the map wants."""
    leaves = {move.group for move in Healing(status).moves if node_id in move.going} - {"map"}
    return leaves.union(row["id"] for row in status["partitions"] if node_id in row["group"])


def changes(status: Status) -> str:
    """One line that is another when something but a count of bytes is."""
    if why := unborn(status):
        return why
    healing = Healing(status)
    nodes = status["nodes"].items()
    return "; ".join(
        [
            f"{healing.settled} of {healing.partitions} partitions settled",
            *healing.lines().values(),
            *(f"{id} {node['status']}" for id, node in nodes if node["status"] != "up"),
        ]
    )
