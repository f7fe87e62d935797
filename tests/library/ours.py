"""Our Raft members under the vocabulary of plain.py, so that the same stories are told of them.

A member is a whole ``Group`` (Raft, log, snapshots) without sockets and disk.  A message that
speaks of undurable state stays back in the slave's own ``Outgoing`` until the journal is written,
which happens at the end of every tick and delivery unless the disk is held; support/promises.py
watches.
"""

import math
import random
from collections.abc import Iterable, Iterator, Sequence

import msgpack

from distrodb.keyspace.entry import decode_batch, encode_batch
from distrodb.keyspace.watched import Watched
from distrodb.keyspace.weights import WEIGHTLESS, Weightless
from distrodb.raft import messages as m
from distrodb.raft import replication
from distrodb.raft.group import Group, Surroundings
from distrodb.raft.interfaces import GroupOptions, SnapshotWrite
from distrodb.raft.library import Fate
from distrodb.raft.log import Log
from distrodb.raft.outbox import Outbox
from distrodb.raft.snapshot_transfer import Budget
from distrodb.raft.write_set import WriteSet
from distrodb.resp.reply import OK, Reply
from distrodb.ring.clustermap import member
from distrodb.slave.outgoing import Outgoing
from tests.library.links import PERIOD_S, Links, Outcome
from tests.support.disk import Disk
from tests.support.promises import broken_promise
from tests.support.request import Asked

GROUP = 7
TIMEOUT_S = 0.5
ELECTION_S = 1.5  # more than the longest election timeout
UNKNOWN_AFTER_S = 5.0
WALL_MS = 1_700_000_000_000
STEPS_MAX = 50  # of ``change``


class ListMachine:
    """Its state is the list of what was written, as in plain.py."""

    limits = (0, 0)

    def __init__(self, values: Iterable[bytes] = ()):
        self.values = list(values)
        self.now_ms = 0
        self.watched = Watched()

    def execute(self, slot: int, args: Sequence[bytes], now_ms: int) -> Reply:
        if args[0] == b"READ":
            return tuple(self.values)
        if args[1] == b"raise":
            raise ZeroDivisionError
        self.values.append(args[1])
        return OK

    def read(self, slot: int, args: Sequence[bytes], now_ms: int) -> Reply:
        return self.execute(slot, args, now_ms)

    def advance(self, now_ms: int, expire_max: int) -> None:
        self.now_ms = now_ms

    @property
    def next_expiry_ms(self) -> float:
        return math.inf

    def apply(self, payload: bytes) -> list[Reply]:
        self.now_ms, _, _, commands, _ = decode_batch(payload)
        return [self.execute(slot, args, self.now_ms) for slot, args in commands]

    light = WEIGHTLESS.light

    def weights(self) -> Weightless:
        return WEIGHTLESS

    def snapshot(self) -> Iterator[bytes]:
        return iter([b"list", *self.values])

    def size_estimate(self) -> int:
        return 4 + sum(map(len, self.values))

    @staticmethod
    def restore(chunks: Iterable[bytes]) -> "ListMachine":
        first, *values = chunks
        if first != b"list":
            raise ValueError("not a list")
        return ListMachine(values)


class _Unlimited(Budget):
    def spend(self, size: int) -> bool:
        return True


class Incarnations(dict[str, str]):
    """Everybody's newest: the one that is linked.  Most have none; what a link loses is up to
    links.py."""

    def get(self, node: str, default: object = None) -> str:
        return super().get(node, "")


