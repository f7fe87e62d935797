"""Members of sorted sets and their scores (https://redis.io/docs/latest/commands/?group=sorted-set).

Ranges are in sorted_set_ranges.py, unions and their like in sorted_set_algebra.py.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from distrodb.commands.choosing import CHOSEN_US, chosen, chosen_count, parse_wanted, too_many
from distrodb.commands.command import data_row
from distrodb.commands.costs import Sizes
from distrodb.commands.error_replies import SYNTAX, wrong_arity
from distrodb.commands.key_specs import DELETES, LOOKS, READS, counted, one
from distrodb.commands.numbers import (
    NO_COUNT,
    NO_KEY_COUNT,
    NOT_A_FLOAT,
    NOT_POSITIVE,
    parse_integer,
)
from distrodb.commands.scores import NOT_A_NUMBER, parse_score
from distrodb.commands.strings import over_limits
from distrodb.commands.taken_away import drop_if_empty
from distrodb.commands.walking import Opened, fitting, opened, step, step_us
from distrodb.keyspace.containers.sorted_set import ENTRY_BYTES, Entry, SortedSet
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import SORTED_SET, Keys
from distrodb.resp.doubles import show_double
from distrodb.resp.reply import NULL_ARRAY, ErrorReply, Pairs, Reply, error

# As Redis keeps it: up to these it is a list that is looked through.
LISTPACK_ENTRIES_MAX, LISTPACK_BYTES_MAX = 128, 64
TAKEN_US = 3.0  # of a member that is popped

_ADD_OPTIONS = frozenset({b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"})


def members_in(sizes: Sizes, key: bytes) -> float:
    """How many a sorted set has, or may have."""
    return sizes.size(key) / ENTRY_BYTES


def is_small(value: SortedSet) -> bool:
    """Redis would keep it as a list."""
    return len(value) <= LISTPACK_ENTRIES_MAX and all(
        len(member) <= LISTPACK_BYTES_MAX for _, member in value
    )


def over_member_limits(context: Context, key: bytes, members: Iterable[bytes]) -> ErrorReply | None:
    if problem := over_limits(context, key, b""):
        return problem
    limit = context.limits.value_bytes_max
    if any(len(member) > limit for member in members):
        return error("ERR", f"member exceeds value_bytes_max ({limit} bytes)")
    return None


# -- adding ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Changes:
    """What ZADD would do."""

    scores: dict[bytes, float]  # of members that are new or have another score
    added: int = 0
    updated: int = 0  # how often
    score: float | None = None  # the last one that was set or met


def _changes(
    found: SortedSet | None, pairs: Iterable[tuple[float, bytes]], options: frozenset[bytes]
) -> _Changes | ErrorReply:
    changes = _Changes({})
    for score, member in pairs:
        before = changes.scores.get(member)
        if before is None and found is not None:
            before = found.score(member)
        if before is None:
            if b"XX" in options:
                continue
            changes.added += 1
        elif b"NX" in options:
            continue
        else:
            if b"INCR" in options:
                score += before
                if math.isnan(score):
                    return NOT_A_NUMBER
            if (b"GT" in options and score <= before) or (b"LT" in options and score >= before):
                continue
            changes.score = score
            if score == before:
                continue
            changes.updated += 1
        changes.score = changes.scores[member] = score
    return changes


def _wrong_options(options: frozenset[bytes], pair_count: int) -> ErrorReply | None:
    if {b"NX", b"XX"} <= options:
        return error("ERR", "XX and NX options at the same time are not compatible")
    if len(options & {b"GT", b"LT", b"NX"}) > 1:
        return error("ERR", "GT, LT, and/or NX options at the same time are not compatible")
    if b"INCR" in options and pair_count > 1:
        return error("ERR", "INCR option supports a single increment-element pair")
    return None


def add(
    keys: Keys,
    key: bytes,
    words: Sequence[bytes],
    context: Context,
    given: frozenset[bytes] = frozenset(),
) -> Reply:
    """``words``: options, then scores and members."""
    position = 0
    while position < len(words) and words[position].upper() in _ADD_OPTIONS:
        position += 1
    options = given | {word.upper() for word in words[:position]}
    scores, members = words[position::2], words[position + 1 :: 2]
    if not scores or len(scores) != len(members):
        return SYNTAX
    if problem := _wrong_options(options, len(scores)):
        return problem
    parsed = [parse_score(score) for score in scores]
    numbers = [number for number in parsed if number is not None]
    if len(numbers) != len(parsed):
        return NOT_A_FLOAT
    return add_scores(keys, key, list(zip(numbers, members, strict=True)), options, context)


def add_scores(
    keys: Keys, key: bytes, pairs: Sequence[Entry], options: frozenset[bytes], context: Context
) -> Reply:
    found = keys.container(key, SortedSet)
    if problem := over_member_limits(context, key, (member for _, member in pairs)):
        return problem
    changes = _changes(found, pairs, options)
    if isinstance(changes, ErrorReply):
        return changes
    if changes.scores:
        written = keys.container_to_write(key, SortedSet)
        for member, score in changes.scores.items():
            written.set(member, score)
        keys.event(SORTED_SET, b"zincr" if b"INCR" in options else b"zadd", key)
    if b"INCR" in options:
        return changes.score
    return changes.added + (changes.updated if b"CH" in options else 0)


def zadd(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]"""
    return add(keys, args[1], args[2:], context)


