"""Queues: producers push numbers that are pushed once, consumers wait for them, while leaders die,
hang, are cut off and lose their directories.

Through gateways nothing is lost, nothing comes twice, and nobody sees an error.  Directly at the
leaders a command whose outcome is not known may have pushed, or taken, some numbers.  A number that
is moved to another list (BLMOVE) is there once more, whatever its consumer has heard.

``Story``s are run by test_queues.py and, for long, by ``python -m tests.sim --kind queues``.
"""

from collections.abc import Sequence
from typing import Any

from distrodb.resp.reply import NULL_ARRAY
from tests.sim.chaos import Report
from tests.sim.simulation import Simulation
from tests.sim.worker import PAUSE_S_MAX, Worker, disturb, lose_frames, ways_of

QUEUES = ["queue.0", "queue.1", "queue.2"]
GATEWAYS = ("node1", "node2")
IDLE_S_MAX = 1.0  # between two pushes, now and then: all consumers come to wait
PEACE_S = 5.0  # behind the last one: nothing but what is pushed wakes those who wait
FAULT_COUNT = 8
FAULTS = ["crash", "isolate", "pause", "break"]
ALL_FAULTS = [*FAULTS, "wipe", "slow disk"]
# What consumers ask of a queue, its urgent list and its sorted set, and where their elements go.
WAITING = {
    "BLPOP": "BLPOP {queue} {timeout}",
    "BLPOP of two": "BLPOP {urgent} {queue} {timeout}",
    "BRPOP": "BRPOP {queue} {timeout}",
    "BLMOVE": "BLMOVE {urgent} {done} LEFT RIGHT {timeout}",
    "BRPOPLPUSH": "BRPOPLPUSH {queue} {done} {timeout}",
    "BLMPOP": "BLMPOP {timeout} 2 {urgent} {queue} LEFT COUNT 2",
    "BZPOPMIN": "BZPOPMIN {delayed} {timeout}",
    "BZPOPMAX": "BZPOPMAX {delayed} {timeout}",
    "BZMPOP": "BZMPOP {timeout} 2 {later} {delayed} MIN COUNT 2",
}
PUSHING = {
    "RPUSH": "RPUSH {queue}",
    "LPUSH": "LPUSH {urgent}",
    "ZADD": "ZADD {delayed}",
    "ZADD later": "ZADD {later}",
}


def names_of(queue: str) -> dict[str, str]:
    """Of one slot."""
    names = {name: f"{{{queue}}}{name}" for name in ("urgent", "done", "delayed", "later")}
    return {"queue": queue, **names}


class Books:
    """What was pushed and what was taken, of all queues together."""

    def __init__(self) -> None:
        self.next = 0
        self.pushed: set[bytes] = set()  # acknowledged
        self.maybe_pushed: set[bytes] = set()
        self.taken: list[bytes] = []
        self.moved: set[bytes] = set()  # of those taken, to another list
        self.done: list[bytes] = []  # in those lists, in the end
        self.maybe_taken = 0
        self.unknown = 0

    def number(self) -> bytes:
        self.next += 1
        return b"%d" % self.next

    def judge(self) -> None:
        assert len(set(self.taken)) == len(self.taken), "a number was handed out twice"
        assert len(set(self.done)) == len(self.done), "a number was moved twice"
        assert self.moved <= {*self.done}, "what was moved is gone"
        assert not {*self.done} & ({*self.taken} - self.moved), "a number was taken and moved"
        taken = {*self.taken, *self.done}
        assert taken <= self.pushed | self.maybe_pushed
        lost = self.pushed - taken
        assert len(lost) <= self.maybe_taken, f"{len(lost)} lost, of {self.maybe_taken} at most"


class OnQueue(Worker):
    """A worker with a command for the names of its queue."""

    def __init__(
        self, cluster: Simulation, books: Books, queue: str, node: str | None, template: str
    ):
        super().__init__(cluster, books, queue, node)
        self.books, self.names, self.template = books, names_of(queue), template


class Producer(OnQueue):
    def pause_s_max(self) -> float:
        return self.cluster.random.choice([PAUSE_S_MAX, PAUSE_S_MAX, IDLE_S_MAX])

    def words(self) -> list[Any]:
        count = self.cluster.random.choice([1, 1, 1, 2, 5])
        numbers = [self.books.number() for _ in range(count)]
        words = self.template.format(**self.names).encode().split()
        if words[0] == b"ZADD":
            return [*words, *(word for number in numbers for word in (number, number))]
        return [*words, *numbers]

    def known(self, words: list[Any], reply: Any) -> None:
        assert type(reply) is int
        self.books.pushed.update(words[2:])

    def unknown(self, words: list[Any]) -> None:
        self.books.maybe_pushed.update(words[2:])


