"""What one connection is told: the replies to its commands, in their order, and what is pushed.

A command's place in the queue is taken when it begins (``add``), so replies leave in the order of
the commands, exactly one each, in whatever order they come.  ``push`` puts a message behind all of
them, ``push_now`` behind those that are answered: it waits for no command that is under way.
A client may ask for no replies (CLIENT REPLY): those are empty then, and messages still come.

Limit: bytes of replies that are not taken.  Beyond ``output_bytes_max`` a read is answered with an
error, and a write with UNKNOWN, behind which the connection ends (``is_closing``): the write may
have happened, so an error that says "no" would be wrong.  Of messages none may be left out without
a word, so beyond the connection ends too.
"""

from collections import deque
from collections.abc import Callable, Sequence, Set
from typing import Any

from distrodb.errors import InvariantViolation
from distrodb.keyspace.place_number import place_of
from distrodb.resp.encode import PIECE_BYTES, encode, size_of
from distrodb.resp.reply import OK, ErrorReply, Reply, error
from distrodb.slave.burst import Burst, Part
from distrodb.slave.taking import MESSAGE_BYTES, Kept, LargeReply, Messages, keep_plain, take

# A reply of so many bytes is given whatever waits already: it is no longer than the error in its
# place, and ``input_pending_max`` bounds how many there are.
SMALL_REPLY_BYTES = 64
CALL_BYTES = 250  # that a command or message takes in memory beside its own bytes, about
# A reply of so many bytes is encoded when it is taken.  Until then it refers to the values that the
# store has anyway; copies of them, for thousands of commands that are answered in the same turn,
# would take memory before anybody could say that it is too much.
LATE_BYTES = 4096
WORDS_MAX = 64  # of a command that is looked through for keys
MESSAGES_NOT_READ = "messages that it does not read exceed output_bytes_max"
TOO_MUCH_OUTPUT = error(
    "ERR", "replies of this connection exceed output_bytes_max; read some, or ask for less at once"
)
OUTPUT_NOT_READ = error(
    "UNKNOWN", "the reply to this write exceeds output_bytes_max: it may or may not have happened"
)


class Call:
    """One command of one connection; the core's ``Request``."""

    __slots__ = ("args", "is_write", "place", "replies", "reply", "size", "slot")

    def __init__(
        self, replies: "Replies", args: Sequence[bytes], slot: int, database: int, is_write: bool
    ):
        self.replies = replies
        self.args = args
        self.slot = slot
        self.place = place_of(database, slot) if database else slot
        self.is_write = is_write
        size = 32
        for word in args:  # mostly two or three; for so few ``sum(map(…))`` takes longer
            size += len(word)
        self.size = size
        # A tuple: pieces of bytes.
        self.reply: Kept | Messages | None = None

    def may_tell_of(self, keys: Set[bytes] | None) -> bool:
        """It is answered, maybe with what some of these keys hold; None: any keys.  Only commands
        on keys of one slot have all of those among their words."""
        if self.reply is None:
            return False
        if keys is None:
            return True
        if isinstance(self.reply, Messages):
            return False
        return self.slot < 0 or len(self.args) > WORDS_MAX or not keys.isdisjoint(self.args)

    def resolve(self, reply: Reply) -> None:
        replies = self.replies
        if self.reply is not None:
            raise InvariantViolation("a command is answered twice")
        if replies.is_lost:
            return
        if reply is OK:  # the three most frequent ones first
            data = b"+OK\r\n"
        elif type(reply) is bytes and len(reply) < LATE_BYTES:
            data = b"$%d\r\n%b\r\n" % (len(reply), reply)
        elif reply is None:
            data = b"$-1\r\n" if replies.protocol == 2 else b"_\r\n"
            if self.slot >= 0 and not self.is_write:
                replies.misses += 1
        else:
            replies.set_reply(self, reply)
            return
        output_bytes = replies.output_bytes + len(data)
        if output_bytes > replies.output_bytes_max:
            replies.set_reply(self, reply)
            return
        self.reply = data
        replies.output_bytes = output_bytes
        replies.unanswered -= 1
        if not replies.is_woken:
            replies.is_woken = True
            replies.wake()


class _MuteCall(Call):
    """Whose reply is not wanted, unless the command itself has changed that."""

    __slots__ = ()

    def resolve(self, reply: Reply) -> None:
        replies = self.replies
        if not replies.is_mute:
            super().resolve(reply)
        elif not replies.is_lost:
            replies.set_nothing(self)


