"""Queues made of streams: producers add numbers that are added once, the consumers of a group read,
acknowledge, forget and claim them, while leaders die, hang and are cut off.

A group keeps what it has given to whom, so **nothing is lost, whoever's outcome is not known**: it
is still pending, and claimed in the end.  No number is new to a group twice, and none changes hands
but by a claim.  Through gateways nobody sees an error, either, and each number is acknowledged by
just one command.

``Story``s are run by test_stream_claims.py.
"""

from collections.abc import Sequence
from typing import Any

from distrodb.resp.reply import NULL_ARRAY, ErrorReply, Reply
from tests.sim.connection import Connection
from tests.sim.simulation import Simulation

QUEUES = ["queue.0", "queue.1", "queue.2"]
GATEWAYS = ("node1", "node2")
CONSUMERS = 2  # of each queue and gateway
PAUSE_S_MAX = 0.05  # between two commands
FAULTS = 8
CALM_S_MAX = 1.5  # between two faults
PATIENCE_S = 10.0  # a command of which nothing is heard for so long has an unknown outcome
FORGOTTEN = 0.2  # of what is read: its consumer does not acknowledge it
IDLE_MS = 400  # that is claimed


class Books:
    """What was added, given and acknowledged, of all queues together."""

    def __init__(self) -> None:
        self.next = 0
        self.added: dict[bytes, bytes] = {}  # number: its id, where that was told
        self.maybe_added: set[bytes] = set()
        self.holders: dict[bytes, set[bytes]] = {}  # number: all that have had it
        self.new: set[bytes] = set()  # given as new
        self.acknowledged: dict[bytes, float] = {}  # id and queue: since when
        self.ack_count = 0
        self.claims = self.unknown = 0
        self.maybe_claimed: set[bytes] = set()  # by consumers whose claim's outcome is not known

    def number(self) -> bytes:
        self.next += 1
        return b"%d" % self.next

    def given_as_new(self, number: bytes, consumer: bytes) -> None:
        assert number not in self.new, f"{number!r} was new to the group twice"
        self.new.add(number)
        self.holders.setdefault(number, set()).add(consumer)

    def given_again(self, number: bytes, consumer: bytes) -> None:
        """It must have got it before; also by a command of which it has heard nothing."""
        holders = self.holders.setdefault(number, set())
        is_unheard = number not in self.new or consumer in self.maybe_claimed
        assert consumer in holders or is_unheard, f"{consumer!r} has {number!r} of {holders}"
        self.new.add(number)
        holders.add(consumer)

    def claimed(self, queue: str, id_: bytes, number: bytes, consumer: bytes, asked: float) -> None:
        since = self.acknowledged.get(queue.encode() + id_)
        assert since is None or since > asked, f"{number!r} was claimed when it was acknowledged"
        self.holders.setdefault(number, set()).add(consumer)
        self.claims += 1


class Worker:
    """One connection that goes on with a step as soon as the last is answered."""

    def __init__(self, cluster: Simulation, books: Books, queue: str, node: str | None):
        """``node``: whose gateway it uses; None: it goes to who leads its queue."""
        self.cluster, self.books, self.queue, self.node = cluster, books, queue, node
        self._gateway: Connection | None = None  # one for good, since its slave stays
        if node is not None:
            self._gateway = Connection(cluster.slaves[node], cluster.random_for_clients, True)
        self._steps = 0
        self.asked_at = 0.0
        self.is_stopped = self.is_waiting = False
        cluster.at(0.0, self._step)

    def _step(self) -> None:
        if self.is_stopped:
            return
        connection = self._connect()
        if connection is None:
            self.cluster.at(0.1, self._step)
            return
        self.is_waiting, self._steps, self.asked_at = True, self._steps + 1, self.cluster.now
        step, words = self._steps, self.words()

        def answered(reply: Reply) -> None:
            if step == self._steps and self.is_waiting:
                self.is_waiting = False
                self._answered(words, reply)

        def give_up() -> None:
            if step == self._steps and self.is_waiting:
                connection.close()
                answered(ErrorReply(b"UNKNOWN nothing was heard"))

        connection.ask(
            [each.encode() if isinstance(each, str) else each for each in words], answered
        )
        if self.node is None:
            self.cluster.at(PATIENCE_S, give_up)

    def _connect(self) -> Connection | None:
        if self._gateway is not None:
            return self._gateway
        node = self.cluster.leader(self.queue)
        if node is None or not self.cluster.is_up(node):
            return None
        return Connection(self.cluster.slaves[node], self.cluster.random_for_clients)

    def _answered(self, words: list[Any], reply: Reply) -> None:
        if not isinstance(reply, ErrorReply):
            self.known(words, reply)
        else:
            assert self.node is None, reply
            if reply.code == "UNKNOWN":
                self.books.unknown += 1
                self.unknown(words)
        self.cluster.at(self.cluster.random.uniform(0.0, PAUSE_S_MAX), self._step)

    def words(self) -> list[Any]: ...

    def known(self, words: list[Any], reply: Any) -> None: ...

    def unknown(self, words: list[Any]) -> None: ...


