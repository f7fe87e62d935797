"""Backups while slaves die, links break and clocks leap: a picture of a partition holds whatever
was acknowledged before it was asked for, whoever gives it.
"""

import random
from collections.abc import Callable

import pytest

from distrodb.keyspace.context import StoreLimits
from distrodb.resp.reply import OK, ErrorReply, Reply
from distrodb.ring.slots import slot_of
from distrodb.slave.machine_factory import restore_store
from distrodb.slave.pictures import TOO_MANY, Pictures
from tests.sim.connection import Connection
from tests.sim.simulation import Simulation

KEYS = 4
PATIENCE_S = 1.0  # until a slave that does not answer is given up
FAULTS_COUNT = 10
CALM_S_MAX = 2.0  # between two faults


class Writers:
    """Each writes growing numbers to a key of its own, to whoever leads it."""

    def __init__(self, cluster: Simulation):
        self.cluster = cluster
        self.sent = dict.fromkeys((f"counter{number}" for number in range(KEYS)), 0)
        self.acknowledged = dict.fromkeys(self.sent, 0)
        for key in self.sent:
            self._write(key)

    def _write(self, key: str) -> None:
        cluster, leader = self.cluster, self.cluster.leader(key)
        if leader is not None:
            number = self.sent[key] = self.sent[key] + 1

            def done(reply: Reply) -> None:
                if reply == OK:
                    self.acknowledged[key] = max(self.acknowledged[key], number)

            cluster.submit(leader, "SET", key, str(number), done=done)
        cluster.at(cluster.random.uniform(0.02, 0.2), lambda: self._write(key))


class Photographer:
    """Asks slaves for pictures, one after another, as a backup does, and looks at each."""

    def __init__(self, cluster: Simulation, writers: Writers, partitions: int):
        self.cluster, self.writers, self.partitions = cluster, writers, partitions
        self.pictures = 0  # that were looked at
        self._turn = 0
        self._begin()

    def _begin(self) -> None:
        """One that asked for a picture before and was not answered is forgotten."""
        self._turn += 1
        cluster, choose, turn = self.cluster, self.cluster.random, self._turn
        cluster.at(PATIENCE_S, lambda: self._begin() if self._turn == turn else None)
        node, partition = choose.choice(sorted(cluster.slaves)), choose.randrange(self.partitions)
        if cluster.is_up(node) and not cluster.slaves[node].is_paused:
            _Picture(self, node, partition, lambda: self._turn == turn)

    def again(self) -> None:
        """This one is done with, or there is none."""
        self._turn += 1
        self.cluster.at(self.cluster.random.uniform(0.0, 0.05), self._begin)


class _Picture:
    def __init__(self, of: Photographer, node: str, partition: int, is_awaited: Callable[[], bool]):
        self._of, self._is_awaited = of, is_awaited
        self._acknowledged = dict(of.writers.acknowledged)
        self._pieces: list[bytes] = []
        cluster = of.cluster
        self._slave = cluster.slaves[node]
        self._connection = Connection(self._slave, cluster.random_for_clients)
        self._ask(self._begun, 0.0, "BEGIN", str(partition))

    def _ask(self, done: Callable[[Reply], None], wait_s: float, *words: str) -> None:
        """So much later, if the slave lives so long."""

        def awaited(reply: Reply) -> None:
            if self._is_awaited():
                done(reply)

        line = [word.encode() for word in ("DISTRODB", "BACKUP", *words)]
        self._slave.later(wait_s, lambda: self._connection.ask(line, awaited))

    def _begun(self, reply: Reply) -> None:
        if isinstance(reply, ErrorReply):
            assert reply == TOO_MANY or reply.code in ("MOVED", "CLUSTERDOWN", "TRYAGAIN")
            self._of.again()
            return
        assert isinstance(reply, list) and isinstance(reply[0], bytes)
        self._token = reply[0].decode()
        self._next()

    def _next(self) -> None:
        """Meanwhile writes go on, and its slave may lose the lead."""
        wait_s = self._of.cluster.random.uniform(0.0, 0.15)
        self._ask(self._read, wait_s, "READ", self._token, str(len(self._pieces)))

    def _read(self, piece: Reply) -> None:
        if piece is None:
            self._judge()
            self._ask(lambda _: self._of.again(), 0.0, "END", self._token)
            return
        assert isinstance(piece, bytes), piece
        self._pieces.append(piece)
        self._next()

    def _judge(self) -> None:
        store = restore_store(StoreLimits(), self._pieces)
        for key, number in self._acknowledged.items():
            slot = slot_of(key.encode())
            if store.first_slot <= slot <= store.last_slot:
                found = store.execute(slot, [b"GET", key.encode()], 0)
                assert number <= int(found or 0) <= self._of.writers.sent[key], (
                    f"{key} was {number} before it was asked for, and is {found} in the picture"
                )
        self._of.pictures += 1


def play(seed: int) -> int:
    """How many pictures were looked at."""
    cluster = Simulation(seed, nodes=3, partitions=2, snapshot_log_bytes=4096)
    cluster.run_until(cluster.is_whole)
    writers = Writers(cluster)
    photographers = [Photographer(cluster, writers, 2) for _ in range(2)]
    choose: random.Random = cluster.random
    for _ in range(FAULTS_COUNT):
        cluster.run(choose.uniform(0.1, CALM_S_MAX))
        down = [node for node in sorted(cluster.slaves) if not cluster.is_up(node)]
        leader = cluster.leader(f"counter{choose.randrange(KEYS)}")
        fault = choose.choice(["crash", "isolate", "pause", "pause", "heal"])
        if fault == "heal" or leader is None or down:
            cluster.heal()
            for node in down:
                cluster.start(node)
        elif fault == "crash":
            cluster.crash(leader)
        elif fault == "isolate":
            cluster.isolate(leader)
        else:
            cluster.pause(leader, choose.uniform(0.5, 3.0))
    return sum(each.pictures for each in photographers)


# Each with other leaders that die, hang or are cut off at other moments.
@pytest.mark.parametrize("seed", range(6))
def test_a_picture_holds_all_that_was_acknowledged_before_it_was_asked_for(seed: int) -> None:
    assert play(seed) > 10


def test_one_that_is_taken_without_asking_a_majority_is_noticed(monkeypatch) -> None:
    def begin(self: Pictures, partition: int, resolve: Callable[[Reply], None]) -> None:
        is_led = self._core.routing.leads(partition)  # as far as this slave knows
        resolve(self._take(partition) if is_led else self._core.routing.redirect(partition, -1))

    monkeypatch.setattr(Pictures, "begin", begin)
    with pytest.raises(AssertionError, match="before it was asked for, and is"):
        for seed in range(20):
            play(seed)
