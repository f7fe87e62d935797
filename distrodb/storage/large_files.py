"""Large values of the journal: each in a file of its own, beside the segments.

    <number>.large     the bytes of one value, and nothing else

The write-ahead log has one commit at a time, for which all groups wait.  So what is large is
written before, a slice at a time, each synced, and a commit has only its name, size and checksum.

Always:
- a file is whole on the disk, its name too, before a commit refers to it;
- it is removed only when a commit that is on the disk has deleted or replaced the record that
  refers to it, and no earlier commit can come back (segments go oldest first);
- so a file that no live record refers to holds nothing that was acknowledged: it goes at the next
  start; and one that a live record refers to, and that is missing or has other bytes, was damaged.

Caveat: nobody looks at the bytes before they are read; at a start only the size is compared.
"""

import contextlib
import re
import zlib
from collections.abc import Generator, Iterable

from distrodb.errors import CorruptionError
from distrodb.storage.records import LargePut, Reference, SealedPut
from distrodb.storage.segment_files import NOTE, Folder

SLICE_BYTES = 1 << 20  # written and synced at once: a small commit may have to wait for it
_NAME = re.compile(r"(\d{16})\.large")


class LargeFiles:
    """``write`` is for one thread, ``remove`` for another one, ``read`` for any."""

    def __init__(self, folder: Folder):
        self._folder = folder
        self._last = 0

    def require_none(self) -> None:
        """There is no log yet.  Raises ``CorruptionError``."""
        if any(map(_NAME.fullmatch, self._folder.names())):
            raise CorruptionError(f"{self._folder}/{NOTE}: is missing")

    def recover(self, live: Iterable[Reference]) -> None:
        """The log is read, and what was read is on the disk.  Raises ``CorruptionError``."""
        folder = self._folder
        found = {name for name in folder.names() if _NAME.fullmatch(name)}
        names = {_name(reference.number): reference for reference in live}
        for name, reference in sorted(names.items()):
            if name not in found:
                raise self._damaged(reference, "is missing")
            handle = folder.open(name)
            size = folder.size(handle)
            folder.close(handle)
            if size != reference.size:
                raise self._damaged(reference, f"has {size} bytes and not {reference.size}")
        for name in sorted(found - names.keys()):
            folder.unlink(name)
        self._last = max((reference.number for reference in names.values()), default=0)

    def write(self, put: SealedPut) -> Generator[None, None, LargePut]:
        """Each step writes and syncs a slice; the last one gives what is to be committed."""
        folder = self._folder
        self._last += 1
        number, offset, unsynced, checksum = self._last, 0, 0, 0
        handle = folder.create(_name(number))
        try:
            for piece in put.pieces():
                for first in range(0, len(piece), SLICE_BYTES):
                    part = memoryview(piece)[first : first + SLICE_BYTES]
                    checksum = zlib.crc32(part, checksum)
                    folder.write(handle, part, offset)
                    offset += len(part)
                    unsynced += len(part)
                    if unsynced >= SLICE_BYTES:
                        folder.sync(handle)
                        unsynced = 0
                        yield
            folder.sync(handle)
            folder.sync_names()
        except OSError:
            with contextlib.suppress(OSError):
                folder.unlink(_name(number))  # it may be what fills the disk
            raise
        finally:
            folder.close(handle)
        return LargePut(put, Reference(number, offset, checksum))

    def read(self, reference: Reference) -> bytes:
        """Raises ``CorruptionError`` and ``OSError``."""
        folder = self._folder
        try:
            handle = folder.open(_name(reference.number))
        except FileNotFoundError:
            raise self._damaged(reference, "is missing") from None
        try:
            content = folder.read(handle, reference.size + 1, 0)
        finally:
            folder.close(handle)
        if len(content) != reference.size:
            raise self._damaged(reference, f"has {len(content)} bytes and not {reference.size}")
        if zlib.crc32(content) != reference.checksum:
            raise self._damaged(reference, "is damaged (checksum does not match)")
        return content

    def remove(self, references: Iterable[Reference]) -> None:
        """What cannot be removed now goes at the next start."""
        for reference in references:
            with contextlib.suppress(OSError):
                self._folder.unlink(_name(reference.number))

    def _damaged(self, reference: Reference, what: str) -> CorruptionError:
        return CorruptionError(f"{self._folder}/{_name(reference.number)}: {what}")


def _name(number: int) -> str:
    return f"{number:016d}.large"
