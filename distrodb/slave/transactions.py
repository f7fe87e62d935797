"""What one connection has queued behind MULTI and what it watches, until EXEC.  Pure.

Behind a MULTI each command is looked up, counted and checked for its keys as always, and queued; an
error there makes EXEC fail (EXECABORT).  EXEC sends all that a partition is to do as one command,
so it is one entry of its log, atomic and isolated; a transaction that only reads is one read.  What
the slave itself answers (PING, SELECT, CLIENT, …) runs when the partition has answered, in its
place among the replies: so it does not run when the transaction does not.

A WATCH goes to the partition's leader, behind what the connection has done, and its answer is kept
with the keys (keyspace/watched.py).  A transaction with watched keys is a write, whatever is in it:
the leader decides when it proposes it.

Limits: all that is queued is one command of the log, so it is bounded like one, in bytes and words.

Caveat: on whole partitions (DBSIZE, FLUSHALL) there can be no atomic command where a cluster has
more than one; there it is refused when it is queued.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import replace
from typing import NamedTuple, Protocol, TypeAlias

from distrodb.commands.acl_guard import CHANNEL, COMMAND, KEY, Guarding, Objection
from distrodb.commands.api import PENDING, Answer, Pending
from distrodb.commands.combine import Led
from distrodb.commands.command import Command
from distrodb.commands.databases import database_index
from distrodb.commands.scripts import SCRIPTING, as_caller
from distrodb.config import LimitsConfig
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.store import Store
from distrodb.keyspace.transaction import EXEC, EXEC_RO, WATCH, Condition, pack
from distrodb.raft.proposals import takes_too_long
from distrodb.resp.encode import encode
from distrodb.resp.parse import ARGUMENT_BYTES
from distrodb.resp.reply import NULL_ARRAY, OK, Encoded, ErrorReply, Reply, Status, error
from distrodb.ring.slots import slot_of
from distrodb.slave.maxmemory import OOM
from distrodb.slave.tracking import Tracker
from distrodb.slave.transaction_tracking import Ran, TransactionTracking

QUEUED = Status(b"QUEUED")
NOT_QUEUED = frozenset({"multi", "exec", "discard", "watch", "quit", "reset"})
ABORTED = error("EXECABORT", "Transaction discarded because of previous errors.")
NOT_ALLOWED = error("ERR", "Command not allowed inside a transaction")
OTHER_PARTITION = error("CROSSSLOT", "Watched keys are in another partition")
# By the name of the row: who runs a transaction expects one reply a command.
REFUSED_AT_EXEC = {
    "monitor": error("ERR", "MONITOR isn't allowed for DENY BLOCKING client"),
    "ssubscribe": error("ERR", "SSUBSCRIBE isn't allowed for a DENY BLOCKING client"),
}
WATCHED_MAX = 10_000  # keys of one connection; a leader keeps some more (keyspace/watched.py)
TOO_MANY_WATCHED = error("ERR", f"a connection cannot watch more than {WATCHED_MAX} keys")
# The place of a command whose words make no sense, so that no key is found: its handler says so.
ANYWHERE = -2
TRACKING = "client|tracking"
ON_TRACKING = frozenset({TRACKING, "client|caching"})  # they count from where they stand

CHANGED_RULES = (
    "ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This"
    " command is no longer allowed for the following reason:"
)
_WHY = {
    COMMAND: "no permission to execute the command or subcommand",
    KEY: "no permission to touch the specified keys",
    CHANNEL: "no permission to access one of the channels used as arguments to the command",
}

Divert: TypeAlias = Callable[[Command | None, list[bytes]], bool]


class TransactionSlave(Protocol):
    """What this needs of the slave (service.py)."""

    @property
    def limits(self) -> LimitsConfig: ...

    @property
    def databases(self) -> int:
        """How many there are."""

    @property
    def is_full(self) -> bool:
        """It holds more than ``maxmemory``: nothing more is queued."""

    def partition_of(self, slot: int) -> int: ...

    @property
    def crossslot(self) -> ErrorReply:
        """The answer where they may not."""

    def may_share(self, slots: Set[int]) -> bool:
        """Keys of these slots may be in one command, or one transaction."""

    def elsewhere(self, slot: int) -> ErrorReply | None:
        """Where to go instead, if another slave is known to lead it."""

    def only_partition(self) -> Led | None:
        """The one that holds all keys; None if there are several."""

    def copy_to_read(self, slot: int) -> Store | None:
        """The copy of a partition that is led elsewhere, for stale reads."""

    def ask(
        self, place: int, args: Sequence[bytes], is_write: bool, resolve: Callable[[Reply], None]
    ) -> None:
        """Let the partition of a place run a command of its machine."""


class TransactionSession(Protocol):
    """And of the session."""

    database: int
    is_readonly: bool
    tracker: Tracker | None  # of a client that caches what it reads
    # Asked for each command before it begins: whether it has answered it.
    divert: "Divert | None"

    @property
    def protocol(self) -> int: ...

    @property
    def slave(self) -> TransactionSlave: ...

    def answer(self, reply: Reply) -> None:
        """The reply to a command that does not begin."""

    def later(self) -> Callable[[Reply], None]: ...

    def note_write(self, partition: int) -> None:
        """The command that runs now writes."""

    guard: Guarding | None

    def took(self, us: float) -> None:
        """So long, about, it ran in this very turn; beyond a bound no more begin in it."""

    def run_inside(
        self, row: Command, args: Sequence[bytes], resolve: Callable[[Reply], None]
    ) -> Answer:
        """Run one of the slave's own commands as a part of the one that runs now."""


