"""Who gets which message, and what of it counts against whom."""

import pytest

from distrodb.resp.reply import ErrorReply
from distrodb.slave.subscriptions import (
    CHANNEL,
    NAME_BYTES,
    PATTERN,
    PATTERNS_BYTES_MAX,
    PATTERNS_MAX,
    SHARD,
    Subscriptions,
)


class Client:
    protocol = 2
    is_subscribed = is_everywhere = False
    kept_bytes = 0

    def __init__(self) -> None:
        self.told: list[bytes] = []

    def push_now(self, data: bytes) -> None:
        self.told.append(data)


def words(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\r\n") if line and line[:1] not in b"*$>"]


def told(client: Client) -> list[list[bytes]]:
    return [words(data) for data in client.told]


def test_a_message_goes_to_channel_then_patterns_each_once() -> None:
    subscriptions, one, other = Subscriptions(1 << 20), Client(), Client()
    subscriptions.add(one, PATTERN, b"n*")
    subscriptions.add(one, CHANNEL, b"news")
    subscriptions.add(other, CHANNEL, b"news")
    subscriptions.add(other, CHANNEL, b"else")
    assert subscriptions.publish(b"news", b"m") == 3
    assert told(one) == [[b"message", b"news", b"m"], [b"pmessage", b"n*", b"news", b"m"]]
    assert told(other) == [[b"message", b"news", b"m"]]
    assert subscriptions.publish(b"nobody's", b"m") == 1
    assert subscriptions.publish(b"N", b"m") == 0


def test_each_gets_it_in_its_protocol() -> None:
    subscriptions, old, new = Subscriptions(1 << 20), Client(), Client()
    new.protocol = 3
    for client in (old, new):
        subscriptions.add(client, CHANNEL, b"c")
    subscriptions.publish(b"c", b"m")
    assert old.told == [b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"]
    assert new.told == [b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"]


def test_shard_channels_are_a_name_space_of_their_own() -> None:
    subscriptions, client = Subscriptions(1 << 20), Client()
    subscriptions.add(client, SHARD, b"c")
    assert subscriptions.publish(b"c", b"m") == 0
    assert subscriptions.publish_to_shard(b"c", b"m") == 1
    assert told(client) == [[b"smessage", b"c", b"m"]]
    assert subscriptions.count(client, SHARD) == 1 and subscriptions.count(client, CHANNEL) == 0


def test_slots_that_are_not_served_any_more_take_their_channels_along() -> None:
    subscriptions, client = Subscriptions(1 << 20), Client()
    for name in (b"foo", b"bar", b"other"):  # slots 12182, 5061, 11361
        subscriptions.add(client, SHARD, name)
    subscriptions.leave_slots(11361, 12182)
    assert told(client) == [[b"sunsubscribe", b"foo", b":2"], [b"sunsubscribe", b"other", b":1"]]
    assert subscriptions.names(client, SHARD) == [b"bar"]
    subscriptions.leave_slots(0, 16383)
    assert not client.is_subscribed


def test_who_leaves_is_forgotten_whole() -> None:
    subscriptions, client, other = Subscriptions(1 << 20), Client(), Client()
    for kind, name in ((CHANNEL, b"a"), (PATTERN, b"*"), (SHARD, b"a")):
        subscriptions.add(client, kind, name)
        subscriptions.add(client, kind, name)
    subscriptions.add(other, PATTERN, b"*")
    assert client.is_subscribed and subscriptions.active(PATTERN)
    subscriptions.leave(client)
    assert not client.is_subscribed
    assert subscriptions.publish(b"a", b"m") == 1 and not client.told
    subscriptions.remove(other, PATTERN, b"*")
    assert not other.is_subscribed and not subscriptions.active(PATTERN)
    assert not any(subscriptions.active(kind) for kind in (CHANNEL, PATTERN, SHARD))


def test_bounds_of_one_client() -> None:
    subscriptions, client = Subscriptions(4 * NAME_BYTES), Client()
    for name in (b"a", b"b", b"c"):
        assert subscriptions.objection(client, CHANNEL, [name]) is None
        subscriptions.add(client, CHANNEL, name)
    assert isinstance(subscriptions.objection(client, CHANNEL, [b"d"]), ErrorReply)
    assert subscriptions.objection(client, CHANNEL, [b"a"]) is None  # it has it already
    assert subscriptions.objection(Client(), CHANNEL, [b"d"]) is None
    subscriptions.remove(client, CHANNEL, b"a")
    assert subscriptions.objection(client, CHANNEL, [b"d"]) is None


@pytest.mark.parametrize(
    "patterns",
    [
        [b"x" * 4097],
        [b"%d" % number for number in range(PATTERNS_MAX + 1)],
        [b"%04090d" % number for number in range(PATTERNS_BYTES_MAX // 4090 + 1)],
    ],
)
def test_patterns_are_bounded_since_each_is_compiled(patterns: list[bytes]) -> None:
    subscriptions, client = Subscriptions(1 << 24), Client()
    assert isinstance(subscriptions.objection(client, PATTERN, patterns), ErrorReply)
    assert subscriptions.objection(client, PATTERN, patterns[:-1]) is None
    assert subscriptions.objection(client, CHANNEL, patterns) is None
