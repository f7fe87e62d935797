"""Opens the journal of a directory, whoever made it, and converts what LMDB holds.

A folder whose ``data.mdb`` is a file of LMDB is one of 0.4.0 or before.  It is converted once:
a log is made beside it, with a note of another name, and compared; then the note is renamed to
``data.mdb``.  This is the one moment of the change: before it the segments count for nothing, and
the next start begins anew; behind it LMDB's file is gone.
"""

from itertools import zip_longest
from pathlib import Path

from distrodb.errors import StorageError
from distrodb.storage.files import make_directory, require_regular, told
from distrodb.storage.lmdb_check import MAGIC, check
from distrodb.storage.lmdb_store import LmdbStore
from distrodb.storage.records import Operation, Put
from distrodb.storage.segment_files import NOTE, Folder, RealFolder, is_segment
from distrodb.storage.wal import SEGMENT_BYTES, Wal

CONVERTING = "converting"  # the note until it is renamed
_LMDB_LOCK = "lock.mdb"
_HEAD_BYTES = 4096
_COMMIT_BYTES = 1 << 20
_LAST_KEY = b"\xff" * 512


def open_journal(path: Path) -> Wal | LmdbStore:
    """``LmdbStore`` if it is still to be converted.  Raises ``StorageError``."""
    with told(path, "cannot open"):
        make_directory(path)
        require_regular(path / _LMDB_LOCK)
        require_regular(path / NOTE)
    with told(path, "cannot read"):
        folder = RealFolder(path)
        names = folder.names()
        if NOTE in names:
            with open(path / NOTE, "rb") as file:
                head = file.read(_HEAD_BYTES)
            if MAGIC in head[:64]:
                return LmdbStore(path)
            if not head.strip(b"\0") and not any(map(is_segment, names)):
                check(path / NOTE)  # removes it, if it is one of LMDB that was never used
        for name in names:
            if name == _LMDB_LOCK or name.startswith(CONVERTING):
                folder.unlink(name)
    return Wal(folder)


def convert(old: LmdbStore, folder: Folder, segment_bytes: int = SEGMENT_BYTES) -> Wal:
    """The log, with all that ``old`` holds, in its place.  Raises ``StorageError``."""
    path = Path(str(folder))
    with told(path, "cannot convert"):
        for name in folder.names():
            if is_segment(name) or name.startswith(CONVERTING):
                folder.unlink(name)
        folder.sync_names()
    new = Wal(folder, CONVERTING, segment_bytes=segment_bytes)
    try:
        _copy(old, new)
    finally:
        new.close()
    again = Wal(folder, CONVERTING)  # as the next start will read it
    try:
        pairs = zip_longest(old.scan(b"", _LAST_KEY), again.scan(b"", _LAST_KEY))
        if any(one != other for one, other in pairs):
            raise StorageError(f"{path}: cannot convert: what was written reads differently")
    finally:
        again.close()
    old.close()
    with told(path, "cannot convert"):
        folder.rename(CONVERTING, NOTE)
        folder.sync_names()
    return Wal(folder)


def _copy(old: LmdbStore, new: Wal) -> None:
    operations: list[Operation] = []
    size = 0
    for key, value in old.scan(b"", _LAST_KEY):
        operations.append(Put(key, value))
        size += len(key) + len(value)
        if size >= _COMMIT_BYTES:
            new.commit(operations)
            operations, size = [], 0
    new.commit(operations)
