"""When a disk is too slow to lead with, and when it is fast again."""

import pytest

from distrodb.slave.disk_speed import (
    AGAIN_S,
    BESIDE_BYTES_A_S,
    CALM_S,
    CALM_S_MAX,
    FAST_S,
    FAST_SYNCS,
    IDLE_S,
    PROBE_S,
    RELAPSE_TIMES,
    SLOW_S,
    WINDOW_S,
    DiskSpeed,
)


class Disk:
    """A disk, and a slave that looks at it after each sync."""

    def __init__(self):
        self.now, self.speed = 0.0, DiskSpeed(0.0)
        self.changes: list[tuple[float, bool]] = []

    def sync(self, took_s: float) -> None:
        self.speed.sync_begins(self.now)
        self.now += took_s
        self.speed.sync_ended(self.now, took_s)
        self.look()

    def look(self) -> None:
        if self.speed.look(self.now):
            self.changes.append((self.now, self.speed.is_slow))

    def is_calm_for(self, seconds: float) -> None:
        """Probes only, which are fast."""
        until = self.now + seconds
        while self.now + PROBE_S <= until:
            self.now += PROBE_S - 0.01
            self.sync(0.01)
        self.now = until


@pytest.fixture
def disk():
    return Disk()


def test_a_disk_is_not_slow_below_the_limit(disk):
    for _ in range(100):
        disk.sync(SLOW_S - 0.01)
    assert not disk.changes


def test_one_slow_sync_is_enough_and_is_said_once(disk):
    for took_s in (0.01, SLOW_S, 3.0, 3.0):
        disk.sync(took_s)
    assert [is_slow for _, is_slow in disk.changes] == [True]
    assert "3.0 s" in str(disk.speed.verdict) and disk.speed.worst_s() == 3.0


def test_one_that_is_still_under_way_is_noticed(disk):
    disk.speed.sync_begins(0.0)
    disk.now = disk.speed.next_due
    disk.look()
    assert disk.now == SLOW_S and not disk.speed.is_slow  # a busy loop would look like this once
    disk.now = disk.speed.next_due
    disk.look()
    assert disk.now == SLOW_S + AGAIN_S and disk.speed.is_slow


def test_a_loop_that_stood_still_is_not_a_slow_disk(disk):
    """The sync was over long ago; nobody has heard of it yet."""
    disk.speed.sync_begins(0.0)
    disk.now = 5.0
    disk.look()
    disk.speed.sync_ended(disk.now, 0.01)
    disk.look()
    disk.now += AGAIN_S
    disk.look()
    assert not disk.changes


def test_it_is_fast_again_when_it_has_been_calm(disk):
    disk.sync(SLOW_S)
    disk.is_calm_for(CALM_S - 0.1)
    assert disk.speed.is_slow
    disk.is_calm_for(2 * PROBE_S)
    assert not disk.speed.is_slow and "fast again" in str(disk.speed.verdict)


def test_silence_is_no_proof(disk):
    """It writes nothing, so it does not know."""
    disk.sync(SLOW_S)
    disk.now += 10 * CALM_S
    disk.look()
    assert disk.speed.is_slow and disk.speed.wants_probe(disk.now)
    for _ in range(FAST_SYNCS):
        disk.sync(0.01)
    assert not disk.speed.is_slow


def test_a_disk_that_has_nothing_to_do_is_tried_now_and_then(disk):
    """Nobody else would learn before the next write that it is slow."""
    disk.sync(0.01)
    assert disk.speed.next_due == disk.now + IDLE_S
    disk.now += IDLE_S - 0.1
    assert not disk.speed.wants_probe(disk.now)
    disk.now += 0.2
    disk.look()
    assert disk.speed.wants_probe(disk.now) and disk.now < disk.speed.next_due
    disk.sync(SLOW_S)
    assert disk.speed.is_slow and disk.speed.next_due <= disk.now + PROBE_S


def test_one_that_was_never_written_is_tried_too(disk):
    assert disk.speed.next_due == IDLE_S and not disk.speed.wants_probe(IDLE_S - 1)
    assert disk.speed.wants_probe(IDLE_S)


def test_a_disk_that_is_busy_is_not_tried(disk):
    """What is due must not keep the loop awake meanwhile."""
    disk.sync(0.01)
    disk.speed.beside_begins(disk.now, int(BESIDE_BYTES_A_S * 10 * IDLE_S))
    disk.now += 2 * IDLE_S
    disk.look()
    assert not disk.speed.wants_probe(disk.now) and disk.speed.next_due >= disk.now + PROBE_S
    disk.speed.beside(disk.now, 0)
    assert disk.speed.wants_probe(disk.now)
    disk.speed.sync_begins(disk.now)
    assert not disk.speed.wants_probe(disk.now)


def test_one_that_is_neither_fast_nor_slow_stays_what_it_is(disk):
    for _ in range(100):
        disk.sync(FAST_S)
    assert not disk.changes
    disk.sync(SLOW_S)
    for _ in range(100):
        disk.sync(FAST_S)
    assert disk.speed.is_slow


def test_one_that_comes_and_goes_must_be_calm_for_longer_each_time(disk):
    """Its groups do not change hands for ever."""
    for _ in range(8):
        disk.sync(SLOW_S)
        while disk.speed.is_slow:
            disk.is_calm_for(PROBE_S)
    times = [at for at, _ in disk.changes]
    slow_for = [fast - slow for slow, fast in zip(times[::2], times[1::2], strict=True)]
    wanted = [min(CALM_S * 2**n, CALM_S_MAX) for n in range(8)]
    assert slow_for == pytest.approx(wanted, abs=2 * PROBE_S)


def test_an_old_trouble_is_forgotten(disk):
    disk.sync(SLOW_S)
    disk.is_calm_for(CALM_S + 2 * PROBE_S)
    disk.is_calm_for(RELAPSE_TIMES * CALM_S + 1.0)
    disk.sync(SLOW_S)
    disk.is_calm_for(CALM_S + 2 * PROBE_S)
    assert [is_slow for _, is_slow in disk.changes] == [True, False, True, False]


def test_what_others_are_told_is_of_late_only(disk):
    disk.sync(0.5)
    disk.now += 3 * WINDOW_S
    disk.speed.forget(disk.now)  # before each gossip
    assert disk.speed.worst_s() == 0.0


def test_what_is_written_beside_the_commits_has_the_time_of_a_slow_disk_and_is_looked_at_twice(
    disk,
):
    size = int(2 * BESIDE_BYTES_A_S)
    disk.speed.beside_begins(0.0, size)
    disk.speed.beside_begins(0.0, size)
    disk.now = disk.speed.next_due
    disk.look()
    assert disk.now == 4.0 + SLOW_S and not disk.speed.is_slow
    disk.now = disk.speed.next_due
    disk.look()
    assert disk.speed.is_slow


def test_what_comes_bit_by_bit_beside_the_commits_is_not_slow(disk):
    size = int(BESIDE_BYTES_A_S)
    disk.speed.beside_begins(0.0, 60 * size)
    for left in reversed(range(60)):
        disk.now += 1.0
        disk.speed.beside(disk.now, left * size)
        disk.look()
    assert not disk.changes and disk.speed.next_due == disk.now + PROBE_S  # to be tried
