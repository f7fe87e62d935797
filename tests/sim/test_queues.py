"""Queues: producers push numbers that are pushed once, consumers wait for them in BLPOP, while
leaders die, hang and are cut off.

Through gateways nothing is lost, nothing comes twice, and nobody sees an error.  Directly at the
leaders a command whose outcome is not known may have pushed, or taken, one number.
"""

import pytest

from distrodb.resp.reply import NULL_ARRAY, ErrorReply, Reply
from tests.sim.connection import Connection
from tests.sim.simulation import Simulation

QUEUES = [b"queue.0", b"queue.1", b"queue.2"]
# In every second one links lose, repeat and reorder; the gate has one of each.
SOME = [*range(2), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 12))]
PAUSE_S_MAX = 0.05  # between two pushes
CALM_S_MAX = 1.5  # between two faults
PATIENCE_S = 10.0  # a command of which nothing is heard for so long has an unknown outcome


class Books:
    """What was pushed and what was taken, of all queues together."""

    def __init__(self) -> None:
        self.next = 0
        self.pushed: set[bytes] = set()  # acknowledged
        self.maybe_pushed: set[bytes] = set()
        self.taken: list[bytes] = []
        self.maybe_taken = 0

    def number(self) -> bytes:
        self.next += 1
        return b"%d" % self.next

    def judge(self) -> None:
        assert len(set(self.taken)) == len(self.taken), "a number was handed out twice"
        assert set(self.taken) <= self.pushed | self.maybe_pushed
        lost = self.pushed - set(self.taken)
        assert len(lost) <= self.maybe_taken, f"{len(lost)} lost, of {self.maybe_taken} at most"


class Worker:
    """One connection that goes on with a step as soon as the last is answered."""

    def __init__(self, cluster: Simulation, books: Books, queue: bytes, node: str | None):
        """``node``: whose gateway it uses; None: it goes to who leads its queue."""
        self.cluster, self.books, self.queue, self.node = cluster, books, queue, node
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
        node = self.cluster.leader(self.queue.decode())
        if node is None or not self.cluster.is_up(node):
            return None
        return Connection(self.cluster.slaves[node], self.cluster.random_for_clients)

    def _answered(self, words: list[bytes], reply: Reply) -> None:
        if isinstance(reply, ErrorReply):
            assert self.node is None, reply
            if reply.code == "UNKNOWN":
                self.unknown(words)
        else:
            self.known(words, reply)
        self.cluster.at(self.cluster.random.uniform(0.0, PAUSE_S_MAX), self._step)

    def words(self) -> list[bytes]: ...

    def known(self, words: list[bytes], reply: Reply) -> None: ...

    def unknown(self, words: list[bytes]) -> None: ...


class Producer(Worker):
    def words(self) -> list[bytes]:
        count = self.cluster.random.choice([1, 1, 1, 2, 5])
        return [b"RPUSH", self.queue, *(self.books.number() for _ in range(count))]

    def known(self, words: list[bytes], reply: Reply) -> None:
        assert type(reply) is int
        self.books.pushed.update(words[2:])

    def unknown(self, words: list[bytes]) -> None:
        self.books.maybe_pushed.update(words[2:])


class Consumer(Worker):
    def words(self) -> list[bytes]:
        return [b"BLPOP", self.queue, b"%g" % self.cluster.random.choice([0, 0, 0.3, 2])]

    def known(self, words: list[bytes], reply: Reply) -> None:
        if reply is None or reply is NULL_ARRAY:
            return
        assert isinstance(reply, list) and reply[0] == self.queue
        assert isinstance(reply[1], bytes)
        self.books.taken.append(reply[1])

    def unknown(self, words: list[bytes]) -> None:
        self.books.maybe_taken += 1


def disturb(cluster: Simulation, spared: tuple[str, ...]) -> None:
    """One fault after another, each of which ends."""
    choose = cluster.random
    others = [node for node in cluster.slaves if node not in spared]
    for _ in range(8):
        cluster.run(choose.uniform(0.1, CALM_S_MAX))
        leader = cluster.leader(choose.choice(QUEUES).decode())
        if leader is None:
            continue
        fault = choose.choice(["crash", "isolate", "pause", "break"])
        if leader in spared or fault == "break":  # clients of a gateway would be gone with it
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


def drained(cluster: Simulation, producers: list[Worker], consumers: list[Worker]) -> None:
    """All that was pushed and not taken is taken now; also where all who wait do so for ever, and
    are told of nothing but what is pushed."""
    for worker in producers:
        worker.is_stopped = True
    cluster.run_until(lambda: not any(worker.is_waiting for worker in producers))
    cluster.run_until(
        lambda: all(cluster.ask("LLEN", queue.decode()) == 0 for queue in QUEUES), 60.0
    )
    cluster.run(15.0)  # a reply that a link has lost is asked for again after some seconds
    for worker in consumers:
        worker.is_stopped = True
        if worker.is_waiting and worker.node is None:  # its slave may be gone, with what it took
            worker.unknown([])


@pytest.mark.parametrize("seed", SOME)
def test_through_gateways_each_number_comes_once_and_nobody_sees_an_error(seed: int) -> None:
    cluster = Simulation(seed, nodes=5, partitions=4, snapshot_log_bytes=4096)
    cluster.run_until(cluster.is_whole)
    books, gateways = Books(), ("node1", "node2")
    if seed % 2:
        cluster.network.quality.loss = 0.01
        cluster.network.quality.duplication = cluster.network.quality.reordering = 0.05
    places = [(queue, node) for queue in QUEUES for node in gateways]
    producers: list[Worker] = [Producer(cluster, books, *place) for place in places]
    consumers: list[Worker] = [Consumer(cluster, books, *place) for place in places * 2]
    disturb(cluster, gateways)
    drained(cluster, producers, consumers)
    assert sorted(books.taken, key=int) == sorted(books.pushed, key=int)
    assert not books.maybe_pushed and not books.maybe_taken and len(books.taken) > 100
    cluster.checks.all_digests()


@pytest.mark.parametrize("seed", SOME)
def test_at_the_leaders_nothing_comes_twice_and_no_more_is_lost_than_nobody_knows(
    seed: int,
) -> None:
    cluster = Simulation(seed, nodes=5, partitions=4, snapshot_log_bytes=4096)
    cluster.run_until(cluster.is_whole)
    books = Books()
    producers: list[Worker] = [Producer(cluster, books, queue, None) for queue in QUEUES * 2]
    consumers: list[Worker] = [Consumer(cluster, books, queue, None) for queue in QUEUES * 4]
    disturb(cluster, ())
    drained(cluster, producers, consumers)
    books.judge()
    assert len(books.taken) > 100
    cluster.checks.all_digests()
