"""Streams: what the oracle does not show, since numbers and times are each server's own, or since
it is newer than Redis 7.0."""

from typing import Any
from unittest import mock

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.keyspace.containers import stream_block
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.containers.stream_block import Block
from distrodb.keyspace.containers.stream_parts import add_part
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.store import Store
from distrodb.keyspace.stream_ids import ID_MAX, make_id, parse_id, show_id
from distrodb.resp.reply import NULL_ARRAY, OK, ErrorReply, Named
from tests.support.stores import ask, new_store, restored


def stream_of(store: Store, key: bytes = b"s") -> Stream:
    found = store._places[0].container(key, Stream)
    assert found is not None
    return found


# -- numbers ---------------------------------------------------------------------------------------


def test_numbers_come_from_the_entrys_time_and_never_go_back() -> None:
    store = new_store(0, 0)
    assert ask(store, "XADD s * f v", 1000) == b"1000-0"
    assert ask(store, "XADD s * f v", 1000) == b"1000-1"
    assert ask(store, "XADD s 5000-7 f v", 2000) == b"5000-7"
    assert ask(store, "XADD s * f v", 3000) == b"5000-8"
    assert ask(store, "XADD s * f v", 6000) == b"6000-0"
    assert ask(store, "XDEL s 6000-0") == 1
    assert ask(store, "XADD s * f v") == b"6000-1", "also where the last one is gone"


def test_behind_the_last_sequence_comes_the_next_millisecond() -> None:
    store = new_store(0, 0)
    ask(store, "XADD s 1000-18446744073709551615 f v")
    assert isinstance(ask(store, "XADD s 1000-* f v"), ErrorReply)
    assert ask(store, "XADD s * f v", 7) == b"1001-0"


@given(st.integers(0, ID_MAX))
def test_a_number_comes_back_from_its_text(number: int) -> None:
    assert parse_id(show_id(number)) == number


# -- the container ---------------------------------------------------------------------------------


