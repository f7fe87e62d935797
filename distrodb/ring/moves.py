"""What one group needs next: the single place that decides who goes and who comes.

A group goes to where the ring wants it, left neighbour, owner, right neighbour, one member at a
time: the map says the next members, the group's Raft leader gets there (raft/membership.py), and
only then the map says the next.  So the map's group and the voters differ by one member, and what
was acknowledged is on all the others.

- The dead go out first, then who leaves or is out of the ring; the owner comes in first.
- A member goes only when another one comes, or the group has more than ``replicas``.  With fewer
  slaves in the ring than that the dead stay in their groups: that costs nothing, and if they come
  back, nothing need be copied.
- A group that has more than ``replicas``, since that number was made smaller, lets its dead go;
  then those come who should be in it, each for another one; and then a live one at a time goes, but
  only while all who stay live and none of them is merely silent.
- A group without a live majority of voters is stuck: nothing can change it until one of them is
  back, so nothing is asked for, and it counts for nothing.
- A group on its way is left alone, unless a next member is dead, or was to come and is out of the
  ring.  Then a live voter that was to go stays instead, and nothing need be copied; if there is
  none, another slave comes.  One that was to go since there were too many stays, too, if more are
  wanted again.

Caveats: a voter that nobody has heard of for less than ``dead_after_s`` counts as alive.  A group
whose members have told nothing (the controller is new) counts as on its way, or stuck if the map's
own statuses say so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from distrodb.ring.clustermap import ClusterMap, Partition, node_of
from distrodb.ring.placement import group_of


@dataclass(frozen=True, slots=True)
class Observed:
    """What the controller was told: the members (slave and incarnation) in each group's newest
    configuration.  A report must be left out when the group has changed in the map since: it may
    look like the end of a move that has not begun.  Otherwise a late one costs time only."""

    voters: Mapping[int, Sequence[str]]
    map_voters: Sequence[str]


class State(Enum):
    SETTLED = auto()  # where the ring wants it, as far as there are slaves
    MOVING = auto()  # on its way to what the map says
    STUCK = auto()  # until a slave is back: no live majority, or nobody who could come
    LOST = auto()  # on its way, but somebody died or left; ``group`` is where to go instead
    WAITING = auto()  # ``group`` is the next one to ask for


@dataclass(frozen=True, slots=True)
class Need:
    partition: Partition
    state: State
    group: tuple[str, ...]


class Groups:
    """What the groups of a map need, by what was observed."""

    def __init__(self, cluster_map: ClusterMap, observed: Observed, replicas: int):
        self._map, self._observed, self._replicas = cluster_map, observed, replicas
        nodes = cluster_map.nodes
        self._name = dict(zip(nodes, cluster_map.members(list(nodes)), strict=True))
        self._in_ring = frozenset(cluster_map.ring)  # for membership only, never for its order
        self._alive = {id_: info.status != "down" for id_, info in nodes.items()}
        self._alive_names = {self._name[id_] for id_, alive in self._alive.items() if alive}
        owners = dict.fromkeys(p.owner for p in cluster_map.partitions)
        self._targets = {owner: self._target(owner) for owner in owners}

    def needs(self) -> list[Need]:
        return [self._need(partition) for partition in self._map.partitions]

    def target(self, partition: Partition) -> tuple[str, ...]:
        """Where the group shall be in the end, as far as it stands in the ring."""
        return self._targets[partition.owner]

    def live(self, partition: Partition) -> int:
        return sum(self._alive[node] for node in partition.group)

    def _target(self, owner: str) -> tuple[str, ...]:
        if owner not in self._in_ring:
            return ()  # the owners are about to be balanced
        return group_of(self._map.ring, owner, self._replicas)

    def _need(self, p: Partition) -> Need:
        wanted = [self._name[node] for node in p.group]
        voters = self._observed.voters.get(p.id)
        is_there = voters is not None and set(voters) == set(wanted)
        if is_there and p.group == self.target(p):
            return Need(p, State.SETTLED, p.group)
        if not self._has_majority(wanted if voters is None else voters):
            return Need(p, State.STUCK, p.group)
        if is_there:
            after = self._next(p, None)
            return Need(p, State.WAITING if after != p.group else State.SETTLED, after)
        return self._on_its_way(p, wanted if voters is None else voters)

    def _on_its_way(self, p: Partition, voters: Sequence[str]) -> Need:
        live = sorted(node_of(voter) for voter in voters if voter in self._alive_names)
        going = [node for node in live if node not in p.group]
        dead = [node for node in p.group if not self._alive[node]]
        coming = [node for node in p.group if self._name[node] not in voters]
        lost = [node for node in coming if node not in self._in_ring]
        stays = [node for node in going if node in self.target(p)]
        if stays and len(p.group) < self._replicas:  # more are wanted again
            return Need(p, State.LOST, (*p.group, stays[0]))
        if going and (dead or lost):
            absent = (dead or lost)[0]
            return Need(p, State.LOST, tuple(going[0] if n == absent else n for n in p.group))
        if not lost:
            return Need(p, State.MOVING, p.group)
        after = self._next(p, lost[0])
        if set(after) != set(p.group):
            return Need(p, State.LOST, after)
        is_whole = set(coming) <= set(dead)  # one dead member for another, and nobody to come
        return Need(p, State.SETTLED if is_whole else State.STUCK, p.group)

    def _has_majority(self, voters: Sequence[str]) -> bool:
        return 2 * sum(voter in self._alive_names for voter in voters) > len(voters)

    def _next(self, p: Partition, lost: str | None) -> tuple[str, ...]:
        """One member nearer to the target; the same ones when nobody can come or go."""
        target = self.target(p)
        members = list(p.group)
        least = lost or min(members, key=lambda n: self._staying(n, target))
        coming = [n for n in target if n not in members and self._can_come(n)]
        if self._may_shrink(members, least, bool(coming)):
            members.remove(least)
        elif coming:
            if lost is not None or len(members) >= self._replicas:
                members.remove(least)
            members.append(p.owner if p.owner in coming else coming[0])
        places = {node: place for place, node in enumerate(target)}
        return tuple(sorted(members, key=lambda n: places.get(n, len(target))))

    def _may_shrink(self, members: Sequence[str], least: str, do_others_come: bool) -> bool:
        if not 0 < self._map.replicas < len(members):  # a map of before says nothing of it
            return False
        if not self._alive[least]:
            return True
        return not do_others_come and all(self._can_come(n) for n in members if n != least)

    def _can_come(self, node: str) -> bool:
        return self._map.nodes[node].status not in ("down", "suspect")

    def _staying(self, node: str, target: Sequence[str]) -> tuple[bool, bool, bool]:
        """The least goes first."""
        return node in target, self._alive[node], node in self._in_ring
