"""The journal of one slave on disk: an LMDB environment, one transaction a write set.

LMDB's commit is atomic and, with ``sync`` on, durable when it returns: a crash in the middle
leaves the previous state.  ``commit`` runs in the slave's journal thread, everything else before
the event loop starts.  One process at a time holds the directory (``flock``).

The file is checked before LMDB maps it (lmdb_check.py).  After a failed commit nobody knows what
the disk has, and LMDB's own idea of it may be another one: the store takes nothing more, and the
slave stops.
"""

import contextlib
import fcntl
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import lmdb

from distrodb.errors import StorageError
from distrodb.raft.log import Operation, Put
from distrodb.storage.lmdb_check import check
from distrodb.storage.snapshot_files import sync_directory

MAP_BYTES = 1 << 40  # address space, not disk: the file grows as it is written
FULL_BYTES = 4 << 20  # with less free than a large write set takes, that is why a write failed
FORMAT = b"distrodb journal 2"  # 1: members without incarnations
_IDENTITY_KEY = b"\xff\xff"  # behind every group's keys
_LAYOUT = re.compile(rb" [0-9a-f]{64}$")  # what directories of 0.2.0 have behind their identity


class LmdbStore:
    """Raises ``StorageError`` when the directory is in use, damaged, full or unwritable."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._is_broken = False
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = open(directory / "lock", "w")  # noqa: SIM115  # held until close
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise StorageError(f"{directory}: another slave runs on this directory") from None
        except OSError as problem:
            raise StorageError(f"{directory}: {problem.strerror}") from None
        try:
            self._environment = self._open(directory / "journal")
        except BaseException:
            self._lock.close()
            raise

    def _open(self, folder: Path) -> lmdb.Environment:
        try:
            check(folder / "data.mdb", MAP_BYTES)
            environment = lmdb.open(str(folder), map_size=MAP_BYTES, max_readers=8)
        except lmdb.Error as problem:
            raise StorageError(f"{folder}: {problem}") from None
        except OSError as problem:
            raise StorageError(f"{folder}: cannot read: {problem.strerror}") from None
        try:
            sync_directory(folder)
            # Who made the directory may have made those above it too, and not synced them.
            for above in folder.absolute().parents:
                with contextlib.suppress(PermissionError):  # then it was not made by us
                    sync_directory(above)
        except OSError as problem:
            environment.close()
            raise StorageError(f"{folder}: cannot sync: {problem.strerror}") from None
        return environment

    def commit(self, operations: Iterable[Operation]) -> None:
        if self._is_broken:
            raise StorageError(f"{self._directory}/journal: cannot write: an earlier write failed")
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
            if not isinstance(problem, lmdb.Error):
                raise
            raise StorageError(
                f"{self._directory}/journal: cannot write: {problem}{self._space()}"
            ) from None

    def _space(self) -> str:
        """LMDB calls it an input/output error when a write finds too little space."""
        free = shutil.disk_usage(self._directory).free
        return f"; the disk is full: {free} bytes are free" if free < FULL_BYTES else ""

    def scan(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        try:
            with self._environment.begin() as transaction:
                cursor = transaction.cursor()
                found = cursor.set_range(first)
                while found and cursor.key() <= last:
                    yield bytes(cursor.key()), bytes(cursor.value())
                    found = cursor.next()
        except lmdb.Error as problem:
            raise StorageError(f"{self._directory}/journal: cannot read: {problem}") from None

    def identify(self, slave: str) -> None:
        """Bind the directory to one slave of one cluster, for ever.

        Raises ``StorageError`` when it holds the data of another one.
        """
        ours = FORMAT + b"\n" + slave.encode()
        for _, theirs in self.scan(_IDENTITY_KEY, _IDENTITY_KEY):
            if theirs.partition(b"\n")[0] != FORMAT:
                raise StorageError(
                    f"{self._directory}: was made by another version of distrodb, which this one"
                    " cannot read; use another directory, or that version"
                )
            if _LAYOUT.sub(b"", theirs) != ours:
                raise StorageError(
                    f"{self._directory}: holds the data of another slave or cluster;"
                    " give this slave its own directory, or the ids that it was made with"
                )
            return
        if any(self._directory.glob("snapshots/*.snapshot")):
            # Started empty it would vote against what its old self has acknowledged.
            raise StorageError(
                f"{self._directory}/journal: is empty beside snapshots, so it was lost;"
                " bring it back; if it is gone for good, see docs/operations.md on lost directories"
            )
        self.commit([Put(_IDENTITY_KEY, ours)])

    def close(self) -> None:
        self._environment.close()
        self._lock.close()
