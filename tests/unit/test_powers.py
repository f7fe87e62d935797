"""Histograms by powers of two: what a percentile says, and what was added since."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.commands.powers import BUCKETS, Powers

numbers = st.lists(st.integers(0, 1 << 40), max_size=30)


def of(values: list[int]) -> Powers:
    powers = Powers()
    for value in values:
        powers.add(value)
    return powers


def shown(powers: Powers) -> tuple[object, ...]:
    return powers.total, powers.count, powers.cumulative()


@given(numbers)
def test_each_is_counted_where_it_belongs(values):
    powers = of(values)
    for power in range(BUCKETS - 1):
        assert powers.up_to(power) == sum(value <= 1 << power for value in values)
    assert powers.up_to(BUCKETS) == powers.count == len(values)
    assert powers.total == sum(values)


@given(numbers, numbers)
def test_what_was_added_since(before, after):
    powers = of(before)
    then = powers.copy()
    for value in after:
        powers.add(value)
    assert shown(then) == shown(of(before))
    assert shown(powers.since(then)) == shown(of(after))
    then.add_all(of(after))
    assert shown(then) == shown(powers)


@given(st.lists(st.integers(1, 1 << 30), min_size=1), st.floats(1, 100))
def test_a_percentile_is_right_within_a_factor_of_two(values, percent):
    found = of(values).percentile(percent)
    no_larger = sum(value <= found for value in values)
    assert no_larger >= len(values) * percent / 100
    assert sum(value <= found // 2 for value in values) < len(values) * percent / 100


def test_of_nothing_every_percentile_is_nothing():
    assert Powers().percentile(99) == 0 and Powers().cumulative() == []


@pytest.mark.parametrize("value", [-1, -(1 << 50)])
def test_a_clock_that_goes_back_breaks_nothing(value):
    powers = of([value])
    assert powers.count == 1 and powers.up_to(0) == 1
