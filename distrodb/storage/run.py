"""Where the entries of one log lie, in 16 bytes each.  Pure.

An entry is found by its index, and a log is one stretch of indexes without gaps, or few such: while
the entries before a snapshot are deleted bit by bit, or where old ones were written again and are
read first at a start.  So a stretch is two arrays, of the numbers of segments and of where in them
(offset << 32 | length), and what is deleted from its ends goes in the time that this takes.  (As a
dictionary of numbers it was 110 bytes an entry.)

Always: stretches are in order, none is empty, and none has a hole at its ends.  A hole within is a
segment of number 0, which is none's.

Caveat: with a gap behind each index this is a list of small objects, larger than a dictionary; no
log is like that.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter

_SPOT_BITS = 64
_SPOT = (1 << _SPOT_BITS) - 1
_first = attrgetter("first")


class _Stretch:
    __slots__ = ("first", "segments", "spots")

    def __init__(self, first: int):
        self.first = first
        self.segments, self.spots = array("Q"), array("Q")

    def cut(self, begin: int, end: int) -> None:
        """Nothing is at these positions any more, the last excluded."""
        size = len(self.segments)
        if end >= size:
            while begin and not self.segments[begin - 1]:
                begin -= 1
            del self.segments[begin:], self.spots[begin:]
        elif not begin:
            while not self.segments[end]:
                end += 1
            del self.segments[:end], self.spots[:end]
            self.first += end
        else:
            self.segments[begin:end] = array("Q", bytes(8 * (end - begin)))


class Run:
    """Places by index; a place is ``segment << 64 | offset << 32 | length``."""

    __slots__ = ("_stretches",)

    def __init__(self) -> None:
        self._stretches: list[_Stretch] = []

    def __bool__(self) -> bool:
        return bool(self._stretches)

    def get(self, index: int) -> int | None:
        stretch = self._at_or_before(index)
        if stretch is None:
            return None
        position = index - stretch.first
        if position >= len(stretch.segments) or not (segment := stretch.segments[position]):
            return None
        return segment << _SPOT_BITS | stretch.spots[position]

    def put(self, index: int, place: int) -> int | None:
        """The place that it had before, if there was one."""
        segment, spot = place >> _SPOT_BITS, place & _SPOT
        if not segment:
            raise ValueError("a segment has no number")
        stretches = self._stretches
        if stretches and index >= stretches[-1].first:  # mostly the next one of the last stretch
            stretch: _Stretch | None = stretches[-1]
        else:
            stretch = self._at_or_before(index)
        if stretch is not None:
            segments, position = stretch.segments, index - stretch.first
            size = len(segments)
            if position == size:
                segments.append(segment)
                stretch.spots.append(spot)
                return None
            if position < size:
                before = segments[position]
                old = before << _SPOT_BITS | stretch.spots[position] if before else None
                segments[position], stretch.spots[position] = segment, spot
                return old
        stretch = _Stretch(index)
        stretch.segments.append(segment)
        stretch.spots.append(spot)
        stretches.insert(bisect_right(stretches, index, key=_first), stretch)
        return None

    def within(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Indexes and places, in order; both ends count.  Nothing may change meanwhile."""
        for stretch, begin, end in self._parts(first, last):
            segments, spots, base = stretch.segments, stretch.spots, stretch.first
            for position in range(begin, end):
                if segment := segments[position]:
                    yield base + position, segment << _SPOT_BITS | spots[position]

    def delete(self, first: int, last: int) -> None:
        """Both ends too."""
        parts = list(self._parts(first, last))
        for stretch, begin, end in parts:
            stretch.cut(begin, end)
        if any(not stretch.segments for stretch, _, _ in parts):
            self._stretches = [stretch for stretch in self._stretches if stretch.segments]

    def _at_or_before(self, index: int) -> _Stretch | None:
        """The last stretch that begins there at the latest."""
        at = bisect_right(self._stretches, index, key=_first)
        return self._stretches[at - 1] if at else None

    def _parts(self, first: int, last: int) -> Iterator[tuple[_Stretch, int, int]]:
        """Of each stretch the positions that lie in the range, the last excluded."""
        for stretch in self._stretches:
            begin = max(first - stretch.first, 0)
            end = min(last - stretch.first + 1, len(stretch.segments))
            if begin < end:
                yield stretch, begin, end
