from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.commands.table import DATA_COMMANDS
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.store import Store
from distrodb.resp.reply import OK, ErrorReply, Pairs, Reply, Status, error
from tests.support.stores import ask, new_store, restored

WRONG_TYPE = error("WRONGTYPE", "Operation against a key holding the wrong kind of value")


def make() -> Store:
    store = new_store(0, 16383, StoreLimits(key_bytes_max=10, value_bytes_max=20))
    ask(store, "HSET h a 1 b 2")
    ask(store, "SET s 7")
    return store


@pytest.mark.parametrize(
    ("line", "reply", "left"),
    [
        ("HSET h c 3", 1, {b"a": b"1", b"b": b"2", b"c": b"3"}),
        ("HSET h a 9", 0, {b"a": b"9", b"b": b"2"}),
        ("HSET h a 9 c 3 c 4", 1, {b"a": b"9", b"b": b"2", b"c": b"4"}),
        ("HSET h a", error("ERR", "wrong number of arguments for 'hset' command"), None),
        ("HSET h a 9 c", error("ERR", "wrong number of arguments for 'hset' command"), None),
        ("HGET h a", b"1", None),
        ("HGET h none", None, None),
        ("HGET none a", None, None),
        ("HDEL h a", 1, {b"b": b"2"}),
        ("HDEL h a a none", 1, {b"b": b"2"}),
        ("HDEL h none", 0, None),
        ("HDEL none a", 0, None),
        ("HDEL h a b", 2, {}),
        ("HGETALL h", {b"a": b"1", b"b": b"2"}, None),
        ("HGETALL none", {}, None),
        ("HMSET h a 9 c 3", OK, {b"a": b"9", b"b": b"2", b"c": b"3"}),
        ("HMSET h a 9 c", error("ERR", "wrong number of arguments for 'hmset' command"), None),
        ("HSETNX h a 9", 0, None),
        ("HSETNX h c 9", 1, {b"a": b"1", b"b": b"2", b"c": b"9"}),
        ("HMGET h a none a", [b"1", None, b"1"], None),
        ("HMGET none a b", [None, None], None),
        ("HEXISTS h a", 1, None),
        ("HEXISTS h none", 0, None),
        ("HSTRLEN h a", 1, None),
        ("HSTRLEN h none", 0, None),
        ("HKEYS h", [b"a", b"b"], None),
        ("HVALS h", [b"1", b"2"], None),
        ("HKEYS none", [], None),
        ("HVALS none", [], None),
        ("HINCRBY h a 41", 42, {b"a": b"42", b"b": b"2"}),
        ("HINCRBY h c -1", -1, {b"a": b"1", b"b": b"2", b"c": b"-1"}),
        ("HINCRBY h a x", error("ERR", "value is not an integer or out of range"), None),
        (f"HINCRBY h a {2**63 - 1}", error("ERR", "increment or decrement would overflow"), None),
        ("HINCRBYFLOAT h a 0.5", b"1.5", {b"a": b"1.5", b"b": b"2"}),
        ("HINCRBYFLOAT h a inf", error("ERR", "value is NaN or Infinity"), None),
        ("HINCRBYFLOAT h a x", error("ERR", "value is not a valid float"), None),
        ("HRANDFIELD h 2", [b"a", b"b"], None),
        ("HRANDFIELD h 9 WITHVALUES", Pairs([(b"a", b"1"), (b"b", b"2")]), None),
        ("HRANDFIELD h 0", [], None),
        ("HRANDFIELD none", None, None),
        ("HRANDFIELD none -3", [], None),
        ("HRANDFIELD h 1 x", error("ERR", "syntax error"), None),
        (
            f"HRANDFIELD h {-(2**21)}",
            error("ERR", "value is out of range: no more than 1048576 elements at once"),
            None,
        ),
        ("HSCAN h 0", [b"0", [b"a", b"1", b"b", b"2"]], None),
        ("HSCAN h 0 NOVALUES MATCH b", [b"0", [b"b"]], None),
        ("HSCAN h 0 COUNT 0", error("ERR", "syntax error"), None),
        ("HSCAN h x", error("ERR", "invalid cursor"), None),
        ("HSCAN none 0", [b"0", []], None),
        ("HLEN h", 2, None),
        ("HLEN none", 0, None),
        ("TYPE h", Status(b"hash"), None),
        ("DEL h", 1, {}),
        ("EXISTS h none", 1, None),
        ("SET h 1", OK, WRONG_TYPE),
        ("SETNX h 1", 0, None),
        ("SET h 1 NX", None, None),
        ("SET h 1 XX", OK, WRONG_TYPE),
        ("MSET h 1 s 2", OK, WRONG_TYPE),
        ("MGET h s none", [None, b"7", None], None),
        ("FLUSHALL", OK, {}),
    ],
)
def test_command(line: str, reply: Reply, left: Reply) -> None:
    store = make()
    before = store.digest()
    place = -1 if line == "FLUSHALL" else 0
    assert ask(store, line, place=place) == reply
    if left is None:
        assert store.digest() == before
    else:
        assert ask(store, "HGETALL h") == left


