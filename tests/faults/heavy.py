"""Writers that press: long pipelines of large values, each connection straight to a leader.

A key is written by one writer only, with growing numbers, so that the books are simple: at the end
a key holds a number that is at least the last acknowledged and at most the last sent, followed by
the content that belongs to that number.
"""

import contextlib
import threading
from collections.abc import Iterator

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

from distrodb import LocalCluster
from tests.faults.story import known_leader_of

PIPELINE = 300  # commands on the way at a time; not above the keys, so each is there once
KEYS = 900  # of each writer: three pipelines


def content(number: int, size: int) -> bytes:
    """About ``size`` bytes, different for each number."""
    word = b"%d," % number
    return word * (size // len(word) + 1)


class Press(threading.Thread):
    def __init__(self, cluster: LocalCluster, number: int, size: int, keys: int):
        super().__init__(daemon=True)
        self._cluster, self._size = cluster, size
        self._tag = f"{{press{number}}}"  # all keys in one slot: one leader for a pipeline
        self.sent = [0] * keys
        self.acknowledged = [0] * keys
        self.answers = 0
        self._number = 0  # only ever grows, also over a connection that breaks
        self._stop_asked = threading.Event()
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._stop_asked.is_set():
                # A connection that broke, or a leader that is one no more: look who leads now.
                with contextlib.suppress(redis.ConnectionError, redis.TimeoutError, OSError):
                    self._press()
        except BaseException as problem:
            self.problem = problem

    def _press(self) -> None:
        """Pipelines to the leader until it does not answer OK."""
        leader = known_leader_of(self._cluster, self._tag)
        if leader is None:
            self._stop_asked.wait(0.05)
            return
        host, _, port = self._cluster.addresses[leader].rpartition(":")
        connection = redis.Connection(
            host=host,
            port=int(port),
            socket_timeout=5.0,
            socket_connect_timeout=1.0,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            connection.connect()
            while not self._stop_asked.is_set():
                self._number = number = self._number + 1
                places = [(number * PIPELINE + n) % len(self.sent) for n in range(PIPELINE)]
                value = content(number, self._size)
                commands = [("SET", self._key(place), value) for place in places]
                for place in places:
                    self.sent[place] = number
                connection.send_packed_command(connection.pack_commands(commands))
                refused = False
                for place in places:
                    try:
                        assert connection.read_response() == b"OK"
                        self.acknowledged[place] = number
                        self.answers += 1
                    except redis.ResponseError:
                        refused = True
                if refused:
                    return
        finally:
            connection.disconnect()

    def _key(self, place: int) -> str:
        return f"{self._tag}{place}"

    def finish(self) -> None:
        self._stop_asked.set()
        self.join(60)
        assert not self.is_alive(), "a pipeline hangs"
        if self.problem is not None:
            raise self.problem

    def check(self, client: RedisCluster) -> None:
        keys = [self._key(place) for place in range(len(self.sent))]
        values: list[bytes | None] = []
        for first in range(0, len(keys), 100):
            values += client.mget(keys[first : first + 100])
        for place, value in enumerate(values):
            number = int(value.partition(b",")[0]) if value else 0
            assert self.acknowledged[place] <= number <= self.sent[place], (
                f"{keys[place]} holds {number}, acknowledged was {self.acknowledged[place]},"
                f" sent {self.sent[place]}"
            )
            assert not value or value == content(number, self._size), f"{keys[place]} is damaged"


class Presses(list[Press]):
    """All of them."""

    def __init__(self, cluster: LocalCluster, presses: list[Press]):
        super().__init__(presses)
        self._cluster = cluster

    def progress(self, answers: int = 1000) -> None:
        """Wait until each has had that many more writes acknowledged."""
        goals = [press.answers + answers for press in self]

        def reached() -> bool:
            for press in self:
                if press.problem is not None:
                    raise press.problem
            return all(press.answers >= goal for press, goal in zip(self, goals, strict=True))

        self._cluster.wait_until(reached, "pipelines are acknowledged again", 60.0)


@contextlib.contextmanager
def pressing(
    cluster: LocalCluster, writers: int = 3, size: int = 1000, keys: int = KEYS
) -> Iterator[Presses]:
    """Heavy writing while the body runs; afterwards nothing acknowledged may be missing."""
    presses = Presses(cluster, [Press(cluster, n, size, keys) for n in range(writers)])
    for press in presses:
        press.start()
    try:
        presses.progress()
        yield presses
    finally:
        for press in presses:
            press.finish()
    cluster.wait_ready()
    client = cluster.client(socket_timeout=20.0)
    for press in presses:
        press.check(client)
    answers = sum(press.answers for press in presses)
    print(f"\n{answers} acknowledged writes of {size} bytes, none missing", flush=True)
