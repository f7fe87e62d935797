"""Transactions of real clients while the leaders of their keys are killed."""

import threading

import redis
from redis.exceptions import RedisClusterException, WatchError

from distrodb import LocalCluster
from tests.faults.story import leader_of

COUNTER, TOTAL = "{sum}counter", "{sum}total"
ONE, OTHER = "{pair}one", "{pair}other"


class Worker(threading.Thread):
    """Does one thing again and again, and keeps what must not be."""

    def __init__(self, cluster: LocalCluster):
        super().__init__(daemon=True)
        self.cluster, self.client = cluster, cluster.client()
        self.done = self.perhaps = self.stopped = 0
        self.wrong: list[object] = []
        self._stop_asked = threading.Event()

    def run(self) -> None:
        while not self._stop_asked.is_set():
            try:
                self.work()
                self.done += 1
            except WatchError:
                self.stopped += 1
            except (redis.RedisError, RedisClusterException, OSError, TypeError, KeyError):
                pass  # nobody led, or the connection broke

    def work(self) -> None:
        raise NotImplementedError

    def finish(self) -> None:
        self._stop_asked.set()
        self.join(60)
        assert not self.is_alive() and not self.wrong, self.wrong[:5]


class Counting(Worker):
    """Counts up what it has read and watched, and a total with it; nothing is sent twice."""

    def work(self) -> None:
        leader = leader_of(self.cluster, COUNTER)
        with self.cluster.connection(leader) as slave, slave.pipeline() as pipeline:
            pipeline.watch(COUNTER)
            count = int(pipeline.get(COUNTER) or 0)
            pipeline.multi()
            pipeline.set(COUNTER, count + 1)
            pipeline.incr(TOTAL)
            try:
                _, total = pipeline.execute()
            except WatchError as error:  # redis-py says so of a connection that broke, too
                self.perhaps += "Watched variable changed" not in str(error)
                raise
            except redis.ResponseError as error:
                self.perhaps += str(error).startswith("UNKNOWN")
                raise
            except redis.RedisError:
                self.perhaps += 1
                raise
            if total != count + 1:
                self.wrong.append((count, total))


class Pairing(Worker):
    """Sets two keys to the same number, with redis-py's own transactions for clusters."""

    def work(self) -> None:
        with self.client.pipeline(transaction=True) as pipeline:
            pipeline.set(ONE, self.done)
            pipeline.set(OTHER, self.done)
            pipeline.execute()


class Looking(Worker):
    """Sees both keys of the pair, or none."""

    def work(self) -> None:
        one, other = self.client.mget(ONE, OTHER)
        if one != other:
            self.wrong.append((one, other))


def test_transactions_happen_whole_once_or_not_while_leaders_die(three):
    workers = [Counting(three), Counting(three), Pairing(three), Looking(three)]
    for worker in workers:
        worker.start()
    for key in (COUNTER, ONE):
        done = [worker.done for worker in workers]
        leader = leader_of(three, key)
        three.kill(leader)
        three.wait_until(
            lambda done=done: all(
                worker.done > before for worker, before in zip(workers, done, strict=True)
            ),
            "all go on",
        )
        three.start(leader)
        three.wait_ready()
    for worker in workers:
        worker.finish()
    counting = workers[:2]
    count, total = map(int, three.client().mget(COUNTER, TOTAL))
    counted = sum(worker.done for worker in counting)
    assert counted <= count <= counted + sum(worker.perhaps for worker in counting)
    assert count == total
    assert sum(worker.stopped for worker in counting)  # they have met
