"""Commands that wait until there is something: BLPOP and its like.  Pure: the clock is an argument.

A blocking command is one that is asked again.  It goes to its partition as any command does, and
does there what the one does that never waits: it takes something, or answers that there is nothing.
Then it waits here, at the slave that its client is connected to, until a key of it changes, and is
asked again.  Nothing of it is a part of the state.  That keys change is told by what client-side
caching is told by (tracking.py, gateway_tracking.py), of which this is one more listener: **a
change is never missed**, through changes of leader and broken links too.

So an element is taken by a command of the log like any other: once, and through a gateway with a
mark, so that a leader that dies while it answers neither loses an element nor gives it twice.

What always holds:

- a command is answered once: with what it took, with an error, or that its time is over;
- for each key those who wait are in the order in which they came (``_Line``), and who came first is
  asked first;
- of a key, those who take from one another are **rivals** (takers from lists, from sorted sets, the
  consumers of one group): if nothing is there for one, nothing is for the others.  As long as one
  waits, a rival of it is being asked, or the line is told of the next change.  Rivals alone stand
  for one another: a list that comes while a taker from a sorted set is being asked is not for it;
- one that is being asked when its time is over, or when it is unblocked, is answered by what comes;
- whoever is told that there was nothing has been asked at least once, unless it was unblocked.

How many rivals are asked: as many as there are elements, where this slave sees that (the leader's
own clients, of lists and sorted sets); else one, and two more for each that took something.  Who
takes nothing from anybody (XREAD) is asked whenever something changes.

Caveats: order holds among the clients of one slave.  What another command has queued behind the one
that feeds may be served first.  In Redis a waiter is served at once, at the end of the command that
feeds it.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice

from distrodb.keyspace.place_number import database_of, slot_at
from distrodb.raft.interfaces import Request
from distrodb.resp.reply import NULL_ARRAY, ErrorReply, Reply
from distrodb.slave.deadlines import Deadlines
from distrodb.slave.tracking import Tracking

AFTER_ONE = 2  # that are asked when one has taken something
ALL = 1 << 62  # of those who wait


class Waiter:
    """One command that may wait; the ``Request`` that is asked again and again."""

    __slots__ = (
        "args",
        "begin",
        "blocking",
        "end",
        "has_waited",
        "is_asked",
        "is_of_group",
        "is_stuck",
        "is_write",
        "keys",
        "lines",
        "nothing",
        "number",
        "partition",
        "place",
        "rivals",
        "size",
        "slot",
        "tell",
        "was_asked",
    )

    def __init__(
        self,
        args: Sequence[bytes],
        partition: int,
        place: int,
        keys: Sequence[bytes],
        nothing: Reply,
        tell: Callable[[Reply], None],
        is_write: bool = True,
    ):
        """``nothing``: what it is answered when its time is over; ``tell`` takes that, or what it
        took."""
        self.args, self.partition, self.place, self.keys = args, partition, place, keys
        self.slot, self.is_write, self.nothing, self.tell = slot_at(place), is_write, nothing, tell
        self.size = 32 + sum(map(len, args))
        self.blocking: Blocking | None = None  # None: it is over
        self.lines: Sequence[_Line] = ()  # of its keys
        self.number = 0  # in the order in which they came
        self.is_asked = False  # its partition is, at the moment
        self.was_asked = False  # at least once
        self.has_waited = False
        self.is_stuck = False  # at a value of another kind, so it tells nothing of what is there
        # Who takes from one another, by a name; None: it takes nothing from anybody.
        self.rivals: bytes | None = b"" if is_write else None
        # It takes what a group of consumers gives out: ``count_at`` does not count that, and where
        # the group or its stream is gone, it is told what is there instead.
        self.is_of_group = False
        # Makes of the first reply what is asked from then on: from where on it reads.
        self.begin: Callable[[Reply], Sequence[bytes]] | None = None
        self.end: Reply = None  # what it is answered if nothing comes, once its time is over

    def unblock(self, reply: Reply) -> bool:
        """Let it wait no longer; None: as when its time is over.  False: it is over."""
        if self.blocking is None:
            return False
        self.blocking.unblock(self, self.nothing if reply is None else reply)
        return True

    def resolve(self, reply: Reply) -> None:
        """By its partition."""
        if self.blocking is not None:
            self.blocking.answered(self, reply)


class _Rivals:
    """Those of a line who take from one another, in the order in which they came.  Thousands may
    wait for one key, so what is asked for each answer is counted, and not looked for."""

    def __init__(self) -> None:
        self.waiters: dict[Waiter, None] = {}
        self.asked = 0  # how many of them are, at the moment

    def to_ask(self, count: int) -> list[Waiter]:
        """So many that are not asked, the first ones; none that is stuck."""
        idle = len(self.waiters) - self.asked
        if count <= 0 or not idle:
            return []
        found = (each for each in self.waiters if not (each.is_asked or each.is_stuck))
        return list(islice(found, min(count, idle)))


class _Line:
    """Those who wait for one key; a ``Listener``."""

    def __init__(self, blocking: "Blocking", place: tuple[int, bytes]):
        self._blocking, self.at = blocking, place  # database, key
        self.rivals: dict[bytes | None, _Rivals] = {}
        self.stuck: dict[Waiter, None] = {}
        self.is_told = False  # of the next change

    @property
    def is_over(self) -> bool:
        return not self.rivals

    def add(self, waiter: Waiter) -> None:
        self.rivals.setdefault(waiter.rivals, _Rivals()).waiters[waiter] = None

    def remove(self, waiter: Waiter) -> None:
        rivals = self.rivals[waiter.rivals]
        del rivals.waiters[waiter]
        self.stuck.pop(waiter, None)
        if not rivals.waiters:
            del self.rivals[waiter.rivals]

    def has(self, rivals: bytes | None) -> bool:
        """Whether one of these waits."""
        return rivals is not None and rivals in self.rivals

    @property
    def must_be_told(self) -> bool:
        """Of the next change: of one who waits no rival is being asked."""
        return any(
            each.asked < len(each.waiters) if name is None else not each.asked
            for name, each in self.rivals.items()
        )

    def tell(self, keys: tuple[bytes, ...] | None) -> None:
        self.is_told = False
        self._blocking.changed(self, keys is None)


class Blocking:
    def __init__(
        self,
        tracking: Tracking,
        ask: Callable[[Request, int], None],
        count_at: Callable[[int, bytes], int] | None = None,
    ):
        """``ask``: let a partition run a command.  ``count_at``: how many could take something of a
        key of a database; None where that is not seen, for the gateway's clients."""
        self._tracking, self._ask_partition, self._count_at = tracking, ask, count_at
        self._lines: dict[tuple[int, bytes], _Line] = {}  # by database and key
        self._by_number: dict[int, Waiter] = {}
        self._number = 0
        self._deadlines = Deadlines()
        self._to_ask: deque[Waiter] = deque()
        self._is_asking = False

    def __len__(self) -> int:
        return len(self._by_number)

    # -- one that comes, and goes --------------------------------------------------------------

    def begin(self, waiter: Waiter, until: float) -> None:
        """``until``: seconds, when its time is over; infinite: never."""
        self._number += 1
        waiter.blocking, waiter.number = self, self._number
        self._by_number[waiter.number] = waiter
        lines = waiter.lines = [self._line(waiter, key) for key in dict.fromkeys(waiter.keys)]
        are_rivals_before = bool(lines) and all(line.has(waiter.rivals) for line in lines)
        for line in lines:
            line.add(waiter)
        if until < math.inf:
            self._deadlines.put(waiter.number, until)
        if are_rivals_before:
            waiter.has_waited = True  # its turn comes
        else:
            self._ask(waiter)

    def _line(self, waiter: Waiter, key: bytes) -> _Line:
        at = database_of(waiter.place), key
        line = self._lines.get(at)
        if line is None:
            line = self._lines[at] = _Line(self, at)
            self._tracking.listen(line)
        return line

    def _end(self, waiter: Waiter, reply: Reply) -> None:
        waiter.blocking = None
        del self._by_number[waiter.number]
        self._deadlines.remove(waiter.number)
        for line in waiter.lines:
            line.remove(waiter)
            if line.is_over:
                del self._lines[line.at]
                self._tracking.leave(line)
        waiter.tell(reply)

    def unblock(self, waiter: Waiter, reply: Reply) -> None:
        """Let it wait no longer; what it has just taken counts more."""
        if waiter.is_asked:
            waiter.end = reply
        elif waiter.blocking is not None:
            self._end(waiter, reply)

    @property
    def next_due(self) -> float:
        """Seconds: when ``look`` is to be called."""
        return self._deadlines.next_due

    def look(self, now: float) -> None:
        """Whose time is over?"""
        for number in self._deadlines.take(now):
            waiter = self._by_number.get(number)
            if waiter is None:  # what became of one before ended it as well
                continue
            if waiter.was_asked:
                self.unblock(waiter, waiter.nothing)
            else:  # it came behind others, and there may have been enough for all the time
                waiter.end = waiter.nothing
                self._ask_idle([waiter])

    # -- asking ------------------------------------------------------------------------------

    def _ask(self, waiter: Waiter) -> None:
        waiter.is_asked = waiter.was_asked = True
        for line in waiter.lines:
            line.rivals[waiter.rivals].asked += 1
        self._ask_partition(waiter, waiter.partition)

    def answered(self, waiter: Waiter, reply: Reply) -> None:
        if waiter.begin is not None and isinstance(reply, list):
            waiter.args, waiter.begin = waiter.begin(reply), None
            self._ask_partition(waiter, waiter.partition)
            return
        waiter.is_asked = False
        for line in waiter.lines:
            line.rivals[waiter.rivals].asked -= 1
        is_other_kind = isinstance(reply, ErrorReply) and reply.code == "WRONGTYPE"
        is_other_kind &= not waiter.is_of_group
        if reply is None or reply is NULL_ARRAY or (is_other_kind and waiter.has_waited):
            waiter.has_waited = True
            waiter.is_stuck = is_other_kind
            if waiter.end is not None:
                self._end(waiter, waiter.end)
            elif is_other_kind:
                for line in waiter.lines:
                    line.stuck[waiter] = None
            for line in waiter.lines:
                self._ask_rivals(line, waiter.rivals, 1 if is_other_kind else 0)
            return
        self._end(waiter, reply)
        for line in waiter.lines:
            self._ask_rivals(line, waiter.rivals, AFTER_ONE)

    def changed(self, line: _Line, is_lost: bool) -> None:
        """Something has come about with its key; ``is_lost``: changes are not seen here any more,
        and who leads may be another slave: the leader's own clients must be told where to go."""
        count = uncounted = 1
        if self._count_at is not None:
            count = ALL if is_lost else self._count_at(*line.at)
            uncounted = ALL if count == ALL else 1
        for waiter in line.stuck:
            waiter.is_stuck = False
        line.stuck.clear()
        chosen: list[Waiter] = []
        for name, rivals in line.rivals.items():
            is_of_group = next(iter(rivals.waiters)).is_of_group
            chosen += rivals.to_ask(ALL if name is None else uncounted if is_of_group else count)
        self._ask_idle(chosen)
        self._listen(line)

    def _ask_rivals(self, line: _Line, rivals: bytes | None, count: int) -> None:
        """So many of one's rivals, which has been answered."""
        if rivals is not None and rivals in line.rivals:
            self._ask_idle(line.rivals[rivals].to_ask(count))
        self._listen(line)

    def _ask_idle(self, waiters: Sequence[Waiter]) -> None:
        """But for one that is asked or over meanwhile: an answer may come at once, and lets others
        be asked, thousands in a row.  So those stand in a queue, and not in one another's calls."""
        self._to_ask += waiters
        if self._is_asking:
            return
        self._is_asking = True
        while self._to_ask:
            waiter = self._to_ask.popleft()
            if not waiter.is_asked and waiter.blocking is not None:
                self._ask(waiter)
        self._is_asking = False

    def _listen(self, line: _Line) -> None:
        if not line.is_told and line.must_be_told:
            line.is_told = True
            database, key = line.at
            self._tracking.wait_for(line, database, key)
