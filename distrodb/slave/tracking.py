"""Client-side caching: clients are told when keys that they have read are not as they were
(https://redis.io/docs/latest/develop/reference/client-side-caching/).  Pure.

A client that tracks is remembered with each key that it has read here, at the moment when its read
is answered; the next change of the key is told to it once, at the end of the turn, behind that
answer, and before replies that wait and have nothing of the key (``Replies.push_now``).  With BCAST
it is told of all changes of keys with certain prefixes that this slave leads.

What holds: **a change is never missed.**  Where this slave cannot see changes any more (it has lost
the lead of a partition, a copy came whole, the copy is gone) whoever has read there is told to
forget everything.  A leader that is cut off gives up its lead once it has heard no majority for an
election timeout: so long a client may keep a value that another leader has changed.  A client whose
connection ends must forget everything by itself, as with Redis.

Bound: keys that are remembered (``keys_max``); beyond, the oldest is told as if it had changed.

Caveats: NOLOOP leaves out what the client's own command has written, also if another client wrote
the same key just before, in the same turn: its own write is the newer one.  A client is told of a
key with nothing about its database, as in Redis, but only of those that it has read.
"""

from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any, Protocol

from distrodb.keyspace.place_number import place_of, slot_at
from distrodb.raft.interfaces import Request
from distrodb.resp.encode import encode
from distrodb.resp.reply import ErrorReply, Push, Reply
from distrodb.ring.slots import slot_of
from distrodb.slave.routing import Routing

CHANNEL = b"__redis__:invalidate"  # by which clients of RESP2 are told


class Client(Protocol):
    """A session."""

    is_readonly: bool
    is_subscribed: bool

    @property
    def id(self) -> int: ...

    @property
    def protocol(self) -> int: ...

    @property
    def is_gone(self) -> bool: ...

    def push_now(self, data: bytes, keys: Set[bytes] | None = None) -> None: ...


class Watch(Protocol):
    """Where a ``Tracking`` sees changes while anybody tracks; ``Observing``."""

    def add(self, observer: Any) -> None: ...

    def remove(self, observer: Any) -> None: ...


class Listener(Protocol):
    """Who is told that keys have changed, once for each: a ``Tracker``, or those who wait for a key
    (blocking.py)."""

    @property
    def is_over(self) -> bool:
        """It wants to hear of nothing any more."""

    def tell(self, keys: tuple[bytes, ...] | None) -> None:
        """These have changed; None: any may have, and no more changes are seen."""


class Tracker:
    """One client that tracks."""

    def __init__(self, tracking: "Tracking", client: Client):
        self._tracking = tracking
        self.client: Client | None = client  # None: it has ended
        self.flags: frozenset[bytes] = frozenset()  # BCAST, OPTIN, OPTOUT, NOLOOP
        self.prefixes: tuple[bytes, ...] = ()
        self.redirect: Client | None = None  # who is told instead
        self.caching: bool | None = None  # CLIENT CACHING, for the next command
        self.is_broken = False  # whoever was to be told instead is gone
        self.told = 0  # how often it was

    @property
    def is_over(self) -> bool:
        return self.client is None

    @property
    def redirect_id(self) -> int:
        return 0 if self.redirect is None else self.redirect.id

    def takes(self) -> bool:
        """Whether what is read now is remembered."""
        flags, caching = self.flags, self.caching
        if not flags:
            return True
        if b"OPTIN" in flags:
            return caching is True
        return b"BCAST" not in flags and not (b"OPTOUT" in flags and caching is False)

    def takes_next(self) -> bool:
        """The same of the command that begins now; CLIENT CACHING is over with it."""
        takes, self.caching = self.takes(), None
        return takes

    def follow(self, request: Request, keys: Sequence[bytes]) -> Request:
        """The same request, of which it is seen when it is answered."""
        is_taken = self.takes_next()
        is_seen = b"NOLOOP" in self.flags if request.is_write else is_taken
        return Followed(request, self, keys) if is_seen else request

    def follow_parts(self, request: Request, keys: Sequence[bytes]) -> Callable[[Reply], None]:
        """The same for what takes the answer to a command that several partitions share.  They are
        read at moments of their own, so what was told may have come too early: it is told again."""
        is_taken = self.takes_next()
        if request.is_write or not (is_taken or b"BCAST" in self.flags):
            return request.resolve

        def resolve(reply: Reply) -> None:
            request.resolve(reply)
            self.forget(keys)

        return resolve

    @property
    def is_deaf_to_itself(self) -> bool:
        """It does not want to hear of its own writes."""
        return b"NOLOOP" in self.flags

    def read(self, place: int, keys: Iterable[bytes]) -> None:
        """Its read of these has been answered."""
        self._tracking.remember(self, place, keys)

    def read_before(self, place: int, keys: Iterable[bytes]) -> None:
        """The same of what was read just before it began to track."""
        self.read(place, keys)

    def forget(self, keys: Iterable[bytes]) -> None:
        """Be told of these as if they had changed."""
        for key in keys:
            self._tracking.invalidate([self], key)

    def forget_all(self) -> None:
        self._tracking.flush([self])

    def wrote(self, keys: Iterable[bytes]) -> None:
        self._tracking.spare(self, keys)

    def tell(self, keys: tuple[bytes, ...] | None) -> None:
        client, redirect = self.client, self.redirect
        if client is None:
            return
        self.told += 1
        if redirect is not None and redirect.is_gone:
            self.is_broken = True
            if client.protocol > 2:
                client.push_now(encode(Push((b"tracking-redir-broken", redirect.id)), 3))
            return
        listener = redirect or client
        if listener.protocol > 2:
            # Behind replies with these keys, since the client would keep what it has just dropped;
            # but the replies to ``redirect`` are to other commands.
            told = None if keys is None or redirect is not None else frozenset(keys)
            listener.push_now(encode(Push((b"invalidate", keys)), 3), told)
        elif redirect is not None and listener.is_subscribed:
            listener.push_now(encode(Push((b"message", CHANNEL, keys)), 2))

    def end(self) -> None:
        self._tracking.end(self)


