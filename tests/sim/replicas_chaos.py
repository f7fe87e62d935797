"""Random runs in which somebody asks for another number of copies while the ring heals.

Between three and five copies all else goes on that healing_chaos.py has, also deaths for good and
lost directories: of a group that has more than three members one at most, since at any moment it
may be on its way to three.  Down to one copy nothing is lost for good: one is then all there is.
"""

from distrodb.ring.clustermap import node_of
from tests.sim.healing_chaos import FAULTS as HEALING_FAULTS
from tests.sim.healing_chaos import HealingChaos

FAULTS = {**HEALING_FAULTS, "replicas": 8}
FAULTS_OF_ONE = {
    name: weight for name, weight in FAULTS.items() if name not in ("death", "lost directory")
}


class ReplicasChaos(HealingChaos):
    SHAPES = (  # slaves, partitions, replicas, bytes of log until a snapshot
        (5, 4, 3, 1 << 24),
        (6, 4, 5, 4096),
        (5, 6, 5, 1 << 24),
        (7, 3, 3, 4096),
    )
    NUMBERS = ("3", "5")

    def _strike(self, fault: str) -> bool:
        if fault == "replicas":
            return self._ask("REPLICAS", self._choose.choice(self.NUMBERS))
        return super()._strike(fault)

    def _may_lose(self, node: str) -> bool:
        if not super()._may_lose(node):
            return False
        lost = {*self._lost, *map(self._name, self._dead), self._name(node)}
        large = [
            configuration.members
            for slave in self.cluster.slaves.values()
            if slave.core
            for group in slave.core.groups.values()
            for configuration in group.log.configurations
            if len(configuration.members) > 3
        ]
        return all(sum(name in lost for name in members) <= 1 for members in large)


class OneCopyChaos(ReplicasChaos):
    NUMBERS = ("1", "3", "1", "5")

    def _judge(self) -> None:
        """All are back, so each partition has as many copies as were asked for last."""
        super()._judge()
        core = self.cluster.controller().core
        sizes = {len({*map(node_of, core.map.members(p.group))}) for p in core.map.partitions}
        assert sizes == {core.map.replicas}, f"seed {self.report.seed}: {sizes}"
