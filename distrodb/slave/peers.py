"""The links between slaves: one TCP connection a pair, dialled by the slave with the later row.

Whom to dial follows the cluster map.  Rows keep their order for good and a new one is the last, so
a slave that is new to the others dials them, and nobody has to be told of it first.  A slave that
has no links with a majority dials everybody that it knows: it may be one that was removed while it
was down, whom nobody dials any more, and learns of it so.  Two that dial each other at the same
time may break off each other's links once; they try again at their own times.

All groups share a link.  A frame is ``[Raft messages, gossip or None]``; everything that a flush
of the core has for a peer travels in one, or in a few where it is large.  A link that breaks is
reported at once; a link that is silent for ``silent_after_s`` is broken off, since heartbeats and
gossip never pause that long.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from distrodb.clock import monotonic
from distrodb.config import Address, NodeAddress
from distrodb.config.address import parse
from distrodb.errors import PeerError
from distrodb.raft.messages import Message
from distrodb.ring.clustermap import ClusterMap, member
from distrodb.slave.frames import (
    FRAME_BYTES_MAX,
    REASON_MAX,
    FrameReader,
    Handshake,
    Terms,
    pack,
    split,
)

DIAL_S_MAX = 1.0  # a host that is off answers nothing; when it is back it answers soon
STRANGERS_MAX = 256  # connections whose handshake is not complete
LONELY_S = 5.0  # longer than a cluster's start and an election take
RETRY_S = 0.2  # between attempts to reach a slave that does not answer: soon, but no storm
REFUSED_RETRY_S = 1.0
REMIND_S = 600.0  # until the same complaint is logged again
COMPLAINT_CHARACTERS_MAX = 600  # some of it may come from a stranger
FAREWELL_S = 10.0  # a slave that the map has forgotten is told so over the link before it ends
OUTBOX_BYTES_MAX = (
    1 << 29
)  # waiting on one link: beyond, its peer is too slow and must catch up anew

Gossip = dict[str, Any]

log = logging.getLogger("distrodb.peers")


class Link(asyncio.Protocol):
    def __init__(self, peers: "Peers", peer: str | None):
        self._peers = peers
        self._reader = FrameReader()
        self._handshake = peers.handshake(peer)
        self._dials = peer is not None
        self.peer: str | None = None  # set once the handshake is complete
        self.incarnation = ""
        self.heard_at = monotonic()
        self.transport: asyncio.Transport | None = None
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class
        if len(self._peers.strangers) >= STRANGERS_MAX:
            transport.abort()
            return
        self._peers.strangers.add(self)
        transport.set_write_buffer_limits(high=OUTBOX_BYTES_MAX)
        if self._dials:
            transport.write(pack(self._handshake.opening()))

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:  # a stranger has no more than its first seconds
            self.heard_at = monotonic()
        try:
            for content in self._reader.feed(data):
                if self.peer is None:
                    self._shake_hands(content)
                else:
                    self._peers.received(self.peer, content)
        except PeerError as problem:
            self._peers.complain(self.peer or self._handshake.peer or self._address(), problem)
            if self.transport and not self._dials and not self._handshake.has_answered:
                self.transport.write(pack([str(problem)[:REASON_MAX]]))
                self.transport.close()
            else:
                self.close()

    def _address(self) -> str:
        host, *_ = (self.transport and self.transport.get_extra_info("peername")) or ["a stranger"]
        return str(host)

    @property
    def is_complete(self) -> bool:
        return self._handshake.is_complete

    def _shake_hands(self, content: object) -> None:
        assert self.transport is not None
        answer = self._handshake.receive(content)
        if answer is not None:
            self.transport.write(pack(answer))
        if self._handshake.is_complete:
            self._reader.bytes_max = FRAME_BYTES_MAX
            self.peer, self.heard_at = self._handshake.peer, monotonic()
            self.incarnation = self._handshake.incarnation
            self._peers.strangers.discard(self)
            self._peers.opened(self)

    def pause_writing(self) -> None:
        log.warning("link with %s closed: it does not keep up", self.peer)
        self.close()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, problem: Exception | None) -> None:
        self._peers.strangers.discard(self)
        self._peers.lost(self)
        if not self.closed.done():
            self.closed.set_result(None)


def whom_to_dial(
    me: NodeAddress, cluster_map: ClusterMap, seeds: Sequence[Address], is_lonely: bool = False
) -> dict[str, str]:
    """Addresses, with the id of the slave that is looked for there; empty for anybody.

    Of two slaves the one with the later row dials, and one that is lonely dials all.  A joiner
    dials its seeds until the map names it.
    """
    if seeds and cluster_map.epoch == 0:
        return {str(seed): "" for seed in seeds if seed != me.peer}
    ids = list(cluster_map.nodes)
    if is_lonely:
        dialled = [id_ for id_ in ids if id_ != me.id]
    else:
        dialled = ids[: ids.index(me.id)] if me.id in ids else []
    return {cluster_map.nodes[id_].peer: id_ for id_ in dialled}


def is_in_majority(me: str, linked: Iterable[str], nodes: Iterable[str]) -> bool:
    """With those that it is linked with this slave is more than half of ``nodes``."""
    others = set(nodes) - {me}
    return 2 * (1 + len(others & set(linked))) > 1 + len(others)


class Peers:
    """All links of one slave."""

    def __init__(
        self,
        terms: Callable[[], Terms],
        me: NodeAddress,
        seeds: Sequence[Address],
        *,
        silent_after_s: float,
        on_up: Callable[[str, str], None],
        on_down: Callable[[str], None],
        on_frame: Callable[[str, object], None],
    ):
        self._terms, self._me, self._seeds = terms, me, seeds
        self._silent_after_s = silent_after_s
        self._on_up, self._on_down, self._on_frame = on_up, on_down, on_frame
        self._links: dict[str, Link] = {}
        self.strangers: set[Link] = set()  # connections whose handshake is not complete
        self._map: ClusterMap | None = None
        self._in_majority_at = monotonic()
        self._is_lonely = False
        self._dialling: dict[str, asyncio.Task] = {}  # by address
        self._complaints: dict[str, float] = {}  # when each was logged
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.  Raises ``OSError`` if the port is taken."""
        loop = asyncio.get_running_loop()
        address = self._me.peer
        self._server = await loop.create_server(
            lambda: Link(self, None), address.host, address.port
        )

    def follow(self, cluster_map: ClusterMap) -> None:
        """Dial those whom the map names; call it with each newer one."""
        gone = set(self._map.nodes if self._map else ()) - set(cluster_map.nodes)
        self._map = cluster_map
        self._dial(cluster_map)
        for peer in gone & set(self._links):
            asyncio.get_running_loop().call_later(FAREWELL_S, self._part, self._links[peer])

    def _dial(self, cluster_map: ClusterMap) -> None:
        loop = asyncio.get_running_loop()
        wanted = whom_to_dial(self._me, cluster_map, self._seeds, self._is_lonely)
        for address in [address for address in self._dialling if address not in wanted]:
            self._dialling.pop(address).cancel()
        for address, peer in wanted.items():
            if address not in self._dialling:
                self._dialling[address] = loop.create_task(self._keep_linked(peer, address))

    def _part(self, link: Link) -> None:
        if self._map is not None and link.peer not in self._map.nodes:
            link.close()

    def handshake(self, peer: str | None) -> Handshake:
        return Handshake(self._terms(), peer, os.urandom(16), self._objection)

    def _objection(self, peer: str, client: str, address: str) -> str | None:
        if peer == self._me.id:
            return f"{peer} is our own id: each slave needs its own"
        row = self._map.nodes.get(peer) if self._map else None
        if row is None or (row.client, row.peer) == (client, address):
            return None
        return (
            f"{peer} is at {row.client} and {row.peer} in the cluster map, not at {client} and"
            f" {address}: give this slave an id of its own, or the addresses that it had"
        )

    def complain(self, who: str, problem: object) -> None:
        """Log what is wrong with a link, but not each second: dials are repeated for ever."""
        text = f"link with {who} closed: {problem}"[:COMPLAINT_CHARACTERS_MAX]
        text = "".join(c if c.isprintable() else "?" for c in text)
        now = monotonic()
        if now - self._complaints.get(text, -REMIND_S) >= REMIND_S:
            if len(self._complaints) >= STRANGERS_MAX:
                self._complaints.clear()
            self._complaints[text] = now
            log.warning("%s", text)

    def send(self, peer: str, messages: list[Message], gossip: Gossip | None) -> None:
        link = self._links.get(peer)
        if link is not None and link.transport is not None:
            for part in split(messages):
                link.transport.write(pack([part, None]))
            if gossip is not None:
                link.transport.write(pack([[], gossip]))

    def tick(self) -> None:
        """Break off links that went silent, and look further when there are too few; call it a few
        times a ``silent_after_s``."""
        now = monotonic()
        limit = now - self._silent_after_s
        for link in [*self._links.values(), *self.strangers]:
            if link.heard_at < limit:
                log.warning("link with %s closed: silent", link.peer or "a stranger")
                link.close()
        if self._map is None:
            return
        if is_in_majority(self._me.id, self._links, self._map.nodes):
            self._in_majority_at = now
        is_lonely = now - self._in_majority_at >= LONELY_S
        if is_lonely != self._is_lonely:
            self._is_lonely = is_lonely
            self._dial(self._map)

    async def close(self) -> None:
        for task in self._dialling.values():
            task.cancel()
        if self._server is not None:
            self._server.close()
        for link in [*self._links.values(), *self.strangers]:
            if link.transport is not None:
                link.transport.close()

    async def _keep_linked(self, peer: str, address: str) -> None:
        loop = asyncio.get_running_loop()
        there = parse(address)
        known = peer  # a joiner learns who is there: two of its addresses may be of one slave
        while True:
            try:
                if known not in self._links:
                    async with asyncio.timeout(DIAL_S_MAX):
                        _, link = await loop.create_connection(
                            lambda: Link(self, peer), there.host, there.port
                        )
                    await link.closed
                    known = peer or link.peer or ""
                    if not link.is_complete:  # refused at the handshake: that will not change soon
                        await asyncio.sleep(REFUSED_RETRY_S)
            except OSError:
                pass  # not up yet, or no more: the map and the log of link changes say so
            except (ValueError, OverflowError):  # the address is none: of a peer's making
                self.complain(address, "it is not an address that can be dialled")
                await asyncio.sleep(REFUSED_RETRY_S)
            await asyncio.sleep(RETRY_S)

    # -- from the links ----------------------------------------------------------------------

    def opened(self, link: Link) -> None:
        peer = link.peer
        assert peer
        if peer == self._me.id:
            raise PeerError(f"{peer} is our own id: each slave needs its own")
        old = self._links.get(peer)
        self._links[peer] = link
        if old is not None:  # the peer came back before we saw it go
            old.close()
            self._on_down(peer)
        log.info("link with %s is up", member(peer, link.incarnation))
        self._on_up(peer, link.incarnation)

    def lost(self, link: Link) -> None:
        if link.peer is not None and self._links.get(link.peer) is link:
            del self._links[link.peer]
            log.info("link with %s is down", link.peer)
            self._on_down(link.peer)

    def received(self, peer: str, content: object) -> None:
        self._on_frame(peer, content)
