"""Expiry in the store: what is seen, what is removed, and that all replicas agree."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.keyspace.context import UNSETTLED
from distrodb.keyspace.entry import encode_batch
from distrodb.keyspace.expiry import ExpiryQueue
from distrodb.keyspace.place_number import SLOT_BITS, database_of, place_of, slot_at
from distrodb.keyspace.store import Store
from distrodb.resp.reply import OK, Reply, Status, error
from distrodb.ring.slots import SLOT_COUNT
from tests.support.stores import ask, new_store, restored

LIMITS = 65536, 1 << 24  # bytes of a key, of a value

LAST = 2**63 - 1


def make() -> Store:
    """Key v expires at 2000, its hash w at 3000, p stays; it is 1000 now."""
    store = new_store(0, 16383)
    for line in ("SET v 1", "PEXPIREAT v 2000", "HSET w a 1", "PEXPIREAT w 3000", "SET p 1"):
        ask(store, line, 1000)
    return store


@pytest.mark.parametrize(
    ("line", "reply", "left_ms"),
    [
        ("PTTL v", 1000, 1000),
        ("TTL v", 1, 1000),
        ("PTTL p", -1, 1000),
        ("TTL none", -2, 1000),
        ("PERSIST v", 1, -1),
        ("PERSIST p", 0, 1000),
        ("PERSIST none", 0, 1000),
        ("EXPIRE v 5", 1, 5000),
        ("PEXPIRE v 5", 1, 5),
        ("EXPIREAT v 5", 1, 4000),
        ("PEXPIREAT v 5000", 1, 4000),
        ("EXPIRE none 5", 0, 1000),
        ("EXPIRE v 0", 1, -2),
        ("EXPIRE v -1", 1, -2),
        ("PEXPIREAT v 1000", 1, -2),
        ("PEXPIREAT v 1001", 1, 1),
        ("EXPIRE v 5 NX", 0, 1000),
        ("EXPIRE v 5 xx", 1, 5000),
        ("EXPIRE v 5 GT", 1, 5000),
        ("EXPIRE v 1 GT", 0, 1000),
        ("PEXPIRE v 999 LT", 1, 999),
        ("EXPIRE v 1 LT", 0, 1000),
        ("EXPIRE v 5 XX GT", 1, 5000),
        ("EXPIRE v x", error("ERR", "value is not an integer or out of range"), 1000),
        ("EXPIRE v 1 FOO", error("ERR", "Unsupported option FOO"), 1000),
        ("EXPIRE v x FOO", error("ERR", "Unsupported option FOO"), 1000),
        (
            "EXPIRE v 1 NX GT",
            error("ERR", "NX and XX, GT or LT options at the same time are not compatible"),
            1000,
        ),
        (
            "EXPIRE v 1 GT LT",
            error("ERR", "GT and LT options at the same time are not compatible"),
            1000,
        ),
        (f"EXPIRE v {LAST}", error("ERR", "invalid expire time in 'expire' command"), 1000),
        (f"EXPIRE v -{LAST}", error("ERR", "invalid expire time in 'expire' command"), 1000),
        (f"pexpire v {LAST}", error("ERR", "invalid expire time in 'pexpire' command"), 1000),
        (f"PEXPIREAT v {LAST}", 1, LAST - 1000),
        ("SET v 2", OK, -1),
        ("SET v 2 GET", b"1", -1),
        ("SET v 2 NX", None, 1000),
        ("MSET v 2", OK, -1),
        ("APPEND v 2", 2, 1000),
        ("INCR v", 2, 1000),
        ("DEL v", 1, -2),
    ],
)
def test_command(line: str, reply: Reply, left_ms: int) -> None:
    store = make()
    assert ask(store, line) == reply
    assert ask(store, "PTTL v") == left_ms


def test_options_on_a_key_that_stays() -> None:
    store = make()
    assert [ask(store, f"EXPIRE p 5 {option}") for option in ("XX", "GT")] == [0, 0]
    assert ask(store, "PTTL p") == -1
    assert ask(store, "EXPIRE p 5 LT") == 1
    assert ask(make(), "EXPIRE p 5 NX") == 1


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("GET v", None),
        ("MGET v p", [None, b"1"]),
        ("EXISTS v", 0),
        ("TYPE v", Status(b"none")),
        ("STRLEN v", 0),
        ("HGET v a", None),
        ("HGETALL w", {}),
        ("HLEN w", 0),
        ("PTTL v", -2),
        ("PERSIST v", 0),
        ("EXPIRE v 5", 0),
        ("DEL v w p", 1),
        ("SET v 2 XX", None),
        ("SET v 2 GET", None),
        ("SETNX v 2", 1),
        ("APPEND v 22", 2),
        ("INCR v", 1),
        ("HSET v a 1", 1),  # what had expired was of another kind
        ("HDEL w a", 0),
        ("HSET w b 1", 1),
        ("SCAN 0 COUNT 100000", [b"0", [b"p"]]),
        ("SCAN 0 COUNT 100000 TYPE hash", [b"0", []]),
    ],
)
def test_a_key_whose_time_has_come_is_not_there(line: str, reply: Reply) -> None:
    store = make()
    place = -1 if line.startswith("SCAN") else 0
    assert ask(store, line, 3000, place) == reply


def test_to_the_millisecond() -> None:
    store = make()
    assert ask(store, "GET v", 1999) == b"1"
    assert ask(store, "GET v", 2000) is None


@pytest.mark.parametrize("line", ["SETNX v 2", "APPEND v 2", "INCR v", "HSET v a 1", "HSET w b 1"])
def test_what_takes_an_expired_keys_place_stays(line: str) -> None:
    store = make()
    ask(store, line, 3000)
    assert ask(store, f"PTTL {line.split()[1]}", 9000) == -1
    ask(store, "DEL v w")
    assert store.expiring_count == 0 and store.next_expiry_ms == math.inf


def test_an_entry_removes_so_many_at_most_the_soonest_first() -> None:
    store = make()
    ask(store, "SET u 1", 1000)
    ask(store, "PEXPIREAT u 2500")
    store.advance(2999, 1)
    assert store.key_count() == 3 and store.next_expiry_ms == 2500
    store.advance(2999, 5)
    assert store.key_count() == 2 and store.next_expiry_ms == 3000
    assert ask(store, "HGET w a") == b"1"
    store.advance(1, 5)  # time never goes back
    assert store.now_ms == 2999


def test_a_reader_changes_nothing() -> None:
    store = make()
    store.advance(5000, 0)
    before = store.digest()
    for line in ("GET v", "EXISTS v w", "HGETALL w", "TTL v", "TYPE w", "HLEN w", "MGET v w p"):
        ask(store, line)
    ask(store, "SCAN 0", place=-1)
    assert store.digest() == before and store.key_count() == 3


@pytest.mark.parametrize(
    ("line", "is_unsettled"),
    [
        ("GET v", True),
        ("GET p", False),
        ("GET none", False),
        ("HGET w a", False),
        ("EXISTS p v", True),
        ("MGET p v", True),
        ("PTTL v", True),
        ("TYPE v", True),
        ("STRLEN v", True),
        ("SCAN 0 COUNT 100000", True),
        ("SCAN 0 COUNT 100000 MATCH p", False),
        ("DBSIZE", False),
    ],
)
def test_what_a_read_sees_expire_must_be_settled_by_an_entry(line: str, is_unsettled: bool) -> None:
    """At 2500 key v has expired by the leader's clock, but no entry is newer than 1000."""
    store, args = make(), line.encode().split(b" ")
    place = -1 if line.startswith(("SCAN", "DBSIZE")) else 0
    reply = store.read(place, args, 2500)
    assert (reply is UNSETTLED) == is_unsettled
    store.advance(2500, 0)
    if not is_unsettled:
        assert store.read(place, args, 2500) == reply
    assert store.read(place, args, 2500) is not UNSETTLED