def zincrby(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return add(keys, args[1], args[2:], context, frozenset({b"INCR"}))


# -- removing --------------------------------------------------------------------------------------


def zrem(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, members = args[1], args[2:]
    found = keys.container(key, SortedSet)
    if found is None or not any(member in found for member in members):
        return 0
    written = keys.container_to_write(key, SortedSet)
    count = sum(written.delete(member) for member in members)
    keys.event(SORTED_SET, b"zrem", key)
    drop_if_empty(keys, key)
    return count


def pop(keys: Keys, key: bytes, is_highest: bool, count: int) -> list[Entry] | None:
    """Those with the lowest or the highest scores, these first; None where the key is not there."""
    found = keys.container(key, SortedSet)
    if found is None or not count:
        return None if found is None else []
    written = keys.container_to_write(key, SortedSet)
    if is_highest:
        taken = written.take(max(0, len(written) - count), len(written))[::-1]
    else:
        taken = written.take(0, min(count, len(written)))
    keys.event(SORTED_SET, b"zpopmax" if is_highest else b"zpopmin", key)
    drop_if_empty(keys, key)
    return taken


def _zpop(keys: Keys, args: Sequence[bytes], context: Context, is_highest: bool) -> Reply:
    """ZPOPMIN key [count]"""
    if len(args) > 3:
        return SYNTAX
    if len(args) == 2:
        taken = pop(keys, args[1], is_highest, 1) or []
        return [each for score, member in taken for each in (member, score)]
    count = parse_integer(args[2])
    if count is None or count < 0:
        return NOT_POSITIVE
    return scored(pop(keys, args[1], is_highest, count) or [])


def scored(entries: Iterable[Entry]) -> Pairs:
    return Pairs([(member, score) for score, member in entries])


def zpopmin(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _zpop(keys, args, context, False)


def zpopmax(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _zpop(keys, args, context, True)


@dataclass(frozen=True, slots=True)
class Pop:
    """Of the first of these keys that is there."""

    keys: Sequence[bytes]
    is_highest: bool
    count: int


def parse_pop(words: Sequence[bytes]) -> Pop | ErrorReply:
    """numkeys key [key ...] (MIN | MAX) [COUNT count]"""
    number = parse_integer(words[0])
    if number is None or number < 1:
        return NO_KEY_COUNT
    if number + 1 >= len(words):
        return SYNTAX
    where, rest = words[number + 1].upper(), words[number + 2 :]
    if where not in (b"MIN", b"MAX"):
        return SYNTAX
    count: int | None = 1
    if rest:
        if len(rest) < 2 or rest[0].upper() != b"COUNT":
            return SYNTAX
        count = parse_integer(rest[1])
        if count is None or count < 1:
            return NO_COUNT
        if len(rest) > 2:
            return SYNTAX
    return Pop(words[1 : number + 1], where == b"MAX", count or 1)


def pop_first(keys: Keys, asked: Pop) -> Reply:
    """None where none of the keys is there."""
    for key in asked.keys:
        taken = pop(keys, key, asked.is_highest, asked.count)
        if taken is not None:
            return [key, [[member, score] for score, member in taken]]
    return None


def zmpop(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    asked = parse_pop(args[1:])
    if isinstance(asked, ErrorReply):
        return asked
    return pop_first(keys, asked) or NULL_ARRAY


# -- reading ---------------------------------------------------------------------------------------


def zcard(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return len(keys.container(args[1], SortedSet) or ())


def zscore(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    found = keys.container(args[1], SortedSet)
    return None if found is None else found.score(args[2])


def zmscore(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    found = keys.container(args[1], SortedSet)
    return [None if found is None else found.score(member) for member in args[2:]]


def _rank(keys: Keys, args: Sequence[bytes], is_reverse: bool) -> Reply:
    """ZRANK key member [WITHSCORE]"""
    if len(args) > 4:
        return wrong_arity(args[0].decode(errors="replace").lower())
    if len(args) > 3 and args[3].upper() != b"WITHSCORE":
        return SYNTAX
    found = keys.container(args[1], SortedSet)
    rank = None if found is None else found.rank(args[2])
    if found is None or rank is None:
        return None if len(args) == 3 else NULL_ARRAY
    if is_reverse:
        rank = len(found) - 1 - rank
    return rank if len(args) == 3 else [rank, found.score(args[2])]


def zrank(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _rank(keys, args, False)


def zrevrank(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _rank(keys, args, True)


def zrandmember(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """ZRANDMEMBER key [count [WITHSCORES]]"""
    if len(args) == 2:
        found = keys.container(args[1], SortedSet)
        return None if found is None else found.at(keys.chance.number() % len(found))[1]
    wanted = parse_wanted(args[2:], b"WITHSCORES")
    if isinstance(wanted, ErrorReply):
        return wanted
    found = keys.container(args[1], SortedSet)
    if found is None:
        return []
    if problem := too_many(wanted):
        return problem
    entries = [found.at(rank) for rank in chosen(keys.chance, len(found), wanted.count)]
    return scored(entries) if wanted.is_with_values else [member for _, member in entries]


def zscan(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """ZSCAN key cursor [MATCH pattern] [COUNT count]"""
    walk = opened(keys, args, SortedSet)
    if not isinstance(walk, Opened):
        return walk
    found, cursor, steps = walk.found, walk.cursor, walk.steps
    if is_small(found):
        following, members = b"0", fitting([member for _, member in found], steps)
    else:
        following, members = step(found, cursor, steps)
    given: list[Reply] = []
    for member in members:
        score = found.score(member)
        given += (member, show_double(score) if score is not None else b"")
    return [following, given]


# -- what they take --------------------------------------------------------------------------------


def _popped_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    count = (parse_integer(args[2]) or 0) if len(args) > 2 else 1
    return min(count, members_in(sizes, args[1])) * TAKEN_US


def _popped_first_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    asked = parse_pop(args[1:])
    if isinstance(asked, ErrorReply):
        return 0.0
    return min(asked.count, max(members_in(sizes, key) for key in asked.keys)) * TAKEN_US


def _chosen_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    count = args[2] if len(args) > 2 else b"1"
    return chosen_count(count, int(members_in(sizes, args[1]))) * CHOSEN_US


_row = partial(data_row, level=2)
_GROUP = "sorted-set"
_ADDS, _POPS = one("RW update"), one("RW access delete")
_BY_CHANCE = ("nondeterministic_output",)

COMMANDS = (
    _row("zadd", zadd, -4, "write denyoom fast", _ADDS, _GROUP, "Adds members.", "1.2.0"),
    _row(
        "zincrby",
        zincrby,
        4,
        "write denyoom fast",
        one("RW access update"),
        _GROUP,
        "Adds to a score.",
        "1.2.0",
    ),
    _row("zrem", zrem, -3, "write fast", DELETES, _GROUP, "Removes members.", "1.2.0"),
    _row(
        "zpopmin",
        zpopmin,
        -2,
        "write fast",
        _POPS,
        _GROUP,
        "Removes those with the lowest scores.",
        "5.0.0",
        cost=_popped_us,
    ),
    _row(
        "zpopmax",
        zpopmax,
        -2,
        "write fast",
        _POPS,
        _GROUP,
        "Removes those with the highest scores.",
        "5.0.0",
        cost=_popped_us,
    ),
    _row(
        "zmpop",
        zmpop,
        -4,
        "write movablekeys",
        counted("RW access delete"),
        _GROUP,
        "Removes some of the first sorted set that is there.",
        "7.0.0",
        cost=_popped_first_us,
    ),
    _row("zcard", zcard, 2, "readonly fast", LOOKS, _GROUP, "Counts the members.", "1.2.0"),
    _row("zscore", zscore, 3, "readonly fast", READS, _GROUP, "A member's score.", "1.2.0"),
    _row("zmscore", zmscore, -3, "readonly fast", READS, _GROUP, "Members' scores.", "6.2.0"),
    _row("zrank", zrank, -3, "readonly fast", READS, _GROUP, "A member's rank.", "2.0.0"),
    _row(
        "zrevrank",
        zrevrank,
        -3,
        "readonly fast",
        READS,
        _GROUP,
        "A member's rank, from the highest score.",
        "2.0.0",
    ),
    _row(
        "zrandmember",
        zrandmember,
        -2,
        "readonly",
        READS,
        _GROUP,
        "Any members.",
        "6.2.0",
        tips=_BY_CHANCE,
        cost=_chosen_us,
    ),
    _row(
        "zscan",
        zscan,
        -3,
        "readonly",
        READS,
        _GROUP,
        "Walks members.",
        "2.8.0",
        tips=_BY_CHANCE,
        cost=step_us(SortedSet),
    ),
)
