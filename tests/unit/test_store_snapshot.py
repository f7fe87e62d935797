import zlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.commands.table import MACHINE_COMMANDS
from distrodb.errors import VersionError
from distrodb.keyspace import snapshot
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.entry import encode_batch
from distrodb.keyspace.store import Store, StoreBuilder
from distrodb.slave.machine_factory import new_store, restore_store

LIMITS = 65536, 1 << 24  # bytes of a key, of a value

states = st.dictionaries(
    st.tuples(st.integers(5, 9), st.binary(max_size=8)), st.binary(max_size=30), max_size=40
)


def make(state: dict[tuple[int, bytes], bytes], now_ms: int = 7) -> Store:
    store = new_store(5, 9)
    batch = [(slot, [b"SET", key, value]) for (slot, key), value in state.items()]
    store.apply(encode_batch(now_ms, batch, 0, LIMITS))
    return store


@given(states, st.integers(1, 400))
def test_a_store_comes_back_as_it_went(state: dict[tuple[int, bytes], bytes], size: int) -> None:
    store = make(state)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "CHUNK_BYTES", size)  # so that there are many chunks
        chunks = list(store.snapshot())
    again = restore_store(StoreLimits(), chunks)
    assert again.digest() == store.digest()
    assert again.now_ms == 7
    assert (again.first_slot, again.last_slot) == (5, 9)
    assert again.key_count() == len(state)
    for (slot, key), value in state.items():
        assert again.execute(slot, [b"GET", key], 0) == value


@given(states, states)
def test_digests_are_equal_for_equal_states_only(
    one: dict[tuple[int, bytes], bytes], two: dict[tuple[int, bytes], bytes]
) -> None:
    backwards = dict(reversed(one.items()))
    assert make(one).digest() == make(backwards).digest()
    assert (make(one).digest() == make(two).digest()) == (one == two)


def test_a_digest_forgets_what_was_deleted() -> None:
    store = make({(5, b"a"): b"1"})
    before = store.digest()
    store.execute(6, [b"SET", b"b", b"2"], 0)
    store.execute(6, [b"DEL", b"b"], 0)
    assert store.digest() == before


def test_the_copy_is_taken_at_the_call() -> None:
    store = make({(5, b"a"): b"1"})
    before = store.digest()
    chunks = store.snapshot()
    store.execute(5, [b"SET", b"a", b"2"], 0)
    store.execute(5, [b"SET", b"b", b"2"], 0)
    store.execute(-1, [b"FLUSHALL"], 0)
    assert restore_store(StoreLimits(), chunks).digest() == before


def test_chunks_are_about_256_kib() -> None:
    store = make({(5 + n % 5, b"key%d" % n): b"x" * 1000 for n in range(2000)})
    chunks = list(store.snapshot())
    assert len(chunks) in range(8, 11)
    assert max(map(len, chunks)) < 300_000


def test_what_is_not_a_whole_snapshot_is_refused() -> None:
    header, items = make({(5, b"a"): b"1", (6, b"b"): b"2"}).snapshot()
    for chunks, reason in [
        ([], "without a header"),
        ([items], "not a store's snapshot"),
        ([header], "lacks 2 keys"),
        ([header, header], "unknown type"),
        ([header, items[:-1]], "checksum"),
        ([header[:3]], "checksum"),
        ([b""], "checksum"),
    ]:
        with pytest.raises(ValueError, match=reason):
            restore_store(StoreLimits(), chunks)


def test_a_slot_outside_the_range_is_refused() -> None:
    foreign = snapshot.encode(snapshot.Header(1, 5, 9, 1), {10: ({b"a": b"1"}, {})})
    with pytest.raises(ValueError, match="slot 10"):
        restore_store(StoreLimits(), foreign)


@given(st.data())
def test_any_flipped_bit_is_found(data: st.DataObject) -> None:
    chunks = list(make({(5, b"a"): b"1", (6, b"b"): b"2"}).snapshot())
    number = data.draw(st.integers(0, len(chunks) - 1))
    damaged = bytearray(chunks[number])
    bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    chunks[number] = bytes(damaged)
    with pytest.raises(ValueError, match="checksum"):
        restore_store(StoreLimits(), chunks)


def test_the_builder_takes_chunk_by_chunk() -> None:
    store = make({(5, b"a"): b"1"})
    builder = StoreBuilder(MACHINE_COMMANDS)
    for chunk in store.snapshot():
        builder.add(chunk)
    assert builder.finish().digest() == store.digest()


def pack(rows: object) -> bytes:
    data: bytes = msgpack.packb(rows)
    return zlib.crc32(data).to_bytes(4, "big") + data


def test_a_snapshot_of_version_1_is_read() -> None:
    """As 0.3.0 wrote it."""
    chunks = [
        pack(["distrodb store", 1, 7, 5, 9, 3]),
        pack([[5, 0, b"a", b"1", b"b", b""], [6, 0, b"c", b"3"]]),
    ]
    state = {(5, b"a"): b"1", (5, b"b"): b"", (6, b"c"): b"3"}
    assert restore_store(StoreLimits(), chunks).digest() == make(state).digest()


def test_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="another version"):
        restore_store(StoreLimits(), [pack(["distrodb store", 3, 7, 5, 9, 0])])
    with pytest.raises(VersionError, match="^a store's snapshot of version 4, which this version"):
        restore_store(StoreLimits(), [pack(["distrodb store", 4, "x"])])


@pytest.mark.parametrize(
    "row",
    [
        [5],
        [5, 0],
        [5, 0, b"a"],
        [5, 0, b"a", "text"],
        [5, 0, "a", b"text"],
        [5, 0, b"a", [b"x", b"1"]],
        [5, 1, b"a", b"1"],
        [5, 1, b"a", [b"x"]],
        [5, 1, b"a", []],
        [5, 1, b"a", [b"x", 1]],
        [5, 1, b"a", [b"x", b"1"], b"a", [b"x", b"2"]],
        [5, 2, b"a", b"1"],
        [5, -1, b"a", b"1"],
        [5, 64, b"a", b"1"],
        [5, 64, b"a", b"50", b"1"],
        [5, 64, b"a", 50.0, b"1"],
        [5, 64, b"a", 50, [b"1"]],
        [5, 65, b"a", 50, b"1"],
        [5, 128, b"a", 50, b"1"],
        [5, -128, b"a", b"1"],
        [-1, 0, b"a", b"1"],
        ["5", 0, b"a", b"1"],
        None,
        {},
    ],
)
def test_a_row_that_makes_no_sense_is_refused(row: object) -> None:
    with pytest.raises(ValueError, match=r"a snapshot|a hash|a part of"):
        restore_store(StoreLimits(), [pack(["distrodb store", 2, 7, 5, 9, 1]), pack([row])])


def test_a_key_of_two_kinds_is_refused() -> None:
    rows = [[5, 0, b"a", b"1"], [5, 1, b"a", [b"x", b"1"]]]
    with pytest.raises(ValueError, match="two kinds"):
        restore_store(StoreLimits(), [pack(["distrodb store", 2, 7, 5, 9, 1]), pack(rows)])
    with pytest.raises(ValueError, match="lacks"):
        restore_store(StoreLimits(), [pack(["distrodb store", 2, 7, 5, 9, 2]), pack(rows[::-1])])
