"""Kills in the middle of heavy writing, of snapshots and of compaction; values of every size."""

import subprocess
import sys
import time

import pytest
import redis

from distrodb import LocalCluster
from tests.faults.conftest import QUICK
from tests.faults.heavy import content, pressing
from tests.faults.recording import seeded
from tests.faults.story import leader_of

VALUE_BYTES_MAX = 1 << 24  # the default of limits.value_bytes_max


def test_all_are_killed_at_once_and_started_again(three):
    with pressing(three) as presses:
        for _ in range(3):
            for node in three.nodes:
                three.kill(node)
            three.start_all()
            three.wait_ready()
            presses.progress()


def test_they_are_killed_while_they_write_a_snapshot_or_cut_the_log():
    """Random ones, at the very moment when a snapshot is half written."""
    chance = seeded()
    options = {**QUICK, "raft_snapshot_log_bytes": 65536}
    with LocalCluster(nodes=3, partitions=2, **options) as cluster:
        kills = 0
        with pressing(cluster, writers=2, size=4000) as presses:
            for _ in range(10):
                nodes = chance.sample(cluster.nodes, chance.choice([1, 1, 3]))
                wait_for_half_a_snapshot(cluster, nodes[0])
                for node in nodes:
                    cluster.kill(node)
                    kills += 1
                for node in nodes:
                    cluster.start(node)
                cluster.wait_ready()
                presses.progress(300)
        print(f"{kills} kills")
        for node in cluster.nodes:
            cluster.kill(node)
        cluster.start_all()
        cluster.wait_ready()
        for press in presses:
            press.check(cluster.client())


def wait_for_half_a_snapshot(cluster: LocalCluster, node: str) -> None:
    """It is there for some milliseconds only, so this looks without rest."""
    folder = cluster.directory / node / "snapshots"
    until = time.monotonic() + 30
    while not any(folder.glob("*.temporary")):
        assert time.monotonic() < until, f"{node} writes no snapshots"
        time.sleep(0.0005)


# Around the multiples of 65536, where pysyncobj's own chunking breaks; of a frame; of the limit.
SIZES = [0, 1, 100, *(n * 65536 + d for n in (1, 2, 3) for d in (-1, 0, 1)), 1 << 20, (1 << 22) + 1]


@pytest.fixture
def sized():
    """Values of all sizes, one by one and in batches larger than a frame's part; by key."""
    with LocalCluster(nodes=3, partitions=3, **QUICK) as cluster:
        client, values = cluster.client(socket_timeout=30.0), {}
        for number, size in enumerate([*SIZES, VALUE_BYTES_MAX - 1, VALUE_BYTES_MAX]):
            values[f"alone{size}"] = content(number, size)[:size]
            assert client.set(f"alone{size}", values[f"alone{size}"])
        with cluster.connection(leader_of(cluster, "{batch}")) as slave:
            pipeline = slave.pipeline(transaction=False)
            for turn in range(8):
                for size in SIZES[:-1]:
                    key = f"{{batch}}{turn}.{size}"
                    values[key] = content(turn, size)[:size]
                    pipeline.set(key, values[key])
            assert all(pipeline.execute())
        together = {f"{{all}}{size}": content(7, size)[:size] for size in SIZES}
        assert client.mset_nonatomic(together)
        values |= together
        yield cluster, values


def check_all(cluster: LocalCluster, values: dict[str, bytes]) -> None:
    client = cluster.client(socket_timeout=30.0)
    wrong = [key for key, value in values.items() if client.get(key) != value]
    assert not wrong, f"missing or wrong: {wrong}"


def test_values_of_all_sizes_survive_kills_of_leaders_and_a_restart_of_all(sized):
    cluster, values = sized
    check_all(cluster, values)
    leader = leader_of(cluster, "{batch}")
    cluster.kill(leader)
    cluster.wait_ready()
    check_all(cluster, values)
    cluster.start(leader)
    for node in cluster.nodes:
        cluster.kill(node)
    cluster.start_all()
    cluster.wait_ready()
    check_all(cluster, values)


def test_a_value_beyond_the_limit_is_refused_and_changes_nothing(three):
    client = three.client(socket_timeout=30.0)
    client.set("key", "value")
    with pytest.raises((redis.ResponseError, redis.ConnectionError)):
        client.set("key", b"x" * (VALUE_BYTES_MAX + 1))
    assert three.client().get("key") == b"value"


COMMAND_BYTES = 23_000_000  # near the default of limits.command_bytes_max
MSETS = 3  # of each client


@pytest.fixture
def busy():
    """A machine that has more to do than it has cores."""
    burning = "while True: pass"
    processes = [subprocess.Popen([sys.executable, "-c", burning]) for _ in range(4)]
    yield
    for process in processes:
        process.kill()
        process.wait()


def test_the_largest_commands_cost_nobody_the_lead_on_a_busy_machine(busy):
    """And are stored.  With the terms of the default: an election timeout of a second."""
    with LocalCluster(nodes=3, partitions=3) as cluster:
        cluster.wait_healed()
        terms = {row["id"]: row["term"] for row in cluster.status()["partitions"]}
        value = b"v" * (COMMAND_BYTES // 2000)
        client = cluster.client(socket_timeout=60.0)
        for turn in range(MSETS):
            for tag in "abc":
                keys = {f"{{{tag}}}{turn}.{n}": value for n in range(2000)}
                assert client.mset(keys)
        assert {row["id"]: row["term"] for row in cluster.status()["partitions"]} == terms
        for tag in "abc":
            assert client.get(f"{{{tag}}}{MSETS - 1}.1999") == value
