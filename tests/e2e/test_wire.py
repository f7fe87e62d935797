"""Bytes on a connection: limits, order, RESP3, and who may answer for a key."""

import http.client
import socket

import pytest

from distrodb import LocalCluster
from distrodb.ring.slots import slot_of
from distrodb.slave.client_server import DROPPED_BYTES_MAX

LIMITS = {
    "limits_value_bytes_max": 1000,
    "limits_key_bytes_max": 100,
    "limits_arguments_max": 64,
    "limits_inline_bytes_max": 200,
    "limits_command_bytes_max": 8192,
    "limits_connections_max": 64,
}


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(nodes=3, **LIMITS) as cluster:
        yield cluster


class Wire:
    def __init__(self, cluster: LocalCluster, node: str):
        host, _, port = cluster.addresses[node].rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def end(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def rest(self) -> bytes:
        return self._file.read()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def line(self) -> bytes:
        return self._file.readline().removesuffix(b"\r\n")

    def ask(self, *args: bytes) -> bytes:
        self.send(command(*args))
        return self.line()

    def is_closed(self) -> bool:
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True


def command(*args: bytes) -> bytes:
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(a), a) for a in args)


def led_by(cluster: LocalCluster, node: str, count: int = 1) -> list[bytes]:
    """Keys of partitions that this slave leads."""
    led = [p["slots"] for p in cluster.status()["partitions"] if p["leader"] == node]
    names = (b"key%d" % number for number in range(100000))
    found = (n for n in names if any(first <= slot_of(n) <= last for first, last in led))
    return [next(found) for _ in range(count)]


@pytest.fixture
def key(cluster):
    return led_by(cluster, "node1")[0]


@pytest.fixture
def wire(cluster):
    with Wire(cluster, "node1") as wire:
        yield wire


def test_a_value_at_the_limit_is_taken_and_one_above_is_refused(wire, key):
    assert wire.ask(b"SET", key, b"v" * 1000) == b"+OK"
    assert wire.ask(b"APPEND", key, b"w").startswith(b"-ERR")
    assert wire.ask(b"STRLEN", key) == b":1000"
    too_long = b"invalid bulk length: 1001 bytes exceed value_bytes_max (1000)"
    assert wire.ask(b"SET", key, b"v" * 1001) == b"-ERR Protocol error: " + too_long
    assert wire.is_closed()


def test_a_key_at_the_limit_is_taken_and_one_above_is_refused(wire, key):
    tag = b"{" + key + b"}"
    assert wire.ask(b"SET", tag.ljust(100, b"k"), b"1") == b"+OK"
    assert wire.ask(b"SET", tag.ljust(101, b"k"), b"1").startswith(b"-ERR key exceeds")
    assert wire.ask(b"MSET", tag, b"1", tag.ljust(101, b"k"), b"1").startswith(b"-ERR key exceeds")
    assert wire.ask(b"EXISTS", tag, tag.ljust(101, b"k")) == b":0", "half of an MSET was done"


def test_arguments_at_the_limit_are_taken_and_one_more_is_refused(wire, key):
    assert wire.ask(b"EXISTS", *[key] * 63) in (b":0", b":63")
    too_many = b"invalid multibulk length: 65 arguments exceed arguments_max (64)"
    assert wire.ask(b"EXISTS", *[key] * 64) == b"-ERR Protocol error: " + too_many
    assert wire.is_closed()


def test_a_command_of_too_many_bytes_is_refused(wire, key):
    tag = b"{" + key + b"}"
    pairs = [part for n in range(12) for part in (tag + b"%d" % n, b"v" * 1000)]
    assert wire.ask(b"MSET", *pairs).startswith(b"-ERR Protocol error: command exceeds")
    assert wire.is_closed()


@pytest.mark.parametrize("size", [100_000, 20 << 20])
def test_who_sends_far_too_much_reads_which_limit_it_was(wire, key, size):
    """It is still sending when it is refused; a reset would take the reply away."""
    wire.send(command(b"PING") + command(b"SET", key, b"v" * size) + command(b"SET", key, b"1"))
    limit = b"invalid bulk length: %d bytes exceed value_bytes_max (1000)" % size
    assert [wire.line(), wire.line()] == [b"+PONG", b"-ERR Protocol error: " + limit]
    assert wire.rest() == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
def test_a_web_page_cannot_write(cluster, wire, key, method):
    assert wire.ask(b"DEL", key).startswith(b":")
    body = command(b"SET", key, b"1") + b"SET %b 1\r\n" % key
    page = http.client.HTTPConnection(cluster.addresses["node1"], timeout=30)
    with pytest.raises(http.client.RemoteDisconnected):
        page.request(method, "/", body)
        page.getresponse()
    assert wire.ask(b"EXISTS", key) == b":0"


def test_what_is_sent_without_end_is_dropped_and_ends(wire, key):
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        wire.send(b"*1\r\n$5000\r\n" + b"v" * DROPPED_BYTES_MAX)
        wire.send(b"v" * DROPPED_BYTES_MAX)


