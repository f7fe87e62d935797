"""Which keys of a partition expire, soonest first.

The order is total (time, then place, then key), so that replicas that remove so many of them by
the same entry remove the same ones, however each came to its state.

Caveat: a sorted list and not a heap: a key whose expiry changes leaves nothing behind, and no
single change takes long (10 µs with a million keys).
"""

import math
from collections.abc import Iterable, Iterator
from itertools import islice, takewhile

from sortedcontainers import SortedList

from distrodb.keyspace.place_number import database_of

Expiring = tuple[int, int, bytes]  # milliseconds since the epoch, place, key


class ExpiryQueue:
    def __init__(self, expiring: Iterable[Expiring] = ()):
        self._sorted = SortedList(expiring)
        # Infinite when nothing expires.  Each batch asks several times, so it is kept.
        self.soonest_ms: float = math.inf
        self._look()

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, at_ms: int, place: int, key: bytes) -> None:
        self._sorted.add((at_ms, place, key))
        self.soonest_ms = min(self.soonest_ms, at_ms)

    def remove(self, at_ms: int, place: int, key: bytes) -> None:
        self._sorted.remove((at_ms, place, key))
        self._look()

    def _look(self) -> None:
        self.soonest_ms = self._sorted[0][0] if self._sorted else math.inf

    def without(self, database: int) -> "ExpiryQueue":
        """The same but for one database."""
        kept = (expiring for expiring in self._sorted if database_of(expiring[1]) != database)
        return ExpiryQueue(kept)

    def due(self, now_ms: int, count_max: int) -> list[Expiring]:
        """So many of those that have expired by then, the soonest."""
        soonest: Iterator[Expiring] = islice(self._sorted, count_max)
        return list(takewhile(lambda expiring: expiring[0] <= now_ms, soonest))
