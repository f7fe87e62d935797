"""Where the live records of the write-ahead log lie: what is in memory of the journal.  Pure.

A place is one number, ``segment << 64 | offset of the value << 32 | length``: nothing for the
garbage collector to follow.  Keys of entries (group, kind and index: 11 bytes) are kept by what
they begin with, as numbers (run.py).  All others are few and sorted.  Segments count from 1.

``live`` has for each segment the bytes that its live records take, and none for one without.
``large`` has, for the places where there is only a reference, what it refers to; ``released`` the
files that no live record refers to any more, until somebody takes them.
"""

from sortedcontainers import SortedDict

from distrodb.storage.records import Reference
from distrodb.storage.run import Run

ENTRY_KEY_BYTES = 11
_PREFIX = 3  # of them: group and kind
_INDEX = ENTRY_KEY_BYTES - _PREFIX
RECORD_BYTES = 32  # beside its value, about
_LENGTH = 0xFFFFFFFF
_ABOVE = b"\xff" * _INDEX


class Index:
    def __init__(self) -> None:
        self._runs: dict[bytes, Run] = {}
        self._others: SortedDict[bytes, int] = SortedDict()
        self.live: dict[int, int] = {}  # by number of the segment
        self.live_bytes = 0
        self.large: dict[int, Reference] = {}
        self.released: list[Reference] = []

    def get(self, key: bytes) -> int | None:
        if len(key) == ENTRY_KEY_BYTES:
            run = self._runs.get(key[:_PREFIX])
            return None if run is None else run.get(int.from_bytes(key[_PREFIX:]))
        place: int | None = self._others.get(key)
        return place

    def put(self, key: bytes, place: int, reference: Reference | None = None) -> None:
        old: int | None
        if len(key) == ENTRY_KEY_BYTES:
            prefix = key[:_PREFIX]
            run = self._runs.get(prefix)
            if run is None:
                run = self._runs[prefix] = Run()
            old = run.put(int.from_bytes(key[_PREFIX:]), place)
        else:
            old = self._others.get(key)
            self._others[key] = place
        if old is not None:
            self._gone(old)
        if reference is not None:
            self.large[place] = reference
            if self.released[-1:] == [reference]:  # the same record, written again
                self.released.pop()
        weight = (place & _LENGTH) + RECORD_BYTES
        number = place >> 64
        self.live[number] = self.live.get(number, 0) + weight
        self.live_bytes += weight

    def delete(self, first: bytes, last: bytes) -> None:
        """Both ends are deleted too."""
        for prefix, low, high in self._overlapping(first, last):
            run = self._runs[prefix]
            for _, place in run.within(low, high):
                self._gone(place)
            run.delete(low, high)
            if not run:
                del self._runs[prefix]
        for key in list(self._others.irange(first, last)):
            self._gone(self._others.pop(key))

    def select(self, first: bytes, last: bytes) -> list[tuple[bytes, int]]:
        """Keys and places, in the order of the keys; both ends are selected too."""
        found: list[tuple[bytes, int]] = []
        for prefix, low, high in self._overlapping(first, last):
            for index, place in self._runs[prefix].within(low, high):
                found.append((prefix + index.to_bytes(_INDEX), place))
        found += [(key, self._others[key]) for key in self._others.irange(first, last)]
        found.sort()
        return found

    def _overlapping(self, first: bytes, last: bytes) -> list[tuple[bytes, int, int]]:
        """What runs begin with that have a part in the range, and which part."""
        if first > last:
            return []
        one = first[:_PREFIX]
        if len(first) == len(last) == ENTRY_KEY_BYTES and last.startswith(one):
            ends = int.from_bytes(first[_PREFIX:]), int.from_bytes(last[_PREFIX:])
            return [(one, *ends)] if one in self._runs else []
        if first == last:
            return []  # a key of another length
        found: list[tuple[bytes, int, int]] = []
        for prefix in self._runs:
            if prefix + _ABOVE < first or prefix + bytes(_INDEX) > last:
                continue
            low, high = 0, 2 ** (8 * _INDEX) - 1
            if first.startswith(prefix):
                rest = first[_PREFIX:]
                low = int.from_bytes(rest[:_INDEX].ljust(_INDEX, b"\0")) + (len(rest) > _INDEX)
            if last.startswith(prefix):
                rest = last[_PREFIX:]
                high = int.from_bytes(rest[:_INDEX].ljust(_INDEX, b"\0")) - (len(rest) < _INDEX)
            found.append((prefix, low, high))
        return found

    def _gone(self, place: int) -> None:
        weight = (place & _LENGTH) + RECORD_BYTES
        number = place >> 64
        self.live_bytes -= weight
        if self.large and (reference := self.large.pop(place, None)) is not None:
            self.released.append(reference)
        left = self.live[number] - weight
        if left:
            self.live[number] = left
        else:
            del self.live[number]
