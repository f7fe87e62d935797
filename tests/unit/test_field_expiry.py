"""Fields of hashes that expire: what is seen, what is removed, and that all replicas agree.

The commands are newer than the Redis that is our oracle, so what they answer is taken from Redis'
own documentation (https://redis.io/docs/latest/commands/hexpire/ and its neighbours) and tests.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.keyspace.context import UNSETTLED
from distrodb.keyspace.entry import encode_batch
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.store import Store
from distrodb.keyspace.transaction import Condition
from distrodb.resp.reply import OK, Pairs, Reply, error
from tests.support.stores import ask, new_store, restored

LIMITS = 65536, 1 << 24, 16


def make() -> Store:
    """Field a expires at 2000, b at 3000, c stays; it is 1000 now.  Of p none expires."""
    store = new_store(0, 16383)
    for line in (
        "HSET h a 1 b 2 c 3",
        "HPEXPIREAT h 2000 FIELDS 1 a",
        "HPEXPIREAT h 3000 FIELDS 1 b",
        "HSET p x 1",
    ):
        ask(store, line, 1000)
    return store


NO_FIELDS = error("ERR", "Mandatory argument FIELDS is missing or not at the right position")
OTHER_COUNT = error("ERR", "The `numfields` parameter must match the number of arguments")
NOT_POSITIVE = error("ERR", "Number of fields must be a positive integer")
ABOVE_0 = error("ERR", "Parameter `numFields` should be greater than 0")
ONE_EXPIRY = error("ERR", "Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")


def arity(name: str) -> Reply:
    return error("ERR", f"wrong number of arguments for '{name}' command")


def invalid(name: str) -> Reply:
    return error("ERR", f"invalid expire time in '{name}' command")


@pytest.mark.parametrize(
    ("line", "reply", "left_ms"),
    [
        ("HPTTL h FIELDS 4 a b c d", [1000, 2000, -1, -2], None),
        ("HTTL h FIELDS 4 a b c d", [1, 2, -1, -2], None),
        ("HPEXPIRETIME h FIELDS 4 a b c d", [2000, 3000, -1, -2], None),
        ("HEXPIRETIME h FIELDS 4 a b c d", [2, 3, -1, -2], None),
        ("HTTL none FIELDS 2 a b", [-2, -2], None),
        ("HEXPIRE h 5 FIELDS 3 a c d", [1, 1, -2], [5000, 2000, 5000]),
        ("HPEXPIRE h 5 FIELDS 1 a", [1], [5, 2000, -1]),
        ("HEXPIREAT h 5 FIELDS 1 a", [1], [4000, 2000, -1]),
        ("HPEXPIREAT h 5000 FIELDS 1 a", [1], [4000, 2000, -1]),
        ("HPEXPIREAT h 1000 FIELDS 2 a d", [2, -2], [-2, 2000, -1]),
        ("HPEXPIREAT h 1001 FIELDS 1 a", [1], [1, 2000, -1]),
        ("HEXPIRE h 0 FIELDS 3 a b c", [2, 2, 2], [-2, -2, -2]),
        ("HEXPIRE h 0 FIELDS 2 a a", [2, -2], [-2, 2000, -1]),
        ("HEXPIRE none 5 FIELDS 2 a b", [-2, -2], None),
        ("HEXPIRE h 9 NX FIELDS 2 a c", [0, 1], [1000, 2000, 9000]),
        ("HEXPIRE h 9 xx FIELDS 2 a c", [1, 0], [9000, 2000, -1]),
        ("HPEXPIRE h 1500 GT FIELDS 3 a b c", [1, 0, 0], [1500, 2000, -1]),
        ("HPEXPIRE h 1500 LT FIELDS 3 a b c", [0, 1, 1], [1000, 1500, 1500]),
        ("HPEXPIRE h 1000 GT FIELDS 1 a", [0], None),
        ("HPEXPIRE h 1000 LT FIELDS 1 a", [0], None),
        ("HEXPIRE h 5 FIELDS 0 a", ABOVE_0, None),
        ("HEXPIRE h 5 FIELDS x a", ABOVE_0, None),
        ("HEXPIRE h 5 FIELDS 2 a", OTHER_COUNT, None),
        ("HEXPIRE h 5 FIELDS 1 a b", OTHER_COUNT, None),
        ("HEXPIRE h 5 NX XX FIELDS 1 a", NO_FIELDS, None),
        ("HEXPIRE h 5 FIELD 1 a", NO_FIELDS, None),
        ("HEXPIRE h x FIELDS 1 a", error("ERR", "value is not an integer or out of range"), None),
        ("HEXPIRE h -1 FIELDS 1 a", error("ERR", "invalid expire time, must be >= 0"), None),
        (f"HEXPIRE h {2**62} FIELDS 1 a", invalid("hexpire"), None),
        (f"hpexpireat h {2**46} FIELDS 1 a", invalid("hpexpireat"), None),
        (f"HPEXPIREAT h {2**46 - 1} FIELDS 1 a", [1], [2**46 - 1001, 2000, -1]),
        ("HTTL h FIELDS 0 a", NOT_POSITIVE, None),
        ("HTTL h FIELDS 2 a", OTHER_COUNT, None),
        ("HTTL h x 1 a", NO_FIELDS, None),
        ("HPERSIST h FIELDS 3 a c d", [1, -1, -2], [-1, 2000, -1]),
        ("HPERSIST h FIELDS 2 c d", [-1, -2], None),
        ("HPERSIST none FIELDS 1 a", [-2], None),
        ("HPERSIST h FIELDS 1 a b", OTHER_COUNT, None),
        ("HGETDEL h FIELDS 3 a d a", [b"1", None, None], [-2, 2000, -1]),
        ("HGETDEL h FIELDS 3 a b c", [b"1", b"2", b"3"], [-2, -2, -2]),
        ("HGETDEL none FIELDS 1 a", [None], None),
        ("HGETDEL h FIELDS 1 d", [None], None),
        ("HGETDEL h FIELDS 0 d", NOT_POSITIVE, None),
        ("HGETEX h FIELDS 2 a d", [b"1", None], None),
        ("HGETEX h EX 7 FIELDS 2 a d", [b"1", None], [7000, 2000, -1]),
        ("HGETEX h PX 7 FIELDS 1 c", [b"3"], [1000, 2000, 7]),
        ("HGETEX h EXAT 7 FIELDS 1 c", [b"3"], [1000, 2000, 6000]),
        ("HGETEX h PXAT 1 FIELDS 1 c", [b"3"], [1000, 2000, -2]),
        ("HGETEX h persist FIELDS 2 a c", [b"1", b"3"], [-1, 2000, -1]),
        ("HGETEX h PERSIST FIELDS 1 c", [b"3"], None),
        ("HGETEX none EX 7 FIELDS 1 a", [None], None),
        ("HGETEX h EX -1 FIELDS 1 a", error("ERR", "invalid expire time, must be >= 0"), None),
        ("HGETEX h EX 7 a b c", NO_FIELDS, None),
        ("HGETEX h EX 7 FIELDS", NOT_POSITIVE, None),
        ("HGETEX h EX 7 FIELDS 2 a", OTHER_COUNT, None),
        ("HSETEX h FIELDS 2 a 9 d 8", 1, [-1, 2000, -1]),
        ("HSETEX h KEEPTTL FIELDS 2 a 9 c 8", 1, [1000, 2000, -1]),
        ("HSETEX h EX 7 FIELDS 1 a 9", 1, [7000, 2000, -1]),
        ("HSETEX h FXX PX 7 FIELDS 2 a 9 c 9", 1, [7, 2000, 7]),
        ("HSETEX h FXX PX 7 FIELDS 2 a 9 d 9", 0, None),
        ("HSETEX h PX 7 FNX FIELDS 2 a 9 d 9", 0, None),
        ("HSETEX none FXX FIELDS 1 a 1", 0, None),
        ("HSETEX h PXAT 1 FIELDS 1 a 9", 1, [-2, 2000, -1]),
        ("HSETEX h PXAT 1 FIELDS 3 a 9 b 9 c 9", 1, [-2, -2, -2]),
        ("HSETEX h FNX FXX FIELDS 1 a 9", error(
            "ERR", "Only one of FXX or FNX arguments can be specified"), None),
        ("HSETEX h EX 1 KEEPTTL FIELDS 1 a 9", ONE_EXPIRY, None),
        ("HSETEX h EX 1 PX 1 FIELDS 1 a 9", ONE_EXPIRY, None),
        ("HSETEX h NX FIELDS 1 a 9", error("ERR", "unknown argument: NX"), None),
        ("HSETEX h FIELDS 0 a 9", error("ERR", "invalid number of fields"), None),
        ("HSETEX h FIELDS 2 a 9", arity("hsetex"), None),
        ("HSETEX h FIELDS 1 a 9 b", arity("hsetex"), None),
        ("HSETEX h FXX FNX KEEPTTL EX", error(
            "ERR", "Only one of FXX or FNX arguments can be specified"), None),
        ("HSETEX h FXX KEEPTTL FIELDS 1", arity("hsetex"), None),
        # What changes a value lets it stay, what adds to it does not.
        ("HSET h a 9", 0, [-1, 2000, -1]),
        ("HMSET h a 9 b 9", OK, [-1, -1, -1]),
        ("HSETNX h a 9", 0, None),
        ("HINCRBY h a 1", 2, [1000, 2000, -1]),
        ("HINCRBYFLOAT h a 0.5", b"1.5", [1000, 2000, -1]),
        ("HDEL h a", 1, [-2, 2000, -1]),
        ("PERSIST h", 0, None),
        ("DEL h", 1, [-2, -2, -2]),
        ("OBJECT ENCODING h", b"listpackex", None),
    ],
)  # fmt: skip
def test_command(line: str, reply: Reply, left_ms: list[int] | None) -> None:
    store = make()
    before = store.digest()
    assert ask(store, line) == reply
    if left_ms is None:
        assert store.digest() == before
    else:
        assert ask(store, "HPTTL h FIELDS 3 a b c") == left_ms
        assert (ask(store, "EXISTS h") == 0) == (left_ms == [-2, -2, -2])


def test_what_is_left_is_rounded_up_to_seconds() -> None:
    """Of a field that is there 0 is never said."""
    store = make()
    assert ask(store, "HTTL h FIELDS 1 a", 1999) == [1]
    assert ask(store, "HPEXPIREAT h 4001 FIELDS 1 a") == [1]
    assert ask(store, "HEXPIRETIME h FIELDS 1 a") == [5]


def test_limits_hold_for_what_is_set() -> None:
    store = make()
    before = store.digest()
    store.execute(0, [b"HSETEX", b"h", b"FIELDS", b"1", b"f", bytes(1 << 25)], 1000)
    store.execute(0, [b"HSETEX", b"h", b"FIELDS", b"1", bytes(1 << 25), b"v"], 1000)
    assert store.digest() == before


SEEN: list[tuple[str, Reply]] = [
    ("HGET h a", None),
    ("HGET h b", b"2"),
    ("HMGET h a b c", [None, b"2", b"3"]),
    ("HEXISTS h a", 0),
    ("HSTRLEN h a", 0),
    ("HGETALL h", {b"b": b"2", b"c": b"3"}),
    ("HKEYS h", [b"b", b"c"]),
    ("HVALS h", [b"2", b"3"]),
    ("HLEN h", 2),
    ("HRANDFIELD h 9 WITHVALUES", Pairs([(b"b", b"2"), (b"c", b"3")])),
    ("HSCAN h 0", [b"0", [b"b", b"2", b"c", b"3"]]),
    ("HPTTL h FIELDS 2 a b", [-2, 500]),
    ("HPEXPIRETIME h FIELDS 1 a", [-2]),
]


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        *SEEN,
        ("HSETNX h a 9", 1),
        ("HSET h a 9", 1),
        ("HINCRBY h a 5", 5),
        ("HINCRBYFLOAT h a 0.5", b"0.5"),
        ("HDEL h a", 0),
        ("HDEL h a b", 1),
        ("HEXPIRE h 9 FIELDS 2 a b", [-2, 1]),
        ("HPERSIST h FIELDS 2 a b", [-2, 1]),
        ("HGETDEL h FIELDS 2 a b", [None, b"2"]),
        ("HGETEX h EX 9 FIELDS 2 a b", [None, b"2"]),
        ("HSETEX h FXX FIELDS 1 a 9", 0),
        ("HSETEX h FNX FIELDS 1 a 9", 1),
        ("HSETEX h KEEPTTL FIELDS 1 a 9", 1),
    ],
)
def test_a_field_whose_time_has_come_is_not_there(line: str, reply: Reply) -> None:
    """Whether an entry has removed it or not."""
    for expire_max in (0, 9):
        store = make()
        store.advance(2500, expire_max)
        assert ask(store, line) == reply
        store.advance(2500, 9)
        assert ask(store, "HPTTL h FIELDS 1 a") in ([-2], [-1])


@pytest.mark.parametrize("line", ["HSET h a 9", "HSETNX h a 9", "HINCRBY h a 5"])
def test_what_takes_an_expired_fields_place_stays(line: str) -> None:
    store = make()
    ask(store, line, 2500)
    assert ask(store, "HPTTL h FIELDS 2 a b") == [-1, 500]
    store.advance(9000, 9)
    assert ask(store, "HKEYS h") == [b"c", b"a"] and store.next_expiry_ms == math.inf


def test_what_was_chosen_and_walked_follows() -> None:
    store = new_store(0, 16383)
    words = [word for n in range(1000) for word in (b"f%d" % n, b"v")]
    store.execute(0, [b"HSET", b"h", *words], 0)
    store.execute(0, [b"HPEXPIRE", b"h", b"5", b"FIELDS", b"998", *words[::2][:998]], 0)
    assert len(ask(store, "HRANDFIELD h 2000")) == 1000  # type: ignore[arg-type]
    first = ask(store, "HSCAN h 0 COUNT 10")
    assert isinstance(first, list)
    for expire_max in (0, 100, 5000):
        store.advance(7, expire_max)
        assert ask(store, "HRANDFIELD h 2000") == [b"f998", b"f999"]
        walked, cursor = [], b"0"
        while cursor or not walked:
            reply = ask(store, f"HSCAN h {cursor.decode()} NOVALUES COUNT 100")
            assert isinstance(reply, list) and isinstance(reply[0], bytes)
            walked += reply[1]  # type: ignore[arg-type,operator]
            cursor = b"" if reply[0] == b"0" else reply[0]
        assert sorted(walked) == [b"f998", b"f999"]


def test_an_entry_removes_so_many_at_most_the_soonest_first() -> None:
    store = make()
    ask(store, "SET s 1")
    ask(store, "PEXPIREAT s 2500")
    assert store.next_expiry_ms == 2000
    store.advance(3500, 1)
    assert store.next_expiry_ms == 2500 and store.key_count() == 3
    store.advance(3500, 1)
    assert store.next_expiry_ms == 3000 and store.key_count() == 2
    store.advance(3500, 1)
    assert store.next_expiry_ms == math.inf and ask(store, "HGETALL h") == {b"c": b"3"}


def test_what_a_large_hash_takes_to_be_copied_counts() -> None:
    """The first write to it after a snapshot copies it, so no entry removes fields of many such."""
    store = new_store(0, 16383)
    for key in (b"g", b"h", b"i"):
        words = [word for n in range(32 * 50) for word in (b"f%d" % n, b"v")]
        store.execute(0, [b"HSET", key, *words], 0)
        store.execute(0, [b"HPEXPIRE", key, b"5", b"FIELDS", b"1", b"f7"], 0)
    left = []
    for _ in range(3):
        store.advance(7, 51)
        left.append(sum(len(v) for v in store._places[0].all().values()))  # type: ignore[arg-type]
    assert left == [3 * 1600 - 1, 3 * 1600 - 2, 3 * 1600 - 3]


def test_a_hash_goes_with_its_last_field() -> None:
    store = make()
    ask(store, "HPEXPIREAT h 2000 FIELDS 3 a b c")
    assert ask(store, "EXISTS h", 2500) == 1 and ask(store, "HLEN h") == 0
    assert ask(store, "DUMP h") is None  # nothing that could be restored
    store.advance(2500, 9)
    assert ask(store, "EXISTS h") == 0 and store.key_count() == 1


def test_a_hash_whose_last_field_is_deleted_is_gone_though_others_are_not_removed_yet() -> None:
    store = make()
    ask(store, "HDEL h c b", 2500)
    assert ask(store, "EXISTS h") == 0 and store.next_expiry_ms == math.inf


def test_a_key_that_expires_before_its_fields_are_removed() -> None:
    store = make()
    ask(store, "PEXPIREAT h 2500")
    store.advance(2600, 1)
    assert store.key_count() == 1 and store.next_expiry_ms == math.inf
    assert ask(store, "HSET h a 1") == 1 and ask(store, "HPTTL h FIELDS 1 a") == [-1]


@pytest.mark.parametrize(
    ("line", "name"),
    [("RENAME h g", "g"), ("COPY h g", "g"), ("MOVE h 1", "h"), ("COPY h p REPLACE", "p")],
)
def test_fields_expire_under_another_name_too(line: str, name: str) -> None:
    store = make()
    ask(store, line)
    place = place_of(1, 0) if "MOVE" in line else 0
    assert ask(store, f"HPTTL {name} FIELDS 3 a b c", place=place) == [1000, 2000, -1]
    store.advance(3500, 9)
    assert ask(store, f"HKEYS {name}", place=place) == [b"c"]
    assert store.next_expiry_ms == math.inf


@pytest.mark.parametrize("line", ["DEL h", "SET h 1", "FLUSHALL", "FLUSHDB", "RENAME p h"])
def test_what_is_gone_is_waited_for_no_more(line: str) -> None:
    store = make()
    ask(store, line, place=-1 if line.startswith("FLUSH") else 0)
    assert store.next_expiry_ms == math.inf
    store.advance(9000, 9)


@pytest.mark.parametrize(
    ("line", "is_unsettled"),
    [*((line, line != "HGET h b") for line, _ in SEEN), ("HGET h c", False),
     ("HLEN p", False), ("HGETALL p", False), ("HPTTL h FIELDS 1 b", False)],
)  # fmt: skip
def test_what_a_read_sees_expire_must_be_settled_by_an_entry(line: str, is_unsettled: bool) -> None:
    """At 2500 field a has expired by the leader's clock, but no entry is newer than 1000."""
    store, args = make(), line.encode().split(b" ")
    reply = store.read(0, args, 2500)
    assert (reply is UNSETTLED) == is_unsettled
    store.advance(2500, 0)
    assert store.read(0, args, 2500) is not UNSETTLED


