"""Ranges of sorted sets, by rank, by score or by member: read, stored, counted and removed.

All of ZRANGE's kind are one: what their names say is what options of ZRANGE say
(https://redis.io/docs/latest/commands/zrange/).
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from distrodb.commands.command import Command, data_row
from distrodb.commands.costs import Cost, Sizes
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.key_specs import DELETES, READS, one
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.commands.scores import (
    MemberRange,
    Ranks,
    ScoreRange,
    member_range,
    score_range,
)
from distrodb.commands.sorted_sets import members_in, scored
from distrodb.commands.strings import over_limits
from distrodb.commands.taken_away import drop_if_empty
from distrodb.keyspace.containers.sorted_set import Entry, SortedSet
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import GENERIC, SORTED_SET, Keys
from distrodb.resp.reply import ErrorReply, Reply, error

# Microseconds of a member that is given, removed or stored.
GIVEN_US, REMOVED_US, STORED_US = 0.5, 3.0, 6.0

_LIMIT_OF_RANKS = error(
    "ERR",
    "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
)
_SCORES_BY_MEMBER = error("ERR", "syntax error, WITHSCORES not supported in combination with BYLEX")
_BY_RANK, _BY_SCORE, _BY_MEMBER = "rank", "score", "member"


@dataclass(frozen=True, slots=True)
class RankRange:
    """From rank to rank, both included; negative ones count from behind."""

    first: int
    last: int

    def ranks(self, of: SortedSet) -> Ranks:
        count = len(of)
        start = max(0, self.first + count if self.first < 0 else self.first)
        stop = min(count, (self.last + count if self.last < 0 else self.last) + 1)
        return start, max(start, stop)


def rank_range(first: bytes, last: bytes) -> RankRange | ErrorReply:
    numbers = parse_integer(first), parse_integer(last)
    if numbers[0] is None or numbers[1] is None:
        return NOT_AN_INTEGER
    return RankRange(numbers[0], numbers[1])


Range = RankRange | ScoreRange | MemberRange
_PARSE: dict[str, Callable[[bytes, bytes], Range | ErrorReply]] = {
    _BY_RANK: rank_range,
    _BY_SCORE: score_range,
    _BY_MEMBER: member_range,
}


# -- ZRANGE ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Options:
    by: str = ""  # not said yet
    is_reverse: bool | None = None
    has_scores: bool = False
    offset: int = 0
    count: int = -1  # negative: all


def _parse_options(
    words: deque[bytes], options: _Options, may_have_scores: bool
) -> ErrorReply | None:
    while words:
        word = words.popleft().upper()
        if word == b"WITHSCORES" and may_have_scores:
            options.has_scores = True
        elif word == b"LIMIT" and len(words) >= 2:
            offset, count = parse_integer(words.popleft()), parse_integer(words.popleft())
            if offset is None or count is None:
                return NOT_AN_INTEGER
            options.offset, options.count = offset, count
        elif word == b"REV" and options.is_reverse is None:
            options.is_reverse = True
        elif word == b"BYLEX" and not options.by:
            options.by = _BY_MEMBER
        elif word == b"BYSCORE" and not options.by:
            options.by = _BY_SCORE
        else:
            return SYNTAX
    options.by = options.by or _BY_RANK
    if options.count != -1 and options.by == _BY_RANK:
        return _LIMIT_OF_RANKS
    return _SCORES_BY_MEMBER if options.has_scores and options.by == _BY_MEMBER else None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a command of ZRANGE's kind asks for, whatever its name."""

    range: Range
    is_reverse: bool
    has_scores: bool
    offset: int
    count: int

    def ranks(self, of: SortedSet) -> Ranks:
        """Counted from the lowest score in any case."""
        if isinstance(self.range, RankRange):
            start, stop = self.range.ranks(of)
            return (len(of) - stop, len(of) - start) if self.is_reverse else (start, stop)
        if isinstance(self.range, MemberRange):
            start, stop = self.range.ranks(of, self.is_reverse)
        else:
            start, stop = self.range.ranks(of)
        if self.offset < 0:
            return 0, 0
        if self.is_reverse:
            stop -= self.offset
            return (start if self.count < 0 else max(start, stop - self.count)), stop
        start += self.offset
        return start, (stop if self.count < 0 else min(stop, start + self.count))

    def entries(self, of: SortedSet) -> list[Entry]:
        start, stop = self.ranks(of)
        return of.between(max(0, start), stop, self.is_reverse)


def _parse(
    words: Sequence[bytes], by: str, is_reverse: bool | None, may_have_scores: bool
) -> _Asked | ErrorReply:
    """``words``: the two ends, then options."""
    options = _Options(by, is_reverse)
    if problem := _parse_options(deque(words[2:]), options, may_have_scores):
        return problem
    first, last = words[:2]
    if options.is_reverse and options.by != _BY_RANK:
        first, last = last, first
    found = _PARSE[options.by](first, last)
    if isinstance(found, ErrorReply):
        return found
    return _Asked(
        found, bool(options.is_reverse), options.has_scores, options.offset, options.count
    )


def _range(
    keys: Keys,
    args: Sequence[bytes],
    context: Context,
    by: str = "",
    is_reverse: bool | None = None,
) -> Reply:
    asked = _parse(args[2:], by, is_reverse, True)
    if isinstance(asked, ErrorReply):
        return asked
    found = keys.container(args[1], SortedSet)
    entries = [] if found is None else asked.entries(found)
    return scored(entries) if asked.has_scores else [member for _, member in entries]


zrange = _range
zrevrange = partial(_range, by=_BY_RANK, is_reverse=True)
zrangebyscore = partial(_range, by=_BY_SCORE, is_reverse=False)
zrevrangebyscore = partial(_range, by=_BY_SCORE, is_reverse=True)
zrangebylex = partial(_range, by=_BY_MEMBER, is_reverse=False)
zrevrangebylex = partial(_range, by=_BY_MEMBER, is_reverse=True)


