"""All links of one slave: it listens, dials whom the map names, and knows who is linked.

All Raft groups share a link; there is one a pair of slaves, dialled by the slave with the later row
(dialling.py).  A link that breaks is reported at once; one that is silent for ``silent_after_s`` is
broken off, since heartbeats and gossip never pause that long.
"""

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from distrodb.clock import monotonic
from distrodb.config.address import parse
from distrodb.errors import PeerError
from distrodb.raft.messages import Message
from distrodb.ring.clustermap import ClusterMap, NodeInfo, member
from distrodb.slave.doors import Doors
from distrodb.slave.links.arrival import Arrival, Refusals, is_elsewhere
from distrodb.slave.links.complaints import Complaints
from distrodb.slave.links.conversation import Conversation
from distrodb.slave.links.dial import dial
from distrodb.slave.links.dialling import OwnFile, is_in_majority, whom_to_dial
from distrodb.slave.links.framing import Parcel
from distrodb.slave.links.introduction import Introduction, TwiceError
from distrodb.slave.links.link import Link
from distrodb.slave.links.lookups import Lookups
from distrodb.slave.links.place import Place
from distrodb.slave.links.strangers import Strangers
from distrodb.slave.logging_limit import LimitedLog
from distrodb.slave.tls import Tls, present, reason

LONELY_S = 5.0  # longer than a cluster's start and an election take
RETRY_S = 0.2  # between attempts to reach a slave that does not answer: soon, but no storm
REFUSED_RETRY_S = 1.0
WORDLESS_MAX = 3  # dials in a row
WORDLESS = (
    "it ends the connection before it says who it is; see in its log why, whether this is its peer"
    " port, and whether [tls] peers is the same in both files"
)
FAREWELL_S = 10.0  # a slave that the map has forgotten is told so over the link before it ends

Gossip = dict[str, Any]

log = LimitedLog("distrodb.peers")


