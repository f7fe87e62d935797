"""Which groups a slave has open: opened when the map gives them to it, closed when they let it go.

What always holds:

- a group whose log is here is opened at a start, whatever the map says, since its members may count
  us still;
- a founder that missed the first map opens also the groups that the first map gave it: their first
  configurations count it.  It begins these logs as it would have then, since maybe no member of
  such a group has done so yet;
- one is closed, and what it has on disk deleted, only when the map does not want us in it and its
  leader has let us go (``Member.removed_at``); its term and vote stay (``Log.retire``);
- one that was closed is opened again only when its deletion is on disk, under the same name, but
  empty, as a learner;
- its snapshots are removed only then too, since until then a crash would bring back a log that
  needs them; and they are handed out for removal before it is opened again, since it will have
  snapshots of its own.
"""

import math
from collections.abc import Mapping, Sequence

from distrodb.raft.group import Group
from distrodb.raft.interfaces import SnapshotWrite
from distrodb.raft.log import delete_forgotten
from distrodb.ring.clustermap import ClusterMap, member
from distrodb.slave.group_factory import Disk, GroupFactory
from distrodb.slave.group_ids import MAP_GROUP, all_groups, nodes_of, preferred_of
from distrodb.slave.map_keeper import MapKeeper
from distrodb.slave.map_machine import MapMachine
from distrodb.storage.records import LAST_INDEX, load_meta, load_tombstone

LOOK_S = 0.1  # between two looks at groups that do not want us: each asks again after a timeout
FEW_GROUPS = 64  # that elect their leaders at once in well under an election timeout
ELECTION_S = 0.002  # of a slow machine's time, for each more


class OpenGroups:
    def __init__(self, maps: MapKeeper, factory: GroupFactory, disk: Disk):
        self.maps, self._factory, self._disk = maps, factory, disk
        self.all: dict[int, Group] = {}
        self.partitions: list[Group] = []  # those of partitions, in their order
        self._unwanted: set[int] = set()  # open groups that the map does not want us in
        self.close_at = math.inf  # seconds: when to look at those again
        self._closing: dict[int, int] = {}  # group: sequence of the write set that deletes it
        self._deleted: list[int] = []  # groups whose snapshots are not needed any more
        self._began = False

    @property
    def map_machine(self) -> MapMachine | None:
        group = self.all.get(MAP_GROUP)
        machine = None if group is None else group.machine
        return machine if isinstance(machine, MapMachine) else None

    def _wants_us(self, group_id: int) -> bool:
        maps = self.maps
        return maps.counts_us and maps.me in nodes_of(maps.map, group_id)

    # -- opening ---------------------------------------------------------------------------------

    def open(
        self, now: float, links: Mapping[str, str], born_into: ClusterMap | None = None
    ) -> list[Group]:
        """Open what the map gives us; at a start also what is here, and what we are in by the
        first map, if that is ``born_into``: we missed it.  Returns the new ones.

        Raises ``CorruptionError`` for a log or a snapshot that cannot be trusted.
        """
        opened, store, me = [], self._disk.store, self.maps.me
        for group_id in all_groups(self.maps.map):
            if group_id in self.all or group_id in self._closing or group_id in self._deleted:
                continue
            is_here = not self._began and load_meta(store, group_id) is not None
            if not (self._began or is_here) and load_tombstone(store, group_id):
                # We may have stopped before all of it went.
                if delete_forgotten(store, self._disk.writes, group_id):
                    self._closing[group_id] = self._disk.writes.sequence
                    continue
                self._deleted.append(group_id)
            was_born = born_into is not None and me in nodes_of(born_into, group_id)
            if is_here or was_born or self._wants_us(group_id):
                begins_with = born_into if was_born and group_id != MAP_GROUP else None
                opened.append(self._open(now, group_id, links, begins_with))
        self._began = True
        self._sort(now)
        self._let_owners_stand_first(opened)
        return opened

    def _let_owners_stand_first(self, opened: Sequence[Group]) -> None:
        """Many groups that begin together keep a slow machine busy for longer than an election
        timeout; members that stood meanwhile would lead, and hand back one by one."""
        delay_s = (len(opened) - FEW_GROUPS) * ELECTION_S
        for group in opened:
            if delay_s > 0 and preferred_of(self.maps.map, group.id) != self.maps.me:
                group.member.stand_later(delay_s)

    def _open(
        self, now: float, group_id: int, links: Mapping[str, str], born_into: ClusterMap | None
    ) -> Group:
        cluster_map = self.maps.map
        group = self.all[group_id] = self._factory.make(now, group_id, cluster_map, born_into)
        for peer, incarnation in links.items():
            group.link_up(now, member(peer, incarnation))
        if preferred_of(cluster_map, group_id) == self.maps.me:
            group.member.stand_at_once(now)
        return group

    def _sort(self, now: float) -> None:
        """Groups have been opened or closed, or the map is another one."""
        self.partitions = [group for id_, group in sorted(self.all.items()) if id_ != MAP_GROUP]
        # Not those of another incarnation than the map's: what that one has may be all there is.
        counts_us = self.maps.counts_us
        self._unwanted = {id_ for id_ in self.all if counts_us and not self._wants_us(id_)}
        self.close_at = now if self._unwanted else math.inf

    # -- closing ---------------------------------------------------------------------------------

    def changed(self, now: float, group_id: int) -> None:
        """It may have let us go, or have another leader."""
        if group_id in self._unwanted:
            self.close_at = now

    def close_left(self, now: float) -> list[int]:
        """Close the groups that have let us go, and returns them; ask those that may do so."""
        if now < self.close_at:
            return []
        self.close_at = now + LOOK_S
        closed = []
        for group_id in sorted(self._unwanted):
            group = self.all[group_id]
            if group.member.is_leader:
                continue
            if group.member.removed_at is None:
                group.member.ask_to_leave(now)
                continue
            group.close(now)
            group.log.retire(group.member.removed_at)
            del self.all[group_id]
            self._closing[group_id] = group.log.last_sequence
            closed.append(group_id)
        if closed:
            self._sort(now)
            self.close_at = now + LOOK_S if self._unwanted else math.inf
        return closed

    def more_is_on_disk(self) -> None:
        closing, writes = self._closing.items(), self._disk.writes
        gone = [id_ for id_, at in closing if writes.is_on_disk(at)]
        deleted = [group_id for group_id in gone if not writes.is_cutting(group_id)]
        for group_id in deleted:
            del self._closing[group_id]
        self._deleted += deleted

    @property
    def has_obsolete(self) -> bool:
        return bool(self._deleted)

    def take_obsolete(self) -> list[tuple[int, int]]:
        """Groups, with the index up to which their snapshots may be removed: all of them.  After
        that they may be opened again."""
        deleted, self._deleted = self._deleted, []
        return [(group_id, LAST_INDEX) for group_id in deleted]

    def is_written_in_vain(self, written: SnapshotWrite) -> bool:
        """A snapshot of a group that was closed meanwhile."""
        group = self.all.get(written.group)
        if group is None and written.group not in self._closing:
            self._deleted.append(written.group)
        return group is None or not group.asked_for(written)
