"""The directories of slaves that are stopped, read as they are: whose they are, the cluster map
that they knew last, and their copies of partitions.

Each is locked while it is read.  Nothing is changed but what every start does: what a crash left
half written at the journal's end is cut off (storage/wal.py).
"""

from functools import partial
from pathlib import Path

from distrodb.backup.losses import Copy, Verdict, judge
from distrodb.errors import ConfigError, CorruptionError
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.store import Store
from distrodb.raft.log import Log
from distrodb.raft.replay import payloads
from distrodb.raft.write_set import WriteSet
from distrodb.ring.clustermap import ClusterMap, Partition, member
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.machine_factory import AnyMachine, Restore, new_store, read_back, restore_store
from distrodb.slave.map_machine import MapMachine
from distrodb.slave.own_records import first_map, newest_map, stored_incarnation
from distrodb.storage.directory import Directory

_NO_JOURNAL = "holds no slave's data: name what [node] directory names"


class Survivor:
    def __init__(self, path: Path):
        """Raises ``ConfigError`` for what is no slave's directory, ``StorageError`` for one that is
        in use or damaged."""
        if not (path / "journal").is_dir():
            raise ConfigError(f"{path}: {_NO_JOURNAL}")
        self.path = path
        self._directory = Directory(path)
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        journal = self._directory.journal
        owner = self._directory.owner()
        incarnation, cluster_map = stored_incarnation(journal), newest_map(journal)
        if owner is None or incarnation is None or cluster_map is None or cluster_map.epoch == 0:
            raise ConfigError(f"{self.path}: its slave has never been in a cluster")
        self.cluster, _, self.node = owner.rpartition(" ")
        self.member, self.map = member(self.node, incarnation), cluster_map

    def close(self) -> None:
        self._directory.close()

    def copy_of(self, partition: int) -> Copy | None:
        log = self._log(partition)
        if log is None:
            return None
        position = log.last_term, log.last_index
        return Copy(self.member, position, log.configuration.members)

    def _log(self, partition: int) -> Log | None:
        log = Log(partition, WriteSet())
        if not log.load(self._directory.journal):
            return None
        # One that was to be taken in, and has not had its first snapshot yet, has nothing.
        return log if log.configuration.members else None

    def store_of(self, partition: Partition) -> Store:
        """The partition's state with all that this copy's log has.  Raises ``StorageError``,
        ``VersionError``."""
        limits = StoreLimits()
        empty = new_store(partition.first, partition.last, limits)
        store = self._replayed(partition.id, empty, partial(restore_store, limits))
        assert isinstance(store, Store)
        return store

    def map_of_log(self) -> ClusterMap:
        """With all that this copy of the map's own group has; it may be newer than what the slave
        had adopted.  Raises as ``store_of`` does."""
        first = first_map(self._directory.journal)
        begun = 1 if first is not None else 0  # who joined has the first map in its snapshot
        machine = self._replayed(
            MAP_GROUP, MapMachine(first or self.map), MapMachine.restore, begun
        )
        assert isinstance(machine, MapMachine)
        return machine.map

    def _replayed(
        self, group: int, machine: AnyMachine, restore: Restore, begun: int = 1
    ) -> AnyMachine:
        """``machine``: the state that the group began with, which is that at index ``begun``."""
        log = self._log(group)
        assert log is not None
        if (index := log.meta.snapshot_index) > begun:
            chunks = self._directory.snapshots.read(group, index)
            what = f"{self.path}: snapshot {index} of group {group}"
            machine = read_back(what, chunks, restore, machine)
        for payload in payloads(log):
            try:
                machine.apply(payload)
            except ValueError as problem:
                raise CorruptionError(f"{self.path}: group {group}: {problem}") from None
        return machine


def newest(survivors: list[Survivor]) -> tuple[ClusterMap, Verdict]:
    """The cluster map, and what is left of its own group."""
    maps = [each.map for each in survivors]
    copies = {copy: each for each in survivors if (copy := each.copy_of(MAP_GROUP)) is not None}
    verdict = judge(list(copies))
    if verdict.best is not None:
        maps.append(copies[verdict.best].map_of_log())
    return max(maps, key=lambda each: each.epoch), verdict


def check_together(survivors: list[Survivor]) -> None:
    """Raises ``ConfigError`` for directories that do not belong together."""
    first = survivors[0]
    by_node: dict[str, Survivor] = {}
    for each in survivors:
        if each.cluster != first.cluster:
            what = f"is of cluster {each.cluster!r}, and {first.path} of {first.cluster!r}"
            raise ConfigError(f"{each.path}: {what}")
        if (other := by_node.setdefault(each.node, each)) is not each:
            what = f"is {each.node}'s, and so is {other.path}; name the one it used last"
            raise ConfigError(f"{each.path}: {what}")
