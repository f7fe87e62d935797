"""Messages between clients: SUBSCRIBE and its kind, PUBLISH, PUBSUB.

A message reaches the subscribers of all slaves (slave/pubsub.py); those that PUBLISH and PUBSUB
count are the asked slave's, as in Redis Cluster, and through a gateway those of all.  A shard
channel belongs to the slot of its name: slaves that have a copy of that serve it, and others send a
client there, as for a key; to a gateway all channels are one.
"""

from collections.abc import Sequence

from distrodb.commands.api import Answer, SessionApi
from distrodb.commands.command import container, session_row
from distrodb.commands.error_replies import CROSSSLOT, wrong_subcommand
from distrodb.commands.key_specs import many, one
from distrodb.keyspace.glob import LONG_PATTERN, PATTERN_BYTES_MAX, glob
from distrodb.resp.reply import ErrorReply, Push, Reply, Several, error
from distrodb.ring.slots import share_slot, slot_of

CHANNEL, PATTERN, SHARD = range(3)  # kinds of subscriptions
CHANNEL_BYTES_MAX = 65536  # of PUBLISH, since each is compared with all patterns while others wait
LONG_CHANNEL = error("ERR", f"a channel of more than {CHANNEL_BYTES_MAX} bytes")


def _subscribe(session: SessionApi, word: bytes, kind: int, names: Sequence[bytes]) -> Reply:
    subscriptions = session.slave.subscriptions
    if objection := subscriptions.objection(session, kind, names):
        return objection
    confirmed = []
    for name in names:
        subscriptions.add(session, kind, name)
        confirmed.append(Push((word, name, subscriptions.count(session, kind))))
    return Several(tuple(confirmed))


def _unsubscribe(session: SessionApi, word: bytes, kind: int, names: Sequence[bytes]) -> Reply:
    subscriptions = session.slave.subscriptions
    confirmed = []
    for name in names or subscriptions.names(session, kind):
        subscriptions.remove(session, kind, name)
        confirmed.append(Push((word, name, subscriptions.count(session, kind))))
    nothing = Push((word, None, subscriptions.count(session, kind)))
    return Several(tuple(confirmed or [nothing]))


def _elsewhere(session: SessionApi, channels: Sequence[bytes]) -> ErrorReply | None:
    """Why shard channels are not served here."""
    if session.slave.mode == "cluster" and not share_slot(channels):
        return CROSSSLOT
    return session.slave.shard_elsewhere(slot_of(channels[0]))


