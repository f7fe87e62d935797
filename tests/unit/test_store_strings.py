import operator
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.commands.bits import PIECE_BYTES, SOURCES_BYTES_MAX
from distrodb.commands.numbers import INT_MAX, INT_MIN, parse_integer
from distrodb.commands.string_options import BAD_DIGEST, digest
from distrodb.commands.table import DATA_COMMANDS
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.store import Store
from distrodb.resp.reply import OK, ErrorReply, Reply, error
from distrodb.ring.slots import SLOT_COUNT
from distrodb.slave.machine_factory import new_store

NOT_AN_INTEGER = error("ERR", "value is not an integer or out of range")
SYNTAX = error("ERR", "syntax error")
OVERFLOW = error("ERR", "increment or decrement would overflow")


def make(**values: str) -> Store:
    store = new_store(0, SLOT_COUNT - 1, StoreLimits(key_bytes_max=10, value_bytes_max=20))
    for key, value in values.items():
        assert run(store, f"SET {key} {value}") == OK
    return store


def run(store: Store, line: str) -> Reply:
    return store.execute(0, line.encode().split(b" "), 0)


@pytest.mark.parametrize(
    ("line", "reply", "a", "n"),
    [
        ("GET a", b"1x", b"1x", b"7"),
        ("get a", b"1x", b"1x", b"7"),
        ("GET none", None, b"1x", b"7"),
        ("SET a z", OK, b"z", b"7"),
        ("SET a z NX", None, b"1x", b"7"),
        ("SET a z xx", OK, b"z", b"7"),
        ("SET c z XX", None, b"1x", b"7"),
        ("SET a z GET", b"1x", b"z", b"7"),
        ("SET a z NX GET", b"1x", b"1x", b"7"),
        ("SET c z XX GET", None, b"1x", b"7"),
        ("SET a z NX XX", SYNTAX, b"1x", b"7"),
        ("SET a z FOO", SYNTAX, b"1x", b"7"),
        ("SET a z EX 1", OK, b"z", b"7"),
        ("SET a z EX", SYNTAX, b"1x", b"7"),
        ("SET a z EX 0", error("ERR", "invalid expire time in 'set' command"), b"1x", b"7"),
        ("SET a z keepttl", OK, b"z", b"7"),
        ("SET a z IFEQ 1x", OK, b"z", b"7"),
        ("SET a z IFEQ 2x", None, b"1x", b"7"),
        ("SET a z IFEQ 2x GET", b"1x", b"1x", b"7"),
        ("SET a z IFNE 2x", OK, b"z", b"7"),
        ("SET a z IFNE 1x", None, b"1x", b"7"),
        ("SET none z IFEQ 1x", None, b"1x", b"7"),
        ("SET none z IFNE 1x", OK, b"1x", b"7"),
        ("SET a z IFDEQ 1e2b9ec0b4c6a1a6", None, b"1x", b"7"),
        ("SET a z IFDEQ 123", BAD_DIGEST, b"1x", b"7"),
        ("SET a z NX IFEQ 1x", SYNTAX, b"1x", b"7"),
        ("SET a z IFEQ", SYNTAX, b"1x", b"7"),
        ("DELEX a IFEQ 2x", 0, b"1x", b"7"),
        ("DELEX a IFEQ 1x", 1, None, b"7"),
        ("DELEX a IFNE 2x", 1, None, b"7"),
        ("DELEX a", 1, None, b"7"),
        ("DELEX none IFNE 1x", 0, b"1x", b"7"),
        ("MSETEX 2 a p n q", 1, b"p", b"q"),
        ("MSETEX 2 a p none q NX", 0, b"1x", b"7"),
        ("MSETEX 2 a p n q XX EX 100", 1, b"p", b"q"),
        ("MSETEX 3 a p n q", error("ERR", "wrong number of key-value pairs"), b"1x", b"7"),
        ("MSETEX 0 a p n q", error("ERR", "invalid numkeys value"), b"1x", b"7"),
        ("MSETEX 1 a p n q", SYNTAX, b"1x", b"7"),
        ("SETNX a z", 0, b"1x", b"7"),
        ("SETNX c z", 1, b"1x", b"7"),
        ("MGET a none n", [b"1x", None, b"7"], b"1x", b"7"),
        ("MSET a p n q", OK, b"p", b"q"),
        ("MSET a p a q", OK, b"q", b"7"),
        ("MSET a p n", error("ERR", "wrong number of arguments for 'mset' command"), b"1x", b"7"),
        ("STRLEN a", 2, b"1x", b"7"),
        ("STRLEN none", 0, b"1x", b"7"),
        ("APPEND a yz", 4, b"1xyz", b"7"),
        ("APPEND c yz", 2, b"1x", b"7"),
        ("INCR n", 8, b"1x", b"8"),
        ("DECR n", 6, b"1x", b"6"),
        ("INCRBY n -10", -3, b"1x", b"-3"),
        ("DECRBY n 3", 4, b"1x", b"4"),
        ("INCR c", 1, b"1x", b"7"),
        ("INCR a", NOT_AN_INTEGER, b"1x", b"7"),
        ("INCRBY n 1.5", NOT_AN_INTEGER, b"1x", b"7"),
        ("INCRBY n +1", NOT_AN_INTEGER, b"1x", b"7"),
        ("INCRBY n 9223372036854775808", NOT_AN_INTEGER, b"1x", b"7"),
        ("INCRBY n 9223372036854775807", OVERFLOW, b"1x", b"7"),
        ("DECRBY n -9223372036854775808", error("ERR", "decrement would overflow"), b"1x", b"7"),
        ("GET", error("ERR", "wrong number of arguments for 'get' command"), b"1x", b"7"),
        ("GET a b", error("ERR", "wrong number of arguments for 'get' command"), b"1x", b"7"),
        ("SET a", error("ERR", "wrong number of arguments for 'set' command"), b"1x", b"7"),
    ],
)  # fmt: skip
def test_command(line: str, reply: Reply, a: bytes, n: bytes) -> None:
    store = make(a="1x", n="7")
    assert run(store, line) == reply
    assert run(store, "MGET a n") == [a, n]


