"""How replies and messages are kept until they are sent, and are taken from the queue.  Pure.

What is small is kept as the bytes that it is sent as.  What is large is a ``LargeReply``, which is
encoded piece by piece as it is taken, so that one taking costs no more than it gives.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from distrodb.resp.encode import PIECE_BYTES, encode_in_pieces
from distrodb.resp.reply import Reply
from distrodb.slave.burst import Burst

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
    answers, number, pieces, size = burst.answers, burst.taken, taken.pieces, 0
    left, count = bytes_max - taken.size, len(burst.answers)
    while number < count and size < left and isinstance(answers[number], bytes):
        pieces.append(answers[number])
        size += len(answers[number])
        answers[number] = b""  # nothing that was sent is kept
        number += 1
    taken.size += size
    taken.output_bytes += size
    while number < count and taken.size < bytes_max:
        if not _take_kept(answers[number], taken, bytes_max):
            break
        answers[number] = b""
        number += 1
    burst.taken = number


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
