"""Keyspace notifications: what commands do to keys, as messages that clients may subscribe to
(https://redis.io/docs/latest/develop/use/keyspace-notifications/).  Pure.

``notify-keyspace-events`` of a slave says which events its clients may hear of, of all keys
wherever they are led: slaves tell each other.  The leader of a key's partition tells of an event
when it applies an entry of its own term, and tells those slaves that want it.  So each event is
told at most once: those of the entries that a leader has not applied when it loses the lead are
lost, and so is what happens before the others have heard of a new setting.

They are gathered while commands run, and published at the end of the turn.
"""

from collections.abc import Callable

from distrodb.errors import PeerError
from distrodb.keyspace.place_number import database_of
from distrodb.slave.links.framing import WANTED
from distrodb.slave.observing import Observing
from distrodb.slave.pubsub import Pubsub

ALL = "g$lshzxetd"  # what A stands for
_KINDS = frozenset(ALL + "nm")
_WORDS = _KINDS | {"A", "K", "E"}
_NONE: frozenset[str] = frozenset()
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
    """The ``Observer`` of all stores while any slave wants to hear of anything."""

    def __init__(self, pubsub: Pubsub, observing: Observing, is_led: Callable[[int], bool]):
        """``is_led``: whether this slave answers for a place."""
        self._pubsub, self._observing, self._is_led = pubsub, observing, is_led
        self._own = _NONE
        self._of_peers: dict[str, frozenset[str]] = {}
        self._all = _NONE  # that anybody wants
        self._events: list[tuple[str, int, bytes, bytes]] = []  # kind, database, name, key

    @property
    def flags(self) -> str:
        """``notify-keyspace-events``.  Setting it raises ``ValueError``, with Redis' words."""
        return text_of(self._own)

    @flags.setter
    def flags(self, text: str) -> None:
        before, self._own = self._own, kinds_of(text)
        if self._own != before:
            self._look()
            for peer in self._pubsub.peers:
                self._pubsub.send_to(peer, WANTED, text_of(self._own))

    # -- what others want --------------------------------------------------------------------

    def link_up(self, peer: str) -> None:
        if self._own:
            self._pubsub.send_to(peer, WANTED, text_of(self._own))

    def link_down(self, peer: str) -> None:
        if self._of_peers.pop(peer, None):
            self._look()

    def heard(self, peer: str, content: object) -> None:
        """Which events a peer's clients want.  Raises ``PeerError``."""
        if not isinstance(content, str) or set(content) - _WORDS:
            raise PeerError("wanted events that are no kinds of them")
        self._of_peers[peer] = kinds_of(content)
        self._look()

    def _look(self) -> None:
        wanted = [each for each in (self._own, *self._of_peers.values()) if each & {"K", "E"}]
        self._all = frozenset[str]().union(*wanted)
        if self._all & _KINDS:
            self._observing.add(self)
        else:
            self._observing.remove(self)
            self._events = []

    # -- what a store tells ------------------------------------------------------------------

    def changed(self, place: int, key: bytes) -> None: ...

    def flushed(self, database: int | None) -> None: ...

    def event(self, place: int, kind: str, name: bytes, key: bytes) -> None:
        if kind in self._all and self._is_led(place):
            self._events.append((kind, database_of(place), name, key))

    # -- at the end of a turn ----------------------------------------------------------------

    @property
    def has_events(self) -> bool:
        return bool(self._events)

    def publish(self) -> None:
        events, self._events = self._events, []
        for kind, database, name, key in events:
            by_key = b"__keyspace@%d__:%b" % (database, key), name
            by_event = b"__keyevent@%d__:%b" % (database, name), key
            for peer, wanted in ((None, self._own), *self._of_peers.items()):
                if kind in wanted:
                    if "K" in wanted:
                        self._pubsub.publish_at(peer, *by_key)
                    if "E" in wanted:
                        self._pubsub.publish_at(peer, *by_event)