def test_a_read_knows_the_time_that_it_is_given() -> None:
    store = make()
    assert store.read(0, [b"PTTL", b"v"], 1400) == 600
    assert store.read(0, [b"PTTL", b"v"], 1000) == 1000


# -- replicas ------------------------------------------------------------------------------------

keys = st.sampled_from([b"a", b"b", b"c", b"d"])
commands = st.one_of(
    st.tuples(st.just(b"SET"), keys, st.just(b"1")),
    st.tuples(st.just(b"DEL"), keys),
    st.tuples(st.just(b"INCR"), keys),
    st.tuples(st.just(b"HSET"), keys, keys, st.just(b"1")),
    st.tuples(st.just(b"HDEL"), keys, keys),
    st.tuples(st.just(b"PEXPIRE"), keys, st.sampled_from([b"1", b"5", b"50"])),
    st.tuples(st.just(b"PERSIST"), keys),
)
places = st.sampled_from([place_of(0, 3), place_of(0, 4), place_of(2, 3)])
entries = st.lists(
    st.tuples(
        st.integers(0, 20),
        st.integers(0, 3),
        st.lists(st.tuples(places, commands), max_size=5),
        st.booleans(),
    ),
    max_size=25,
)


@given(entries)
def test_replicas_agree_whether_they_ran_all_entries_or_had_a_snapshot(steps) -> None:  # type: ignore[no-untyped-def]
    """And what each key's visible state is comes from a model without any removal."""
    one, other, now_ms = new_store(0, 9), new_store(0, 9), 0
    for passed_ms, expire_max, batch, has_snapshot in steps:
        now_ms += passed_ms
        payload = encode_batch(now_ms, batch, expire_max, LIMITS)
        assert one.apply(payload) == other.apply(payload)
        assert one.digest() == other.digest()
        if has_snapshot:
            other = restored(one.snapshot())
            assert one.digest() == other.digest()
        assert one.next_expiry_ms == other.next_expiry_ms
        assert one.expiring_count == other.expiring_count <= one.key_count()


