"""What a slave says it has done of late."""

from distrodb.commands.powers import Powers
from distrodb.raft.counts import Counts
from distrodb.slave.recent import Load, Recent
from distrodb.slave.statistics import SAMPLES


def test_what_is_long_ago_does_not_count():
    counts, sync_us = Counts(), Powers()
    recent = Recent(counts, sync_us)
    assert recent.load(0.0) == Load(0, 0, 0) and recent.took()["sync"].count == 0
    counts.write_us.add(9_000_000)  # before the first look
    recent.sample(0.0)
    for number in range(1, SAMPLES):
        counts.write_us.add(1000)
        counts.read_us.add(100)
        sync_us.add(50)
        recent.sample(number / 4)
    assert recent.load(12.7) == Load(12, 1024, 128)
    assert recent.took()["sync"].count == SAMPLES - 1
    assert recent.seconds() == (SAMPLES - 1) / 4
    for number in range(SAMPLES):
        recent.sample(100.0 + number / 4)
    assert recent.load(0.0) == Load(0, 0, 0)