class _Queued(NamedTuple):
    row: Command
    args: list[bytes]
    database: int
    slot: int | None  # -1: several, or all; None: no partition is asked
    led: Led | None = None  # of a command on whole partitions

    @property
    def words(self) -> Sequence[bytes]:
        """What the partition gets."""
        if self.led is None or self.row.combine is None:
            return self.args
        return self.row.combine.parts(self.args, [self.led])[0][1]

    def whole(self, reply: Reply) -> Reply:
        """The reply to the client, from the partition's."""
        if self.led is None or self.row.combine is None or isinstance(reply, ErrorReply):
            return reply
        return self.row.combine.whole(self.args, [self.led], [reply])

    def refused(self, objection: Objection) -> "_Queued":
        reply = objection.reply
        if objection.about:
            reply = error("NOPERM", f"{CHANGED_RULES} {_WHY[objection.about]}")
        row = replace(self.row, handler=lambda *_: reply, scope="session", combine=None)
        return self._replace(row=row, slot=None, led=None)

    def run(self, session: TransactionSession, resolve: Callable[[Reply], None]) -> Answer:
        """Of one for which no partition is asked."""
        if self.row.name in REFUSED_AT_EXEC:
            return REFUSED_AT_EXEC[self.row.name]
        if self.led is None or self.row.combine is None:
            return session.run_inside(self.row, self.args, resolve)
        return self.row.combine.whole(self.args, [self.led], [])


