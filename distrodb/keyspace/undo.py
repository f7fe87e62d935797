"""What a script has changed, as it was before: so that all of it can be undone.

While a script runs that has begun to write, each place says of a key that it is about to change
what it was (``keep``); once for each key.  ``undo`` brings all of it back, the last first.

Caveats: a container that a script writes to is copied for this, so a script costs the size of the
containers that it writes to; what was brought back comes last in the order of its place, on all
replicas alike; events that were told of are not taken back, but whoever watches is told of the
keys.
"""

from collections.abc import Callable
from typing import Protocol

from distrodb.keyspace.values import Value


class Undoing(Protocol):
    """A place, as it is seen here."""

    def put_back(self, key: bytes, value: Value | None, at_ms: int | None) -> None: ...


class Undo:
    __slots__ = ("_generation", "_kept", "_steps", "cloned")

    def __init__(self, generation: int):
        self._generation = generation
        self._kept: set[tuple[int, bytes]] = set()  # places by identity, and keys
        self._steps: list[Callable[[], None]] = []
        self.cloned = 0  # elements of containers that were copied for this

    def keep(self, place: Undoing, key: bytes, value: Value | None, at_ms: int | None) -> None:
        """It is about to change."""
        if (id(place), key) in self._kept:
            return
        self._kept.add((id(place), key))
        if value is not None and not isinstance(value, bytes):
            self.cloned += len(value)
            value = value.clone(self._generation)
        self._steps.append(lambda: place.put_back(key, value, at_ms))

    def keep_all(self, put_back: Callable[[], None]) -> None:
        """A whole database is about to go."""
        self._steps.append(put_back)
        self._kept.clear()

    def undo(self) -> None:
        while self._steps:
            self._steps.pop()()
