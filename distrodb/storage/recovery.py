"""What a start makes of the segments: the live records, and where the next commit goes.

Blocks are read in the order of their numbers.  The newest one alone may be torn; what a torn one
has written is wiped, and the wiping synced, before anything is written there: else a second torn
commit at the same place would have sectors of both.  A crash while it is wiped leaves a torn commit
again.

What is read may be in the system's memory alone, if the process before was killed in the middle of
a commit, or of wiping: so the segment with the newest block, and those behind it, are synced before
anybody relies on them.
"""

from dataclasses import dataclass, field

from distrodb.storage import segment as form
from distrodb.storage.index import Index
from distrodb.storage.segment_files import Folder, Segment, SegmentFiles


@dataclass(slots=True)
class Recovered:
    index: Index = field(default_factory=Index)
    segments: list[Segment] = field(default_factory=list)  # up to the one that is written
    end: int = 0  # in that one, of its last block
    sequence: int = 0  # of the last block
    ahead: list[Segment] = field(default_factory=list)  # behind it, not used yet


def recover(folder: Folder, files: SegmentFiles) -> Recovered:
    """Raises ``CorruptionError``, ``VersionError`` and ``OSError``."""
    found = files.find()
    try:
        return _Reading(folder, files).read(found)
    except BaseException:
        for segment in found:
            folder.close(segment.handle)
        raise


class _Reading:
    def __init__(self, folder: Folder, files: SegmentFiles):
        self._folder, self._files = folder, files
        self._state = Recovered()
        self._sequence = files.begins  # of the next block
        self._is_torn = False  # nothing may follow

    def read(self, segments: list[Segment]) -> Recovered:
        state = self._state
        for segment in segments:
            try:
                end = self._read_segment(segment)
            except form.Newer as what:
                raise self._files.newer_segment(segment.number, str(what)) from None
            except form.Damaged as problem:
                raise self._files.damaged_segment(segment.number, str(problem)) from None
            if end > form.SECTOR or not state.segments:
                # Those between were passed over: the next commit was larger than they are.
                state.segments += [*state.ahead, segment]
                state.ahead.clear()
                state.end = end
            else:
                state.ahead.append(segment)
        for segment in (*state.segments[-1:], *state.ahead):
            self._folder.sync(segment.handle)
        state.sequence = self._sequence - 1
        return state

    def _read_segment(self, segment: Segment) -> int:
        """Where its last block ends."""
        content = self._folder.read(segment.handle, segment.size, 0)
        segment.salt = form.read_segment_header(content, segment.number)
        segment.begins = self._sequence
        blocks, position = form.Blocks(segment.number, segment.salt, content), form.SECTOR
        if self._is_torn:
            if not form.is_unused(content):
                raise form.Damaged("is damaged (it goes on behind a commit that is not whole)")
            return position
        while True:
            try:
                block = blocks.next(position, self._sequence)
            except form.Torn:
                self._is_torn = True
                self._wipe(segment, content, position)
                return position
            if block is None:
                return position
            self._sequence = block.sequence + 1
            self._replay(segment, block)
            position = block.end

    def _replay(self, segment: Segment, block: form.Block) -> None:
        index, base = self._state.index, segment.number << 64 | block.body_offset << 32
        if block.mask:
            bounds = (block.body_offset, block.body_offset + len(block.body))
            segment.masked.append((*bounds, block.mask))
        for change in form.decode_body(block.body):
            if isinstance(change, tuple):
                index.put(change[0], base + change[1])
            elif isinstance(change, form.LargeChange):
                index.put(change.key, base + change.place, change.reference)
            else:
                index.delete(change.first, change.last)

    def _wipe(self, segment: Segment, content: bytes, position: int) -> None:
        length = -(-len(content[position:].rstrip(b"\0")) // form.SECTOR) * form.SECTOR
        self._folder.write(segment.handle, bytes(length), position)
        self._folder.sync(segment.handle)