class Consumer(OnQueue):
    def words(self) -> list[Any]:
        """In every second run they wait for ever: whoever is not woken is not served."""
        timeouts = [0, 0, 0.3, 2] if self.cluster.seed % 2 else [0]
        timeout = f"{self.cluster.random.choice(timeouts):g}"
        return self.template.format(timeout=timeout, **self.names).encode().split()

    def known(self, words: list[Any], reply: Any) -> None:
        if reply is None or reply is NULL_ARRAY:
            return
        if isinstance(reply, bytes):  # it was moved
            self.books.taken.append(reply)
            self.books.moved.add(reply)
            return
        assert isinstance(reply, list) and reply[0] in words[1:]
        found = reply[1] if isinstance(reply[1], list) else reply[1:2]
        for each in found:
            element = each[0] if isinstance(each, list) else each
            assert isinstance(element, bytes)
            self.books.taken.append(element)

    def unknown(self, words: list[Any]) -> None:
        """What it has moved is in another list, or was not moved."""
        if words[0] not in (b"BLMOVE", b"BRPOPLPUSH"):
            self.books.maybe_taken += 2 if b"COUNT" in words else 1


class Story:
    def __init__(
        self,
        seed: int,
        gateways: Sequence[str],
        pushing: Sequence[str] = ("RPUSH",),
        waiting: Sequence[str] = ("BLPOP", "BLPOP"),
        faults: Sequence[str] = tuple(FAULTS),
        queues: Sequence[str] = tuple(QUEUES),
    ):
        """``gateways``: the slaves whose gateways the workers use, which stay; none: the workers go
        to the leaders.  Of each queue there is a worker of each kind (and gateway), at least."""
        self.seed, self.gateways, self.faults, self.queues = seed, gateways, faults, queues
        self.cluster = cluster = Simulation(seed, nodes=5, partitions=4, snapshot_log_bytes=4096)
        cluster.run_until(cluster.is_whole)
        self.books = books = Books()
        if seed % 2 and gateways:
            lose_frames(cluster)
        ways = ways_of(gateways)
        places = [(queue, way) for queue in queues for way in ways]
        self.producers: list[OnQueue] = [
            Producer(cluster, books, *place, PUSHING[kind]) for kind in pushing for place in places
        ]
        self.consumers: list[OnQueue] = [
            Consumer(cluster, books, *place, WAITING[kind]) for kind in waiting for place in places
        ]

    def run(self) -> Report:
        """Raises ``AssertionError`` for whatever must not be."""
        report = Report(self.seed)
        faults = disturb(self.cluster, self.gateways, self.queues, self.faults, FAULT_COUNT)
        for fault in faults:
            report.faults[fault] = report.faults.get(fault, 0) + 1
        self._drain()
        books, cluster = self.books, self.cluster
        books.judge()
        if self.gateways:
            taken = {*books.taken, *books.done}
            assert sorted(taken, key=int) == sorted(books.pushed, key=int)
            assert not books.maybe_pushed and not books.maybe_taken
        assert len(books.taken) > 100
        cluster.checks.all_digests()
        report.virtual_s, report.trace = cluster.now, cluster.trace
        report.operations, report.unknown = len(books.pushed) + len(books.taken), books.unknown
        return report

    def _drain(self) -> None:
        """All that was pushed and not taken is taken now; also where all who wait do so for ever,
        and are told of nothing but what is pushed."""
        cluster = self.cluster
        cluster.run(PEACE_S)
        for worker in self.producers:
            worker.is_stopped = True
        cluster.run_until(lambda: not any(worker.is_waiting for worker in self.producers))
        cluster.run_until(self._is_empty, 60.0)
        cluster.run(15.0)  # a reply that a link has lost is asked for again after some seconds
        for worker in self.consumers:
            worker.is_stopped = True
            if worker.is_waiting and worker.node is None:
                worker.unknown(worker.words())  # its slave may be gone, with what it took
        for queue in self.queues:
            done = cluster.ask("LRANGE", names_of(queue)["done"], "0", "-1")
            assert isinstance(done, list)
            self.books.done += done  # type: ignore[arg-type]

    def _is_empty(self) -> bool:
        counts = {"queue": "LLEN", "urgent": "LLEN", "delayed": "ZCARD", "later": "ZCARD"}
        return all(
            self.cluster.ask(command, names_of(queue)[name]) == 0
            for queue in self.queues
            for name, command in counts.items()
        )


def every_kind(seed: int) -> Story:
    """Consumers of all kinds of one queue at once, through gateways or at the leader."""
    gateways = GATEWAYS if seed % 4 < 2 else ()
    return Story(seed, gateways, [*PUSHING], [*WAITING], ALL_FAULTS, QUEUES[:1])
