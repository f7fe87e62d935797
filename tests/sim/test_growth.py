"""Nothing is left behind by what was asked: the same again and again keeps as many objects alive.

The product's own ``Core`` and sessions, on the simulator, so without clocks and sockets; what they
refer to is counted (tests/support/reachable.py).  The real processes for half an hour:
tests/benchmarks/growth.py.
"""

import gc
from collections import Counter
from unittest import mock

import pytest

from distrodb.keyspace.store import Commands, Store
from distrodb.resp.reply import Reply
from distrodb.slave.service import Service
from distrodb.slave.subscriptions import Subscriptions
from tests.sim.connection import TAKEN_BYTES, Connection
from tests.sim.process import Slave
from tests.sim.simulation import Simulation
from tests.support.reachable import reachable

Command = list[bytes]
TAGS = (b"{a}", b"{b}", b"{c}")  # slots; each that was ever used keeps its empty dictionary
WARM_UP, ROUNDS = 3, 5
CLIENTS = 8  # of each slave in a round, half of them at its gateway
LEFT_MAX = 0.1  # objects a command, in all three slaves; a third of the commands are writes
QUIET_S = 3.0  # until what expires has, and what is due at times was


def conversation(number: int) -> list[Command]:
    """What one connection asks.  Nothing but names with its number is new, and those go."""
    tag, new = TAGS[number % len(TAGS)], b"%d" % number
    return [
        *([b"SET", tag + b"k%d" % n, b"x" * 64] for n in range(20)),
        *([b"GET", tag + b"k%d" % n] for n in range(20)),
        *([b"SET", tag + new + b":%d" % n, b"x", b"PX", b"300"] for n in range(10)),
        *([b"HSET", tag + b"h", b"f%d" % n, new] for n in range(5)),
        [b"SET", tag + b"gone" + new, b"x"],
        [b"DEL", tag + b"gone" + new],
        [b"CLIENT", b"SETNAME", b"name-" + new],
        [b"WATCH", tag + b"watched"],  # a leader remembers 65,536 of them until they are touched
        [b"MULTI"],
        [b"INCR", tag + b"count"],
        [b"EXEC"],
        [b"MULTI"],
        [b"INCR", tag + b"count"],
        [b"DISCARD"],
        [b"NO SUCH COMMAND " + new],
        [b"PUBLISH", b"channel" + new, b"x"],
        [b"WATCH", tag + b"watched again"],
        [b"HELLO", b"3"],
        [b"CLIENT", b"TRACKING", b"ON"],
        *([b"GET", tag + b"k%d" % n] for n in range(5)),
        [b"SUBSCRIBE", b"channel" + new],
        [b"PSUBSCRIBE", b"channel" + new + b"*"],
    ]


class Client(Connection):
    """Asks all at once, whatever the protocol becomes meanwhile, until its last word comes back."""

    def __init__(self, cluster: Simulation, slave: Slave, is_to_gateway: bool, number: int):
        super().__init__(slave, cluster.random_for_clients, is_to_gateway)
        commands = conversation(number)
        self.asked, self._last = len(commands), b"the last of %d" % number
        self.ask_all([*commands, [b"ECHO", self._last]], lambda _, reply: None)

    def is_answered(self) -> bool:
        return self._last in self._received

    def refused(self) -> Counter[str]:
        """By the codes of the errors."""
        lines = self._received.split(b"\r\n")
        return Counter(line[1:].split()[0].decode() for line in lines if line.startswith(b"-"))

    def _woken(self) -> None:
        while pieces := self._session.take(TAKEN_BYTES):
            self._received += b"".join(pieces)
        if not self._session.wants_input and not self._goes_on:
            self._goes_on = True
            self._slave.later(0.0, self._go_on)


class Story:
    def __init__(self) -> None:
        self.cluster = Simulation(1, snapshot_log_bytes=65536)
        self.cluster.run_until(self.cluster.is_whole)
        self.asked = 0
        self._clients = 0
        self._refused: Counter[str] = Counter()

    def round(self) -> None:
        for slave in self.cluster.slaves.values():
            for number in range(CLIENTS):
                self._clients += 1
                client = Client(self.cluster, slave, number % 2 == 0, self._clients)
                self.cluster.run_until(client.is_answered)
                client.close()
                self._refused += client.refused()
                self.asked += client.asked
        self.cluster.run(QUIET_S)

    def kept(self) -> "Counter[str]":
        gc.collect()
        slaves = self.cluster.slaves.values()
        return reachable(root for slave in slaves for root in (slave.core, slave.served))

    def growth(self) -> tuple[float, str]:
        """Objects for each command, of all slaves together, and of which types they are."""
        for _ in range(WARM_UP):
            self.round()
        before, asked = self.kept(), self.asked
        for _ in range(ROUNDS):
            self.round()
        after = self.kept()
        assert self._refused.keys() == {"ERR", "MOVED", "EXECABORT"}, self._refused
        assert after["Store"] == 6, "that is not what is meant to be counted"
        types = (after - before).most_common(5)
        return (after.total() - before.total()) / (self.asked - asked), str(types)


def test_what_was_asked_leaves_nothing_behind() -> None:
    """What is left is that logs have another length at each moment."""
    each, types = Story().growth()
    assert each < LEFT_MAX, types


def _kept_by_store(self: Store, commands: Commands, now_ms: int) -> list[Reply]:
    replies = _execute_all(self, commands, now_ms)
    self.__dict__.setdefault("kept", []).extend(object() for _ in commands)
    return replies


_execute_all = Store.execute_all
LEAKS = {
    "an object for each write": mock.patch.object(Store, "execute_all", _kept_by_store),
    "subscriptions of who is gone": mock.patch.object(Subscriptions, "leave", lambda *_: None),
    "who cached and is gone": mock.patch.object(Service, "track_nothing", lambda *_: None),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_one_leak_is_noticed(leak: str) -> None:
    with LEAKS[leak]:
        each, types = Story().growth()
    assert each > LEFT_MAX, types
