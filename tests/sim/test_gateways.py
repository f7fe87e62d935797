"""Clients of gateways: their commands follow the leaders without an error, run once, and in the
order of their connection, whatever becomes of leaders, links and messages.

The random runs (chaos.py) have such clients too, and judge what they saw with all the others.
"""

import pytest

from distrodb.resp.reply import Reply
from tests.sim.connection import Connection
from tests.sim.simulation import Simulation

PAUSE_S_MAX = 0.03  # between two bursts
CALM_S_MAX = 2.0  # between two faults


class Pipeliner:
    """One connection to the gateway of one slave, which stays alive.  Reads and writes, of keys of
    all partitions, in one write; nobody else writes to them."""

    def __init__(self, cluster: Simulation, node: str, number: int):
        self.cluster, self.number = cluster, number
        self._connection = Connection(cluster.slaves[node], cluster.random_for_clients, True)
        self._counts = [0] * 4  # what each counter must be
        self.bursts = 0
        self.is_stopped = self.is_waiting = False
        self._burst()

    def _burst(self) -> None:
        if self.is_stopped:
            return
        choose = self.cluster.random
        commands: list[tuple[bytes, ...]] = []
        expected: list[Reply] = []
        for _ in range(choose.randrange(1, 12)):
            place = choose.randrange(len(self._counts))
            key = b"counter%d.%d" % (self.number, place)
            if choose.random() < 0.5:
                self._counts[place] += 1
                commands.append((b"INCR", key))
                expected.append(self._counts[place])
            else:
                commands.append((b"GET", key))
                expected.append(b"%d" % self._counts[place] if self._counts[place] else None)
        self.is_waiting = True

        def done(number: int, reply: Reply) -> None:
            assert reply == expected[number], f"{commands[number]}: {reply}, not {expected[number]}"
            if number == len(commands) - 1:
                self.is_waiting = False
                self.bursts += 1
                self.cluster.at(choose.uniform(0.001, PAUSE_S_MAX), self._burst)

        self._connection.ask_all(commands, done)


# Each with other moments at which leaders go, and links that lose, repeat and reorder in every
# second one.
@pytest.mark.parametrize("seed", range(4))
def test_a_counter_is_exact_and_nobody_sees_an_error(seed: int) -> None:
    cluster = Simulation(seed, nodes=5, partitions=4, snapshot_log_bytes=4096)
    cluster.run_until(cluster.is_whole)
    clients = [Pipeliner(cluster, f"node{1 + number % 2}", number) for number in range(4)]
    choose = cluster.random
    if seed % 2:
        cluster.network.quality.loss = 0.01
        cluster.network.quality.duplication = cluster.network.quality.reordering = 0.05
    for _ in range(8):
        cluster.run(choose.uniform(0.1, CALM_S_MAX))
        leader = cluster.leader(f"counter0.{choose.randrange(4)}")
        if leader is None:
            continue
        fault = choose.choice(["crash", "isolate", "cut", "pause"])
        if leader in ("node1", "node2"):  # their clients would be gone with them
            cluster.network.break_link(leader, choose.choice(["node3", "node4", "node5"]))
        elif fault == "crash":
            cluster.crash(leader)
        elif fault == "isolate":
            cluster.isolate(leader)
        elif fault == "pause":
            cluster.pause(leader, choose.uniform(0.05, 3.0))
        else:
            cluster.cut(leader, choose.choice(["node1", "node2"]))
        cluster.run(choose.uniform(0.1, CALM_S_MAX))
        cluster.heal()
        for node in ("node3", "node4", "node5"):
            if not cluster.is_up(node):
                cluster.start(node)
        cluster.run_until(cluster.is_whole)
    for client in clients:
        client.is_stopped = True
    cluster.run_until(lambda: not any(client.is_waiting for client in clients))
    assert all(client.bursts > 10 for client in clients)
    cluster.checks.all_digests()
