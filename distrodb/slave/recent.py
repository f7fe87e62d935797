"""What a slave has done in the last few seconds: how much, and how long it took.  Pure: the clock
is an argument.

What is told of it to all others (``Load``) is a few numbers, so a page of one slave shows the whole
cluster's.
"""

from collections import deque
from dataclasses import dataclass

from distrodb.commands.powers import Powers
from distrodb.raft.counts import Counts
from distrodb.slave.statistics import SAMPLES


@dataclass(frozen=True, slots=True)
class Load:
    """Of one slave, of the last few seconds."""

    commands_per_s: int = 0
    write_us: int = 0  # 99 of 100 batches took no longer, within a factor of two; 0: there was none
    read_us: int = 0


NOTHING = Load()


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float  # seconds
    write_us: Powers
    read_us: Powers
    sync_us: Powers


class Recent:
    def __init__(self, counts: Counts, sync_us: Powers):
        self._counts, self._sync_us = counts, sync_us
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES)

    def sample(self, now: float) -> None:
        """A few times a second."""
        counts = self._counts
        self._samples.append(
            _Sample(now, counts.write_us.copy(), counts.read_us.copy(), self._sync_us.copy())
        )

    def seconds(self) -> float:
        samples = self._samples
        return max(samples[-1].at - samples[0].at, 1e-3) if samples else 1e-3

    def took(self) -> dict[str, Powers]:
        """Microseconds of batches of writes, of batches of reads, and of syncs of the disk."""
        if not self._samples:
            return {"write": Powers(), "read": Powers(), "sync": Powers()}
        began, ended = self._samples[0], self._samples[-1]
        return {
            "write": ended.write_us.since(began.write_us),
            "read": ended.read_us.since(began.read_us),
            "sync": ended.sync_us.since(began.sync_us),
        }

    def load(self, commands_per_s: float) -> Load:
        took = self.took()
        return Load(int(commands_per_s), took["write"].percentile(99), took["read"].percentile(99))
