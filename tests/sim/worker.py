"""Clients of queues in a simulation, and what happens to the cluster meanwhile: what the stories of
lists (queues.py) and of streams (stream_claims.py) have in common.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from distrodb.resp.reply import ErrorReply, Reply
from tests.sim.connection import Connection
from tests.sim.simulation import Simulation

PAUSE_S_MAX = 0.05  # between two steps
CALM_S_MAX = 1.5  # between two faults
PATIENCE_S = 10.0  # a command of which nothing is heard for so long has an unknown outcome


class Counting(Protocol):
    unknown: int  # commands whose outcome is not known


class Worker:
    """One connection that goes on with a step as soon as the last is answered."""

    def __init__(self, cluster: Simulation, counts: Counting, queue: str, node: str | None):
        """``node``: whose gateway it uses; None: it goes to who leads its queue."""
        self.cluster, self._counts, self.queue, self.node = cluster, counts, queue, node
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
            [word.encode() if isinstance(word, str) else word for word in words], answered
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
        """Whoever uses a gateway never sees an error."""
        if not isinstance(reply, ErrorReply):
            self.known(words, reply)
        else:
            assert self.node is None, reply
            if reply.code == "UNKNOWN":
                self._counts.unknown += 1
                self.unknown(words)
        self.cluster.at(self.cluster.random.uniform(0.0, self.pause_s_max()), self._step)

    def pause_s_max(self) -> float:
        return PAUSE_S_MAX

    def words(self) -> list[Any]:
        """Text or bytes, of the next command."""
        raise NotImplementedError

    def known(self, words: list[Any], reply: Any) -> None: ...

    def unknown(self, words: list[Any]) -> None: ...


def ways_of(gateways: Sequence[str]) -> list[str | None]:
    """How workers reach a queue: by each gateway, or two of them by its leader."""
    return [*gateways] or [None, None]


def lose_frames(cluster: Simulation) -> None:
    """Links lose some, and repeat and reorder more."""
    cluster.network.quality.loss = 0.01
    cluster.network.quality.duplication = cluster.network.quality.reordering = 0.05


def disturb(
    cluster: Simulation,
    gateways: Sequence[str],
    queues: Sequence[str],
    faults: Sequence[str],
    count: int,
) -> Iterator[str]:
    """One fault after another, each of which ends; ``gateways``: slaves that stay up."""
    choose = cluster.random
    others = [node for node in cluster.slaves if node not in gateways]
    for _ in range(count):
        cluster.run(choose.uniform(0.1, CALM_S_MAX))
        leader = cluster.leader(choose.choice(queues))
        if leader is None:
            continue
        fault = choose.choice(faults)
        if fault == "slow disk":
            cluster.slaves[leader].slow_sync_s = choose.choice([0.1, 0.5, 2.0])
        elif leader in gateways or fault == "break":  # its clients would be gone with it
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
        yield fault
        cluster.run(choose.uniform(0.1, CALM_S_MAX))
        cluster.heal()
        for node in cluster.slaves:
            cluster.slaves[node].slow_sync_s = 0.0
            if not cluster.is_up(node):
                cluster.start(node)
        cluster.run_until(cluster.is_whole)
