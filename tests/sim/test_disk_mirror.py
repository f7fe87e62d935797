"""The simulator's slaves on real directories: each step compared, and the run is the same run.

And on the write-ahead log over a folder that loses what was not synced: what a crash leaves is then
decided by the log's own recovery, and clients see what a single Redis could have said.
"""

import random

import pytest

from tests.sim import process
from tests.sim.chaos import SHAPES, VIRTUAL_S, Chaos
from tests.sim.simulation import Simulation
from tests.support.disk_mirror import Mirror
from tests.support.log_disk import LogDisk


def story(seed: int) -> tuple[int, Simulation]:
    """Writes, a snapshot now and then, crashes at any moment, a wiped slave."""
    simulation = Simulation(seed, snapshot_log_bytes=4096)
    for number in range(40):
        simulation.ask("SET", f"key{number}", "x" * 400)
    for node in ("node1", "node2", "node3", "node1"):
        simulation.run(simulation.random.uniform(0.0, 0.1))
        simulation.submit(node, "SET", "key", node, done=lambda reply: None)
        simulation.run(simulation.random.uniform(0.0, 0.01))
        simulation.crash(node)
        simulation.run(1.0)
        simulation.start(node)
        simulation.run_until(simulation.is_whole)
    simulation.wipe("node2")
    simulation.start("node2")
    simulation.run_until(simulation.is_whole, 60.0)
    return simulation.trace, simulation


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_on_real_directories_is_the_same_run(tmp_path, monkeypatch, seed):
    simulated, _ = story(seed)
    monkeypatch.setattr(process, "Disk", lambda generator, name: Mirror(generator, tmp_path / name))
    mirrored, simulation = story(seed)
    for slave in simulation.slaves.values():
        assert isinstance(slave.disk, Mirror) and any(slave.disk.files)
        slave.disk.check()
        slave.disk.close()
    assert simulated == mirrored


# Two, as above: each crashes four slaves, and at least one of them in the middle of a commit.
@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_on_the_write_ahead_log_keeps_all_promises(monkeypatch, seed):
    monkeypatch.setattr(process, "Disk", LogDisk)
    _, simulation = story(seed)
    for slave in simulation.slaves.values():
        slave.disk.check()
    assert simulation.ask("GET", "key7") == b"x" * 400


def test_chaos_on_the_write_ahead_log(monkeypatch):
    disks = []

    def disk(generator: random.Random, name: str) -> LogDisk:
        disks.append(LogDisk(generator, name))
        return disks[-1]

    monkeypatch.setattr(process, "Disk", disk)
    for seed in range(len(SHAPES)):
        assert Chaos(seed).run(VIRTUAL_S).operations > 0
    for each in disks:
        each.check()
    assert sum(each.torn for each in disks) > 0
