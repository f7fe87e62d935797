"""What a client that tracks is told of its own transaction (tracking.py).  Pure.

A partition has run all of a transaction's commands on keys when the slave's own commands in it run.
To the client they ran in their order, so CLIENT TRACKING and CLIENT CACHING count from where they
stand: the commands on keys are gone through in stretches, each up to the next one of these two.

- What was read is remembered at the moment when the partition has run it; a read behind a command
  that had to wait may be of an older state, so it is told as changed.
- A tracker that came in the midst has not seen the writes behind it: it is told of them here.
- What was told before the reply was given came too early: it is told again behind it.

Caveat: whether a write behind the CLIENT TRACKING changed anything is told by its reply; where that
leaves it open its keys are told as changed.
"""

from collections.abc import Iterable, Iterator, Sequence

from distrodb.commands.command import Command
from distrodb.resp.reply import ErrorReply, Reply
from distrodb.slave.tracking import Tracker

Ran = tuple[Command, int, Sequence[bytes]]  # row, place and words
# A reply of 0 says of these that nothing has changed.
_ZERO_IS_NOTHING = frozenset(
    {"copy", "del", "delex", "expire", "expireat", "hdel", "move", "msetex", "msetnx", "persist"}
    | {"pexpire", "pexpireat", "pfadd", "renamenx", "setnx", "setrange", "unlink"}
)
_NULL_IS_NOTHING = frozenset({"getdel", "getex"})


class TransactionTracking:
    def __init__(self, tracker: Tracker | None, stretches: Iterable[Sequence[Ran]]):
        """``tracker``: the client's, when the transaction is sent."""
        self._stretches = iter(stretches)
        self._replies: Iterator[Reply] = iter(())
        self._first = self._tracker = tracker
        self._prefixes_before = () if tracker is None else tracker.prefixes
        self._read: dict[tuple[int, bytes], None] = {}  # places and keys
        self._written: dict[bytes, None] = {}  # what it is to be told of
        self._is_flushed = False
        self._told_before: int | None = None

    def ran(self, replies: Iterable[Reply]) -> None:
        """To all commands of the stretches, just now."""
        self._replies = iter(replies)

    def go_on(self, tracker: Tracker | None, is_late: bool) -> None:
        """The next stretch; ``tracker``: the client's from there on.  ``is_late``: it was not just
        now that the partition ran it."""
        if tracker is not self._tracker:
            self._tracker, self._is_flushed, self._told_before = tracker, False, None
            self._read, self._written = {}, {}
        stretch = [(*each, next(self._replies)) for each in next(self._stretches, ())]
        if tracker is None:
            return
        if self._told_before is None:
            self._told_before = tracker.told
        read_before = self._read
        self._read = {}
        for row, place, args, reply in stretch:
            if not row.is_write:
                if tracker.takes():
                    self._read.update(((place, key), None) for key in row.keys_of(args))
            elif row.is_on_keys:
                self._wrote(tracker, place, _changed(row, args, reply), read_before)
            elif not isinstance(reply, ErrorReply):
                self._flush(tracker)
        self._tell(tracker, is_late)
        self._read = {**read_before, **self._read}

    def _wrote(
        self,
        tracker: Tracker,
        place: int,
        keys: Sequence[bytes],
        read_before: dict[tuple[int, bytes], None],
    ) -> None:
        if tracker.is_deaf_to_itself:
            tracker.wrote(keys)
        for key in keys:
            was_read = (place, key) in self._read or (place, key) in read_before
            self._read.pop((place, key), None)
            if (was_read or self._is_unseen(tracker, key)) and not tracker.is_deaf_to_itself:
                self._written[key] = None

    def _is_unseen(self, tracker: Tracker, key: bytes) -> bool:
        """It wants to hear of the key, and did not yet when it was written."""
        known = self._prefixes_before if tracker is self._first else ()
        return any(map(key.startswith, tracker.prefixes)) and not any(map(key.startswith, known))

    def _flush(self, tracker: Tracker) -> None:
        """All keys of a database are gone; one that tracked has been told so."""
        self._read, self._written = {}, {}
        self._is_flushed = self._is_flushed or tracker is not self._first

    def _tell(self, tracker: Tracker, is_late: bool) -> None:
        if self._is_flushed:
            tracker.forget_all()
        for place, key in self._read:
            if is_late:
                tracker.forget([key])
            elif tracker is self._first:
                tracker.read(place, [key])
            else:
                tracker.read_before(place, [key])
        tracker.forget(self._written)

    def answered(self) -> None:
        """The reply to all of it is given."""
        tracker = self._tracker
        if tracker is None:
            return
        tracker.caching = None
        if self._told_before is not None and tracker.told != self._told_before:
            if self._is_flushed:
                tracker.forget_all()
            tracker.forget(key for _, key in self._read)
            tracker.forget(self._written)


def _changed(row: Command, args: Sequence[bytes], reply: Reply) -> list[bytes]:
    """The keys that a write may have changed."""
    if isinstance(reply, ErrorReply):
        return []
    if (reply == 0 and row.name in _ZERO_IS_NOTHING) or (
        reply is None and row.name in _NULL_IS_NOTHING
    ):
        return []
    if reply is None and row.name == "set" and b"GET" not in map(bytes.upper, args[3:]):
        return []
    if any(spec.is_unknown for spec in row.keys):
        return row.keys_of(args)
    specs = (spec for spec in row.keys if not spec.flags.startswith("RO"))
    return [args[position] for spec in specs for position in spec.positions(args)]
