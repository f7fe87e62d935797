import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.ring.placement import group_of, map_group_of

RING = ("a", "b", "c", "d", "e")
rings = st.lists(st.integers().map(str), unique=True, min_size=1, max_size=12).map(tuple)


@pytest.mark.parametrize(
    ("owner", "replicas", "group"),
    [
        ("c", 3, ("b", "c", "d")),
        ("a", 3, ("e", "a", "b")),
        ("e", 3, ("d", "e", "a")),
        ("b", 1, ("b",)),
        ("b", 5, RING),
    ],
)
def test_the_group_is_left_owner_right(owner: str, replicas: int, group: tuple[str, ...]) -> None:
    assert group_of(RING, owner, replicas) == group


@given(rings, st.sampled_from([1, 3, 5]), st.data())
def test_groups_are_distinct_neighbours(
    ring: tuple[str, ...], replicas: int, data: st.DataObject
) -> None:
    owner = data.draw(st.sampled_from(ring))
    group = group_of(ring, owner, replicas)
    assert owner in group
    assert len(set(group)) == len(group) == min(replicas, len(ring))
    if len(ring) > replicas:
        assert group[replicas // 2] == owner
        position = ring.index(group[0])
        assert group == tuple((ring * 2)[position : position + replicas])


@given(rings, st.sampled_from([1, 3, 5]))
def test_every_slave_is_in_as_many_groups_as_there_are_replicas(
    ring: tuple[str, ...], replicas: int
) -> None:
    groups = [group_of(ring, owner, replicas) for owner in ring]
    for slave in ring:
        assert sum(slave in group for group in groups) == min(replicas, len(ring))


@given(rings)
def test_the_map_group_has_five_at_most(ring: tuple[str, ...]) -> None:
    assert map_group_of(ring) == ring[:5]
