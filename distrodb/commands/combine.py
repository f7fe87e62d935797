"""How a command on whole partitions is shared out, and how the replies become one.

As in Redis Cluster such a command speaks of one slave's share: of the partitions that it leads.
Cluster clients ask every leader and add up.  Errors are not combined: the caller answers the first
one, since a part that failed makes the whole a failure.

Each row of such a command names one of these; there is no default, so that a new command cannot
answer OK in place of its result.
"""

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from distrodb.resp.reply import OK, Reply, error

POSITIONS_PER_SLOT = 64  # of SCAN's cursor; see Share.scan
_CURSOR = re.compile(rb"[+-]?0*[0-9]{1,20}|")
_CURSORS = 1 << 64
INVALID_CURSOR = error("ERR", "invalid cursor")


@dataclass(frozen=True, slots=True)
class Led:
    """A partition that this slave leads: its number, its first and its last slot."""

    partition: int
    first: int
    last: int


Part = tuple[int, Sequence[bytes]]  # a partition, and the command that it gets


class Combine(Protocol):
    def parts(self, args: Sequence[bytes], led: Sequence[Led]) -> list[Part]:
        """Which partitions are asked, and what; ``led`` is in the order of the slots."""

    def whole(self, args: Sequence[bytes], led: Sequence[Led], replies: Sequence[Reply]) -> Reply:
        """The reply to the client: from one reply for each part, in their order, no errors."""


@dataclass(frozen=True, slots=True)
class Everywhere:
    """All partitions get the command as it is; ``fold`` makes one reply of theirs."""

    fold: Callable[[Sequence[Reply]], Reply]

    def parts(self, args: Sequence[bytes], led: Sequence[Led]) -> list[Part]:
        return [(each.partition, args) for each in led]

    def whole(self, args: Sequence[bytes], led: Sequence[Led], replies: Sequence[Reply]) -> Reply:
        return self.fold(replies)


def does_not_add_up(replies: Sequence[Reply]) -> Reply:
    kinds = ", ".join(sorted({type(reply).__name__ for reply in replies}))
    return error("ERR", f"internal error: the partitions' replies ({kinds}) do not add up")


def _total(replies: Sequence[Reply]) -> Reply:
    numbers = [reply for reply in replies if type(reply) is int]
    return sum(numbers) if len(numbers) == len(replies) else does_not_add_up(replies)


def _all_ok(replies: Sequence[Reply]) -> Reply:
    return OK if all(reply == OK for reply in replies) else does_not_add_up(replies)


def _concatenated(replies: Sequence[Reply]) -> Reply:
    whole: list[Reply] = []
    for reply in replies:
        if not isinstance(reply, list):
            return does_not_add_up(replies)
        whole += reply
    return whole


def _merged(replies: Sequence[Reply]) -> Reply:
    whole: dict[Reply, Reply] = {}
    for reply in replies:
        if not isinstance(reply, dict):
            return does_not_add_up(replies)
        whole |= reply
    return whole


TOTAL = Everywhere(_total)
ALL_OK = Everywhere(_all_ok)
CONCATENATED = Everywhere(_concatenated)
MERGED = Everywhere(_merged)


def _any_key(replies: Sequence[Reply]) -> Reply:
    """Each partition says how many keys it has, a number, and the key that it has chosen by it.
    The numbers choose the partition too: each as often as it has keys, about."""
    chosen: list[tuple[int, int, bytes]] = []
    for reply in replies:
        match reply:
            case [int(count), int(number), bytes(key)]:
                chosen.append((count, number, key))
            case []:
                pass
            case _:
                return does_not_add_up(replies)
    numbers = b"%d " * len(chosen) % tuple(number for _, number, _ in chosen)
    position = zlib.crc32(numbers) % max(1, sum(count for count, _, _ in chosen))
    for count, _, key in chosen:
        if position < count:
            return key
        position -= count
    return None


ANY_KEY = Everywhere(_any_key)


def cursor_of(text: bytes) -> int | None:
    """SCAN's cursor, read as Redis reads it: an unsigned number of 64 bits, which may have a sign,
    up to a NUL.  None if it is none."""
    text = text.partition(b"\0")[0]
    if _CURSOR.fullmatch(text) is None:
        return None
    number = int(text or b"0")
    return number % _CURSORS if abs(number) < _CURSORS else None


class _FromCursor:
    """SCAN: one partition at a time.  The cursor is a position in the whole key space (see
    ``Share.scan``), so the one that is asked is the first that does not end before it."""

    def _ahead(self, args: Sequence[bytes], led: Sequence[Led]) -> list[Led]:
        position = cursor_of(args[1])
        if position is None:
            return []
        ahead = [each for each in led if position < (each.last + 1) * POSITIONS_PER_SLOT]
        return ahead or list(led[-1:])  # beyond the end: it says whether the options are right

    def parts(self, args: Sequence[bytes], led: Sequence[Led]) -> list[Part]:
        for each in self._ahead(args, led):
            position = max(cursor_of(args[1]) or 0, each.first * POSITIONS_PER_SLOT)
            return [(each.partition, [args[0], b"%d" % position, *args[2:]])]
        return []

    def whole(self, args: Sequence[bytes], led: Sequence[Led], replies: Sequence[Reply]) -> Reply:
        if cursor_of(args[1]) is None:
            return INVALID_CURSOR
        if not replies:
            return [b"0", []]
        reply = replies[0]
        if not isinstance(reply, list) or len(reply) != 2:
            return does_not_add_up(replies)
        ahead = self._ahead(args, led)
        if reply[0] == b"0" and len(ahead) > 1:  # that partition is done, the next one follows
            return [b"%d" % (ahead[1].first * POSITIONS_PER_SLOT), reply[1]]
        return reply


FROM_CURSOR = _FromCursor()
