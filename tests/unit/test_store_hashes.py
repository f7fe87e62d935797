import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.commands.table import DATA_COMMANDS
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.store import Store
from distrodb.resp.reply import OK, ErrorReply, Reply, Status, error
from tests.support.stores import ask, new_store

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
        if row.scope == "key" and row.name not in any_kind:
            key = b"s" if row.group == "hash" else b"h"
            words = words_of(row.name, row.arity, key)
            reply = store.execute(0, words, 0)
            assert reply == WRONG_TYPE, row.name


def words_of(name: str, arity: int, key: bytes) -> list[bytes]:
    """A command that makes sense."""
    by_name = {
        "linsert": [key, b"BEFORE", b"1", b"1"],
        "lmove": [key, b"1", b"LEFT", b"LEFT"],
        "lmpop": [b"1", key, b"LEFT"],
    }
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
