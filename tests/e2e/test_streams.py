"""A group of consumers of a stream, with real slaves: what is added each of them gets for itself,
whoever of the slaves dies; what one leaves that is gone another one claims."""

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from distrodb import LocalCluster
from tests.e2e.test_blocking import gateway_of, leader_of

FAULTS, CALM_S = 5, 2.0  # of a soak
STEPS = 100  # with one slave, then with another

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(nodes=3, partitions=3) as cluster:
        yield cluster


class Worker:
    """A thread with a connection, another one wherever that breaks."""

    turns = itertools.count()  # of gateways

    def __init__(self, cluster: LocalCluster, is_direct: bool = False):
        self.cluster, self.is_direct, self.is_over = cluster, is_direct, threading.Event()
        self.problem: Exception | None = None
        self._thread = threading.Thread(target=self._run)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self.is_over.set()
        self._thread.join(60.0)
        assert not self._thread.is_alive(), "it waits still"
        assert self.problem is None, self.problem

    def _connect(self) -> redis.Redis:
        """One that sends nothing twice by itself."""
        if self.is_direct:
            port = self.cluster.configs[leader_of(self.cluster, b"s")].me.client.port
        else:
            rows = self.cluster.status()["nodes"].values()
            gateways = [row["gateway"] for row in rows if row["gateway"]]  # of some not known yet
            port = int(gateways[next(self.turns) % len(gateways)].rpartition(":")[2])
        return redis.Redis(port=port, retry=Retry(NoBackoff(), 0))

    def _run(self) -> None:
        client: Any = None
        steps = 0
        try:
            while not self.is_over.is_set():
                try:
                    if client is None:
                        client = self._connect()
                        self.connected()
                    self.step(client)
                    steps += 1
                    client = client if steps % STEPS else None
                except redis.RedisError as problem:
                    if "NOGROUP" in str(problem):
                        raise
                    client = None
                    self.is_over.wait(0.1)
                except (OSError, LookupError, StopIteration, KeyError):  # nobody leads it yet
                    client = None
                    self.is_over.wait(0.1)
        except Exception as problem:
            self.problem = problem

    def connected(self) -> None: ...

    def step(self, client: redis.Redis) -> None: ...


class Producer(Worker):
    numbers = itertools.count()

    def __init__(self, cluster: LocalCluster):
        super().__init__(cluster)
        self.added: set[bytes] = set()
        self.tried: set[bytes] = set()

    def step(self, client: redis.Redis) -> None:
        number = b"%d" % next(self.numbers)
        self.tried.add(number)
        client.xadd("s", {"n": number})
        self.added.add(number)
        time.sleep(0.002)


class Consumer(Worker):
    def __init__(self, cluster: LocalCluster, name: str, is_direct: bool):
        super().__init__(cluster, is_direct)
        self.name = name
        self.taken: dict[bytes, bytes] = {}  # numbers by id
        self._has_more = True  # that it was given, perhaps

    def connected(self) -> None:
        self._has_more = True

    def step(self, client: redis.Redis) -> None:
        begin = "0" if self._has_more else ">"
        block = None if self._has_more else 500
        told: Any = client.xreadgroup("g", self.name, {"s": begin}, count=3, block=block)
        entries = told[0][1] if told else []
        if self._has_more and not entries:
            self._has_more = False
        for id_, fields in entries:
            self.taken[id_] = fields[b"n"]
        if entries:
            client.xack("s", "g", *(id_ for id_, _ in entries))


def test_each_entry_has_one_consumer_whoever_dies(cluster: LocalCluster) -> None:
    gateway_of(cluster, "node1").xgroup_create("s", "g", "0", mkstream=True)
    producers = [Producer(cluster) for _ in range(2)]
    consumers = [Consumer(cluster, f"c{n}", is_direct=n % 2 == 1) for n in range(6)]
    workers = [*producers, *consumers]
    for worker in workers:
        worker.begin()
    for _ in range(FAULTS):
        time.sleep(CALM_S)
        leader = leader_of(cluster, b"s")
        cluster.kill(leader)
        time.sleep(CALM_S)
        cluster.start(leader)
        cluster.wait_healed()
    for producer in producers:
        producer.end()
    client = gateway_of(cluster, "node1")
    cluster.wait_until(lambda: client.xinfo_groups("s")[0]["lag"] == 0, "all is given out")
    for consumer in consumers:
        consumer.end()
    taken = [number for consumer in consumers for number in consumer.taken.values()]
    _, left, _ = client.xautoclaim("s", "g", "heir", 0, count=10000)
    heard = {id_ for consumer in consumers for id_ in consumer.taken}
    taken += [fields[b"n"] for id_, fields in left if id_ not in heard]
    stored = [fields[b"n"] for _, fields in client.xrange("s")]
    added = set().union(*(producer.added for producer in producers))
    tried = set().union(*(producer.tried for producer in producers))
    print(
        len(stored), "entries,", len(tried - added), "unknown,", len(left), "left,", FAULTS, "kills"
    )
    assert len(set(taken)) == len(taken), "an entry was given to two consumers"
    assert sorted(taken) == sorted(stored) and added <= set(stored) <= tried
    assert len(set(stored)) == len(stored) > 500
