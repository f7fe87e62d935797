"""One Raft group on one slave: engine, state machine, and the queue of clients' commands.

Commands for a group wait in one queue, in the order in which they came.  One batch at a time is
under way: when it holds a write, its writes become one log entry, and its reads are answered
between them when the entry is applied; when it holds reads alone, one heartbeat round to a
majority confirms that this member still leads (read index, thesis 6.4), and they are answered from
memory.  The next batch gathers meanwhile: that is group commit.

Invariants:
- a command is answered exactly once, and a connection sees its own writes in its own order;
- a command that was never proposed is handed back (``hand_back``): it surely did not happen;
- a write that was proposed and whose fate is not learnt is answered UNKNOWN, never retryably.

Caveat: a read waits for the write batch in front of it, even one of another key.
"""

import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from distrodb.errors import InvariantViolation
from distrodb.keyspace.entry import encode_batch
from distrodb.raft import messages as m
from distrodb.raft.interfaces import Copying, GroupOptions, Machine, Request, SnapshotWrite
from distrodb.raft.journal import Configuration, Journal
from distrodb.raft.member import FAIL_REASON, Member
from distrodb.raft.transfer import CatchingUp, SnapshotReceiver, SnapshotSender
from distrodb.resp.reply import error

LOG_ENTRIES_MAX = 100_000  # a snapshot is due by then however small they are: bounds a restart
HAND_OVER_S = 0.5  # a leader takes no commands for so long at most while it hands over
HAND_OVER_AGAIN_S = 5.0  # after one that came to nothing: clients have waited for it
COMMIT_NEWS_S = 0.02  # until followers of an idle group learn what is committed: their copies' age
# While the state is copied the log since is kept: so many times snapshot_log_bytes, or the state.
COPY_LOGS_MAX = 16
COPY_STATES_MAX = 4  # as long as writes are no faster than four times the copying
TAIL_FRACTION = 4  # a quarter of the log's bytes stays behind a snapshot, for followers that lag


class _Batch:
    __slots__ = ("given_up_at", "now_ms", "position", "requests", "round")

    def __init__(self, requests: list[Request]):
        self.requests = requests
        self.position: tuple[int, int | None] | None = None  # (index, term) of its entry
        self.now_ms = 0
        self.round = 0
        self.given_up_at: float | None = None


class _Received:
    """A leader's snapshot whose last chunk is here."""

    def __init__(self, configuration: Configuration, term: int, sender: str):
        self.configuration, self.term, self.sender = configuration, term, sender
        self.machine: Machine | None = None

    def is_at(self, index: int, term: int) -> bool:
        return (self.configuration.index, self.term) == (index, term)

    def chunks(
        self, chunks: list[bytes], restore: Callable[[Iterable[bytes]], Machine]
    ) -> Iterator[bytes]:
        """For whoever writes it: a large state is decoded there, not on the event loop."""
        with contextlib.suppress(ValueError):
            self.machine = restore(chunks)
            yield from chunks


UNKNOWN = error(
    "UNKNOWN",
    "the leader changed while this write was under way: it may or may not have happened;"
    " read before you write again",
)


