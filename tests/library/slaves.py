"""Whole slaves (``Core``) without sockets and threads: what one hands out reaches the others, and
its disk, at once, unless a test holds it back.  Time moves when a test says so.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgpack

from distrodb.commands.table import MACHINE_COMMANDS
from distrodb.config import (
    Address,
    HealingConfig,
    LimitsConfig,
    NodeAddress,
    RaftConfig,
    SlaveConfig,
)
from distrodb.raft import messages as m
from distrodb.raft.interfaces import SnapshotWrite
from distrodb.ring.clustermap import member
from distrodb.slave.core import Core, Output
from tests.support.disk import Disk
from tests.support.promises import broken_promise
from tests.support.request import Asked

TICK_S = 0.01
WALL_MS = 1_700_000_000_000
UNTIL_S_MAX = 60.0  # what has not come true by then never will


def config_of(name: str, names: Sequence[str], partitions: int, **raft: float) -> SlaveConfig:
    addresses = [Address("sim", 7000 + n) for n in range(len(names))]
    return SlaveConfig(
        file=Path("sim"),
        id=name,
        directory=Path("sim"),
        cluster_id="sim",
        secret="",
        partitions=partitions,
        replicas=3,
        nodes=tuple(NodeAddress(n, a, a) for n, a in zip(names, addresses, strict=True)),
        raft=RaftConfig(**{"dead_after_s": 3.0, **raft}),  # type: ignore[arg-type]
        limits=LimitsConfig(),
        healing=HealingConfig(),
        log_level="error",
    )


class Slaves:
    def __init__(self, names: str = "abcd", partitions: int = 4, **raft: float):
        self.now = 1000.0
        self.names, self.partitions, self._raft = names, partitions, raft
        self.disks = {name: Disk(random.Random(name), name) for name in names}
        self.cores: dict[str, Core] = {}
        self.gossips: list[tuple[str, str]] = []  # (from, to) of all that was ever sent
        self.delivered: list[tuple[str, str, m.Message]] = []  # (from, to, message), what arrived
        self.held_disks: set[str] = set()  # whose journal does not get to the disk
        self._waiting: dict[str, Output] = {}
        self.held_snapshots: dict[str, list[SnapshotWrite]] = {}  # of whom; not yet written
        self.cuts: set[frozenset[str]] = set()
        self.table = MACHINE_COMMANDS  # of those that are started from now on
        for name in names:
            self.start(name)

    def __getitem__(self, name: str) -> Core:
        return self.cores[name]

    def start(self, name: str) -> Core:
        config = config_of(name, self.names, self.partitions, **self._raft)
        disk = self.disks[name]
        disk.reopen()
        core = Core(self.now, config, disk, disk.read, random.Random(name), self.table)
        self.cores[name] = core
        for other in [o for o in self.cores if o != name and self._is_joined(o, name)]:
            self._link(name, other)
        return core

    def crash(self, name: str) -> None:
        """What was not synced is lost."""
        del self.cores[name]
        self._waiting.pop(name, None)
        self.held_disks.discard(name)
        self.held_snapshots.pop(name, None)
        for other in self.cores.values():
            if name in other.links:
                other.link_down(self.now, name)

    def cut(self, name: str, *others: str) -> None:
        for other in others:
            self.cuts.add(frozenset((name, other)))
            if name in self.cores and other in self.cores:
                self.cores[name].link_down(self.now, other)
                self.cores[other].link_down(self.now, name)

    def join(self, name: str, *others: str) -> None:
        for other in others:
            self.cuts.discard(frozenset((name, other)))
            self._link(name, other)

    def _is_joined(self, one: str, other: str) -> bool:
        return frozenset((one, other)) not in self.cuts

    def _link(self, one: str, other: str) -> None:
        self.cores[one].link_up(self.now, other, self.cores[other].incarnation)
        self.cores[other].link_up(self.now, one, self.cores[one].incarnation)

    # -- time --------------------------------------------------------------------------------

    def tick(self, seconds: float = TICK_S) -> None:
        self.now += seconds
        for core in list(self.cores.values()):
            core.tick(self.now)
        for name in list(self.cores):
            self.flush(name)

    def flush(self, name: str) -> None:
        core = self.cores[name]
        for _ in range(20):  # its own writes give it more to do
            if not core.has_work:
                break
            self.carry_out(name, core.flush(self.now, WALL_MS))
        else:
            return
        self.carry_out(name, core.flush(self.now, WALL_MS))  # gossip

    def carry_out(self, name: str, output: Output) -> None:
        core, disk = self.cores[name], self.disks[name]
        for peer in {**output.messages, **output.gossip}:
            if peer in self.cores and peer in core.links:
                self._deliver(name, peer, output)
        for sequence, put in output.large:
            core.large_written(self.now, sequence, put)
        if output.journal is not None:
            if name in self.held_disks:
                self._waiting[name] = output
            else:
                self._sync(name, output)
        for written in output.snapshots:
            if name in self.held_snapshots:
                self.held_snapshots[name].append(written)
            else:
                self._write(name, written)
        for group, index in output.obsolete:
            disk.remove_older(group, index)

    def _sync(self, name: str, output: Output) -> None:
        assert output.journal is not None
        sequence, operations = output.journal
        self.disks[name].commit(operations)
        self.cores[name].durable(self.now, sequence)

    def release_disk(self, name: str) -> None:
        self.held_disks.discard(name)
        if name in self._waiting:
            self._sync(name, self._waiting.pop(name))

    def release_snapshots(self, name: str) -> None:
        for written in self.held_snapshots.pop(name):
            self._write(name, written)

    def _write(self, name: str, written: SnapshotWrite) -> None:
        done = written.run(partial(self.disks[name].write, written.group, written.index))
        self.cores[name].snapshot_written(self.now, done)

    def _deliver(self, sender: str, receiver: str, output: Output) -> None:
        me, them = self._name(sender), self._name(receiver)
        for message in output.messages.get(receiver, []):
            broken = broken_promise(self.disks[sender], me, them, message)
            assert not broken, broken
            self.delivered.append((sender, receiver, message))
        frame = [output.messages.get(receiver, []), output.gossip.get(receiver)]
        messages, gossip = msgpack.unpackb(msgpack.packb(frame))
        self.cores[receiver].receive(self.now, sender, messages)
        if gossip is not None:
            self.gossips.append((sender, receiver))
            self.cores[receiver].receive_gossip(self.now, sender, gossip)

    def _name(self, name: str) -> str:
        return member(name, self.cores[name].incarnation)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.tick()

    def until(self, what: Callable[[], object]) -> None:
        for _ in range(round(UNTIL_S_MAX / TICK_S)):
            if what():
                return
            self.tick()
        raise AssertionError("it does not come true")

    # -- the cluster -------------------------------------------------------------------------

    def leader(self, group: int) -> str | None:
        led = [name for name, core in self.cores.items() if core.routing.leads(group)]
        return max(led, key=lambda name: self[name].routing.term_of(group), default=None)

    def settled(self, names: Iterable[str] = ()) -> "Slaves":
        """Born, every group led by its owner, nothing on the move."""
        self.until(lambda: all(core.maps.waits_for is None for core in self.cores.values()))
        self.until(lambda: all(self.leader(p) for p in range(self.partitions)))
        self.until(self.is_whole)
        return self

    def is_whole(self) -> bool:
        for name, core in self.cores.items():
            plan = core.view.healing()
            if plan is None or not plan.is_done or core.view.not_yet_in():
                return False
            if any(p.owner == name and not core.routing.leads(p.id) for p in core.map.partitions):
                return False
            held = {p.id for p in core.map.partitions if name in p.group}
            if held != {id_ for id_ in core.groups if id_ < self.partitions}:
                return False
        return len({core.map.epoch for core in self.cores.values()}) == 1

    def ask(self, name: str, *args: bytes, partition: int = 0) -> Asked:
        core = self.cores[name]
        command = Asked(*args, slot=core.map.partitions[partition].first)
        core.submit(command, partition)
        return command

    def compact(self, name: str, group_id: int) -> None:
        """A snapshot of what is applied; the log before it is kept for those that lag."""
        group = self.cores[name].groups[group_id]
        index = group.member.applied_index
        term = group.log.term_at(index)
        assert term is not None
        self.disks[name].write(group_id, index, group.machine.snapshot())
        group.log.compact(group.log.first_index, index, term)
        self.flush(name)


class Wire(Slaves):
    """Notes each Raft message, and loses those that ``loses`` says."""

    def __init__(self, names: str = "abc", partitions: int = 4, **raft: Any):
        self.sent: list[tuple[str, str, m.Message]] = []
        self.loses: Callable[[str, str, m.Message], bool] = lambda *_: False
        super().__init__(names, partitions, **raft)

    def _deliver(self, sender: str, receiver: str, output: Output) -> None:
        messages = output.messages.get(receiver, [])
        self.sent += [(sender, receiver, message) for message in messages]
        kept = [each for each in messages if not self.loses(sender, receiver, each)]
        output.messages[receiver] = kept
        super()._deliver(sender, receiver, output)
