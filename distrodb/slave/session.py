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
until its reply comes (a blocking command); ``push`` puts a message between the replies.

Limits, beside the parser's: commands under way (beyond, ``wants_input`` is False until they are
answered); bytes that are parsed at a time; bytes of replies that are not taken (beyond
``output_bytes_max`` a read is answered with an error, and a write with UNKNOWN, behind which the
session ends: the write may have happened, so an error that says "no" would be wrong).
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from distrodb.commands.api import Pending, SlaveApi
from distrodb.commands.command import Command
from distrodb.commands.error_replies import CROSSSLOT, unknown_command, wrong_arity
from distrodb.config import LimitsConfig
from distrodb.errors import InvariantViolation
from distrodb.keyspace.store import Store
from distrodb.raft.interfaces import Request
from distrodb.resp.encode import PIECE_BYTES, encode, encode_in_pieces, size_of
from distrodb.resp.parse import CommandParser, ParserLimits, ProtocolError
from distrodb.resp.reply import OK, ErrorReply, Reply, error
from distrodb.ring.slots import share_slot, slot_of

# Parsed at a time: of arguments of one byte each it is some 10,000, which take 20 ms.  The rest of
# what has come waits for the next turn.
PARSED_BYTES = 65536
# A reply of so many bytes is given whatever waits already: it is no longer than the error in its
# place, and ``input_pending_max`` bounds how many there are.
SMALL_REPLY_BYTES = 64
TOO_MUCH_OUTPUT = error(
    "ERR", "replies of this connection exceed output_bytes_max; read some, or ask for less at once"
)
OUTPUT_NOT_READ = error(
    "UNKNOWN", "the reply to this write exceeds output_bytes_max: it may or may not have happened"
)


class SessionSlave(SlaveApi, Protocol):
    """What a session needs of its slave beside what handlers may ask (service.py)."""

    @property
    def limits(self) -> LimitsConfig: ...

    @property
    def parser_limits(self) -> ParserLimits: ...

    @property
    def table(self) -> dict[bytes, Command]: ...

    def submit(self, request: Request) -> None:
        """A command on keys of one slot."""

    def run_on_partitions(
        self, row: Command, args: Sequence[bytes], resolve: Callable[[Reply], None]
    ) -> None:
        """A command on all partitions that are led here."""

    def copy_to_read(self, slot: int) -> Store | None:
        """The copy of a partition that is led elsewhere, for stale reads."""


class _LargeReply:
    """A reply that is encoded as it is taken."""

    __slots__ = ("pieces", "size")

    def __init__(self, reply: Reply, protocol: int, size: int):
        self.pieces = encode_in_pieces(reply, protocol)
        self.size = size  # about


class Call:
    """One command of one session; the core's ``Request``."""

    __slots__ = ("args", "is_write", "place", "reply", "session", "size", "slot")

    def __init__(self, session: "Session", args: Sequence[bytes], slot: int, is_write: bool):
        self.session = session
        self.args = args
        self.slot = self.place = slot  # database 0 is the only one that SELECT allows
        self.is_write = is_write
        self.size = 32 + sum(map(len, args))
        self.reply: bytes | _LargeReply | None = None

    def resolve(self, reply: Reply) -> None:
        session = self.session
        if self.reply is not None:
            raise InvariantViolation("a command is answered twice")
        if session.is_lost:
            return
        if reply is OK:  # the three most frequent ones first
            data = b"+OK\r\n"
        elif type(reply) is bytes and len(reply) < PIECE_BYTES:
            data = b"$%d\r\n%b\r\n" % (len(reply), reply)
        elif reply is None:
            data = b"$-1\r\n" if session.protocol == 2 else b"_\r\n"
        else:
            session.set_reply(self, reply)
            return
        if session.output_bytes + len(data) > session.output_bytes_max:
            session.set_reply(self, reply)
            return
        self.reply = data
        session.output_bytes += len(data)
        session.unanswered -= 1
        if not session.is_woken:
            session.is_woken = True
            session.wake()


