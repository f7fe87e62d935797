"""Queues: producers push numbers that are pushed once, consumers wait for them, while leaders die,
hang, are cut off and lose their directories.

Through gateways nothing is lost, nothing comes twice, and nobody sees an error.  Directly at the
leaders a command whose outcome is not known may have pushed, or taken, some numbers.  A number that
is moved to another list (BLMOVE) is there once more, whatever its consumer has heard.

``Story``s are run by test_queues.py and, for long, by ``python -m tests.sim --kind queues``.
"""

from collections.abc import Sequence

from distrodb.resp.reply import NULL_ARRAY, ErrorReply, Reply
from tests.sim.chaos import Report
from tests.sim.connection import Connection
from tests.sim.simulation import Simulation

QUEUES = ["queue.0", "queue.1", "queue.2"]
GATEWAYS = ("node1", "node2")
PAUSE_S_MAX = 0.05  # between two steps
IDLE_S_MAX = 1.0  # between two pushes, now and then: all consumers come to wait
CALM_S_MAX = 1.5  # between two faults
PEACE_S = 5.0  # behind the last one: nothing but what is pushed wakes those who wait
PATIENCE_S = 10.0  # a command of which nothing is heard for so long has an unknown outcome
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


class Worker:
    """One connection that goes on with a step as soon as the last is answered."""

    def __init__(
        self, cluster: Simulation, books: Books, queue: str, node: str | None, template: str
    ):
        """``node``: whose gateway it uses; None: it goes to who leads its queue."""
        self.cluster, self.books, self.queue, self.node = cluster, books, queue, node
        self.names, self.template = names_of(queue), template
        self._gateway: Connection | None = None  # one for good, since its slave stays
        if node is not None:
            self._gateway = Connection(cluster.slaves[node], cluster.random_for_clients, True)
        self._asked = 0
        self.is_stopped = self.is_waiting = False
        self._step()

    def _step(self) -> None:
        if self.is_stopped:
            return
        connection = self._connect()
        if connection is None:
            self.cluster.at(0.1, self._step)
            return
        self.is_waiting, self._asked = True, self._asked + 1
        number, words = self._asked, self.words()

        def done(reply: Reply) -> None:
            if number == self._asked and self.is_waiting:
                self.is_waiting = False
                self._answered(words, reply)

        def give_up() -> None:
            if number == self._asked and self.is_waiting:
                connection.close()
                self.is_waiting = False
                self._answered(words, ErrorReply(b"UNKNOWN nothing was heard"))

        connection.ask(words, done)
        if self.node is None:
            self.cluster.at(PATIENCE_S, give_up)

    def _connect(self) -> Connection | None:
        if self._gateway is not None:
            return self._gateway
        node = self.cluster.leader(self.queue)
        if node is None or not self.cluster.is_up(node):
            return None
        return Connection(self.cluster.slaves[node], self.cluster.random_for_clients)

    def _answered(self, words: list[bytes], reply: Reply) -> None:
        if isinstance(reply, ErrorReply):
            assert self.node is None, reply
            if reply.code == "UNKNOWN":
                self.books.unknown += 1
                self.unknown(words)
        else:
            self.known(words, reply)
        self.cluster.at(self.cluster.random.uniform(0.0, self.pause_s_max()), self._step)

    def pause_s_max(self) -> float:
        return PAUSE_S_MAX

    def words(self) -> list[bytes]: ...

    def known(self, words: list[bytes], reply: Reply) -> None: ...

    def unknown(self, words: list[bytes]) -> None: ...


class Producer(Worker):
    def pause_s_max(self) -> float:
        return self.cluster.random.choice([PAUSE_S_MAX, PAUSE_S_MAX, IDLE_S_MAX])

    def words(self) -> list[bytes]:
        count = self.cluster.random.choice([1, 1, 1, 2, 5])
        numbers = [self.books.number() for _ in range(count)]
        words = self.template.format(**self.names).encode().split()
        if words[0] == b"ZADD":
            return [*words, *(word for number in numbers for word in (number, number))]
        return [*words, *numbers]

    def known(self, words: list[bytes], reply: Reply) -> None:
        assert type(reply) is int
        self.books.pushed.update(words[2:])

    def unknown(self, words: list[bytes]) -> None:
        self.books.maybe_pushed.update(words[2:])


class Consumer(Worker):
    def words(self) -> list[bytes]:
        """In every second run they wait for ever: whoever is not woken is not served."""
        timeouts = [0, 0, 0.3, 2] if self.cluster.seed % 2 else [0]
        timeout = f"{self.cluster.random.choice(timeouts):g}"
        return self.template.format(timeout=timeout, **self.names).encode().split()

    def known(self, words: list[bytes], reply: Reply) -> None:
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

    def unknown(self, words: list[bytes]) -> None:
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
            cluster.network.quality.loss = 0.01
            cluster.network.quality.duplication = cluster.network.quality.reordering = 0.05
        ways: list[str | None] = [*gateways] or [None] * 2
        places = [(queue, way) for queue in queues for way in ways]
        self.producers: list[Worker] = [
            Producer(cluster, books, *place, PUSHING[kind]) for kind in pushing for place in places
        ]
        self.consumers: list[Worker] = [
            Consumer(cluster, books, *place, WAITING[kind]) for kind in waiting for place in places
        ]

    def run(self) -> Report:
        """Raises ``AssertionError`` for whatever must not be."""
        report = Report(self.seed)
        self._disturb(report)
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

    def _disturb(self, report: Report) -> None:
        """One fault after another, each of which ends."""
        cluster, choose = self.cluster, self.cluster.random
        others = [node for node in cluster.slaves if node not in self.gateways]
        for _ in range(8):
            cluster.run(choose.uniform(0.1, CALM_S_MAX))
            leader = cluster.leader(choose.choice(self.queues))
            if leader is None:
                continue
            fault = choose.choice(self.faults)
            if fault == "slow disk":
                cluster.slaves[leader].slow_sync_s = choose.choice([0.1, 0.5, 2.0])
            elif leader in self.gateways or fault == "break":  # its clients would be gone with it
                fault = "break"
                other = choose.choice([node for node in others if node != leader])
                cluster.network.break_link(leader, other)
            elif fault == "crash":
                cluster.crash(leader)
            elif fault == "wipe":
                cluster.wipe(leader)
            elif fault == "isolate":
                cluster.isolate(leader)
            else:
                cluster.pause(leader, choose.uniform(0.05, 3.0))
            report.faults[fault] = report.faults.get(fault, 0) + 1
            cluster.run(choose.uniform(0.1, CALM_S_MAX))
            cluster.heal()
            for node in cluster.slaves:
                cluster.slaves[node].slow_sync_s = 0.0
                if not cluster.is_up(node):
                    cluster.start(node)
            cluster.run_until(cluster.is_whole)

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
