"""A leader's time: never back, and at most a tenth faster or slower than time passes."""

from hypothesis import given
from hypothesis import strategies as st

from distrodb.raft.steady_time import RATE, SteadyTime

DAY_MS = 86_400_000
passed = st.floats(0, 1e5)
leaps = st.integers(-DAY_MS, DAY_MS) | st.integers(-50, 50)


@given(st.lists(st.tuples(passed, leaps), min_size=1))
def test_whatever_the_clock_does_it_runs_evenly(steps: list[tuple[float, int]]) -> None:
    steady, now, clock_ms = SteadyTime(), 0.0, 1e12
    before = steady.follow(now, clock_ms)
    for passed_s, leap_ms in steps:
        now += passed_s
        clock_ms += passed_s * 1000 + leap_ms
        ms = steady.follow(now, clock_ms)
        gained = ms - before - passed_s * 1000
        assert ms >= before and abs(gained) <= passed_s * 1000 * RATE + 2
        before = ms


@given(leaps)
def test_it_catches_up_with_a_leap_in_ten_times_its_length(leap_ms: int) -> None:
    steady, now, off_ms = SteadyTime(), 0.0, float(leap_ms)
    steady.follow(now, 1e12)
    now = abs(leap_ms) / 1000 / RATE
    half = steady.follow(now / 2, 1e12 + now / 2 * 1000 + leap_ms)
    assert abs(half - (1e12 + now / 2 * 1000 + leap_ms / 2)) <= 2
    assert abs(steady.follow(now, 1e12 + now * 1000 + off_ms) - (1e12 + now * 1000 + leap_ms)) <= 2


def test_where_the_clock_is_behind_from_the_start_it_does_not_stand_still() -> None:
    steady = SteadyTime()
    assert steady.follow(5.0, 1000) == 1000
    assert steady.follow(6.0, 900) == 1900  # a tenth of a second of a tenth lost
    assert steady.follow(6.0, 0) == 1900
    assert steady.follow(5.0, 0) == 1900


def test_it_is_the_clock_where_the_clock_is_even() -> None:
    steady = SteadyTime()
    assert [steady.follow(n * 0.1, 1_700_000_000_000 + n * 100) for n in range(100)] == [
        1_700_000_000_000 + n * 100 for n in range(100)
    ]
