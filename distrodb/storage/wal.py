"""The journal of one slave on disk: a write-ahead log.  One write and one sync a commit.

It holds operations (records.py) in the order in which they were committed, in segments (segment.py,
segment_files.py); in memory is where each live record lies (index.py).  ``commit`` runs in the
slave's journal thread; the next segment is made, and old ones are removed, in a thread of its own;
``scan`` is called from any.  The lock guards the index and which segments are open; nobody waits
for the disk while holding it.

Always:
- a block is written behind all others, to sectors that hold zeros, and one block at a time;
- the index has what is on the disk, never more: it changes when the sync has returned;
- segments go oldest first, and none with a live record.  So what is left tells the whole state: a
  deletion goes no sooner than the record that it deletes;
- where more than half of a log is dead its oldest live records are written again, at its end, as a
  part of the commits that come, some with each.  They come first in the block: what the commit
  itself says of the same key is newer.

After a failed commit nobody knows what the disk has: the store takes nothing more, and the slave
stops.

Caveat: nothing here keeps a second process away: directory.py does.
"""

import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

from distrodb.errors import StorageError
from distrodb.storage import segment as form
from distrodb.storage.files import full, is_full, reason, told
from distrodb.storage.large_files import LargeFiles
from distrodb.storage.records import DeleteRange, LargePut, Operation, SealedPut
from distrodb.storage.recovery import Recovered, recover
from distrodb.storage.segment_files import NOTE, Folder, Segment, SegmentFiles
from distrodb.storage.segment_reading import BlockReader, ValueReader

SEGMENT_BYTES = 4 << 20
SPARE_SEGMENTS = 4  # that dead records may take, beside as much as the live ones take
REWRITTEN_BYTES = 1 << 14  # of old blocks that a commit looks at, or four times its own,
REWRITTEN_BYTES_MAX = 1 << 26  # up to this


