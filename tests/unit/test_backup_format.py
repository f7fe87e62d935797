"""The bytes of a backup: they come back as they went, and no damage passes."""

import math
import zlib
from dataclasses import replace

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from distrodb.backup.format import MAGIC, Decoder, Encoder
from distrodb.errors import ConfigError, CorruptionError, DistrodbError
from distrodb.keyspace import snapshot
from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.containers.sorted_set import SortedSet
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.store import Store
from distrodb.ring.slots import slot_of, slot_ranges
from distrodb.slave.machine_factory import new_store
from tests.unit.backup_world import FACTS, backup_of, reading_of, records_of


def stores_with(commands: list[list[bytes]], database: int = 0) -> list[Store]:
    stores = [new_store(first, last) for first, last in slot_ranges(2)]
    for words in commands:
        slot = slot_of(words[1])
        store = stores[0] if slot <= stores[0].last_slot else stores[1]
        reply = store.execute(place_of(database, slot), words, 10)
        assert not hasattr(reply, "code"), reply
    return stores


def some() -> list[Store]:
    commands = [[b"SET", b"k%d" % n, b"v" * n] for n in range(30)]
    commands += [[b"SET", b"e%d" % n, b"x", b"PXAT", b"%d" % (5000 + n)] for n in range(5)]
    commands += [[b"HSET", b"h%d" % n, b"f", b"1", b"g", b"\xff\x00"] for n in range(4)]
    commands += [[b"ZADD", b"z%d" % n, b"1", b"a", b"-inf", b"\xff"] for n in range(2)]
    commands += [[b"HSET", b"eh", b"f", b"1"], [b"PEXPIREAT", b"eh", b"7000"]]
    return stores_with(commands)


WHOLE = backup_of(some())


def plain(value: object) -> object:
    if isinstance(value, SortedSet):
        return list(value)
    return dict(value.fields) if isinstance(value, Hash) else value


def test_what_went_in_comes_out():
    found = {r.key: (r.database, plain(r.value), r.expires_at_ms) for r in records_of(WHOLE)}
    wanted = {b"k%d" % n: (0, b"v" * n, None) for n in range(30)}
    wanted |= {b"e%d" % n: (0, b"x", 5000 + n) for n in range(5)}
    wanted |= {b"h%d" % n: (0, {b"f": b"1", b"g": b"\xff\x00"}, None) for n in range(4)}
    wanted |= {b"z%d" % n: (0, [(-math.inf, b"\xff"), (1.0, b"a")], None) for n in range(2)}
    assert found == wanted | {b"eh": (0, {b"f": b"1"}, 7000)}
    reading = reading_of(WHOLE)
    assert (len(list(reading.records())), reading.keys, reading.partitions) == (42, 42, 2)


def test_a_database_is_kept():
    (record,) = records_of(backup_of(stores_with([[b"SET", b"a", b"1"]], database=3)))
    assert (record.database, record.key) == (3, b"a")


@given(st.integers(1, 4000))
@example(1)
def test_a_container_in_many_chunks_is_one_record(size):
    fields = {b"field%d" % n: b"%d" % n * 9 for n in range(60)}
    words = [word for pair in fields.items() for word in pair]
    stores = stores_with([[b"HSET", b"h", *words], [b"SET", b"a", b"1"], [b"SET", b"{h}", b"2"]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "CHUNK_BYTES", size)
        data = backup_of(stores)
    found = {record.key: plain(record.value) for record in records_of(data)}
    assert found == {b"h": fields, b"a": b"1", b"{h}": b"2"}


@given(st.integers(1, 400), st.integers(0, 45))
def test_a_reading_that_is_taken_up_again_misses_nothing(size, count):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "CHUNK_BYTES", size)
        data = backup_of(some())
    first = reading_of(data)
    records, seen = first.records(), []
    for record in records:
        if len(seen) == count:
            break
        seen.append(record.key)
    second = reading_of(data, first.safe_frame)
    rest = [record.key for record in second.records()]
    assert {*seen, *rest} == {record.key for record in records_of(data)}
    assert second.keys == 42
    if size == 1:  # a chunk a key: nearly nothing comes twice
        assert len(seen) + len(rest) <= 43


