"""The cluster map: who is in the ring, who is up, which partition has which group.

A slave's directory has an incarnation, a random name it got when it was made; the map knows the
one that counts.  Members of Raft groups are named by both (``node1/5f3a09c2``), so a slave that
lost its directory is never taken for its old self.

A map is a value; ``commands.apply`` makes the next one.

Invariants: the partitions are in order and cover all slots; every slave that is named in the ring
or in a group has a row in ``nodes``, and is named there once.  ``from_plain`` checks them, since
maps come from peers.

The ring is those that placement counts on: a slave that is down has left it, one that leaves is
out of it while it still serves what has not moved yet.  So a slave can be in groups and not in the
ring.  An owner may be named before the group has reached it; until then any member leads.  A group
has fewer members than ``replicas`` while there are too few slaves, and more until one after another
has gone, when that number was made smaller.
The rows of ``nodes`` keep their order for good, and the ring has the same order: a slave that comes
back stands where it stood.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from distrodb.ring.levels import OF_REPLICAS, born_with, check_known
from distrodb.ring.placement import REPLICAS, group_of, map_group_of
from distrodb.ring.slots import SLOT_COUNT, slot_ranges

STATUSES = ("up", "suspect", "down", "joining", "leaving")


@dataclass(frozen=True, slots=True)
class NodeInfo:
    id: str
    status: str
    client: str
    peer: str
    incarnation: str = ""  # empty only before the cluster is born


def member(node: str, incarnation: str) -> str:
    """The name of a slave in Raft groups."""
    return f"{node}/{incarnation}"


def node_of(member: str) -> str:
    return member.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Partition:
    id: int
    first: int
    last: int
    owner: str
    group: tuple[str, ...]


@dataclass(frozen=True)
class ClusterMap:
    epoch: int  # grows by one with each change
    ring: tuple[str, ...]
    nodes: Mapping[str, NodeInfo]
    partitions: tuple[Partition, ...]
    map_group: tuple[str, ...]
    # The incarnations with which the cluster was born, in the order of its first ring; empty in
    # maps of 0.2.0.
    founders: Mapping[str, str] = field(default_factory=dict)
    # The rules of the users that somebody has made or changed, by name.  Both are bytes of a
    # client, each written as one character (latin-1); what they mean is commands/acl_user.py's.
    users: Mapping[str, str] = field(default_factory=dict)
    level: int = 1  # of the features that may be used (levels.py)
    # Copies that each partition should have, now and in the first map; both 0 as long as the level
    # is 1: then all slaves' files say the same, and that counts.
    replicas: int = 0
    replicas_at_birth: int = 0

    def to_plain(self) -> dict[str, Any]:
        """As lists, dictionaries, strings and integers; ``from_plain`` is its inverse."""
        # What a version before does not know is left out until it means something.
        users = {"users": dict(self.users)} if self.users else {}
        level = {"level": self.level} if self.level > 1 else {}
        copies = {"replicas": self.replicas, "replicas_at_birth": self.replicas_at_birth}
        return {
            "epoch": self.epoch,
            "ring": list(self.ring),
            "nodes": [
                [n.id, n.status, n.client, n.peer, n.incarnation] for n in self.nodes.values()
            ],
            "partitions": [
                [p.id, p.first, p.last, p.owner, list(p.group)] for p in self.partitions
            ],
            "map_group": list(self.map_group),
            "founders": [list(founder) for founder in self.founders.items()],
            **users,
            **level,
            **(copies if self.replicas else {}),
        }

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> "ClusterMap":
        """Raises ``ValueError`` for what is not a map."""
        try:
            cluster_map = ClusterMap(
                plain["epoch"],
                tuple(plain["ring"]),
                {id_: NodeInfo(id_, *rest) for id_, *rest in plain["nodes"]},
                tuple(
                    Partition(id_, first, last, owner, tuple(group))
                    for id_, first, last, owner, group in plain["partitions"]
                ),
                tuple(plain["map_group"]),
                dict(plain.get("founders", ())),
                dict(plain.get("users", ())),
                plain.get("level", 1),
                plain.get("replicas", 0),
                plain.get("replicas_at_birth", 0),
            )
            problem = _problem(cluster_map)
        except (KeyError, TypeError, ValueError) as error:
            problem = repr(error)
        if problem:
            raise ValueError(f"not a cluster map: {problem}")
        return cluster_map

    @staticmethod
    def of_own(plain: Any) -> "ClusterMap":
        """What this slave, or its group, has kept.  Raises ``ValueError`` for what is not a map,
        ``VersionError`` where that may be since it is of a level that is not known here."""
        try:
            return ClusterMap.from_plain(plain)
        except ValueError:
            level = plain.get("level") if isinstance(plain, dict) else None
            if type(level) is int:
                check_known(level)
            raise

    def members(self, nodes: Sequence[str]) -> tuple[str, ...]:
        """These slaves as members of a Raft group."""
        return tuple(member(node, self.nodes[node].incarnation) for node in nodes)

    def digest(self) -> str:
        """Equal on all slaves that have the same map (SHA-256 of its canonical JSON)."""
        text = json.dumps(self.to_plain(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def partition_of_slot(self, slot: int) -> Partition:
        """``slot`` is 0 to 16383."""
        return self._partition_of_slot[slot]

    @cached_property
    def _partition_of_slot(self) -> list[Partition]:
        return [p for p in self.partitions for _ in range(p.first, p.last + 1)]


def are_bytes(text: str) -> bool:
    """Each character stands for one."""
    return text.isascii() or max(text) <= "\xff"


def _problem(cluster_map: ClusterMap) -> str | None:
    """What is wrong with a map whose parts have the right shape but unknown types."""
    if type(cluster_map.epoch) is not int or cluster_map.epoch < 1:
        return f"epoch {cluster_map.epoch!r}"
    if type(cluster_map.level) is not int or cluster_map.level < 1:
        return f"level {cluster_map.level!r}"
    copies = cluster_map.replicas, cluster_map.replicas_at_birth
    if copies != (0, 0) and not all(type(n) is int and n in REPLICAS for n in copies):
        return f"replicas {copies!r}"
    for node in cluster_map.nodes.values():
        texts = (node.id, node.status, node.client, node.peer, node.incarnation)
        if not all(isinstance(text, str) for text in texts) or node.status not in STATUSES:
            return f"node {node!r}"
    lists = [cluster_map.ring, cluster_map.map_group, *(p.group for p in cluster_map.partitions)]
    names = [name for names in lists for name in names]
    if not all(isinstance(text, str) for row in cluster_map.founders.items() for text in row):
        return f"founders {cluster_map.founders!r}"
    users = [text for row in cluster_map.users.items() for text in row]
    if not all(isinstance(text, str) and are_bytes(text) for text in users):
        return "users"
    following = 0
    for number, partition in enumerate(cluster_map.partitions):
        if any(type(n) is not int for n in (partition.id, partition.first, partition.last)):
            return f"partition {partition!r}"
        if (partition.id, partition.first) != (number, following) or partition.last < following:
            return f"partition {partition!r}, expected {number} from slot {following} on"
        following = partition.last + 1
        names.append(partition.owner)
    if following != SLOT_COUNT:
        return f"{following} slots"
    unknown = [name for name in names if name not in cluster_map.nodes]
    if unknown:
        return f"unknown slave {unknown[0]!r}"
    twice = [names for names in lists if len(set(names)) < len(names)]
    return f"a slave twice in {twice[0]!r}" if twice else None


def first_map(
    nodes: Sequence[tuple[str, str, str]],
    partitions: int,
    replicas: int,
    incarnations: Mapping[str, str] | None = None,
) -> ClusterMap:
    """The map a cluster begins with, from (id, client address, peer address) in ring order.

    Without incarnations it is the layout only, which is known before the slaves have met.
    """
    born = incarnations or {}
    ring = tuple(id_ for id_, _, _ in nodes)
    rows = []
    for number, (first, last) in enumerate(slot_ranges(partitions)):
        owner = ring[number % len(ring)]
        rows.append(Partition(number, first, last, owner, group_of(ring, owner, replicas)))
    infos = {
        id_: NodeInfo(id_, "up", client, peer, born.get(id_, "")) for id_, client, peer in nodes
    }
    epoch, founders = (1, {id_: born[id_] for id_ in ring}) if born else (0, {})
    level = born_with(founders.values())
    known = replicas if level >= OF_REPLICAS else 0
    group = map_group_of(ring)
    return ClusterMap(epoch, ring, infos, tuple(rows), group, founders, {}, level, known, known)
