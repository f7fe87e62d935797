"""Random crashes and cuts under load, for many seeds: nothing acknowledged is ever missing.

A failure names its seed; ``DISTRODB_SEED=N pytest tests/sim/test_random_faults.py`` replays it.
``pytest -m soak tests/sim`` runs seeds for DISTRODB_SOAK_S seconds (300 unless told).
"""

import os

import pytest

from distrodb.clock import monotonic
from tests.sim.simulation import Simulation
from tests.sim.workload import Client

FIXED = [*range(24), 242079387]  # the last one: an old leader hears of its successor


def run_with_faults(seed: int, virtual_s: float = 40.0) -> None:
    shape = seed % 4
    cluster = Simulation(
        seed,
        nodes=5 if shape == 3 else 3,
        partitions=3 if shape == 3 else 2,
        snapshot_log_bytes=65536 if shape == 2 else 16777216,
    )
    clients = [Client(cluster, number) for number in range(4)]
    until = cluster.now + virtual_s
    while cluster.now < until:
        cluster.run(cluster.random.uniform(0.2, 4.0))
        fault = cluster.random.choice(["crash", "crash", "cut", "isolate", "heal", "all"])
        node = cluster.random.choice(list(cluster.slaves))
        other = cluster.random.choice([n for n in cluster.slaves if n != node])
        if fault == "crash" and cluster.is_up(node):
            cluster.crash(node)
        elif fault == "cut":
            cluster.cut(node, other)
        elif fault == "isolate":
            cluster.isolate(node)
        elif fault == "heal":
            cluster.heal()
        elif fault == "all":
            for each in cluster.slaves:
                if cluster.is_up(each):
                    cluster.crash(each)
        for each in cluster.slaves:
            if not cluster.is_up(each) and cluster.random.random() < 0.5:
                cluster.start(each)
    cluster.heal()
    for each in cluster.slaves:
        if not cluster.is_up(each):
            cluster.start(each)
    for client in clients:
        client.check_at_the_end()
    cluster.run(5.0)
    cluster.check_replicas_agree()
    assert sum(client.operations for client in clients) > 0


def seeds() -> list[int]:
    replayed = os.environ.get("DISTRODB_SEED")
    return [int(replayed)] if replayed else list(FIXED)


@pytest.mark.parametrize("seed", seeds())
def test_no_acknowledged_write_is_lost(seed):
    run_with_faults(seed)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_no_acknowledged_write_is_lost_for_long():
    until = monotonic() + float(os.environ.get("DISTRODB_SOAK_S", "300"))
    seed = int.from_bytes(os.urandom(4), "big")
    count = 0
    while monotonic() < until:
        print(f"DISTRODB_SEED={seed}", flush=True)
        run_with_faults(seed)
        seed, count = seed + 1, count + 1
    print(f"{count} seeds of 40 virtual seconds")
