"""One client's connection, without its socket: bytes in, commands, replies in order, bytes out.

``receive`` takes what the client has sent, ``take`` gives what is to be sent to it; in between a
command on keys goes to the core as a ``Call``, which the core resolves whenever it can.  A call's
place in the queue is taken when its command begins, so replies leave in the order of the commands,
exactly one each, in whatever order the partitions answer.

Two kinds of commands:
- those on keys of one slot run side by side, up to ``input_pending_max`` of one connection;
- all others (on the slave, the connection, whole partitions) run alone: when they begin all before
  them are answered, and those behind them begin when they are answered.  So nothing is answered
  from a state older than what the connection has done.  The same holds for a ``READONLY`` read that
  is answered from this slave's copy; the leader's copy is read through its group's queue.

Whoever owns a session (a socket's protocol, the simulator) gets ``wake`` called once when there is
something to take or to go on with; it then calls ``take`` and ``go_on``, not from within ``wake``
if it must not be entered twice.  No clock, socket or loop is known here.

What can wait or be pushed: a handler that returns ``PENDING`` keeps all commands behind it waiting
until its reply comes (a blocking command); ``push_now`` puts a message between the replies.

Limits, beside the parser's: commands under way (beyond, ``wants_input`` is False until they are
answered); bytes that are parsed at a time; bytes of replies that are not taken (replies.py).
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from itertools import islice
from typing import Protocol

from distrodb.commands.acl_guard import STRANGER, Guarding
from distrodb.commands.acl_user import DEFAULT
from distrodb.commands.api import PENDING, Answer, Client, Pending, SlaveApi
from distrodb.commands.command import Command
from distrodb.commands.error_replies import (
    not_for_subscribers,
    unknown_command,
    unknown_subcommand,
    wrong_arity,
)
from distrodb.commands.scripts import SCRIPTING, as_caller
from distrodb.config import LimitsConfig
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.weights import Weights
from distrodb.raft.interfaces import Request
from distrodb.raft.proposals import BATCH_US
from distrodb.resp.parse import ParserLimits
from distrodb.resp.reply import NULL_ARRAY, ErrorReply, Reply
from distrodb.ring.slots import share_slot, slot_of
from distrodb.slave.access import Access
from distrodb.slave.blocking import Blocking, Waiter
from distrodb.slave.burst import Part, share_out
from distrodb.slave.client_input import ClientInput
from distrodb.slave.copies import Copies, CopiesWait
from distrodb.slave.cross_protocol import HTTP, is_http
from distrodb.slave.features import Features
from distrodb.slave.monitors import Monitors
from distrodb.slave.pause import Pausing
from distrodb.slave.replies import Call, Replies
from distrodb.slave.statistics import Statistics
from distrodb.slave.subscriptions import CHANNEL, PATTERN, SHARD
from distrodb.slave.tracking import Tracker
from distrodb.slave.transactions import Transactions, TransactionSlave

# What a client may ask for in RESP2 while it has subscribed to something.
SUBSCRIBERS = frozenset(
    b"SUBSCRIBE SSUBSCRIBE PSUBSCRIBE UNSUBSCRIBE SUNSUBSCRIBE PUNSUBSCRIBE PING QUIT RESET".split()
)
# Of commands that wait, or are not whole, from a client that has not logged in where it must: it
# is closed beyond, so that nobody who may ask for nothing takes memory.
STRANGER_BYTES_MAX = 1 << 16
# Of commands behind one that waits: beyond, no more is read, so a client that goes is not noticed.
WAITING_BYTES_MAX = 1 << 20
# What may stand between a CLIENT CACHING and the read that it speaks of.
BEFORE_READS = "client", "multi", "exec"


class SessionSlave(SlaveApi, TransactionSlave, Protocol):
    """What a session needs of its slave beside what handlers may ask (service.py)."""

    pausing: Pausing
    monitors: Monitors
    blocking: Blocking

    @property
    def copies(self) -> Copies: ...

    calls: defaultdict[str, int]  # commands that began, by the names of their rows
    statistics: Statistics

    @property
    def access(self) -> Access: ...

    @property
    def parser_limits(self) -> ParserLimits: ...

    @property
    def features(self) -> Features: ...

    @property
    def table(self) -> dict[bytes, Command]: ...

    def failed(self, args: Sequence[bytes], reply: ErrorReply) -> None:
        """A command of these words was answered so; none: before it began."""

    def submit(self, request: Request) -> None:
        """A command on keys of one slot."""

    def submit_to(self, partition: int, request: Request) -> None:
        """The same for a partition, whatever the slots."""

    @property
    def partition_of_slot(self) -> list[int] | None:
        """Where bursts go; None where commands are taken one by one."""

    def submit_burst(self, part: Part, partition: int) -> None:
        """Several commands for a partition, which came together."""

    def holder_of(self, row: Command, keys: Sequence[bytes]) -> int | ErrorReply | None:
        """Where a command runs whose keys are of several slots: the partition that holds them all,
        or None, on all that hold some of them; or why it does not run."""


class Session:
    def __init__(self, slave: SessionSlave, id_: int, wake: Callable[[], None], address: str = ""):
        self.slave, self.id, self.wake, self.address = slave, id_, wake, address
        self.replies = Replies(slave.limits.output_bytes_max, wake, slave.failed)
        self.take, self.push = self.replies.take, self.replies.push
        self.name = b""
        self.library: dict[bytes, bytes] = {}
        self.is_readonly = False
        self.database = 0
        self.user, self.has_logged_in = DEFAULT, slave.access.users.is_open
        # Asked for each command, if it is not free to run all: None.
        self.guard: Guarding | None = slave.access.users.guard_of(DEFAULT, self.has_logged_in)
        # Asked for each command before it begins: whether it has answered it.
        self.divert: Callable[[Command | None, list[bytes]], bool] | None = None
        self.transactions = Transactions(self)
        self._fault = ""
        self.client = Client()
        self.is_killed = False  # it ends at once, and is told nothing more
        self.is_spared = False  # by ``maxmemory_clients``: CLIENT NO-EVICT
        # Bytes that others keep for the client, about: whoever keeps them (names of channels) adds
        # them here.
        self.kept_bytes = 0
        self.heard_at = 0.0  # seconds: when the client last sent or took something
        self.tracker: Tracker | None = None  # it is told when what it has read changes
        # The command that waits until there is something.
        self.waiter: Waiter | CopiesWait | None = None
        self._written: set[int] = set()  # partitions that commands of it may have changed
        self._is_subscribed = False
        self._pending_max = slave.limits.input_pending_max
        self._table = slave.table
        self.input = ClientInput(slave.parser_limits)
        self._backlog = self.input.commands  # parsed, not yet begun
        self._alone: Call | None = None  # the call behind which nothing begins
        self._inside: Callable[[Reply], None] | None = None  # of a command that is part of another
        self._ran_us = 0.0  # that reads of copies took in this turn, about
        self._has_ended = False  # the client sends nothing more, but may read

    # -- bytes in ----------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Bytes from the client, cut anywhere."""
        if self.replies.is_closing:
            return
        if self.input.receive(data):
            self._begin()
            if self.guard is STRANGER:
                self._bound_stranger()
        else:
            self.wake()

    def _bound_stranger(self) -> None:
        if self.input.memory > STRANGER_BYTES_MAX:
            self.give_up("it sends much and has not logged in")

    def end(self) -> None:
        """The client sends nothing more (``printf … | nc``); what it asked for is answered.  But it
        may be gone altogether, which cannot be told from that: what would come to it while it waits
        would be taken from all others and lost, so it waits no longer."""
        self._has_ended = True
        self.unblock(None)

    def lose(self) -> None:
        """Nobody is there any more.  What is under way may still happen.  What is large goes now:
        the rest refers to each other, so it may wait long for the garbage collector."""
        self.replies.lose()
        self.input.clear()
        self.transactions.drop()
        self._alone = None

    @property
    def wants_input(self) -> bool:
        """False: read no more from the client until this is True again.  Of one that waits a little
        is read whatever it has sent behind that, so that it is seen when it goes."""
        if not (self._backlog or self.input.unparsed):
            return True
        return self.is_waiting and self.input.memory < WAITING_BYTES_MAX

    @property
    def memory(self) -> int:
        """Bytes that the client makes its slave keep, about; see client_memory.py."""
        kept_bytes = self.kept_bytes + self.transactions.memory
        return self.input.memory + self.replies.memory + kept_bytes

    # -- its end -----------------------------------------------------------------------------

    @property
    def is_closing(self) -> bool:
        """No more commands begin."""
        return self.replies.is_closing

    @property
    def fault(self) -> str:
        """Of the client, for which it is ended: for the log."""
        return self._fault or self.replies.fault

    @property
    def is_everywhere(self) -> bool:
        return self.slave.mode == "standalone"

    @property
    def is_gone(self) -> bool:
        """Nobody is there to be told anything."""
        return self.replies.is_lost

    @property
    def is_at_rest(self) -> bool:
        """Nothing is under way, and more may come."""
        replies = self.replies
        is_over = replies.calls or replies.is_closing or self._has_ended
        return not (is_over or self._backlog or self.input.unparsed)

    @property
    def is_finished(self) -> bool:
        """All is answered and taken, and nothing more will come."""
        has_ended = self.is_closing or (self._has_ended and self.wants_input)
        return has_ended and not self.replies.calls

    # -- what handlers ask (commands/api.py) ---------------------------------------------------

    @property
    def protocol(self) -> int:
        return self.replies.protocol

    @protocol.setter
    def protocol(self, protocol: int) -> None:
        self.replies.protocol = protocol

    @property
    def is_subscribed(self) -> bool:
        """To channels, patterns or shard channels: messages come."""
        return self._is_subscribed

    @is_subscribed.setter
    def is_subscribed(self, is_subscribed: bool) -> None:
        self._is_subscribed = is_subscribed

    @property
    def is_waiting(self) -> bool:
        """In a command, until there is something."""
        return self.waiter is not None

    @property
    def may_be_silent(self) -> bool:
        """It waits for what is pushed: ``timeout_s`` is not for it."""
        return self.is_waiting or self._is_subscribed or self.id in self.slave.monitors

    @property
    def is_confined(self) -> bool:
        """In RESP2 a message looks like a reply, so a subscriber may ask for next to nothing."""
        return self._is_subscribed and self.replies.protocol == 2

    # -- who it is -----------------------------------------------------------------------------

    def log_in(self, user: bytes) -> None:
        self.user, self.has_logged_in = user, True
        self.guard = self.slave.access.users.guard_of(user, True)

    def log_out(self) -> None:
        self.user, self.has_logged_in = DEFAULT, self.slave.access.users.is_open
        self.guard = self.slave.access.users.guard_of(DEFAULT, self.has_logged_in)

    @property
    def may_ask(self) -> bool:
        return self.guard is not STRANGER

    def users_changed(self) -> None:
        """Who it is may do other things now.  As in Redis, one that is no more is ended, and so is
        who listens to what it may not."""
        users = self.slave.access.users
        self.guard = users.guard_of(self.user, self.has_logged_in)
        if self.user not in users.all or (self.guard is not None and not self._may_listen()):
            if self._alone is not None and self._alone.reply is None and not self.is_waiting:
                self.close()  # it may have deleted itself: it is told so
                self.wake()
            else:
                self.kill()
        elif self.waiter is not None and self.guard is not None:
            self._refuse_to_wait(self.guard, self.waiter)

    def _refuse_to_wait(self, guard: Guarding, waiter: Waiter | CopiesWait) -> None:
        """If it may not take any more what it waits for: as since Redis 7.2."""
        row = self.client.last_row
        objection = None if row is None else guard.objection(row, waiter.args)
        if objection is not None:
            if objection.about:
                self.slave.access.refused(self, objection.about, objection.what, self.user)
            self.unblock(objection.reply)

    def _may_listen(self) -> bool:
        names = self.slave.subscriptions.names
        return self.guard is None or all(
            self.guard.may_listen(names(self, kind), are_patterns=kind == PATTERN)
            for kind in (CHANNEL, PATTERN, SHARD)
        )

    def push_now(self, data: bytes, keys: Set[bytes] | None = None) -> None:
        """A message, encoded; a client that does not take its messages is ended."""
        if not self.replies.push_now(data, keys):
            self.slave.subscriptions.leave(self)

    def later(self) -> Callable[[Reply], None]:
        call = self._alone
        if call is None:
            raise RuntimeError("no handler runs")
        return self._inside or call.resolve

    def note_write(self, partition: int) -> None:
        self._written.add(partition)
        if self._alone is not None:
            self._alone.is_write = True

    def took(self, us: float) -> None:
        self._ran_us += us

    def run_inside(
        self, row: Command, args: Sequence[bytes], resolve: Callable[[Reply], None]
    ) -> Answer:
        self._inside = resolve
        try:
            answer: Answer = row.handler(self, args)
        finally:
            self._inside = None
        return answer

    def close(self) -> None:
        self.replies.is_closing = True

    def limit(self, limits: LimitsConfig) -> None:
        """Limits that may be others from now on."""
        self.replies.output_bytes_max = limits.output_bytes_max
        self._pending_max = limits.input_pending_max

    def kill(self) -> None:
        self.is_killed = True
        self.close()
        self.wake()

    def close_with(self, reply: ErrorReply) -> None:
        """Say why, behind the replies to what came before, and end."""
        self.push(reply)
        self.close()

    def give_up(self, fault: str) -> None:
        """End without a reply to what is wrong: the log says it, and no web page may read it."""
        self._fault = fault
        self.close()
        self.wake()

    # -- commands ----------------------------------------------------------------------------

    def go_on(self) -> None:
        """Begin the commands that may begin now, and parse a slice of what has come."""
        self._ran_us = 0.0
        self._begin()
        if self.is_closing:
            self.input.clear()
        elif self.input.unparsed and not self._backlog:
            self.input.parse()
            self._begin()
            if self.input.unparsed:
                self.wake()
            elif self.guard is STRANGER:
                self._bound_stranger()

    def _begin(self) -> None:
        replies = self.replies
        backlog, table = self._backlog, self._table
        client, count, pausing = self.client, self.slave.calls, self.slave.pausing
        monitors = self.slave.monitors
        while backlog and replies.count < self._pending_max:
            if self._alone is not None:
                if self._alone.reply is None:
                    return
                self._alone = None
            if replies.is_closing:
                backlog.clear()
                return
            if len(backlog) > 1 and self._may_burst and self._begin_burst():
                continue
            args = backlog[0]
            if isinstance(args, ErrorReply):  # the stream cannot be followed behind it
                self._fault = self.input.fault
                self.close_with(args)
                backlog.clear()
                return
            row = table.get(args[0])
            if row is None:
                row = table.get(args[0].upper())
            if pausing.pause is not None and pausing.pause.holds(row):
                return
            guard = self.guard
            if guard is not None and row is not None and self._refuses(guard, row, args):
                backlog.popleft()
                continue
            if self.divert is not None and self.divert(row, args):
                pass
            elif row is None or not row.words_min <= len(args) <= row.words_max:
                self._answer_wrong(row, args)
            elif self._is_subscribed and self.is_confined and args[0].upper() not in SUBSCRIBERS:
                self.answer(not_for_subscribers(row, args))
            elif row.is_on_keys:
                if not self._begin_on_keys(row, args):
                    return
                count[row.name] += 1
                client.last_row = row
                if monitors:
                    monitors.show(self, row, args)
            elif not self._begin_other(row, args):
                return
            backlog.popleft()

    @property
    def _may_burst(self) -> bool:
        """Nothing is to be done for each command that begins: see burst.py."""
        slave = self.slave
        is_watched = self.divert is not None or self.tracker is not None or slave.monitors
        is_special = self.is_readonly or self._is_subscribed or slave.pausing.pause is not None
        return not (is_watched or is_special) and self.replies.takes_bursts

    def _begin_burst(self) -> bool:
        """Begin the plain commands at the head of what waits; False if there are none or one."""
        partition_of_slot = self.slave.partition_of_slot
        if partition_of_slot is None:
            return False
        room, base = self._pending_max - self.replies.count, place_of(self.database, 0)
        if self.guard is not None:
            room = self._permitted(self.guard, room)
        shares, names, row = share_out(self._backlog, room, self._table, partition_of_slot, base)
        begun = sum(names.values())
        if row is None or begun < 2:
            return False
        parts = {partition: Part(*lists) for partition, lists in shares.items()}
        self.replies.add_burst(list(parts.values()), begun)
        self.client.last_row = row
        for name, count in names.items():
            self.slave.calls[name] += count
        if begun == len(self._backlog):
            self._backlog.clear()
        else:
            for _ in range(begun):
                self._backlog.popleft()
        for partition, part in parts.items():
            if part.writes:
                self._written.add(partition)
            self.slave.submit_burst(part, partition)
        return True

    def _permitted(self, guard: Guarding, count_max: int) -> int:
        """How many at the head of what waits may begin; the next one is refused in its turn."""
        for number, args in enumerate(islice(self._backlog, count_max)):
            if isinstance(args, ErrorReply):
                return number
            row = self._table.get(args[0])
            if row is None or not row.arity_ok(args) or guard.objection(row, args) is not None:
                return number
        return count_max

    def _begin_other(self, row: Command, args: list[bytes]) -> bool:
        """A command that runs alone, or one of several that have a name together."""
        if self._ran_us > BATCH_US:  # the next may be an EXEC that reads a copy
            self.wake()
            return False
        found = row.subcommand(args)
        if found is None:
            self.answer(unknown_subcommand(args))
            return True
        if not found.arity_ok(args):
            self._reject(found)
            return True
        if found.is_on_keys:
            if not self._begin_on_keys(found, args):
                return False
        elif self.replies.unanswered:
            return False
        self.slave.calls[found.name] += 1
        self.client.last_row = found
        if not found.is_on_keys:
            self._begin_alone(found, args)
        if self.slave.monitors:
            self.slave.monitors.show(self, found, args)
        return True

    def _refuses(self, guard: Guarding, row: Command, args: list[bytes]) -> bool:
        """A command that is none, or of wrong words, is answered as everywhere."""
        found = row.subcommand(args)
        if found is None or not found.arity_ok(args):
            return False
        objection = guard.objection(found, args)
        if objection is None:
            return False
        if objection.about:
            self.slave.access.refused(self, objection.about, objection.what, self.user)
        self.transactions.fail()
        self.slave.statistics.rejected[found.name] += 1
        self.answer(objection.reply)
        return True

    def answer(self, reply: Reply) -> None:
        self.replies.add().resolve(reply)

    def _answer_wrong(self, row: Command | None, args: list[bytes]) -> None:
        """What is no command, or not with so many words."""
        if is_http(args):
            self.give_up(HTTP)
        elif row is None:
            self.answer(self.slave.features.objection(args) or unknown_command(args))
        else:
            self._reject(row)

    def _reject(self, row: Command) -> None:
        self.slave.statistics.rejected[row.name] += 1
        self.answer(wrong_arity(row.name))

    def _begin_on_keys(self, row: Command, args: list[bytes]) -> bool:
        """False: it must wait until those before it are answered."""
        if self.guard is not None and row.group == SCRIPTING:
            row, args = as_caller(args, self.guard.rights)
        if row.timeout_of is not None and self._begin_waiting(row, args, row.timeout_of(args)):
            return True
        if row.has_one_key:
            slot = slot_of(args[row.first_key])
        else:
            keys = row.keys_of(args)
            if keys and not share_slot(keys):
                return self._begin_on_slots(row, args, keys)
            slot = slot_of(keys[0]) if keys else 0  # its words make no sense: the handler says so
        is_write = row.is_write
        if self.is_readonly and not is_write:
            copy = self.slave.copy_to_read(slot)
            if copy is not None:
                if self.replies.unanswered:
                    return False
                place = place_of(self.database, slot)
                if not self._may_run(copy.weights(), place, args):
                    return False
                self.answer(copy.execute(place, args, copy.now_ms))
                if self.tracker is not None and self.tracker.takes_next():
                    self.tracker.read(place, row.keys_of(args))
                return True
        call = self.replies.add(args, slot, self.database, is_write)
        if is_write:
            self._written.add(self.slave.partition_of(slot))
        if self.tracker is None:
            self.slave.submit(call)
        else:
            self.slave.submit(self.tracker.follow(call, row.keys_of(args)))
        return True

    def _begin_waiting(
        self, row: Command, args: list[bytes], timeout_s: float | ErrorReply | None
    ) -> bool:
        """False: it waits for nothing, and is a command like any other."""
        keys = row.keys_of(args)
        if timeout_s is None or not keys or self._has_ended:
            return False
        slave, slot = self.slave, slot_of(keys[0])
        where: int | ErrorReply | None = slave.partition_of(slot)
        if not share_slot(keys):
            slot, where = -1, slave.holder_of(row, keys)
        if not isinstance(where, int):
            self.answer(where or slave.crossslot)
            return True
        if isinstance(timeout_s, ErrorReply):
            self.answer(timeout_s)
            return True
        call = self._alone = self.replies.add(args, slot, self.database, row.is_write)
        request = call if self.tracker is None else self.tracker.follow(call, keys)

        def tell(reply: Reply) -> None:
            self.waiter = None
            request.resolve(reply)

        waited_for = row.keys_waited_for(args)
        if row.is_write:
            self._written.add(where)
        waiter = Waiter(args, where, call.place, waited_for, NULL_ARRAY, tell, row.is_write)
        if row.group_waited_for is not None:
            waiter.rivals, waiter.is_of_group = row.group_waited_for(args), True
        elif row.is_write:
            waiter.rivals = row.group.encode()
        if row.begin_of is not None and (begin := row.begin_of(args)) is not None:
            waiter.args, waiter.begin = begin
        self.waiter = waiter
        now = slave.process.now()
        slave.blocking.begin(waiter, now + timeout_s if timeout_s else math.inf)
        return True

    def unblock(self, reply: Reply) -> bool:
        """If it waits in a command, answer that so; None: as when its time is over."""
        return self.waiter is not None and self.waiter.unblock(reply)

    def wait_for_copies(
        self,
        timeout_ms: int,
        is_enough: Callable[[bool, int], bool],
        whole: Callable[[bool, int], Reply],
    ) -> Answer:
        resolve, process, copies = self.later(), self.slave.process, self.slave.copies
        until = process.now() + timeout_ms / 1000 if timeout_ms else math.inf
        may_wait = self._inside is None and not self._has_ended  # in a transaction it does not
        if not may_wait:
            until = process.now()

        def tell(reply: Reply) -> None:
            self.waiter = None
            resolve(reply)

        waiter = CopiesWait(copies, process, self._written, until, is_enough, whole, tell)
        if may_wait:
            self.waiter = waiter
        waiter.look()
        return PENDING

    def _may_run(self, weights: Weights, place: int, args: list[bytes]) -> bool:
        """A read of a copy, in this turn.  Others have theirs when this one took so long."""
        if args[0] in weights.light:
            return True
        if self._ran_us > BATCH_US:
            self.wake()
            return False
        self.took(weights.cost_us(place, args, 0))
        return True

    def _begin_on_slots(self, row: Command, args: list[bytes], keys: Sequence[bytes]) -> bool:
        """The same for keys of several slots."""
        holder = self.slave.holder_of(row, keys)
        if isinstance(holder, ErrorReply):
            self.answer(holder)
        elif holder is not None:
            call = self.replies.add(args, -1, self.database, row.is_write)
            if row.is_write:
                self._written.add(holder)
            tracker = self.tracker
            self.slave.submit_to(holder, tracker.follow(call, keys) if tracker else call)
        elif self.replies.unanswered:
            return False
        else:
            call = self._alone = self.replies.add(args, -1, self.database, row.is_write)
            if row.is_write:
                self._written.update(self.slave.partition_of(slot_of(key)) for key in keys)
            tracker = self.tracker
            resolve = tracker.follow_parts(call, keys) if tracker else call.resolve
            self.slave.run_on_partitions(row, args, self.database, resolve)
        return True

    def _begin_alone(self, row: Command, args: list[bytes]) -> None:
        call = self._alone = self.replies.add(args, -1, self.database, row.is_write)
        if self.tracker is not None and not row.name.startswith(BEFORE_READS):
            self.tracker.takes_next()
        if row.scope == "partition":
            if row.is_write:
                self._written.update(self.slave.copies.partitions)
            self.slave.run_on_partitions(row, args, self.database, call.resolve)
            return
        answer = row.handler(self, args)
        if not isinstance(answer, Pending):
            call.resolve(answer)
