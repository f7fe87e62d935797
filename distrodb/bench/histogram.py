"""How long things took, counted in buckets that grow with the value.  Pure.

As in an HDR histogram, a bucket is at most 1/128 of its value wide, so a percentile is right to
better than 1 % at any size, and recording is an addition, however many values there are.  The unit
is 0.1 µs.  A percentile is the upper end of its bucket (never less than was measured), the maximum
is exact.
"""

import math
from collections.abc import Iterator

UNITS_PER_S = 10_000_000
_BITS = 7
_LINEAR = 2 << _BITS  # below it a bucket holds one value
_UNITS_MAX = 24 * 3600 * UNITS_PER_S  # what is longer counts as a day
PERCENTILES = (50.0, 90.0, 99.0, 99.9)


def _bucket(units: int) -> int:
    if units < _LINEAR:
        return units
    shift = units.bit_length() - _BITS - 1
    return (shift << _BITS) + (units >> shift)


def _end(bucket: int) -> int:
    """The smallest number of units that is too large for this bucket."""
    if bucket < _LINEAR:
        return bucket + 1
    shift = (bucket >> _BITS) - 1
    return (bucket - (shift << _BITS) + 1) << shift


class Histogram:
    def __init__(self) -> None:
        self._counts = [0] * (_bucket(_UNITS_MAX) + 1)
        self.count = 0
        self.max_s = 0.0
        self._sum_s = 0.0

    def record(self, seconds: float, times: int = 1) -> None:
        units = int(seconds * UNITS_PER_S)
        if units < _LINEAR:
            self._counts[units if units > 0 else 0] += times
        else:
            units = min(units, _UNITS_MAX)
            shift = units.bit_length() - _BITS - 1
            self._counts[(shift << _BITS) + (units >> shift)] += times
        self.count += times
        self._sum_s += seconds * times
        if seconds > self.max_s:
            self.max_s = seconds

    def add(self, other: "Histogram") -> None:
        self._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]
        self.count += other.count
        self._sum_s += other._sum_s
        self.max_s = max(self.max_s, other.max_s)

    @property
    def mean_s(self) -> float:
        return self._sum_s / self.count if self.count else 0.0

    def percentile_s(self, percent: float) -> float:
        """So long took at most ``percent`` of all; 0 if there were none."""
        if not self.count:
            return 0.0
        left = max(1, math.ceil(self.count * percent / 100 - 1e-9))
        for bucket, times in enumerate(self._counts):
            left -= times
            if left <= 0:
                return min(_end(bucket) / UNITS_PER_S, self.max_s)
        return self.max_s

    def buckets(self) -> Iterator[tuple[float, int]]:
        """The upper end in seconds, and how many, of each bucket that has some."""
        for bucket, times in enumerate(self._counts):
            if times:
                yield _end(bucket) / UNITS_PER_S, times

    def summary_ms(self) -> dict[str, float]:
        figures = {f"p{p:g}": self.percentile_s(p) for p in PERCENTILES}
        figures |= {"max": self.max_s, "mean": self.mean_s}
        return {name: round(seconds * 1000, 4) for name, seconds in figures.items()}
