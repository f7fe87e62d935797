"""Which keys of a partition are watched (WATCH), and are as they were: known to its leader.

A key is in here from the moment when somebody watches it until it is touched; a transaction that
depends on it may run if it is still here, and has been since it was watched.  So a key that is not
here, for whatever reason, only makes a transaction fail, which is always allowed: a new leader
begins with nothing, and when too much is watched the keys that were watched longest ago go first.
Nobody has to say that it watches no more, so no client's or gateway's death leaves anything behind.

A WATCH is answered with a token: the term of the leader, the moment, and a number that grows with
each WATCH.  To the leader of that term the number is worth something, to later ones the moment:
each copy knows of each slot when something in it was changed last (``Store.touched``), and what was
changed before the moment of the WATCH was changed before the WATCH.  So a transaction outlives the
leader of its WATCH, unless another key of a watched key's slot was written to meanwhile.

Moments (``next_moment``) are the times of entries, and which of those of one millisecond it is, as
far as the fourth: all copies count the same.  What may be of one moment counts as touched later.

It is no part of the replicated state.

Caveats: from a partition's first WATCH on the store has an observer, which costs a write some
0.3 µs.  A key that had expired when it was watched, and was not removed yet, counts as touched.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from distrodb.keyspace.transaction import Condition

KEYS_MAX = 65536  # of a partition; beyond, those that were watched first are given up
BYTES_MAX = 4 << 20  # of their names

# In a token's first number the moment is below the term.  A slave of 0.7.0 or before takes it for a
# term that is not its own.  What does not fit is worth something in its own lead only.
MOMENT_BITS = 44
TERM_MAX = (1 << 22) - 1

Key = tuple[int, bytes]  # place (place_number.py) and name


def next_moment(moment: int, now_ms: int) -> int:
    """That of an entry of this time, behind the one of ``moment``; the last of a millisecond is
    that of all entries that follow in it."""
    at = now_ms << 2
    if at > moment:
        return at
    return moment if moment & 3 == 3 else moment + 1


def last_moment(now_ms: int) -> int:
    """No entry of this time has a later one."""
    return now_ms << 2 | 3


def moment_behind(moment: int) -> int:
    """No entry behind that of ``moment`` has an earlier one, if all have this millisecond."""
    return min(moment + 1, moment | 3)


class Watched:
    def __init__(
        self,
        expires_by: Callable[[int, bytes, int], bool] = lambda *_: False,
        touched: Callable[[int], float] = lambda _: math.inf,
    ):
        """``expires_by``: whether a key (place, name) that is there will have expired by then.
        ``touched``: the moment when a key of that place was changed last, at the latest."""
        self._expires_by, self._touched = expires_by, touched
        # The number of the WATCH by which it came in; those that were watched last are behind.
        self._since: OrderedDict[Key, int] = OrderedDict()
        self._count = 0  # of WATCHes in this lead
        self._bytes = 0
        self._term = 0  # of the lead; 0: none

    def __len__(self) -> int:
        return len(self._since)

    def begin(self, term: int) -> None:
        """This slave leads from now on; 0: it does not."""
        self._since.clear()
        self._count = self._bytes = 0
        self._term = term

    def add(self, keys: Sequence[Key], moment: int = 0) -> bytes:
        """Watch keys as they are now, when all that was changed before this moment is, and nothing
        that is changed later; the token."""
        self._count += 1
        for key in keys:
            if key not in self._since:
                self._since[key] = self._count
                self._bytes += len(key[1])
            self._since.move_to_end(key)
        while len(self._since) > KEYS_MAX or self._bytes > BYTES_MAX:
            (_, name), _ = self._since.popitem(last=False)
            self._bytes -= len(name)
        fits = self._term <= TERM_MAX and moment < 1 << MOMENT_BITS
        return b"%d.%d" % (self._term << MOMENT_BITS | (moment if fits else 0), self._count)

    def holds(self, conditions: Iterable[Condition], now_ms: int) -> bool:
        """Whether all these keys are as they were when they were watched, also at that time: none
        has expired by then."""
        return all(
            self._is_untouched(token, place, key) and not self._expires_by(place, key, now_ms)
            for token, place, key in conditions
        )

    def _is_untouched(self, token: bytes, place: int, key: bytes) -> bool:
        first, _, number = token.partition(b".")
        term, moment = divmod(int(first), 1 << MOMENT_BITS)
        if term != self._term:
            return self._touched(place) < moment
        since = self._since.get((place, key))
        return since is not None and since <= int(number)

    def clear(self, goes: Callable[[int, bytes], bool]) -> None:
        """Many keys are about to go: it touches those that are there."""
        for place, key in [each for each in self._since if goes(*each)]:
            self.changed(place, key)

    # -- what an observer of the store is told (place.py) ----------------------------------------

    def changed(self, place: int, key: bytes) -> None:
        if self._since.pop((place, key), None) is not None:
            self._bytes -= len(key)

    def event(self, place: int, kind: str, name: bytes, key: bytes) -> None: ...

    def flushed(self, database: int | None) -> None: ...
