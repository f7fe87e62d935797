"""What a handler may choose as it likes: a number by chance, and the order of keys.

The reply to what a gateway has forwarded becomes a part of the state (origins.py), so it must be
the same on every copy: numbers follow from the command's mark and the entry's time, and keys are
looked at in their own order.  Any other reply is given by one slave and goes nowhere else, so it
costs less there: numbers follow from the time and from how many were given before, and keys come as
the dictionaries of this slave have them, which is in another order after a snapshot.
"""

import zlib
from collections.abc import Iterable
from typing import TypeVar

from distrodb.keyspace.origins import Mark

T = TypeVar("T", int, bytes)


class Chance:
    __slots__ = ("_count", "_count_here", "_mark")

    def __init__(self) -> None:
        self._mark: Mark | None = None
        self._count = self._count_here = 0  # of the numbers that were given

    def begin(self, mark: Mark) -> None:
        """A command runs now whose reply is kept."""
        self._mark, self._count = mark, 0

    def end(self) -> None:
        self._mark = None

    def number(self, now_ms: int) -> int:
        if self._mark is None:
            self._count_here += 1
            return zlib.crc32(b"%d %d" % (self._count_here, now_ms))
        self._count += 1
        origin, sequence, _ = self._mark
        return zlib.crc32(b"%d %d %d %d" % (origin, sequence, self._count, now_ms))

    def arranged(self, things: Iterable[T]) -> Iterable[T]:
        """All of these; where copies must agree, in their own order."""
        return things if self._mark is None else sorted(things)
