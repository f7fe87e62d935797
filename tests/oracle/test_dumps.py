"""Values go from our server to a real one and back, as tools that copy keys carry them."""

import pytest

from tests.oracle.differences import without_activity
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import RedisServer

OK = (b"+", b"OK")
SEEN = {
    b"SET": [b"GET", b"k"],
    b"HSET": [b"HGETALL", b"k"],
    b"ZADD": [b"ZRANGE", b"k", b"0", b"-1"],
}
VALUES = [
    [b"SET", b"k", text]
    for text in (
        *(b"", b"hello", b"0", b"-129", b"32768", b"2147483648", b"-9223372036854775808", b"007"),
        *(b"x" * 19, b"x" * 64, b"ab" * 9000, b"text " * 5000, bytes(range(256)) * 300),
    )
]
FIELDS = [
    *(b"f", b"1", b"", b"2", b"127", b"128", b"-1", b"4095", b"4096", b"-4097", b"32768"),
    *(b"8388608", b"2147483648", b"-9223372036854775808", b"x" * 64, b"y" * 63),
]
VALUES += [[b"HSET", b"k", *FIELDS], [b"HSET", b"k", b"large", b"ab" * 40000]]
VALUES += [[b"HSET", b"k", *(b"%d" % (n // 2 if n % 2 else n) for n in range(2000))]]
VALUES += [
    [b"ZADD", b"k", *(b"1", b"a", b"-1.5", b"b", b"inf", b"c", b"-inf", b"d", b"0.1", b"e")],
    [b"ZADD", b"k", *(b"%d.25" % (n // 2) if n % 2 == 0 else b"m%d" % n for n in range(600))],
    [b"ZADD", b"k", b"1e300", b"x" * 100, b"123456789", b"2"],
]


@pytest.mark.parametrize("command", VALUES, ids=lambda words: repr(b" ".join(words[:4])[:40]))
def test_a_value_is_the_same_here_and_there(command: list[bytes], single: RedisServer) -> None:
    theirs, ours = single.connect(), PureServer()
    see = SEEN[command[0]]
    for one, other in ((theirs, ours), (ours, theirs)):
        for server in (one, other):
            server.ask_all([[b"FLUSHALL"]])
        _, (_, payload), seen = one.ask_all([command, [b"DUMP", b"k"], see])
        asked = [[b"RESTORE", b"k", b"100000", payload], see, [b"TTL", b"k"]]
        reply, found, (_, ttl) = other.ask_all(asked)
        assert reply == OK and 95 <= ttl <= 100
        assert sorted(map(repr, found[1])) == sorted(map(repr, seen[1]))
    theirs.close()


STREAM = [
    *(b"XADD k %d-%d f %s" % (1000 + 3 * n, n % 7, b"v" * n) for n in range(1, 200)),
    *(b"XADD k %d-1 f 1 g %d" % (2000 + n, n * n) for n in range(1, 50)),
    b"XADD k 18446744073709551615-18446744073709551614 f -7",
    b"XDEL k 1003-1 1006-2",
    b"XGROUP CREATE k g 0",
    b"XGROUP CREATE k h $",
    b"XREADGROUP GROUP g c COUNT 130 STREAMS k >",
    b"XREADGROUP GROUP g d COUNT 13 STREAMS k >",
    b"XACK k g 1015-5",
    b"XDEL k 1018-6",
]


def test_a_stream_is_the_same_here_and_there(single: RedisServer) -> None:
    theirs, ours = single.connect(), PureServer()
    see = b"XINFO STREAM k FULL COUNT 0".split()
    for one, other in ((theirs, ours), (ours, theirs)):
        for server in (one, other):
            server.ask_all([[b"FLUSHALL"]])
        made = [line.split(b" ") for line in STREAM]
        *_, (_, payload), seen = one.ask_all([*made, [b"DUMP", b"k"], see])
        reply, found = other.ask_all([[b"RESTORE", b"k", b"0", payload], see])
        assert reply == OK
        # But for how many blocks it lies in.
        told, kept = (without_activity(frame)[1] for frame in (found, seen))
        assert told[:2] == kept[:2] and told[6:] == kept[6:]
    theirs.close()