def test_inline_commands(wire, key):
    wire.send(b"SET " + key + b' "a \\x41 b"\r\n\r\nget ' + key + b"\nPING\r\n")
    assert [wire.line() for _ in range(4)] == [b"+OK", b"$5", b"a A b", b"+PONG"]
    wire.send(b"SET " + key + b' "open\r\n')
    assert wire.line() == b"-ERR Protocol error: unbalanced quotes in request"
    assert wire.is_closed()


def test_who_sends_nothing_more_is_still_answered(wire, key):
    """``printf 'SET …' | nc`` closes its side at once."""
    wire.send(b"SET %s 1\r\nGET %s\r\n" % (key, key))
    wire.end()
    assert wire.rest() == b"+OK\r\n$1\r\n1\r\n"


def test_a_long_inline_command_is_refused_before_its_end(wire):
    wire.send(b"x" * 300)
    too_big = b"too big inline request: more than inline_bytes_max (200)"
    assert wire.line() == b"-ERR Protocol error: " + too_big
    assert wire.is_closed()


def test_what_comes_before_bad_bytes_is_still_answered(wire, key):
    wire.send(command(b"SET", key, b"before") + command(b"GET", key) + b"*1\r\n$x\r\n")
    assert [wire.line() for _ in range(3)] == [b"+OK", b"$6", b"before"]
    assert wire.line().startswith(b"-ERR Protocol error")
    assert wire.is_closed()


def test_replies_keep_their_order_whoever_answers(cluster):
    """Commands for several partitions, for other slaves, about the connection, and wrong ones."""
    mine, other = led_by(cluster, "node1", 30), led_by(cluster, "node2")[0]
    data, expected = b"", []
    with Wire(cluster, "node1") as wire:
        for number, name in enumerate(mine):
            value = b"%d" % number
            data += command(b"SET", name, value) + command(b"ECHO", value) + command(b"GET", name)
            data += command(b"GET", other) + command(b"BREW") + command(b"INCR", name)
            expected += [b"+OK", b"$%d" % len(value), value, b"$%d" % len(value), value]
            expected += [b"-MOVED", b"-ERR", b":%d" % (number + 1)]
        wire.send(data)
        assert [wire.line().split()[0] for _ in expected] == expected


def test_a_transaction_runs_as_a_whole(wire, key):
    wire.ask(b"DEL", key)
    words = [(b"MULTI",), (b"SET", key, b"x"), (b"INCR", key), (b"PING",), (b"EXEC",)]
    wire.send(b"".join(command(*args) for args in words))
    assert [wire.line() for _ in range(4)] == [b"+OK", *[b"+QUEUED"] * 3]
    assert [wire.line()[:4] for _ in range(4)] == [b"*3", b"+OK", b"-ERR", b"+PON"]


def test_a_watched_key_that_was_touched_stops_its_transaction(wire, key):
    for between, reply in [((b"SET", key, b"1"), b"*-1"), ((b"STRLEN", key), b"*1")]:
        wire.ask(b"SET", key, b"1")
        assert wire.ask(b"WATCH", key) == b"+OK"
        wire.ask(*between)
        assert wire.ask(b"MULTI") == b"+OK" and wire.ask(b"INCR", key) == b"+QUEUED"
        assert wire.ask(b"EXEC") == reply
    assert wire.line() == b":2"


def test_what_is_for_another_database_does_not_land_in_this_one(wire, key):
    wire.ask(b"DEL", key)
    wire.send(command(b"SELECT", b"1") + command(b"SET", key, b"1"))
    assert wire.line() == wire.line() == b"+OK"
    assert wire.ask(b"SELECT", b"0") == b"+OK" and wire.ask(b"EXISTS", key) == b":0"
    assert wire.ask(b"SELECT", b"1") == b"+OK" and wire.ask(b"DEL", key) == b":1"


def test_a_readonly_connection_to_the_leader_sees_its_own_writes(wire, key):
    assert wire.ask(b"READONLY") == b"+OK"
    for number in range(200):
        value = b"%03d" % number
        wire.send(command(b"SET", key, value) + command(b"GET", key))
        assert [wire.line() for _ in range(3)] == [b"+OK", b"$3", value]


@pytest.mark.parametrize("ask", [(b"DBSIZE",), (b"CLUSTER", b"COUNTKEYSINSLOT"), (b"INFO",)])
def test_what_the_slave_says_of_keys_counts_those_of_its_own_connection(cluster, key, ask):
    tag = b"{%b}" % key
    if len(ask) == 2:
        ask = (*ask, b"%d" % slot_of(tag))
    with Wire(cluster, "node1") as wire:
        before = _count(wire, ask)
        for number in range(20):
            name = tag + b"counted%d" % number + ask[0]
            wire.send(command(b"SET", name, b"1") + command(*ask))
            assert wire.line() == b"+OK"
            assert _count(wire, None) == before + number + 1