@pytest.mark.parametrize(
    "line",
    [
        "GET h", "SET h 1 GET", "STRLEN h", "APPEND h 1", "INCR h", "DECR h", "INCRBY h 1",
        "DECRBY h 1", "HSET s a 1", "HGET s a", "HDEL s a", "HGETALL s", "HLEN s",
        "HRANDFIELD s", "HRANDFIELD s 0", "HSCAN s 0", "HINCRBY s a 1", "HSETNX s a 1",
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_refused_and_stays(line: str) -> None:
    store = make()
    before = store.digest()
    assert ask(store, line) == WRONG_TYPE
    assert store.digest() == before


def test_every_command_on_one_value_is_asked_of_the_wrong_kind() -> None:
    """A new command that forgets to ask for its kind is found here."""
    store = make()
    any_kind = {"set", "setnx", "mget", "mset", "del", "exists", "type"}
    any_kind |= {"unlink", "touch", "rename", "renamenx", "copy", "move"}
    any_kind |= {"setex", "psetex", "msetnx", "msetex", "delex", "digest", "bitop", "bitfield"}
    any_kind |= {"bitfield_ro", "bitcount", "lcs", "pfmerge"}
    any_kind |= {"expire", "pexpire", "expireat", "pexpireat", "ttl", "pttl", "persist"}
    any_kind |= {"expiretime", "pexpiretime", "dump", "restore"}
    for row in DATA_COMMANDS.values():
        if row.scope == "key" and row.group != "scripting" and row.name not in any_kind:
            key = b"s" if row.group == "hash" else b"h"
            words = words_of(row.name, row.arity, key)
            reply = store.execute(0, words, 0)
            assert reply == WRONG_TYPE, row.name


def words_of(name: str, arity: int, key: bytes) -> list[bytes]:
    """A command that makes sense."""
    by_name = {
        "hsetex": [key, b"FIELDS", b"1", b"1", b"1"],
        "linsert": [key, b"BEFORE", b"1", b"1"],
        "lmove": [key, b"1", b"LEFT", b"LEFT"],
        "lmpop": [b"1", key, b"LEFT"],
        "blmove": [key, b"1", b"LEFT", b"LEFT", b"0"],
        "blmpop": [b"0", b"1", key, b"LEFT"],
        "bzmpop": [b"0", b"1", key, b"MIN"],
        "zmpop": [b"1", key, b"MIN"],
        "zrank": [key, b"1"],
        "zlexcount": [key, b"-", b"+"],
        "zrangebylex": [key, b"-", b"+"],
        "zrevrangebylex": [key, b"+", b"-"],
        "zremrangebylex": [key, b"-", b"+"],
        "zrangestore": [b"s", key, b"0", b"1"],
        "geosearch": [key, b"FROMLONLAT", b"1", b"1", b"BYRADIUS", b"1", b"m"],
        "geosearchstore": [b"s", key, b"FROMLONLAT", b"1", b"1", b"BYRADIUS", b"1", b"m"],
        "georadius": [key, b"1", b"1", b"1", b"m"],
        "georadiusbymember": [key, b"a", b"1", b"m"],
        "xadd": [key, b"*", b"1", b"1"],
        "xtrim": [key, b"MAXLEN", b"1"],
        "xread": [b"STREAMS", key, b"0"],
        "xreadgroup": [b"GROUP", b"g", b"c", b"STREAMS", key, b">"],
        "xgroup": [b"CREATE", key, b"g", b"0"],
        "xinfo": [b"STREAM", key],
    }
    for name_ in ("zunion", "zinter", "zdiff"):
        by_name |= {name_: [b"1", key], f"{name_}store": [b"s", b"1", key]}
    by_name |= {name_: [b"s", key] for name_ in ("sinterstore", "sunionstore", "sdiffstore")}
    by_name |= {f"{name_}card": [b"1", key] for name_ in ("zinter", "sinter", "sunion", "sdiff")}
    by_name |= {"smove": [key, b"1", b"1"], "xdelex": [key, b"IDS", b"1", b"1"]}
    by_name |= {"xackdel": [key, b"g", b"IDS", b"1", b"1"]}
    return [name.encode(), *by_name.get(name, [key, *[b"1"] * (abs(arity) - 2)])]


def test_a_hash_without_fields_is_gone() -> None:
    store = make()
    ask(store, "PEXPIREAT h 50")
    assert ask(store, "HDEL h a b") == 2
    assert ask(store, "EXISTS h") == 0 and store.key_count() == 1
    assert ask(store, "HSET h a 1") == 1 and ask(store, "PTTL h") == -1


def test_limits_hold_at_the_byte_and_refusal_changes_nothing() -> None:
    assert ask(make(), f"HSET {'k' * 10} {'f' * 20} {'v' * 20}") == 1
    store = make()
    before = store.digest()
    for line, problem in [
        (f"HSET {'k' * 11} f v", "key exceeds key_bytes_max (10 bytes)"),
        (f"HSET h f 1 {'f' * 21} v", "field exceeds value_bytes_max (20 bytes)"),
        (f"HSET h f 1 g {'v' * 21}", "value exceeds value_bytes_max (20 bytes)"),
    ]:
        assert ask(store, line) == error("ERR", problem)
    assert store.digest() == before


def test_scan_knows_the_kinds() -> None:
    store = make()
    assert ask(store, "SCAN 0 COUNT 100000 TYPE hash", place=-1) == [b"0", [b"h"]]
    assert ask(store, "SCAN 0 COUNT 100000 TYPE string", place=-1) == [b"0", [b"s"]]
    assert ask(store, "SCAN 0 COUNT 100000 TYPE zset", place=-1) == [b"0", []]


fields = st.sampled_from([b"a", b"b", b"c", b"d", b"e"])
writes = st.lists(
    st.tuples(fields, st.binary(max_size=9)) | st.lists(fields, min_size=1, max_size=4)
)


@given(writes)
def test_a_hash_is_a_dictionary(steps: list[tuple[bytes, bytes] | list[bytes]]) -> None:
    store, model = new_store(0, 0), dict[bytes, bytes]()
    for step in steps:
        if isinstance(step, tuple):
            is_new = step[0] not in model
            model[step[0]] = step[1]
            assert store.execute(0, [b"HSET", b"h", *step], 0) == is_new
        else:
            count = sum(model.pop(field, None) is not None for field in step)
            assert store.execute(0, [b"HDEL", b"h", *step], 0) == count
        assert store.execute(0, [b"HGETALL", b"h"], 0) == model
        assert store.execute(0, [b"HLEN", b"h"], 0) == len(model)
        assert store.key_count() == bool(model)


words = st.sampled_from([b"h", b"s", b"none", b"a", b"1", b"100", b"NX", b"XX", b"GT", b"GET"])


@given(st.lists(st.tuples(st.sampled_from(sorted(DATA_COMMANDS)), st.lists(words, max_size=6))))
def test_no_command_raises_and_errors_change_nothing(
    commands: list[tuple[bytes, list[bytes]]],
) -> None:
    store = make()
    for number, (name, rest) in enumerate(commands):
        store.advance(number * 30, 1)
        before, row = store.digest(), DATA_COMMANDS[name]
        reply = store.execute(-1 if row.scope == "partition" else 0, [name, *rest], store.now_ms)
        if isinstance(reply, ErrorReply) or not row.is_write:
            assert store.digest() == before


def test_a_field_that_is_no_number_is_not_added_to() -> None:
    store = make()
    ask(store, "HSET h a x b inf")
    store.execute(0, [b"HSET", b"h", b"empty", b""], store.now_ms)
    before = store.digest()
    assert ask(store, "HINCRBYFLOAT h empty 1") == error("ERR", "hash value is not a float")
    assert ask(store, "HINCRBY h a 1") == error("ERR", "hash value is not an integer")
    assert ask(store, "HINCRBYFLOAT h a 1") == error("ERR", "hash value is not a float")
    infinite = error("ERR", "increment would produce NaN or Infinity")
    assert ask(store, "HINCRBYFLOAT h b 1") == infinite
    assert store.digest() == before


def test_refused_fields_change_nothing_whatever_adds_them() -> None:
    store = make()
    before = store.digest()
    long, limit = "f" * 21, error("ERR", "field exceeds value_bytes_max (20 bytes)")
    for line in (f"HSETNX h {long} 1", f"HINCRBY h {long} 1", f"HINCRBYFLOAT h {long} 1"):
        assert ask(store, line) == limit
    assert store.digest() == before


# -- by chance, and one after another --------------------------------------------------------------


def large(count: int = 3000) -> Store:
    store = new_store(0, 16383)
    words = [word for n in range(count) for word in (b"f%d" % n, b"%d" % n)]
    store.execute(0, [b"HSET", b"h", *words], 0)
    return store


def test_any_field_is_chosen_as_often_as_another() -> None:
    store = make()
    ask(store, "HSET h c 3")
    chosen = Counter(ask(store, "HRANDFIELD h", now_ms) for now_ms in range(3000))  # type: ignore[type-var]
    assert set(chosen) == {b"a", b"b", b"c"} and min(chosen.values()) > 800
    several = ask(store, "HRANDFIELD h -1000")
    assert isinstance(several, list) and min(Counter(several).values()) > 250  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 2, 1000, 2999, 3000, 4000])
