"""Who of this slave's clients has subscribed to what.  Pure.

Three kinds, as in Redis: channels, patterns of channels, and shard channels, which are a name space
of their own.  A message goes to each subscriber of its channel, then to each of the patterns that
match, in the order in which they subscribed; whoever has several gets it several times.

Bounds of one client: bytes of all its names (``bytes_max``); number and bytes of its patterns, each
of which is compared with every message, and compiled while all others wait.

Caveat: a message costs a look at every pattern of this slave, as in Redis.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from distrodb.keyspace.glob import LONG_PATTERN, PATTERN_BYTES_MAX, glob
from distrodb.resp.encode import encode
from distrodb.resp.reply import ErrorReply, Push, error
from distrodb.ring.slots import slot_of

CHANNEL, PATTERN, SHARD = range(3)  # kinds
NAME_BYTES = 256  # that a subscription takes in memory beside its name, about
PATTERNS_MAX = 1024  # of one client
PATTERNS_BYTES_MAX = 65536  # of one client: the worst of them are compiled in half a second
TOO_MANY = error("ERR", "subscriptions of this connection exceed subscription_bytes_max")
TOO_MANY_PATTERNS = error(
    "ERR",
    f"more than {PATTERNS_MAX} patterns of one connection,"
    f" or of more than {PATTERNS_BYTES_MAX} bytes together",
)


class Subscriber(Protocol):
    """A client's session."""

    is_subscribed: bool  # to anything

    @property
    def is_everywhere(self) -> bool:
        """It speaks to a gateway, to which all slots are one."""

    kept_bytes: int  # for the client: its names among them

    @property
    def protocol(self) -> int: ...

    def push_now(self, data: bytes) -> None: ...


class _Own:
    """What one client has subscribed to."""

    __slots__ = ("bytes", "names", "pattern_bytes")

    def __init__(self) -> None:
        self.names: tuple[dict[bytes, None], ...] = ({}, {}, {})  # by kind
        self.bytes = self.pattern_bytes = 0


class Subscriptions:
    def __init__(self, bytes_max: int):
        self._bytes_max = bytes_max
        self._own: dict[Subscriber, _Own] = {}
        self._by_name: tuple[dict[bytes, dict[Subscriber, None]], ...] = ({}, {}, {})
        self._matches: dict[bytes, Callable[[bytes], object]] = {}  # by pattern

    # -- subscribing -------------------------------------------------------------------------

    def objection(
        self, subscriber: Subscriber, kind: int, names: Sequence[bytes]
    ) -> ErrorReply | None:
        """Why a client may not have these too."""
        own = self._own.get(subscriber) or _Own()
        new = set(names).difference(own.names[kind])
        length = sum(map(len, new))
        if own.bytes + length + NAME_BYTES * len(new) > self._bytes_max:
            return TOO_MANY
        if kind == PATTERN:
            if any(len(name) > PATTERN_BYTES_MAX for name in new):
                return LONG_PATTERN
            count = len(own.names[PATTERN]) + len(new)
            if count > PATTERNS_MAX or own.pattern_bytes + length > PATTERNS_BYTES_MAX:
                return TOO_MANY_PATTERNS
        return None

    def add(self, subscriber: Subscriber, kind: int, name: bytes) -> None:
        """Raises nothing: whoever asks has seen that there is no ``objection``."""
        own = self._own.get(subscriber)
        if own is None:
            own = self._own[subscriber] = _Own()
            subscriber.is_subscribed = True
        if name in own.names[kind]:
            return
        own.names[kind][name] = None
        own.bytes += len(name) + NAME_BYTES
        subscriber.kept_bytes += len(name) + NAME_BYTES
        subscribers = self._by_name[kind].setdefault(name, {})
        subscribers[subscriber] = None
        if kind == PATTERN:
            own.pattern_bytes += len(name)
            if name not in self._matches:
                self._matches[name] = glob(name).match

    def remove(self, subscriber: Subscriber, kind: int, name: bytes) -> None:
        """Nothing happens if it is not subscribed."""
        own = self._own.get(subscriber)
        if own is None or name not in own.names[kind]:
            return
        del own.names[kind][name]
        own.bytes -= len(name) + NAME_BYTES
        subscriber.kept_bytes -= len(name) + NAME_BYTES
        if kind == PATTERN:
            own.pattern_bytes -= len(name)
        self._forget(subscriber, kind, name)
        if not any(own.names):
            del self._own[subscriber]
            subscriber.is_subscribed = False

    def _forget(self, subscriber: Subscriber, kind: int, name: bytes) -> None:
        subscribers = self._by_name[kind][name]
        del subscribers[subscriber]
        if not subscribers:
            del self._by_name[kind][name]
            if kind == PATTERN:
                del self._matches[name]

    def leave(self, subscriber: Subscriber) -> None:
        """The client is gone, or begins anew."""
        own = self._own.pop(subscriber, None)
        if own is not None:
            for kind, names in enumerate(own.names):
                for name in names:
                    self._forget(subscriber, kind, name)
            subscriber.kept_bytes -= own.bytes
            subscriber.is_subscribed = False

    # -- what is subscribed to ---------------------------------------------------------------

    def names(self, subscriber: Subscriber, kind: int) -> list[bytes]:
        own = self._own.get(subscriber)
        return [] if own is None else list(own.names[kind])

    def count(self, subscriber: Subscriber, kind: int) -> int:
        """What a confirmation tells: how many there are of shard channels, or of all others."""
        own = self._own.get(subscriber)
        if own is None:
            return 0
        channels, patterns, shard = own.names
        return len(shard) if kind == SHARD else len(channels) + len(patterns)

    def active(self, kind: int) -> Iterable[bytes]:
        """What anybody has subscribed to."""
        return self._by_name[kind].keys()

    def subscriber_count(self, kind: int, name: bytes) -> int:
        return len(self._by_name[kind].get(name, ()))

    # -- messages ----------------------------------------------------------------------------

    def publish(self, channel: bytes, message: bytes) -> int:
        """Returns how many have received it."""
        channels, patterns, _ = self._by_name
        received = 0
        if channel in channels:
            received = _tell(channels[channel], (b"message", channel, message))
        if patterns:
            matching = [name for name, match in self._matches.items() if match(channel)]
            for name in matching:
                found = patterns.get(name, {})  # whoever could not be told has left
                received += _tell(found, (b"pmessage", name, channel, message))
        return received

    def publish_to_shard(self, channel: bytes, message: bytes) -> int:
        found = self._by_name[SHARD].get(channel)
        return _tell(found, (b"smessage", channel, message)) if found else 0

    def leave_slots(self, first: int, last: int) -> None:
        """The shard channels of these slots are not served here any more."""
        gone = [name for name in self._by_name[SHARD] if first <= slot_of(name) <= last]
        for name in gone:
            for subscriber in list(self._by_name[SHARD][name]):
                if subscriber.is_everywhere:
                    continue
                self.remove(subscriber, SHARD, name)
                left = self.count(subscriber, SHARD)
                _tell({subscriber: None}, (b"sunsubscribe", name, left))


def _tell(subscribers: Mapping[Subscriber, None], items: tuple[bytes | int, ...]) -> int:
    """It is encoded once for all who speak the same protocol."""
    message, encoded = Push(items), dict[int, bytes]()
    listening = list(subscribers)  # whoever is woken may leave
    for subscriber in listening:
        protocol = subscriber.protocol
        data = encoded.get(protocol)
        if data is None:
            data = encoded[protocol] = encode(message, protocol)
        subscriber.push_now(data)
    return len(listening)
