"""Whether something grows without end: samples of processes over time, and a verdict.  Pure.

A slave takes memory and files as its data does, and gives some of it back now and then: its log
grows until a snapshot, its segments until they are dead.  So what counts is how it goes on when
all of that has come round several times: the slope over the samples that are judged, as the median
of the slopes of all pairs (Theil and Sen), which a spike does not move.

The bounds are such that **one lost object a command is found**: the smallest one of CPython takes
16 bytes, and the least that is kept for each command, a place in a list and what it refers to, 24.
Of what is counted in pieces, descriptors and threads and files, it is what was added in all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

BYTES_A_COMMAND = 16.0
# Of a directory what is live and what waits to be removed goes up and down by some segments.
DISK_BYTES = 32 << 20
ADDED = {"descriptors": 3.0, "threads": 1.0, "files": 8.0}
MEMORY, DISK = ("resident", "proportional"), "disk"
KINDS = (*MEMORY, DISK, *ADDED)


@dataclass(frozen=True, slots=True)
class Sample:
    """Of one process."""

    at_s: float
    commands: int  # of the whole load until then
    values: Mapping[str, float]  # by ``KINDS``


@dataclass(frozen=True, slots=True)
class Trend:
    kind: str
    first: float  # medians of the first and of the last quarter of what was judged
    last: float
    slope: float  # a command
    added: float  # by that slope, from the first sample to the last
    is_flat: bool


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median of those of all pairs; nothing for fewer than two."""
    slopes = [(y - b) / (x - a) for (a, b), (x, y) in combinations(points, 2) if x != a]
    return median(slopes) if slopes else 0.0


def second_half(samples: Sequence[Sample], since_s: float = 0.0) -> list[Sample]:
    """Of the time from ``since_s`` on, as when a slave was started again."""
    later = [sample for sample in samples if sample.at_s >= since_s]
    if not later:
        return []
    middle = (later[0].at_s + later[-1].at_s) / 2
    return [sample for sample in later if sample.at_s >= middle]


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """Of each kind; all of these samples are judged."""
    if len(samples) < 2 or samples[-1].commands == samples[0].commands:
        raise ValueError("nothing was asked between the samples, so they say nothing")
    commands = samples[-1].commands - samples[0].commands
    quarter = max(1, len(samples) // 4)
    found = []
    for kind in KINDS:
        values = [sample.values[kind] for sample in samples]
        each = slope([(sample.commands, sample.values[kind]) for sample in samples])
        added = each * commands
        found.append(
            Trend(
                kind,
                median(values[:quarter]),
                median(values[-quarter:]),
                each,
                added,
                _is_flat(kind, each, added),
            )
        )
    return found


def _is_flat(kind: str, each: float, added: float) -> bool:
    if kind in MEMORY:
        return each < BYTES_A_COMMAND
    if kind == DISK:
        return each < BYTES_A_COMMAND or added < DISK_BYTES
    return added < ADDED[kind]