@pytest.mark.parametrize("name", ["SET {} {}", "SETNX {} {}", "APPEND {} {}", "MSET a 1 {} {}"])
def test_limits_hold_at_the_byte_and_refusal_changes_nothing(name: str) -> None:
    key, value = "k" * 10, "v" * 20
    assert not isinstance(run(make(), name.format(key, value)), ErrorReply)
    store = make()
    before = store.digest()
    assert run(store, name.format(key + "k", value)) == error(
        "ERR", "key exceeds key_bytes_max (10 bytes)"
    )
    assert run(store, name.format(key, value + "v")) == error(
        "ERR", "value exceeds value_bytes_max (20 bytes)"
    )
    assert store.digest() == before


def test_append_counts_what_is_there_already() -> None:
    store = make(a="v" * 15)
    assert isinstance(run(store, "APPEND a 123456"), ErrorReply)
    assert run(store, "APPEND a 12345") == 20


def test_incr_does_not_make_a_key_that_is_too_long() -> None:
    store = make()
    assert isinstance(run(store, "INCR kkkkkkkkkkk"), ErrorReply)
    assert store.key_count() == 0


@given(st.integers(INT_MIN, INT_MAX), st.integers(INT_MIN, INT_MAX))
def test_incrby_is_64_bit_addition_or_an_error(number: int, delta: int) -> None:
    store = new_store(0, 0)
    run(store, f"SET n {number}")
    reply = run(store, f"INCRBY n {delta}")
    if INT_MIN <= number + delta <= INT_MAX:
        assert reply == number + delta
        assert run(store, "GET n") == b"%d" % (number + delta)
    else:
        assert isinstance(reply, ErrorReply)
        assert run(store, "GET n") == b"%d" % number


@given(st.integers(INT_MIN * 2, INT_MAX * 2))
def test_integers_parse_within_64_bits(number: int) -> None:
    inside = INT_MIN <= number <= INT_MAX
    assert parse_integer(b"%d" % number) == (number if inside else None)


