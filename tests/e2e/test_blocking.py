"""Clients that wait in BLPOP, with real slaves: what is pushed is taken once, and who waits at a
gateway does not notice that a leader dies."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from distrodb import LocalCluster
from distrodb.clock import monotonic


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(nodes=3, partitions=3) as cluster:
        yield cluster


class Waiting:
    """A thread that asks and keeps the answer."""

    def __init__(self, client: Any, *words: object):
        self.answer: Any = None
        self._thread = threading.Thread(target=self._ask, args=(client, words))
        self._thread.start()

    def _ask(self, client: Any, words: tuple[object, ...]) -> None:
        try:
            self.answer = client.execute_command(*words)
        except redis.RedisError as problem:
            self.answer = problem

    def answered(self) -> Any:
        self._thread.join(30.0)
        assert not self._thread.is_alive(), "it waits still"
        return self.answer


def gateway_of(cluster: LocalCluster, node: str) -> redis.Redis:
    host, _, port = cluster.status()["nodes"][node]["gateway"].rpartition(":")
    return redis.Redis(host=host, port=int(port))


def leader_of(cluster: LocalCluster, key: bytes) -> str:
    slot = redis.cluster.key_slot(key)
    rows = cluster.status()["partitions"]
    return next(row["leader"] for row in rows if row["slots"][0] <= slot <= row["slots"][1])


def blocked(cluster: LocalCluster) -> int:
    counts = []
    for node in cluster.running():
        with cluster.connection(node) as slave:
            counts.append(slave.info("clients")["blocked_clients"])
    return sum(counts)


def test_through_any_gateway_and_at_the_leader_what_is_pushed_is_taken_once(cluster):
    direct = cluster.client()
    clients = [gateway_of(cluster, node) for node in cluster.nodes] + [cluster.client()]
    waiting = []
    for number, client in enumerate(clients, 1):
        waiting.append(Waiting(client, "BLPOP", "queue", 0))
        cluster.wait_until(lambda number=number: blocked(cluster) == number, "it waits")
    for number in range(len(clients)):
        direct.rpush("queue", number)
    taken = [each.answered() for each in waiting]
    assert sorted(value for _, value in taken) == [b"0", b"1", b"2", b"3"]
    assert direct.llen("queue") == 0 and blocked(cluster) == 0
    began = Waiting(clients[0], "BLMOVE", "{q}from", "{q}to", "LEFT", "RIGHT", 0)
    cluster.wait_until(lambda: blocked(cluster) == 1, "it waits")
    direct.lpush("{q}from", "x")
    assert began.answered() == b"x" and direct.lrange("{q}to", 0, -1) == [b"x"]


def test_who_waits_at_a_gateway_does_not_notice_that_the_leader_dies(cluster):
    leader = leader_of(cluster, b"jobs")
    spared = next(node for node in cluster.nodes if node != leader)
    waiting = [Waiting(gateway_of(cluster, spared), "BRPOP", "jobs", 0) for _ in range(3)]
    cluster.wait_until(lambda: blocked(cluster) == 3, "they wait")
    cluster.kill(leader)
    client = gateway_of(cluster, spared)
    for number in range(3):
        client.lpush("jobs", number)
    assert sorted(each.answered()[1] for each in waiting) == [b"0", b"1", b"2"]
    assert client.llen("jobs") == 0
    cluster.start(leader)
    cluster.wait_healed()


@pytest.mark.parametrize("behind", [b"", b"PING\r\n"], ids=["alone", "more behind it"])
@pytest.mark.parametrize("where", ["gateway", "leader"])
def test_one_that_closes_its_socket_while_it_waits_takes_nothing(cluster, where, behind):
    node = leader_of(cluster, b"left")
    port = cluster.configs[node].me.client.port
    client = gateway_of(cluster, node)
    if where == "gateway":
        port = client.connection_pool.connection_kwargs["port"]
    with socket.create_connection(("127.0.0.1", port)) as waiting:
        waiting.sendall(b"BLPOP left 0\r\n" + behind)
        cluster.wait_until(lambda: blocked(cluster) == 1, "it waits")
    cluster.wait_until(lambda: blocked(cluster) == 0, "it is seen to be gone")
    assert client.rpush("left", "x") == 1 and client.lpop("left") == b"x"


def test_a_time_that_is_over_and_a_client_that_is_unblocked(cluster):
    client = gateway_of(cluster, "node1")
    assert client.blpop("nothing", timeout=0.2) is None
    waiting = Waiting(client, "BLPOP", "nothing", 0)
    cluster.wait_until(lambda: blocked(cluster) == 1, "it waits")
    with cluster.connection("node1") as slave:
        (row,) = [row for row in slave.client_list() if "b" in row["flags"]]
        assert slave.client_unblock(row["id"], error=True) == 1
    assert "UNBLOCKED" in str(waiting.answered())


def test_wait_waits_for_the_copy_that_lags(cluster):
    """It hangs; what a majority has is answered: at the leader, and at another one's gateway."""
    cluster.wait_healed()
    leader = leader_of(cluster, b"waited")
    behind, other = [node for node in cluster.running() if node != leader]
    with cluster.connection(leader) as direct, gateway_of(cluster, other) as gateway:
        for client in (direct, gateway):
            client.set("waited", "0")
            assert client.execute_command("WAIT", 2, 0) == 2
        cluster.pause(behind)
        try:
            for client in (direct, gateway):
                client.set("waited", "1")
                begun = monotonic()
                assert client.execute_command("WAIT", 1, 0) == 1
                assert client.execute_command("WAIT", 2, 300) == 1
                assert monotonic() - begun >= 0.3
                assert client.execute_command("WAITAOF", 1, 1, 0) == [1, 1]
            waiting = [Waiting(client, "WAIT", 2, 0) for client in (direct, gateway)]
        finally:
            cluster.resume(behind)
        assert [each.answered() for each in waiting] == [2, 2]
    cluster.wait_ready()