class _SkippedCall(Call):
    """The one behind CLIENT REPLY SKIP; the next one is as usual."""

    __slots__ = ()

    def __init__(self, replies: "Replies", *rest: Any):
        super().__init__(replies, *rest)
        replies.is_mute = False

    def resolve(self, reply: Reply) -> None:
        if not self.replies.is_lost:
            self.replies.set_nothing(self)


class Replies:
    def __init__(
        self,
        output_bytes_max: int,
        wake: Callable[[], None],
        failed: Callable[[Sequence[bytes], ErrorReply], None] = lambda args, reply: None,
    ):
        """``failed`` is told of each error, and of the words of its command if that began."""
        self.output_bytes_max, self.wake = output_bytes_max, wake
        self._failed = failed
        self._call: type[Call] = Call  # what the next command is
        self.misses = 0  # reads of one key that found nothing
        self.protocol = 2
        self.calls: deque[Call | Burst] = deque()  # whose replies are not taken, in order
        self._in_bursts = 0  # commands in those beyond one for each of its elements
        self.unanswered = 0  # calls under way
        self.output_bytes = 0  # of replies that are not taken
        self.input_bytes = 0  # of the commands that they answer
        self.is_woken = False
        self.is_lost = False  # nobody is there to read
        self.is_closing = False  # nothing more may begin
        self.fault = ""  # why what had to be told could not be kept, for the log

    def add(
        self,
        args: Sequence[bytes] = (),
        slot: int = -1,
        database: int = 0,
        is_write: bool = False,
    ) -> Call:
        """The next command begins."""
        call = self._call(self, args, slot, database, is_write)
        self.calls.append(call)
        self.unanswered += 1
        self.input_bytes += call.size
        return call

    def add_burst(self, parts: Sequence[Part], count: int) -> None:
        """So many commands begin, which are shared out to these parts."""
        burst = Burst(self, parts, count)
        self.calls.append(burst)
        self._in_bursts += count - 1
        self.unanswered += count
        self.input_bytes += burst.size

    @property
    def count(self) -> int:
        """Commands and messages whose replies are not taken."""
        return len(self.calls) + self._in_bursts

    @property
    def takes_bursts(self) -> bool:
        """Replies are wanted as usual."""
        return self._call is Call and not self.is_closing

    def holds(self, args: Sequence[bytes]) -> bool:
        """This very command is one whose reply is not taken."""
        return any(
            call.holds(args) if isinstance(call, Burst) else call.args is args
            for call in self.calls
        )

    @property
    def memory(self) -> int:
        """Bytes that all of this takes, about."""
        return self.input_bytes + self.output_bytes + CALL_BYTES * self.count

    # -- whether replies are wanted --------------------------------------------------------------

    @property
    def is_mute(self) -> bool:
        """No command is answered from here on."""
        return self._call is _MuteCall

    @is_mute.setter
    def is_mute(self, is_mute: bool) -> None:
        self._call = _MuteCall if is_mute else Call

    def skip_next(self) -> None:
        """The next command is not answered."""
        if not self.is_mute:
            self._call = _SkippedCall

    def set_nothing(self, call: Call) -> None:
        """A call is over, and nothing is sent for it."""
        if call.reply is not None:
            raise InvariantViolation("a command is answered twice")
        call.reply = b""
        self.unanswered -= 1
        if not self.is_woken:
            self.is_woken = True
            self.wake()

    # -- replies ---------------------------------------------------------------------------------

    def push(self, message: Reply) -> None:
        """Send what no command asked for, behind the replies to what came before it."""
        call = Call(self, (), -1, 0, False)
        self.calls.append(call)
        self.unanswered += 1
        self.input_bytes += call.size
        call.resolve(message)

    def _fail(self, fault: str) -> None:
        self.is_closing, self.fault = True, fault

    def push_now(self, data: bytes, keys: Set[bytes] | None = None) -> bool:
        """Send an encoded message behind the replies that are there already, so that it follows
        all that its client was told; or behind those only that may tell of these keys, so that it
        waits for no others.  False: too much waits, and nothing more may begin."""
        if self.is_lost or self.fault:
            return True
        cost = len(data) + MESSAGE_BYTES
        if self.output_bytes + cost > self.output_bytes_max:
            self._fail(MESSAGES_NOT_READ)
            self.wake()  # also where it was woken before and could not take anything
            return False
        self.output_bytes += cost
        self._messages(keys if self.unanswered else None).add(data)
        if not self.is_woken:
            self.is_woken = True
            self.wake()
        return True

    def _messages(self, keys: Set[bytes] | None) -> Messages:
        """Those at the end of what is answered, and may tell of the keys."""
        calls, place = self.calls, len(self.calls)
        while place and not calls[place - 1].may_tell_of(keys):
            place -= 1
        if not place and self.has_output:
            place = 1  # a part of that one may have been taken
        last = calls[place - 1].reply if place else None
        if isinstance(last, Messages):
            return last
        call = Call(self, (), -1, 0, False)
        call.reply = messages = Messages()
        calls.insert(place, call)
        self.input_bytes += call.size
        return messages

    def lose(self) -> None:
        """Nobody is there any more."""
        self.is_lost = self.is_closing = True
        self.calls.clear()
        self.input_bytes = self.output_bytes = self._in_bursts = 0

    def set_reply(self, call: Call, reply: Reply) -> None:
        """Any reply to a call, within the limit on what is not taken."""
        call.reply = self._kept(call.args, call.is_write, reply)
        self.unanswered -= 1
        if not self.is_woken:
            self.is_woken = True
            self.wake()

    def _kept(self, args: Sequence[bytes], is_write: bool, reply: Reply) -> Kept:
        """How a reply to this command is kept until it is taken; what that takes is counted."""
        if type(reply) is ErrorReply:
            self._failed(args, reply)
        size = size_of(reply)
        if size > SMALL_REPLY_BYTES and self.output_bytes + size > self.output_bytes_max:
            reply, size = TOO_MUCH_OUTPUT, 0
            if is_write:
                reply = OUTPUT_NOT_READ
                self._fail("replies that it does not read exceed output_bytes_max")
        if type(reply) is bytes and LATE_BYTES <= size < PIECE_BYTES:
            self.output_bytes += size
            return b"$%d\r\n" % size, reply, b"\r\n"
        if size < LATE_BYTES:
            data = encode(reply, self.protocol)
            self.output_bytes += len(data)
            return data
        self.output_bytes += size
        return LargeReply(reply, self.protocol, size)

    def resolve_part(self, part: Part, replies: list[Reply]) -> None:
        """All commands of a part are answered."""
        if self.is_lost:
            return
        answers, position, count = part.burst.answers, 0, len(replies)
        nothing = b"$-1\r\n" if self.protocol == 2 else b"_\r\n"
        while position < count:
            room = self.output_bytes_max - self.output_bytes
            position, size, misses = keep_plain(
                part, replies, position, room, nothing, OK, LATE_BYTES
            )
            self.output_bytes += size
            self.misses += misses
            if position < count:  # this one is not plain, or has no room
                number, reply = part.numbers[position], replies[position]
                if answers[number] is not None:
                    raise InvariantViolation("a command is answered twice")
                self.misses += reply is None and not part.which_write[position]
                answers[number] = self._kept_of(part, position, reply)
                position += 1
        self._part_is_answered(part.burst, count)

    def resolve_one(self, part: Part, position: int, reply: Reply) -> None:
        """One command of a part is answered by itself."""
        if self.is_lost:
            return
        part.burst.answers[part.numbers[position]] = self._kept_of(part, position, reply)
        self.misses += reply is None and not part.which_write[position]
        self._part_is_answered(part.burst, 1)

    def _kept_of(self, part: Part, position: int, reply: Reply) -> Kept:
        return self._kept(part.commands[position][1], part.which_write[position], reply)

    def _part_is_answered(self, burst: Burst, count: int) -> None:
        burst.left -= count
        self.unanswered -= count
        if not self.is_woken:
            self.is_woken = True
            self.wake()

    def take(self, bytes_max: int) -> list[bytes | memoryview]:
        """What can be sent now, in order, up to the first command that is not answered: about so
        many bytes at most (a piece more)."""
        self.is_woken = False
        calls = self.calls
        reply = calls[0].reply if len(calls) == 1 else None
        if isinstance(reply, bytes):  # as a rule, without a pipeline
            self.output_bytes -= len(reply)
            self.input_bytes -= calls.popleft().size
            return [reply]
        taken = take(calls, bytes_max)
        self.output_bytes -= taken.output_bytes
        self.input_bytes -= taken.input_bytes
        self._in_bursts -= taken.in_bursts
        return taken.pieces

    @property
    def has_output(self) -> bool:
        """There is something to take."""
        if not self.calls:
            return False
        first = self.calls[0]
        return first.has_output if isinstance(first, Burst) else first.reply is not None
