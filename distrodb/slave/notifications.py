"""Keyspace notifications: what commands do to keys, as messages that clients may subscribe to
(https://redis.io/docs/latest/develop/use/keyspace-notifications/).  Pure.

The leader of a key's partition tells, when it applies an entry of its own term, and it tells all
slaves, as if a client had published it.  So each event is told at most once: those of the entries
that a leader has not applied when it loses the lead are lost.

They are gathered while commands run, and published at the end of the turn.
"""

from collections.abc import Callable

from distrodb.keyspace.place_number import database_of
from distrodb.slave.observing import Observing
from distrodb.slave.pubsub import Pubsub

ALL = "g$lshzxetd"  # what A stands for
_KINDS = frozenset(ALL + "nm")
_WORDS = _KINDS | {"A", "K", "E"}
BAD_FLAGS = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."


def kinds_of(text: str) -> frozenset[str]:
    """Raises ``ValueError``, with Redis' words."""
    if set(text) - _WORDS:
        raise ValueError(BAD_FLAGS)
    return frozenset(text) - {"A"} | (frozenset(ALL) if "A" in text else frozenset())


def text_of(kinds: frozenset[str]) -> str:
    """As CONFIG GET shows them."""
    named = "A" if kinds.issuperset(ALL) else "".join(kind for kind in ALL + "n" if kind in kinds)
    return named + "".join(kind for kind in "KEm" if kind in kinds)


class Notifications:
    """The ``Observer`` of all stores while anything is to be told."""

    def __init__(self, pubsub: Pubsub, observing: Observing, is_led: Callable[[int], bool]):
        """``is_led``: whether this slave answers for a place."""
        self._pubsub, self._observing, self._is_led = pubsub, observing, is_led
        self._kinds: frozenset[str] = frozenset()
        self._events: list[tuple[int, bytes, bytes]] = []  # database, name, key

    @property
    def flags(self) -> str:
        """``notify-keyspace-events``.  Setting it raises ``ValueError``, with Redis' words."""
        return text_of(self._kinds)

    @flags.setter
    def flags(self, text: str) -> None:
        self._kinds = kinds_of(text)
        if self._kinds & {"K", "E"} and self._kinds & _KINDS:
            self._observing.add(self)
        else:
            self._observing.remove(self)

    # -- what a store tells ------------------------------------------------------------------

    def changed(self, place: int, key: bytes) -> None: ...

    def flushed(self, database: int | None) -> None: ...

    def event(self, place: int, kind: str, name: bytes, key: bytes) -> None:
        if kind in self._kinds and self._is_led(place):
            self._events.append((database_of(place), name, key))

    # -- at the end of a turn ----------------------------------------------------------------

    @property
    def has_events(self) -> bool:
        return bool(self._events)

    def publish(self) -> None:
        events, self._events = self._events, []
        is_for_keys, is_for_events = "K" in self._kinds, "E" in self._kinds
        for database, name, key in events:
            if is_for_keys:
                self._pubsub.publish(b"__keyspace@%d__:%b" % (database, key), name)
            if is_for_events:
                self._pubsub.publish(b"__keyevent@%d__:%b" % (database, name), key)
