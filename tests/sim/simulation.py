"""A whole cluster in one process: virtual clock, seeded randomness, simulated network and disk.

The code that runs is the product's own ``Core`` (pysyncobj included); replaced are only what is
around it: sockets, disk, clock.  One seed decides everything: ``trace`` of two runs is equal.

What the network does: a link is FIFO, as TCP is; it delays; it can be cut, and what is under way
on it is lost then.  What the disk does: a write set is durable when its simulated fsync ends; a
crash before that loses it whole.  A process crashes between two events.
"""

import heapq
import itertools
import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgpack

from distrodb.config import Address, LimitsConfig, NodeAddress, RaftConfig, SlaveConfig
from distrodb.raft.group import SnapshotWrite
from distrodb.raft.journal import Operation, Put
from distrodb.reply import ErrorReply, Reply
from distrodb.ring.slots import slot_of
from distrodb.slave.core import Core

TICK_S = 0.025
WALL_EPOCH_MS = 1_700_000_000_000


class Disk:
    """What survives a crash: durable records and snapshots."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes] = {}
        self.snapshots: dict[tuple[int, int], list[bytes]] = {}

    def commit(self, operations: Iterable[Operation]) -> None:
        for operation in operations:
            if isinstance(operation, Put):
                self.records[operation.key] = operation.value
            else:
                for key in [k for k in self.records if operation.first <= k <= operation.last]:
                    del self.records[key]

    def scan(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self.records):
            if first <= key <= last:
                yield key, self.records[key]

    def read_snapshot(self, group: int, index: int) -> Iterator[bytes]:
        return iter(self.snapshots[group, index])


class Call:
    """A client's command; ``reply`` is None while it is under way."""

    def __init__(self, args: list[bytes], is_write: bool, done: Callable[[Reply], None]):
        self.args, self.is_write = args, is_write
        self.slot = slot_of(args[1])
        self.size = sum(map(len, args))
        self.answers = 0
        self._done = done

    def resolve(self, reply: Reply) -> None:
        self.answers += 1
        assert self.answers == 1, "a command was answered twice"
        self._done(reply)


class Slave:
    """One simulated process."""

    def __init__(self, simulation: "Simulation", config: SlaveConfig):
        self.simulation, self.config, self.id = simulation, config, config.id
        self.disk = Disk()
        self.core: Core | None = None
        self.life = 0  # counts starts; what belongs to an earlier one is dropped
        self.turn_is_due = False

    def start(self) -> None:
        simulation = self.simulation
        self.life += 1
        self.turn_is_due = False
        generator = random.Random(simulation.random.random())
        self.core = Core(simulation.now, self.config, self.disk, self.disk.read_snapshot, generator)
        self._tick(self.life)

    def crash(self) -> None:
        self.core = None
        self.life += 1

    def later(self, delay_s: float, what: Callable[..., None], *args: object) -> None:
        """Do it then, if this life lasts that long."""
        life = self.life
        self.simulation.at(delay_s, lambda: what(*args) if self.life == life else None)

    def turn_soon(self) -> None:
        if not self.turn_is_due:
            self.turn_is_due = True
            self.later(0.0, self._turn)

    def _tick(self, life: int) -> None:
        self.core.tick(self.simulation.now)
        self.turn_soon()
        self.later(TICK_S, self._tick, life)

    def _turn(self) -> None:
        simulation, core = self.simulation, self.core
        self.turn_is_due = False
        output = core.flush(simulation.now, WALL_EPOCH_MS + int(simulation.now * 1000))
        for peer in sorted({*output.messages, *output.gossip}):
            frame = msgpack.packb([output.messages.get(peer, []), output.gossip.get(peer)])
            simulation.transmit(self.id, peer, frame)
        if output.journal is not None:
            sequence, operations = output.journal
            self.later(simulation.fsync_s(), self._durable, sequence, operations)
        for snapshot in output.snapshots:
            self.later(5 * simulation.fsync_s(), self._snapshot_written, snapshot)
        for group, index in output.obsolete:
            for other in [o for o in self.disk.snapshots if o[0] == group and o[1] < index]:
                del self.disk.snapshots[other]
        if core.has_work:
            self.turn_soon()
        simulation.check()

    def _durable(self, sequence: int, operations: list[Operation]) -> None:
        self.disk.commit(operations)
        self.core.durable(self.simulation.now, sequence)
        self.turn_soon()

    def _snapshot_written(self, snapshot: SnapshotWrite) -> None:
        self.disk.snapshots[snapshot.group, snapshot.index] = list(snapshot.chunks)
        self.core.snapshot_written(self.simulation.now, snapshot)
        self.turn_soon()

    def receive(self, peer: str, frame: bytes) -> None:
        messages, gossip = msgpack.unpackb(frame)
        self.core.receive(self.simulation.now, peer, messages)
        if gossip is not None:
            self.core.receive_gossip(self.simulation.now, peer, gossip)
        self.turn_soon()