class Producer(Worker):
    def words(self) -> list[Any]:
        return ["XADD", self.queue, "*", "n", self.books.number()]

    def known(self, words: list[Any], reply: Any) -> None:
        assert isinstance(reply, bytes)
        self.books.added[words[-1]] = reply

    def unknown(self, words: list[Any]) -> None:
        self.books.maybe_added.add(words[-1])


class Consumer(Worker):
    def __init__(self, cluster: Simulation, books: Books, queue: str, node: str | None, name: str):
        self.name = name.encode()
        self._held: list[bytes] = []  # ids that it will acknowledge now
        self._is_unsure = False  # it may have got something that it has not heard of
        super().__init__(cluster, books, queue, node)

    def words(self) -> list[Any]:
        choose = self.cluster.random
        if self._held:
            held, self._held = self._held, []
            return ["XACK", self.queue, "workers", *held]
        if self._is_unsure:  # what it has got is its own, still
            self._is_unsure = False
            return self._reading("STREAMS", self.queue, "0")
        if choose.random() < 0.15:
            return ["XAUTOCLAIM", self.queue, "workers", self.name, str(IDLE_MS), "0"]
        # In the first queue all wait for ever: they are told, or they do nothing more.
        wait_ms = 0 if self.queue == QUEUES[0] else choose.choice([0, 300, 2000])
        options = ["COUNT", str(choose.choice([1, 1, 3])), "BLOCK", str(wait_ms)]
        return self._reading(*options, "STREAMS", self.queue, ">")

    def _reading(self, *words: str) -> list[Any]:
        return ["XREADGROUP", "GROUP", "workers", self.name, *words]

    def known(self, words: list[Any], reply: Any) -> None:
        books = self.books
        if words[0] == "XACK":
            books.ack_count += reply
            for id_ in words[3:]:
                books.acknowledged.setdefault(self.queue.encode() + id_, self.cluster.now)
            return
        if words[0] == "XAUTOCLAIM":
            entries = reply[1]
            assert reply[2] == [], "what is pending was deleted"
        elif reply is None or reply is NULL_ARRAY:
            return
        else:
            ((queue, entries),) = reply
            assert queue == self.queue.encode()
        for id_, (_, number) in entries:
            if words[0] == "XAUTOCLAIM":
                books.claimed(self.queue, id_, number, self.name, self.asked_at)
            elif words[-1] == ">":
                books.given_as_new(number, self.name)
            else:
                books.given_again(number, self.name)
            if self.cluster.random.random() >= FORGOTTEN:
                self._held.append(id_)

    def unknown(self, words: list[Any]) -> None:
        self._is_unsure = words[0] != "XACK"
        if words[0] == "XAUTOCLAIM":
            self.books.maybe_claimed.add(self.name)


