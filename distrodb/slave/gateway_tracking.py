"""Client-side caching through a gateway: its clients are told by this slave what the leaders of all
partitions tell it (change_feed.py).  Pure.

A leader stands to this slave as to a client of its own that tracks: it tells of each change that it
applies, and when its lead is over.  So what it has answered is right for as long as it has said
nothing, its link stands, and it leads.  Who leads next need not have heard of us: the lead before
was given up, or its link is broken, and in both cases what was read there is forgotten.

What holds: **a change is never missed.**

- A read is remembered only if the leader that has answered it had said before that it tells of
  changes; else its keys are told as changed right behind the answer.
- When a link ends, whoever tracks is told to forget everything.
- An answer that a partition has kept (forwarding/queue.py) may be of long ago: behind one that may
  be, all is forgotten.

So a value is stale for no longer than a leader that is cut off leads (an election timeout), and
then, if it is cut off from this slave too or hangs, until its link is broken off for its silence.
What is told stands behind replies that are there already (replies.py), so a client that has several
commands under way gets it when the first of them is answered, which may wait for its leader.

Caveats: NOLOOP has no effect: a leader does not know whose write it was.  What a command has read
that several partitions share is told as changed behind its answer.
"""

from collections.abc import Iterable, Mapping, Sequence

from distrodb.errors import PeerError
from distrodb.keyspace.place_number import database_of, place_of
from distrodb.raft.interfaces import Request
from distrodb.ring.slots import slot_of
from distrodb.slave.change_feed import ChangeFeed, Changes, changes_from_plain
from distrodb.slave.forwarding.forwarding import Forwarding
from distrodb.slave.links.framing import TRACKED
from distrodb.slave.outgoing import Outgoing
from distrodb.slave.routing import Routing
from distrodb.slave.tracking import Client, Followed, Listener, Tracker, Tracking


class Interest:
    """That this slave's gateway wants to know of changes, and who has heard so: the ``Watch`` of a
    ``GatewayTracking``."""

    def __init__(self, feed: ChangeFeed, outgoing: Outgoing, links: Mapping[str, str]):
        self._feed, self._outgoing, self._links = feed, outgoing, links
        self.is_on = False
        # Of this time, among those when somebody tracked: an answer to an earlier one says nothing
        # of what came in between.
        self.number = 0
        self.heard: set[str] = set()  # peers that tell of every change from now on

    def add(self, observer: object) -> None:
        if not self.is_on:
            self.is_on, self.number = True, self.number + 1
            self._say(self.number)

    def remove(self, observer: object) -> None:
        self.is_on = False
        self.heard.clear()
        self._say(0)

    def _say(self, number: int) -> None:
        self._feed.follow_here(self.is_on)
        for peer in self._links:
            self._outgoing.send_parcel(peer, (TRACKED, number, 0))

    def link_up(self, peer: str) -> None:
        if self.is_on:
            self._outgoing.send_parcel(peer, (TRACKED, self.number, 0))


class GatewayTracker(Tracker):
    """One client of the gateway that tracks."""

    def __init__(self, tracking: "GatewayTracking", client: Client):
        super().__init__(tracking, client)
        self._of_gateway = tracking

    def follow(self, request: Request, keys: Sequence[bytes]) -> Request:
        is_taken = self.takes_next() or b"BCAST" in self.flags
        return request if request.is_write or not is_taken else Followed(request, self, keys)

    @property
    def is_deaf_to_itself(self) -> bool:
        return False

    def read_before(self, place: int, keys: Iterable[bytes]) -> None:
        """Its leader need not have told yet of what changed in between."""
        self.forget(keys)

    def read(self, place: int, keys: Iterable[bytes]) -> None:
        """The keys of one partition, not of one slot."""
        database = database_of(place)
        for key in keys:
            slot = slot_of(key)
            if not self._of_gateway.is_told_of(slot):
                self.forget([key])
            elif b"BCAST" not in self.flags:
                self._of_gateway.remember(self, place_of(database, slot), [key])


class GatewayTracking(Tracking):
    def __init__(self, keys_max: int, interest: Interest, routing: Routing, forwarding: Forwarding):
        super().__init__(keys_max, interest, routing)
        self._interest, self._forwarding = interest, forwarding

    def tracker_of(self, client: Client) -> Tracker:
        return GatewayTracker(self, client)

    def listen(self, listener: Listener) -> None:
        if not self._listeners:
            self._forwarding.answered_again = False  # that was before
        super().listen(listener)

    def wait_for(self, listener: Listener, database: int, key: bytes) -> None:
        if self.is_told_of(slot_of(key)):
            super().wait_for(listener, database, key)
        else:
            self.invalidate([listener], key)

    def is_told_of(self, slot: int) -> bool:
        """Whoever answers reads there at the moment tells of all that changes."""
        routing = self._routing
        leader = self._forwarding.target_of(routing.partition_of_slot[slot])
        return leader == routing.maps.me or leader in self._interest.heard

    def answers_for(self, place: int) -> bool:
        return True

    # -- links, and what comes by them ---------------------------------------------------------

    def link_up(self, peer: str) -> None:
        self._interest.link_up(peer)

    def link_down(self, peer: str) -> None:
        self._interest.heard.discard(peer)
        self.flushed(None)

    def receive(self, peer: str, content: object) -> None:
        """What has changed where a peer leads.  Raises ``PeerError``."""
        if not isinstance(content, list) or not content or type(content[0]) is not int:
            raise PeerError("changes that are none")
        changes, interest = changes_from_plain(content[1:]), self._interest
        if not interest.is_on or content[0] != interest.number:
            return
        if peer not in interest.heard:
            interest.heard.add(peer)
            self.forget_broadcasts()  # of what has changed before it had heard
        self.take(changes)

    def take(self, changes: Changes) -> None:
        if changes.has_more:
            self.flushed(None)
        for partition in changes.lost:
            self.lost_sight_of(partition)
        for place, key in changes.keys:
            self.changed(place, key)

    # -- at the end of a turn ------------------------------------------------------------------

    @property
    def has_pending(self) -> bool:
        return bool(self._pending or (self._listeners and self._forwarding.answered_again))

    def tell(self) -> None:
        if self._forwarding.answered_again:
            self._forwarding.answered_again = False
            self.flushed(None)
        super().tell()