class Simulation:
    def __init__(self, seed: int, nodes: int = 3, partitions: int = 2, **raft: int):
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0.0
        self.trace = 0  # a checksum over all that travelled, to compare two runs
        self.leaders: dict[tuple[int, int], str] = {}
        self.committed: dict[tuple[int, int], tuple[int, bytes]] = {}
        self._checked: dict[tuple[str, int, int], int] = {}
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._cut: set[frozenset[str]] = set()
        self._links: dict[frozenset[str], int] = {}  # a number for each time a link came up
        self._arrival: dict[tuple[str, str], float] = {}
        addresses = tuple(
            NodeAddress(f"node{n}", Address("sim", n), Address("sim", 1000 + n))
            for n in range(1, nodes + 1)
        )
        self.slaves = {
            address.id: Slave(
                self,
                SlaveConfig(
                    file=Path("sim"),
                    id=address.id,
                    directory=Path("sim"),
                    cluster_id="sim",
                    secret="",
                    partitions=partitions,
                    replicas=3,
                    nodes=addresses,
                    raft=RaftConfig(**raft),
                    limits=LimitsConfig(),
                    log_level="error",
                ),
            )
            for address in addresses
        }
        for node in self.slaves:
            self.start(node)

    # -- time --------------------------------------------------------------------------------

    def at(self, delay_s: float, what: Callable[[], object]) -> None:
        heapq.heappush(self._events, (self.now + delay_s, next(self._order), what))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            what()
        self.now = until

    def run_until(self, condition: Callable[[], bool], within_s: float = 30.0) -> None:
        until = self.now + within_s
        while not condition():
            assert self.now < until, f"seed {self.seed}: no progress within {within_s} virtual s"
            self.run(TICK_S)

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
        self.slaves[node].crash()
        for other in self.slaves:
            self._break(node, other)

    def start(self, node: str) -> None:
        self.slaves[node].start()
        for other in self.slaves:
            self._connect(node, other)

    def cut(self, a: str, b: str) -> None:
        self._cut.add(frozenset((a, b)))
        self._break(a, b)

    def isolate(self, node: str) -> None:
        for other in self.slaves:
            if other != node:
                self.cut(node, other)

    def heal(self) -> None:
        cut, self._cut = self._cut, set()
        for pair in sorted(map(sorted, cut)):
            self._connect(*pair)

    def is_up(self, node: str) -> bool:
        return self.slaves[node].core is not None

    # -- network -----------------------------------------------------------------------------

    def _connect(self, a: str, b: str) -> None:
        pair = frozenset((a, b))
        if a == b or pair in self._cut or pair in self._links:
            return
        if self.is_up(a) and self.is_up(b):
            self._links[pair] = next(self._order)
            for node, peer in ((a, b), (b, a)):
                delay = self.random.uniform(0.0, 0.02)
                self._arrival[node, peer] = self._arrival[peer, node] = self.now
                self._tell(delay, pair, node, peer)

    def _break(self, a: str, b: str) -> None:
        pair = frozenset((a, b))
        if self._links.pop(pair, None) is not None:
            for node, peer in ((a, b), (b, a)):
                slave = self.slaves[node]
                if slave.core is not None and peer in slave.core.links:
                    slave.core.link_down(self.now, peer)
                    slave.turn_soon()

    def _tell(self, delay: float, pair: frozenset[str], node: str, peer: str) -> None:
        link, slave = self._links[pair], self.slaves[node]

        def tell() -> None:
            if self._links.get(pair) == link and peer not in slave.core.links:
                slave.core.link_up(self.now, peer, self.slaves[peer].core.incarnation)
                slave.turn_soon()

        slave.later(delay, tell)

    def transmit(self, sender: str, receiver: str, frame: bytes) -> None:
        pair = frozenset((sender, receiver))
        link = self._links.get(pair)
        if link is None:
            return
        self.trace = zlib.crc32(frame, self.trace)
        delay = self.random.uniform(0.0002, 0.005)
        arrival = max(self._arrival[sender, receiver], self.now + delay)
        self._arrival[sender, receiver] = arrival
        slave = self.slaves[receiver]

        def deliver() -> None:
            if self._links.get(pair) != link:
                return
            if sender not in slave.core.links:  # its side of the handshake is not done yet
                slave.core.link_up(self.now, sender, self.slaves[sender].core.incarnation)
            slave.receive(sender, frame)

        slave.later(arrival - self.now, deliver)

    # -- clients -----------------------------------------------------------------------------

    def submit(self, node: str, *args: str, done: Callable[[Reply], None]) -> None:
        """Give a command to one slave, as a client connected to it would."""
        slave = self.slaves[node]
        row = [arg.encode() for arg in args]
        call = Call(row, args[0] != "GET", done)
        slave.core.submit(call, slave.core.partition_of_slot[call.slot])
        slave.turn_soon()

    def leader(self, key: str) -> str | None:
        """The slave that is ready to lead the key's partition, if there is one."""
        for node, slave in self.slaves.items():
            if slave.core is not None:
                partition = slave.core.partition_of_slot[slot_of(key.encode())]
                group = slave.core.groups.get(partition)
                if group is not None and group.engine.is_ready:
                    return node
        return None

    def terms_led_by(self, node: str) -> dict[int, int]:
        groups = self.slaves[node].core.data_groups
        return {group.id: group.engine.term for group in groups if group.engine.is_leader}

    def ask(self, *args: str, within_s: float = 30.0) -> Reply:
        """A patient client: again, while the reply says that nothing happened."""
        replies: list[Reply] = []
        until = self.now + within_s
        while self.now < until:
            self.run_until(lambda: self.leader(args[1]) is not None, within_s)
            self.submit(self.leader(args[1]), *args, done=replies.append)
            self.run_until(lambda: bool(replies), within_s)
            reply = replies.pop()
            if not isinstance(reply, ErrorReply) or reply.code == "UNKNOWN":
                return reply
        raise AssertionError(f"seed {self.seed}: no answer within {within_s} virtual s")

    # -- what always holds -------------------------------------------------------------------

    def check(self) -> None:
        """One leader a term; entries that are committed anywhere are the same everywhere."""
        for node, slave in self.slaves.items():
            if slave.core is None:
                continue
            for group_id, group in slave.core.groups.items():
                engine, journal = group.engine, group.journal
                if engine.is_leader:
                    known = self.leaders.setdefault((group_id, engine.term), node)
                    assert known == node, f"seed {self.seed}: two leaders in term {engine.term}"
                position = node, group_id, slave.life
                last = self._checked.get(position, 1)
                for index in range(max(last + 1, journal.first_index + 1), engine.commit_index + 1):
                    command, _, term = journal.entries[index - journal.first_index]
                    entry = term, command
                    known_entry = self.committed.setdefault((group_id, index), entry)
                    assert known_entry == entry, (
                        f"seed {self.seed}: group {group_id} index {index} differs at {node}"
                    )
                self._checked[position] = max(last, engine.commit_index)

    def check_replicas_agree(self) -> None:
        """At equal index, equal state."""
        states: dict[tuple[int, int], str] = {}
        for slave in self.slaves.values():
            for group in slave.core.data_groups if slave.core else ():
                position = group.id, group.engine.applied_index
                digest = group.machine.digest()
                assert states.setdefault(position, digest) == digest, f"seed {self.seed}"