class Wal:
    """Raises ``StorageError`` when its folder is damaged, full or unwritable."""

    def __init__(
        self,
        folder: Folder,
        note: str = NOTE,
        maker: Executor | None = None,
        segment_bytes: int = SEGMENT_BYTES,
    ):
        self._folder, self._segment_bytes = folder, segment_bytes
        self._path = Path(str(folder))
        self._files = SegmentFiles(folder, note)
        self._large = LargeFiles(folder)
        self._maker = maker or ThreadPoolExecutor(1, "segments")
        self._lock = threading.Lock()
        self._is_broken = False
        with told(self._path, "cannot read"):
            found = recover(folder, self._files)
            try:
                if not found.segments:
                    self._large.require_none()
                self._large.recover(found.index.large.values())
            except BaseException:
                for segment in (*found.segments, *found.ahead):
                    folder.close(segment.handle)
                raise
            found.index.released.clear()
        if not found.segments:
            with told(self._path, "cannot write"):
                first = self._files.make(1, segment_bytes, None, [])
            found.segments, found.end = [first], form.SECTOR
        self._take(found)

    def _take(self, found: Recovered) -> None:
        self._index, self._sequence, self._end = found.index, found.sequence, found.end
        self._segments = {segment.number: segment for segment in found.segments}
        self._current = found.segments[-1]
        self._ahead = deque(found.ahead)  # made, not used yet
        self._last = (found.ahead or found.segments)[-1].number  # that was asked for
        self._asked: Future[Segment] | None = None
        self._removing: Future[None] | None = None
        self._unneeded: list[Segment] = []  # whose files are still there
        self._bytes = sum(segment.size for segment in found.segments)
        self._cleaned: BlockReader | None = None  # of the oldest segment, whose live records move
        self._scans = 0  # under way

    # -- commits -----------------------------------------------------------------------------

    def write_large(self, put: SealedPut) -> Generator[None, None, LargePut]:
        """Write a large value, a slice in each step; what it returns at the end is to be committed.
        In another thread than ``commit``, which does not wait for it."""
        try:
            return (yield from self._large.write(put))
        except OSError as problem:
            raise StorageError(
                f"{self._folder}: cannot write: {reason(problem)}{full(self._path)}"
            ) from None

    def commit(self, operations: Iterable[Operation]) -> None:
        if self._is_broken:
            raise StorageError(f"{self._folder}: cannot write: an earlier write failed")
        try:
            self._commit(operations)
        except BaseException as problem:
            self._is_broken = True
            if not isinstance(problem, OSError | ValueError):
                raise
            raise StorageError(
                f"{self._folder}: cannot write: {reason(problem)}{full(self._path)}"
            ) from None

    def _commit(self, operations: Iterable[Operation]) -> None:
        pieces, changes, length = form.encode_body(operations)
        if not pieces:
            return
        again, moved, moved_bytes = form.encode_body(self._rewritten(length))
        block_bytes = form.block_bytes(moved_bytes + length)
        if block_bytes > form.BLOCK_BYTES_MAX:
            raise ValueError(form.TOO_LARGE)
        if block_bytes > self._current.size - self._end:
            self._begin_segment(block_bytes)
        segment, start = self._current, self._end
        if self._folder.size(segment.handle) < segment.size:  # a write would fill it with zeros
            raise self._files.damaged_segment(segment.number, "was cut off while it was in use")
        block, mask = form.encode_block(
            segment.number, segment.salt, self._sequence + 1, again + pieces
        )
        self._folder.write(segment.handle, block, start)
        self._folder.sync(segment.handle)
        self._sequence += 1
        self._end = start + len(block)
        body = start + form.HEADER_BYTES
        with self._lock:
            if mask:
                segment.masked.append((body, body + moved_bytes + length, mask))
            self._apply(moved, segment.number << 64 | body << 32)
            self._apply(changes, segment.number << 64 | (body + moved_bytes) << 32)
        self._tidy()

    def _apply(self, changes: list[form.Change], base: int) -> None:
        index = self._index
        for change in changes:
            if isinstance(change, tuple):
                index.put(change[0], base + change[1])
            elif isinstance(change, DeleteRange):
                index.delete(change.first, change.last)
            else:
                index.put(change.key, base + change.place, change.reference)

    def _begin_segment(self, block_bytes: int) -> None:
        """Go on to the next segment that is large enough, or wait for one to be made."""
        while block_bytes > self._current.size - self._end:
            segment = self._next_segment(form.SECTOR + block_bytes)
            segment.begins = self._sequence + 1
            with self._lock:
                self._segments[segment.number] = segment
            self._bytes += segment.size
            self._current, self._end = segment, form.SECTOR

    def _next_segment(self, needed: int) -> Segment:
        """One that is there, or was asked for ahead.  That may have failed when the disk was full,
        and it may have room again: so it is tried once more, with the same number."""
        if self._ahead:
            return self._ahead.popleft()
        if self._asked is not None:
            try:
                return self._result(self._asked)
            except OSError as problem:
                if not is_full(problem):
                    raise
        return self._result(self._ask(needed))

    def _result(self, asked: Future[Segment]) -> Segment:
        self._asked = None
        made = asked.result()
        self._last = made.number
        return made

    def _ask(self, needed: int = 0) -> Future[Segment]:
        """Have the next segment made, large enough for a commit that needs so much."""
        size, is_for_one = max(needed, self._segment_bytes), needed > self._segment_bytes
        unneeded, self._unneeded = self._unneeded, []
        first = next(iter(self._segments.values()))
        self._asked = self._maker.submit(
            self._files.make, self._last + 1, size, first, unneeded, is_for_one
        )
        return self._asked

    def _tidy(self) -> None:
        """Forget segments without live records; have the next one made when it will be needed."""
        while (number := next(iter(self._segments))) not in self._index.live:
            if number == self._current.number:
                break
            with self._lock:
                segment = self._segments.pop(number)
                segment.is_gone = True
                if not segment.pins:
                    self._folder.close(segment.handle)
            self._bytes -= segment.size
            self._unneeded.append(segment)
        is_half_full = self._end > self._current.size // 2
        if is_half_full and self._asked is None and not self._ahead:
            self._ask()
        if self._removing is not None and self._removing.done():
            problem, self._removing = self._removing.exception(), None
            if problem is not None and not is_full(problem):
                raise problem
        if len(self._unneeded) >= SPARE_SEGMENTS and self._removing is None:
            unneeded, self._unneeded = self._unneeded, []
            first = next(iter(self._segments.values()))
            self._removing = self._maker.submit(self._files.remove, first, unneeded)
        if self._index.released:
            with self._lock:
                released = [] if self._scans else self._index.released.copy()
            if released:
                self._index.released.clear()
                self._maker.submit(self._large.remove, released)

    def _rewritten(self, length: int) -> list[Operation]:
        """Live records of the oldest segment, if the log is too large for what is live in it."""
        spare = SPARE_SEGMENTS * self._segment_bytes
        oldest = next(iter(self._segments))
        if self._bytes <= 2 * self._index.live_bytes + spare or oldest == self._current.number:
            return []
        if self._cleaned is None or self._cleaned.number != oldest:
            self._cleaned = BlockReader(self._folder, self._segments[oldest])
        blocks = self._cleaned
        until = blocks.position + max(REWRITTEN_BYTES, min(4 * length, REWRITTEN_BYTES_MAX))
        found: list[Operation] = []
        try:
            while blocks.position < until and (block := blocks.next()) is not None:
                base = oldest << 64 | block.body_offset << 32
                for change in form.decode_body(block.body):
                    if isinstance(change, DeleteRange):
                        continue
                    key, place = change if isinstance(change, tuple) else (change.key, change.place)
                    if self._index.get(key) == base + place:
                        found.append(form.put_of(block.body, change))
        except (form.Torn, form.Damaged) as problem:
            what = str(problem) or "is damaged (a commit is not whole)"
            raise self._files.damaged_segment(oldest, what) from None
        return found

    # -- reading -----------------------------------------------------------------------------

    def keys(self, first: bytes, last: bytes) -> Iterable[bytes]:
        with self._lock:
            return [key for key, _ in self._index.select(first, last)]

    def scan(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        """What is there when the first is asked for, in the order of the keys."""
        with self._lock:
            found = self._index.select(first, last)
            large = {at: self._index.large[at] for _, at in found if at in self._index.large}
            self._scans += 1
            numbers = {place >> 64 for _, place in found}
            pinned = {number: self._segments[number] for number in numbers}
            for segment in pinned.values():
                segment.pins += 1
        try:
            with told(self._path, "cannot read"):
                readers = {n: ValueReader(self._folder, segment) for n, segment in pinned.items()}
                for key, place in found:
                    if place in large:
                        yield key, self._large.read(large[place])
                        continue
                    offset, length = place >> 32 & 0xFFFFFFFF, place & 0xFFFFFFFF
                    value = readers[place >> 64].read(offset, length)
                    if len(value) < length:
                        raise self._files.damaged_segment(place >> 64, "was cut off")
                    yield key, value
        finally:
            with self._lock:
                self._scans -= 1
                for segment in pinned.values():
                    segment.pins -= 1
                    if segment.is_gone and not segment.pins:
                        self._folder.close(segment.handle)

    def close(self) -> None:
        self._maker.shutdown()
        if self._asked is not None and self._asked.exception() is None:
            self._ahead.append(self._asked.result())
        self._asked = None
        self._files.close()
        for segment in (*self._segments.values(), *self._ahead):
            self._folder.close(segment.handle)
        self._segments, self._ahead = {}, deque()
        self._is_broken = True