class Transactions:
    def __init__(self, session: TransactionSession):
        self._session = session
        self._outer: Divert | None = None  # whoever was asked before the MULTI, and still is
        self._queue: list[_Queued] = []
        self._watched: dict[tuple[int, int, bytes], bytes] = {}  # database, slot, key: token
        self.is_open = False  # behind a MULTI
        self._has_failed = False  # a command could not be queued
        self._database = 0  # of the commands that follow, by a SELECT among those queued
        self._slots: set[int] = set()
        self._words = 0
        self.queued_bytes = 0  # of what is queued and watched

    @property
    def memory(self) -> int:
        """Bytes that all of this takes, about."""
        return self.queued_bytes + ARGUMENT_BYTES * (self._words + 4 * len(self._watched))

    def fail(self) -> None:
        """A command behind the MULTI was refused, so EXEC will be."""
        self._has_failed = self.is_open

    # -- MULTI, and what follows it ----------------------------------------------------------

    @property
    def queued(self) -> int:
        """How many commands; negative without a MULTI."""
        return len(self._queue) if self.is_open else -1

    def open(self) -> None:
        self.is_open = True
        self._database = self._session.database
        self._outer, self._session.divert = self._session.divert, self._divert

    def drop(self) -> None:
        """Forget what is queued and watched."""
        self._queue, self._slots = [], set()
        if self.is_open:
            self._session.divert, self._outer = self._outer, None
        self.is_open = self._has_failed = False
        self._words = 0
        self.unwatch()

    def _divert(self, row: Command | None, args: list[bytes]) -> bool:
        """Queue a command.  False: it runs, or its error is answered as everywhere."""
        if self._outer is not None and self._outer(row, args):
            self._has_failed = True
            return True
        found = None if row is None else row.subcommand(args)
        if found is None or not found.arity_ok(args):
            self._has_failed = True
            if found is not None and found.name == "exec":
                self.drop()
            return False
        if found.name in NOT_QUEUED:
            return False
        problem = self._put(found, args)
        if problem is not None:
            self._has_failed = True
        self._session.answer(QUEUED if problem is None else problem)
        return True

    def _put(self, row: Command, args: list[bytes]) -> ErrorReply | None:
        """Why it cannot be queued."""
        if "no_multi" in row.flags:
            return NOT_ALLOWED
        slot, led = None, None
        slots: set[int] = set()
        if row.is_on_keys:
            slots = {slot_of(key) for key in row.keys_of(args)}
            if problem := self._wrong_slots(row, slots):
                return problem
            slot = ANYWHERE if not slots else min(slots) if len(slots) == 1 else -1
        elif row.scope == "partition":
            slot, led = -1, self._session.slave.only_partition()
            if led is None or row.combine is None:
                what = "is on all partitions, so it cannot be part of a transaction"
                return error("ERR", f"'{row.name}' {what}")
            if not row.combine.parts(args, [led]):
                slot = None
        if self._session.slave.is_full:
            return OOM
        if self._has_failed:
            return None  # nothing of it will run
        self._slots |= slots
        queued = _Queued(row, args, self._database, slot, led)
        if row.name == "select":
            selected = database_index(args[1], self._session.slave.databases)
            if isinstance(selected, int):
                self._database = selected
        return self._keep(queued)

    def _wrong_slots(self, row: Command, slots: Set[int]) -> ErrorReply | None:
        slave = self._session.slave
        if not slots:
            return None
        if not slave.may_share(slots):
            return slave.crossslot
        slot = min(slots)
        reads_copy = self._session.is_readonly and not row.is_write
        if reads_copy and slave.copy_to_read(slot) is not None:
            return None
        return slave.elsewhere(slot)

    def _keep(self, queued: _Queued) -> ErrorReply | None:
        limits, size = self._session.slave.limits, sum(map(len, queued.args))
        self._words += len(queued.args) + 2
        self.queued_bytes += size
        if self._words > limits.arguments_max:
            return error("ERR", "the transaction exceeds arguments_max")
        if self.queued_bytes > limits.command_bytes_max:
            return error("ERR", "the transaction exceeds command_bytes_max")
        self._queue.append(queued)
        return None

    # -- WATCH -------------------------------------------------------------------------------

    def watch(self, keys: Sequence[bytes]) -> Answer:
        session = self._session
        slave, database = session.slave, session.database
        slots = {slot_of(key) for key in keys}
        if not slave.may_share(slots):
            self._has_failed = self.is_open
            return slave.crossslot
        if self.is_open:
            return error("ERR", "WATCH inside MULTI is not allowed")
        slot = min(slots)
        for _, watched_slot, _ in self._watched:  # all of them are in one partition
            if slave.partition_of(slot) != slave.partition_of(watched_slot):
                return OTHER_PARTITION
            break
        if len(self._watched) + len(keys) > WATCHED_MAX:
            return TOO_MANY_WATCHED
        resolve = session.later()

        def answered(reply: Reply) -> None:
            if isinstance(reply, bytes):
                for key in keys:  # what was watched before counts from then on
                    if self._watched.setdefault((database, slot_of(key), key), reply) is reply:
                        self.queued_bytes += len(key)
                reply = OK
            resolve(reply)

        slave.ask(place_of(database, slot), [WATCH, *keys], False, answered)
        return PENDING

    def unwatch(self) -> None:
        self._watched = {}
        self.queued_bytes = sum(len(word) for queued in self._queue for word in queued.args)

    # -- EXEC --------------------------------------------------------------------------------

    def execute(self) -> Answer:
        session, slave = self._session, self._session.slave
        queue, watched, slots = self._permitted(), self._watched, self._slots
        has_failed = self._has_failed
        self.drop()
        if not slave.may_share(slots):
            return slave.crossslot
        if has_failed:
            return ABORTED
        slot = min(slots, default=0)
        if watched:
            _, watched_slot, _ = next(iter(watched))
            if not slots:
                slot = watched_slot
            if slave.partition_of(slot) != slave.partition_of(watched_slot):
                return OTHER_PARTITION
        for_partition = [queued for queued in queue if queued.slot is not None]
        commands = [(_place(queued, slot), queued.words) for queued in for_partition]
        resolve = session.later()
        tracking = self._tracking(queue, slot)
        if tracking is not None:
            resolve = _followed(resolve, tracking)
        if not commands and not watched:
            _Assembly(session, queue, [], resolve, tracking).begin()
            return PENDING
        writes = any(queued.row.is_write for queued in for_partition)
        copy = None if writes or watched or not session.is_readonly else slave.copy_to_read(slot)

        def answered(reply: Reply) -> None:
            if isinstance(reply, list):
                _Assembly(session, queue, reply, resolve, tracking).begin()
            elif reply is None:
                resolve(NULL_ARRAY)
            else:
                resolve(reply)

        if copy is not None:
            words, place = [EXEC_RO, *pack(commands)], place_of(session.database, slot)
            cost_us = copy.weights().cost_us(place, words, 0)
            problem = takes_too_long(words, cost_us, slave.limits.transaction_ms_max)
            session.took(0.0 if problem else cost_us)
            answered(problem or copy.execute(place, words, copy.now_ms))
            return PENDING
        is_write = writes or bool(watched)
        if is_write:
            session.note_write(slave.partition_of(slot))
        conditions = [
            Condition(token, place_of(database, at), key)
            for (database, at, key), token in watched.items()
        ]
        name = EXEC if is_write else EXEC_RO
        words = [name, *pack(commands, conditions)]
        slave.ask(place_of(session.database, slot), words, is_write, answered)
        return PENDING

    def _permitted(self) -> list[_Queued]:
        """What is queued; in the place of what is not allowed any more stands why."""
        guard = self._session.guard
        if guard is None:
            return self._queue
        permitted = []
        for queued in self._queue:
            objection = guard.objection(queued.row, queued.args)
            if objection is not None:
                permitted.append(queued.refused(objection))
            elif queued.row.group == SCRIPTING and queued.row.is_on_keys:
                row, args = as_caller(queued.args, guard.rights)
                permitted.append(queued._replace(row=row, args=args))
            else:
                permitted.append(queued)
        return permitted

    def _tracking(self, queue: Sequence[_Queued], slot: int) -> TransactionTracking | None:
        """What is told of it to a client that caches what it reads, or begins to do so in it."""
        tracker = self._session.tracker
        if tracker is None and not any(queued.row.name == TRACKING for queued in queue):
            return None
        stretches: list[list[Ran]] = [[]]
        for queued in queue:
            if queued.slot is not None:
                stretches[-1].append((queued.row, _place(queued, slot), queued.args))
            elif queued.row.name in ON_TRACKING:
                stretches.append([])
        return TransactionTracking(tracker, stretches)