class Group:
    def __init__(
        self,
        now: float,
        group: int,
        member: str,
        journal: Journal,
        machine: Machine,
        restore: Callable[[Iterable[bytes]], Machine],
        options: GroupOptions,
        generator: random.Random,
        send: Callable[[str, m.Message, int], None],
        write_snapshot: Callable[[SnapshotWrite], None],
        hand_back: Callable[["Group", Sequence[Request]], None],
        on_state: Callable[["Group"], None],
        may_copy: Callable[[int], bool],
    ):
        self.id, self.machine = group, machine
        self.options = options
        self.journal = journal
        self._restore = restore
        self._write_snapshot, self._hand_back, self._on_state = write_snapshot, hand_back, on_state
        self._may_copy = may_copy
        self._hand_over_until = 0.0
        self._hand_over_to: Sequence[str] = ()
        self._hand_over_next_at = 0.0
        self._hand_over_again_at = 0.0
        self._queue: deque[Request] = deque()
        self._queue_bytes = 0
        self._batch: _Batch | None = None
        self._abandoned: list[_Batch] = []  # write batches of a lost leadership, fate not yet known
        self._senders: dict[str, SnapshotSender] = {}
        self._catching_up = CatchingUp()
        self._receiver: SnapshotReceiver | None = None
        self._received: _Received | None = None  # being decoded and made durable
        self._snapshot_under_way = False
        self._writes: list[SnapshotWrite] = []  # that were handed out
        self._snapshot_bytes = 0  # of the newest one that was written in this life
        self._tail_bytes = 0  # of the log that stayed behind it
        self.member = Member(
            now,
            group,
            member,
            journal,
            heartbeat_s=options.heartbeat_s,
            election_timeout_s=options.election_timeout_s,
            generator=generator,
            apply=self._apply,
            send=send,
            on_state=self._state_changed,
        )

    # -- clients -----------------------------------------------------------------------------

    def submit(self, request: Request) -> None:
        """Queue a command; the caller has seen that this member leads."""
        if (
            len(self._queue) >= self.options.queue_max
            or self._queue_bytes >= self.options.queue_bytes_max
        ):
            request.resolve(
                error("TRYAGAIN", f"partition {self.id} has {len(self._queue)} commands waiting")
            )
            return
        self._queue.append(request)
        self._queue_bytes += request.size

    @property
    def is_busy(self) -> bool:
        return self._batch is not None

    @property
    def is_idle(self) -> bool:
        return self._batch is None and not self._queue

    @property
    def is_waiting(self) -> bool:
        """Commands wait, and a batch could be started."""
        is_free = self._batch is None and not self._hand_over_to
        return bool(self._queue) and is_free and self.member.is_ready

    def hand_over(self, now: float, to: Sequence[str]) -> bool:
        """Let the first of these who has the whole log lead (thesis 3.10), if one is near it: True.
        Meanwhile commands wait; if it comes to nothing within ``HAND_OVER_S`` this member goes on
        leading, and does not try again before ``HAND_OVER_AGAIN_S``, however often it is asked."""
        if not self.member.is_leader or self._hand_over_to or now < self._hand_over_again_at:
            return False
        if not any(self.member.is_near(peer) for peer in to):
            return False
        self._hand_over_until, self._hand_over_to = now + HAND_OVER_S, to
        self._hand_over_next_at = now
        self._go_on_handing_over(now)
        return True

    def _go_on_handing_over(self, now: float) -> None:
        if now >= self._hand_over_until:
            self._hand_over_to = ()
            self._hand_over_again_at = now + HAND_OVER_AGAIN_S
        elif self._batch is None and now >= self._hand_over_next_at:
            if self.member.transfer_leadership(now, self._hand_over_to):
                self._hand_over_next_at = now + self.options.heartbeat_s

    def pump(self, now: float, wall_ms: int) -> None:
        """Start the next batch if none is under way."""
        if self._batch is not None or not self._queue or not self.member.is_ready:
            return
        if now < self._hand_over_until:
            return
        requests: list[Request] = []
        size = 0
        writes = []
        queue = self._queue
        while queue and size < self.options.batch_bytes_max:
            request = queue.popleft()
            size += request.size
            requests.append(request)
            if request.is_write:
                writes.append((request.slot, request.args))
        self._queue_bytes -= size
        self._batch = batch = _Batch(requests)
        if writes:
            batch.now_ms = max(wall_ms, self.machine.now_ms)
            payload = encode_batch(batch.now_ms, writes)
            self.member.propose(now, payload, lambda _, reason: self._settled(batch, reason))
            batch.position = self.journal.last_index, self.member.term
        else:
            batch.round = self.member.start_round(now)
            self._answer_confirmed_reads()

    def _apply(self, index: int, payload: bytes) -> None:
        batch = self._batch
        if self._abandoned and (batch is None or batch.position is None):
            batch = self._abandoned[0]
        if batch is None or batch.position != (index, self.journal.term_at(index)):
            self.machine.apply(payload)
        else:
            self._apply_own(batch)

    def _apply_own(self, batch: _Batch) -> None:
        """Our own batch: the same writes as everywhere, with its reads in between."""
        machine, now_ms = self.machine, batch.now_ms
        machine.now_ms = now_ms
        for request in batch.requests:
            request.resolve(machine.execute(request.slot, request.args, now_ms))
        batch.requests = []
        if self._batch is batch:
            self._batch = None
        self.member.heartbeat_within(COMMIT_NEWS_S)

    def _settled(self, batch: _Batch, reason: int) -> None:
        """pysyncobj knows the fate of a batch: applied, overwritten, or hidden by a snapshot."""
        if batch in self._abandoned:
            self._abandoned.remove(batch)
        if self._batch is batch:
            self._batch = None
        if reason == FAIL_REASON.DISCARDED:
            self._hand_back(self, batch.requests)
        else:
            for request in batch.requests:
                request.resolve(UNKNOWN)
        batch.requests = []

    def _answer_confirmed_reads(self) -> None:
        batch = self._batch
        if batch is None or not batch.round or self.member.confirmed_round() < batch.round:
            return
        self._batch = None
        execute, now_ms = self.machine.execute, self.machine.now_ms
        for request in batch.requests:
            request.resolve(execute(request.slot, request.args, now_ms))

    def _lose_leadership(self) -> None:
        queued, self._queue, self._queue_bytes = list(self._queue), deque(), 0
        if self._batch is not None:
            if self._batch.round:
                queued = self._batch.requests + queued
            else:
                self._abandoned.append(self._batch)
            self._batch = None
        if queued:
            self._hand_back(self, queued)

    def _give_up_waiting(self, now: float) -> None:
        for batch in list(self._abandoned):
            if batch.given_up_at is None:
                batch.given_up_at = now + self.options.unknown_after_s
            elif now >= batch.given_up_at:
                self._abandoned.remove(batch)
                for request in batch.requests:
                    request.resolve(UNKNOWN)
                batch.requests = []

    # -- Raft --------------------------------------------------------------------------------

    def _state_changed(self) -> None:
        if not self.member.is_leader:
            self._lose_leadership()
            self._senders.clear()
            self._catching_up.clear()
            self._hand_over_until, self._hand_over_to, self._hand_over_again_at = 0.0, (), 0.0
        # Another leader begins anew.  One that is merely late goes on: on a slow link a chunk takes
        # longer than an election timeout.
        if self._receiver and self.member.leader not in (None, self._receiver.sender):
            self._receiver = None
        self._on_state(self)

    def is_due(self, now: float) -> bool:
        """Time alone asks for a tick."""
        is_under_way = self._abandoned or self._senders or self._hand_over_to
        return self.member.is_due(now) or bool(is_under_way)

    def tick(self, now: float) -> None:
        self.member.tick(now)
        self._give_up_waiting(now)
        self._answer_confirmed_reads()
        if self._hand_over_to:
            self._go_on_handing_over(now)
        self._send_snapshots(now)
        if self._catching_up:
            patience_s = self.member.conf.raftMaxTimeout * 2
            self._catching_up.look(now, self.member.backlog, patience_s)
        self._start_snapshot_if_due()

    def receive(self, now: float, peer: str, message: m.Message) -> None:
        kind = message[1]
        if kind == m.SNAPSHOT:
            self._on_snapshot(now, peer, *message[2:])
        elif kind == m.SNAPSHOT_ACK:
            sender = self._senders.get(peer)
            if sender is not None and self.member.is_leader and message[2] == self.member.term:
                sender.on_ack(now, message[3], message[4])
        else:
            self.member.receive(now, peer, message)

    def link_up(self, now: float, peer: str) -> None:
        self.member.link_up(now, peer)

    def link_down(self, now: float, peer: str, delay_s: float) -> None:
        self._senders.pop(peer, None)
        if self._receiver is not None and self._receiver.sender == peer:
            self._receiver = None  # another leader begins anew
        self.member.link_down(now, peer, delay_s)

    def close(self) -> None:
        """This slave is no member any more, and the group is dropped: answer whoever waits."""
        self._lose_leadership()
        for batch in self._abandoned:
            for request in batch.requests:
                request.resolve(UNKNOWN)
        self._abandoned = []

    # -- snapshots ---------------------------------------------------------------------------

    def _start_snapshot_if_due(self) -> None:
        if self._snapshot_under_way or self._received is not None:
            return
        journal, index = self.journal, self.member.applied_index
        fresh = index - journal.meta.snapshot_index
        # A large state is not written again for a small log: at most three bytes for each new one.
        full = max(self.options.snapshot_log_bytes, self._snapshot_bytes // 2)
        if fresh > 1 and (journal.bytes - self._tail_bytes >= full or fresh >= LOG_ENTRIES_MAX):
            term = self._term_at(index)
            self._snapshot_under_way = True
            self._begin_to_write(SnapshotWrite(self.id, index, term, self._counted_snapshot()))

    def _begin_to_write(self, write: SnapshotWrite) -> None:
        self._writes.append(write)
        self._write_snapshot(write)

    def asked_for(self, written: SnapshotWrite) -> bool:
        """This group asked for it, not one of the same number that is closed since."""
        return any(write is written for write in self._writes)

    def _counted_snapshot(self) -> Iterator[bytes]:
        chunks, self._snapshot_bytes = self.machine.snapshot(), 0

        def counted() -> Iterator[bytes]:
            for chunk in chunks:
                self._snapshot_bytes += len(chunk)
                yield chunk

        return counted()

    def _term_at(self, index: int) -> int:
        term = self.journal.term_at(index)
        if term is None:
            raise InvariantViolation("an applied entry is not in the log")
        return term

    def snapshot_written(self, now: float, written: SnapshotWrite) -> None:
        """It is durable (file and directory)."""
        index, term = written.index, written.term
        self._writes = [write for write in self._writes if write is not written]
        received = self._received
        if received is not None and received.is_at(index, term):
            self._received = None
            if received.machine is None:
                return  # damaged: its sender will notice that nothing comes of it, and begin anew
            if self.member.install(now, term, received.configuration):
                self.machine = received.machine
                self._tail_bytes = 0
            self.member.acknowledge(received.sender, self.member.applied_index, 0)
            return
        self._snapshot_under_way = False
        journal = self.journal
        if index < journal.meta.snapshot_index:
            return
        keep, size = index, 0
        bytes_max = self.options.snapshot_log_bytes // TAIL_FRACTION
        while keep > journal.first_index and size < bytes_max:
            size += len(journal.entries[keep - journal.first_index][0])
            keep -= 1
        keep = max(min([keep, *self._needed_from(index)]), journal.first_index)
        tail = journal.between(keep + 1, index)
        self._tail_bytes = sum(len(command) for command, _, _ in tail)
        journal.compact(keep, index, term)

    def _needed_from(self, index: int) -> list[int]:
        """What followers that are being brought up need of the log begins behind these.  One that
        would need more of it than memory is for begins anew, with the state as it is then."""
        journal = self.journal
        needed = {peer: sender.index for peer, sender in self._senders.items()}
        for peer in self._catching_up:
            needed[peer] = journal.last_index - self.member.backlog(peer)
        bytes_max = max(
            COPY_LOGS_MAX * self.options.snapshot_log_bytes, COPY_STATES_MAX * self._snapshot_bytes
        )
        for peer, begin in list(needed.items()):
            kept = journal.between(max(begin + 1, journal.first_index), index)
            if sum(len(command) for command, _, _ in kept) > bytes_max:
                del needed[peer]
                self._senders.pop(peer, None)
                self._catching_up.let_go(peer)
        return list(needed.values())

    def _send_snapshots(self, now: float) -> None:
        member = self.member
        if not member.needs_snapshot and not self._senders:
            return
        for peer in [p for p in self._senders if p not in member.needs_snapshot]:
            del self._senders[peer]  # it has the snapshot, or is none of ours any more
            self._catching_up.begin(now, peer)
        for peer in sorted(member.needs_snapshot):
            sender = self._senders.get(peer)
            if sender is not None and sender.is_stalled(now, member.conf.raftMaxTimeout * 2):
                sender = None
            if sender is None:
                index = member.applied_index
                configuration = replace(self.journal.configuration_at(index), index=index)
                sender = self._senders[peer] = SnapshotSender(
                    now,
                    configuration,
                    self._term_at(index),
                    self.machine.snapshot(),
                    self.machine.size_estimate(),
                )
            for fields in sender.due(self._may_copy):
                member.emit(peer, m.SNAPSHOT, member.term, *fields)

    def copying(self) -> list[Copying]:
        """The snapshots that are on their way from this leader."""
        senders = sorted(self._senders.items())
        return [Copying(peer, sender.bytes_done, sender.bytes_total) for peer, sender in senders]

    def _on_snapshot(
        self,
        now: float,
        peer: str,
        term: int,
        transfer: int,
        sequence: int,
        index: int,
        index_term: int,
        members: list,
        chunk: bytes,
        is_last: bool,
    ) -> None:
        """Cures: a snapshot installed without checking that it is newer, and a damaged one
        swallowed.  The old state serves until the new one is complete and durable."""
        member = self.member
        if not member.follow(now, peer, term):
            return
        if index <= member.applied_index:
            self._receiver = None
            member.acknowledge(peer, member.applied_index, 0)
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
        received = self._received = _Received(configuration, index_term, peer)
        chunks = received.chunks(receiver.chunks, self._restore)
        self._begin_to_write(SnapshotWrite(self.id, index, index_term, chunks))
