"""The ring heals itself, with real slaves and under load from redis-py's cluster client.

Each test prints what it took; ``pytest -s`` shows it.  The long one has DISTRODB_HEALING_KEYS keys
(100,000 unless told).
"""

import json
import os
import time

import pytest

from distrodb import LocalCluster
from tests.e2e.load import Books, load

FEW, MANY = 10_000, int(os.environ.get("DISTRODB_HEALING_KEYS") or 100_000)
VALUE = "v" * 64


def fill(cluster: LocalCluster, keys: int) -> None:
    pipeline = cluster.client().pipeline()
    for number in range(keys):
        pipeline.set(f"key{number}", VALUE)
        if number % 5000 == 4999:
            pipeline.execute()
    pipeline.execute()


def lost(cluster: LocalCluster, keys: int) -> int:
    pipeline = cluster.client().pipeline()
    for number in range(keys):
        pipeline.get(f"key{number}")
    return sum(value != VALUE.encode() for value in pipeline.execute())


def copied(cluster: LocalCluster) -> dict[str, int]:
    """Bytes of snapshots that each slave has sent."""
    sent = {}
    for node in cluster.running():
        with cluster.connection(node) as slave:
            sent[node] = int(slave.info("replication")["snapshot_bytes_sent"])
    return sent


class Stopwatch:
    """How long a healing takes, by what a slave says of it."""

    def __init__(self, cluster: LocalCluster, books: Books, what: str):
        self._cluster, self._books, self._what = cluster, books, what
        self.began = time.monotonic()
        self._sent = copied(cluster)
        self._groups = self._members()
        self.notes: list[str] = []

    def until(self, what: str, condition) -> None:
        self._cluster.wait_until(lambda: condition(self._status()), what, 120.0)
        self.notes.append(f"{what} after {time.monotonic() - self.began:.2f} s")

    def _status(self) -> dict:
        status = None
        while status is None:
            status = self._cluster.status()
        return status

    def _members(self) -> list[set[str]]:
        return [{*partition["group"]} for partition in self._status()["partitions"]]

    def done(self) -> None:
        copies = sum(
            len(after - before) for before, after in zip(self._groups, self._members(), strict=True)
        )
        now = copied(self._cluster)
        sent = sum(count - self._sent.get(node, 0) for node, count in now.items())
        pause = self._books.worst_pause_since(self.began)
        print(
            f"\n{self._what}: {', '.join(self.notes)}; {copies} copies more in"
            f" {sent / 1e6:.2f} MB of snapshots; worst pause of a client {pause:.3f} s",
            flush=True,
        )


def live_copies(status: dict) -> set[int]:
    down = {id_ for id_, node in status["nodes"].items() if node["status"] == "down"}
    return {len({*partition["group"]} - down) for partition in status["partitions"]}


def dies_for_good(cluster: LocalCluster, books: Books, node: str, copies: int) -> None:
    watch = Stopwatch(cluster, books, f"{node} dies")
    cluster.kill(node)
    watch.until("noticed", lambda status: status["nodes"][node]["status"] == "down")
    watch.until("gap closed", lambda status: node not in status["ring"])
    cluster.wait_healed()
    watch.until("full redundancy", lambda status: live_copies(status) == {copies})
    watch.done()


def deaths_and_returns(cluster: LocalCluster, keys: int) -> None:
    fill(cluster, keys)
    with load(cluster) as books:
        for node, copies in (("node2", 3), ("node5", 3), ("node3", 2)):
            dies_for_good(cluster, books, node, copies)
        watch = Stopwatch(cluster, books, "all three return")
        for node in ("node2", "node5", "node3"):
            cluster.start(node)
        watch.until("all in the ring", lambda status: len(status["ring"]) == 5)
        cluster.wait_healed()
        watch.until("whole and balanced", lambda status: live_copies(status) == {3})
        watch.done()
    owned = [partition["owner"] for partition in cluster.status()["partitions"]]
    assert {owned.count(node) for node in cluster.nodes} == {2}
    assert books.failures == [] and lost(cluster, keys) == 0


def join_and_removal(cluster: LocalCluster, keys: int) -> None:
    fill(cluster, keys)
    with load(cluster) as books:
        watch = Stopwatch(cluster, books, "a sixth joins")
        joined = cluster.add()
        watch.until("in the ring", lambda status: joined in status["ring"])
        cluster.wait_healed()
        watch.until("has its share", lambda status: live_copies(status) == {3})
        watch.done()
        watch = Stopwatch(cluster, books, "node2 is removed")
        with cluster.connection(cluster.status()["controller"]) as controller:
            assert controller.execute_command("DISTRODB", "REMOVE", "node2") == b"OK"
        watch.until("gone", lambda status: "node2" not in status["nodes"])
        cluster.wait_until(lambda: cluster.ended().get("node2") == 0, "node2 has ended")
        cluster.wait_healed()
        watch.done()
    assert "is not one of the cluster any more" in cluster.last_words("node2")
    assert books.failures == [] and lost(cluster, keys) == 0


def test_three_of_five_die_and_return():
    with LocalCluster(5, raft_dead_after_s=2.0) as cluster:
        deaths_and_returns(cluster, FEW)


def test_a_sixth_joins_and_another_one_is_removed():
    with LocalCluster(5) as cluster:
        join_and_removal(cluster, FEW)


def copies_become(cluster: LocalCluster, books: Books, number: int) -> None:
    watch = Stopwatch(cluster, books, f"{number} copies")
    with cluster.connection(cluster.status()["controller"]) as controller:
        assert controller.execute_command("DISTRODB", "REPLICAS", str(number)) == b"OK"
    watch.until("reached", lambda status: copies_by_leaders(status) == {number})
    cluster.wait_healed()
    watch.done()
    assert cluster.status()["replicas"] == number


def copies_by_leaders(status: dict) -> set[int]:
    return {len(partition["members"] or ()) for partition in status["partitions"]}


def test_the_number_of_copies_is_changed_and_the_files_are_of_before():
    with LocalCluster(3, replicas=1) as cluster:
        fill(cluster, FEW)
        with load(cluster) as books:
            for number in (3, 1, 3):
                copies_become(cluster, books, number)
            restarted = cluster.status()["controller"]
            assert cluster.stop(restarted) == 0
            cluster.start(restarted)  # its file says one
            cluster.wait_healed()
            assert copies_by_leaders(cluster.status()) == {3}
        assert books.failures == [] and lost(cluster, FEW) == 0
        with cluster.connection(restarted) as slave:
            told = json.loads(slave.execute_command("DISTRODB", "DOCTOR"))
            assert "replicas_differ" in [each["code"] for each in told]


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_the_same_with_many_keys():
    with LocalCluster(5) as cluster:
        deaths_and_returns(cluster, MANY)
    with LocalCluster(5) as cluster:
        join_and_removal(cluster, MANY)