def test_also_where_another_field_is_settled_and_not_removed() -> None:
    store = make()
    store.advance(2500, 0)
    assert store.read(0, [b"HLEN", b"h"], 2600) == 2
    assert store.read(0, [b"HLEN", b"h"], 3000) is UNSETTLED
    assert store.read(0, [b"HGETALL", b"h"], 3000) is UNSETTLED


def test_a_reader_changes_nothing() -> None:
    store = make()
    store.advance(2500, 0)
    before = store.digest()
    for line, _ in SEEN:
        ask(store, line)
    assert store.digest() == before


def test_a_watched_hash_is_touched_when_a_field_expires() -> None:
    store = make()
    store.watched.begin(1)
    token = store.watch([(0, b"h")])
    conditions = [Condition(token, 0, b"h")]
    assert store.watched.holds(conditions, 1999) and not store.watched.holds(conditions, 2000)
    store.advance(2500, 9)
    assert not store.watched.holds(conditions, 1999)


# -- to other servers and back ---------------------------------------------------------------------


def test_dump_and_restore_keep_expiries() -> None:
    store = make()
    payload = ask(store, "DUMP h")
    assert isinstance(payload, bytes) and payload[0] == 24 and payload[-10:-8] == b"\x0c\x00"
    for now_ms, left in ((1500, [500, 1500, -1]), (2500, [-2, 500, -1])):
        store.advance(now_ms, 0)
        assert store.execute(0, [b"RESTORE", b"r", b"0", payload, b"REPLACE"], now_ms) == OK
        assert ask(store, "HPTTL r FIELDS 3 a b c") == left
    assert ask(store, "HKEYS r") == [b"b", b"c"]
    seen = ask(store, "DUMP h")  # what is not there is not in it
    assert isinstance(seen, bytes) and len(seen) < len(payload)


