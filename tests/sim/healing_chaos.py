"""Random runs in which slaves die for good, return, join and are removed while the ring heals.

A death for good, and a directory that is lost, come only where three copies can promise something:
each group that anybody may still count by (any configuration in any log that can be seen) keeps a
majority of members that are not lost, and so does the ring.  In all else the faults are those of
chaos.py.  In the end some of the dead stay dead; the ring must be whole without them, each
partition led by its owner, and nothing held by those who should not.
"""

from collections.abc import Mapping

from distrodb.ring.clustermap import member, node_of
from tests.sim.chaos import Chaos
from tests.sim.continuity import leftovers
from tests.sim.healed import is_balanced, obstacles

SLAVES_MAX = 9  # that ever were, those that are gone included
FAULTS = {
    "crash": 4,
    "cut": 2,
    "one-way cut": 2,
    "isolation": 2,
    "pause": 3,
    "death": 6,
    "lost directory": 3,
    "ring cut in two": 2,
    "the controller crashes in a step": 4,
    "join": 2,
    "remove": 3,
    "move": 2,
    "balance": 1,
    "heal": 5,
}


class HealingChaos(Chaos):
    SHAPES = (  # slaves, partitions, replicas, bytes of log until a snapshot
        (5, 4, 3, 1 << 24),
        (5, 6, 3, 4096),
        (6, 4, 3, 4096),
        (4, 5, 3, 1 << 24),
        (7, 7, 3, 4096),
        (6, 3, 5, 1 << 24),
        (5, 14, 3, 4096),
        (6, 10, 3, 1 << 24),
    )

    def __init__(self, seed: int, faults: Mapping[str, int] = FAULTS, **raft: int):
        super().__init__(seed, faults, **raft)
        self._dead: dict[str, float] = {}  # until when
        self._lost: set[str] = set()  # members whose directory is no more

    def _gone(self) -> list[str]:
        now, slaves = self.cluster.now, self.cluster.slaves
        for node in [node for node, until in self._dead.items() if until <= now]:
            del self._dead[node]
        return [n for n in super()._gone() if n not in self._dead and not slaves[n].is_removed]

    def _is_whole(self) -> bool:
        """Also balanced, which undoes what MOVE did; and what was forgotten has been deleted, in
        some seeds an entry at a time."""
        if not self.cluster.is_healed() or leftovers(self.cluster):
            return False
        if is_balanced(self.cluster.controller().core.map):
            return True
        self._ask("BALANCE")
        return False

    def _why_not_whole(self) -> str:
        obstacles_left = [*obstacles(self.cluster), *leftovers(self.cluster)]
        return "; ".join(obstacles_left) or "owners are not balanced"

    def _judge(self) -> None:
        found = leftovers(self.cluster)
        assert not found, f"seed {self.report.seed}: {found}"
        super()._judge()

    def _strike(self, fault: str) -> bool:
        cluster, choose = self.cluster, self._choose
        up = [node for node in cluster.slaves if cluster.is_up(node)]
        if not up:
            return False
        node = choose.choice(up)
        if fault == "death":
            if not self._may_lose(node):
                return False
            forever, is_wiped = choose.random() < 0.3, choose.random() < 0.25
            self._dead[node] = 1e9 if forever else cluster.now + choose.uniform(1.0, 20.0)
            if is_wiped:  # it returns as another one, maybe in the middle of being replaced
                self._lost.add(self._name(node))
                cluster.wipe(node)
            else:
                cluster.crash(node)
        elif fault == "lost directory":
            if not self._may_lose(node):
                return False
            self._lost.add(self._name(node))
            cluster.wipe(node)
        elif fault == "ring cut in two":
            side = choose.sample(sorted(cluster.slaves), len(cluster.slaves) // 2)
            for one in side:
                for other in cluster.slaves:
                    if other not in side:
                        cluster.cut(one, other)
        elif fault == "the controller crashes in a step":
            return self._crash_a_controller()
        elif fault == "join":
            if len(cluster.slaves) >= SLAVES_MAX:
                return False
            cluster.add()
        elif fault == "remove":
            row = cluster.slaves[node].core.map.nodes.get(node)
            is_leaving = row is not None and row.status == "leaving"
            return self._ask("KEEP" if is_leaving else "REMOVE", node)
        elif fault == "move":
            partitions = len(cluster.slaves[node].core.map.partitions)
            return self._ask("MOVE", str(choose.randrange(partitions)), node)
        elif fault == "balance":
            return self._ask("BALANCE")
        else:
            return super()._strike(fault)
        return True

    def _ask(self, *args: str) -> bool:
        controller = self.cluster.controller()
        if controller is None:
            return False
        controller.core.change_map(args, lambda reply: None)
        controller.turn_soon()
        return True

    def _crash_a_controller(self) -> bool:
        """Between the next two changes of the map, or half way through one."""
        cluster, controller = self.cluster, self.cluster.controller()
        if controller is None:
            return False
        epoch, until = controller.core.map.epoch, cluster.now + 2.0

        def is_in_a_step() -> bool:
            core = controller.core
            return core is None or core.map.epoch > epoch or cluster.now > until

        cluster.at_once(is_in_a_step)
        if self._choose.random() < 0.5:
            cluster.run(self._choose.uniform(0.0, 0.02))
        if controller.core is not None:
            cluster.crash(controller.id)
        return True

    def _start(self, node: str) -> None:
        if self.cluster.slaves[node].refused is not None:
            self._lost.add(self._name(node))
        super()._start(node)

    def _name(self, node: str) -> str:
        return member(node, self.cluster.incarnation_on(node))

    def _may_lose(self, node: str) -> bool:
        """All groups keep majorities, by whatever configuration anybody may go.  Looked at only
        when everybody runs who is not dead, so that no log is overlooked."""
        cluster = self.cluster
        cores = [slave.core for slave in cluster.slaves.values() if slave.core]
        if self._gone() or any(core.map.epoch == 0 for core in cores):
            return False
        lost = {*self._lost, *map(self._name, self._dead), self._name(node)}
        rings = [core.map.ring for core in cores]
        dead = {*self._dead, node}
        if any(2 * len({*ring} - dead) <= len(ring) for ring in rings):
            return False
        configurations = [
            configuration.members
            for core in cores
            for group in core.groups.values()
            for configuration in group.log.configurations
        ]
        return all(
            not members or 2 * sum(name not in lost for name in members) > len(members)
            for members in configurations
        ) and any(node_of(name) == node for members in configurations for name in members)
