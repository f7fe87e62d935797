"""Clients that keep what they have read (CLIENT TRACKING), while slaves lose and win the lead.

What is asked of every value that a client takes from its cache: nothing newer was acknowledged more
than ``STALE_S`` ago.  A leader that is cut off cannot know that another one takes writes; it gives
up an election timeout after it has heard a majority, and has its clients forget everything.
"""

from collections.abc import Callable, Sequence

import pytest

from distrodb.resp.reply import OK, Reply
from distrodb.slave.service import Service
from tests.oracle.frames import Cut, Frame, pack, read_frame
from tests.sim.connection import Connection, _Process
from tests.sim.process import Slave
from tests.sim.simulation import Simulation

STALE_S = 1.1  # the election timeout, and turns of the loop
KEYS = [b"cached%d" % number for number in range(6)]  # of both partitions
LOOK_S = 0.02  # between two uses of a cache
WRITE_S = 0.05
GONE_S = 2.0  # a write without an answer for so long is given up
VIRTUAL_S = 15.0


class Tracked:
    """One connection to one life of a slave, with what was read by it."""

    def __init__(self, slave: Slave, options: Sequence[bytes]):
        self.slave, self.life = slave, slave.life
        self.cached: dict[bytes, int] = {}
        self.was_told = 0  # to forget everything
        self._waiting: list[Callable[[Frame], None]] = []
        self._data = b""
        service = Service(slave.core, slave.config.limits, _Process(slave))
        self._session = service.open_session(self._woken)
        self._ask([b"HELLO", b"3"], lambda frame: None)
        self._ask([b"CLIENT", b"TRACKING", b"ON", *options], lambda frame: None)

    @property
    def is_alive(self) -> bool:
        return self.slave.core is not None and self.slave.life == self.life

    def _ask(self, words: list[bytes], done: Callable[[Frame], None]) -> None:
        self._waiting.append(done)
        self._session.receive(pack(words))
        self.slave.turn_soon()

    def get(self, key: bytes) -> None:
        def done(frame: Frame) -> None:
            kind, text = frame
            if kind != b"-":
                self.cached[key] = int(text or b"0")

        self._ask([b"GET", key], done)

    def _woken(self) -> None:
        while pieces := self._session.take(1 << 16):
            self._data += b"".join(pieces)
        while self._data:
            try:
                frame, end = read_frame(self._data, 0)
            except Cut:
                return
            self._data = self._data[end:]
            if frame[0] == b">":
                self._told(frame[1][1])
            else:
                self._waiting.pop(0)(frame)

    def _told(self, frame: Frame) -> None:
        kind, keys = frame
        if kind == b"_":
            self.was_told += 1
            self.cached.clear()
        else:
            for _, key in keys:
                self.cached.pop(key, None)


class Story:
    def __init__(self, cluster: Simulation, options: Sequence[bytes]):
        self.cluster, self.options = cluster, options
        self.acknowledged: dict[bytes, list[tuple[float, int]]] = {key: [] for key in KEYS}
        self.connections: dict[str, Tracked] = {}
        self.hits = self.flushes = 0
        self.oldest_s = 0.0  # the longest that a value was stale and in use
        self._use()
        for key in KEYS:
            self._write(key, 1)

    def _write(self, key: bytes, number: int) -> None:
        cluster = self.cluster
        node, is_over = cluster.leader(key.decode()), []

        def done(reply: Reply) -> None:
            if reply == OK:
                self.acknowledged[key].append((cluster.now, number))
            go_on()

        def go_on() -> None:
            if not is_over:
                is_over.append(True)
                pause_s = cluster.random.uniform(WRITE_S / 2, WRITE_S)
                cluster.at(pause_s, lambda: self._write(key, number + 1))

        cluster.at(GONE_S, go_on)
        if node is not None:
            connection = Connection(cluster.slaves[node], cluster.random_for_clients)
            connection.ask([b"SET", key, b"%d" % number], done)

    def _use(self) -> None:
        cluster = self.cluster
        for node, slave in cluster.slaves.items():
            known = self.connections.get(node)
            if known is not None and not known.is_alive:  # a connection that broke
                del self.connections[node]
            elif known is None and slave.core is not None:
                self.connections[node] = Tracked(slave, self.options)
        key = cluster.random.choice(KEYS)
        for connection in self.connections.values():
            if key in connection.cached:
                self._judge(key, connection.cached[key])
            elif cluster.random.random() < 0.5:
                connection.get(key)
        cluster.at(LOOK_S, self._use)

    def _judge(self, key: bytes, value: int) -> None:
        """A value is taken from a cache now."""
        self.hits += 1
        newer = [at for at, number in self.acknowledged[key] if number > value]
        if newer:
            self.oldest_s = max(self.oldest_s, self.cluster.now - min(newer))
        assert self.oldest_s < STALE_S, (
            f"seed {self.cluster.seed}: {key!r} is {self.oldest_s} s old"
        )


# Broadcasts and reads that are remembered; who leads, and what is under way, differ.
@pytest.mark.parametrize("seed", range(2))
def test_no_client_keeps_a_stale_value_for_longer_than_a_leader_that_is_cut_off_leads(seed) -> None:
    cluster = Simulation(seed)
    cluster.run_until(cluster.is_whole)
    story = Story(cluster, [b"BCAST"] if seed % 2 else [])
    until, flushed = cluster.now + VIRTUAL_S, 0
    while cluster.now < until:
        cluster.run(cluster.random.uniform(0.5, 2.5))
        leader = cluster.leader("cached0")
        fault = cluster.random.choice(["isolate", "isolate", "crash", "heal", "heal"])
        for node in cluster.slaves:
            if not cluster.is_up(node):
                cluster.start(node)
        if fault == "heal" or leader is None:
            cluster.heal()
        elif fault == "isolate":
            cluster.isolate(leader)
        else:
            cluster.crash(leader)
        flushed = max([flushed, *(known.was_told for known in story.connections.values())])
    assert story.hits > 100 and flushed
