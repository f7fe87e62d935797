"""The directories of slaves that are stopped, read as they are: whose they are, the cluster map
that they knew last, and their copies of partitions.

Each is locked while it is read.  Nothing is changed but what every start does: what a crash left
half written at the journal's end is cut off (storage/wal.py).
"""

from pathlib import Path

from distrodb.backup.losses import Copy
from distrodb.errors import ConfigError, CorruptionError
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.store import Store
from distrodb.raft.log import Log
from distrodb.raft.replay import payloads
from distrodb.raft.write_set import WriteSet
from distrodb.ring.clustermap import ClusterMap, Partition, member
from distrodb.slave.machine_factory import new_store, read_back, restore_store
from distrodb.slave.own_records import newest_map, stored_incarnation
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
        log = self._log(partition.id)
        assert log is not None
        limits, index = StoreLimits(), log.meta.snapshot_index
        store = new_store(partition.first, partition.last, limits)
        if index > 1:  # at 1 is the state that a group begins with
            chunks = self._directory.snapshots.read(partition.id, index)
            what = f"{self.path}: snapshot {index} of partition {partition.id}"
            read = read_back(what, chunks, lambda chunks: restore_store(limits, chunks), store)
            assert isinstance(read, Store)
            store = read
        for payload in payloads(log):
            try:
                store.apply(payload)
            except ValueError as problem:
                what = f"{self.path}: partition {partition.id}"
                raise CorruptionError(f"{what}: {problem}") from None
        return store


def newest(survivors: list[Survivor]) -> ClusterMap:
    return max((each.map for each in survivors), key=lambda each: each.epoch)


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