def _count(wire: Wire, ask: tuple[bytes, ...] | None) -> int:
    """The number of keys in the reply to this, or to what was sent."""
    if ask is not None:
        wire.send(command(*ask))
    line = wire.line()
    if line[:1] == b":":
        return int(line[1:])
    text = wire.read(int(line[1:]) + 2)
    return int(text.partition(b"keys=")[2].partition(b",")[0] or 0)


def test_byte_by_byte_is_the_same_command(wire, key):
    for byte in command(b"SET", key, b"slowly") + command(b"GET", key):
        wire.send(bytes([byte]))
    assert [wire.line() for _ in range(3)] == [b"+OK", b"$6", b"slowly"]


def test_moved_names_the_slot_and_the_leader(cluster, wire):
    name = led_by(cluster, "node2")[0]
    moved = b"-MOVED %d %b" % (slot_of(name), cluster.addresses["node2"].encode())
    assert wire.ask(b"GET", name) == wire.ask(b"SET", name, b"1") == moved


def test_keys_of_two_slots_are_refused(wire):
    crossed = b"-CROSSSLOT Keys in request don't hash to the same slot"
    assert wire.ask(b"MGET", b"a", b"b") == wire.ask(b"DEL", b"a", b"b") == crossed
    assert wire.ask(b"MSET", b"a", b"1", b"b", b"2") == crossed


def test_resp3_is_chosen_by_hello(wire, key):
    nothing = led_nothing(key)
    assert wire.ask(b"GET", nothing) == b"$-1"
    assert wire.ask(b"HELLO", b"4") == b"-NOPROTO unsupported protocol version"
    header = wire.ask(b"HELLO", b"3")
    assert header.startswith(b"%")
    fields = {}
    for _ in range(int(header[1:])):
        name, value = (_value(wire) for _ in range(2))
        fields[name] = value
    assert fields[b"proto"] == 3 and fields[b"mode"] == b"cluster" and b"version" in fields
    assert wire.ask(b"GET", nothing) == b"_"
    assert wire.ask(b"CONFIG", b"GET", b"appendonly") == b"%1"


def led_nothing(key: bytes) -> bytes:
    return b"{" + key + b"}nothing"


def _value(wire: Wire) -> object:
    line = wire.line()
    if line[:1] == b"$":
        return wire.line()
    if line[:1] == b"*":
        return [_value(wire) for _ in range(int(line[1:]))]
    return int(line[1:]) if line[:1] == b":" else line[1:]


def test_more_connections_than_allowed_are_told_so(cluster):
    wires = []
    try:
        for _ in range(80):
            wires.append(Wire(cluster, "node3"))
        for wire in wires[70:]:  # they speak first, as clients do: their bytes cause no reset
            wire.send(command(b"PING") * 1000)
        for wire in wires[70:]:
            assert wire.line() == b"-ERR max number of clients reached"
            assert wire.is_closed()
        wires[0].send(command(b"PING"))
        assert wires[0].line() == b"+PONG"
    finally:
        for wire in wires:
            wire.__exit__()
    cluster.wait_until(lambda: _pings(cluster), "there is room again")


def _pings(cluster: LocalCluster) -> bool:
    with Wire(cluster, "node3") as wire:
        return wire.ask(b"PING") == b"+PONG"


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_pipeline_of_redis_py_spreads_and_gathers(cluster, protocol):
    client = cluster.client(protocol=protocol)
    with client.pipeline() as pipeline:
        for number in range(300):
            pipeline.set(f"p{number}", number).incr(f"p{number}").get(f"p{number}")
        replies = pipeline.execute()
    assert [bytes(reply) for reply in replies[2::3]] == [b"%d" % (n + 1) for n in range(300)]
    assert replies[1::3] == [n + 1 for n in range(300)]


def test_beyond_maxmemory_writes_are_refused_until_there_is_room() -> None:
    oom = b"-OOM command not allowed when used memory > 'maxmemory'."
    with (
        LocalCluster(nodes=1, partitions=2, limits_maxmemory=1_000_000) as cluster,
        Wire(cluster, "node1") as wire,
        Wire(cluster, "node1") as other,
    ):
        assert other.ask(b"MULTI") == b"+OK" and other.ask(b"SET", b"b", b"1") == b"+QUEUED"
        cluster.wait_until(
            lambda: wire.ask(b"APPEND", b"a", b"v" * 100_000) == oom, "there is no room"
        )
        assert wire.ask(b"SET", b"b", b"1") == wire.ask(b"INCR", b"c") == oom
        assert other.ask(b"EXEC") == b"-EXECABORT Transaction discarded because of: " + oom[1:]
        assert wire.ask(b"STRLEN", b"a").startswith(b":1")
        assert wire.ask(b"EXPIRE", b"a", b"1000") == b":1"
        wire.send(command(b"INFO", b"memory"))
        info = wire.read(int(wire.line()[1:]) + 2)
        assert b"\r\nmaxmemory:1000000\r\n" in info and b"used_memory_dataset:1" in info
        assert wire.ask(b"DEL", b"a") == b":1"
        cluster.wait_until(lambda: wire.ask(b"SET", b"b", b"1") == b"+OK", "there is room")
