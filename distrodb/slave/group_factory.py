"""Makes one Raft group of this slave: its log, its state machine, and its member.

What is on the disk is read back; a group that is new here begins with the cluster, or empty, as one
that the leader will take in.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from distrodb.commands.command import Command
from distrodb.config import SlaveConfig
from distrodb.keyspace.context import StoreLimits
from distrodb.raft.group import Group, Surroundings
from distrodb.raft.interfaces import GroupOptions
from distrodb.raft.log import Log
from distrodb.raft.write_set import WriteSet
from distrodb.ring.clustermap import ClusterMap, member
from distrodb.slave.group_ids import MAP_GROUP, nodes_of
from distrodb.slave.machine_factory import AnyMachine, Restore, new_store, read_back, restore_store
from distrodb.slave.map_machine import MapMachine
from distrodb.slave.own_records import Records
from distrodb.storage.records import JournalStore


@dataclass(frozen=True, slots=True)
class Disk:
    """What a slave has on its disk, and how it gets more there."""

    store: JournalStore
    read_snapshot: Callable[[int, int], Iterator[bytes]]  # (group, index)
    writes: WriteSet


def group_options(config: SlaveConfig) -> GroupOptions:
    raft, limits = config.raft, config.limits
    return GroupOptions(
        heartbeat_s=raft.heartbeat_ms / 1000,
        election_timeout_s=raft.election_timeout_ms / 1000,
        unknown_after_s=raft.unknown_after_ms / 1000,
        snapshot_log_bytes=raft.snapshot_log_bytes,
        batch_bytes_max=limits.batch_bytes_max,
        transaction_ms_max=limits.transaction_ms_max,
        queue_max=limits.partition_queue_max,
        queue_bytes_max=limits.partition_queue_bytes_max,
    )


class GroupFactory:
    def __init__(
        self,
        config: SlaveConfig,
        records: Records,
        disk: Disk,
        surroundings: Surroundings,
        generator: random.Random,
        table: Mapping[bytes, Command],
    ):
        self._name = member(config.id, records.incarnation)
        limits = config.limits
        self._limits = StoreLimits(
            key_bytes_max=limits.key_bytes_max,
            value_bytes_max=limits.value_bytes_max,
            databases=limits.databases,
        )
        self._records, self._disk, self._table = records, disk, table
        self._surroundings, self._generator = surroundings, generator

    def make(
        self, now: float, group_id: int, cluster_map: ClusterMap, born_into: ClusterMap | None
    ) -> Group:
        """``born_into`` is the first map, if this slave is in the group by that and begins late.

        Raises ``CorruptionError`` for a log or a snapshot that cannot be trusted.
        """
        log = Log(group_id, self._disk.writes)
        if not log.load(self._disk.store):
            first = cluster_map if cluster_map.epoch == 1 else born_into
            if first is not None:
                log.begin(first.members(nodes_of(first, group_id)))
            else:
                log.join()
        machine, restore = self._machine(group_id, cluster_map)
        # At index 1 is the state that a group begins with, except for who joined it: the map's log
        # builds on the first map, which that slave has in its snapshot only.
        joined = group_id == MAP_GROUP and self._records.first_map is None
        if log.meta.snapshot_index > (0 if joined else 1):
            index = log.meta.snapshot_index
            chunks = self._disk.read_snapshot(group_id, index)
            machine = read_back(f"snapshot {index} of group {group_id}", chunks, restore, machine)
        generator = random.Random(self._generator.random())
        return Group(now, self._name, log, machine, restore, generator, self._surroundings)

    def _machine(self, group_id: int, cluster_map: ClusterMap) -> tuple[AnyMachine, Restore]:
        """The state that a group begins with, and how a snapshot of it is read."""
        if group_id == MAP_GROUP:
            return MapMachine(self._records.first_map or cluster_map), MapMachine.restore
        partition = cluster_map.partitions[group_id]
        machine = new_store(partition.first, partition.last, self._limits, self._table)
        return machine, partial(restore_store, self._limits, table=self._table)
