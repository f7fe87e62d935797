"""The vocabulary of the fault tests: a cluster of real processes, and writers that keep books.

A writer has one command under way at a time.  What was acknowledged must be there at the end; what
was not may be there.  Counters are counted by a client that never sends a command twice, since
redis-py tries again by itself when a connection breaks, and an INCR would count twice then.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator

import redis
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException

from distrodb import LocalCluster
from distrodb.ring.slots import slot_of


class Writer(threading.Thread):
    """Sets a register to 1, 2, 3, … and counts a counter up, as fast as it is answered."""

    def __init__(self, cluster: LocalCluster, number: int):
        super().__init__(daemon=True)
        self._cluster, self._client = cluster, cluster.client()
        self._stop_asked = threading.Event()
        self.register, self.counter = f"register{number}", f"counter{number}"
        self.acknowledged = self.tried = 0
        self.counted = self.perhaps = 0
        self.failed: list[str] = []

    def run(self) -> None:
        while not self._stop_asked.is_set():
            self.tried += 1
            if self._do("SET", self.register, self.tried):
                self.acknowledged = self.tried
            self._count()

    def _count(self) -> None:
        """INCR, sent once to whom the slaves take for the leader."""
        try:
            leader = leader_of(self._cluster, self.counter)
            with self._cluster.connection(leader) as slave:
                slave.incr(self.counter)
            self.counted += 1
        except redis.ResponseError as error:
            self.failed.append(repr(error))
            if str(error).startswith("UNKNOWN"):
                self.perhaps += 1
        except (redis.RedisError, OSError, TypeError, KeyError) as error:
            self.failed.append(repr(error))
            self.perhaps += 1

    def _do(self, *command: object) -> bool:
        try:
            self._client.execute_command(*command)
            return True
        except (redis.RedisError, RedisClusterException) as error:
            self.failed.append(repr(error))
            return False

    def finish(self) -> None:
        self._stop_asked.set()
        self.join(60)
        assert not self.is_alive(), "a command hangs"

    def check(self, client: RedisCluster) -> None:
        value = int(client.get(self.register) or 0)
        assert self.acknowledged <= value <= self.tried, (
            f"{self.register} is {value}, acknowledged {self.acknowledged}, tried {self.tried}"
        )
        count = int(client.get(self.counter) or 0)
        assert self.counted <= count <= self.counted + self.perhaps, (
            f"{self.counter} is {count}, acknowledged {self.counted}, perhaps {self.perhaps} more"
        )


class Reader(threading.Thread):
    """Reads a register that grows: no read may be older than one that was answered before it."""

    def __init__(self, cluster: LocalCluster, register: str):
        super().__init__(daemon=True)
        self._cluster, self._client, self._register = cluster, cluster.client(), register
        self._stop_asked = threading.Event()
        self.answers: list[int] = []
        self.went_back: list[tuple[int, int]] = []

    def run(self) -> None:
        newest = 0
        while not self._stop_asked.is_set():
            with contextlib.suppress(redis.RedisError, RedisClusterException, OSError):
                value = int(self._client.get(self._register) or 0)
                self.answers.append(value)
                if value < newest:
                    self.went_back.append((newest, value))
                newest = max(newest, value)

    def progress(self, reads: int = 20) -> None:
        goal = len(self.answers) + reads
        self._cluster.wait_until(lambda: len(self.answers) >= goal, "reads are answered", 60.0)

    def finish(self) -> None:
        self._stop_asked.set()
        self.join(60)
        assert not self.is_alive(), "a read hangs"
        assert not self.went_back, f"reads went back: {self.went_back}"


@contextlib.contextmanager
def reading(cluster: LocalCluster, register: str) -> Iterator[Reader]:
    """A reader at work while the body runs; its reads never went back."""
    reader = Reader(cluster, register)
    reader.start()
    try:
        yield reader
    finally:
        reader.finish()


@contextlib.contextmanager
def writing(cluster: LocalCluster, writers: int = 3) -> Iterator[list[Writer]]:
    """Writers at work while the body runs; afterwards nothing acknowledged may be missing."""
    books = [Writer(cluster, number) for number in range(writers)]
    for writer in books:
        writer.start()
    try:
        progress(cluster, books)
        yield books
    finally:
        for writer in books:
            writer.finish()
    cluster.wait_ready()
    client = cluster.client()
    for writer in books:
        writer.check(client)


def progress(cluster: LocalCluster, writers: list[Writer], writes: int = 20) -> None:
    """Wait until each writer has had that many more writes acknowledged."""
    goals = [writer.acknowledged + writes for writer in writers]
    cluster.wait_until(
        lambda: all(w.acknowledged >= goal for w, goal in zip(writers, goals, strict=True)),
        "writes are acknowledged again",
        60.0,
    )


def leader_of(cluster: LocalCluster, key: str) -> str:
    """There may be none for a moment, while leadership goes back to the owner."""
    while (leader := known_leader_of(cluster, key)) is None:
        cluster.wait_until(lambda: known_leader_of(cluster, key) is not None, f"{key} has a leader")
    return leader


def known_leader_of(cluster: LocalCluster, key: str) -> str | None:
    """None when there is none, or nobody who could tell."""
    status = cluster.status()
    return None if status is None else _partition_in(status, key)["leader"]


def leaders(cluster: LocalCluster) -> set[str | None]:
    """Who leads at least one partition; None among them when one has no leader."""
    return {partition["leader"] for partition in cluster.status()["partitions"]}


def partition_of(cluster: LocalCluster, key: str) -> dict:
    return _partition_in(cluster.status(), key)


def _partition_in(status: dict, key: str) -> dict:
    slot = slot_of(key.encode())
    return next(p for p in status["partitions"] if p["slots"][0] <= slot <= p["slots"][1])


class Wire:
    """A connection by hand, so that commands can lie in the socket of a slave that hangs."""

    def __init__(self, cluster, node: str):
        host, _, port = cluster.addresses[node].rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._file = self._socket.makefile("rb")

    def send(self, *lines: str) -> None:
        self._socket.sendall(b"".join(line.encode() + b"\r\n" for line in lines))

    def reply(self) -> bytes | None:
        """The first line of a reply, or a string's content; None if the connection was closed."""
        line = self._file.readline()
        if line.startswith(b"$") and line != b"$-1\r\n":
            return self._file.read(int(line[1:]) + 2)[:-2]
        return line.rstrip() or None
