"""What large values cost whoever does not send them: a small client's SETs beside large clients.

    python -m tests.benchmarks.bystander                    4 clients with 8 MB, 16 with 16 MB
    python -m tests.benchmarks.bystander --mset 62914560    one client with MSETs of that size

Three slaves on this machine.  The bystander sets a small key of a partition that is asked for
nothing large: what is in one partition waits for each other anyway.  At the end stands by how much
the terms of all partitions grew together: 0 means that nobody lost the lead.
"""

import argparse
import contextlib
import itertools
import threading
import time

import redis

from distrodb import LocalCluster
from distrodb.ring.slots import slot_of

KEYS_OF_MSET = 3200
BYSTANDER = "bystander"


class Large(threading.Thread):
    """Sets one large key again and again, or many with one MSET."""

    def __init__(self, cluster: LocalCluster, number: int, size: int, keys: int = 1):
        super().__init__(daemon=True)
        self._client = cluster.client(socket_timeout=60.0)
        value = b"%d" % number + b"x" * (size // keys - 1)
        self._values = {f"{{large{number}}}{n}": value for n in range(keys)}
        self.is_over = threading.Event()
        self.done = self.failed = 0

    def run(self) -> None:
        while not self.is_over.is_set():
            try:
                if len(self._values) == 1:
                    self._client.set(*next(iter(self._values.items())))
                else:
                    self._client.mset(self._values)
                self.done += 1
            except (redis.RedisError, OSError):
                self.failed += 1


def partition(status: dict, key: str) -> int:
    slot = slot_of(key.encode())
    return next(p["id"] for p in status["partitions"] if p["slots"][0] <= slot <= p["slots"][1])


def terms(cluster: LocalCluster) -> int:
    """Of all partitions together, as the slaves' leaders have them."""
    status = cluster.status()
    return sum(row["term"] for row in status["partitions"]) if status else 0


def measure(cluster: LocalCluster, clients: int, size: int, keys: int, seconds: float) -> str:
    status = cluster.status()
    assert status is not None
    spared = partition(status, BYSTANDER)
    tags = (tag for tag in itertools.count() if partition(status, f"large{tag}") != spared)
    large = [Large(cluster, tag, size, keys) for tag in itertools.islice(tags, clients)]
    bystander = cluster.client(socket_timeout=60.0)
    bystander.set(BYSTANDER, "0")
    before = terms(cluster)
    for each in large:
        each.start()
    took, failed = [], 0
    until = time.monotonic() + seconds
    while (start := time.monotonic()) < until:
        with contextlib.suppress(redis.RedisError, OSError):
            bystander.set(BYSTANDER, "1")
            took.append(time.monotonic() - start)
            time.sleep(0.002)
            continue
        failed += 1
    for each in large:
        each.is_over.set()
    for each in large:
        each.join(120)
    cluster.wait_ready()
    took.sort()
    p50, p99 = (took[int(len(took) * q)] * 1000 for q in (0.5, 0.99)) if took else (0, 0)
    done, lost = sum(each.done for each in large), sum(each.failed for each in large)
    return (
        f"{clients} x {size / 1e6:.0f} MB: {len(took)} SETs, p50 {p50:.1f} ms, p99 {p99:.0f} ms,"
        f" worst {took[-1] * 1000:.0f} ms, {failed} failed; large: {done} done, {lost} failed,"
        f" {done * size / seconds / 1e6:.0f} MB/s; terms grew by {terms(cluster) - before}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--mset", type=int)
    arguments = parser.parse_args()
    runs = [(0, 1, 1), (4, 8 << 20, 1), (16, 16_000_000, 1)]
    if arguments.mset:
        runs = [(1, arguments.mset, KEYS_OF_MSET)]
    for clients, size, keys in runs:
        with LocalCluster(nodes=3) as cluster:
            print(measure(cluster, clients, size, keys, arguments.seconds), flush=True)


if __name__ == "__main__":
    main()
