"""What goes wrong in a random run, and the run itself: faults, then peace, then the verdict.

A seed decides the shape of the cluster, the quality of its links, the clocks' rates, and each
fault and its moment.  Lost directories (wiped, damaged) come only while every group is whole, one
at a time: two copies of three that are lost for good are beyond what three copies can promise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from distrodb.commands import script_calls
from distrodb.keyspace import snapshot
from distrodb.raft import progress, proposals, replication, snapshot_transfer, write_set
from tests.sim.simulation import Simulation
from tests.sim.workload import Client, GatewayClient
from tests.support.history import Operation, check, keys_of
from tests.support.network import Quality

GATEWAY_CLIENTS = 2  # beside the others
VIRTUAL_S = 40.0  # of faults in a run, unless told
PEACE_S_MAX = 60.0  # within so long after the last fault everything must be whole again
SHAPES = [  # slaves, partitions, replicas, bytes of log until a snapshot
    (3, 2, 3, 1 << 24),
    (3, 2, 3, 4096),
    (5, 3, 3, 1 << 24),
    (5, 2, 5, 1 << 24),
    (3, 2, 3, 1 << 24),
    (5, 2, 5, 4096),
    (4, 4, 3, 4096),
]
BOUNDS = [
    (replication, "APPEND_ENTRIES_MAX", replication.APPEND_ENTRIES_MAX),
    (progress, "WINDOW_APPENDS", progress.WINDOW_APPENDS),
    (snapshot_transfer, "WINDOW", snapshot_transfer.WINDOW),
    (snapshot, "CHUNK_BYTES", snapshot.CHUNK_BYTES),
    (proposals, "EXPIRE_MAX", proposals.EXPIRE_MAX),
]
DELETED_ENTRIES_MAX = write_set.DELETED_ENTRIES_MAX
WRITE_BYTES = write_set.LARGE_BYTES, write_set.COMMIT_BYTES
SCRIPT_STEPS = script_calls.COMMANDS_MAX
# "slow disk" is one more, in test_slow_disks.py alone: so the seeds here stay what they are.
FAULTS = {
    "crash": 6,
    "crash of all": 1,
    "cut": 3,
    "one-way cut": 3,
    "isolation": 4,
    "slow link": 2,
    "pause": 3,
    "wall clock": 1,
    "lost directory": 2,
    "lost directory behind a cut": 2,
    "flipped bit": 2,
    "full disk": 1,
    "failing sync": 1,
    "heal": 4,
}


@dataclass
class Report:
    """What a run covered."""

    seed: int
    virtual_s: float = 0.0
    operations: int = 0
    unknown: int = 0
    refused: int = 0
    trace: int = 0
    faults: dict[str, int] = field(default_factory=dict)


class Chaos:
    SHAPES = SHAPES
    WRITE_BYTES = [WRITE_BYTES]  # what is large, and how much a commit has; by the seed
    SCRIPT_STEPS = SCRIPT_STEPS  # of its commands: then a script is ended
    CLIENT: type[Client] = Client
    GATEWAY_CLIENT: type[Client] = GatewayClient

    def __init__(
        self, seed: int, faults: Mapping[str, int] = FAULTS, clients: int = 4, **raft: int
    ):
        self._faults = faults
        sizes = self.WRITE_BYTES[seed % len(self.WRITE_BYTES)]
        write_set.LARGE_BYTES, write_set.COMMIT_BYTES = sizes
        script_calls.COMMANDS_MAX = self.SCRIPT_STEPS
        nodes, partitions, replicas, snapshot_log_bytes = self.SHAPES[seed % len(self.SHAPES)]
        raft.setdefault("snapshot_log_bytes", snapshot_log_bytes)
        self.cluster = Simulation(seed, nodes, partitions, replicas, dead_after_s=2, **raft)
        self.report = Report(seed)
        self.history: list[Operation] = []
        self._choose = self.cluster.random
        if self._choose.random() < 0.4:
            self.cluster.network.quality = Quality(
                loss=self._choose.choice([0.0, 0.02, 0.1]),
                duplication=self._choose.choice([0.0, 0.05, 0.3]),
                reordering=self._choose.choice([0.0, 0.05, 0.2]),
                late_s_max=self._choose.choice([0.05, 0.5, 5.0]),
            )
        # Small bounds bring the states between two messages that large ones jump over.
        for module, name, large in BOUNDS:
            setattr(module, name, self._choose.choice([1, 2, large]))
        # Not by the seed's coin, which decides the rest as it did before there was this bound.
        write_set.DELETED_ENTRIES_MAX = [DELETED_ENTRIES_MAX, 1, 3][seed % 3]
        for slave in self.cluster.slaves.values():
            slave.rate = self._choose.uniform(0.95, 1.05)
        keys, pause_s_max = self._choose.choice([(1, 0.1), (3, 0.05), (3, 0.15), (3, 0.3)])
        self.clients = [
            self.CLIENT(self.cluster, n, self.history, keys, pause_s_max) for n in range(clients)
        ]
        self.clients += [
            self.GATEWAY_CLIENT(self.cluster, clients + n, self.history, keys, pause_s_max)
            for n in range(GATEWAY_CLIENTS)
        ]

    def run(self, virtual_s: float) -> Report:
        """Raises ``AssertionError`` for whatever must not be."""
        try:
            return self._run(virtual_s)
        finally:
            for module, name, large in BOUNDS:  # they are the process's, not the run's
                setattr(module, name, large)
            write_set.DELETED_ENTRIES_MAX = DELETED_ENTRIES_MAX
            write_set.LARGE_BYTES, write_set.COMMIT_BYTES = WRITE_BYTES
            script_calls.COMMANDS_MAX = SCRIPT_STEPS

    def _run(self, virtual_s: float) -> Report:
        cluster, choose = self.cluster, self._choose
        names, weights = list(self._faults), list(self._faults.values())
        calm_s = choose.choice([1.0, 3.0, 8.0])  # at most, between two faults
        while cluster.now < virtual_s:
            cluster.run(choose.uniform(0.0, choose.choice([0.1, calm_s])))
            (fault,) = choose.choices(names, weights)
            if self._strike(fault):
                self.report.faults[fault] = self.report.faults.get(fault, 0) + 1
            for node in self._gone():
                if choose.random() < 0.5:
                    self._start(node)
        self._make_peace()
        self._judge()
        return self.report

    def _gone(self) -> list[str]:
        """The slaves that do not run and may be started again."""
        return [slave.id for slave in self.cluster.slaves.values() if slave.core is None]

    def _is_whole(self) -> bool:
        return self.cluster.is_whole()

    def _why_not_whole(self) -> str:
        return ""

    def _strike(self, fault: str) -> bool:
        """Do it; False when it is not possible now."""
        cluster, choose = self.cluster, self._choose
        node, other = choose.sample(list(cluster.slaves), 2)
        slave = cluster.slaves[node]
        if fault == "crash":
            cluster.crash(node)
        elif fault == "crash of all":
            for each in cluster.slaves:
                cluster.crash(each)
        elif fault == "cut":
            cluster.cut(node, other)
        elif fault == "one-way cut":
            cluster.network.cut_one_way(node, other)
        elif fault == "isolation":
            cluster.isolate(node)
        elif fault == "slow link":
            cluster.network.slow(node, other, choose.choice([10.0, 100.0]))
        elif fault == "pause":
            cluster.pause(node, choose.choice([0.3, 2.0, 8.0]))
        elif fault == "wall clock":
            slave.wall_jump_ms += choose.randint(-86_400_000, 86_400_000)
        elif fault == "lost directory":
            if not cluster.is_whole():
                return False
            cluster.wipe(node)
        elif fault == "lost directory behind a cut":
            if not cluster.is_whole():
                return False
            self._lose_a_directory_behind_a_cut(node, other)
        elif fault == "flipped bit":
            if not cluster.is_whole():
                return False
            cluster.crash(node)
            slave.disk.flip(choose)
        elif fault == "full disk":
            slave.disk.full = slave.disk.used + choose.randint(0, 4000)
        elif fault == "failing sync":
            slave.disk.fail_syncs = 1
        elif fault == "slow disk":
            slave.slow_sync_s = choose.choice([0.0, 0.3, 2.0, 10.0])
        elif fault == "heal":
            cluster.heal()
        return True

    def _lose_a_directory_behind_a_cut(self, lags: str, lost: str) -> None:
        """One slave lags, another one loses what it acknowledged, and whoever has it all goes away
        for a while: the two that are left must not go on as if they were a majority."""
        cluster, choose = self.cluster, self._choose
        cluster.isolate(lags)
        cluster.run(choose.uniform(0.1, 2.0))
        if not self._can_be_lost(lost):
            cluster.heal()
            return
        cluster.wipe(lost)
        for node in cluster.slaves:
            if node not in (lags, lost) and choose.random() < 0.9:
                cluster.crash(node)
        cluster.heal()
        self._start(lost)
        cluster.run(choose.uniform(0.0, 3.0))

    def _can_be_lost(self, node: str) -> bool:
        """No group is left without a majority for good.  One that lets a dead member go and has not
        taken in the next one yet has two members for a moment, and can spare neither."""
        for slave in self.cluster.slaves.values():
            for group in slave.core.groups.values() if slave.core else ():
                members = group.log.configuration.members
                left = [name for name in members if name.partition("/")[0] != node]
                if 2 * len(left) <= len(members):
                    return False
        return True

    def _start(self, node: str) -> None:
        """As an operator does: makes room; a directory that is refused is replaced by an empty
        one (docs/operations.md)."""
        slave = self.cluster.slaves[node]
        if slave.refused is not None:
            self.cluster.wipe(node)
        slave.disk.full = None
        self.cluster.start(node)

    def _make_peace(self) -> None:
        cluster = self.cluster
        cluster.network.quality = Quality()
        for slave in cluster.slaves.values():
            slave.disk.full, slave.disk.fail_syncs, slave.slow_sync_s = None, 0, 0.0
        cluster.heal()

        def whole() -> bool:
            for node in self._gone():
                self._start(node)
            return self._is_whole()

        cluster.run_until(whole, PEACE_S_MAX, self._why_not_whole)
        for client in self.clients:
            client.is_stopped = True
        cluster.run_until(lambda: not any(client.is_waiting for client in self.clients), 30.0)
        for key in sorted(
            {key for operation in self.history for key in keys_of(operation.command)}
        ):
            command = self.CLIENT.reading(key)
            if command is None:
                continue
            called = cluster.now
            reply = cluster.ask(*command)
            self.history.append(Operation(-1, called, cluster.now, command, reply))
        cluster.run_until(self._is_level)
        cluster.run(2.0)
        cluster.checks.all_digests()

    def _is_level(self) -> bool:
        """All copies of each group are at one index, so that their states can be compared."""
        applied: dict[int, set[int]] = {}
        for slave in self.cluster.slaves.values():
            for group_id, group in slave.core.groups.items() if slave.core else ():
                applied.setdefault(group_id, set()).add(group.member.applied_index)
        return all(len(indexes) == 1 for indexes in applied.values())

    def _judge(self) -> None:
        report = self.report
        check(self.history)
        report.virtual_s = self.cluster.now
        report.operations = len(self.history)
        report.unknown = sum(client.unknown for client in self.clients)
        report.refused = sum(client.refused for client in self.clients)
        report.trace = self.cluster.trace
