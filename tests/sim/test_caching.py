"""Clients that keep what they have read (CLIENT TRACKING), while slaves lose and win the lead.

What is asked of every value that a client takes from its cache: nothing newer was acknowledged more
than ``STALE_S`` ago.  A leader that is cut off cannot know that another one takes writes; it gives
up an election timeout after it has heard a majority, and has its clients forget everything.
"""

from collections.abc import Callable, Sequence

import pytest

from distrodb.resp.reply import OK, Reply
from distrodb.ring.clustermap import member
from distrodb.ring.slots import slot_of
from distrodb.slave.gateway import Gateway
from distrodb.slave.service import Service
from tests.oracle.frames import Cut, Frame, pack, read_frame
from tests.sim.connection import Connection, _Process
from tests.sim.process import Slave
from tests.sim.simulation import Simulation
from tests.support.network import SILENT_AFTER_S

STALE_S = 1.1  # the election timeout, and turns of the loop
GATEWAY_STALE_S = STALE_S + SILENT_AFTER_S  # and until a link is broken off for its silence
KEYS = [b"cached%d" % number for number in range(6)]  # of both partitions
LOOK_S = 0.02  # between two uses of a cache
WRITE_S = 0.05  # between two writes of a key, at most
RARE_WRITE_S = 2.0  # so that none makes good what was not told of the one before
GONE_S = 2.0  # a write without an answer for so long is given up
VIRTUAL_S = 15.0


