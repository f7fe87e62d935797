"""Reads parts of one segment by windows: what is read together lies close, and none is read whole.

Caveat: a value larger than a window is read at once, and so is a block with its checksum.
"""

from bisect import bisect_right

from distrodb.storage import segment as form
from distrodb.storage.segment_files import Folder, Segment

WINDOW_BYTES = 1 << 18  # read at once


class ValueReader:
    """Values of which the place is known."""

    def __init__(self, folder: Folder, segment: Segment):
        self._folder, self._segment = folder, segment
        self._start, self._content = 0, b""

    def read(self, offset: int, length: int) -> bytes:
        """Less at the end of the file only."""
        if not self._start <= offset <= self._start + len(self._content) - length:
            self._fill(offset, length)
        at = offset - self._start
        return self._content[at : at + length]

    def _fill(self, offset: int, length: int) -> None:
        folder, segment = self._folder, self._segment
        after = bisect_right(segment.masked, (offset, segment.size + 1, 0))
        if after and segment.masked[after - 1][1] > offset:
            start, end, mask = segment.masked[after - 1]
            content = form.masked(folder.read(segment.handle, end - start, start), mask)
        else:
            start, size = offset, max(length, WINDOW_BYTES)
            if after < len(segment.masked):
                size = min(size, segment.masked[after][0] - offset)
            content = folder.read(segment.handle, size, start)
        self._start, self._content = start, content


class BlockReader:
    """The blocks of a segment that is not written any more, one after another."""

    def __init__(self, folder: Folder, segment: Segment):
        self._folder, self._segment = folder, segment
        self._start, self._content = 0, b""
        self.position = form.SECTOR  # of the next one

    @property
    def number(self) -> int:
        return self._segment.number

    def next(self) -> form.Block | None:
        """None behind the last one.  Raises ``Torn`` and ``Damaged``."""
        if self.position >= self._segment.size:
            return None
        size = self._blocks(form.SECTOR).size_at(self.position - self._start)
        if not size:
            return None
        block = self._blocks(size).next(self.position - self._start, None)
        if block is None:
            return None
        block = block._replace(
            body_offset=block.body_offset + self._start, end=block.end + self._start
        )
        self.position = block.end
        return block

    def _blocks(self, length: int) -> form.Blocks:
        """So many bytes from the position on are there, if the file has them."""
        segment = self._segment
        if self.position + length > self._start + len(self._content):
            size = max(length, WINDOW_BYTES)
            self._start = self.position
            self._content = self._folder.read(segment.handle, size, self.position)
        return form.Blocks(segment.number, segment.salt, self._content)
