"""What tells a retry from a first try: the replies that gateways may still ask for.  Deterministic.

A gateway (slave/forwarding/) sends a command again when the leader that it went to is gone, and
cannot know whether it ran.  So each of its writes carries a mark: its origin, which is a number
that this partition has given to the gateway; its place in the sequence of that origin, from 1 on,
without gaps; and below which number all are answered.  The log then decides (thesis 6.3):

- the next number of an origin runs, and its reply is kept until it is known to be answered;
- a number that ran already does not run again, and is answered with the reply that was kept;
- a number that is too high, or of an origin that is not known, does not run.

What always holds: a command of an origin runs once and in the order of its numbers, whatever is
repeated, lost or overtaken on its way, since an origin's number is given once and never again.

Bounds: ``ORIGINS_MAX`` origins, the one that was not used for the longest time goes; and
``KEPT_BYTES_MAX`` of replies, the oldest of that one go first.  A gateway whose origin is gone
opens another one; of a write that it has sent twice it cannot say then whether it ran.  All of this
follows from the entries alone, so replicas agree.
"""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, TypeAlias

from distrodb.resp.encode import size_of
from distrodb.resp.plain import from_plain, to_plain
from distrodb.resp.reply import Reply

ORIGINS_MAX = 256  # of one partition: far above the slaves that have a gateway
KEPT_BYTES_MAX = 64 << 20  # of one partition's replies: four of the largest values
REPLY_BYTES = 64  # what a kept reply costs beside its own bytes, about

Mark: TypeAlias = tuple[int, int, int]  # origin, its number, all below this one are answered


class NoReply(Enum):
    """What comes of a command in place of a reply.  The first three are the log's word."""

    UNKNOWN_ORIGIN = 1
    OUT_OF_ORDER = 2  # one before it has not run
    FORGOTTEN = 3  # it ran, and its reply is gone
    NOT_DONE = 4  # whoever it was sent to does not lead (any more): this try did not run
    IN_DOUBT = 5  # the same, and this try may have run, or still will


class Unseen:
    """The type of ``UNSEEN``."""


UNSEEN = Unseen()  # it is this command's turn


class _Origin:
    __slots__ = ("kept", "last")

    def __init__(self, last: int = 0):
        self.last = last  # the number that ran last
        self.kept: dict[int, Reply] = {}  # by number, in order


class Origins:
    def __init__(self) -> None:
        self.opened = 0  # the number that was given last
        self._all: dict[int, _Origin] = {}  # the one that was used last is the last
        self.bytes = 0  # of the replies, about

    def __len__(self) -> int:
        return len(self._all)

    @property
    def counts(self) -> tuple[int, int]:
        """How many were ever opened, and how many are known."""
        return self.opened, len(self._all)

    def open(self) -> int:
        """A new origin's number."""
        if len(self._all) >= ORIGINS_MAX:
            gone = self._all.pop(next(iter(self._all)))
            self.bytes -= sum(map(_size, gone.kept.values()))
        self.opened += 1
        self._all[self.opened] = _Origin()
        return self.opened

    def look(self, mark: Mark) -> "Reply | NoReply | Unseen":
        """What is known of this command."""
        number, sequence, answered = mark
        origin = self._all.pop(number, None)
        if origin is None:
            return NoReply.UNKNOWN_ORIGIN
        self._all[number] = origin
        kept = origin.kept
        while kept and (first := next(iter(kept))) < answered:
            self.bytes -= _size(kept.pop(first))
        if sequence == origin.last + 1:
            return UNSEEN
        if sequence > origin.last:
            return NoReply.OUT_OF_ORDER
        return kept.get(sequence, NoReply.FORGOTTEN)

    def keep(self, mark: Mark, reply: Reply) -> None:
        """The command ran; ``look`` has said that it was its turn, and nothing came in between."""
        origin = self._all[mark[0]]
        origin.last = mark[1]
        origin.kept[mark[1]] = reply
        self.bytes += _size(reply)
        if self.bytes > KEPT_BYTES_MAX:
            self._forget()

    def _forget(self) -> None:
        for origin in self._all.values():
            while origin.kept:
                self.bytes -= _size(origin.kept.pop(next(iter(origin.kept))))
                if self.bytes <= KEPT_BYTES_MAX:
                    return

    # -- snapshots ---------------------------------------------------------------------------

    def rows(self) -> Iterable[tuple[int, int, dict[int, Reply]]]:
        """Number, the number that ran last, and replies of each, in the order of their use; what
        is returned does not change."""
        return [(number, each.last, dict(each.kept)) for number, each in self._all.items()]

    def restore(self, number: int, last: int, replies: Iterable[tuple[int, Any]]) -> None:
        """A part of an origin from a snapshot.  Raises ``ValueError`` for what is none."""
        origin = self._all.setdefault(number, _Origin(last))
        for sequence, plain in replies:
            if type(sequence) is not int or not 0 < sequence <= last or sequence in origin.kept:
                raise ValueError("a snapshot with a reply out of its place")
            origin.kept[sequence] = from_plain(plain)
            self.bytes += _size(origin.kept[sequence])

    def canonical(self) -> Iterator[Any]:
        """Equal for equal states, for a digest."""
        yield self.opened
        for number, last, kept in self.rows():
            yield [number, last, [[sequence, to_plain(kept[sequence])] for sequence in kept]]


def _size(reply: Reply) -> int:
    return size_of(reply) + REPLY_BYTES