def store(
    keys: Keys, key: bytes, scores: dict[bytes, float], event: bytes, context: Context
) -> Reply:
    """What a command has found becomes the value of a key, whatever that was."""
    if problem := over_limits(context, key, b""):
        return problem
    if scores:
        keys.put_value(key, SortedSet.of(scores), overwrites=True)
        keys.event(SORTED_SET, event, key)
    elif keys.delete(key):
        keys.event(GENERIC, b"del", key)
    return len(scores)


def zrangestore(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]"""
    asked = _parse(args[3:], "", None, False)
    if isinstance(asked, ErrorReply):
        return asked
    found = keys.container(args[2], SortedSet)
    entries = [] if found is None else asked.entries(found)
    scores = {member: score for score, member in entries}
    return store(keys, args[1], scores, b"zrangestore", context)


# -- counting and removing -------------------------------------------------------------------------


def _count(keys: Keys, args: Sequence[bytes], context: Context, by: str) -> Reply:
    asked = _PARSE[by](args[2], args[3])
    if isinstance(asked, ErrorReply):
        return asked
    found = keys.container(args[1], SortedSet)
    if found is None:
        return 0
    start, stop = asked.ranks(found)
    return stop - start


zcount = partial(_count, by=_BY_SCORE)
zlexcount = partial(_count, by=_BY_MEMBER)


def _remove(keys: Keys, args: Sequence[bytes], context: Context, by: str, event: bytes) -> Reply:
    asked = _PARSE[by](args[2], args[3])
    if isinstance(asked, ErrorReply):
        return asked
    key = args[1]
    found = keys.container(key, SortedSet)
    start, stop = (0, 0) if found is None else asked.ranks(found)
    if start >= stop:
        return 0
    keys.container_to_write(key, SortedSet).take(start, stop)
    keys.event(SORTED_SET, event, key)
    drop_if_empty(keys, key)
    return stop - start


zremrangebyrank = partial(_remove, by=_BY_RANK, event=b"zremrangebyrank")
zremrangebyscore = partial(_remove, by=_BY_SCORE, event=b"zremrangebyscore")
zremrangebylex = partial(_remove, by=_BY_MEMBER, event=b"zremrangebylex")


# -- what they take --------------------------------------------------------------------------------


def _given(sizes: Sizes, key: bytes, words: Sequence[bytes], by: str) -> float:
    """How many members a range has, at most."""
    count = members_in(sizes, key)
    options = _Options(by)
    if _parse_options(deque(words[2:]), options, True):
        return 0.0  # it will be refused
    if options.by == _BY_RANK:
        first, last = (parse_integer(word) or 0 for word in words[:2])
        is_from_one_end = (first < 0) == (last < 0)
        return min(count, max(0, last - first + 1)) if is_from_one_end else count
    return count if options.count < 0 else min(count, options.count)


def _given_us(by: str = "") -> Cost:
    return lambda sizes, args: _given(sizes, args[1], args[2:], by) * GIVEN_US


def _removed_us(by: str) -> Cost:
    return lambda sizes, args: _given(sizes, args[1], args[2:4], by) * REMOVED_US


def _stored_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    count = _given(sizes, args[2], args[3:], "")
    sizes.grow(args[1], sizes.size(args[2]))
    return count * STORED_US


_row = partial(data_row, level=2)
_GROUP = "sorted-set"


def _read(name: str, handler: Callable[..., Reply], by: str, summary: str, since: str) -> Command:
    return _row(name, handler, -4, "readonly", READS, _GROUP, summary, since, cost=_given_us(by))


def _removal(
    name: str, handler: Callable[..., Reply], by: str, summary: str, since: str
) -> Command:
    return _row(name, handler, 4, "write", DELETES, _GROUP, summary, since, cost=_removed_us(by))


COMMANDS = (
    _read("zrange", zrange, "", "Members of a range.", "1.2.0"),
    _read("zrevrange", zrevrange, _BY_RANK, "Members by rank, from behind.", "1.2.0"),
    _read("zrangebyscore", zrangebyscore, _BY_SCORE, "Members by score.", "1.0.5"),
    _read(
        "zrevrangebyscore",
        zrevrangebyscore,
        _BY_SCORE,
        "Members by score, from the highest.",
        "2.2.0",
    ),
    _read("zrangebylex", zrangebylex, _BY_MEMBER, "Members by their bytes.", "2.8.9"),
    _read(
        "zrevrangebylex",
        zrevrangebylex,
        _BY_MEMBER,
        "Members by their bytes, from behind.",
        "2.8.9",
    ),
    _row(
        "zrangestore",
        zrangestore,
        -5,
        "write denyoom",
        (*one("OW update"), *one("RO access", 2)),
        _GROUP,
        "Stores the members of a range.",
        "6.2.0",
        cost=_stored_us,
    ),
    _row("zcount", zcount, 4, "readonly fast", READS, _GROUP, "Counts members by score.", "2.0.0"),
    _row(
        "zlexcount",
        zlexcount,
        4,
        "readonly fast",
        READS,
        _GROUP,
        "Counts members by their bytes.",
        "2.8.9",
    ),
    _removal("zremrangebyrank", zremrangebyrank, _BY_RANK, "Removes members by rank.", "2.0.0"),
    _removal("zremrangebyscore", zremrangebyscore, _BY_SCORE, "Removes members by score.", "1.2.0"),
    _removal(
        "zremrangebylex", zremrangebylex, _BY_MEMBER, "Removes members by their bytes.", "2.8.9"
    ),
)
