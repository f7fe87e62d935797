"""The directory of one slave: its journal and its snapshots, for it alone.

    lock               held while a process runs on the directory (``flock``)
    journal/           the write-ahead log: wal.py; or what LMDB left: journal.py
    snapshots/         snapshot_files.py
    this-is-a-copy     only in one whose slave was told that another one runs with the same data

The journal says whose it is and in which format.  What an older version left is read as long as its
format is known here, and, once it is known to be this slave's, converted and marked as ours at
once, so that the older version does not touch it again.

Caveat: a directory on a network file system is only as good as its ``flock`` and its ``fsync``.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from distrodb.errors import StorageError
from distrodb.storage.files import require_regular, sync_directory, told
from distrodb.storage.journal import convert, open_journal
from distrodb.storage.lmdb_store import LmdbStore
from distrodb.storage.records import IDENTITY_KEY, Put
from distrodb.storage.segment_files import RealFolder
from distrodb.storage.snapshot_files import SnapshotFiles
from distrodb.storage.wal import Wal

FORMAT = b"distrodb journal 5"
# 4 was the first write-ahead log, without values in files of their own.  3 was the first with
# ``Meta.first_index``; 2 (0.2.0 and 0.3.0), without it; both are LMDB's.  1 had members without
# incarnations.
READABLE = (b"distrodb journal 2", b"distrodb journal 3", b"distrodb journal 4", FORMAT)
COPY = "this-is-a-copy"
_LAYOUT = re.compile(rb" [0-9a-f]{64}$")  # what directories of 0.2.0 have behind their identity


class Directory:
    """Raises ``StorageError`` when it is in use, damaged, full or unwritable."""

    def __init__(self, path: Path):
        self._path = path
        with told(path, "cannot open"):
            path.mkdir(parents=True, exist_ok=True)
            require_regular(path / "lock")
            self._lock = open(path / "lock", "w")  # noqa: SIM115  # held until close
        try:
            self._take_lock()
            self.journal: Wal | LmdbStore = open_journal(path / "journal")
            self.snapshots = SnapshotFiles(path / "snapshots")
        except BaseException:
            self._lock.close()
            raise

    def _take_lock(self) -> None:
        with told(self._path, "cannot lock"):
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StorageError(f"{self._path}: another slave runs on this directory") from None

    def identify(self, slave: str) -> None:
        """Bind the directory to one slave of one cluster, for ever.

        Raises ``StorageError`` when it holds the data of another one, or was found to be a copy.
        """
        self._check_no_copy()
        ours = Put(IDENTITY_KEY, FORMAT + b"\n" + slave.encode())
        for format_, owner in self._identity():
            if owner != slave.encode():
                raise StorageError(
                    f"{self._path}: holds the data of another slave or cluster;"
                    " give this slave its own directory, or the ids that it was made with"
                )
            self._convert()
            if format_ != FORMAT:
                self.journal.commit([ours])
            return
        if not self.snapshots.is_empty:
            # Started empty it would vote against what its old self has acknowledged.
            raise StorageError(
                f"{self._path}/journal: is empty beside snapshots, so it was lost;"
                " bring it back; if it is gone for good, see docs/operations.md on lost directories"
            )
        self._convert()
        self.journal.commit([ours])

    def _identity(self) -> Iterator[tuple[bytes, bytes]]:
        """The format, and whose it is, if it is somebody's."""
        for _, theirs in self.journal.scan(IDENTITY_KEY, IDENTITY_KEY):
            format_, _, owner = theirs.partition(b"\n")
            if format_ not in READABLE:
                raise StorageError(
                    f"{self._path}: was made by another version of distrodb, which this one"
                    " cannot read; use another directory, or that version"
                )
            yield format_, _LAYOUT.sub(b"", owner)

    def mark_as_copy(self, why: str) -> None:
        """Another slave runs with the data of this directory: nobody is to start with this one."""
        with told(self._path, "cannot write"):
            with open(self._path / COPY, "wb") as file:
                file.write(f"{why}\n".encode())
                file.flush()
                os.fsync(file.fileno())
            sync_directory(self._path)

    def _check_no_copy(self) -> None:
        with told(self._path, "cannot look at it"):
            is_copy = (self._path / COPY).exists()
        if is_copy:
            raise StorageError(
                f"{self._path}: is a copy of a directory that another slave ran with, as the file"
                f" {COPY} there says; delete this directory, and move the other one here when its"
                " slave has ended, or start with an empty one"
            )

    def owner(self) -> str | None:
        """Cluster and slave, as ``identify`` was told; None: nobody's yet.  Raises
        ``StorageError``."""
        for _, owner in self._identity():
            return owner.decode()
        return None

    def _convert(self) -> None:
        if isinstance(self.journal, LmdbStore):
            self.journal = convert(self.journal, RealFolder(self._path / "journal"))

    def close(self) -> None:
        self.journal.close()
        self._lock.close()
