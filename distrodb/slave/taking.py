"""How replies and messages are kept until they are sent, and are taken from the queue.  Pure.

What is small is kept as the bytes that it is sent as.  What is large is a ``LargeReply``, which is
encoded piece by piece as it is taken, so that one taking costs no more than it gives.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from distrodb.compiled import compiled
from distrodb.resp.encode import PIECE_BYTES, encode_in_pieces
from distrodb.resp.reply import Reply
from distrodb.slave.burst import Burst, Part

MESSAGE_BYTES = 48  # that a message costs in memory beside its own bytes, about


class LargeReply:
    """A reply that is encoded as it is taken."""

    __slots__ = ("pieces", "size")

    def __init__(self, reply: Reply, protocol: int, size: int):
        self.pieces = encode_in_pieces(reply, protocol)
        self.size = size  # about


class Messages:
    """Messages that no command asked for.  Their bytes are shared with others that get the same."""

    __slots__ = ("_position", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._position = 0  # in the first one: so much of it is taken

    def add(self, data: bytes) -> None:
        self._waiting.append(data)

    def take(self, taken: list[bytes | memoryview], bytes_max: int) -> tuple[int, int]:
        """What is taken, and what that has cost here, in bytes."""
        size = cost = 0
        while self._waiting and size < bytes_max:
            data, begin = self._waiting[0], self._position
            piece = (
                memoryview(data)[begin : begin + PIECE_BYTES] if len(data) > PIECE_BYTES else data
            )
            taken.append(piece)
            size += len(piece)
            self._position += len(piece)
            if self._position == len(data):
                cost += len(data) + MESSAGE_BYTES
                self._waiting.popleft()
                self._position = 0
        return size, cost

    @property
    def is_empty(self) -> bool:
        return not self._waiting


@dataclass(slots=True)
class Taken:
    """What is to be sent, and what is kept no more."""

    pieces: list[bytes | memoryview] = field(default_factory=list)
    size: int = 0  # bytes of these
    output_bytes: int = 0  # of replies and messages, as they were counted
    input_bytes: int = 0  # of the commands that are answered now
    in_bursts: int = 0  # of these, beyond one for each element of the queue


class Call(Protocol):
    """One command or message in the queue."""

    size: int
    reply: "Kept | Messages | None"  # None: it is not answered


Kept = bytes | tuple[bytes, ...] | LargeReply
C = TypeVar("C", bound=Call)


def take(calls: deque[C | Burst], bytes_max: int) -> Taken:
    """What can be sent now, in order, up to the first command that is not answered: about so many
    bytes at most (a piece more)."""
    taken = Taken()
    while calls and taken.size < bytes_max:
        call = calls[0]
        if isinstance(call, Burst):
            _take_burst(call, taken, bytes_max)
            if not call.is_over:
                break
            taken.in_bursts += len(call.answers) - 1
            call.parts = ()  # which refer to it: this waits for no garbage collector
        elif not _take_kept(call.reply, taken, bytes_max):
            break
        taken.input_bytes += call.size
        calls.popleft()
    return taken


def _take_burst(burst: Burst, taken: Taken, bytes_max: int) -> None:
    answers = burst.answers
    number, size = take_plain(answers, burst.taken, taken.pieces, bytes_max - taken.size)
    taken.size += size
    taken.output_bytes += size
    while number < len(answers) and taken.size < bytes_max:
        if not _take_kept(answers[number], taken, bytes_max):
            break
        answers[number] = b""
        number += 1
    burst.taken = number


@compiled
def take_plain(
    answers: list[Any], number: int, pieces: list[bytes | memoryview], bytes_max: int
) -> tuple[int, int]:
    """Move the answers from this number on to the pieces, as long as they are bytes and there are
    less than so many; the number behind them, and their bytes."""
    size, count = 0, len(answers)
    while number < count and size < bytes_max and isinstance(answers[number], bytes):
        pieces.append(answers[number])
        size += len(answers[number])
        answers[number] = b""  # nothing that was sent is kept
        number += 1
    return number, size


@compiled
def keep_plain(
    part: Part,
    replies: list[Reply],
    position: int,
    bytes_max: int,
    nothing: bytes,
    ok: Reply,
    late_bytes: int,
) -> tuple[int, int, int]:
    """Keep the replies to a part from this position on as the bytes that are sent, as long as they
    are of the three most frequent kinds, there is room for so many bytes, and none was there yet;
    the position behind them, their bytes, and how many were of reads that found nothing.

    ``nothing``: None as it is sent.  ``late_bytes``: no string of so many is encoded now.
    """
    answers, numbers, which_write = part.burst.answers, part.numbers, part.which_write
    size, misses = 0, 0
    while position < len(replies):
        number, reply = numbers[position], replies[position]
        if answers[number] is not None:
            break
        if reply is ok:
            data = b"+OK\r\n"
        elif type(reply) is bytes and len(reply) < late_bytes:
            data = b"$%d\r\n%b\r\n" % (len(reply), reply)
        elif reply is None:
            data = nothing
        else:
            break
        if len(data) > bytes_max - size:
            break
        misses += reply is None and not which_write[position]
        answers[number] = data
        size += len(data)
        position += 1
    return position, size, misses


def _take_kept(kept: Kept | Messages | None, taken: Taken, bytes_max: int) -> bool:
    """True when all of it is taken."""
    if kept is None:
        return False
    if isinstance(kept, bytes):
        taken.pieces.append(kept)
        taken.size += len(kept)
        taken.output_bytes += len(kept)
        return True
    if isinstance(kept, tuple):
        taken.pieces += kept
        taken.size += len(kept[1])
        taken.output_bytes += len(kept[1])
        return True
    if isinstance(kept, Messages):
        size, cost = kept.take(taken.pieces, bytes_max - taken.size)
        taken.size += size
        taken.output_bytes += cost
        return kept.is_empty
    for piece in kept.pieces:
        taken.pieces.append(piece)
        taken.size += len(piece)
        if taken.size >= bytes_max:
            return False
    taken.output_bytes += kept.size
    return True