def test_those_chosen_are_different_ones(count: int) -> None:
    store = large()
    chosen = ask(store, f"HRANDFIELD h {count}")
    assert isinstance(chosen, list)
    assert len(set(map(bytes, chosen))) == len(chosen) == min(count, 3000)  # type: ignore[arg-type]
    pairs = ask(store, f"HRANDFIELD h -{count} WITHVALUES")
    assert isinstance(pairs, Pairs) and len(pairs.items) == count
    assert all(field == b"f" + value for field, value in pairs.items)  # type: ignore[operator]


def test_what_is_chosen_follows_what_is_written() -> None:
    """The list of fields is kept from one command to the next."""
    store = large(3)
    ask(store, "HRANDFIELD h 9")
    ask(store, "HSET h new 1")
    assert ask(store, "HRANDFIELD h 9") == [b"f0", b"f1", b"f2", b"new"]
    ask(store, "HDEL h f1")
    assert ask(store, "HRANDFIELD h 9") == [b"f0", b"f2", b"new"]


def walk(store: Store, rest: str = "") -> list[bytes]:
    found: list[bytes] = []
    cursor, steps = b"0", 0
    while steps == 0 or cursor != b"0":
        reply = ask(store, f"HSCAN h {cursor.decode()}{rest}")
        assert isinstance(reply, list) and isinstance(reply[0], bytes) and len(reply[1]) < 200  # type: ignore[arg-type]
        cursor, steps = reply[0], steps + 1
        found += reply[1]  # type: ignore[arg-type,operator]
        ask(store, f"HSET h other{steps} 1")  # comes and goes meanwhile
        ask(store, f"HDEL h other{steps - 1}")
    assert steps > 10
    return [field for field in found if not field.startswith(b"other")]


def test_a_walk_gives_each_field_once_while_others_come_and_go() -> None:
    found = walk(large(), " NOVALUES")
    assert sorted(found) == sorted(b"f%d" % n for n in range(3000))


def test_a_walk_has_values_and_a_pattern() -> None:
    found = walk(large(), " MATCH f*7 COUNT 50")
    pairs = {f: v for f, v in zip(found[::2], found[1::2], strict=True) if v != b"1"}
    assert pairs == {b"f%d" % n: b"%d" % n for n in range(7, 3000, 10)}


def test_a_walk_goes_on_where_it_was_on_another_replica() -> None:
    store = large()
    first = ask(store, "HSCAN h 0 NOVALUES COUNT 1000")
    assert isinstance(first, list) and isinstance(first[0], bytes)
    cursor, fields = first[0], first[1]
    other = restored(store.snapshot())
    rest = ask(other, f"HSCAN h {cursor.decode()} NOVALUES COUNT 5000")
    assert isinstance(rest, list) and rest[0] == b"0"
    assert sorted(fields + rest[1]) == sorted(b"f%d" % n for n in range(3000))  # type: ignore[operator]
