"""What is said over one link, from the first byte on: the introduction, then frames.  Pure.

``receive`` takes the bytes that came and yields what they mean: ``Met`` once, when the other side
has introduced itself and proved that it knows the secret; then its frames.  What is to be sent
waits in ``outgoing``.  A conversation that goes wrong raises ``PeerError`` and is over; whoever was
refused is told why (``farewell``).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from distrodb.errors import PeerError
from distrodb.slave.links.foreign import what_speaks
from distrodb.slave.links.framing import Incoming, Outgoing, whole
from distrodb.slave.links.introduction import REASON_MAX, Handshake, Introduction
from distrodb.slave.links.place import Place


@dataclass(frozen=True, slots=True)
class Met:
    peer: str
    incarnation: str
    place: Place | None = None  # as it says itself


@dataclass(slots=True)  # a frozen one takes three times as long to make
class Frame:
    content: object


class Conversation:
    def __init__(
        self,
        ours: Introduction,
        peer: str | None,
        challenge: bytes,
        objection: Callable[[str, Place], str | None] = lambda *_: None,
    ):
        """``peer``: the slave that is looked for, empty for anybody, None if the other side has
        dialled."""
        self._handshake = Handshake(ours, peer, challenge, objection)
        self._dials = peer is not None
        self._incoming = Incoming()
        self.outgoing = Outgoing()
        if self._dials:
            self.outgoing.put(self._handshake.opening())

    @property
    def about(self) -> str | None:
        """Who the other side is, says that it is, or should be."""
        return self._handshake.peer

    def receive(self, data: bytes) -> Iterator[Met | Frame]:
        """Raises ``PeerError``."""
        handshake = self._handshake
        for content in self._incoming.feed(data):
            if handshake.is_complete:
                yield Frame(content)
                continue
            answer = handshake.receive(content)
            if answer is not None:
                self.outgoing.put(answer)
            if handshake.is_complete:
                self._incoming.is_trusted = True
                yield Met(handshake.peer or "", handshake.incarnation, handshake.place)

    def broken_off(self) -> str:
        """What there is to say of it if the other side has ended it before it said who it is."""
        return what_speaks(self._incoming.rest)

    def farewell(self, problem: PeerError) -> bytes:
        """What an acceptor tells one that it does not take; nothing once it has introduced
        itself."""
        if self._dials or self._handshake.has_answered:
            return b""
        return whole([str(problem)[:REASON_MAX]])