class Session:
    def __init__(self, slave: SessionSlave, id_: int, wake: Callable[[], None], address: str = ""):
        self.slave, self.id, self.wake, self.address = slave, id_, wake, address
        self.protocol = 2
        self.name = b""
        self.library: dict[bytes, bytes] = {}
        self.is_readonly = False
        self.refusal: ErrorReply | None = None
        self._refused_until: frozenset[bytes] = frozenset()
        self.is_closing = False  # no more commands begin
        self.is_lost = False  # nobody is there to read
        self.is_woken = False
        self.unanswered = 0  # calls under way
        self.output_bytes = 0  # of replies that are not taken
        self.output_bytes_max = slave.limits.output_bytes_max
        self._pending_max = slave.limits.input_pending_max
        self._table = slave.table
        self._pending: deque[Call] = deque()  # calls whose replies are not taken, in order
        self._backlog: deque[list[bytes] | ErrorReply] = deque()  # parsed, not yet begun
        self._unparsed = b""  # it has come in one piece with what was parsed last
        self._alone: Call | None = None  # the call behind which nothing begins
        self._has_ended = False  # the client sends nothing more, but may read
        self._parser = CommandParser(slave.parser_limits)

    # -- bytes in ----------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Bytes from the client, cut anywhere."""
        if self.is_closing:
            return
        if self._unparsed or len(data) > PARSED_BYTES:
            self._unparsed += data
            self.wake()
            return
        self._parse(data)
        self._begin()

    def _parse(self, data: bytes) -> None:
        try:
            self._backlog += self._parser.feed(data)
        except ProtocolError as problem:
            self._backlog += problem.commands
            self._backlog.append(error("ERR", str(problem)))
            self._unparsed = b""

    def end(self) -> None:
        """The client sends nothing more (``printf … | nc``); what it asked for is answered."""
        self._has_ended = True

    def lose(self) -> None:
        """Nobody is there any more.  What is under way may still happen."""
        self.is_closing = self.is_lost = True
        self._pending.clear()
        self._backlog.clear()
        self._unparsed = b""

    @property
    def wants_input(self) -> bool:
        """False: read no more from the client until this is True again."""
        return not (self._backlog or self._unparsed)

    # -- bytes out ---------------------------------------------------------------------------

    def take(self, bytes_max: int) -> list[bytes | memoryview]:
        """What can be sent now, in order, up to the first command that is not answered: about so
        many bytes at most (a piece more)."""
        self.is_woken = False
        taken: list[bytes | memoryview] = []
        size = 0
        pending = self._pending
        while pending and size < bytes_max:
            reply = pending[0].reply
            if isinstance(reply, bytes):
                taken.append(reply)
                size += len(reply)
                self.output_bytes -= len(reply)
            elif reply is None or not self._take_pieces(reply, taken, bytes_max - size):
                break
            else:
                size = sum(map(len, taken))
            pending.popleft()
        return taken

    def _take_pieces(
        self, reply: "_LargeReply", taken: list[bytes | memoryview], bytes_max: int
    ) -> bool:
        """True when all of it is taken."""
        pieces: Iterator[bytes | memoryview] = reply.pieces
        for piece in pieces:
            taken.append(piece)
            bytes_max -= len(piece)
            if bytes_max <= 0:
                return False
        self.output_bytes -= reply.size
        return True

    @property
    def has_output(self) -> bool:
        """There is something to take."""
        return bool(self._pending) and self._pending[0].reply is not None

    @property
    def is_at_rest(self) -> bool:
        """Nothing is under way, and more may come."""
        return self.wants_input and not (self._pending or self.is_closing or self._has_ended)

    @property
    def is_finished(self) -> bool:
        """All is answered and taken, and nothing more will come."""
        has_ended = self.is_closing or (self._has_ended and self.wants_input)
        return has_ended and not self._pending

    def push(self, message: Reply) -> None:
        """Send what no command asked for, behind the replies to what came before it."""
        self._new_call((), False).resolve(message)

    def set_reply(self, call: Call, reply: Reply) -> None:
        """Any reply to a call, within the limit on what is not taken."""
        size = size_of(reply)
        if size > SMALL_REPLY_BYTES and self.output_bytes + size > self.output_bytes_max:
            reply, size = TOO_MUCH_OUTPUT, 0
            if call.is_write:
                reply = OUTPUT_NOT_READ
                self.is_closing = True
        if size < PIECE_BYTES:
            call.reply = data = encode(reply, self.protocol)
            self.output_bytes += len(data)
        else:
            call.reply = _LargeReply(reply, self.protocol, size)
            self.output_bytes += size
        self.unanswered -= 1
        if not self.is_woken:
            self.is_woken = True
            self.wake()

    # -- what handlers ask (commands/api.py) ---------------------------------------------------

    def later(self) -> Callable[[Reply], None]:
        call = self._alone
        if call is None:
            raise RuntimeError("no handler runs")
        return call.resolve

    def close(self) -> None:
        self.is_closing = True

    def close_with(self, reply: ErrorReply) -> None:
        """Say why, behind the replies to what came before, and end."""
        self.push(reply)
        self.is_closing = True

    def refuse(self, reply: ErrorReply, until: frozenset[bytes]) -> None:
        self.refusal, self._refused_until = reply, until

    def accept(self) -> None:
        self.refusal = None

    # -- commands ----------------------------------------------------------------------------

    def go_on(self) -> None:
        """Begin the commands that may begin now, and parse a slice of what has come."""
        self._begin()
        if self._unparsed and self.is_closing:
            self._unparsed = b""
        elif self._unparsed and not self._backlog:
            data = self._unparsed[:PARSED_BYTES]
            self._unparsed = self._unparsed[PARSED_BYTES:]
            self._parse(data)
            self._begin()
            if self._unparsed:
                self.wake()

    def _begin(self) -> None:
        backlog, pending, table = self._backlog, self._pending, self._table
        while backlog and len(pending) < self._pending_max:
            if self._alone is not None:
                if self._alone.reply is None:
                    return
                self._alone = None
            if self.is_closing:
                backlog.clear()
                return
            args = backlog[0]
            if isinstance(args, ErrorReply):  # the stream cannot be followed behind it
                self.close_with(args)
                backlog.clear()
                return
            name = args[0]
            row = table.get(name)
            if row is None:
                name = name.upper()
                row = table.get(name)
            if self.refusal is not None and name not in self._refused_until:
                self._answer(self.refusal)
            elif row is None:
                self._answer(unknown_command(args))
            elif not row.words_min <= len(args) <= row.words_max:
                self._answer(wrong_arity(row.name))
            elif row.is_on_keys:
                if not self._begin_on_keys(row, args):
                    return
            elif self.unanswered:
                return
            else:
                self._begin_alone(row, args)
            backlog.popleft()

    def _new_call(self, args: Sequence[bytes], is_write: bool) -> Call:
        call = Call(self, args, -1, is_write)
        self._pending.append(call)
        self.unanswered += 1
        return call

    def _answer(self, reply: Reply) -> None:
        self._new_call((), False).resolve(reply)

    def _begin_on_keys(self, row: Command, args: list[bytes]) -> bool:
        """False: it must wait until those before it are answered."""
        slot = slot_of(args[row.first_key])
        if not (row.has_one_key or share_slot(row.keys_of(args))):
            self._answer(CROSSSLOT)
            return True
        is_write = row.is_write
        if self.is_readonly and not is_write:
            copy = self.slave.copy_to_read(slot)
            if copy is not None:
                if self.unanswered:
                    return False
                self._answer(copy.execute(slot, args, copy.now_ms))
                return True
        call = Call(self, args, slot, is_write)
        self._pending.append(call)
        self.unanswered += 1
        self.slave.submit(call)
        return True

    def _begin_alone(self, row: Command, args: list[bytes]) -> None:
        call = self._alone = self._new_call(args, row.is_write)
        if row.scope == "partition":
            self.slave.run_on_partitions(row, args, call.resolve)
            return
        answer = row.handler(self, args)
        if not isinstance(answer, Pending):
            call.resolve(answer)