class Replica:
    """One member: a group, its write set, and what its messages wait for."""

    def __init__(self, cluster: "Cluster", name: str, names: Sequence[str], disk: Disk):
        """``names``: the members with whom its log begins, if it is not on the disk; without
        any it is one that the leader may take in."""
        self.name, self._cluster, self.disk = name, cluster, disk
        self.disk_is_held = False
        self.writes = WriteSet()
        self._outgoing = Outgoing(cluster.incarnations)
        self._snapshots: list[SnapshotWrite] = []  # that wait for the disk
        self.warnings: list[str] = []  # that its slave has written into its log
        self.journal = Log(GROUP, self.writes)
        if not self.journal.load(disk):
            if names:
                self.journal.begin(names)
            else:
                self.journal.join()
            self._commit(self.writes.take())
        machine = ListMachine()
        if self.journal.meta.snapshot_index > 1:
            chunks = disk.read(GROUP, self.journal.meta.snapshot_index)
            machine = ListMachine.restore(chunks)
        self.outbox = Outbox()
        self.group = Group(
            cluster.now,
            name,
            self.journal,
            machine,
            ListMachine.restore,
            random.Random(name),
            Surroundings(
                GroupOptions(
                    heartbeat_s=PERIOD_S,
                    election_timeout_s=TIMEOUT_S,
                    unknown_after_s=UNKNOWN_AFTER_S,
                    snapshot_log_bytes=1 << 20,
                    batch_bytes_max=1 << 20,
                    transaction_ms_max=500,
                    queue_max=100,
                    queue_bytes_max=1 << 20,
                ),
                self.outbox,
                _Unlimited(cluster.now, 1),
            ),
        )
        self.member = self.group.member

    def collect(self) -> None:
        """What ``Core`` does with what the group wants done."""
        self._outgoing.collect(self.outbox)
        self._send()
        given_up = [*self.outbox.handed_back, *self.outbox.overwritten]
        self.outbox.handed_back, self.outbox.overwritten = [], []
        for _, calls in given_up:
            for call in calls:
                assert not call.was_handed_back, "handed back twice"
                call.was_handed_back = True
        self.outbox.changed.clear()

    def _send(self) -> None:
        """What may leave by now."""
        output = self._outgoing.take()
        self._snapshots += output.snapshots
        self.warnings += [str(e) for e in output.said if e.event.level == "warning"]
        for node, messages in output.messages.items():
            incarnation = self._cluster.incarnations.get(node)
            peer = member(node, incarnation) if incarnation else node
            for message in messages:
                broken = broken_promise(self.disk, self.name, peer, message)
                assert not broken, broken
                self._cluster.sent(self.name, peer, message)

    def _take(self) -> tuple[int, list] | None:
        for sequence, put in self.writes.take_large():
            self.writes.large_written(sequence, put)
        return self.writes.take()

    def _commit(self, taken: tuple[int, list]) -> None:
        """Put a write set on the disk."""
        sequence, operations = taken
        self.disk.commit(operations)
        self.writes.on_disk(sequence)
        self.journal.on_durable()

    def turn(self) -> None:
        """What ``Core.flush`` does after anything happened."""
        self.group.tick(self._cluster.now)
        self.group.pump(self._cluster.now, WALL_MS, may_write=True)
        self.collect()
        while not self.disk_is_held and (taken := self._take()) is not None:
            self._commit(taken)
            self._outgoing.more_is_on_disk(self.writes.is_on_disk)
            self._send()
            self.group.tick(self._cluster.now)
            self.collect()
        while self._snapshots and not self.disk_is_held:
            write = self._snapshots.pop(0)
            done = write.run(
                lambda chunks, write=write: self.disk.write(GROUP, write.index, chunks)
            )
            self.group.snapshot_written(self._cluster.now, done)
            self.turn()

    @property
    def term(self) -> int:
        return self.member.term

    @property
    def leads(self) -> bool:
        return self.member.is_leader

    @property
    def log(self) -> list[tuple[bytes, int, int]]:
        return list(self.journal.entries)

    @property
    def last_index(self) -> int:
        return self.journal.last_index

    @property
    def names(self) -> str:
        """Of the members of its group, as it knows them."""
        return " ".join(self.member.members)

    @property
    def commit_index(self) -> int:
        return self.member.commit_index

    @property
    def applied_index(self) -> int:
        return self.member.applied_index

    @property
    def values(self) -> list[str]:
        return [value.decode() for value in self.group.machine.values]

    def be_patient(self) -> None:
        """Its own election timeout begins now."""
        self.member._elections.set_deadline(self._cluster.now + TIMEOUT_S)

    def match_index(self, peer: str) -> int:
        return self.member.match_index(peer)


