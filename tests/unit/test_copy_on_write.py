"""A snapshot is the state of its moment, whatever is written while it is encoded."""

from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.keyspace import snapshot
from distrodb.keyspace.containers import stream_block
from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.containers.list import List
from distrodb.keyspace.containers.set import Set
from distrodb.keyspace.containers.sorted_set import SortedSet
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.store import Store
from distrodb.keyspace.values import Container
from tests.support.stores import ask, new_store, restored

keys = st.sampled_from([b"a", b"b", b"c"])
streams = st.sampled_from([b"r", b"s"])
lists = st.sampled_from([b"l", b"m"])
sets = st.sampled_from([b"s", b"t"])
fields = st.sampled_from([b"x", b"y", b"z"])
scores = st.sampled_from([b"1", b"2.5", b"-inf"])
_FIELD = (st.just(b"FIELDS"), st.just(b"1"))
writes = st.one_of(
    st.tuples(st.just(b"HSET"), keys, fields, st.binary(max_size=5)),
    st.tuples(st.just(b"HDEL"), keys, fields),
    st.tuples(st.just(b"HPEXPIREAT"), keys, st.sampled_from([b"7", b"9"]), *_FIELD, fields),
    st.tuples(st.just(b"HPERSIST"), keys, *_FIELD, fields),
    st.tuples(st.sampled_from([b"LPUSH", b"RPUSH"]), lists, fields, fields),
    st.tuples(st.sampled_from([b"LPOP", b"RPOP"]), lists),
    st.tuples(st.just(b"LREM"), lists, st.just(b"1"), fields),
    st.tuples(st.just(b"LSET"), lists, st.just(b"0"), fields),
    st.tuples(st.just(b"LTRIM"), lists, st.just(b"1"), st.just(b"5")),
    st.tuples(st.just(b"DEL"), lists),
    st.tuples(st.just(b"ZADD"), keys, scores, fields),
    st.tuples(st.just(b"ZINCRBY"), keys, scores, fields),
    st.tuples(st.just(b"ZREM"), keys, fields),
    st.tuples(st.just(b"ZPOPMAX"), keys),
    st.tuples(st.just(b"ZRANGESTORE"), keys, keys, st.just(b"0"), st.just(b"1")),
    st.tuples(st.just(b"SADD"), sets, fields, fields),
    st.tuples(st.just(b"SREM"), sets, fields),
    st.tuples(st.just(b"SPOP"), sets),
    st.tuples(st.just(b"SMOVE"), sets, sets, fields),
    st.tuples(st.just(b"XADD"), streams, st.just(b"*"), fields, fields),
    st.tuples(st.just(b"XADD"), streams, st.sampled_from([b"5-*", b"9-*"]), fields, fields),
    st.tuples(st.just(b"XDEL"), streams, st.sampled_from([b"0-1", b"0-2", b"5-0", b"0-5"])),
    st.tuples(st.just(b"XTRIM"), streams, st.just(b"MAXLEN"), st.sampled_from([b"3", b"0"])),
    st.tuples(st.just(b"XGROUP"), st.just(b"CREATE"), streams, fields, st.just(b"0")),
    st.tuples(
        *map(st.just, (b"XREADGROUP", b"GROUP", b"x", b"c", b"COUNT", b"1", b"STREAMS")),
        streams,
        st.just(b">"),
    ),
    st.tuples(st.just(b"XACK"), streams, st.just(b"x"), st.sampled_from([b"0-1", b"0-2"])),
    st.tuples(st.just(b"COPY"), streams, streams, st.just(b"REPLACE")),
    st.tuples(st.just(b"DEL"), keys | streams),
    st.tuples(st.just(b"PEXPIRE"), keys, st.just(b"9")),
)
steps = st.lists(writes | st.sampled_from(["snapshot", "a chunk"]), max_size=60)


def run(script: list[tuple[bytes, ...] | str]) -> None:
    """Snapshots are begun between writes, and encoded piece by piece between later ones."""
    store = new_store(0, 0)
    under_way: list[tuple[str, Iterator[bytes], list[bytes]]] = []
    small = mock.patch.object(stream_block, "ENTRIES_MAX", 3)
    with small, mock.patch.object(snapshot, "CHUNK_BYTES", 1):  # a chunk for each field
        for step in script:
            if step == "snapshot":
                under_way.append((store.digest(), store.snapshot(), []))
            elif step == "a chunk":
                for _, chunks, taken in under_way:
                    taken += [chunk for _, chunk in zip(range(1), chunks, strict=False)]
            else:
                store.execute(0, step, store.now_ms)  # type: ignore[arg-type]
        for digest, chunks, taken in under_way:
            assert restored([*taken, *chunks]).digest() == digest


@given(steps)
def test_a_snapshot_is_the_state_of_its_moment(script: list[tuple[bytes, ...] | str]) -> None:
    run(script)


TORN: list[tuple[bytes, ...] | str] = [
    (b"HSET", b"a", b"x", b"1"),
    "snapshot",
    "a chunk",
    (b"HSET", b"a", b"x", b"2"),
]


