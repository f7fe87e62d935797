import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.ring.slots import SLOT_COUNT, share_slot, slot_of, slot_ranges

pytestmark = pytest.mark.usefixtures("build")


@pytest.mark.parametrize(
    ("key", "slot"),
    [(b"123456789", 0x31C3), (b"", 0), (b"foo", 12182), (b"bar", 5061), (b"{foo}bar", 12182)],
)
def test_slots_are_those_of_the_redis_cluster_specification(key: bytes, slot: int) -> None:
    assert slot_of(key) == slot


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"{user1000}.following", b"user1000"),
        (b"foo{}{bar}", None),
        (b"foo{{bar}}zap", b"{bar"),
        (b"foo{bar}{zap}", b"bar"),
        (b"foo{bar", None),
        (b"foo}bar{zap}", b"zap"),
    ],
)
def test_hash_tags(key: bytes, hashed: bytes | None) -> None:
    untagged = (hashed or key).replace(b"{", b"").replace(b"}", b"")
    if hashed is None:
        assert slot_of(key) != slot_of(untagged)  # the braces count
    elif b"{" not in hashed:
        assert slot_of(key) == slot_of(hashed)
    else:
        assert slot_of(key) == slot_of(b"x{" + hashed + b"}y")


@given(st.binary())
def test_every_key_has_a_slot(key: bytes) -> None:
    assert 0 <= slot_of(key) < SLOT_COUNT


@given(st.integers(1, SLOT_COUNT))
def test_ranges_are_contiguous_cover_all_and_are_even(partitions: int) -> None:
    ranges = slot_ranges(partitions)
    assert len(ranges) == partitions
    assert [first for first, _ in ranges] == [0, *(last + 1 for _, last in ranges[:-1])]
    assert ranges[-1][1] == SLOT_COUNT - 1
    sizes = {last - first for first, last in ranges}
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("partitions", [0, -1, SLOT_COUNT + 1])
def test_a_number_of_partitions_that_cannot_be(partitions: int) -> None:
    with pytest.raises(ValueError, match="1 to 16384"):
        slot_ranges(partitions)


tags = st.sampled_from([b"{a}", b"{b}", b"{", b"}", b"{}", b"x", b"{a", b"{a}}"])


@given(st.lists(st.lists(tags, max_size=3).map(b"".join), min_size=1, max_size=4))
def test_keys_share_a_slot_when_each_one_says_the_same(keys: list[bytes]) -> None:
    assert share_slot(keys) == (len(set(map(slot_of, keys))) == 1)
