"""The queue of clients' commands of one group, and what becomes of them.

Commands wait in one queue, in the order in which they came.  One batch at a time is under way: when
it holds a write, its writes become one log entry, and its reads are answered between them when the
entry is applied; when it holds reads alone, one heartbeat round to a majority confirms that this
member still leads (read index, thesis 6.4), and they are answered from memory; with leases
(slave/leases.py) mostly at once.  The next batch gathers meanwhile: that is group commit.

Invariants:
- a command is answered exactly once, and a connection sees its own writes in its own order;
- a command that was never proposed is handed back: it surely did not happen;
- a batch of writes is never proposed twice: when the lead was lost, later commands of the same
  connections were handed back, and may have run elsewhere by now.  When another entry has taken the
  batch's place it surely did not happen, and is answered so;
- a write that was proposed and whose fate is not learnt is answered UNKNOWN, never retryably; so
  are the reads of its batch, which must not pass it; those of a batch without writes are handed
  back;
- what runs at once takes a bounded time, as far as it can be told before (keyspace/weights.py): a
  batch ends before a command that would make it take longer than ``BATCH_US``, and a transaction
  that would take longer than ``transaction_ms_max`` is refused, when it is the first of its batch;
- a transaction whose keys are watched is decided on when it is proposed (``_decide``), as the first
  write of its batch.  Nothing can come between that and its entry: no other batch is under way (a
  sweep and a tick are batches too) and this member is ready, so all commands of the log are
  applied; configurations change no key; that its own entry first removes what has expired counts.
  If the lead was lost by then, its entry is committed behind exactly this log, or never.

Time: an entry carries its leader's (steady_time.py).  A batch of reads is answered at the leader's
time too, which may be ahead of the newest entry's.  When nobody asks, an entry without commands
removes keys that have expired, a bounded number at a time.

Caveat: a read waits for the write batch in front of it, even one of another key.
"""

import math
from collections.abc import Sequence

from distrodb.commands.gateway import SKIP
from distrodb.errors import invariant
from distrodb.keyspace.context import Unsettled
from distrodb.keyspace.entry import Payload, encode_batch
from distrodb.keyspace.origins import NoReply
from distrodb.keyspace.transaction import EXEC, EXEC_RO, conditions_of, decided, is_undecided
from distrodb.raft.counts import Counts
from distrodb.raft.interfaces import Burst, GroupOptions, Machine, Marked, Request
from distrodb.raft.library import Fate
from distrodb.raft.log import Log
from distrodb.raft.member import Member
from distrodb.raft.request_queue import RequestQueue, singles
from distrodb.raft.steady_time import SteadyTime
from distrodb.resp.reply import ErrorReply, Reply, error

# Seconds between two entries that do nothing but remove expired keys; each costs a sync.  While
# more keys are left than one removes, the next one follows at once.
SWEEP_INTERVAL_S = 0.1
EXPIRE_MAX = 256  # keys that one entry removes: about a millisecond
# Microseconds that the commands of a batch may take to run, about; one that takes longer by itself
# goes alone.  Between two batches others have their turn.
BATCH_US = 50_000.0
# Words of the commands of a batch; each takes a microsecond, about, however few bytes it has.
BATCH_WORDS = 1 << 16

UNKNOWN = error(
    "UNKNOWN",
    "the leader changed while this write was under way: it may or may not have happened;"
    " read before you write again",
)


class _Batch:
    __slots__ = (
        "began_at",
        "expire_max",
        "given_up_at",
        "has_writes",
        "marks",
        "now_ms",
        "position",
        "requests",
        "round",
        "size",
    )

    def __init__(self, now: float, requests: list[Request | Burst]):
        self.began_at = now  # seconds
        self.requests: Sequence[Request | Burst] = requests
        self.has_writes = False  # commands; else its entry, if it has one, lets time pass only
        self.position: tuple[int, int] | None = None  # (index, term) of its entry
        self.now_ms = 0  # the leader's time when it was made, that of its entry
        self.expire_max = 0  # how many expired keys the entry removes
        self.size = 0  # bytes of all commands, about
        self.marks: Sequence[tuple[int, int, int, int]] = ()  # of its entry (keyspace/entry.py)
        self.round = 0  # the read round that confirms it, if it holds reads alone
        self.given_up_at = math.inf  # seconds: its leader has lost the lead, and waits so long


