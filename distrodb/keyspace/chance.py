"""What a handler may choose as it likes: a number by chance, and the order of keys.

A command that writes chooses by ``number_for_all``: it follows from the entry (its time, how many
numbers it has given; a gateway's mark), so all replicas choose alike.  What a command that reads
chooses is nobody else's, unless its reply is kept or what it read is written: in a script that
writes.  One that does not runs on this slave alone, between the commands of an entry, so it must
take none of the entry's numbers.

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
    __slots__ = ("_count", "_count_here", "_mark", "entry_count", "is_for_all", "now_ms")

    def __init__(self) -> None:
        self._mark: Mark | None = None
        self._count = self._count_here = 0  # of the numbers that were given
        self.entry_count = 0  # the same, by the entry that is applied: 0 when it begins
        self.is_for_all = False  # what is read now decides what is written
        self.now_ms = 0  # the time of the command that runs

    def begin(self, mark: Mark) -> None:
        """A command runs now whose reply is kept."""
        self._mark, self._count = mark, 0

    def end(self) -> None:
        self._mark = None

    def number_for_all(self) -> int:
        """By a command that writes: the same on every replica."""
        if self._mark is not None:
            return self.number()
        self.entry_count += 1
        return zlib.crc32(b"%d %d of an entry" % (self.entry_count, self.now_ms))

    def number(self) -> int:
        """By a command that reads."""
        if self._mark is None:
            if self.is_for_all:
                return self.number_for_all()
            self._count_here += 1
            return zlib.crc32(b"%d %d" % (self._count_here, self.now_ms))
        self._count += 1
        origin, sequence, _ = self._mark
        return zlib.crc32(b"%d %d %d %d" % (origin, sequence, self._count, self.now_ms))

    @property
    def is_agreed(self) -> bool:
        """What is read now must be the same on every copy."""
        return self._mark is not None or self.is_for_all

    def arranged(self, things: Iterable[T]) -> Iterable[T]:
        """All of these; where copies must agree, in their own order."""
        return sorted(things) if self.is_agreed else things
