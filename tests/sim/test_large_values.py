"""What is large is written beside the commits: clients see what a single Redis could have said.

Its seeds are the first ones: each shape of a cluster, each kind of bounds (large_values.py).
"""

import random

import pytest

from distrodb.raft.write_set import WriteSet
from tests.sim import process
from tests.sim.chaos import SHAPES, VIRTUAL_S
from tests.sim.large_values import LargeChaos
from tests.support.log_disk import LogDisk


# The first ones: each shape twice, with other bounds.
@pytest.mark.parametrize("seed", range(2 * len(SHAPES)))
def test_no_acknowledged_write_is_lost_among_large_ones(seed):
    assert LargeChaos(seed).run(VIRTUAL_S).operations > 0


# As many as there are kinds of bounds, of shapes with snapshots and without.
@pytest.mark.parametrize("seed", range(3))
def test_the_same_on_the_write_ahead_log(monkeypatch, seed):
    disks = []

    def disk(generator: random.Random, name: str) -> LogDisk:
        disks.append(LogDisk(generator, name))
        return disks[-1]

    monkeypatch.setattr(process, "Disk", disk)
    assert LargeChaos(seed).run(VIRTUAL_S).operations > 0
    for each in disks:
        each.check()


def test_commits_go_on_while_a_large_value_is_written(monkeypatch):
    """Else these runs would show nothing."""
    overtaken = []

    def take(self: WriteSet):
        taken = _take(self)
        if taken is not None and self._unwritten:
            overtaken.append(taken[0])
        return taken

    _take = WriteSet.take
    monkeypatch.setattr(WriteSet, "take", take)
    LargeChaos(0).run(10.0)
    assert len(overtaken) > 20