class Proposals:
    def __init__(self, group: int, options: GroupOptions, log: Log, counts: Counts):
        self._group, self._options, self._log = group, options, log
        self._counts = counts
        self._queue = RequestQueue(group, options)
        # The caller has seen that this member leads.
        self.submit, self.submit_burst = self._queue.submit, self._queue.submit_burst
        self._batch: _Batch | None = None
        # By (index, term) of their entries: the one under way, and those of a lost lead.
        self._proposed: dict[tuple[int, int], _Batch] = {}
        self._overwritten: list[Request] = []  # commands of such entries: surely not done
        self._may_be_marked = False  # some of the requests
        self._time: SteadyTime | None = None  # of this lead
        self._look_at = math.inf  # seconds: when to see whether keys have expired

    def submit_marked(self, request: Request) -> None:
        """The same for a command that may have run before."""
        self._may_be_marked = True
        self._queue.submit(request)

    @property
    def is_busy(self) -> bool:
        return self._batch is not None

    @property
    def awaits_answers(self) -> bool:
        """Reads are under way, which a majority has not confirmed yet."""
        batch = self._batch
        return batch is not None and batch.position is None

    @property
    def has_waiting(self) -> bool:
        return bool(self._queue)

    @property
    def has_reads_alone(self) -> bool:
        """Commands wait, and none of them is a write."""
        return bool(self._queue) and not self._queue.writes

    @property
    def look_at(self) -> float:
        """Seconds: when to ``pump`` though no command waits: a key expires."""
        return math.inf if self.is_busy else self._look_at

    @property
    def next_due(self) -> float:
        """Seconds: when a write whose fate is not learnt is answered."""
        proposed = self._proposed
        return min([batch.given_up_at for batch in proposed.values()]) if proposed else math.inf

    def pump(
        self, now: float, time_ms: int, may_write: bool, member: Member, machine: Machine
    ) -> None:
        """Start the next batch, or an entry that removes what has expired if one is due and it
        ``may_write``; the caller has seen that none is under way, and that it may."""
        if self._time is None:
            self._time = SteadyTime()
        time_ms = self._time.follow(now, max(time_ms, machine.now_ms))
        is_sweep = False
        if may_write and now >= self._look_at:
            left_s = (machine.next_expiry_ms - time_ms) / 1000
            is_sweep = left_s <= 0
            self._look_at = now + max(left_s, SWEEP_INTERVAL_S)
        if not (self._queue or is_sweep):
            return
        requests, size = self._take(time_ms, member, machine)
        if not (requests or is_sweep):
            return
        writes = _writes_of(requests)
        self._batch = batch = _Batch(now, requests)
        batch.now_ms, batch.size = time_ms, size
        if self._may_be_marked:
            batch.marks = _marks_of(requests)
        batch.has_writes = bool(writes)
        if writes or is_sweep:
            self._propose(now, batch, writes, member, machine)
        elif member.has_lease(now):
            self._answer_reads(now, batch, member, machine)
        else:
            batch.round = member.start_round(now)
            self.answer_confirmed_reads(now, member, machine)

    def _take(
        self, time_ms: int, member: Member, machine: Machine
    ) -> tuple[list[Request | Burst], int]:
        """The next batch, and its bytes."""
        requests: list[Request | Burst] = []
        queue = self._queue
        size = words = writes = 0
        took_us, weights = 0.0, None  # made for the first command that is to be weighed
        light, bytes_max = machine.light, self._options.batch_bytes_max
        while queue and size < bytes_max and words < BATCH_WORDS:
            request = queue[0]
            if isinstance(request, Burst):
                queue.drop_first()
                writes += len(request.writes)
                size += request.size
                words += request.words
                requests.append(request)
                continue
            if request.args[0] not in light:
                weights = weights or machine.weights()
                cost_us = weights.cost_us(request.place, request.args, size, request.is_write)
                problem = takes_too_long(request.args, cost_us, self._options.transaction_ms_max)
                if requests and (problem or took_us + cost_us > BATCH_US):
                    break
                if problem and not _stays(request, problem):
                    queue.drop_first()
                    request.resolve(problem)
                    weights = None  # these know of values that it will not make
                    continue
                took_us += cost_us
            if request.is_write:
                if request.args[0] == EXEC and is_undecided(request.args):
                    if writes:  # what they do to the watched keys is seen when they are applied
                        break
                    _decide(request, time_ms, member, machine)
                writes += 1
            queue.drop_first()
            size += request.size
            words += len(request.args)
            requests.append(request)
        return requests, size

    def _propose(
        self,
        now: float,
        batch: _Batch,
        writes: Sequence[tuple[int, Sequence[bytes]]],
        member: Member,
        machine: Machine,
    ) -> None:
        """Without writes it is a tick: an entry that lets time pass, and keys expire."""
        if machine.next_expiry_ms <= batch.now_ms:
            batch.expire_max = EXPIRE_MAX
        if writes:
            self._counts.batch_writes.add(len(writes))
        position = batch.position = self._log.last_index + 1, member.term
        self._proposed[position] = batch
        payload = encode_batch(
            batch.now_ms, writes, batch.expire_max, machine.limits, batch.size, batch.marks
        )
        at = member.propose(now, payload, lambda fate: self._settled(position, fate))
        invariant(at == position, "an entry is elsewhere than its commands wait")

    def apply(self, now: float, index: int, payload: Payload, machine: Machine) -> bool:
        """Apply a committed entry; True when it is one of ours, whose commands are answered."""
        position = index, self._log.term_at(index) or 0
        batch = self._proposed.pop(position, None)
        if batch is None:
            machine.apply(payload)
            return False
        # The same writes as everywhere, with the reads of the batch in between.
        next_expiry_ms = machine.next_expiry_ms
        machine.advance(batch.now_ms, batch.expire_max)
        now_ms = machine.now_ms
        if batch.marks:
            _execute_marked(batch, now_ms, machine)
        else:
            _execute(batch, now_ms, machine)
        is_sooner = machine.next_expiry_ms < next_expiry_ms
        if self._time is not None and (is_sooner or machine.next_expiry_ms <= now_ms):
            self._look_at = 0.0  # sooner than was known, or more are left to remove
        self._end(batch)
        if batch.requests:
            self._counts.write_us.add(int((now - batch.began_at) * 1e6))
        return True

    def _settled(self, position: tuple[int, int], fate: Fate) -> None:
        """An entry's fate is known.  One that was applied has been answered by ``apply``."""
        batch = self._proposed.pop(position, None)
        if batch is None:
            return
        invariant(fate is not Fate.APPLIED, "an entry was applied without an answer")
        self._end(batch)
        if fate is Fate.OVERWRITTEN:
            self._overwritten += singles(batch.requests)
        else:
            _answer_unknown(batch)

    def take_overwritten(self) -> list[Request]:
        """Commands whose entry gave way to another one: they surely did not happen."""
        overwritten, self._overwritten = self._overwritten, []
        return overwritten

    def answer_confirmed_reads(self, now: float, member: Member, machine: Machine) -> None:
        """At the time when their batch was made.  Where a reply depends on a key's expiry that no
        entry has come to yet, a tick is proposed first, and answers it when it is applied: so what
        was once seen expired never comes back, whatever the clock of the next leader says."""
        batch = self._batch
        if batch is None or not batch.round or batch.position is not None:
            return
        if member.confirmed_round() >= batch.round:
            self._answer_reads(now, batch, member, machine)

    def _answer_reads(self, now: float, batch: _Batch, member: Member, machine: Machine) -> None:
        """Nobody else has led when they were asked."""
        now_ms = max(batch.now_ms, machine.now_ms)
        if machine.next_expiry_ms > now_ms:  # nothing can be unsettled
            self._batch = None
            _execute(batch, now_ms, machine)
            self._counts.read_us.add(int((now - batch.began_at) * 1e6))
            return
        requests = batch.requests = singles(batch.requests)
        for number, request in enumerate(requests):
            reply = machine.read(request.place, request.args, now_ms)
            if isinstance(reply, Unsettled):  # what is behind it must not be older than it
                batch.requests, batch.now_ms = requests[number:], now_ms
                self._propose(now, batch, [], member, machine)
                return
            request.resolve(reply)
        self._batch = None
        self._counts.read_us.add(int((now - batch.began_at) * 1e6))

    def gain_leadership(self, now: float) -> None:
        self._look_at = now

    def lose_leadership(self, now: float) -> list[Request]:
        """What was not proposed, for another leader; what was waits for its fate."""
        queued = singles(self._queue.take_all())
        batch, self._batch = self._batch, None
        self._time, self._look_at = None, math.inf
        if batch is not None and not batch.has_writes:
            queued = singles(batch.requests) + queued
            if batch.position is not None:  # a tick or a sweep, whose fate concerns nobody
                del self._proposed[batch.position]
        for proposed in self._proposed.values():
            proposed.given_up_at = min(proposed.given_up_at, now + self._options.unknown_after_s)
        return queued

    def give_up(self, now: float) -> None:
        """Answer what has waited for its fate for too long."""
        if now < self.next_due:
            return
        for position, batch in list(self._proposed.items()):
            if now >= batch.given_up_at:
                del self._proposed[position]
                _answer_unknown(batch)

    def _end(self, batch: _Batch) -> None:
        if self._batch is batch:
            self._batch = None


