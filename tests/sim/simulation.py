"""A whole cluster in one process: virtual clock, seeded randomness, simulated network and disk.

The code that runs is the product's own ``Core`` (ring, store, raft and controller, pysyncobj
included); replaced are only what is around it: sockets, disk, clock.  One seed decides everything:
``trace`` of two runs is equal, in any process and under any PYTHONHASHSEED.

process.py is a slave, connection.py a client's connection to it, checks.py and continuity.py what
always holds, healed.py what it is to be healed, workload.py the clients, chaos.py what goes wrong;
disk.py and network.py are in tests/support.
"""

import copy
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from distrodb.config import (
    Address,
    HealingConfig,
    LimitsConfig,
    NodeAddress,
    RaftConfig,
    SlaveConfig,
)
from distrodb.resp.reply import ErrorReply, Reply
from distrodb.ring.clustermap import member
from distrodb.ring.slots import slot_of
from distrodb.slave.group_ids import MAP_GROUP
from tests.sim.checks import Checks
from tests.sim.connection import Connection
from tests.sim.continuity import Continuity
from tests.sim.healed import obstacles
from tests.sim.process import Slave
from tests.support.disk import Disk
from tests.support.network import Network

STEP_S = 0.025  # between two looks at a condition
ANSWER_S = 1.0  # until a controller that does not answer is asked again


def _address(number: int) -> NodeAddress:
    return NodeAddress(f"node{number}", Address("sim", number), Address("sim", 1000 + number))