def test_a_file_that_is_cut_anywhere_is_refused():
    for length in range(len(MAGIC), len(WHOLE)):
        with pytest.raises(CorruptionError, match="^a.backup: it ends too early, at byte") as told:
            records_of(WHOLE[:length])
        assert "\n" not in str(told.value)
    for length in range(len(MAGIC)):
        with pytest.raises(ConfigError, match="this is no backup of distrodb"):
            records_of(WHOLE[:length])


def test_a_byte_that_is_changed_anywhere_is_noticed():
    for at in range(len(WHOLE)):
        for flipped in (1, 0x80, 0xFF):
            data = bytearray(WHOLE)
            data[at] ^= flipped
            with pytest.raises(DistrodbError) as told:
                records_of(bytes(data))
            assert isinstance(told.value, ConfigError if at < len(MAGIC) else CorruptionError)
            assert "\n" not in str(told.value) and str(told.value).startswith("a.backup: ")


@given(st.binary(max_size=300), st.integers(0, len(WHOLE)), st.integers(0, 60))
def test_whatever_stands_there_is_one_line_or_whole(noise, at, gone):
    data = WHOLE[:at] + noise + WHOLE[at + gone :]
    if data != WHOLE:
        with pytest.raises(DistrodbError):
            records_of(data)


@given(st.binary(max_size=200))
def test_noise_behind_the_first_line_is_refused(noise):
    with pytest.raises(CorruptionError):
        records_of(MAGIC + noise)


def frames(data: bytes) -> list[bytes]:
    found, at = [], len(MAGIC)
    while at < len(data):
        end = at + 13 + int.from_bytes(data[at : at + 4], "big")
        found.append(data[at:end])
        at = end
    return found


def test_frames_that_are_missing_twice_swapped_or_another_backup_s_are_noticed():
    whole = frames(WHOLE)
    assert MAGIC + b"".join(whole) == WHOLE and len(whole) >= 7
    other = frames(backup_of(some(), facts=replace(FACTS, id=1)))
    for number in range(len(whole)):
        changed = [
            [*whole[:number], *whole[number + 1 :]],
            [*whole[:number], whole[number], *whole[number:]],
            [*whole[:number], other[number], *whole[number + 1 :]],
        ]
        if number + 1 < len(whole):
            pair = whole[number + 1], whole[number]
            changed.append([*whole[:number], *pair, *whole[number + 2 :]])
        for each in changed:
            with pytest.raises(CorruptionError):
                records_of(MAGIC + b"".join(each))


def test_more_behind_the_end_is_refused():
    with pytest.raises(CorruptionError, match="more behind the end"):
        records_of(WHOLE + b"\0")


def test_a_partition_that_is_not_there_is_missed():
    """Frames that are right one by one, by a writer that left something out."""
    (store, other), encoder = some(), Encoder(FACTS)
    parts = [encoder.begin(), encoder.partition(0), *map(encoder.chunk, store.picture())]
    keys = store.key_count()
    before = encoder.position
    with pytest.raises(CorruptionError, match="does not belong there"):
        records_of(b"".join([*parts, encoder.end(1, keys)]))
    encoder.position = before
    parts.append(encoder.partition(1))
    with pytest.raises(CorruptionError, match="a partition without a header"):
        records_of(b"".join([*parts, encoder.end(2, keys)]))
    encoder.position = before + 1
    header, *chunks = other.picture()
    with pytest.raises(CorruptionError, match="a partition of 0 keys that should have"):
        records_of(b"".join([*parts, encoder.chunk(header), encoder.end(2, keys)]))
    encoder.position = before + 1
    parts += map(encoder.chunk, [header, *chunks])
    with pytest.raises(CorruptionError, match="it has 42 keys and should have 43"):
        records_of(b"".join([*parts, encoder.end(2, 43)]))


