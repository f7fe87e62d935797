"""Percentiles against the sorted values themselves."""

import math

from hypothesis import given
from hypothesis import strategies as st

from distrodb.bench.histogram import PERCENTILES, Histogram, _bucket, _end

SECONDS = st.floats(min_value=0, max_value=3600, allow_nan=False)


@given(st.lists(st.tuples(SECONDS, st.integers(1, 50)), min_size=1, max_size=60))
def test_a_percentile_is_at_most_a_hundredth_above_and_never_below(rows):
    histogram = Histogram()
    for seconds, times in rows:
        histogram.record(seconds, times)
    every = sorted(seconds for seconds, times in rows for _ in range(times))
    assert histogram.count == len(every)
    assert histogram.max_s == every[-1] == histogram.percentile_s(100)
    assert math.isclose(histogram.mean_s, sum(every) / len(every), rel_tol=1e-9, abs_tol=1e-12)
    for percent in (*PERCENTILES, 1, 100):
        true = every[max(0, math.ceil(len(every) * percent / 100 - 1e-9) - 1)]
        found = histogram.percentile_s(percent)
        assert true <= found * (1 + 1e-12) and found <= true * (1 + 1 / 128) + 1.01e-7


@given(st.lists(SECONDS, max_size=40), st.lists(SECONDS, max_size=40))
def test_two_together_are_as_one(some, others):
    one, both, other = Histogram(), Histogram(), Histogram()
    for seconds in some:
        one.record(seconds)
        both.record(seconds)
    for seconds in others:
        other.record(seconds)
        both.record(seconds)
    one.add(other)
    assert list(one.buckets()) == list(both.buckets())
    assert (one.count, one.max_s) == (both.count, both.max_s)
    assert sum(times for _, times in one.buckets()) == len(some) + len(others)


def test_buckets_cover_all_values_without_a_gap():
    edge = 0
    for bucket in range(_bucket(10**9)):
        assert _bucket(edge) == bucket == _bucket(_end(bucket) - 1)
        edge = _end(bucket)


def test_of_none_all_is_0_and_longer_than_a_day_is_kept():
    histogram = Histogram()
    assert set(histogram.summary_ms().values()) == {0.0}
    histogram.record(1e6)
    histogram.record(-1.0)  # a clock that is not ours
    assert histogram.count == 2 and histogram.max_s == 1e6
    assert histogram.percentile_s(50) == 1e-7
