"""What one connection is told: the replies to its commands, in their order, and what is pushed.

A command's place in the queue is taken when it begins (``add``), so replies leave in the order of
the commands, exactly one each, in whatever order they come.  ``push`` puts a message between them.

Limit: bytes of replies that are not taken.  Beyond ``output_bytes_max`` a read is answered with an
error, and a write with UNKNOWN, behind which the connection ends (``has_failed``): the write may
have happened, so an error that says "no" would be wrong.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from distrodb.errors import InvariantViolation
from distrodb.keyspace.place_number import place_of
from distrodb.resp.encode import PIECE_BYTES, encode, encode_in_pieces, size_of
from distrodb.resp.reply import OK, Reply, error

# A reply of so many bytes is given whatever waits already: it is no longer than the error in its
# place, and ``input_pending_max`` bounds how many there are.
SMALL_REPLY_BYTES = 64
TOO_MUCH_OUTPUT = error(
    "ERR", "replies of this connection exceed output_bytes_max; read some, or ask for less at once"
)
OUTPUT_NOT_READ = error(
    "UNKNOWN", "the reply to this write exceeds output_bytes_max: it may or may not have happened"
)


class _LargeReply:
    """A reply that is encoded as it is taken."""

    __slots__ = ("pieces", "size")

    def __init__(self, reply: Reply, protocol: int, size: int):
        self.pieces = encode_in_pieces(reply, protocol)
        self.size = size  # about


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
        self.size = 32 + sum(map(len, args))
        self.reply: bytes | _LargeReply | None = None

    def resolve(self, reply: Reply) -> None:
        replies = self.replies
        if self.reply is not None:
            raise InvariantViolation("a command is answered twice")
        if replies.is_lost:
            return
        if reply is OK:  # the three most frequent ones first
            data = b"+OK\r\n"
        elif type(reply) is bytes and len(reply) < PIECE_BYTES:
            data = b"$%d\r\n%b\r\n" % (len(reply), reply)
        elif reply is None:
            data = b"$-1\r\n" if replies.protocol == 2 else b"_\r\n"
        else:
            replies.set_reply(self, reply)
            return
        if replies.output_bytes + len(data) > replies.output_bytes_max:
            replies.set_reply(self, reply)
            return
        self.reply = data
        replies.output_bytes += len(data)
        replies.unanswered -= 1
        if not replies.is_woken:
            replies.is_woken = True
            replies.wake()


class Replies:
    def __init__(self, output_bytes_max: int, wake: Callable[[], None]):
        self.output_bytes_max, self.wake = output_bytes_max, wake
        self.protocol = 2
        self.calls: deque[Call] = deque()  # whose replies are not taken, in order
        self.unanswered = 0  # calls under way
        self.output_bytes = 0  # of replies that are not taken
        self.is_woken = False
        self.is_lost = False  # nobody is there to read
        self.has_failed = False  # a write's reply could not be kept: nothing more may begin

    def add(
        self,
        args: Sequence[bytes] = (),
        slot: int = -1,
        database: int = 0,
        is_write: bool = False,
    ) -> Call:
        """The next command begins."""
        call = Call(self, args, slot, database, is_write)
        self.calls.append(call)
        self.unanswered += 1
        return call

    def push(self, message: Reply) -> None:
        """Send what no command asked for, behind the replies to what came before it."""
        self.add().resolve(message)

    def lose(self) -> None:
        """Nobody is there any more."""
        self.is_lost = True
        self.calls.clear()

    def set_reply(self, call: Call, reply: Reply) -> None:
        """Any reply to a call, within the limit on what is not taken."""
        size = size_of(reply)
        if size > SMALL_REPLY_BYTES and self.output_bytes + size > self.output_bytes_max:
            reply, size = TOO_MUCH_OUTPUT, 0
            if call.is_write:
                reply = OUTPUT_NOT_READ
                self.has_failed = True
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

    def take(self, bytes_max: int) -> list[bytes | memoryview]:
        """What can be sent now, in order, up to the first command that is not answered: about so
        many bytes at most (a piece more)."""
        self.is_woken = False
        taken: list[bytes | memoryview] = []
        size = 0
        calls = self.calls
        while calls and size < bytes_max:
            reply = calls[0].reply
            if isinstance(reply, bytes):
                taken.append(reply)
                size += len(reply)
                self.output_bytes -= len(reply)
            elif reply is None or not self._take_pieces(reply, taken, bytes_max - size):
                break
            else:
                size = sum(map(len, taken))
            calls.popleft()
        return taken

    def _take_pieces(
        self, reply: _LargeReply, taken: list[bytes | memoryview], bytes_max: int
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
        return bool(self.calls) and self.calls[0].reply is not None
