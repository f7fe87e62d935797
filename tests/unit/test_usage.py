"""What is said of the memory of keys is what they take, whatever they went through."""

from hypothesis import given, settings
from hypothesis import strategies as st

from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.entry import encode_batch
from distrodb.keyspace.store import Store
from distrodb.keyspace.usage import KEY_BYTES, Usage, size_of
from distrodb.ring.slots import slot_of
from distrodb.slave.machine_factory import new_store, restore_store

keys = st.sampled_from([b"{a}1", b"{a}2", b"{a}3"])
texts = st.binary(max_size=9)
commands = st.one_of(
    st.tuples(st.sampled_from([b"SET", b"APPEND", b"GETSET", b"SETNX"]), keys, texts),
    st.tuples(st.just(b"SET"), keys, texts, st.just(b"KEEPTTL")),
    st.tuples(st.just(b"HSET"), keys, st.sampled_from([b"f", b"g"]), texts),
    st.tuples(st.just(b"ZADD"), keys, st.sampled_from([b"1", b"2"]), texts),
    st.tuples(st.just(b"ZREM"), keys, texts),
    st.tuples(st.just(b"ZPOPMIN"), keys, st.sampled_from([b"1", b"2"])),
    st.tuples(st.just(b"ZUNIONSTORE"), keys, st.just(b"2"), keys, keys),
    st.tuples(st.just(b"ZREMRANGEBYRANK"), keys, st.just(b"0"), st.just(b"1")),
    st.tuples(st.just(b"HDEL"), keys, st.sampled_from([b"f", b"g"])),
    st.tuples(
        st.just(b"HPEXPIRE"),
        keys,
        st.sampled_from([b"1", b"50"]),
        *map(st.just, (b"FIELDS", b"2", b"f", b"g")),
    ),
    st.tuples(st.sampled_from([b"DEL", b"PERSIST", b"GETDEL"]), keys),
    st.tuples(st.just(b"PEXPIRE"), keys, st.sampled_from([b"1", b"50"])),
    st.tuples(st.sampled_from([b"RENAME", b"COPY"]), keys, keys),
    st.tuples(st.just(b"MOVE"), keys, st.just(b"1")),
    st.sampled_from([(b"FLUSHDB",), (b"FLUSHALL",), (b"snapshot",), (b"total",)]),
)


def counted(store: Store) -> int:
    """Key by key, as ``Usage.of`` must come to without looking at each."""
    items = [item for keys in store._places.values() for item in keys.all().items()]
    total = sum(KEY_BYTES + len(key) + size_of(value) for key, value in items)
    assert total == sum(Usage.of(keys.all()) for keys in store._places.values())
    return total


@settings(max_examples=300)
@given(st.lists(commands, max_size=40))
def test_it_is_the_sum_over_all_keys(sequence: list[tuple[bytes, ...]]) -> None:
    store = new_store(0, 16383)
    for number, args in enumerate(sequence):
        if args == (b"snapshot",):
            store = restore_store(StoreLimits(), store.snapshot())
        elif args == (b"total",):
            assert store._shared.usage.total == counted(store)
        else:
            place = -1 if len(args) == 1 else slot_of(b"a")
            store.apply(encode_batch(10 * number, [(place, args)], 3, store.limits, 0))
    assert store._shared.usage.total == counted(store)
    assert store.used_bytes >= counted(store)


def test_replies_that_are_kept_for_gateways_count_until_they_are_answered() -> None:
    store = new_store(0, 16383)
    slot, origin = slot_of(b"a"), store.origins.open()
    store.execute(slot, [b"SET", b"a", b"v" * 5000], 0)
    before = store.used_bytes
    store.execute_once((origin, 1, 1), slot, [b"SET", b"a", b"w" * 5000, b"GET"], 0)
    assert store.used_bytes >= before + 5000
    assert restore_store(StoreLimits(), store.snapshot()).used_bytes == store.used_bytes
    store.execute_once((origin, 2, 2), slot, [b"APPEND", b"a", b"v"], 0)
    assert store.used_bytes < before + 1000


def test_containers_that_are_written_to_between_snapshots_count_once() -> None:
    store = new_store(0, 16383)
    slot = slot_of(b"h")
    for number in range(50):
        chunks = store.snapshot()
        store.execute(slot, [b"HSET", b"h", b"%d" % number, b"v" * 100], 0)
        del chunks
    assert store._shared.usage.total == counted(store) > 50 * 100


def test_many_containers_that_grow_are_added_in_time() -> None:
    store = new_store(0, 16383)
    for number in range(3000):
        name = b"{h}%d" % number
        store.execute(slot_of(name), [b"HSET", name, b"f", b"v" * 10], 0)
    assert len(store._shared.usage._written) < 1100
    assert store._shared.usage.total == counted(store) > 3000 * KEY_BYTES
