"""A list is a list, however it is kept; it is small, and cheap where it should be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.keyspace.containers import blocks
from distrodb.keyspace.containers import list as kept
from distrodb.keyspace.containers.list import List


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of few elements, so that short lists have many of them."""
    for name, value in {"BLOCK_ITEMS": 3, "BLOCK_BYTES": 20, "_STRIDE": 2}.items():
        monkeypatch.setattr(blocks, name, value)
    monkeypatch.setattr(kept, "BLOCK_ITEMS", 3)
    monkeypatch.setattr(kept, "END_ITEMS", 6)


def list_of(items: list[bytes]) -> List:
    made = List(0)
    made.extend(items)
    return made


def check(found: List, model: list[bytes]) -> None:
    assert list(found) == model and len(found) == len(model)
    items = [found._head, found._tail]
    assert all(len(each) <= kept.END_ITEMS for each in items)
    size = sum(len(item) + kept.ITEM_BYTES for each in items for item in each)
    for count, block in found._blocks.runs(False):
        assert len(blocks.items_of(count, block)) == count > 0
        size += len(block) + blocks.BLOCK_COST
    assert found.size == size


values = st.sampled_from([b"0", b"1", b"2", b"111111111", b"", b"a" * 30])
numbers = st.integers(0, 12)
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["push", "extend", "extend", "pop", "drop", "set", "insert", "remove", "clone"]
        ),
        st.booleans(),
        numbers,
        st.lists(values, min_size=1, max_size=9),
    ),
    max_size=40,
)


def step(
    found: List, model: list[bytes], name: str, is_left: bool, n: int, some: list[bytes]
) -> List:
    value, at = some[0], n % max(1, len(model))
    match name:
        case "push":
            found.push(value, is_left)
            model.insert(0 if is_left else len(model), value)
        case "extend":
            found.extend(some)
            model += some
        case "pop" if model:
            assert found.pop(is_left) == model.pop(0 if is_left else -1)
        case "drop":
            found.drop(n, is_left)
            del model[slice(n) if is_left else slice(max(0, len(model) - n), None)]
        case "set" if model:
            found.set(at, value)
            model[at] = value
        case "insert":
            found.insert(min(n, len(model)), value)
            model.insert(n, value)
        case "remove":
            places = [place for place, item in enumerate(model) if item == value]
            gone = places[: n + 1] if is_left else places[::-1][: n + 1]
            assert found.remove(value, n + 1, not is_left) == len(gone)
            model[:] = [item for place, item in enumerate(model) if place not in gone]
        case "clone":
            other = found.clone(found.generation + 1)
            found.push(b"to be seen there alone", is_left)
            return other
    return found


@pytest.mark.usefixtures("small")
@given(steps)
def test_a_list_is_a_list(script: list[tuple[str, bool, int, list[bytes]]]) -> None:
    found, model = List(0), list[bytes]()
    for each in script:
        found = step(found, model, *each)
        check(found, model)


@pytest.mark.usefixtures("small")
@given(st.lists(values, max_size=50), numbers, st.integers(0, 60), values)
def test_what_is_read_of_it(model: list[bytes], begin: int, count: int, value: bytes) -> None:
    found = list_of(model[4:])
    for item in reversed(model[:4]):
        found.push(item, True)
    assert [found.get(place) for place in range(len(model))] == model
    assert found.part(begin, begin + count) == model[begin : begin + count]
    places = [place for place, item in enumerate(model) if item == value]
    assert list(found.positions(value, count, False)) == [n for n in places if n < count]
    backwards = [n for n in reversed(places) if n >= len(model) - count]
    assert list(found.positions(value, count, True)) == backwards


@given(st.lists(st.binary(max_size=9), max_size=400), st.integers(1, 200))
def test_a_list_comes_back_from_its_parts(items: list[bytes], size: int) -> None:
    one, other = list_of(items), List(0)
    for part, part_size in one.parts(size):
        assert part_size < size + 9 + kept.PART_ITEM_BYTES
        other.add_part(part)
    check(other, items)
    assert other.canonical() == one.canonical()
    assert (one.canonical() == list_of([*items, b""]).canonical()) is False


@pytest.mark.parametrize("plain", [[], [1], ["a"], [b"a", None], [[b"a"]]])
def test_what_is_no_part_of_a_list_is_refused(plain: list[object]) -> None:
    with pytest.raises(ValueError, match="a list"):
        List(0).add_part(plain)


def test_a_million_elements_take_little_more_than_their_bytes() -> None:
    """Redis' listpacks take 12 bytes for each of these."""
    found = List(0)
    for number in range(100_000):
        found.push(b"item%06d" % number, False)
    assert found.size < 13.5 * 100_000


def test_a_large_element_is_never_copied() -> None:
    large = [bytes(1 << 20) for _ in range(2 * kept.END_ITEMS)]
    found = list_of(large)
    assert len(found._blocks._blocks) > 100
    assert all(one is other for one, other in zip(found, large, strict=True))
    assert all(found.get(place) is item for place, item in enumerate(large))


def test_an_element_is_put_in_the_middle_again_and_again_and_blocks_stay_well_filled() -> None:
    found = list_of([b"x"] * 1000)
    for _ in range(5000):
        found.insert(500, b"y")
    assert len(found) == 6000 and len(found._blocks._blocks) < 6000 / blocks.BLOCK_ITEMS * 2.5
