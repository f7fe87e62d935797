"""A set is a set, its order is a part of the state, and a walk misses nobody who stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.keyspace.containers.set import MEMBER_BYTES, PART_MEMBER_BYTES, Set

members = st.sampled_from([b"%d" % number for number in range(12)])
steps = st.lists(
    st.tuples(st.just("add"), members)
    | st.tuples(st.just("remove"), members)
    | st.tuples(st.just("take"), st.integers(0, 20))
    | st.tuples(st.just("clone"), st.just(0)),
    max_size=60,
)


def check(found: Set, model: set[bytes]) -> None:
    assert set(found.members) == model and len(found) == len(model) == len(found.members)
    assert all(found.members[place] == member for member, place in found.places.items())
    assert found.size == sum(map(len, model)) + MEMBER_BYTES * len(model)


@given(steps)
def test_a_set_is_a_set(script: list[tuple[str, bytes | int]]) -> None:
    found, model = Set(0), set[bytes]()
    for name, what in script:
        if name == "take":
            assert isinstance(what, int)
            if model:
                model.remove(found.take(what % len(model)))
        elif name == "clone":
            other = found.clone(1)
            found.add(b"to be seen there alone")
            found = other
        else:
            assert isinstance(what, bytes)
            assert (what in found) == (what in model)
            if name == "add":
                assert found.add(what) == (what not in model)
                model.add(what)
            else:
                assert found.remove(what) == (what in model)
                model.discard(what)
        check(found, model)


@given(st.lists(st.binary(max_size=9), unique=True), st.integers(1, 200))
def test_a_set_comes_back_from_its_parts_in_its_order(items: list[bytes], size: int) -> None:
    one, other = Set.of(items), Set(0)
    for part, part_size in one.parts(size):
        assert part_size < size + 9 + PART_MEMBER_BYTES
        other.add_part(part)
    assert list(other.members) == items and other.size == one.size
    assert Set.of(reversed(items)).canonical() == other.canonical()
    check(other, set(items))


@pytest.mark.parametrize("plain", [[], [1], ["a"], [b"a", None], [b"a", b"a"]])
def test_what_is_no_part_of_a_set_is_refused(plain: list[object]) -> None:
    with pytest.raises(ValueError, match="a set"):
        Set(0).add_part(plain)


between = st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=6)


@given(st.integers(1, 30), st.lists(st.tuples(st.integers(1, 5), between), min_size=1))
def test_a_walk_gives_each_member_that_is_there_throughout(
    size: int, script: list[tuple[int, list[tuple[bool, int]]]]
) -> None:
    found = Set.of(b"%d" % number for number in range(size))
    stayed, given_ = set(found.members), set[bytes]()
    cursor = number = 0
    while True:
        count, writes = script[number % len(script)]
        cursor, some = found.walk(cursor, count)
        given_ |= set(some)
        if not cursor:
            break
        for adds, what in writes if number < 100 else ():
            member = b"%d" % what
            if adds:
                found.add(member)
            elif found.remove(member):
                stayed.discard(member)
        number += 1
    assert stayed <= given_


def test_a_walk_from_a_cursor_of_another_set_ends() -> None:
    found = Set.of([b"a", b"b"])
    assert found.walk(1 << 63, 10) == (0, [b"a", b"b"])
    assert Set(0).walk(5, 10) == (0, [])