class Model:
    """Entries in a list."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, list[bytes]]] = []
        self.last = 0

    def add(self, number: int, fields: list[bytes]) -> None:
        self.entries.append((number, fields))
        self.last = number

    def delete(self, numbers: list[int]) -> int:
        before = len(self.entries)
        self.entries = [entry for entry in self.entries if entry[0] not in numbers]
        return before - len(self.entries)


fields = st.lists(st.sampled_from([b"f", b"g", b"", b"long" * 20]), min_size=1, max_size=3).flatmap(
    lambda names: st.tuples(*[st.binary(max_size=4) for _ in names]).map(
        lambda values: [word for pair in zip(names, values, strict=True) for word in pair]
    )
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 3), fields),
        st.tuples(st.just("delete"), st.lists(st.integers(0, 40), max_size=6)),
        st.tuples(st.just("keep"), st.integers(0, 12)),
        st.tuples(st.just("from"), st.integers(0, 60)),
        st.tuples(st.just("clone")),
    ),
    max_size=60,
)


@given(steps)
def test_a_stream_is_a_list_of_entries(script: list[tuple[Any, ...]]) -> None:
    stream, model = Stream(0), Model()
    others: list[tuple[Stream, bytes, list[tuple[int, list[bytes]]]]] = []
    with mock.patch.object(stream_block, "ENTRIES_MAX", 4):
        for what, *words in script:
            if what == "add":
                number = model.last + words[0] + (words[0] == 3) * (7 << 64)
                stream.add(number, words[1])
                model.add(number, words[1])
            elif what == "delete":
                numbers = [number for number, _ in stream.range(0, ID_MAX)]
                chosen = [numbers[n] for n in words[0] if n < len(numbers)]
                assert stream.delete([*chosen, 3]) == model.delete([*chosen, 3])
            elif what == "keep":
                count = stream.trim(words[0], 0, False, 0)
                assert count == max(0, len(model.entries) - words[0])
                model.entries = model.entries[count:]
            elif what == "from":
                count = stream.trim(1 << 62, words[0], False, 0)
                before = len(model.entries)
                model.entries = [entry for entry in model.entries if entry[0] >= words[0]]
                assert count == before - len(model.entries)
            else:
                others.append((stream, stream.canonical(), list(model.entries)))
                stream = stream.clone(0)
            assert list(stream.range(0, ID_MAX)) == model.entries
            assert len(stream) == len(model.entries)
            assert stream.first_id == (model.entries[0][0] if model.entries else 0)
            assert stream.top_id == (model.entries[-1][0] if model.entries else 0)
    for other, canonical, entries in others:
        assert other.canonical() == canonical and list(other.range(0, ID_MAX)) == entries
    again = Stream(0)
    for part, _ in stream.parts(50):
        again.add_part(part)
    assert again.canonical() == stream.canonical() and again.size == stream.size
    first, last = 2, 5 << 64
    expected = [entry for entry in model.entries if first <= entry[0] <= last]
    assert list(stream.range(first, last)) == expected
    assert list(stream.range(first, last, reverse=True)) == expected[::-1]
    finder = stream.finder()
    found = dict(model.entries)
    for number in [*found, 1, 2, 3, 7 << 64, ID_MAX]:
        assert finder.find(number) == found.get(number)


def test_what_is_trimmed_about_are_whole_blocks() -> None:
    store = new_store(0, 0)
    for n in range(250):
        ask(store, f"XADD s {n + 1}-0 f v")
    assert ask(store, "XTRIM s MAXLEN ~ 249") == 0
    assert ask(store, "XTRIM s MAXLEN ~ 150") == 100
    assert ask(store, "XTRIM s MAXLEN ~ 0 LIMIT 99") == 0
    assert ask(store, "XTRIM s MINID ~ 240") == 100
    assert ask(store, "XLEN s") == 50
    copy = restored(store.snapshot())
    for each in (store, copy):
        assert ask(each, "XADD s MAXLEN ~ 0 1000-0 f v") == b"1000-0"
    assert store.digest() == copy.digest(), "blocks end where they ended"


# -- groups ----------------------------------------------------------------------------------------


def with_group(limits: StoreLimits | None = None) -> Store:
    store = new_store(0, 0, limits)
    for n in (1, 2, 3):
        ask(store, f"XADD s {n}-0 f {n}", 100)
    assert ask(store, "XGROUP CREATE s g 0") == OK
    return store


def test_times_are_those_of_entries() -> None:
    store = with_group()
    ask(store, "XREADGROUP GROUP g c COUNT 2 STREAMS s >", 1000)
    assert ask(store, "XPENDING s g - + 9", 1500) == [
        [b"1-0", b"c", 500, 1],
        [b"2-0", b"c", 500, 1],
    ]
    assert ask(store, "XPENDING s g IDLE 501 - + 9", 1500) == []
    assert ask(store, "XCLAIM s g d 600 1-0", 1599) == []
    assert ask(store, "XCLAIM s g d 600 1-0 JUSTID", 1600) == [b"1-0"]
    assert ask(store, "XPENDING s g - + 9", 1650) == [[b"1-0", b"d", 50, 1], [b"2-0", b"c", 650, 1]]
    assert ask(store, "XAUTOCLAIM s g e 600 0", 1700) == [b"0-0", [[b"2-0", [b"f", b"2"]]], []]
    told = ask(store, "XINFO CONSUMERS s g", 2000)
    assert isinstance(told, list)
    assert [(each[b"name"], each[b"idle"], each[b"inactive"]) for each in told] == [  # type: ignore[index, call-overload]
        (b"c", 1000, 1000),
        (b"d", 400, 400),
        (b"e", 300, 300),
    ]


def test_a_consumer_that_gets_nothing_was_seen() -> None:
    """As since Redis 7.2: https://redis.io/docs/latest/commands/xinfo-consumers/"""
    store = with_group()
    ask(store, "XREADGROUP GROUP g c STREAMS s >", 1000)
    assert ask(store, "XREADGROUP GROUP g c STREAMS s >", 1100) is NULL_ARRAY
    assert ask(store, "XREADGROUP GROUP g d STREAMS s >", 1100) is NULL_ARRAY
    assert ask(store, "XINFO CONSUMERS s g", 1150) == [
        {b"name": b"c", b"pending": 3, b"idle": 50, b"inactive": 150},
        {b"name": b"d", b"pending": 0, b"idle": 50, b"inactive": -1},
    ]


