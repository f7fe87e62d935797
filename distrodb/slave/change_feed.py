"""The leaders' side of what is cached through gateways: they tell which keys have changed.  Pure.

A slave whose gateway has clients that track (gateway_tracking.py) asks all others for it, with a
number.  From then on, until it asks for no more or its link ends, it is told at the end of each
turn which keys have changed in partitions that are led here, and which leads are over.

What always holds, for whom has asked:

- the first frame says that it was asked; whatever has changed since then is told;
- what has changed stands behind the answers to all that was read before: it is sent behind them
  (``Core.flush``), and on the link it does not overtake them (``_lane`` in links/framing.py);
- where changes are not seen any more (another term, another slave leads, the store is another one)
  that is told too.

Bounds: bytes of keys of one turn (``TOLD_BYTES_MAX``), and of what waits for a link
(links/link.py); beyond, all is told to have changed.  When nobody asks, no store has an observer
and nothing is gathered.
"""

from typing import Any

from distrodb.errors import PeerError
from distrodb.keyspace.place_number import slot_at
from distrodb.raft.messages import NUMBER_MAX
from distrodb.slave.links.framing import CHANGES
from distrodb.slave.observing import Observing
from distrodb.slave.outgoing import Outgoing
from distrodb.slave.routing import Routing

TOLD_BYTES_MAX = 1 << 20
KEY_BYTES = 16  # of a key in a frame, beside its own


class Changes:
    """What has come about in one turn."""

    __slots__ = ("bytes", "has_more", "keys", "lost")

    def __init__(self) -> None:
        self.has_more = False  # any key may have changed
        self.lost: dict[int, None] = {}  # partitions
        self.keys: dict[tuple[int, bytes], None] = {}  # places and keys
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self.has_more or self.lost or self.keys)

    def add(self, place: int, key: bytes) -> None:
        if not self.has_more and (place, key) not in self.keys:
            self.keys[place, key] = None
            self.bytes += len(key) + KEY_BYTES
            if self.bytes > TOLD_BYTES_MAX:
                self.add_all()

    def add_all(self) -> None:
        self.has_more, self.keys, self.bytes = True, {}, 0

    def to_plain(self) -> list[Any]:
        return [self.has_more, list(self.lost), [list(key) for key in self.keys]]


def changes_from_plain(plain: list[Any]) -> Changes:
    """Raises ``PeerError``."""
    changes = Changes()
    if tuple(map(type, plain)) != (bool, list, list):
        raise PeerError("changes that are none")
    changes.has_more, lost, keys = plain
    for partition in lost:
        if type(partition) is not int:
            raise PeerError("a lost lead of no partition")
        changes.lost[partition] = None
    for key in keys:
        if not isinstance(key, list) or tuple(map(type, key)) != (int, bytes):
            raise PeerError("a changed key that is none")
        changes.keys[key[0], key[1]] = None
    return changes


def shortened(content: Any) -> list[Any]:
    """What to send to a peer that does not keep up: no keys, any may have changed."""
    number, _, lost, _ = content
    return [number, True, lost, []]


class ChangeFeed:
    """The ``Observer`` of all stores while any gateway wants to know."""

    def __init__(self, observing: Observing, routing: Routing, outgoing: Outgoing):
        self._observing, self._routing, self._outgoing = observing, routing, outgoing
        self._asked: dict[str, int] = {}  # by whom, and the number that it gave
        self._is_new: set[str] = set()  # those of them that were told nothing yet
        self._is_for_own = False  # this slave's own gateway has asked
        self._changes = Changes()

    # -- who wants to know -------------------------------------------------------------------

    def asked(self, peer: str, content: object) -> None:
        """By a peer: a number, or 0 for no more.  Raises ``PeerError``."""
        if type(content) is not int or not 0 <= content < NUMBER_MAX:
            raise PeerError("changes were asked for without a number")
        self._asked.pop(peer, None)
        self._is_new.discard(peer)
        if content:
            self._asked[peer] = content
            self._is_new.add(peer)
        self._look()

    def link_down(self, peer: str) -> None:
        if peer in self._asked:
            self.asked(peer, 0)

    def follow_here(self, is_wanted: bool) -> None:
        self._is_for_own = is_wanted
        self._look()

    def _look(self) -> None:
        if self._asked or self._is_for_own:
            self._observing.add(self)
        else:
            self._observing.remove(self)
            self._changes = Changes()

    # -- what a store tells ------------------------------------------------------------------

    def changed(self, place: int, key: bytes) -> None:
        routing = self._routing
        if routing.leads(routing.partition_of_slot[slot_at(place)]):
            self._changes.add(place, key)

    def flushed(self, database: int | None) -> None:
        self._changes.add_all()

    def event(self, place: int, kind: str, name: bytes, key: bytes) -> None: ...

    # -- what the slave tells ----------------------------------------------------------------

    def lost_lead(self, partition: int) -> None:
        """It was led here, and is not any more, or in another term."""
        if self._asked or self._is_for_own:
            self._changes.lost[partition] = None

    # -- at the end of a turn ----------------------------------------------------------------

    @property
    def has_gathered(self) -> bool:
        return bool(self._is_new or self._changes)

    def send(self) -> Changes:
        """To all that have asked; behind the answers of this turn.  Returns what there is."""
        changes, self._changes = self._changes, Changes()
        for peer, number in self._asked.items():
            if changes or peer in self._is_new:
                content = [number, *changes.to_plain()]
                self._outgoing.send_parcel(peer, (CHANGES, content, changes.bytes))
        self._is_new.clear()
        return changes