TORN_LIST: list[tuple[bytes, ...] | str] = [
    (b"RPUSH", b"l", b"x"),
    "snapshot",
    "a chunk",
    (b"RPUSH", b"l", b"y"),
]


TORN_SORTED_SET: list[tuple[bytes, ...] | str] = [
    (b"ZADD", b"a", b"1", b"x"),
    "snapshot",
    "a chunk",
    (b"ZADD", b"a", b"2", b"x"),
]


TORN_SET: list[tuple[bytes, ...] | str] = [
    (b"SADD", b"s", b"x"),
    "snapshot",
    "a chunk",
    (b"SADD", b"s", b"y"),
]


TORN_STREAM: list[tuple[bytes, ...] | str] = [
    (b"XADD", b"s", b"1-1", b"f", b"v"),
    "snapshot",
    "a chunk",
    (b"XADD", b"s", b"1-2", b"f", b"v"),
]


ALL_TORN = [
    (Hash, TORN),
    (List, TORN_LIST),
    (Set, TORN_SET),
    (SortedSet, TORN_SORTED_SET),
    (Stream, TORN_STREAM),
]


@pytest.mark.parametrize(("kind", "script"), ALL_TORN)
def test_without_the_copy_it_tears(
    kind: type[Container], script: list[tuple[bytes, ...] | str]
) -> None:
    run(script)
    without_copies = mock.patch.object(kind, "clone", lambda self, generation: self)
    with without_copies, pytest.raises(AssertionError):
        run(script)


def hash_of(store: Store) -> Hash:
    found = store._places[0].container(b"a", Hash)
    assert found is not None
    return found


def test_a_container_is_copied_once_a_snapshot_and_only_if_it_is_written_to() -> None:
    store = new_store(0, 0)
    ask(store, "HSET a x 1")
    first = hash_of(store)
    ask(store, "HSET a y 1")
    assert hash_of(store) is first  # nobody else has it
    store.snapshot()
    for line in ("HGETALL a", "HDEL a none", "PEXPIRE a 9", "SET s 1"):
        ask(store, line)
    assert hash_of(store) is first
    ask(store, "HSET a x 2")
    second = hash_of(store)
    assert second is not first and first.fields == {b"x": b"1", b"y": b"1"}
    ask(store, "HDEL a x")
    assert hash_of(store) is second
    store.snapshot()
    store.snapshot()
    ask(store, "HDEL a y")
    assert second.fields == {b"y": b"1"}


@given(
    st.lists(st.tuples(fields | st.binary(max_size=3), st.binary(max_size=9))), st.integers(1, 40)
)
def test_a_hash_comes_back_from_its_parts(pairs: list[tuple[bytes, bytes]], size: int) -> None:
    one, other = Hash(3), Hash(0)
    for field, value in pairs:
        one.set(field, value)
    for part, part_size in one.parts(size):
        assert part_size <= size + 3 + 9 + 16
        other.add_part(part)
    assert list(other.fields.items()) == list(one.fields.items()) and other.size == one.size
    assert other.canonical() == one.canonical()


@given(st.dictionaries(fields, st.tuples(st.binary(max_size=9), st.integers(0, 9))))
def test_a_hash_with_fields_that_expire_comes_back_too(
    contents: dict[bytes, tuple[bytes, int]],
) -> None:
    one, other = Hash(3), Hash(0)
    for field, (value, at_ms) in contents.items():
        one.set(field, value)
        if at_ms:
            one.expire_at(field, at_ms)
    for part, _ in one.parts(1):
        other.add_part(part)
    assert list(other.fields.items()) == list(one.fields.items()) and other.size == one.size
    for copy in (other, one.clone(4)):
        assert copy.canonical() == one.canonical() and copy.soonest_ms == one.soonest_ms
        assert [copy.expiry(field) or 0 for field in contents] == [
            at for _, at in contents.values()
        ]


@pytest.mark.parametrize(
    "plain",
    [
        *([], [b"a"], [b"a", 1], ["a", b"1"], [b"a", b"1", b"a", b"2"], [1], [1, b"a", b"1"]),
        *(
            [2, b"a", b"1", 0],
            [1, b"a", b"1", b"0"],
            [1, b"a", b"1", 2**46],
            [1, b"a", 1, 0],
            [1, b"a", b"1", 5, b"a", b"1", 5],
        ),
        *([1, b"a", b"1", True], [1, b"a", b"1", -1]),
    ],
)
def test_what_is_no_part_of_a_hash_is_refused(plain: list[object]) -> None:
    with pytest.raises(ValueError, match="a hash"):
        Hash(0).add_part(plain)


def test_a_large_hash_is_no_large_chunk() -> None:
    store = new_store(0, 0)
    pairs = [word for n in range(2000) for word in (b"field%d" % n, b"x" * 1000)]
    store.execute(0, [b"HSET", b"h", *pairs], 0)
    store.execute(0, [b"PEXPIRE", b"h", b"77"], 0)
    chunks = list(store.snapshot())
    assert len(chunks) in range(8, 11) and max(map(len, chunks)) < 300_000
    again = restored(chunks)
    assert again.digest() == store.digest() and again.key_count() == 1
    assert abs(store.size_estimate() - sum(map(len, chunks))) < 50_000
