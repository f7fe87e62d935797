"""The first start of a cluster: it needs all of its slaves, and says which one it waits for."""

from pathlib import Path

import pytest
import redis

from distrodb import LocalCluster
from distrodb.errors import UnavailableError


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


def test_slaves_that_all_come_up_without_their_disks_begin_no_new_cluster(tmp_path):
    """And when the disks are there again, so is everything."""
    with LocalCluster(nodes=3, directory=tmp_path) as cluster:
        cluster.client().set("key", "value")
    has_been_born(cluster)
    disks = {node: cluster.configs[node].directory for node in cluster.nodes}
    for disk in disks.values():
        disk.rename(f"{disk}.away")
    again = LocalCluster(3, directory=tmp_path)
    try:
        again.start_all()
        for node in again.nodes:
            again.wait_until(
                lambda node=node: said_by(again, node).endswith(
                    "waits for one that knows the cluster"
                ),
                "all have met, and begin nothing",
            )
        with pytest.raises(UnavailableError):
            again.wait_ready(2.0)
        assert all(again.status(node)["epoch"] == 0 for node in again.nodes)
        assert "see whether its disk is mounted" in (tmp_path / "node1" / "slave.log").read_text()
        for node, disk in disks.items():  # one is mended after another
            assert again.stop(node) == 0
            disk.rename(f"{disk}.empty")
            Path(f"{disk}.away").rename(disk)
            again.start(node)
        again.wait_ready()
        assert again.client().get("key") == b"value"
    finally:
        again.close()


def has_been_born(cluster: LocalCluster) -> None:
    for config in cluster.configs.values():
        text = config.file.read_text()
        assert text.count("\nborn = false\n") == 1
        config.file.write_text(text.replace("\nborn = false\n", "\nborn = true\n"))


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