class Tracked:
    """One connection to one life of a slave, with what was read by it."""

    def __init__(self, slave: Slave, options: Sequence[bytes], is_to_gateway: bool):
        self.slave, self.life = slave, slave.life
        self.cached: dict[bytes, int] = {}
        self.was_told = 0  # to forget everything
        self._waiting: list[Callable[[Frame], None]] = []
        self._data = b""
        service = Service(slave.core, slave.config.limits, _Process(slave))
        behind = Gateway(service) if is_to_gateway else None
        self._session = service.open_session(self._woken, behind=behind)
        self._ask([b"HELLO", b"3"], lambda frame: None)
        self._ask([b"CLIENT", b"TRACKING", b"ON", *options], lambda frame: None)

    @property
    def is_alive(self) -> bool:
        return self.slave.core is not None and self.slave.life == self.life

    def _ask(self, words: list[bytes], done: Callable[[Frame], None]) -> None:
        self._waiting.append(done)
        self._session.receive(pack(words))
        self.slave.turn_soon()

    @property
    def is_waiting(self) -> bool:
        return bool(self._waiting)

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
    def __init__(
        self, cluster: Simulation, options: Sequence[bytes], is_through_gateways: bool = False
    ):
        self.cluster, self.options = cluster, options
        self.is_through_gateways = is_through_gateways
        self.stale_s_max = GATEWAY_STALE_S if is_through_gateways else STALE_S
        self.write_s = RARE_WRITE_S if is_through_gateways else WRITE_S
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
                pause_s = cluster.random.uniform(self.write_s / 2, self.write_s)
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
                self.connections[node] = Tracked(slave, self.options, self.is_through_gateways)
        key = cluster.random.choice(KEYS)
        for connection in self.connections.values():
            if key in connection.cached:
                self._judge(key, connection.cached[key])
            elif self.is_through_gateways and connection.is_waiting:
                pass  # what is answered behind that, and told behind it, would wait for it
            elif cluster.random.random() < 0.5:
                connection.get(key)
        cluster.at(LOOK_S, self._use)

    def _judge(self, key: bytes, value: int) -> None:
        """A value is taken from a cache now."""
        self.hits += 1
        newer = [at for at, number in self.acknowledged[key] if number > value]
        if newer:
            self.oldest_s = max(self.oldest_s, self.cluster.now - min(newer))
        assert self.oldest_s < self.stale_s_max, (
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


def _through_gateways(seed: int) -> Story:
    """Leaders that crash, hang and are cut off, links that break, and leads that move."""
    cluster = Simulation(seed)
    cluster.run_until(cluster.is_whole)
    story = Story(cluster, [b"BCAST"] if seed % 2 else [], is_through_gateways=True)
    choose, until = cluster.random, cluster.now + VIRTUAL_S
    while cluster.now < until:
        cluster.run(choose.uniform(0.5, 2.5))
        leader = cluster.leader("cached0")
        fault = choose.choice(["isolate", "crash", "pause", "one way", "break", "move", "heal"])
        for node in cluster.slaves:
            if not cluster.is_up(node):
                cluster.start(node)
        if fault == "heal" or leader is None:
            cluster.heal()
            continue
        other = choose.choice([node for node in cluster.slaves if node != leader])
        if fault == "isolate":
            cluster.isolate(leader)
        elif fault == "crash":
            cluster.crash(leader)
        elif fault == "pause":
            cluster.pause(leader, choose.uniform(0.5, 2.5))
        elif fault == "one way":
            cluster.network.cut_one_way(*choose.sample([leader, other], 2))
        elif fault == "break":
            cluster.network.break_link(leader, other)
        elif controller := cluster.controller():
            words = "MOVE", str(choose.randrange(2)), other
            controller.core.change_map(words, lambda reply: None)
            controller.turn_soon()
    assert story.hits > 100
    return story


# Broadcasts and reads that are remembered; which faults come, and where, differ.
@pytest.mark.parametrize("seed", range(4))
def test_no_client_of_a_gateway_keeps_a_stale_value_for_longer_than_a_link_may_be_silent(
    seed: int,
) -> None:
    _through_gateways(seed)


class Held:
    """A value in the cache of a gateway's client.  It is written once more, elsewhere, and then
    nobody touches it: no later change makes good what was not told."""

    KEY = KEYS[0]

    def __init__(self, seed: int):
        self.cluster = cluster = Simulation(seed)
        self.options = [b"BCAST"] if seed % 2 else []
        cluster.run_until(cluster.is_whole)
        self.leader = cluster.leader(self.KEY.decode())
        self.home, self.third = (node for node in cluster.slaves if node != self.leader)
        self._write(1)

    def _write(self, number: int) -> None:
        assert self.cluster.ask("SET", self.KEY.decode(), str(number)) == OK

    def track(self) -> None:
        self.client = Tracked(self.cluster.slaves[self.home], self.options, is_to_gateway=True)

    def read(self) -> bool:
        """True when it is in the cache."""
        self.client.get(self.KEY)
        self.cluster.run(0.5)
        return self.KEY in self.client.cached

    def is_led_by(self, *nodes: str) -> bool:
        return self.cluster.leader(self.KEY.decode()) in nodes

    def is_kept(self) -> bool:
        """Behind its last write, once the client must have been told."""
        self._write(2)
        self.cluster.run(GATEWAY_STALE_S)
        return self.KEY in self.client.cached


# Reads that are remembered, and broadcasts.
@pytest.mark.parametrize("seed", range(2))
def test_what_changes_while_its_leader_cannot_be_heard_is_forgotten(seed: int) -> None:
    held = Held(seed)
    held.track()
    held.cluster.run_until(held.read)
    held.cluster.cut(held.home, held.leader)
    assert not held.is_kept()


# Reads that are remembered, and broadcasts.
@pytest.mark.parametrize("seed", range(2))
def test_what_changes_at_a_next_leader_that_cannot_be_heard_is_forgotten(seed: int) -> None:
    """No link breaks: the leader before says that its lead is over."""
    held = Held(seed)
    cluster, owner = held.cluster, held.leader
    cluster.crash(owner)
    cluster.run_until(lambda: held.is_led_by(held.home, held.third))
    if held.is_led_by(held.home):
        held.home, held.third = held.third, held.home
    cluster.cut(held.home, owner)
    cluster.run(SILENT_AFTER_S)
    held.track()
    cluster.run_until(held.read)
    cluster.start(owner)
    cluster.run(SILENT_AFTER_S)
    slave, name = cluster.slaves[held.third], member(owner, cluster.incarnation_on(owner))
    group = slave.core.groups[slave.core.routing.partition_of_slot[slot_of(held.KEY)]]
    assert group.member.transfer_leadership(slave.now, [name])
    slave.turn_soon()
    cluster.run_until(lambda: held.is_led_by(owner))  # which gives its own partition to nobody
    assert not held.is_kept()


# Reads that are remembered, and broadcasts.
@pytest.mark.parametrize("seed", range(2))
def test_what_is_read_from_a_leader_that_was_not_asked_to_tell_is_not_kept(seed: int) -> None:
    """What TCP does not do: the frame that asks vanishes, and the link stands."""
    held = Held(seed)
    held.cluster.network.cut_one_way(held.home, held.leader)
    held.track()
    held.cluster.run(0.1)
    held.cluster.heal()
    held.read()
    assert not held.is_kept()
