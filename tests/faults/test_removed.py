"""A slave that the cluster has forgotten learns of it, says so, ends, and is in nobody's way."""

import contextlib

import redis

from distrodb import LocalCluster


def remove(cluster: LocalCluster, node: str) -> None:
    """Ask until it is done: who is down leaves its groups first, and the controller may change."""

    def is_done() -> bool:
        status = cluster.status()
        if status is None or status["controller"] is None:
            return False
        with (
            contextlib.suppress(redis.RedisError),
            cluster.connection(status["controller"]) as slave,
        ):
            return bool(slave.execute_command("DISTRODB REMOVE", node) == b"OK")
        return False

    cluster.wait_until(is_done, f"{node} may be removed")


def test_one_that_is_removed_while_it_is_down_ends_when_it_comes_back(five):
    """It is the first in the map, so that it is dialled and dials nobody by the map's order."""
    five.kill("node1")
    five.wait_healed()
    remove(five, "node1")
    five.wait_until(lambda: "node1" not in (five.status() or {"nodes": ["node1"]})["nodes"], "gone")
    five.start("node1")
    five.wait_until(lambda: five.ended().get("node1") == 0, "node1 has ended")
    assert "node1 is not one of the cluster any more" in five.last_words("node1")
    five.wait_ready()
    assert five.running() == ["node2", "node3", "node4", "node5"]
