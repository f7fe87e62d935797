"""Snapshots under load: a slave that lags behind the log, restarts, kills while they are taken."""

import pytest

from distrodb import LocalCluster
from tests.faults.conftest import QUICK
from tests.faults.story import leader_of, progress, writing

OPTIONS = {**QUICK, "raft_snapshot_log_bytes": 65536}
BLOCK = b"x" * 8192
PIPELINE = 20  # commands on their way at a time


@pytest.fixture
def cluster():
    with LocalCluster(nodes=3, partitions=3, **OPTIONS) as cluster:
        yield cluster


def batched(keys: range, size: int) -> list[range]:
    return [keys[first : first + size] for first in range(0, len(keys), size)]


def fill(cluster: LocalCluster, keys: range) -> None:
    """Each with a value that tells it from all others, about 8 KiB."""
    client = cluster.client()
    for some in batched(keys, PIPELINE):
        pipeline = client.pipeline()
        for number in some:
            pipeline.set(f"block{number}", b"%d " % number + BLOCK)
        assert all(pipeline.execute())


def check(cluster: LocalCluster, keys: range) -> None:
    client, wrong = cluster.client(), []
    for some in batched(keys, PIPELINE):
        pipeline = client.pipeline()
        for number in some:
            pipeline.get(f"block{number}")
        read = pipeline.execute()
        wrong += [n for n, v in zip(some, read, strict=True) if v != b"%d " % n + BLOCK]
    assert not wrong, f"missing or wrong: {wrong}"


def snapshots(cluster: LocalCluster, node: str) -> set[str]:
    return {file.name for file in (cluster.directory / node / "snapshots").glob("*.snapshot")}


def test_a_slave_far_behind_is_needed_at_once_when_it_has_caught_up(cluster):
    fill(cluster, range(0, 30))
    cluster.kill("node3")
    before = snapshots(cluster, "node3")
    fill(cluster, range(30, 500))  # 4 MB: far beyond the log that is kept
    cluster.start("node3")
    cluster.wait_until(
        lambda: len({f[:5] for f in snapshots(cluster, "node3") - before}) == 3,
        "node3 has received a snapshot of each partition",
    )
    cluster.kill("node1")
    cluster.wait_ready()
    check(cluster, range(500))
    fill(cluster, range(500, 520))
    cluster.kill("node2")
    cluster.start("node1")
    cluster.wait_ready()
    check(cluster, range(520))


def test_a_slave_catches_up_while_writing_goes_on(cluster):
    with writing(cluster) as writers:
        for behind, other in (("node3", "node1"), ("node1", "node2")):
            cluster.kill(behind)
            fill(cluster, range(200))
            cluster.start(behind)
            fill(cluster, range(200, 300))
            cluster.wait_ready()
            cluster.kill(other)
            progress(cluster, writers)
            check(cluster, range(300))
            cluster.start(other)
            cluster.wait_ready()


def test_a_slave_that_is_killed_while_it_receives_snapshots_starts_over(cluster):
    with writing(cluster, writers=1) as writers:
        cluster.kill("node3")
        fill(cluster, range(400))
        for _ in range(4):
            before = snapshots(cluster, "node3")
            cluster.start("node3")
            cluster.wait_until(
                lambda before=before: (
                    snapshots(cluster, "node3") != before or cluster.status("node3") is not None
                ),
                "node3 is up or has a new snapshot",
            )
            cluster.kill("node3")
        cluster.start("node3")
        cluster.wait_ready()
        progress(cluster, writers)
        cluster.kill(leader_of(cluster, "block1"))
        cluster.wait_ready()
        check(cluster, range(400))


def test_all_are_killed_while_snapshots_are_taken(cluster):
    with writing(cluster, writers=2) as writers:
        for turn in range(3):
            fill(cluster, range(100 * turn, 100 * turn + 100))
            for node in cluster.nodes:
                cluster.kill(node)
            cluster.start_all()
            cluster.wait_ready()
            progress(cluster, writers)
        check(cluster, range(300))


def test_counters_survive_snapshots_and_restarts(cluster):
    """An entry that is applied twice, from the log and from the snapshot, would count twice."""
    client = cluster.client()
    for turn in range(3):
        for _ in range(60):
            client.incr("counter")
            client.append("text", "x" * 2000)
        for node in cluster.nodes:
            cluster.kill(node) if turn % 2 else cluster.stop(node)
        cluster.start_all()
        cluster.wait_ready()
        client = cluster.client()
        assert int(client.get("counter")) == 60 * (turn + 1)
        assert client.strlen("text") == 2000 * 60 * (turn + 1)


def test_the_log_stays_short(cluster):
    fill(cluster, range(300))
    fill(cluster, range(300))
    for node in cluster.nodes:
        files = sorted(snapshots(cluster, node))
        groups = {name[:5] for name in files}
        assert len(files) <= 2 * len(groups), "old snapshots are removed"
        for file in (cluster.directory / node / "snapshots").glob("*.temporary"):
            cluster.wait_until(lambda file=file: not file.exists(), "no half a snapshot stays")
