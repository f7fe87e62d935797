"""The files of the write-ahead log: segments are made, noted, found again and removed here.

    data.mdb           the note: which segments count (segment.py).  It has the name of LMDB's file,
                       so that a version that knows only LMDB refuses the directory and does not
                       start empty in it
    <number>.segment   as many as the note says, numbered without gaps

A segment counts from when the note names it, and the note is replaced as a whole, by a rename.  So:

- a segment is whole on the disk, its name too, before the note names it;
- it is removed only when the note on the disk does not name it any more;
- files that the note does not name hold nothing that was acknowledged: they go at the next start;
- a file that it names and that is not there was lost.

``Folder`` is all that is asked of a file system; the tests have one that loses what was not synced.
"""

import contextlib
import os
from pathlib import Path
from typing import Protocol

from distrodb.errors import CorruptionError, VersionError
from distrodb.storage import segment as form
from distrodb.storage.files import require_regular, sync_directory

NOTE = "data.mdb"
_SUFFIX = ".segment"
_CHUNK_BYTES = 1 << 20
_SALT_BYTES = 8

Content = bytes | bytearray | memoryview


class Folder(Protocol):
    """Raises ``OSError``.  A handle is good until it is closed, also when its file is removed."""

    def names(self) -> list[str]: ...
    def open(self, name: str) -> int: ...
    def create(self, name: str) -> int: ...
    def size(self, handle: int) -> int: ...
    def read(self, handle: int, length: int, offset: int) -> bytes: ...
    def write(self, handle: int, content: Content, offset: int) -> None: ...
    def sync(self, handle: int) -> None: ...
    def close(self, handle: int) -> None: ...
    def rename(self, old: str, new: str) -> None: ...
    def unlink(self, name: str) -> None: ...
    def sync_names(self) -> None: ...
    def salt(self) -> bytes: ...


class RealFolder:
    def __init__(self, path: Path):
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def names(self) -> list[str]:
        return os.listdir(self.path)

    def open(self, name: str) -> int:
        require_regular(self.path / name)
        return os.open(self.path / name, os.O_RDWR)

    def create(self, name: str) -> int:
        require_regular(self.path / name)
        return os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)

    def size(self, handle: int) -> int:
        return os.fstat(handle).st_size

    def read(self, handle: int, length: int, offset: int) -> bytes:
        """Less at the end of the file only."""
        content = os.pread(handle, length, offset)
        while len(content) < length:  # the system reads 2 GiB at most
            more = os.pread(handle, length - len(content), offset + len(content))
            if not more:
                break
            content += more
        return content

    def write(self, handle: int, content: Content, offset: int) -> None:
        written = os.pwrite(handle, content, offset)
        while written < len(content):
            written += os.pwrite(handle, memoryview(content)[written:], offset + written)

    def sync(self, handle: int) -> None:
        os.fdatasync(handle)

    def close(self, handle: int) -> None:
        os.close(handle)

    def rename(self, old: str, new: str) -> None:
        os.replace(self.path / old, self.path / new)

    def unlink(self, name: str) -> None:
        os.unlink(self.path / name)

    def sync_names(self) -> None:
        sync_directory(self.path)

    def salt(self) -> bytes:
        return os.urandom(_SALT_BYTES)


class Segment:
    """A file that is open.  ``pins`` and ``is_gone`` are for who reads it: see wal.py."""

    __slots__ = ("begins", "handle", "is_gone", "masked", "number", "pins", "salt", "size")

    def __init__(self, number: int, handle: int, size: int, salt: bytes):
        self.number, self.handle, self.size, self.salt = number, handle, size, salt
        self.begins = 1  # sequence number of its first block, or of the next one if it has none
        self.masked: list[tuple[int, int, int]] = []  # bodies: start, end, mask; in order
        self.pins = 0
        self.is_gone = False


