"""The first start of a cluster: it needs all of its slaves, and says which one it waits for."""

import redis

from distrodb import LocalCluster


def test_a_cluster_waits_for_all_of_its_slaves_and_says_so():
    cluster = LocalCluster(nodes=3)
    try:
        cluster.start("node1")
        cluster.start("node2")
        cluster.wait_until(
            lambda: said_by(cluster, "node1").endswith("not met all: waiting for node3"),
            "the two have met and say whom they wait for",
        )
        cluster.start("node3")
        cluster.wait_ready()
        assert cluster.client().set("key", "value")
        cluster.kill("node3")  # from now on a majority is enough
        cluster.wait_ready()
        assert cluster.client().get("key") == b"value"
    finally:
        cluster.close()


def said_by(cluster: LocalCluster, node: str) -> str:
    """What a command is answered before the birth."""
    try:
        with cluster.connection(node) as slave:
            slave.set("key", "value")
    except redis.ConnectionError:
        return ""  # it is not up yet
    except redis.ResponseError as refused:
        return str(refused)
    raise AssertionError("acknowledged before all have met")