def _followed(
    resolve: Callable[[Reply], None], tracking: TransactionTracking
) -> Callable[[Reply], None]:
    def resolved(reply: Reply) -> None:
        resolve(reply)
        tracking.answered()

    return resolved


def _place(queued: _Queued, slot: int) -> int:
    """Of one that a partition runs; ``slot``: some slot of that partition."""
    at = slot if queued.slot is None or queued.slot == ANYWHERE else queued.slot
    return place_of(queued.database, at)


class _Assembly:
    """The reply to EXEC, from the partition's replies and those of the slave's own commands, which
    run now, one after another."""

    def __init__(
        self,
        session: TransactionSession,
        queue: Iterable[_Queued],
        replies: Sequence[Reply],
        resolve: Callable[[Reply], None],
        tracking: TransactionTracking | None,
    ):
        self._session, self._resolve, self._tracking = session, resolve, tracking
        self._queue: Iterator[_Queued] = iter(queue)
        self._all_replies = replies
        self._replies = iter(replies)
        self._whole: list[Reply] = []
        self._is_running = self._has_waited = False

    def begin(self) -> None:
        """Just when the partition has run its part."""
        if self._tracking is not None:
            self._tracking.ran(self._all_replies)
        self._follow()
        self.go_on()

    def _follow(self) -> None:
        if self._tracking is not None:
            self._tracking.go_on(self._session.tracker, self._has_waited)

    def go_on(self) -> None:
        for queued in self._queue:
            if queued.slot is not None:
                self._whole.append(queued.whole(next(self._replies)))
                continue
            count, protocol = len(self._whole), self._session.protocol
            self._is_running = True
            answer = queued.run(self._session, self._take)
            self._is_running = False
            if self._session.protocol != protocol:  # HELLO: what stands before it stays as it was
                self._whole = [Encoded(encode(reply, protocol)) for reply in self._whole]
            if not isinstance(answer, Pending):
                self._whole.append(answer)
            elif len(self._whole) == count:
                self._has_waited = True
                return  # its reply comes later
            if queued.row.name in ON_TRACKING:
                self._follow()
        self._resolve(self._whole)

    def _take(self, reply: Reply) -> None:
        """Of one that did not answer at once."""
        self._whole.append(reply)
        if not self._is_running:
            self.go_on()