def test_a_hash_that_is_past_already_is_not_restored() -> None:
    store = make()
    ask(store, "HPERSIST h FIELDS 2 a b")
    ask(store, "HPEXPIREAT h 2000 FIELDS 3 a b c")
    payload = ask(store, "DUMP h")
    store.advance(2500, 0)
    assert store.execute(0, [b"RESTORE", b"p", b"0", payload, b"REPLACE"], 2500) == OK
    assert ask(store, "EXISTS p") == 0


# -- replicas --------------------------------------------------------------------------------------

keys = st.sampled_from([b"a", b"b"])
fields = st.sampled_from([b"f", b"g", b"h"])
times = st.sampled_from([b"0", b"1", b"5", b"20"])
one = st.just(b"1")


def command(name: str, *rest: st.SearchStrategy[bytes] | bytes) -> st.SearchStrategy[list[bytes]]:
    words = [st.just(each) if isinstance(each, bytes) else each for each in rest]
    return st.tuples(st.just(name.encode()), *words).map(list)


commands = st.one_of(
    command("HSET", keys, fields, one),
    command("HSET", keys, fields, one, fields, one),
    command("HSETNX", keys, fields, one),
    command("HINCRBY", keys, fields, one),
    command("HDEL", keys, fields),
    command("HPEXPIRE", keys, times, b"FIELDS", b"2", fields, fields),
    command("HPEXPIRE", keys, times, b"GT", b"FIELDS", b"1", fields),
    command("HPERSIST", keys, b"FIELDS", b"1", fields),
    command("HGETDEL", keys, b"FIELDS", b"1", fields),
    command("HGETEX", keys, b"PX", times, b"FIELDS", b"1", fields),
    command("HSETEX", keys, b"PX", times, b"FIELDS", b"1", fields, one),
    command("HSETEX", keys, b"FNX", b"KEEPTTL", b"FIELDS", b"1", fields, one),
    command("RENAME", keys, keys),
    command("COPY", keys, keys, b"REPLACE"),
    command("SET", keys, one),
    command("DEL", keys),
    command("PEXPIRE", keys, times),
    command("HRANDFIELD", keys),
    command("HSCAN", keys, b"0"),
)
places = st.sampled_from([place_of(0, 3), place_of(2, 4)])
entries = st.lists(
    st.tuples(
        st.integers(0, 20),
        st.integers(0, 3),
        st.lists(st.tuples(places, commands), max_size=6),
        st.booleans(),
    ),
    max_size=25,
)


