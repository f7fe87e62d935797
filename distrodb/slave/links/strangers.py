"""The connections on the peer port that have not introduced themselves yet.  Pure.

Whoever comes is let in; where there are too many the oldest of them goes, of the address that has
the most.  A peer introduces itself within a moment, so strangers that idle, or come in masses,
drive out each other and no peer.  Our own dials are none of them.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

STRANGERS_MAX = 256  # within what is kept free of file descriptors (startup.py)
AN_ADDRESS_MAX = 64  # of them: a host may run many slaves, which all dial at once

T = TypeVar("T")


class Strangers(Generic[T]):
    def __init__(self, most: int = STRANGERS_MAX, of_an_address: int = AN_ADDRESS_MAX) -> None:
        self._most, self._of_an_address = most, of_an_address
        self._addresses: dict[T, str] = {}  # in the order in which they came

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._addresses))

    def __len__(self) -> int:
        return len(self._addresses)

    def admit(self, stranger: T, address: str) -> T | None:
        """Who must go for it, if anybody."""
        counts: dict[str, int] = {}
        for other in self._addresses.values():
            counts[other] = counts.get(other, 0) + 1
        crowded = None
        if counts.get(address, 0) >= self._of_an_address:
            crowded = address
        elif len(self._addresses) >= self._most:
            crowded = max(counts, key=lambda each: counts[each])
        self._addresses[stranger] = address
        if crowded is None:
            return None
        victim = next(each for each, other in self._addresses.items() if other == crowded)
        del self._addresses[victim]
        return victim

    def discard(self, stranger: T) -> None:
        self._addresses.pop(stranger, None)
