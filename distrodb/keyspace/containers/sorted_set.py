"""A sorted set: members with their scores, in the order of the scores; those of one score in the
order of their bytes.

Its order follows from what it holds alone, so it is the same however it was reached, and everything
that is read of it goes by that order.  A rank is a position in it, from 0.

Two structures hold the same entries: a dictionary by member, and a list in order that is well kept
as it changes (``sortedcontainers``): a write takes some 10 µs with a million members, a rank too.

Caveats: a score that is no number (NaN) must not come in, and a negative zero becomes a zero.
``_copy_of`` knows how SortedList keeps what it holds, since its own ``copy`` sorts all again, six
times as slowly; setup.cfg says of which version.  One member takes some 190 bytes, Redis' 110.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import inf, nextafter
from typing import Any, ClassVar, TypeAlias, cast

import msgpack
from sortedcontainers import SortedList

from distrodb.keyspace.containers.sorted_copy import copy_of
from distrodb.keyspace.containers.walk import Walk

Entry: TypeAlias = tuple[float, bytes]  # score and member

ENTRY_BYTES = 180  # what a member costs beside its name, measured
_PACKED_BYTES = 14  # the same in a snapshot


class SortedSet:
    __slots__ = ("_entries", "_order", "_walk", "generation", "size")

    kind: ClassVar[bytes] = b"zset"
    tag: ClassVar[int] = 4

    def __init__(self, generation: int):
        self.generation = generation
        self.size = 0
        self._entries: dict[bytes, Entry] = {}
        self._order = SortedList()
        self._walk: Walk | None = None  # while somebody walks

    @classmethod
    def of(cls, scores: Mapping[bytes, float], generation: int = 0) -> "SortedSet":
        made = cls(generation)
        made._entries = {member: (score + 0.0, member) for member, score in scores.items()}
        made._order = SortedList(made._entries.values())
        made.size = sum(map(len, scores)) + ENTRY_BYTES * len(scores)
        return made

    # -- to read -----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, member: bytes) -> bool:
        return member in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._order)

    def score(self, member: bytes) -> float | None:
        entry = self._entries.get(member)
        return None if entry is None else entry[0]

    def rank(self, member: bytes) -> int | None:
        entry = self._entries.get(member)
        return None if entry is None else self._order.bisect_left(entry)

    def at(self, rank: int) -> Entry:
        return cast(Entry, self._order[rank])

    def between(self, start: int, stop: int, is_reverse: bool = False) -> list[Entry]:
        """Those of the ranks from ``start`` on, before ``stop``."""
        return list(self._order.islice(start, stop, is_reverse)) if start < stop else []

    def rank_of_score(self, score: float, is_behind: bool) -> int:
        """Of the first one with that score or a higher one; or behind all with that score."""
        if not is_behind:
            return cast(int, self._order.bisect_left((score,)))
        return len(self) if score == inf else self._order.bisect_left((nextafter(score, inf),))

    def walk(self, position: int, count: int) -> tuple[int, list[bytes]]:
        """See walk.py."""
        if not self.is_walked:
            self._walk = Walk(self._entries)
        following, members = cast(Walk, self._walk).step(position, count)
        if not following:
            self._walk = None
        return following, members

    @property
    def is_walked(self) -> bool:
        """The next step costs what it gives, and no more."""
        return self._walk is not None and self._walk.fits(len(self))

    # -- to write ----------------------------------------------------------------------------

    def set(self, member: bytes, score: float) -> bool:
        """True for a member that was not there."""
        before = self._entries.get(member)
        if before is not None:
            self._order.remove(before)
        entry = self._entries[member] = (score + 0.0, member)
        self._order.add(entry)
        if before is not None:
            return False
        self.size += len(member) + ENTRY_BYTES
        if self._walk is not None:
            self._walk.add(member)
        return True

    def delete(self, member: bytes) -> bool:
        """True for a member that was there."""
        entry = self._entries.pop(member, None)
        if entry is None:
            return False
        self._order.remove(entry)
        self._forget(member)
        return True

    def take(self, start: int, stop: int) -> list[Entry]:
        """Delete those of these ranks; in their order."""
        taken = self.between(start, stop)
        if taken:
            del self._order[start:stop]
        for _, member in taken:
            del self._entries[member]
            self._forget(member)
        return taken

    def _forget(self, member: bytes) -> None:
        self.size -= len(member) + ENTRY_BYTES
        if self._walk is not None:
            self._walk.remove(member)

    # -- as every container ------------------------------------------------------------------

    def clone(self, generation: int) -> "SortedSet":
        copy = SortedSet(generation)
        copy._entries, copy._order = dict(self._entries), copy_of(self._order)
        copy.size = self.size
        return copy

    def parts(self, bytes_max: int) -> Iterator[tuple[list[Any], int]]:
        part: list[bytes | float] = []
        size = 0
        for score, member in self._order:
            part += (member, score)
            size += len(member) + _PACKED_BYTES
            if size >= bytes_max:
                yield part, size
                part, size = [], 0
        if part:
            yield part, size

    def add_part(self, plain: list[Any]) -> None:
        members, scores = plain[::2], plain[1::2]
        if not plain or len(plain) % 2 or not _are_members(members, scores):
            raise ValueError("a part of a sorted set that is not members and scores")
        for member, score in zip(members, scores, strict=True):
            if not self.set(member, score):
                raise ValueError("a sorted set with a member twice")

    def canonical(self) -> bytes:
        return cast(bytes, msgpack.packb(list(self._order)))


def _are_members(members: Iterable[Any], scores: Iterable[Any]) -> bool:
    if set(map(type, members)) != {bytes} or set(map(type, scores)) != {float}:
        return False
    return all(score == score for score in scores)
