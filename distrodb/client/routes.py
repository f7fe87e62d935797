"""Which slave is asked: the leaders as we have heard of them.

Pure.  What it knows may be out of date: who does not lead says who does (``MOVED``).  A gateway is
the one address that there is, and never says so.
"""

from collections.abc import Iterable
from typing import Any, TypeAlias

from redis.exceptions import ClusterDownError

from distrodb.client.request import Request
from distrodb.ring.slots import SLOT_COUNT, slot_of

Address: TypeAlias = tuple[str, int]


class Routes:
    def __init__(self, first: Iterable[Address]):
        self._first = list(first)  # as they were given: some may be dead, or have left
        self._known: list[Address] = []
        self._leaders: dict[int, Address] = {}
        self._turn = 0

    @property
    def addresses(self) -> list[Address]:
        """All that are known, those of the map before those that were given."""
        return list(dict.fromkeys([*self._known, *self._first]))

    @property
    def asked_first(self) -> list[Address]:
        """The same, and those last that have failed last."""
        addresses = self.addresses
        at = self._turn % len(addresses)
        return addresses[at:] + addresses[:at]

    def of_key(self, key: bytes) -> Address:
        return self._leaders.get(slot_of(key)) or self.anybody()

    def of(self, request: Request) -> Address:
        if request.address is not None:
            return request.address
        key = request.key
        if key is None:
            return self.anybody()
        return self.of_key(key if isinstance(key, bytes) else key.encode())

    def anybody(self) -> Address:
        return self.asked_first[0]

    def moved(self, slot: int, address: Address) -> None:
        self._leaders[slot] = address

    def failed(self, address: Address) -> None:
        """Another one is asked next."""
        if address == self.anybody():
            self._turn += 1
        self._leaders = {slot: at for slot, at in self._leaders.items() if at != address}

    def learn(self, rows: list[list[Any]], asked: Address) -> None:
        """From the reply to ``CLUSTER SLOTS``; a slave that names no host means its own."""
        self._known, self._leaders = [], {}
        for first, last, *nodes in rows:
            at = [(_text(node[0]) or asked[0], int(node[1])) for node in nodes]
            self._known += [each for each in at if each not in self._known]
            if at:
                self._leaders |= dict.fromkeys(range(first, last + 1), at[0])

    def all_parts(self) -> list[Address | None]:
        """Who has all keys between them; None is anybody, since a gateway has them all.

        Raises ``ClusterDownError`` while a slot has no leader."""
        if not self.is_cluster:
            return [None]
        if len(self._leaders) < SLOT_COUNT:
            raise ClusterDownError("a partition has no leader")
        return [*sorted(set(self._leaders.values()))]

    @property
    def is_cluster(self) -> bool:
        return bool(self._known)


def leads(rows: list[list[Any]]) -> list[tuple[int, int, str, int]]:
    """Who leads what, to be compared with what it was."""
    return sorted((r[0], r[1], _text(r[2][0]), r[2][1]) for r in rows if len(r) > 2)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name or "")