class Story:
    def __init__(self, seed: int, gateways: Sequence[str] = (), faults: int = FAULTS):
        """``gateways``: the slaves whose gateways the workers use, which stay; none: the workers go
        to the leaders."""
        self.gateways, self.books, self._faults = gateways, Books(), faults
        self.cluster = cluster = Simulation(seed, nodes=5, partitions=4, snapshot_log_bytes=4096)
        cluster.run_until(cluster.is_whole)
        for queue in QUEUES:
            cluster.ask("XGROUP", "CREATE", queue, "workers", "0", "MKSTREAM", key=queue)
        if seed % 2 and gateways:
            cluster.network.quality.loss = 0.01
            cluster.network.quality.duplication = cluster.network.quality.reordering = 0.05
        ways: list[str | None] = [*gateways] or [None] * 2
        places = [(queue, way) for queue in QUEUES for way in ways]
        self.producers = [Producer(cluster, self.books, *place) for place in places]
        self.consumers = [
            Consumer(cluster, self.books, *place, f"consumer{number}")
            for number, place in enumerate(places * CONSUMERS)
        ]

    def run(self) -> None:
        """Raises ``AssertionError`` for whatever must not be."""
        self._disturb()
        self._drain()
        books = self.books
        stored: dict[bytes, bytes] = {}
        for queue in QUEUES:
            self._finish(queue)
            stored |= self._stored(queue)
        assert {**stored, **books.added} == stored, "an entry is gone, or has another number"
        assert stored.keys() <= books.added.keys() | books.maybe_added, "nobody added this"
        assert books.holders.keys() == stored.keys(), "an entry was given to nobody"
        if self.gateways:
            assert not books.unknown and not books.maybe_added
            assert books.new == stored.keys() and books.ack_count == len(stored)
        else:
            assert books.ack_count <= len(stored)
        assert len(stored) > 100 and books.claims > 0
        self.cluster.checks.all_digests()

    def _disturb(self) -> None:
        """One fault after another, each of which ends."""
        cluster, choose = self.cluster, self.cluster.random
        others = [node for node in cluster.slaves if node not in self.gateways]
        for _ in range(self._faults):
            cluster.run(choose.uniform(0.1, CALM_S_MAX))
            leader = cluster.leader(choose.choice(QUEUES))
            if leader is None:
                continue
            fault = choose.choice(["crash", "isolate", "pause", "break"])
            if leader in self.gateways or fault == "break":  # its clients would be gone with it
                other = choose.choice([node for node in others if node != leader])
                cluster.network.break_link(leader, other)
            elif fault == "crash":
                cluster.crash(leader)
            elif fault == "isolate":
                cluster.isolate(leader)
            else:
                cluster.pause(leader, choose.uniform(0.05, 3.0))
            cluster.run(choose.uniform(0.1, CALM_S_MAX))
            cluster.heal()
            for node in others:
                if not cluster.is_up(node):
                    cluster.start(node)
            cluster.run_until(cluster.is_whole)

    def _drain(self) -> None:
        """Consumers that wait get all that was added, though nothing more is."""
        cluster = self.cluster
        for producer in self.producers:
            producer.is_stopped = True
        cluster.run_until(lambda: not any(each.is_waiting for each in self.producers))
        cluster.run_until(lambda: all(self._lag(queue) == 0 for queue in QUEUES), 60.0)
        cluster.run(15.0)  # a reply that a link has lost is asked for again after some seconds
        for consumer in self.consumers:
            consumer.is_stopped = True
        cluster.run(1.0)  # one that waits no more may have begun its last command

    def _lag(self, queue: str) -> Any:
        reply: Any = self.cluster.ask("XINFO", "GROUPS", queue, key=queue)
        (told,) = reply
        row = dict(zip(told[::2], told[1::2], strict=True))
        return row[b"lag"]

    def _finish(self, queue: str) -> None:
        """Claim, and acknowledge, what is pending still."""
        at = b"0-0"
        while True:
            words = ["XAUTOCLAIM", queue, "workers", "last", "0", at.decode()]
            asked = self.cluster.now
            reply: Any = self.cluster.ask(*words)
            at, entries, gone = reply
            assert gone == []
            for id_, (_, number) in entries:
                self.books.claimed(queue, id_, number, b"last", asked)
                assert self.cluster.ask("XACK", queue, "workers", id_.decode()) == 1
                self.books.ack_count += 1
            if at == b"0-0":
                break
        pending: Any = self.cluster.ask("XPENDING", queue, "workers")
        assert pending[0] == 0

    def _stored(self, queue: str) -> dict[bytes, bytes]:
        entries: Any = self.cluster.ask("XRANGE", queue, "-", "+")
        found = {number: id_ for id_, (_, number) in entries}
        assert len(found) == len(entries), "an entry was added twice"
        return found
