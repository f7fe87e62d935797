"""What is due depends on the time and nothing else."""

import math

from hypothesis import given
from hypothesis import strategies as st

from distrodb.bench.schedule import Schedule

RATES = st.floats(min_value=0.1, max_value=1e6)


@given(RATES, st.integers(1, 100), st.floats(0, 1e6), st.integers(0, 10_000))
def test_what_is_due_is_all_whose_moment_has_come(rate, pipeline, began, number):
    schedule = Schedule(began, pipeline, rate)
    moment = schedule.due_at(number)
    step = pipeline / rate
    assert schedule.due(moment + step / 3 + 1e-6) >= number + 1
    if number and step > 1e-5:
        assert schedule.due(moment - step / 3) <= number
    assert schedule.due(began - 1) == 0


@given(RATES, st.integers(1, 100), st.floats(0.1, 1000))
def test_in_its_seconds_as_many_are_due_as_the_rate_says(rate, pipeline, seconds):
    schedule = Schedule(50.0, pipeline, rate, seconds)
    assert schedule.due(1e9) == schedule.total == int(rate * seconds / pipeline)
    assert schedule.is_over(int(schedule.total), 50.0)
    if schedule.total:
        assert not schedule.is_over(0, 50.0 + 2 * seconds), "those that wait are not forgotten"


def test_late_replies_do_not_make_it_fewer():
    """Coordinated omission: after a second without replies a second's worth is due at once."""
    schedule = Schedule(0.0, 1, rate=1000, seconds=10)
    assert schedule.due(1.0005) - schedule.due(0.0005) == 1000
    assert schedule.due_at(500) == 0.5


def test_without_a_rate_all_is_due_until_the_end():
    schedule = Schedule(5.0, 16, seconds=2)
    assert schedule.due(6.9) == math.inf and schedule.due(7.0) == 0
    assert not schedule.is_over(10**9, 6.9) and schedule.is_over(10**9, 7.0)


def test_so_many_requests_are_whole_pipelines():
    schedule = Schedule(0.0, 16, requests=100)
    assert schedule.total == schedule.due(123.0) == 7
    assert schedule.is_over(7, 0.0) and not schedule.is_over(6, 1e9)
