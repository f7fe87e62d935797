"""Records into a running cluster: many at a time, to the leaders of their slots.

Commands are made so that they may run again (writes.py), so whatever becomes of a leader meanwhile,
what is not answered is sent again; ``DistrodbError`` when that is in vain.
"""

from distrodb.backup.records import Record
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

    def add(self, record: Record) -> None:
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


def again(error: DistrodbError) -> DistrodbError:
    """The same, and that nothing is lost by going on later."""
    if isinstance(error, UnavailableError):
        return UnavailableError(f"{error}; the same command again goes on from there")
    return error