def takes_too_long(args: Sequence[bytes], cost_us: float, limit_ms: int) -> ErrorReply | None:
    """The answer to a transaction that would."""
    if cost_us <= 1000 * limit_ms or args[0] not in (EXEC, EXEC_RO):
        return None
    return error(
        "EXECABORT",
        f"Transaction discarded because of: it would take some {cost_us / 1000:.0f} ms,"
        f" and transaction_ms_max is {limit_ms}",
    )


def _stays(request: Request, problem: ErrorReply) -> bool:
    """A transaction that takes too long goes on as what has no effect if it may have run before:
    the log knows, and its reply of then stands."""
    if not isinstance(request, Marked) or request.mark is None:
        return False
    request.args = [*SKIP, problem.text]
    return True


def _decide(request: Request, now_ms: int, member: Member, machine: Machine) -> None:
    """Whether a transaction whose keys are watched runs, at the moment when it is proposed."""
    invariant(member.is_settled, "watched keys may change before their transaction runs")
    holds = machine.watched.holds(conditions_of(request.args), now_ms)
    request.args = decided(request.args, holds)


def _writes_of(requests: Sequence[Request | Burst]) -> Sequence[tuple[int, Sequence[bytes]]]:
    """Places and words of those that write."""
    writes: list[tuple[int, Sequence[bytes]]] = []
    for request in requests:
        if isinstance(request, Burst):
            writes += request.writes
        elif request.is_write:
            writes.append((request.place, request.args))
    return writes


