"""Random runs in which slaves come back at other addresses while the ring heals.

All else goes on that healing_chaos.py has.  Links are judged as the product judges them, by the
addresses that both sides announce (tests/support/network.py); that one finds the other is taken for
granted, and so is the silence of one that has just moved (links/arrival.py), which is of sockets.
In the end the map says where everybody is.
"""

from dataclasses import replace

from distrodb.config import Address
from distrodb.config.address import parse
from tests.sim.healing_chaos import FAULTS as HEALING_FAULTS
from tests.sim.healing_chaos import HealingChaos

FAULTS = {**HEALING_FAULTS, "another address": 8, "all have other addresses": 1}
FIRST_PORT = 5000


class MovingChaos(HealingChaos):
    moved = 0  # so many times

    def _strike(self, fault: str) -> bool:
        cluster = self.cluster
        if fault == "another address":
            node = self._choose.choice(sorted(cluster.slaves))
            return self._move(node)
        if fault == "all have other addresses":
            moved = [self._move(node) for node in cluster.slaves]
            return any(moved)
        return super()._strike(fault)

    def _start(self, node: str) -> None:
        """An empty directory comes back where the map has its slave, as the documentation says."""
        cluster = self.cluster
        maps = [slave.core.map for slave in cluster.slaves.values() if slave.core]
        row = max(maps, key=lambda each: each.epoch).nodes.get(node) if maps else None
        if row is not None and row.incarnation != cluster.incarnation_on(node):
            self._put(node, parse(row.client), parse(row.peer))
        super()._start(node)

    def _put(self, node: str, client: Address, peer: Address) -> None:
        slave = self.cluster.slaves[node]
        me = replace(slave.config.me, client=client, peer=peer)
        rows = tuple(me if row.id == node else row for row in slave.config.nodes)
        slave.config = replace(slave.config, nodes=rows)

    def _move(self, node: str) -> bool:
        """It ends, and its file is changed.  Not before it knows a map: until then all files must
        say the same."""
        slave = self.cluster.slaves[node]
        if slave.core is None or not slave.core.maps.counts_us or slave.core.map.epoch == 0:
            return False
        self.cluster.crash(node)
        self.moved += 1
        port = FIRST_PORT + 2 * self.moved
        self._put(node, Address("sim", port), Address("sim", port + 1))
        return True

    def strangers(self) -> list[str]:
        """Who is not where the map says, of those that run."""
        controller = self.cluster.controller()
        rows = {} if controller is None else controller.core.map.nodes
        said = {id_: (row.client, row.peer) for id_, row in rows.items()}
        running = [slave for slave in self.cluster.slaves.values() if slave.core is not None]
        return [f"{s.id} is at {s.place}" for s in running if said.get(s.id) != s.place]

    def _is_whole(self) -> bool:
        return super()._is_whole() and not self.strangers()

    def _why_not_whole(self) -> str:
        return "; ".join(self.strangers()) or super()._why_not_whole()