class Links:
    def __init__(
        self,
        introduction: Callable[[], Introduction],
        file: OwnFile,
        objection: Callable[[str, Place], str | None],
        *,
        silent_after_s: float,
        on_up: Callable[[str, str, Place | None], None],
        on_down: Callable[[str], None],
        on_frame: Callable[[str, object], None],
    ):
        """``objection``: what there is against a member that is found at a place."""
        self._introduction, self._file, self._me = introduction, file, file.me
        self._objection = objection
        self._arrival: Arrival | None = None  # until we take part, if we have moved
        self._refusals = Refusals(silent_after_s)
        self._silent_after_s = silent_after_s
        self._tls: Tls | None = None
        self._on_up, self._on_down, self._on_frame = on_up, on_down, on_frame
        self._links: dict[str, Link] = {}
        self._strangers: Strangers[Link] = Strangers()
        self._dialled: set[Link] = set()  # by us, and the other side has not answered yet
        self._map: ClusterMap | None = None
        self._in_majority_at = monotonic()
        self._is_lonely = False
        self._wanted: dict[str, str] = {}  # whom to dial
        self._dialling: dict[str, asyncio.Task[None]] = {}  # by address
        self._complaints, self._lookups = Complaints(), Lookups()
        self._server: asyncio.Server | Doors | None = None

    async def start(self, tls: Tls | None = None) -> None:
        """Listen.  Raises ``OSError`` if the port is taken."""
        self._tls = tls
        loop = asyncio.get_running_loop()
        address = self._me.listens["peer"]
        if tls is not None and tls.peers is not None:
            self._server = doors = Doors(lambda: present(tls.peers), lambda: self._link(None))
            await doors.open(address)
            return
        self._server = await loop.create_server(
            lambda: self._link(None), address.host, address.port
        )

    def close(self) -> None:
        self._wanted = {}
        for task in self._dialling.values():
            task.cancel()
        if self._server is not None:
            self._server.close()
        for link in [*self._links.values(), *self._strangers, *self._dialled]:
            link.close()

    # -- whom to dial --------------------------------------------------------------------------

    def follow(self, cluster_map: ClusterMap) -> None:
        """Dial those whom the map names; call it with each newer one."""
        before = {} if self._map is None else self._map.nodes
        if self._map is None and is_elsewhere(self._me.id, self._file.place, cluster_map):
            self._arrival = Arrival(monotonic(), self._me.id, cluster_map)
        gone = set(before) - set(cluster_map.nodes)
        self._map = cluster_map
        self._leave_where_nobody_is(before, cluster_map)
        self._dial(cluster_map)
        for peer in gone & set(self._links):
            asyncio.get_running_loop().call_later(FAREWELL_S, self._part, self._links[peer])

    def _leave_where_nobody_is(
        self, before: Mapping[str, NodeInfo], cluster_map: ClusterMap
    ) -> None:
        """A slave has moved; whoever is linked with us from where it was is not that one."""
        for peer, link in list(self._links.items()):
            row = cluster_map.nodes.get(peer)
            if row is None or link.place is None or peer not in before:
                continue
            places = [(each.client, each.peer) for each in (before[peer], row)]
            if places[0] != places[1] != link.place:
                link.close()

    def _dial(self, cluster_map: ClusterMap) -> None:
        loop = asyncio.get_running_loop()
        self._wanted = whom_to_dial(self._file, cluster_map, self._is_lonely)
        for address in self._wanted:
            if address not in self._dialling:
                task = loop.create_task(self._keep_linked(address))
                self._dialling[address] = task
                task.add_done_callback(partial(self._dialled_enough, address))

    def _dialled_enough(self, address: str, task: asyncio.Task[None]) -> None:
        del self._dialling[address]
        is_well = not task.cancelled() and task.exception() is None
        if is_well and address in self._wanted and self._map is not None:
            self._dial(self._map)  # it was wanted again in this very moment

    def _part(self, link: Link) -> None:
        if self._map is not None and link.peer not in self._map.nodes:
            link.close()

    def tick(self) -> None:
        """Break off links that went silent, and look further when there are too few; call it a few
        times a ``silent_after_s``."""
        now = monotonic()
        self._look_at_arrival(now)
        limit = now - self._silent_after_s
        for link in [*self._links.values(), *self._strangers, *self._dialled]:
            if link.heard_at < limit:
                who = link.peer or f"a stranger at {link.address}"
                log.say("link_silent", who, peer=who)
                link.close()
        if self._map is None:
            return
        if is_in_majority(self._me.id, self._links, self._map.nodes):
            self._in_majority_at = now
        is_lonely = now - self._in_majority_at >= LONELY_S
        if is_lonely != self._is_lonely:
            self._is_lonely = is_lonely
            self._dial(self._map)

    def _look_at_arrival(self, now: float) -> None:
        arrival, is_refused = self._arrival, self._refusals.is_recent(now)
        if arrival is not None and arrival.is_over(now, self._links, is_refused):
            for link in [*self._links.values()]:
                link.close()  # what came over it was dropped; both sides begin anew
            self._arrival = None

    @property
    def is_twice(self) -> bool:
        """Others say that another slave runs with the data of our directory, and go on to."""
        return self._refusals.are_final(monotonic())

    async def _keep_linked(self, address: str) -> None:
        """Dial this address, again and again, as long as that is wanted.  Nothing cancels it before
        the slave ends."""
        peer = self._wanted[address]
        known = peer  # a joiner learns who is there: two of its addresses may be of one slave
        wordless = 0  # dials in a row that were ended from there without a word
        while address in self._wanted:
            if peer != self._wanted[address]:
                known = peer = self._wanted[address]
            try:
                if known not in self._links:
                    make = partial(self._link, peer)
                    link = await dial(parse(address), self._tls, make, self._lookups)
                    await link.over
                    known = peer or link.peer or ""
                    if link.peer is None:  # refused: that will not change soon
                        wordless = 0 if link.has_complained else wordless + 1
                        self._tell_of_wordless(peer or address, link, wordless)
                        await asyncio.sleep(REFUSED_RETRY_S)
                    else:
                        wordless = 0
            except ssl.SSLError as problem:
                wordless = 0
                self.complain(peer or address, f"no TLS handshake: {reason(problem)}")
                await asyncio.sleep(REFUSED_RETRY_S)
            except OSError:
                wordless = 0  # not up yet, or no more: the map and the log of link changes say so
            except (ValueError, OverflowError):  # the address is none: of a peer's making
                self.complain(address, "it is not an address that can be dialled")
                await asyncio.sleep(REFUSED_RETRY_S)
            await asyncio.sleep(RETRY_S)

    def _tell_of_wordless(self, who: str, link: Link, times: int) -> None:
        """A slave that ends, or that dials us at the same moment, breaks off once or twice too."""
        if what := "" if link.has_complained else link.broken_off:
            self.complain(who, what)
        elif times >= WORDLESS_MAX:
            self.complain(who, WORDLESS)

    # -- from the links ----------------------------------------------------------------------

    def _link(self, peer: str | None) -> Link:
        challenge = os.urandom(16)
        conversation = Conversation(self._introduction(), peer, challenge, self._objection)
        return Link(self, conversation, is_dialled=peer is not None)

    def admit(self, link: Link, address: str) -> None:
        if link.is_dialled:
            self._dialled.add(link)
        elif victim := self._strangers.admit(link, address):
            log.say("link_strangers", address, host=address)
            victim.close()

    def opened(self, link: Link) -> None:
        """Raises ``PeerError``."""
        peer = link.peer
        assert peer
        if peer == self._me.id:
            raise PeerError(f"{peer} is our own id: each slave needs its own")
        self._strangers.discard(link)
        self._dialled.discard(link)
        old = self._links.pop(peer, None)
        if old is not None:  # the peer came back before we saw it go
            old.close()
            if old.is_reported:
                self._on_down(peer)
        self._links[peer] = link
        if self._arrival is None:
            link.is_reported = True
            name = member(peer, link.incarnation)
            log.say("link_up", peer, peer=name)
            self._on_up(peer, link.incarnation, link.place)

    def ended(self, link: Link) -> None:
        self._strangers.discard(link)
        self._dialled.discard(link)
        if link.peer is not None and self._links.get(link.peer) is link:
            del self._links[link.peer]
            if link.is_reported:
                log.say("link_down", link.peer, peer=link.peer)
                self._on_down(link.peer)

    def received(self, link: Link, content: object) -> None:
        assert link.peer
        if link.is_reported:
            self._on_frame(link.peer, content)

    def dropped(self, link: Link, what: str) -> None:
        """Of what clients have a slave send."""
        log.say("link_behind", str(link.peer), what=what, peer=link.peer)

    def complain(self, who: str, problem: object) -> None:
        """Log what is wrong with a link."""
        now = monotonic()
        if isinstance(problem, TwiceError):
            self._refusals.refused(now)
        self._complaints.say(now, who, problem)

    # -- from the core -----------------------------------------------------------------------

    def send(
        self,
        peer: str,
        messages: Sequence[Message],
        gossip: Gossip | None,
        parcels: Sequence[Parcel] = (),
    ) -> None:
        link = self._links.get(peer)
        if link is not None:
            link.send(messages, gossip, parcels)
