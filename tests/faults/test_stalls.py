"""A starved machine, or a disk that blocks: a slave that stands still for a while again and again,
while the others dial it, are killed and come back.  It must neither end itself nor keep a link that
is dead for good."""

import os
import random
import time
from collections import Counter
from collections.abc import Iterable

import pytest
import redis

from distrodb import LocalCluster
from tests.faults.conftest import QUICK
from tests.faults.recording import lasting, seeded

STALL_S = (0.3, 1.3)  # around the time that a dial may take
RUN_S = (0.002, 0.012)  # what it gets to run in between
STALLS = 15  # turns
SOAK_S = float(os.environ.get("DISTRODB_FAULT_S") or 600)


def stall(cluster: LocalCluster, turns: Iterable[int], chance: random.Random) -> None:
    *others, stalled = cluster.nodes  # the last row dials all others
    for _ in turns:
        cluster.pause(stalled)
        victim = chance.choice(others)
        cluster.kill(victim)
        cluster.start(victim)
        time.sleep(chance.uniform(*STALL_S))
        cluster.resume(stalled)
        time.sleep(chance.uniform(*RUN_S))
    cluster.wait_until(lambda: all_linked(cluster), "every slave hears every other one", 60.0)
    assert not cluster.ended()
    for node in cluster.nodes:
        check_log((cluster.directory / node / "slave.log").read_text())


def all_linked(cluster: LocalCluster) -> bool:
    """Each is linked with each: nobody lacks a link for good."""
    others = len(cluster.nodes) - 1
    return all(link_count(cluster, node) == others for node in cluster.nodes)


def link_count(cluster: LocalCluster, node: str) -> int:
    """As the slave itself says; its log leaves lines out when they are many."""
    try:
        with cluster.connection(node) as slave:
            return len(slave.execute_command("CLUSTER LINKS"))
    except redis.RedisError:
        return 0


def check_log(log: str) -> None:
    assert "internal error" not in log, log[-2000:]
    assert "Traceback" not in log, log[-2000:]
    lines = Counter(line[:19] + line[23:] for line in log.splitlines())  # without milliseconds
    line, count = lines.most_common(1)[0]
    assert count < 20, f"{count} times a second: {line}"


@pytest.fixture
def stalling():
    with LocalCluster(nodes=5, **QUICK) as cluster:
        yield cluster


def test_a_slave_that_stalls_again_and_again_comes_back(stalling):
    stall(stalling, range(STALLS), seeded())


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_slave_that_stalls_for_long_comes_back(stalling):
    stall(stalling, lasting(SOAK_S), seeded(is_soak=True))