def test_who_watches_is_not_told_of_what_groups_do() -> None:
    """As in Redis; else each consumer that waits would wake the others by asking."""
    store = with_group()
    changed: list[bytes] = []

    class Noted:
        def changed(self, place: int, key: bytes) -> None:
            changed.append(key)

        def flushed(self, database: int | None) -> None: ...

        def event(self, place: int, kind: str, name: bytes, key: bytes) -> None: ...

    store.observe(Noted())
    for line in (
        "XREADGROUP GROUP g c STREAMS s >",
        "XREADGROUP GROUP g d STREAMS s >",
        "XACK s g 1-0",
        "XCLAIM s g d 0 2-0",
        "XAUTOCLAIM s g c 0 0",
        "XGROUP CREATECONSUMER s g e",
        "XGROUP DELCONSUMER s g e",
    ):
        ask(store, line)
    assert changed == []
    for line in ("XGROUP SETID s g 0", "XGROUP DESTROY s g", "XADD s * f v", "XDEL s 1-0"):
        ask(store, line)
    assert changed == [b"s"] * 4


def test_the_last_entry_is_read_by_a_plus() -> None:
    """As since Redis 7.4: https://redis.io/docs/latest/commands/xread/"""
    store = with_group()
    assert ask(store, "XREAD STREAMS s +") == Named([(b"s", [[b"3-0", [b"f", b"3"]]])])
    assert ask(store, "XREAD STREAMS none +") is NULL_ARRAY


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("XADD s 9-0 f " + "v" * 70, b"ERR value exceeds value_bytes_max"),
        ("XADD " + "k" * 70 + " 9-0 f v", b"ERR key exceeds key_bytes_max"),
        ("XREADGROUP GROUP g " + "c" * 70 + " STREAMS s >", b"ERR value exceeds"),
        ("XCLAIM s g " + "c" * 70 + " 0 1-0 FORCE", b"ERR value exceeds"),
        ("XGROUP CREATE s " + "c" * 70 + " 0", b"ERR value exceeds"),
    ],
)
def test_what_is_too_long_changes_nothing(line: str, error: bytes) -> None:
    store = with_group(StoreLimits(key_bytes_max=64, value_bytes_max=64))
    before = store.digest()
    reply = ask(store, line)
    assert isinstance(reply, ErrorReply) and reply.text.startswith(error)
    assert store.digest() == before


# -- parts, from backups and from strangers --------------------------------------------------------


def parts_of(store: Store, size: int = 40) -> list[list[Any]]:
    return [part for part, _ in stream_of(store).parts(size)]


def test_the_parts_of_a_backup_may_come_again() -> None:
    store, other = with_group(), new_store(0, 0)
    for n in range(250):
        ask(store, f"XADD s {n + 10}-0 f {n}")
    ask(store, "XDEL s 20-0")
    ask(store, "XREADGROUP GROUP g c COUNT 120 STREAMS s >", 1000)
    ask(store, "XGROUP CREATE s h $")
    for part in parts_of(store):
        for _ in range(2):
            assert other.execute(0, [b"XPART", b"s", msgpack.packb(part)], 1000) == OK
    assert stream_of(other).canonical() == stream_of(store).canonical()


plain = st.recursive(
    st.integers(-2, 1 << 64) | st.binary(max_size=8) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=7),
    max_leaves=20,
)
almost = st.lists(
    st.integers(-1, 3) | st.sampled_from([b"g", b"c", b"\x91\xa1f\x93\x00\x00\xa1v"]), max_size=9
)


@given(st.integers(0, 5), plain | almost, st.binary(max_size=20))
def test_a_part_that_is_refused_changes_nothing(kind: int, rest: Any, data: bytes) -> None:
    store = with_group()
    part = [kind, *rest] if isinstance(rest, list) else rest
    for packed in (msgpack.packb(part) if _fits(part) else b"", data):
        before = store.digest()
        reply = store.execute(0, [b"XPART", b"s", packed], 0)
        if isinstance(reply, ErrorReply):
            assert store.digest() == before
        else:
            assert reply == OK and restored(store.snapshot()).digest() == store.digest()
        reply = store.execute(0, [b"XPART", b"new", packed], 0)
        assert (reply == OK) == (ask(store, "EXISTS new") == 1)
        ask(store, "DEL new")


def _fits(part: Any) -> bool:
    try:
        msgpack.packb(part)
    except OverflowError:
        return False
    return True