def test_a_partition_may_begin_anew_behind_a_break():
    """Its leader died: the file goes back to where the partition begins."""
    (store, other), encoder = some(), Encoder(FACTS)
    parts, position = [encoder.begin(), encoder.partition(0)], encoder.position
    encoder.chunk(b"half of it")
    encoder.position = position
    parts += map(encoder.chunk, store.picture())
    parts += [encoder.partition(1), *map(encoder.chunk, other.picture())]
    assert len(records_of(b"".join([*parts, encoder.end(2, 42)]))) == 42


def test_another_version_says_which(monkeypatch):
    monkeypatch.setattr("distrodb.backup.format.VERSION", 2)
    data = backup_of(some())
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="a backup of format 2, and this version .* reads"):
        records_of(data)


@pytest.mark.parametrize(
    "changed",
    [{"id": -1}, {"made_ms": 1 << 60}, {"made_ms": -1}, {"slaves": [1]}, {"partitions": "2"}],
)
def test_facts_that_make_no_sense_are_refused(changed):
    data = Encoder(replace(FACTS, **changed)).begin()
    with pytest.raises(CorruptionError, match="its facts make no sense"):
        records_of(data)


plain_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(1 << 63), (1 << 64) - 1),
        st.integers(0, 200),
        st.binary(max_size=4),
        st.text(max_size=3),
    ),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=12,
)
rows = st.lists(
    st.one_of(
        plain_values,
        st.builds(
            lambda place, tag, items: [place, tag, *items],
            st.integers(0, 40_000),
            st.sampled_from([0, 1, 2, 64, 65, 127, 128]),
            st.lists(st.one_of(st.binary(max_size=3), st.lists(st.binary(max_size=2))), max_size=6),
        ),
    ),
    max_size=4,
)


@given(st.lists(rows, max_size=3), st.integers(0, 5))
def test_what_a_writer_of_nonsense_wrote_with_right_checksums_is_one_line(chunks, keys):
    encoder = Encoder(replace(FACTS, partitions=1))
    header = ["distrodb store", 3, 10, 0, 16383, keys, 0, 0]
    parts = [encoder.begin(), encoder.partition(0), encoder.chunk(packed(header))]
    parts += [encoder.chunk(packed(each)) for each in chunks]
    try:
        found = records_of(b"".join([*parts, encoder.end(1, keys)]))
    except CorruptionError as error:
        assert str(error).startswith("a.backup: ") and "\n" not in str(error)
    else:
        assert len(found) == keys


@given(plain_values)
def test_a_header_of_nonsense_is_one_line(header):
    encoder = Encoder(replace(FACTS, partitions=1))
    parts = [encoder.begin(), encoder.partition(0), encoder.chunk(packed(header))]
    with pytest.raises(CorruptionError, match=r"\Aa.backup: damaged at byte [^\n]*\Z"):
        records_of(b"".join([*parts, encoder.end(1, 0)]))


def packed(plain: object) -> bytes:
    """As a picture's chunk is."""
    data: bytes = msgpack.packb(plain)
    return zlib.crc32(data).to_bytes(4, "big") + data


def test_nothing_large_is_allocated_for_a_damaged_length():
    asked: list[int] = []

    class Endless:
        def read(self, count: int) -> bytes:
            asked.append(count)
            return MAGIC if count == len(MAGIC) else b"\xff" * count

    with pytest.raises(CorruptionError, match="a frame of 4294967295 bytes"):
        Decoder("a.backup", Endless().read)
    assert max(asked) < 100


def test_a_chunk_that_unpacks_to_too_much_is_refused(monkeypatch):
    (store, _), encoder = some(), Encoder(FACTS)
    parts = [encoder.begin(), encoder.partition(0), *map(encoder.chunk, store.picture())]
    parts.append(encoder.chunk(b"\0" * 100_000))
    monkeypatch.setattr("distrodb.backup.format.BODY_BYTES_MAX", 50_000)
    with pytest.raises(CorruptionError, match="it unpacks to more than it may"):
        records_of(b"".join(parts))