class Cluster(Links):
    """Our members.  Each keeps its disk when it starts again."""

    def __init__(self, names: str = "abc", disks: dict[str, Disk] | None = None):
        super().__init__()
        self.now = 1000.0
        self.incarnations = Incarnations()
        self.disks = disks or {name: Disk(random.Random(name), name) for name in names}
        for name in names:
            self.start(name, names)

    def start(self, name: str, names: Iterable[str] = ()) -> Replica:
        """Start a member (again): its log is on its disk, or begins with ``names``, or is that of
        one that joins."""
        node, _, incarnation = name.partition("/")
        self.incarnations[node] = incarnation
        disk = self.disks.setdefault(name, Disk(random.Random(name), name))
        self.members[name] = Replica(self, name, sorted(names), disk)
        for other in self.members:
            if other != name:
                self.cuts.discard(frozenset((name, other)))
                self._report_both(name, other, up=True)
        return self.members[name]

    def ask_to_leave(self, name: str) -> None:
        """The map does not want it: the question is on its way to all."""
        member = self[name].member
        member._membership._ask_to_leave_at = self.now  # not too soon after the last time
        member.ask_to_leave(self.now)
        self[name].turn()

    def forget(self, name: str, removed_at: int = 0) -> Replica:
        """It was let go (at that index, without being asked), closes the group, and opens it again:
        as ``OpenGroups`` does."""
        member = self[name]
        member.group.close(self.now)
        member.journal.retire(removed_at or member.member.removed_at)
        member.disk.commit(member.writes.take()[1])
        return self.start(name)

    def hand_over(self, sender: str, receiver: str, message: m.Message) -> None:
        checked = m.check(msgpack.unpackb(msgpack.packb(message)))
        self[receiver].group.receive(self.now, sender, checked)
        self[receiver].turn()

    def report(self, name: str, other: str, up: bool) -> None:
        if up:
            self[name].group.link_up(self.now, other)
        else:
            self[name].group.link_down(self.now, other, 0.1)
        self[name].collect()

    def kind(self, message: m.Message) -> int:
        return message[1]

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def tick_one(self, name: str) -> None:
        self[name].turn()

    def stand(self, name: str) -> None:
        """Its election timeout is over; it asks whether it may stand."""
        self[name].member.stand_at_once(self.now)
        self.tick(name, after_s=0.001)

    def elect(self, name: str, *voters: str) -> None:
        """As in plain.py, pre-votes first; the voters have not heard a leader for a while."""
        assert not self[name].leads, f"{name} leads already"
        voters = voters or tuple(other for other in self.members if other != name)
        self.pass_time(TIMEOUT_S * 1.01)
        for voter in voters:
            if self[voter].leads:  # without a majority, so it steps down
                self.tick_one(voter)
            self[voter].be_patient()
        self.stand(name)
        for _ in range(2):
            for voter in voters:
                self.deliver(name, voter)
            for voter in voters:
                self.deliver(voter, name)
        assert self[name].leads, f"{name} was not elected"

    def write(self, name: str, value: str) -> Outcome:
        """Append a write at the leader, as plain.py does: without the group's queue."""
        outcome = Outcome()
        payload = encode_batch(WALL_MS, [(0, [b"PUT", value.encode()])], 0, (0, 0))
        self[name].member.propose(self.now, payload, outcome.settled)
        self[name].turn()
        return outcome

    def ask(self, name: str, *args: bytes) -> Asked:
        """A client's command at the leader, through the group's queue."""
        call = Asked(*args)
        self[name].group.submit(call)
        self[name].turn()
        return call

    def reconcile(
        self, name: str, wanted: Iterable[str], epoch: int = 2, *, answering: str | None = None
    ) -> None:
        """What ``Core`` does in each of its ticks: one step towards the wanted members.  Of those
        that are linked these (all) answer at once that they live, before anything else arrives."""
        member, wanted = self[name].member, tuple(wanted)
        member.reconcile(self.now, epoch, wanted)
        if member._membership._change_asked is not None:
            linked = member._state.connected
            answering = linked if answering is None else linked & {*answering}
            for peer in answering & member._state.followers.keys():
                member._state.followers[peer].answered(self.now, member.round, 0)
        if member.reconcile(self.now, epoch, wanted):  # as Core does
            member.transfer_leadership(self.now, wanted)
        self[name].turn()

    def change(self, name: str, wanted: Iterable[str], *running: str, epoch: int = 2) -> list:
        """Step by step until the wanted are the members; returns all the steps, as strings."""
        wanted, running = tuple(wanted), running or tuple(self.members)
        steps = [self[name].names]
        for _ in range(STEPS_MAX):
            self.reconcile(name, wanted, epoch)
            if self[name].names != steps[-1]:
                steps.append(self[name].names)
            if set(self[name].member.members) == set(wanted):
                self.settle(*running)
                return steps
            self.run(PERIOD_S, *running)
        raise AssertionError(f"the members do not become {wanted}: {steps}")

    def compact(self, name: str) -> None:
        """Make a snapshot of what is applied and forget the log before it."""
        member = self[name]
        index, term = member.applied_index, member.journal.term_at(member.applied_index)
        member.disk.write(GROUP, index, member.group.machine.snapshot())
        member.journal.compact(index, index, term)
        member.turn()


__all__ = ["ELECTION_S", "GROUP", "Cluster", "Fate", "ListMachine", "replication"]
