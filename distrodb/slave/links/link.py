"""One socket to another slave: a thin shell around ``Conversation``.

What always holds:

- A link ends once, in ``_end``, whether we end it, the other side does or the loop says so.
  Nothing that counts links waits for the loop: uvloop does not call ``connection_lost`` for a
  handle that it has closed itself.
- A transport that refuses to be written to is a lost link, never an internal error (uvloop raises
  ``RuntimeError`` for a handle that is gone, and ``is_closing`` does not tell).
- The transport holds little at a time; the rest waits in the conversation, where what is small
  overtakes what is large.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

from distrodb.clock import monotonic
from distrodb.errors import PeerError
from distrodb.raft.messages import Message
from distrodb.slave.change_feed import shortened
from distrodb.slave.links.conversation import Conversation, Met
from distrodb.slave.links.framing import ANSWERS, CHANGES, FORWARDS, PUBLISHED, Parcel
from distrodb.slave.links.place import Place

WRITE_BYTES = 1 << 18  # handed to the transport at a time: what a small message may wait for
_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # Linux's number
READ_BYTES = 200_000  # a read as large as this is the only one in a turn of the loop
UNSENT_BYTES = 1 << 17  # that the system keeps before it says that the socket is full
OUTGOING_BYTES_MAX = 1 << 29  # that wait: beyond, the peer is too slow and must catch up anew
# Bytes that wait; beyond, frames of that kind are dropped, as what clients do must not cost the
# slaves their link.  What a gateway forwards, and the answers, are then asked for again; of what
# has changed a short frame says so.
WAITING_BYTES_MAX = {PUBLISHED: 1 << 26, CHANGES: 1 << 26, ANSWERS: 1 << 27, FORWARDS: 1 << 28}
_DROPPED = {PUBLISHED: "messages of clients", ANSWERS: "answers", FORWARDS: "forwarded commands"}


class Owner(Protocol):
    """What a link tells."""

    def admit(self, link: "Link", address: str) -> None: ...

    def opened(self, link: "Link") -> None: ...

    def ended(self, link: "Link") -> None: ...

    def received(self, link: "Link", content: object) -> None: ...

    def complain(self, who: str, problem: object) -> None: ...

    def dropped(self, link: "Link", what: str) -> None: ...


class Link(asyncio.Protocol):
    def __init__(self, owner: Owner, conversation: Conversation, is_dialled: bool):
        self._owner, self._conversation = owner, conversation
        self.is_dialled = is_dialled  # by us
        self.peer: str | None = None  # set once it has introduced itself
        self.incarnation = ""
        self.has_complained = False  # it is told already why it ends
        self.place: Place | None = None
        self.is_reported = False  # the slave knows of it
        self.heard_at = monotonic()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.address = "a stranger"  # the host of the other side
        self._is_paused = self._is_due = self._is_over = False
        self.over: asyncio.Future[None] = self._loop.create_future()

    # -- what the loop calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has its own class
        with self._lost_if_gone():
            host, *_ = transport.get_extra_info("peername") or [self.address]
            self.address = str(host)
            self._transport.set_write_buffer_limits(high=WRITE_BYTES // 2, low=WRITE_BYTES // 8)
            system = transport.get_extra_info("socket")
            if system is not None:
                system.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT_BYTES)
        if not self._is_over:
            self._owner.admit(self, self.address)
        self._flush()

    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        if self.peer is not None:  # a stranger has no more than its first seconds
            self.heard_at = monotonic()
        try:
            for event in self._conversation.receive(data):
                if isinstance(event, Met):
                    self.peer, self.incarnation = event.peer, event.incarnation
                    self.place = event.place
                    self.heard_at = monotonic()
                    self._owner.opened(self)
                else:
                    self._owner.received(self, event.content)
                if self._is_over:
                    return
            if len(data) >= READ_BYTES:
                self._pause_reading()
            self._flush()
        except PeerError as problem:
            self.has_complained = True
            self._owner.complain(self.peer or self._conversation.about or self.address, problem)
            self._part(self._conversation.farewell(problem))

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._flush()

    def connection_lost(self, problem: Exception | None) -> None:
        self._end()

    # -- what the owner calls ----------------------------------------------------------------

    @property
    def broken_off(self) -> str:
        """Once it has ended before the other side said who it is: what that speaks; empty: nobody
        can tell."""
        return self._conversation.broken_off()

    def send(
        self, messages: Sequence[Message], gossip: object | None, parcels: Sequence[Parcel] = ()
    ) -> None:
        if self._is_over:
            return
        outgoing = self._conversation.outgoing
        outgoing.put_messages(messages)
        if gossip is not None:
            outgoing.put_gossip(gossip)
        for parcel in parcels:
            kind = parcel[0]
            if outgoing.bytes <= WAITING_BYTES_MAX.get(kind, OUTGOING_BYTES_MAX):
                outgoing.put_parcel(*parcel)
            elif kind == CHANGES:
                outgoing.put_parcel(CHANGES, shortened(parcel[1]), 0)
            else:
                self._owner.dropped(self, _DROPPED.get(kind, "small frames"))
        if outgoing.bytes > OUTGOING_BYTES_MAX:
            self._owner.complain(self.peer or self.address, "it does not keep up")
            self.close()
        else:
            self._flush()

    def close(self) -> None:
        """At once: what waits is dropped."""
        with contextlib.suppress(RuntimeError, OSError):
            if self._transport is not None:
                self._transport.abort()
        self._end()

    def _pause_reading(self) -> None:
        """Until the next turn: uvloop reads up to 8 MB of one socket in a turn, and timers wait."""
        with self._lost_if_gone():
            if self._transport is not None:
                self._transport.pause_reading()
                self._loop.call_soon(self._resume_reading)

    def _resume_reading(self) -> None:
        if self._transport is not None and not self._is_over:
            with self._lost_if_gone():
                self._transport.resume_reading()

    # -- the transport -----------------------------------------------------------------------

    def _flush(self) -> None:
        """Write what the transport should have now; go on when it takes more."""
        self._is_due = False
        if self._is_over or self._is_paused or self._transport is None:
            return
        pieces = self._conversation.outgoing.take(WRITE_BYTES)
        if not pieces:
            return
        try:
            if len(pieces) == 1:
                self._transport.write(pieces[0])
            else:
                self._transport.writelines(pieces)
        except (RuntimeError, OSError):
            self.close()
        if self._conversation.outgoing.bytes and not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._flush)

    def _part(self, farewell: bytes) -> None:
        """Say why, then close."""
        if farewell and self._transport is not None:
            with self._lost_if_gone():
                self._transport.write(farewell)
                self._transport.close()
                self._end()
        else:
            self.close()

    @contextlib.contextmanager
    def _lost_if_gone(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, OSError):
            self.close()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            if not self.over.done():
                self.over.set_result(None)
            self._owner.ended(self)