class SegmentFiles:
    """``make`` and ``remove`` run in one thread, one after another."""

    def __init__(self, folder: Folder, note: str = NOTE):
        self._folder, self._note = folder, note
        self._last = 0  # segment that the note on the disk names
        self.begins = 1  # sequence number of the first block, says the note
        self._is_old = False  # the note is a version's that knows no large values
        # What an attempt left that failed (the disk was full), for the next one:
        self._unnoted: Segment | None = None  # made, and perhaps named by the note
        self._unneeded: list[Segment] = []  # not yet removed

    def find(self) -> list[Segment]:
        """Those that count, in order; what does not count is removed.  The first time: none.

        Raises ``CorruptionError``, ``VersionError`` and ``OSError``.
        """
        folder, names = self._folder, set(self._folder.names())
        opened: list[Segment] = []
        try:
            if self._note in names:
                first, self._last, self.begins = self._read_note()
                for number in range(first, self._last + 1):
                    if _name(number) not in names:
                        raise self.damaged(_name(number), "is missing")
                    handle = folder.open(_name(number))
                    opened.append(Segment(number, handle, folder.size(handle), b""))
                if self._is_old:
                    self._write_note(first, self._last, self.begins)
            # The process before may have been killed between the rename of a note and its sync.
            # What that note does not name must not go before it is sure to stay.
            folder.sync_names()
            self._remove_uncounted(names - {_name(segment.number) for segment in opened})
        except BaseException:
            for segment in opened:
                folder.close(segment.handle)
            raise
        return opened

    def _read_note(self) -> tuple[int, int, int]:
        handle = self._folder.open(self._note)
        try:
            content = self._folder.read(handle, form.NOTE_BYTES_MAX, 0)
        finally:
            self._folder.close(handle)
        try:
            self._is_old = content.startswith(form.NOTE_MAGIC_BEFORE)
            return form.decode_note(content)
        except form.Newer as what:
            raise self.newer(self._note, str(what)) from None
        except form.Damaged as problem:
            raise self.damaged(self._note, str(problem)) from None

    def _remove_uncounted(self, names: set[str]) -> None:
        for name in sorted(names):
            if is_segment(name):
                if not self._last and self._has_commits(name):
                    raise self.damaged(self._note, "is missing")
                self._folder.unlink(name)
            elif name == self._note + ".temporary":
                self._folder.unlink(name)

    def _has_commits(self, name: str) -> bool:
        handle = self._folder.open(name)
        try:
            return not form.is_unused(self._folder.read(handle, self._folder.size(handle), 0))
        finally:
            self._folder.close(handle)

    def make(
        self,
        number: int,
        size: int,
        first: Segment | None,
        unneeded: list[Segment],
        is_for_one: bool = False,
    ) -> Segment:
        """A new segment at the end, durable and noted; those below ``first`` go.

        ``first``: None if there is no other.  ``is_for_one``: for one large commit, which it has
        the size of; it is not filled, since that commit changes its metadata once only.

        After an ``OSError`` it may be called again with the same number, since there are no gaps.
        A segment that the note on the disk may name already is kept then, whatever its size."""
        self._unneeded += unneeded
        made = self._unnoted
        if made is None:
            made = self._unnoted = self._create(number, size, is_for_one)
        begin = first or made
        self._write_note(begin.number, number, begin.begins)
        self._unnoted = None
        self._unlink()
        return made

    def _create(self, number: int, size: int, is_for_one: bool) -> Segment:
        folder, name = self._folder, _name(number)
        salt = folder.salt()
        handle = folder.create(name)
        try:
            folder.write(handle, form.segment_header(number, size, salt), 0)
            for offset in range(size - 1 if is_for_one else form.SECTOR, size, _CHUNK_BYTES):
                # Not only reserved: a first write to a reserved block changes the file's metadata,
                # which each commit would then have to sync as well.
                folder.write(handle, bytes(min(_CHUNK_BYTES, size - offset)), offset)
            folder.sync(handle)
            folder.sync_names()
        except BaseException:
            with contextlib.suppress(OSError):
                folder.close(handle)
                folder.unlink(name)  # it may be what fills the disk
            raise
        return Segment(number, handle, size, salt)

    def remove(self, first: Segment, unneeded: list[Segment]) -> None:
        """Those below ``first`` go."""
        self._unneeded += unneeded
        self._write_note(first.number, self._last, first.begins)
        self._unlink()

    def close(self) -> None:
        if self._unnoted is not None:
            self._folder.close(self._unnoted.handle)
            self._unnoted = None

    def _write_note(self, first: int, last: int, begins: int) -> None:
        folder, temporary = self._folder, self._note + ".temporary"
        handle = folder.create(temporary)
        try:
            folder.write(handle, form.encode_note(first, last, begins), 0)
            folder.sync(handle)
        finally:
            folder.close(handle)
        folder.rename(temporary, self._note)
        folder.sync_names()
        self._last = last

    def _unlink(self) -> None:
        """What cannot be removed now is tried again with the next ones."""
        with contextlib.suppress(OSError):
            while self._unneeded:
                self._folder.unlink(_name(self._unneeded[0].number))
                del self._unneeded[0]

    def damaged(self, name: str, what: str) -> CorruptionError:
        return CorruptionError(f"{self._folder}/{name}: {what}")

    def damaged_segment(self, number: int, what: str) -> CorruptionError:
        return self.damaged(_name(number), what)

    def newer_segment(self, number: int, what: str) -> VersionError:
        return self.newer(_name(number), what)

    def newer(self, name: str, what: str) -> VersionError:
        return VersionError(
            f"{self._folder}/{name}: {what}, which this version of distrodb does not know;"
            " upgrade this slave, its data is kept"
        )


def is_segment(name: str) -> bool:
    return name.endswith(_SUFFIX)


def _name(number: int) -> str:
    return f"{number:016d}{_SUFFIX}"
