"""The snapshots of one group: its own, those that it sends as a leader, those that it receives.

- Its own is taken when the log has grown enough; when it is on disk the log is cut behind it, but
  for a tail that spares followers which were away for a moment a whole snapshot.
- A follower whose next entry is not in the log any more gets the leader's state of that moment, in
  chunks (snapshot_transfer.py).  The log since then is kept for it until it has caught up, within
  bounds.
- One that is received is decoded and made durable off the event loop; the old state serves until
  then.  One that is not newer than what is applied is refused.  A damaged one is not installed: its
  sender is told so, and begins anew.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from distrodb.errors import invariant
from distrodb.raft import messages as m
from distrodb.raft.interfaces import Copying, GroupOptions, Machine, SnapshotDone, SnapshotWrite
from distrodb.raft.log import Configuration, Log
from distrodb.raft.member import Member
from distrodb.raft.outbox import Outbox
from distrodb.raft.snapshot_transfer import Budget, CatchingUp, SnapshotReceiver, SnapshotSender

LOG_ENTRIES_MAX = 100_000  # a snapshot is due by then however small they are: bounds a restart
# While the state is copied the log since is kept: so many times snapshot_log_bytes, or the state;
# beyond, the copy begins anew.
COPY_LOGS_MAX = 16
COPY_STATES_MAX = 4  # as long as writes are no faster than four times the copying
TAIL_FRACTION = 4  # a quarter of the log's bytes stays behind a snapshot, for followers that lag


@dataclass(frozen=True, slots=True)
class _Received:
    """A leader's snapshot whose last chunk is here; it is being decoded and made durable."""

    write: SnapshotWrite
    configuration: Configuration
    sender: str
    term: int  # of its sender
    transfer: int