def _marks_of(requests: Sequence[Request | Burst]) -> Sequence[tuple[int, int, int, int]]:
    marks, number = [], 0  # of the next one that writes
    for request in requests:
        if isinstance(request, Burst):
            number += len(request.writes)
        elif request.is_write:
            if isinstance(request, Marked) and request.mark is not None:
                marks.append((number, *request.mark))
            number += 1
    return marks


def _execute(batch: _Batch, now_ms: int, machine: Machine) -> None:
    for request in batch.requests:
        if isinstance(request, Burst):
            request.resolve(machine.execute_all(request.commands, now_ms))
        else:
            request.resolve(machine.execute(request.place, request.args, now_ms))


def _execute_marked(batch: _Batch, now_ms: int, machine: Machine) -> None:
    for request in batch.requests:
        reply: Reply | NoReply
        if isinstance(request, Burst):
            request.resolve(machine.execute_all(request.commands, now_ms))
            continue
        if isinstance(request, Marked) and request.mark is not None:
            reply = machine.execute_once(request.mark, request.place, request.args, now_ms)
            if isinstance(reply, NoReply):
                request.fail(reply)
                continue
        else:
            reply = machine.execute(request.place, request.args, now_ms)
        request.resolve(reply)


def _answer_unknown(batch: _Batch) -> None:
    for request in batch.requests:
        if isinstance(request, Burst):
            request.resolve([UNKNOWN] * len(request.commands))
        elif isinstance(request, Marked):
            request.fail(NoReply.IN_DOUBT)
        else:
            request.resolve(UNKNOWN)
