"""The simulator's slaves on real directories: each step compared, and the run is the same run."""

import pytest

from tests.sim import process
from tests.sim.simulation import Simulation
from tests.support.disk_mirror import Mirror


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