def subscribe(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return _subscribe(session, b"subscribe", CHANNEL, args[1:])


def unsubscribe(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return _unsubscribe(session, b"unsubscribe", CHANNEL, args[1:])


def psubscribe(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return _subscribe(session, b"psubscribe", PATTERN, args[1:])


def punsubscribe(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return _unsubscribe(session, b"punsubscribe", PATTERN, args[1:])


def ssubscribe(session: SessionApi, args: Sequence[bytes]) -> Reply:
    elsewhere = _elsewhere(session, args[1:])
    return elsewhere or _subscribe(session, b"ssubscribe", SHARD, args[1:])


def sunsubscribe(session: SessionApi, args: Sequence[bytes]) -> Reply:
    is_cluster = session.slave.mode == "cluster"
    if is_cluster and len(args) > 1 and not share_slot(args[1:]):
        return CROSSSLOT
    return _unsubscribe(session, b"sunsubscribe", SHARD, args[1:])


def publish(session: SessionApi, args: Sequence[bytes]) -> Answer:
    if len(args[1]) > CHANNEL_BYTES_MAX:
        return LONG_CHANNEL
    return session.slave.publish(session, CHANNEL, args[1], args[2])


def spublish(session: SessionApi, args: Sequence[bytes]) -> Answer:
    elsewhere = _elsewhere(session, args[1:2])
    return elsewhere or session.slave.publish(session, SHARD, args[1], args[2])


def _active(session: SessionApi, args: Sequence[bytes], kind: int) -> Answer:
    if len(args) > 3:
        return wrong_subcommand(args)
    if len(args) == 2:
        return session.slave.list_active(session, kind, list)
    if len(args[2]) > PATTERN_BYTES_MAX:
        return LONG_PATTERN
    matches = glob(args[2]).match

    def whole(active: Sequence[bytes]) -> Reply:
        return [name for name in active if matches(name)]

    return session.slave.list_active(session, kind, whole)


def _counts(session: SessionApi, names: Sequence[bytes], kind: int) -> Answer:
    def whole(counts: Sequence[int]) -> Reply:
        return [item for pair in zip(names, counts, strict=True) for item in pair]

    return session.slave.count_subscribers(session, kind, names, whole)


def channels(session: SessionApi, args: Sequence[bytes]) -> Answer:
    return _active(session, args, CHANNEL)


def shard_channels(session: SessionApi, args: Sequence[bytes]) -> Answer:
    return _active(session, args, SHARD)


def number_of_subscribers(session: SessionApi, args: Sequence[bytes]) -> Answer:
    return _counts(session, args[2:], CHANNEL)


def number_of_shard_subscribers(session: SessionApi, args: Sequence[bytes]) -> Answer:
    return _counts(session, args[2:], SHARD)


def number_of_patterns(session: SessionApi, args: Sequence[bytes]) -> Answer:
    return session.slave.list_active(session, PATTERN, len)


_CHANNEL = one("not_key")
_CHANNELS = many("not_key")
_LISTEN = "pubsub noscript loading stale"
_SHOW = "pubsub loading stale"
_ROWS = (
    ("channels", channels, -2, _SHOW, "Returns the active channels.", "2.8.0"),
    (
        "numsub",
        number_of_subscribers,
        -2,
        _SHOW,
        "Returns a count of subscribers to channels.",
        "2.8.0",
    ),
    (
        "numpat",
        number_of_patterns,
        2,
        _SHOW,
        "Returns a count of unique pattern subscriptions.",
        "2.8.0",
    ),
    ("shardchannels", shard_channels, -2, _SHOW, "Returns the active shard channels.", "7.0.0"),
    (
        "shardnumsub",
        number_of_shard_subscribers,
        -2,
        _SHOW,
        "Returns the count of subscribers of shard channels.",
        "7.0.0",
    ),
)

COMMANDS = (
    session_row(
        "subscribe",
        subscribe,
        -2,
        _LISTEN,
        "pubsub",
        "Listens for messages published to channels.",
        "2.0.0",
    ),
    session_row(
        "unsubscribe", unsubscribe, -1, _LISTEN, "pubsub", "Stops listening to them.", "2.0.0"
    ),
    session_row("psubscribe", psubscribe, -2, _LISTEN, "pubsub", "Listens to patterns.", "2.0.0"),
    session_row(
        "punsubscribe", punsubscribe, -1, _LISTEN, "pubsub", "Stops listening to them.", "2.0.0"
    ),
    session_row(
        "ssubscribe",
        ssubscribe,
        -2,
        _LISTEN,
        "pubsub",
        "Listens to shard channels.",
        "7.0.0",
        keys=_CHANNELS,
    ),
    session_row(
        "sunsubscribe",
        sunsubscribe,
        -1,
        _LISTEN,
        "pubsub",
        "Stops listening to them.",
        "7.0.0",
        keys=_CHANNELS,
    ),
    session_row(
        "publish",
        publish,
        3,
        "pubsub loading stale fast",
        "pubsub",
        "Sends a message to all subscribers of a channel.",
        "2.0.0",
    ),
    session_row(
        "spublish",
        spublish,
        3,
        "pubsub loading stale fast",
        "pubsub",
        "Sends a message to all subscribers of a shard channel.",
        "7.0.0",
        keys=_CHANNEL,
    ),
    container(
        "pubsub",
        "pubsub",
        "About channels and their subscribers.",
        "2.8.0",
        [
            session_row(f"pubsub|{word}", handler, arity, flags, "pubsub", summary, since)
            for word, handler, arity, flags, summary, since in _ROWS
        ],
    ),
)