class Followed:
    """A request of a client that tracks; the core's ``Request``."""

    __slots__ = ("_keys", "_tracker", "args", "is_write", "place", "request", "size", "slot")

    def __init__(self, request: Request, tracker: Tracker, keys: Sequence[bytes]):
        self.args, self.is_write = request.args, request.is_write
        self.place, self.size, self.slot = request.place, request.size, request.slot
        self.request, self._tracker, self._keys = request, tracker, keys

    def resolve(self, reply: Reply) -> None:
        self.request.resolve(reply)
        if self.is_write:
            self._tracker.wrote(self._keys)
        elif not isinstance(reply, ErrorReply):
            self._tracker.read(self.place, self._keys)


class Tracking:
    """The ``Observer`` of all stores while any client tracks."""

    def __init__(self, keys_max: int, observing: Watch, routing: Routing):
        self.keys_max = keys_max
        self._observing, self._routing = observing, routing
        self._led: dict[int, int] = {}  # partition: the term in which this slave leads it
        self._listeners: dict[Listener, None] = {}
        self._waiting = 0  # those of them that are no trackers: each for a key
        self._readers: dict[tuple[int, bytes], set[Listener]] = {}  # by place and key; oldest first
        self._partitions: dict[int, set[Listener]] = {}  # who has read there
        self._by_prefix: dict[bytes, set[Tracker]] = {}
        # What is to be told at the end of the turn; None: to forget everything.
        self._pending: dict[Listener, dict[bytes, None] | None] = {}

    # -- who tracks --------------------------------------------------------------------------

    def begin(
        self,
        client: Client,
        tracker: Tracker | None,
        flags: frozenset[bytes],
        prefixes: tuple[bytes, ...],
        redirect: Client | None,
    ) -> Tracker:
        """A client tracks from now on; or in another way, with its ``tracker`` of before."""
        if tracker is None:
            tracker = self.tracker_of(client)
            self.listen(tracker)
        tracker.flags, tracker.prefixes, tracker.redirect = flags, prefixes, redirect
        tracker.is_broken = False
        for prefix in prefixes:
            self._by_prefix.setdefault(prefix, set()).add(tracker)
        return tracker

    def tracker_of(self, client: Client) -> Tracker:
        return Tracker(self, client)

    def end(self, tracker: Tracker) -> None:
        """Its client has gone, or tracks no more.  It stays with the keys that it has read, until
        they change."""
        tracker.client = tracker.redirect = None
        for prefix in tracker.prefixes:
            self._by_prefix[prefix].discard(tracker)
            if not self._by_prefix[prefix]:
                del self._by_prefix[prefix]
        self.leave(tracker)

    def listen(self, listener: Listener) -> None:
        """Somebody will want to hear of keys (``remember``)."""
        self._listeners[listener] = None
        self._waiting += not isinstance(listener, Tracker)
        self._observing.add(self)

    def leave(self, listener: Listener) -> None:
        """One that is over."""
        del self._listeners[listener]
        self._waiting -= not isinstance(listener, Tracker)
        self._pending.pop(listener, None)
        if not self._listeners:
            self._observing.remove(self)
            self._readers, self._partitions = {}, {}

    @property
    def client_count(self) -> int:
        return len(self._listeners) - self._waiting

    @property
    def key_count(self) -> int:
        return len(self._readers)

    @property
    def prefix_count(self) -> int:
        return len(self._by_prefix)

    # -- reads -------------------------------------------------------------------------------

    def remember(self, tracker: Listener, place: int, keys: Iterable[bytes]) -> None:
        if tracker.is_over:
            return
        readers = self._readers
        for key in keys:
            known = readers.get((place, key))
            if known is None:
                readers[place, key] = {tracker}
            else:
                known.add(tracker)
        partition = self._routing.partition_of_slot[slot_at(place)]
        self._partitions.setdefault(partition, set()).add(tracker)
        while len(readers) > self.keys_max + self._waiting:  # who waits is driven out by nobody
            oldest = next(iter(readers))
            self.invalidate(readers.pop(oldest), oldest[1])

    def wait_for(self, listener: Listener, database: int, key: bytes) -> None:
        """It has just been answered that nothing is there: tell it of the next change."""
        self.remember(listener, place_of(database, slot_of(key)), [key])

    def spare(self, tracker: Tracker, keys: Iterable[bytes]) -> None:
        """It has written these itself, and does not want to hear of it."""
        pending = self._pending.get(tracker)
        if pending is not None:
            for key in keys:
                pending.pop(key, None)

    # -- what a store tells ------------------------------------------------------------------

    def changed(self, place: int, key: bytes) -> None:
        readers = self._readers.pop((place, key), None)
        if readers is not None:
            self.invalidate(readers, key)
        for prefix, trackers in self._by_prefix.items():
            if key.startswith(prefix):
                is_led = self.answers_for(place)
                self.invalidate([t for t in trackers if is_led or _reads_copies(t)], key)

    def answers_for(self, place: int) -> bool:
        """Whoever reads there is told by this slave, and not by another one."""
        return self._routing.answers_for(place)

    def flushed(self, database: int | None) -> None:
        self.flush(self._listeners)

    def flush(self, trackers: Iterable[Listener]) -> None:
        """Let these forget everything."""
        for tracker in trackers:
            if not tracker.is_over:
                self._pending[tracker] = None

    def event(self, place: int, kind: str, name: bytes, key: bytes) -> None: ...

    def invalidate(self, trackers: Iterable[Listener], key: bytes) -> None:
        for tracker in trackers:
            if not tracker.is_over:
                pending = self._pending.setdefault(tracker, {})
                if pending is not None:
                    pending[key] = None

    # -- what the slave tells ----------------------------------------------------------------

    def leads(self, partition: int, term: int | None) -> bool:
        """This slave leads it in that term, or does not.  True when a lead that it had is over."""
        if self._led.get(partition) == term:
            return False
        is_over = self._led.pop(partition, None) is not None
        if is_over:
            self.lost_sight_of(partition)
        if term is not None:
            self._led[partition] = term
        return is_over

    def lost_sight_of(self, partition: int) -> None:
        """Changes there may come about without being seen here from now on."""
        for tracker in self._partitions.pop(partition, ()):
            if not tracker.is_over:
                self._pending[tracker] = None
        self.forget_broadcasts()

    def forget_broadcasts(self) -> None:
        """Changes of any keys may not have been seen here."""
        for trackers in self._by_prefix.values():
            self._pending.update(dict.fromkeys(trackers))

    # -- at the end of a turn ----------------------------------------------------------------

    @property
    def has_pending(self) -> bool:
        return bool(self._pending)

    def tell(self) -> None:
        pending, self._pending = self._pending, {}
        for tracker, keys in pending.items():
            if keys is None or keys:
                tracker.tell(None if keys is None else tuple(keys))


def _reads_copies(tracker: Tracker) -> bool:
    return tracker.client is not None and tracker.client.is_readonly