def check_queue(store: Store) -> None:
    """The hashes' queue is what the hashes say."""
    found = {
        (place, key): value.soonest_ms
        for place, keys_ in store._places.items()
        for key, value in keys_.all().items()
        if not isinstance(value, bytes) and value.soonest_ms != math.inf  # type: ignore[attr-defined]
    }
    queue = store._shared.hashes
    assert len(queue) == len(found)
    assert all(queue.soonest_of(*name) == at_ms for name, at_ms in found.items())


@given(entries)
def test_replicas_agree_whether_they_ran_all_entries_or_had_a_snapshot(steps) -> None:  # type: ignore[no-untyped-def]
    first, other, now_ms = new_store(0, 9), new_store(0, 9), 0
    for passed_ms, expire_max, batch, has_snapshot in steps:
        now_ms += passed_ms
        payload = encode_batch(now_ms, batch, expire_max, LIMITS)
        assert first.apply(payload) == other.apply(payload)
        if has_snapshot:
            other = restored(first.snapshot())
        assert first.digest() == other.digest()
        assert first.next_expiry_ms == other.next_expiry_ms
        check_queue(first)
        check_queue(other)


LOOKS = (
    [b"HGETALL"], [b"HLEN"], [b"HKEYS"], [b"HMGET", b"f", b"g", b"h"],
    [b"HPTTL", b"FIELDS", b"3", b"f", b"g", b"h"], [b"HSCAN", b"0"], [b"HRANDFIELD", b"9"],
)  # fmt: skip


@given(entries)
def test_how_many_are_removed_changes_nothing_that_is_seen(steps) -> None:  # type: ignore[no-untyped-def]
    """But for whether the key of a hash without fields is there, so nobody asks that here."""
    eager, lazy, now_ms = new_store(0, 9), new_store(0, 9), 0
    for passed_ms, _, batch, _ in steps:
        now_ms += passed_ms
        batch = [(p, a) for p, a in batch if a[0] not in (b"RENAME", b"COPY", b"DEL", b"PEXPIRE")]
        replies = eager.apply(encode_batch(now_ms, batch, 1000, LIMITS))
        assert lazy.apply(encode_batch(now_ms, batch, 0, LIMITS)) == replies
        assert eager.next_expiry_ms > now_ms
        for place in (place_of(0, 3), place_of(2, 4)):
            for key in (b"a", b"b"):
                for name, *rest in LOOKS:
                    args = [name, key, *rest]
                    seen = eager.execute(place, args, now_ms)
                    assert lazy.execute(place, args, now_ms) == seen
