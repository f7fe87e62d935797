"""The journal of a slave as 0.4.0 and before left it: an LMDB environment.

It is read, and then converted (journal.py).  It can be written too, a transaction a write set, so
that the tests can make what those versions made.

LMDB's commit is atomic and, with ``sync`` on, durable when it returns: a crash in the middle
leaves the previous state.  ``commit`` runs in the slave's journal thread, everything else before
the event loop starts.

The file is checked before LMDB maps it (lmdb_check.py).  After a failed commit nobody knows what
the disk has, and LMDB's own idea of it may be another one: the store takes nothing more, and the
slave stops.

Caveat: nothing here keeps a second process away: directory.py does.
"""

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import lmdb

from distrodb.errors import StorageError
from distrodb.storage.files import full, make_directory, reason, require_regular, told
from distrodb.storage.lmdb_check import check
from distrodb.storage.records import Operation, Put, SealedPut

MAP_BYTES = 1 << 40  # address space, not disk: the file grows as it is written
ERRORS = (OSError, lmdb.Error)


class LmdbStore:
    """Raises ``StorageError`` when its folder is damaged, full or unwritable."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._is_broken = False
        with told(folder, "cannot open"):
            folder.mkdir(parents=True, exist_ok=True)
            require_regular(folder / "data.mdb")
            require_regular(folder / "lock.mdb")
        with told(folder, "cannot read", ERRORS):
            check(folder / "data.mdb", MAP_BYTES)
            self._environment = lmdb.open(str(folder), map_size=MAP_BYTES, max_readers=8)
        try:
            with told(folder, "cannot sync"):
                make_directory(folder)
        except BaseException:
            self._environment.close()
            raise

    def commit(self, operations: Iterable[Operation]) -> None:
        if self._is_broken:
            raise StorageError(f"{self._folder}: cannot write: an earlier write failed")
        try:
            with self._environment.begin(write=True) as transaction:
                written: set[bytes] = set()
                for operation in operations:
                    if isinstance(operation, Put):
                        if operation.key in written:
                            # Else a smaller value would keep the pages of the larger one.
                            transaction.delete(operation.key)
                        written.add(operation.key)
                        transaction.put(operation.key, operation.value)
                        continue
                    cursor = transaction.cursor()
                    found = cursor.set_range(operation.first)
                    while found and cursor.key() <= operation.last:
                        found = cursor.delete()  # moves on to the next key
        except BaseException as problem:
            self._is_broken = True
            if not isinstance(problem, ERRORS):
                raise
            raise StorageError(
                f"{self._folder}: cannot write: {reason(problem)}{full(self._folder)}"
            ) from None

    def write_large(self, put: SealedPut) -> Generator[None, None, SealedPut]:
        """As ``Wal``'s; here it is committed with the rest."""
        yield
        return put

    def scan(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        with told(self._folder, "cannot read", ERRORS), self._environment.begin() as reader:
            cursor = reader.cursor()
            found = cursor.set_range(first)
            while found and cursor.key() <= last:
                yield bytes(cursor.key()), bytes(cursor.value())
                found = cursor.next()

    def keys(self, first: bytes, last: bytes) -> Iterable[bytes]:
        return (key for key, _ in self.scan(first, last))

    def close(self) -> None:
        self._environment.close()
