"""How many slaves may be gone, and what a partition without a majority says."""

import itertools

import pytest
import redis
from redis.exceptions import ClusterDownError

from distrodb import LocalCluster
from tests.faults.conftest import QUICK
from tests.faults.story import partition_of, progress, writing


def lost(cluster: LocalCluster, killed: set[str]) -> list[dict]:
    partitions = cluster.status()["partitions"]
    return [p for p in partitions if len(killed & set(p["group"])) > len(p["group"]) // 2]


def key_of(cluster: LocalCluster, partition: dict) -> str:
    names = (f"key{number}" for number in range(10000))
    return next(name for name in names if partition_of(cluster, name)["id"] == partition["id"])


@pytest.mark.parametrize("killed", [("node1", "node2"), ("node1", "node3")])
def test_two_of_five_at_once(five, killed):
    with writing(five) as writers:
        for node in killed:
            five.kill(node)
        five.wait_until(
            lambda: (
                {p["id"] for p in five.status()["partitions"] if p["leader"] is None}
                == {p["id"] for p in lost(five, set(killed))}
            ),
            "exactly the partitions that kept a majority have a leader",
        )
        for node in killed:
            five.start(node)
        progress(five, writers)


def test_a_partition_that_lost_its_majority_says_so_and_the_others_go_on(five):
    whole = five.client()
    without = lost(five, {"node1", "node2"})
    keys = {p["id"]: key_of(five, p) for p in five.status()["partitions"]}
    for key in keys.values():
        assert whole.set(key, "old")
    for p in without:
        survivor = next(node for node in p["group"] if node not in ("node1", "node2"))
        five.wait_until(lambda n=survivor, k=keys[p["id"]]: _has_copy(five, n, k), "a copy")
    five.kill("node1")
    five.kill("node2")
    gone = {p["id"] for p in without}
    assert gone
    for p in five.status()["partitions"]:
        survivor = next(node for node in p["group"] if node not in ("node1", "node2"))
        key = keys[p["id"]]
        if p["id"] not in gone:
            client = five.client()
            assert client.set(key, "new") and client.get(key) == b"new"
            continue
        with five.connection(survivor) as slave:
            five.wait_until(lambda s=slave, k=key: _says_down(s, k), "CLUSTERDOWN")
            slave.execute_command("READONLY")
            assert slave.get(key) in (b"old", b"refused")
    five.start("node1")
    five.start("node2")
    five.wait_ready()
    for partition, key in keys.items():
        expected = (b"old", b"refused") if partition in gone else (b"new",)
        assert five.client().get(key) in expected


def _has_copy(cluster: LocalCluster, node: str, key: str) -> bool:
    with cluster.connection(node) as slave:
        slave.execute_command("READONLY")
        return slave.get(key) == b"old"


def _says_down(slave: redis.Redis, key: str) -> bool:
    try:
        slave.set(key, "refused")
    except ClusterDownError:
        return True
    except (redis.TimeoutError, redis.ConnectionError, redis.ResponseError):
        return False
    raise AssertionError("acknowledged without a majority")


@pytest.mark.parametrize("nodes", [1, 2, 3, 5, 7])
def test_every_size_serves_every_partition_and_finds_all_again(nodes):
    with LocalCluster(nodes=nodes, **QUICK) as cluster:
        status = cluster.status()
        assert len(status["partitions"]) == 2 * nodes
        assert all(len(set(p["group"])) == min(3, nodes) for p in status["partitions"])
        covered = sorted(tuple(p["slots"]) for p in status["partitions"])
        assert covered[0][0] == 0 and covered[-1][1] == 16383
        assert all(a[1] + 1 == b[0] for a, b in itertools.pairwise(covered))
        client = cluster.client()
        for number in range(100):
            assert client.set(f"key{number}", number)
            assert client.get(f"key{number}") == b"%d" % number
        for node in cluster.nodes:
            cluster.kill(node)
        cluster.start_all()
        cluster.wait_ready()
        assert [int(cluster.client().get(f"key{n}")) for n in range(100)] == list(range(100))


def test_one_of_two_waits_for_the_other(two):
    with writing(two) as writers:
        two.kill("node2")
        with two.connection("node1") as slave:
            two.wait_until(lambda: _says_down(slave, "key"), "CLUSTERDOWN")
        two.start("node2")
        progress(two, writers)


@pytest.fixture
def two():
    with LocalCluster(nodes=2, **QUICK) as cluster:
        yield cluster