@pytest.mark.parametrize(
    "text", [b"", b" 1", b"1 ", b"+1", b"01", b"-0", b"1_0", b"1.0", b"\xd9\xa1", b"0x1", b"-"]
)
def test_only_the_strict_form_is_an_integer(text: bytes) -> None:
    assert parse_integer(text) is None


@given(
    st.sampled_from(sorted(DATA_COMMANDS)) | st.binary(max_size=5),
    st.lists(
        st.binary(max_size=4) | st.sampled_from([b"NX", b"GET", b"0", b"MATCH", b"COUNT", b"[a"]),
        max_size=6,
    ),
)
def test_execute_takes_any_command_and_errors_change_nothing(
    name: bytes, rest: list[bytes]
) -> None:
    store = make(a="1x", n="7")
    before = store.digest()
    row = DATA_COMMANDS.get(name.upper())
    slot = -1 if row and row.scope == "partition" else 0
    reply = store.execute(slot, [name, *rest], 0)
    if isinstance(reply, ErrorReply):
        assert store.digest() == before


def test_conditions_on_a_digest() -> None:
    """XXH3 of 64 bits, as `redis-cli DIGEST` shows it; in capitals too."""
    store = make(a="1x", n="7")
    found = run(store, "DIGEST a")
    assert found == digest(b"1x") and digest(b"hello") == b"9555e8555c62dcfd"
    assert run(store, "DIGEST none") is None
    assert run(store, f"SET a y IFDNE {found.decode()}") is None  # type: ignore[union-attr]
    assert run(store, f"SET a y IFDEQ {found.decode().upper()}") == OK  # type: ignore[union-attr]
    assert run(store, "DELEX a IFDNE " + digest(b"z").decode()) == 1


def test_what_a_bitop_looks_at_is_bounded() -> None:
    """A name of three bytes stands for 16 MiB; a command may have 65536 of them."""
    store = new_store(0, SLOT_COUNT - 1)
    count = 4096
    value = b"x" * (SOURCES_BYTES_MAX // count)
    store.execute(0, [b"SET", b"a", value], 0)
    assert store.execute(0, [b"BITOP", b"AND", b"b", *[b"a"] * count], 0) == len(value)
    refused = store.execute(0, [b"BITOP", b"AND", b"c", *[b"a"] * (count + 1)], 0)
    assert isinstance(refused, ErrorReply) and store.key_count() == 2


@pytest.mark.parametrize("size", [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_bits_are_combined_and_counted_piece_by_piece(size: int) -> None:
    store = new_store(0, SLOT_COUNT - 1)
    one, other = (
        (bytes(range(1, 252)) * size)[:size],
        (bytes(range(7, 250)) * size)[: PIECE_BYTES // 2],
    )
    for key, value in ((b"one", one), (b"other", other)):
        store.execute(0, [b"SET", key, value], 0)
    padded = other.ljust(size, b"\0")
    for name, expected in (
        (b"AND", bytes(map(operator.and_, one, padded))),
        (b"XOR", bytes(map(operator.xor, one, padded))),
        (b"DIFF", bytes(bits & ~taken for bits, taken in zip(one, padded, strict=True))),
    ):
        assert store.execute(0, [b"BITOP", name, b"to", b"one", b"other"], 0) == size
        assert store.execute(0, [b"GET", b"to"], 0) == expected
    assert store.execute(0, [b"BITOP", b"NOT", b"to", b"one"], 0) == size
    assert store.execute(0, [b"GET", b"to"], 0) == bytes(bits ^ 255 for bits in one)
    assert store.execute(0, [b"BITCOUNT", b"one"], 0) == sum(map(int.bit_count, one))


def test_many_sources_are_never_in_memory_as_numbers() -> None:
    store, value = new_store(0, SLOT_COUNT - 1), bytes(1 << 22)
    store.execute(0, [b"SET", b"a", value], 0)
    tracemalloc.start()
    store.execute(0, [b"BITOP", b"ONE", b"to", *[b"a"] * 16], 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * len(value)