@given(entries)
def test_how_many_are_removed_changes_nothing_that_is_seen(steps) -> None:  # type: ignore[no-untyped-def]
    eager, lazy, now_ms = new_store(0, 9), new_store(0, 9), 0
    for passed_ms, _, batch, _ in steps:
        now_ms += passed_ms
        replies = eager.apply(encode_batch(now_ms, batch, 1000, LIMITS))
        assert lazy.apply(encode_batch(now_ms, batch, 0, LIMITS)) == replies
        assert eager.next_expiry_ms > now_ms
        for place in (place_of(0, 3), place_of(0, 4), place_of(2, 3)):
            for key in (b"a", b"b", b"c", b"d"):
                for name in (b"TYPE", b"PTTL", b"EXISTS"):
                    args = [name, key]
                    seen = eager.execute(place, args, now_ms)
                    assert lazy.execute(place, args, now_ms) == seen


def test_databases_are_apart() -> None:
    store = new_store(0, 9)
    other = place_of(2, 3)
    ask(store, "SET a 0", place=3)
    ask(store, "HSET a f 2", place=other)
    ask(store, "PEXPIREAT a 50", place=other)
    assert ask(store, "GET a", place=3) == b"0" and ask(store, "HGET a f", place=other) == b"2"
    assert ask(store, "DBSIZE", place=place_of(2, -1)) == 1
    assert ask(store, "DBSIZE", place=place_of(1, -1)) == 0
    assert ask(store, "SCAN 0 COUNT 100", place=place_of(2, -1)) == [b"0", [b"a"]]
    assert ask(store, "COUNTKEYSINSLOT 3", place=place_of(2, -1)) == 1
    again = restored(store.snapshot())
    assert again.digest() == store.digest() and again.key_count() == 2
    assert ask(again, "PTTL a", place=other) == 50
    again.advance(60, 9)
    assert ask(again, "EXISTS a", place=other) == 0 and ask(again, "EXISTS a", place=3) == 1
    assert ask(store, "FLUSHALL", place=place_of(0, -1)) == OK
    assert store.key_count() == 0 and store.next_expiry_ms == math.inf


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), keys), unique=True),
    st.integers(0, 6),
    st.integers(0, 9),
)
def test_the_queue_gives_the_soonest(expiring, now_ms, count) -> None:  # type: ignore[no-untyped-def]
    queue = ExpiryQueue()
    for one in expiring:
        queue.add(*one)
    due = sorted(one for one in expiring if one[0] <= now_ms)[:count]
    assert queue.due(now_ms, count) == due
    assert queue.soonest_ms == min((one[0] for one in expiring), default=math.inf)
    for one in due:
        queue.remove(*one)
    assert len(queue) == len(expiring) - len(due)


def test_a_digest_tells_kinds_expiries_and_databases_apart() -> None:
    digests = set()
    for lines, place in [
        (["SET a 1"], 3),
        (["SET a 1"], place_of(1, 3)),
        (["SET a 1", "PEXPIREAT a 50"], 3),
        (["SET a 1", "PEXPIREAT a 51"], 3),
        (["HSET a 1 1"], 3),
        (["HSET a 1 2"], 3),
    ]:
        store = new_store(0, 9)
        for line in lines:
            ask(store, line, place=place)
        digests.add(store.digest())
    assert len(digests) == 6


@given(st.integers(0, 99), st.integers(-1, 16383))
def test_a_place_is_a_database_and_a_slot(database: int, slot: int) -> None:
    place = place_of(database, slot)
    assert (database_of(place), slot_at(place)) == (database, slot)
    assert place_of(0, slot) == slot
    assert 1 << SLOT_BITS == SLOT_COUNT
