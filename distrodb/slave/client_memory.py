"""What the inputs and outputs of all clients take together, within one bound.  Pure.

A connection has limits of its own, but a thousand of them add up.  So each says what it holds
(``note``): bytes that make no whole command yet, commands that wait, replies and messages that are
not taken, what the socket has not sent.  Beyond the bound (``maxmemory_clients``) the largest are
closed until the rest fits: Redis' client eviction.  A client that is busy is not spared; those that
have asked for it are (``CLIENT NO-EVICT``), while they hold no more than half the bound together:
else whoever asks could hold anything, and all others would be closed for it.

To count costs the common case nothing: a connection that holds less than ``NOTED_BYTES`` says
nothing, and is counted when all are (``LOOK_S`` in overdue.py).

Caveat: between two such counts a note may be out of date, and say too much or too little.  So
nobody is closed by notes alone: all are counted again first.  That takes a while with thousands of
clients, so it is done only after a sixteenth of the bound has been noted since.
"""

from collections.abc import Iterable

NOTED_BYTES = 16384  # of one client; less of it is counted once a second
SLACK = 16  # a part of the bound: what may be noted beyond it before all are counted again


class ClientMemory:
    def __init__(self) -> None:
        self.total = 0  # bytes, as far as was noted
        self._noted: dict[int, int] = {}  # by client's number
        self._counted = 0  # the total when all were counted last

    def note(self, client: int, size: int) -> None:
        """A client holds so many bytes now."""
        self.total += size - self._noted.get(client, 0)
        self._noted[client] = size

    def forget(self, client: int) -> None:
        """It is gone."""
        self.total -= self._noted.pop(client, 0)

    def count(self, sizes: Iterable[tuple[int, int]]) -> None:
        """All clients, with what each holds now."""
        self._noted = dict(sizes)
        self.total = self._counted = sum(self._noted.values())

    def may_exceed(self, bound: int) -> bool:
        """It is time to count all, since they may hold more than ``bound``; 0 is no bound."""
        return bound > 0 and self.total > max(bound, self._counted + bound // SLACK)

    def beyond(self, bound: int, spared: Iterable[int]) -> list[tuple[int, int]]:
        """Who is to be closed so that the rest fits, the largest first, with what each holds."""
        if not 0 < bound < self.total:
            return []
        spared = set(spared)
        if 2 * sum(self._noted.get(client, 0) for client in spared) > bound:
            spared = set()
        may_go = self._noted.keys() - spared
        found, left = [], self.total
        for client in sorted(may_go, key=lambda each: (-self._noted[each], each)):
            if left <= bound:
                break
            found.append((client, self._noted[client]))
            left -= self._noted[client]
        return found
