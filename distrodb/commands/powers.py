"""How many of some numbers were up to 2**n: a histogram that costs a fraction of a microsecond to
add to, and finds a percentile within a factor of two.  Pure.
"""

BUCKETS = 32  # of microseconds 2**31 is half an hour


class Powers:
    __slots__ = ("_counts", "count", "total")

    def __init__(self) -> None:
        self.total = self.count = 0  # the sum of all, and how many they are
        self._counts = [0] * BUCKETS

    def add(self, number: int) -> None:
        self.total += number
        self.count += 1
        self._counts[min(max(0, number - 1).bit_length(), BUCKETS - 1)] += 1

    def cumulative(self) -> list[tuple[int, int]]:
        """(a number, how many were no larger), where that grows."""
        found, seen = [], 0
        for power, count in enumerate(self._counts):
            seen += count
            if count:
                found.append((1 << power, seen))
        return found

    def up_to(self, power: int) -> int:
        """How many were no larger than 2**power."""
        return sum(self._counts[: power + 1])

    def percentile(self, percent: float) -> int:
        """So many percent were no larger, as finely as powers of two tell."""
        wanted = self.count * percent / 100
        return next((number for number, seen in self.cumulative() if seen >= wanted), 0)

    def copy(self) -> "Powers":
        return self.since(Powers())

    def since(self, before: "Powers") -> "Powers":
        """What was added after this was as ``before``."""
        found = Powers()
        found.total, found.count = self.total - before.total, self.count - before.count
        found._counts = [a - b for a, b in zip(self._counts, before._counts, strict=True)]
        return found

    def add_all(self, other: "Powers") -> None:
        self.total += other.total
        self.count += other.count
        self._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]