def block(*items: Any) -> bytes:
    return b"".join(msgpack.packb(item, use_bin_type=False) for item in items)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        block([b"f"]),
        block(b"f", [0, 0, b"v"]),
        block([], [0, 0, b"v"]),
        block([b"f"], [0, 0, b"v", b"w"]),
        block([b"f"], [0, 0]),
        block([b"f"], [0, 0, None, b"v"]),
        block([b"f"], [0, 0, None]),
        block([b"f"], [0, -1, b"v"]),
        block([b"f"], [0, 1, b"v"], [0, 1, b"v"]),
        block([b"f"], [0, 1, 7]),
        block([b"f"], [1.0, 1, b"v"]),
        block([b"f"], {0: 1, 1: 2}),
        block([b"f"], [0, 0, b"v"])[:-1],
        block([b"f"], [1 << 63, 1, b"v"], [(1 << 64) - 1, 1, b"v"]),
    ],
)
def test_what_is_no_block_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        Block.of(None, make_id(5, 0), data)


def test_a_group_belongs_to_its_stream() -> None:
    for part in ([3, b"g", b"c", 1, 1], [4, b"g", 1, 1, b"c", 1, 1], [2, b"g", -1, 0, 0], [9], []):
        with pytest.raises(ValueError, match="a part of a stream"):
            add_part(Stream(0), part, is_again=False)


# -- what groups have of entries that are deleted -------------------------------------------------


def grouped(count: int) -> Store:
    """Entries, all given to two groups but the last one."""
    store = new_store(0, 0)
    for n in range(count):
        ask(store, f"XADD s {n + 1}-0 f v")
    for group in "gh":
        ask(store, f"XGROUP CREATE s {group} 0")
        ask(store, f"XREADGROUP GROUP {group} c COUNT {count - 1} STREAMS s >")
    return store


@pytest.mark.parametrize("about", ["=", "~"])
def test_what_no_group_needs_is_trimmed_and_nothing_else(about: str) -> None:
    store = grouped(250)
    assert ask(store, f"XTRIM s MAXLEN {about} 0 ACKED") == 0, "all are pending, or were not read"
    for n in range(1, 250):
        if n % 10:
            ask(store, f"XACK s g {n}-0")
            ask(store, f"XACK s h {n}-0")
    ask(store, "XACK s g 10-0")
    assert ask(store, f"XTRIM s MAXLEN {about} 150 ACKED") == (100 if about == "=" else 90)
    for n in (120, 130, 250):
        assert ask(store, f"XRANGE s {n}-0 {n}-0") != [], "it is pending, or was not read"
    assert ask(store, f"XTRIM s MINID {about} 1000 ACKED") > 0
    left = {show_id(n << 64) for n in (*range(10, 250, 10), 250)}
    told: Any = ask(store, "XRANGE s - +")
    assert {number for number, _ in told} == left
    copy = restored(store.snapshot())
    assert store.digest() == copy.digest()


@pytest.mark.parametrize("about", ["=", "~"])
def test_what_is_trimmed_is_pending_for_nobody_if_asked_for(about: str) -> None:
    store, kept = grouped(250), grouped(250)
    count = ask(kept, f"XTRIM s MAXLEN {about} 60")
    assert count == (190 if about == "=" else 100)
    assert ask(kept, "XPENDING s g")[0] == 249
    assert ask(store, f"XTRIM s MAXLEN {about} 60 DELREF") == count
    for group in "gh":
        assert ask(store, f"XPENDING s {group}")[0] == 249 - count
    assert ask(store, "XRANGE s - +") == ask(kept, "XRANGE s - +")
    assert stream_of(store).size < stream_of(kept).size


def test_who_has_all_is_told_how_far_it_is_where_some_in_between_are_gone() -> None:
    """A group that began among them cannot be told, so it is not told a wrong number."""
    store = grouped(6)
    for group in "gh":
        ask(store, f"XACK s {group} 2-0 4-0")
    ask(store, "XTRIM s MAXLEN 0 ACKED")
    ask(store, "XGROUP CREATE s late 3-0")
    rows: Any = ask(store, "XINFO GROUPS s")
    assert {row[b"name"]: row[b"lag"] for row in rows} == {b"g": 1, b"h": 1, b"late": None}


def test_a_deletion_is_seen_by_those_who_watch_only_if_something_is_deleted() -> None:
    store = grouped(3)
    before = stream_of(store).canonical()
    assert ask(store, "XDELEX s ACKED IDS 2 1-0 9-0") == [2, -1]
    assert stream_of(store).canonical() == before
    assert ask(store, "XACKDEL s g ACKED IDS 1 1-0") == [2]
    assert ask(store, "XDELEX s DELREF IDS 1 2-0") == [1]
    assert ask(store, "XPENDING s g") == [0, None, None, NULL_ARRAY]