class Simulation:
    def __init__(
        self,
        seed: int,
        nodes: int = 3,
        partitions: int = 2,
        replicas: int = 3,
        healing: HealingConfig | None = None,
        **raft: int,
    ):
        self.seed = seed
        self.random = random.Random(seed)
        self.random_for_checks = random.Random(seed)  # so that a check more changes no run
        self.random_for_clients = random.Random(seed)  # how their bytes are cut; the same
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._buried: dict[str, Disk] = {}  # disks of incarnations that are no more
        self.network = Network(self)
        self.checks, self.continuity = Checks(self), Continuity(self)
        addresses = [_address(n) for n in range(1, nodes + 1)]
        self._config = SlaveConfig(
            file=Path("sim"),
            id="",
            directory=Path("sim"),
            cluster_id="sim",
            secret="",
            partitions=partitions,
            replicas=replicas,
            nodes=tuple(addresses),
            raft=RaftConfig(**raft),
            healing=healing or HealingConfig(),
            limits=LimitsConfig(),
            log_level="error",
        )
        self.slaves: dict[str, Slave] = {}
        for address in addresses:
            self.slaves[address.id] = Slave(self, replace(self._config, id=address.id))
        for node in self.slaves:
            self.start(node)

    def add(self) -> str:
        """One slave more, which joins; its id."""
        address, seeds = _address(len(self.slaves) + 1), (Address("sim", 1001),)
        config = replace(self._config, id=address.id, nodes=(address,), join=seeds)
        self.slaves[address.id] = Slave(self, config)
        self.start(address.id)
        return address.id

    @property
    def trace(self) -> int:
        return self.network.trace

    # -- time --------------------------------------------------------------------------------

    def at(self, delay_s: float, what: Callable[[], object]) -> None:
        heapq.heappush(self._events, (self.now + delay_s, next(self._order), what))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            what()
        self.now = until

    def run_until(
        self,
        condition: Callable[[], bool],
        within_s: float = 30.0,
        why: Callable[[], object] = lambda: "",
    ) -> None:
        until = self.now + within_s
        while not condition():
            if self.now >= until:
                what = f"no progress within {within_s} virtual s {why()}"
                raise AssertionError(f"seed {self.seed}: {what.rstrip()}")
            self.run(STEP_S)

    def at_once(self, condition: Callable[[], bool], within_s: float = 30.0) -> None:
        """Run to the very event after which ``condition`` holds."""
        until = self.now + within_s
        while not condition():
            assert self.now < until, f"seed {self.seed}: it did not come to that"
            self.now, _, what = heapq.heappop(self._events)
            what()

    def fsync_s(self) -> float:
        return self.random.uniform(0.0005, 0.01)

    # -- faults ------------------------------------------------------------------------------

    def crash(self, node: str) -> None:
        if self.is_up(node):
            self.slaves[node].crash()
        for other in self.slaves:
            self.network.break_link(node, other)

    def start(self, node: str) -> None:
        assert not self.slaves[node].is_removed
        self.slaves[node].start()
        for other in self.slaves:
            self.network.connect(node, other)

    def pause(self, node: str, seconds: float) -> None:
        """As SIGSTOP and, later, SIGCONT."""
        self.slaves[node].pause(seconds)
        self.at(seconds + 0.001, self.network.connect_all)

    def cut(self, a: str, b: str) -> None:
        self.network.cut(a, b)

    def isolate(self, node: str) -> None:
        for other in self.slaves:
            if other != node:
                self.cut(node, other)

    def heal(self) -> None:
        self.network.heal()

    def wipe(self, node: str) -> None:
        """Its directory is lost; it starts again with an empty one."""
        self.crash(node)
        slave = self.slaves[node]
        incarnation = self.incarnation_on(node)
        if incarnation:
            self._buried[member(node, incarnation)] = copy.deepcopy(slave.disk)
        slave.disk.wipe()
        slave.refused = None

    # -- what is there -----------------------------------------------------------------------

    def is_up(self, node: str) -> bool:
        return self.slaves[node].core is not None

    def incarnation_on(self, node: str) -> str:
        """Of the directory; empty when there is none."""
        record = self.slaves[node].disk.records.get(b"\xff\xff\x01", b"")
        return record[4:].decode(errors="replace")

    def disk_of(self, name: str) -> Disk | None:
        """The disk of a member, also when it was lost since."""
        node, _, incarnation = name.partition("/")
        if self.incarnation_on(node) == incarnation:
            return self.slaves[node].disk
        return self._buried.get(name)

    def is_whole(self) -> bool:
        """Everybody runs, every group has a leader, and its members are those that should be."""
        slaves = [slave for slave in self.slaves.values() if slave.core is not None]
        if len(slaves) < sum(not slave.is_removed for slave in self.slaves.values()):
            return False
        newest = max((slave.core.map for slave in slaves), key=lambda map_: map_.epoch)
        if newest.epoch < 1 or any(
            slave.id not in newest.nodes
            or newest.nodes[slave.id].incarnation != slave.core.incarnation
            for slave in slaves
        ):
            return False
        rows = [(p.id, p.group) for p in newest.partitions]
        return all(
            self._is_group_whole(group_id, newest.members(nodes))
            for group_id, nodes in [*rows, (MAP_GROUP, newest.map_group)]
        )

    def controller(self) -> Slave | None:
        """The slave that leads the cluster map; the newest one if several think so."""
        led = [
            slave
            for slave in self.slaves.values()
            if slave.core and MAP_GROUP in slave.core.groups
            if slave.core.groups[MAP_GROUP].member.is_ready
        ]
        return max(led, key=lambda s: s.core.groups[MAP_GROUP].member.term, default=None)

    def is_healed(self) -> bool:
        """The ring is where it wants to be (healed.py)."""
        return not any(True for _ in obstacles(self))

    def _is_group_whole(self, group_id: int, members: tuple[str, ...]) -> bool:
        groups = [
            s.core.groups[group_id] for s in self.slaves.values() if group_id in s.core.groups
        ]
        leaders = [group for group in groups if group.member.is_ready]
        return any(
            set(leader.member.members) == set(members)
            and leader.log.configuration.index <= leader.member.commit_index
            and all(group.member.is_member for group in groups)
            for leader in leaders
        )

    # -- clients -----------------------------------------------------------------------------

    def ask_controller(self, *args: str) -> None:
        """REMOVE, KEEP, MOVE or BALANCE, again until it is taken; ends with the very event."""
        replies: list[Reply] = []
        while not replies or isinstance(replies.pop(), ErrorReply):
            self.run_until(lambda: self.controller() is not None)
            slave, until = self.controller(), self.now + ANSWER_S
            slave.core.change_map(args, replies.append)
            slave.turn_soon()
            self.at_once(lambda until=until: bool(replies) or self.now >= until)

    def submit(
        self, node: str, *args: str, done: Callable[[Reply], None], is_to_gateway: bool = False
    ) -> None:
        """Give a command to one slave, as a client connected to it would."""
        slave = self.slaves[node]

        def receive() -> None:
            connection = Connection(slave, self.random_for_clients, is_to_gateway)
            connection.ask([arg.encode() for arg in args], done)

        if slave.is_paused:
            slave.later(0.0, receive)
        else:
            receive()

    def leader(self, key: str) -> str | None:
        """The slave that leads the key's partition, if there is one; the newest one if several
        think so."""
        leaders = self.leaders(key)
        return max(leaders, key=lambda leader: leader[0])[1] if leaders else None

    def leaders(self, key: str) -> list[tuple[int, str]]:
        """The slaves that take themselves for the key's leader: (term, node) of each."""
        found = []
        for node, slave in self.slaves.items():
            if slave.core is not None:
                partition = slave.core.routing.partition_of_slot[slot_of(key.encode())]
                group = slave.core.groups.get(partition)
                if group is not None and group.member.is_ready:
                    found.append((group.member.term, node))
        return found

    def terms_led_by(self, node: str) -> dict[int, int]:
        groups = self.slaves[node].core.view.partitions
        return {group.id: group.member.term for group in groups if group.member.is_leader}

    def ask(self, *args: str, key: str = "", within_s: float = 30.0) -> Reply:
        """A patient client: again, while the reply says that nothing happened.  ``key``: if it is
        not the first argument."""
        replies: list[Reply] = []
        key, until = key or args[1], self.now + within_s
        while self.now < until:
            self.run_until(lambda: self.leader(key) is not None, within_s)
            self.submit(self.leader(key), *args, done=replies.append)
            self.run_until(lambda: bool(replies), within_s)
            reply = replies.pop()
            if not isinstance(reply, ErrorReply) or reply.code == "UNKNOWN":
                return reply
        raise AssertionError(f"seed {self.seed}: no answer within {within_s} virtual s")
