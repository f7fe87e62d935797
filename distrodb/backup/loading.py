"""Records into a running cluster: many at a time, to the leaders of their slots.

Commands are made so that they may run again (writes.py), so whatever becomes of a leader meanwhile,
what is not answered is sent again; ``DistrodbError`` when that is in vain.
"""

from distrodb.backup.records import Code, Record
from distrodb.backup.writes import Command, commands_of
from distrodb.errors import DistrodbError, UnavailableError
from distrodb.master.client import Cluster

BATCH_KEYS = 1000
BATCH_BYTES = 1 << 20  # of a batch, about


class Loader:
    def __init__(self, connect: str | None):
        self._connect = connect
        self._clusters: dict[int, Cluster] = {}  # by database
        self._batch: list[Command] = []
        self._keys: set[bytes] = set()  # of the batch: what failed is sent again, in any order
        self._bytes = self._database = 0
        self.written = 0  # keys that are surely there

    def add(self, record: Record | Code) -> None:
        if isinstance(record, Code):
            self.flush()
            self._load(record)
            return
        if record.database != self._database or record.key in self._keys:
            self.flush()
            self._database = record.database
        commands = commands_of(record)
        if len(commands) > 1:  # in their order, each when the one before is answered
            self.flush()
            for command in commands:
                self._run([command])
            self.written += 1
            return
        self._batch += commands
        self._keys.add(record.key)
        self._bytes += sum(len(word) for word in commands[0] if isinstance(word, bytes))
        if len(self._batch) >= BATCH_KEYS or self._bytes >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._batch:
            self._run(self._batch)
            self.written += len(self._batch)
            self._batch, self._keys, self._bytes = [], set(), 0

    def _run(self, commands: list[Command]) -> list[object]:
        return self._cluster(self._database).run_again_and_again(commands)

    def _load(self, code: Code) -> None:
        """To all partitions, by way of their leaders; again if one of these is another one now."""
        words = ("FUNCTION", "LOAD", "REPLACE") if code.is_library else ("SCRIPT", "LOAD")
        cluster, before = self._cluster(0), list[str | None]()
        while (leaders := _leaders(cluster)) != before:
            before = leaders
            for leader in dict.fromkeys(leaders):
                cluster.ask_leader(leaders.index(leader), *words, code.text)

    def are_there(self, keys: list[tuple[int, bytes]]) -> bool:
        """Databases and keys: all of them."""
        return all(
            self._cluster(database).run_again_and_again([(b"EXISTS", key)]) == [1]
            for database, key in keys
        )

    def _cluster(self, database: int) -> Cluster:
        if database not in self._clusters:
            self._clusters[database] = Cluster(self._connect, database)
        return self._clusters[database]


def _leaders(cluster: Cluster) -> list[str | None]:
    """Of each partition."""
    return [partition["leader"] for partition in cluster.status()["partitions"]]


def again(error: DistrodbError) -> DistrodbError:
    """The same, and that nothing is lost by going on later."""
    if isinstance(error, UnavailableError):
        return UnavailableError(f"{error}; the same command again goes on from there")
    return error
