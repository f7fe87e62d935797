"""Numbers of partitions as people read them.  Pure."""

from collections.abc import Collection, Iterable

Group = int | str  # the number of a partition, or "map"


def ranges(numbers: Iterable[int]) -> str:
    """ "0-3 7" """
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def of_groups(groups: Collection[Group]) -> str:
    """ "partition 7", "partitions 0-3 7 and the cluster map" """
    numbers = [group for group in groups if isinstance(group, int)]
    name = "partition" if len(numbers) == 1 else "partitions"
    parts = [f"{name} {ranges(numbers)}"] if numbers else []
    return " and ".join(parts + ["the cluster map"] * ("map" in groups)) or "nothing"
