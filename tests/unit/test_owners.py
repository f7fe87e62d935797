from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from distrodb.ring.owners import balanced_owners
from distrodb.ring.placement import group_of

NODES = [f"n{number}" for number in range(10)]
rings = st.integers(1, 8).map(lambda count: NODES[:count])
rows = st.lists(
    st.tuples(st.sampled_from(NODES), st.lists(st.sampled_from(NODES), max_size=5, unique=True)),
    min_size=1,
    max_size=60,
)


def fewest_changes(ring: list[str], owners: list[str]) -> int:
    """What any balanced choice changes at least: who is over its share gives the rest away."""
    owned = Counter(owners)
    least, extra = divmod(len(owners), len(ring))
    kept = sum(min(owned[node], least) for node in ring)
    kept += min(extra, sum(owned[node] > least for node in ring))
    return len(owners) - kept


@given(rings, rows)
def test_owners_are_balanced_with_the_fewest_changes(
    ring: list[str], rows: list[tuple[str, list[str]]]
) -> None:
    before = [owner for owner, _ in rows]
    after = balanced_owners(ring, rows)
    owned = Counter(after)
    assert set(owned) <= set(ring)
    assert max(owned.values()) - min(owned[node] for node in ring) <= 1
    changed = sum(old != new for old, new in zip(before, after, strict=True))
    assert changed == fewest_changes(ring, before)
    assert balanced_owners(ring, list(zip(after, [g for _, g in rows], strict=True))) == after


def test_holders_take_over_first() -> None:
    ring = list("abcdef")
    rows = [(owner, group_of(ring, owner, 3)) for owner in ring * 2]
    after = balanced_owners(list("abdef"), rows)
    assert [after[2], after[8]] == ["b", "d"]


def test_a_newcomer_takes_from_its_neighbours_first() -> None:
    ring = list("abcdef")
    rows = [(owner, group_of(ring, owner, 3)) for owner in ring * 2]
    after = balanced_owners(list("abcxdef"), rows)
    assert [rows[number][0] for number, owner in enumerate(after) if owner == "x"] == ["c"]
