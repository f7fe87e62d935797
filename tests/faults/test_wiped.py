"""A slave that lost its directory is taken in again, as a new one, and is then as good as any."""

import itertools
import shutil
import time

import redis

from distrodb import LocalCluster
from distrodb.ring.slots import slot_of
from tests.faults.heavy import pressing
from tests.faults.story import progress, writing


def wipe(cluster: LocalCluster, node: str) -> None:
    cluster.kill(node)
    shutil.rmtree(cluster.directory / node)
    cluster.start(node)


def wait_until_taken_in(cluster: LocalCluster, node: str) -> None:
    """Its map says that it is up, and its copy of each partition has what is written now.

    (The status does not tell who votes.  A copy that has caught up votes some milliseconds later;
    the tests wait for more writes before they rely on it.)
    """
    keys = a_key_of_each_partition(cluster)
    client = cluster.client()
    for number in itertools.count():
        assert number < 600, f"{node} is not taken in"
        for key in keys:
            client.set(key, number)
        if all(has_copy(cluster, node, key, number) for key in keys):
            status = cluster.status(node)
            if status is not None and status["nodes"][node]["status"] == "up":
                return
        time.sleep(0.1)


def a_key_of_each_partition(cluster: LocalCluster) -> list[str]:
    keys: dict[int, str] = {}
    partitions = cluster.status()["partitions"]
    for name in (f"key{number}" for number in itertools.count()):
        slot = slot_of(name.encode())
        found = next(p["id"] for p in partitions if p["slots"][0] <= slot <= p["slots"][1])
        keys.setdefault(found, name)
        if len(keys) == len(partitions):
            return list(keys.values())
    raise AssertionError


def has_copy(cluster: LocalCluster, node: str, key: str, number: int) -> bool:
    try:
        with cluster.connection(node) as slave:
            slave.execute_command("READONLY")
            return slave.get(key) == b"%d" % number
    except redis.RedisError:
        return False


def test_a_wiped_slave_is_taken_in_again(three):
    with writing(three) as writers:
        progress(three, writers, 60)
        wipe(three, "node3")
        wait_until_taken_in(three, "node3")
        progress(three, writers, 60)
        three.kill("node1")
        progress(three, writers)
        three.start("node1")


def test_each_in_turn_is_wiped_under_heavy_writing(three):
    """At the end nothing is left of what any of them had on its disk at the start."""
    with pressing(three, writers=2) as presses:
        for node in three.nodes:
            wipe(three, node)
            wait_until_taken_in(three, node)
            presses.progress(2000)
            three.wait_ready()
    other = three.nodes[0]
    three.kill(other)
    three.wait_ready()
    for press in presses:
        press.check(three.client())


def test_one_that_is_wiped_again_and_again_takes_nothing_with_it(three):
    with writing(three, writers=2) as writers:
        for _ in range(4):
            wipe(three, "node3")
            progress(three, writers, 5)
        wait_until_taken_in(three, "node3")
        progress(three, writers, 60)
        three.kill("node2")
        progress(three, writers)
        three.start("node2")
