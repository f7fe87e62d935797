"""A plain client of a gateway through ten kills of leaders: no error, and each INCR counts once."""

import random
import threading

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from distrodb.local import LocalCluster

KILLS = 10
CLIENTS = 4
BURST = 5  # commands in one write


class Counter(threading.Thread):
    """It has its own counter, retries nothing, and notes what is not as it must be."""

    def __init__(self, cluster: LocalCluster, node: str, number: int):
        super().__init__(daemon=True)
        gateway = cluster.configs[node].me.gateway
        assert gateway is not None
        self._client = redis.Redis(
            gateway.host, gateway.port, retry=Retry(NoBackoff(), 0), socket_timeout=30
        )
        self._key = f"counter{number}"
        self.count = 0
        self.problems: list[str] = []
        self.is_stopped = False

    def run(self) -> None:
        try:
            while not self.is_stopped:
                with self._client.pipeline(transaction=False) as burst:
                    for _ in range(BURST):
                        burst.incr(self._key).get(self._key)
                    replies = burst.execute()
                for reply, seen in zip(replies[::2], replies[1::2], strict=True):
                    self.count += 1
                    if (reply, seen) != (self.count, b"%d" % self.count):
                        self.problems.append(f"{reply} and {seen}, not {self.count}")
        except redis.RedisError as problem:
            self.problems.append(repr(problem))


@pytest.mark.timeout(300)
def test_a_plain_client_sees_nothing_of_ten_leaders_that_die() -> None:
    choose = random.Random(4)
    with LocalCluster(5, partitions=3, raft_dead_after_s=60.0) as cluster:
        home = cluster.nodes[0]  # theirs, which stays
        counters = [Counter(cluster, home, number) for number in range(CLIENTS)]
        for counter in counters:
            counter.start()
        kills = 0
        while kills < KILLS:
            status = cluster.status(home)
            assert status is not None
            leaders = sorted({row["leader"] for row in status["partitions"]} - {home, None})
            if not leaders:
                continue
            counts = [counter.count for counter in counters]
            victim = choose.choice(leaders)
            cluster.kill(victim)
            kills += 1
            cluster.wait_until(
                lambda counts=counts: all(
                    counter.problems or counter.count > before + BURST
                    for counter, before in zip(counters, counts, strict=True)
                ),
                "they go on",
            )
            cluster.start(victim)
            cluster.wait_ready()
        for counter in counters:
            counter.is_stopped = True
        for counter in counters:
            counter.join(60)
        assert [problem for counter in counters for problem in counter.problems] == []
        with cluster.connection(home):
            gateway = cluster.configs[home].me.gateway
            client = redis.Redis(gateway.host, gateway.port)
            for number, counter in enumerate(counters):
                assert int(client.get(f"counter{number}")) == counter.count > KILLS * BURST
