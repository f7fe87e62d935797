"""What tests/benchmarks/growth.py judges by: what leaks is found, and what comes round is not."""

import random

import pytest

from tests.benchmarks.trends import KINDS, Sample, second_half, slope, trends

COMMANDS = 60_000  # between two samples, as in half an hour
BUSY = {"resident": 140e6, "proportional": 130e6, "disk": 70e6}
BUSY |= {"descriptors": 36.0, "threads": 8.0, "files": 22.0}


def samples(**per_command: float) -> list[Sample]:
    """Of a process that breathes: saw teeth of a snapshot's size, noise, and a peak now and then;
    and that adds so much of a kind with each command."""
    chance = random.Random(7)
    made = []
    for number in range(60):
        values = {}
        for kind in KINDS:
            breath = BUSY[kind] * 0.02 * (number % 5 + chance.random())
            peak = BUSY[kind] if number % 13 == 0 else 0.0
            added = per_command.get(kind, 0.0) * number * COMMANDS
            values[kind] = float(int(BUSY[kind] + breath + peak + added))
        made.append(Sample(number * 10.0, number * COMMANDS, values))
    return made


def grown(**per_command: float) -> set[str]:
    found = trends(second_half(samples(**per_command)))
    assert [trend.kind for trend in found] == list(KINDS)
    return {trend.kind for trend in found if not trend.is_flat}


def test_what_goes_up_and_down_is_flat():
    assert grown() == set()


@pytest.mark.parametrize(
    "kind, per_command",
    [
        ("resident", 24),  # a place in a list, and the smallest object in it
        ("proportional", 24),
        ("disk", 143),  # a record of a small SET, never removed
        ("descriptors", 1 / 200_000),  # a connection in ten thousand
        ("files", 1 / 100_000),
        ("threads", 1 / 500_000),
    ],
)
def test_a_leak_of_one_thing_is_found_and_named(kind, per_command):
    assert grown(**{kind: per_command}) == {kind}


def test_the_first_half_does_not_count():
    filling = [
        Sample(at, int(at), dict.fromkeys(KINDS, min(at, 50.0) * 1e6))
        for at in map(float, range(101))
    ]
    judged = second_half(filling)
    assert judged[0].at_s == 50.0 and all(trend.is_flat for trend in trends(judged))
    assert not all(trend.is_flat for trend in trends(filling))


def test_only_what_came_after_a_start_counts():
    assert [sample.at_s for sample in second_half(samples(), since_s=500)] == [
        550,
        560,
        570,
        580,
        590,
    ]


def test_no_verdict_without_work():
    idle = [Sample(at, 5, BUSY) for at in (0.0, 1.0, 2.0)]
    for silent in (idle, idle[:1], []):
        with pytest.raises(ValueError, match="say nothing"):
            trends(silent)


def test_a_peak_moves_no_slope():
    line = [(float(x), 2.0 * x) for x in range(20)]
    assert slope(line) == 2.0 and slope([*line[:10], (10.0, 1e9), *line[11:]]) == 2.0
    assert slope(line[:1]) == 0.0