class Snapshots:
    def __init__(
        self,
        member: Member,
        log: Log,
        options: GroupOptions,
        outbox: Outbox,
        budget: Budget,
        restore: Callable[[Iterable[bytes]], Machine],
        patience_s: float,
    ):
        self._member, self._log, self._options = member, log, options
        self._outbox, self._budget, self._restore = outbox, budget, restore
        self._patience_s = patience_s  # without progress of a follower, then it begins anew
        self._senders: dict[str, SnapshotSender] = {}
        self._catching_up = CatchingUp()
        self._receiver: SnapshotReceiver | None = None
        self._received: _Received | None = None
        self._taken: SnapshotWrite | None = None  # our own, on its way to the disk
        self._newest_bytes = 0  # of our newest one that was written in this life
        self._tail_bytes = 0  # of the log that stayed behind it

    @property
    def is_under_way(self) -> bool:
        """Snapshots are sent, or followers have one and need the log since: time moves these."""
        return bool(self._senders or self._catching_up or self._member.needs_snapshot)

    def asked_for(self, written: SnapshotWrite) -> bool:
        """This group asked for it, not one of the same number that is closed since."""
        return written is self._taken or (
            self._received is not None and written is self._received.write
        )

    def tick(self, now: float, machine: Machine) -> bool:
        """True while snapshots ``is_under_way``."""
        is_under_way = self.is_under_way
        if is_under_way:
            self._send(now, machine)
            if self._catching_up:
                self._catching_up.look(now, self._member.backlog, self._patience_s)
            is_under_way = self.is_under_way
        self._take_if_due(machine)
        return is_under_way

    # -- our own -----------------------------------------------------------------------------

    def _take_if_due(self, machine: Machine) -> None:
        if self._taken is not None or self._received is not None:
            return
        log, index = self._log, self._member.applied_index
        fresh = index - log.meta.snapshot_index
        # A large state is not written again for a small log: at most three bytes for each new one.
        full = max(self._options.snapshot_log_bytes, self._newest_bytes // 2)
        if fresh > 1 and (log.bytes - self._tail_bytes >= full or fresh >= LOG_ENTRIES_MAX):
            chunks = machine.snapshot()
            self._taken = SnapshotWrite(log.group, index, self._term_at(index), chunks)
            self._outbox.snapshots.append(self._taken)

    def written(self, now: float, done: SnapshotDone) -> Machine | None:
        """It is durable (file and directory).  Returns the state to go on with, if it came from a
        leader and is installed."""
        received = self._received
        if received is not None and done.write is received.write:
            self._received = None
            if done.machine is None:
                self._refuse(received, done.damage)
                return None
            return self._install(now, received, done.machine)
        self._taken = None
        self._newest_bytes = done.size
        self._outbox.counts.snapshots_taken += 1
        self._outbox.say("snapshot_taken", self._log.group, bytes=done.size)
        if done.write.index >= self._log.meta.snapshot_index:
            self._cut_log(done.write)
        return None

    def _cut_log(self, written: SnapshotWrite) -> None:
        log, index = self._log, written.index
        keep, size = index, 0
        bytes_max = self._options.snapshot_log_bytes // TAIL_FRACTION
        while keep > log.first_index and size < bytes_max:
            size += len(log.entries[keep - log.first_index][0])
            keep -= 1
        keep = max(min([keep, *self._needed_from(index)]), log.first_index)
        self._tail_bytes = sum(len(command) for command, _, _ in log.between(keep + 1, index))
        log.compact(keep, index, written.term)

    def _needed_from(self, index: int) -> list[int]:
        """What followers that are being brought up need of the log begins behind these.  One that
        would need more of it than memory is for begins anew, with the state as it is then."""
        log = self._log
        needed = {peer: sender.index for peer, sender in self._senders.items()}
        for peer in self._catching_up:
            needed[peer] = log.last_index - self._member.backlog(peer)
        bytes_max = max(
            COPY_LOGS_MAX * self._options.snapshot_log_bytes, COPY_STATES_MAX * self._newest_bytes
        )
        for peer, begin in list(needed.items()):
            kept = log.between(max(begin + 1, log.first_index), index)
            if sum(len(command) for command, _, _ in kept) > bytes_max:
                del needed[peer]
                self._senders.pop(peer, None)
                self._catching_up.let_go(peer)
        return list(needed.values())

    # -- sending -----------------------------------------------------------------------------

    def _send(self, now: float, machine: Machine) -> None:
        member, needy = self._member, self._member.needs_snapshot
        for peer in [p for p in self._senders if p not in needy]:
            del self._senders[peer]  # it has the snapshot, or is none of ours any more
            self._catching_up.begin(now, peer)
        self._budget.refill(now)
        for peer in needy:
            sender = self._senders.get(peer)
            if sender is None or sender.is_stalled(now, self._patience_s):
                sender = self._senders[peer] = self._begin_to_send(now, machine, sender)
                self._outbox.counts.snapshots_begun += 1
                to, size = peer.partition("/")[0], sender.bytes_total
                self._outbox.say("snapshot_sent", self._log.group, slave=to, bytes=size)
            for fields in sender.due(self._budget.spend):
                member.emit(peer, m.SNAPSHOT, member.term, *fields)

    def _begin_to_send(
        self, now: float, machine: Machine, before: SnapshotSender | None
    ) -> SnapshotSender:
        index = self._member.applied_index
        configuration = replace(self._log.configuration_at(index), index=index)
        term, size = self._term_at(index), machine.size_estimate()
        return SnapshotSender(now, configuration, term, machine.snapshot(), size, before)

    def on_ack(self, now: float, peer: str, term: int, transfer: int, expected: int) -> None:
        sender = self._senders.get(peer)
        if sender is not None and self._member.is_leader and term == self._member.term:
            sender.on_ack(now, transfer, expected)

    def copying(self) -> list[Copying]:
        """The snapshots that are on their way from this leader."""
        senders = sorted(self._senders.items())
        return [Copying(peer, sender.bytes_done, sender.bytes_total) for peer, sender in senders]

    def _term_at(self, index: int) -> int:
        term = self._log.term_at(index)
        invariant(term is not None, "an applied entry is not in the log")
        return term or 0

    # -- receiving -----------------------------------------------------------------------------

    def on_snapshot(
        self,
        now: float,
        peer: str,
        term: int,
        transfer: int,
        sequence: int,
        index: int,
        index_term: int,
        members: list[Any],
        chunk: bytes,
        is_last: bool,
    ) -> None:
        """A chunk came.  Cures: a snapshot installed without checking that it is newer, and a
        damaged one swallowed."""
        member = self._member
        if not member.follow(now, peer, term):
            return
        if index <= member.applied_index:
            self._receiver = None
            member.acknowledge(peer, member.applied_index)
            return
        if self._received is not None:
            return
        if sequence == 0:
            self._receiver = SnapshotReceiver(peer, transfer)
        receiver = self._receiver
        if receiver is None or not receiver.add(peer, transfer, sequence, chunk):
            return
        member.emit(peer, m.SNAPSHOT_ACK, term, transfer, receiver.expected)
        if not is_last:
            return
        self._receiver = None
        configuration = Configuration(index, members[0], tuple(members[1]))
        write = SnapshotWrite(self._log.group, index, index_term, receiver.chunks, self._restore)
        self._received = _Received(write, configuration, peer, term, transfer)
        self._outbox.snapshots.append(write)

    def _refuse(self, received: _Received, damage: str) -> None:
        """It is damaged: its sender, which believes that it is being decoded, begins anew."""
        self._outbox.counts.snapshots_refused += 1
        node, _, _ = received.sender.partition("/")
        self._outbox.say("snapshot_refused", self._log.group, slave=node, damage=damage)
        self._member.emit(received.sender, m.SNAPSHOT_ACK, received.term, received.transfer, 0)

    def _install(self, now: float, received: _Received, machine: Machine) -> Machine | None:
        member = self._member
        is_installed = member.install(now, received.write.term, received.configuration)
        if is_installed:
            self._tail_bytes = 0
            self._outbox.counts.snapshots_installed += 1
            sender = received.sender.partition("/")[0]
            self._outbox.say("snapshot_installed", self._log.group, slave=sender)
        member.acknowledge(received.sender, member.applied_index)
        return machine if is_installed else None

    # -- changes -------------------------------------------------------------------------------

    def role_changed(self) -> None:
        """Called with each change of role, leader or term."""
        if not self._member.is_leader:
            self._senders.clear()
            self._catching_up.clear()
        # Another leader begins anew.  One that is merely late goes on: on a slow link a chunk takes
        # longer than an election timeout.
        if self._receiver and self._member.leader not in (None, self._receiver.sender):
            self._receiver = None

    def link_lost(self, peer: str) -> None:
        self._senders.pop(peer, None)
        if self._receiver is not None and self._receiver.sender == peer:
            self._receiver = None  # another leader begins anew
