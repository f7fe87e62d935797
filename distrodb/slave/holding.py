"""Which groups a slave holds: opened when the map gives them to it, closed when they let it go.

Invariants:
- a group whose log is here is opened at a start, whatever the map says, since its members may count
  us still;
- a slave on which all agreed at the birth, and that heard of it only when the map had moved on,
  opens also the groups that it was born into: their first configurations count it.  It begins the
  partitions' logs as it would have then, since all of a group may have slept;
- one is closed, and what it holds deleted, only when the map does not want us in it and its leader
  has let us go (``Member.removed_at``); its term and vote stay (``Log.retire``);
- one that was closed is opened again only when its deletion is on disk, under the same name, but
  empty, as a learner;
- its snapshots are removed only then too, since until then a crash would bring back a log that
  needs them; and they are handed out for removal before it is opened again, since it will have
  snapshots of its own.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from distrodb.keyspace.context import StoreLimits
from distrodb.raft.group import Group, Surroundings
from distrodb.raft.interfaces import SnapshotWrite
from distrodb.raft.log import Log, delete_forgotten
from distrodb.raft.write_set import WriteSet
from distrodb.ring.clustermap import ClusterMap, member
from distrodb.slave.birth import Memory
from distrodb.slave.machines import AnyMachine, Restore, new_store, read_back, restore_store
from distrodb.slave.map_machine import MapMachine
from distrodb.storage.records import LAST_INDEX, JournalStore, load_meta, load_tombstone

MAP_GROUP = 0xFFFE


class Holding:
    def __init__(
        self,
        me: str,
        memory: Memory,
        store: JournalStore,
        writes: WriteSet,
        read_snapshot: Callable[[int, int], Iterator[bytes]],
        limits: StoreLimits,
        generator: random.Random,
        surroundings: Surroundings,
        map_changed: Callable[[ClusterMap], None],
    ):
        self._me, self._memory = me, memory
        self._name = member(me, memory.incarnation)
        self._store, self._writes, self._read_snapshot = store, writes, read_snapshot
        self._limits, self._generator = limits, generator
        self._surroundings, self._map_changed = surroundings, map_changed
        self.groups: dict[int, Group] = {}
        self.data: list[Group] = []
        self._closing: dict[int, int] = {}  # group: sequence of the write set that deletes it
        self._deleted: list[int] = []  # groups whose snapshots are not needed any more
        self._began = False

    def wants_us(self, cluster_map: ClusterMap, group_id: int) -> bool:
        row = cluster_map.nodes.get(self._me)
        if row is None or row.incarnation != self._memory.incarnation:
            return False
        return self._me in nodes_of(cluster_map, group_id)

    def open(
        self,
        now: float,
        cluster_map: ClusterMap,
        links: Mapping[str, str],
        born_into: ClusterMap | None = None,
    ) -> list[Group]:
        """Open what the map gives us; at a start also what is here, and what we are in by the
        first map, if that is ``born_into``: we missed it.  Returns the new ones.

        Raises ``CorruptionError`` for a log or a snapshot that cannot be trusted.
        """
        opened = []
        for group_id in [*range(len(cluster_map.partitions)), MAP_GROUP]:
            if group_id in self.groups or group_id in self._closing or group_id in self._deleted:
                continue
            is_here = not self._began and load_meta(self._store, group_id) is not None
            if not (self._began or is_here) and load_tombstone(self._store, group_id):
                # We may have stopped before all of it went.
                if delete_forgotten(self._store, self._writes, group_id):
                    self._closing[group_id] = self._writes.sequence
                    continue
                self._deleted.append(group_id)
            was_born = born_into is not None and self._me in nodes_of(born_into, group_id)
            if is_here or was_born or self.wants_us(cluster_map, group_id):
                begins_with = born_into if was_born and group_id != MAP_GROUP else None
                opened.append(self._open(now, cluster_map, group_id, links, begins_with))
        self._began = True
        self.data = [group for id_, group in sorted(self.groups.items()) if id_ != MAP_GROUP]
        return opened

    def _open(
        self,
        now: float,
        cluster_map: ClusterMap,
        group_id: int,
        links: Mapping[str, str],
        born_into: ClusterMap | None,
    ) -> Group:
        journal = Log(group_id, self._writes)
        if not journal.load(self._store):
            first = cluster_map if cluster_map.epoch == 1 else born_into
            if first is not None:
                journal.begin(first.members(nodes_of(first, group_id)))
            else:
                journal.join()
        machine: AnyMachine
        restore: Restore
        if group_id == MAP_GROUP:
            machine = MapMachine(self._memory.first_map or cluster_map, self._map_changed)
            restore = machine.restore
        else:
            partition = cluster_map.partitions[group_id]
            machine = new_store(partition.first, partition.last, self._limits)
            restore = partial(restore_store, self._limits)
        # At index 1 is the state that a group begins with, except for who joined it: the map's log
        # builds on the first map, which that slave has in its snapshot only.
        joined = group_id == MAP_GROUP and self._memory.first_map is None
        if journal.meta.snapshot_index > (0 if joined else 1):
            index = journal.meta.snapshot_index
            chunks = self._read_snapshot(group_id, index)
            machine = read_back(f"snapshot {index} of group {group_id}", chunks, restore, machine)
            if isinstance(machine, MapMachine):
                self._map_changed(machine.map)
        group = self.groups[group_id] = Group(
            now,
            self._name,
            journal,
            machine,
            restore,
            random.Random(self._generator.random()),
            self._surroundings,
        )
        for peer, incarnation in links.items():
            group.link_up(now, member(peer, incarnation))
        if preferred_of(cluster_map, group_id) == self._me:
            group.member.stand_at_once(now)
        return group

    def close_left(self, now: float, cluster_map: ClusterMap) -> list[int]:
        """Close the groups that have let us go, and returns them; ask those that may do so.

        Not those of another incarnation than the map's: what that one holds may be all there is.
        """
        row = cluster_map.nodes.get(self._me)
        if row is None or row.incarnation != self._memory.incarnation:
            return []
        closed = []
        for group_id, group in list(self.groups.items()):
            if self.wants_us(cluster_map, group_id) or group.member.is_leader:
                continue
            if group.member.removed_at is None:
                group.member.ask_to_leave(now)
            else:
                group.close(now)
                group.log.retire(group.member.removed_at)
                del self.groups[group_id]
                self._closing[group_id] = self._writes.sequence
                closed.append(group_id)
        if closed:
            self.data = [group for id_, group in sorted(self.groups.items()) if id_ != MAP_GROUP]
        return closed

    def durable(self, sequence: int) -> None:
        """A write set is on disk."""
        deleted = [
            id_
            for id_, closing in self._closing.items()
            if closing <= sequence and not self._writes.is_cutting(id_)
        ]
        for group_id in deleted:
            del self._closing[group_id]
        self._deleted += deleted

    @property
    def has_obsolete(self) -> bool:
        return bool(self._deleted)

    def obsolete(self) -> list[tuple[int, int]]:
        """Groups, with the index up to which their snapshots may be removed: all of them.  After
        that they may be opened again."""
        deleted, self._deleted = self._deleted, []
        return [(group_id, LAST_INDEX) for group_id in deleted]

    def written_in_vain(self, written: SnapshotWrite) -> bool:
        """A snapshot of a group that was closed meanwhile."""
        group = self.groups.get(written.group)
        if group is None and written.group not in self._closing:
            self._deleted.append(written.group)
        return group is None or not group.asked_for(written)


def nodes_of(cluster_map: ClusterMap, group_id: int) -> tuple[str, ...]:
    """The slaves that the map wants in a group."""
    if group_id == MAP_GROUP:
        return cluster_map.map_group
    return cluster_map.partitions[group_id].group


def preferred_of(cluster_map: ClusterMap, group_id: int) -> str:
    """The slave that should lead a group if it can: a partition's owner."""
    if group_id == MAP_GROUP:
        return cluster_map.map_group[0]
    return cluster_map.partitions[group_id].owner
