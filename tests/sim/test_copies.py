"""WAITAOF, of clients at the leader and at gateways, while copies hang, are cut off or die: what it
answers is true at least, and once all is well every copy has everything."""

import pytest

from distrodb.resp.reply import ErrorReply, Reply
from distrodb.ring.slots import slot_of
from tests.sim.connection import Connection
from tests.sim.simulation import Simulation

KEY = b"k"
SOME = [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 12))]
PATIENCE_S = 5.0


class Writer:
    """Writes and waits, by turns; the only one, so what has been applied is what it wrote."""

    def __init__(self, cluster: Simulation, node: str | None):
        """``node``: whose gateway it uses; None: it goes to the leader."""
        self.cluster, self.node, self.index = cluster, node, 0
        self.answers: list[tuple[int, int]] = []  # of WAITAOF
        self._is_stopped, self._steps = False, 0
        self.partition = cluster.slaves["node1"].core.routing.partition_of_slot[slot_of(KEY)]
        self._connection: Connection | None = None
        self._step()

    def stop(self) -> None:
        self._is_stopped = True

    def _step(self) -> None:
        node = self.node or self.cluster.leader(KEY.decode())
        self._steps += 1
        if self._is_stopped:
            return
        if node is None or not self.cluster.is_up(node):
            self.cluster.at(0.1, self._step)
            return
        connection = Connection(
            self.cluster.slaves[node], self.cluster.random_for_clients, self.node is not None
        )
        wait = [b"WAITAOF", b"1", b"2", b"%d" % self.cluster.random.choice([1, 30, 300])]
        number = self._steps

        def written(reply: Reply) -> None:
            self.index = 0 if isinstance(reply, ErrorReply) else max(self._applied())

        def waited(reply: Reply) -> None:
            if number == self._steps:
                self._judge(reply)
                self.cluster.at(0.02, self._step)

        def give_up() -> None:
            if number == self._steps:
                connection.close()
                self._step()

        connection.ask([b"SET", KEY, b"%d" % self._steps], written)
        connection.ask(wait, waited)
        self.cluster.at(PATIENCE_S, give_up)

    def _applied(self) -> list[int]:
        return [group.member.applied_index for group in self._groups()]

    def _groups(self):  # type: ignore[no-untyped-def]
        slaves = self.cluster.slaves.values()
        cores = [slave.core for slave in slaves if self.cluster.is_up(slave.id)]
        return [core.groups[self.partition] for core in cores if self.partition in core.groups]

    def _judge(self, reply: Reply) -> None:
        assert isinstance(reply, list), reply
        is_here, copies = reply
        assert type(is_here) is int and type(copies) is int and copies <= 2
        self.answers.append((is_here, copies))
        if self.index:
            on_disk = sum(group.log.durable_index >= self.index for group in self._groups())
            down = sum(not self.cluster.is_up(node) for node in self.cluster.slaves)
            assert on_disk + down >= is_here + copies, (reply, self.index)


@pytest.mark.parametrize("seed", SOME)
@pytest.mark.parametrize("at_gateway", [False, True])
def test_what_wait_answers_is_true(seed: int, at_gateway: bool) -> None:
    cluster = Simulation(seed, nodes=3, partitions=3, snapshot_log_bytes=4096)
    cluster.run_until(cluster.is_whole)
    writer, choose = Writer(cluster, "node1" if at_gateway else None), cluster.random
    for _ in range(5):
        other = choose.choice(["node2", "node3"])
        fault = choose.choice(["crash", "isolate", "pause"])
        if fault == "crash":
            cluster.crash(other)
        elif fault == "isolate":
            cluster.isolate(other)
        else:
            cluster.pause(other, choose.uniform(0.1, 1.0))
        cluster.run(choose.uniform(0.2, 1.5))
        cluster.heal()
        if not cluster.is_up(other):
            cluster.start(other)
        cluster.run_until(cluster.is_whole)
        cluster.run(0.5)
    writer.stop()
    assert {copies for _, copies in writer.answers} >= {1, 2}
    cluster.run(1.0)
    waited: list[Reply] = []
    connection = Connection(cluster.slaves["node1"], cluster.random_for_clients, True)
    connection.ask([b"SET", KEY, b"last"], waited.append)
    connection.ask([b"WAIT", b"2", b"0"], waited.append)
    cluster.run_until(lambda: len(waited) == 2)
    assert waited[1] == 2
