"""Load from cluster clients of redis-py as an application has them: with their own retries.

Each worker writes keys of its own with growing numbers and reads them back.  What it keeps: failed
commands, reads that were older than what had been acknowledged, and the longest it had to wait.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis
from redis.exceptions import RedisClusterException

from distrodb import LocalCluster

KEYS = 500  # of each worker
PAUSE_S = 0.002  # between two commands: two cores have to run the slaves, too


@dataclass
class Books:
    """What the workers of a test have seen."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    pauses: list[tuple[float, float]] = field(default_factory=list)  # when, seconds
    commands: int = 0

    def worst_pause_since(self, moment: float) -> float:
        return max((pause for at, pause in self.pauses if at >= moment), default=0.0)


class Worker(threading.Thread):
    def __init__(self, cluster: LocalCluster, number: int, books: Books, stop: threading.Event):
        super().__init__(daemon=True)
        self._client = cluster.client()
        self._number, self._books, self._stop_asked = number, books, stop

    def run(self) -> None:
        number = 0
        while not self._stop_asked.wait(PAUSE_S):
            number += 1
            key = f"load{self._number}:{number * 7919 % KEYS}"
            began = time.monotonic()
            try:
                self._step(key, number)
            except (redis.RedisError, RedisClusterException, OSError) as problem:
                self._books.failures.append(f"{type(problem).__name__}: {problem}")
            self._books.pauses.append((began, time.monotonic() - began))
            self._books.commands += 2

    def _step(self, key: str, number: int) -> None:
        books = self._books
        books.sent[key] = number
        self._client.set(key, number)
        books.acknowledged[key] = number
        found = self._client.get(key)
        if found is None or int(found) < number:
            books.stale.append(f"{key} is {found} after {number} was acknowledged")


@contextmanager
def load(cluster: LocalCluster, workers: int = 4) -> Iterator[Books]:
    """Workers for as long as the block lasts; at its end nothing acknowledged may be missing."""
    books, stop = Books(), threading.Event()
    threads = [Worker(cluster, number, books, stop) for number in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield books
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert books.stale == []
    client = cluster.client()
    lost = [
        key
        for key, number in books.acknowledged.items()
        if not number <= int(client.get(key) or -1) <= books.sent[key]
    ]
    assert lost == [] and books.commands > 0
