"""Unions, intersections and differences of sorted sets: ZUNION ZINTER ZDIFF, what stores them, and
ZINTERCARD.

Caveat: what a command would look at is bounded (``MEMBERS_MAX``), since nobody else is served while
it runs; Redis has no bound.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias

from distrodb.commands.command import Command, data_row
from distrodb.commands.costs import Sizes
from distrodb.commands.error_replies import NEGATIVE_LIMIT, SYNTAX
from distrodb.commands.key_specs import counted, one
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.commands.scores import parse_score
from distrodb.commands.sorted_set_ranges import STORED_US, store
from distrodb.commands.sorted_sets import members_in, scored
from distrodb.keyspace.containers.set import Set
from distrodb.keyspace.containers.sorted_set import Entry, SortedSet
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import Keys
from distrodb.keyspace.place import WrongType
from distrodb.keyspace.values import Value
from distrodb.resp.reply import ErrorReply, Reply, error

MEMBERS_MAX = 1 << 20  # looked at by one command, each as often as it is looked for
LOOKED_FOR_US = 1.0

TOO_MANY = error("ERR", f"more than {MEMBERS_MAX} members would be looked at by one command")
NOT_A_WEIGHT = error("ERR", "weight value is not a float")
_UNION, _INTER, _DIFF = "union", "inter", "diff"

Scores: TypeAlias = dict[bytes, float]


class Source(Protocol):
    """What a key has to give: members with scores."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Entry]: ...

    def score(self, member: bytes) -> float | None: ...


class _OfSet:
    """A set's members weigh 1 each."""

    def __init__(self, value: Set):
        self._places = value.places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Entry]:
        return ((1.0, member) for member in self._places)

    def score(self, member: bytes) -> float | None:
        return 1.0 if member in self._places else None


# A kind of value whose members can be taken has a line here.
_SOURCES: Mapping[type, Callable[[Any], Source]] = {SortedSet: lambda value: value, Set: _OfSet}
_NOTHING = SortedSet(0)


def _sum(one: float, other: float) -> float:
    total = one + other
    return 0.0 if math.isnan(total) else total  # infinite ones that cancel each other


def _min(one: float, other: float) -> float:
    return other if other < one else one


def _max(one: float, other: float) -> float:
    return other if other > one else one


# By COUNT each of the sets counts by its weight, whatever the scores in it are.
_COUNT = b"COUNT"
_AGGREGATES = {b"SUM": _sum, b"MIN": _min, b"MAX": _max, _COUNT: _sum}


@dataclass(slots=True)
class _Asked:
    """Which keys, and what is done with their scores."""

    keys: Sequence[bytes]
    weights: Sequence[float]
    aggregate: Callable[[float, float], float] = _sum
    is_counting: bool = False
    has_scores: bool = False
    limit: int = 0  # 0: none


def _key_count(words: Sequence[bytes], name: str) -> int | ErrorReply:
    count = parse_integer(words[0])
    if count is None:
        return NOT_AN_INTEGER
    if count < 1:
        return error("ERR", f"at least 1 input key is needed for '{name}' command")
    return SYNTAX if count >= len(words) else count


def _parse(words: Sequence[bytes], asked: _Asked, is_diff: bool, stores: bool) -> ErrorReply | None:
    """[WEIGHTS weight ...] [AGGREGATE (SUM | MIN | MAX | COUNT)] [WITHSCORES]"""
    left, count = deque(words), len(asked.keys)
    while left:
        word = left.popleft().upper()
        if word == b"WEIGHTS" and not is_diff and len(left) >= count:
            weights = [parse_score(left.popleft()) for _ in range(count)]
            asked.weights = [weight for weight in weights if weight is not None]
            if len(asked.weights) != count:
                return NOT_A_WEIGHT
        elif word == b"AGGREGATE" and not is_diff and left:
            name = left.popleft().upper()
            if name not in _AGGREGATES:
                return SYNTAX
            asked.aggregate, asked.is_counting = _AGGREGATES[name], name == _COUNT
        elif word == b"WITHSCORES" and not stores:
            asked.has_scores = True
        else:
            return SYNTAX
    return None


def _sources(keys: Keys, names: Sequence[bytes]) -> list[Source]:
    """Raises ``WrongType``."""
    return [_source(keys.value(name)) for name in names]


def _source(value: Value | None) -> Source:
    if value is None:
        return _NOTHING
    if type(value) not in _SOURCES:
        raise WrongType
    return _SOURCES[type(value)](value)


# -- the three operations --------------------------------------------------------------------------


def _union(sources: Sequence[Source], asked: _Asked) -> Scores:
    found: Scores = {}
    aggregate = asked.aggregate
    for weight, source in _smallest_first(sources, asked.weights):
        for plain, member in source:
            score = weight if asked.is_counting else _weighed(plain, weight)
            before = found.get(member)
            found[member] = score if before is None else aggregate(before, score)
    return found


def _inter(sources: Sequence[Source], asked: _Asked) -> Scores:
    found: Scores = {}
    (weight, first), *others = _smallest_first(sources, asked.weights)
    for plain, member in first:
        score = weight if asked.is_counting else _weighed(plain, weight)
        for other_weight, other in others:
            value = other.score(member)
            if value is None:
                break
            other_score = other_weight if asked.is_counting else value * other_weight
            score = asked.aggregate(score, other_score)
        else:
            found[member] = score
            if len(found) == asked.limit:
                break
    return found


def _diff(sources: Sequence[Source], asked: _Asked) -> Scores:
    first, *others = sources
    return {
        member: score
        for score, member in first
        if all(other.score(member) is None for other in others)
    }


def _smallest_first(
    sources: Sequence[Source], weights: Sequence[float]
) -> list[tuple[float, Source]]:
    """In Redis' order: sums of doubles depend on it."""
    return sorted(zip(weights, sources, strict=True), key=lambda each: len(each[1]))


def _weighed(score: float, weight: float) -> float:
    product = score * weight
    return 0.0 if math.isnan(product) else product


_OPERATIONS = {_UNION: _union, _INTER: _inter, _DIFF: _diff}


def _looked_at(sizes: Sequence[float], operation: str) -> float:
    """Members, each as often as it is looked for."""
    if operation == _UNION:
        return sum(sizes)
    return (min(sizes) if operation == _INTER else sizes[0]) * len(sizes)


def _run(keys: Keys, asked: _Asked, operation: str) -> Scores | ErrorReply:
    sources = _sources(keys, asked.keys)
    if _looked_at([len(source) for source in sources], operation) > MEMBERS_MAX:
        return TOO_MANY
    return _OPERATIONS[operation](sources, asked)


# -- commands --------------------------------------------------------------------------------------


def _asked(keys: Keys, words: Sequence[bytes], name: str) -> _Asked | ErrorReply:
    """``words``: numkeys key [key ...] and what follows, which ``_parse`` reads."""
    count = _key_count(words, name)
    if isinstance(count, ErrorReply):
        return count
    _sources(keys, words[1 : count + 1])  # a wrong type comes before what is wrong behind it
    return _Asked(words[1 : count + 1], [1.0] * count)


def _scores(
    keys: Keys, words: Sequence[bytes], operation: str, stores: bool
) -> tuple[_Asked, Scores] | ErrorReply:
    """numkeys key [key ...] and options: what was asked, and what comes of it."""
    asked = _asked(keys, words, f"z{operation}store" if stores else f"z{operation}")
    if isinstance(asked, ErrorReply):
        return asked
    rest = words[len(asked.keys) + 1 :]
    if problem := _parse(rest, asked, operation == _DIFF, stores):
        return problem
    scores = _run(keys, asked, operation)
    return scores if isinstance(scores, ErrorReply) else (asked, scores)


def _read(keys: Keys, args: Sequence[bytes], context: Context, operation: str) -> Reply:
    found = _scores(keys, args[1:], operation, stores=False)
    if isinstance(found, ErrorReply):
        return found
    asked, scores = found
    entries = sorted((score, member) for member, score in scores.items())
    return scored(entries) if asked.has_scores else [member for _, member in entries]


def _store(keys: Keys, args: Sequence[bytes], context: Context, operation: str) -> Reply:
    found = _scores(keys, args[2:], operation, stores=True)
    if isinstance(found, ErrorReply):
        return found
    return store(keys, args[1], found[1], b"z%bstore" % operation.encode(), context)


def zintercard(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """ZINTERCARD numkeys key [key ...] [LIMIT limit]"""
    words = args[1:]
    asked = _asked(keys, words, "zintercard")
    if isinstance(asked, ErrorReply):
        return asked
    left = deque(words[len(asked.keys) + 1 :])
    while left:
        if left.popleft().upper() != b"LIMIT" or not left:
            return SYNTAX
        limit = parse_integer(left.popleft())
        if limit is None or limit < 0:
            return NEGATIVE_LIMIT
        asked.limit = limit
    scores = _run(keys, asked, _INTER)
    return scores if isinstance(scores, ErrorReply) else len(scores)


# -- what they take --------------------------------------------------------------------------------


def _read_us(sizes: Sizes, args: Sequence[bytes], operation: str, at: int = 1) -> float:
    count = _key_count(args[at:], "")
    if isinstance(count, ErrorReply):
        return 0.0
    counts = [members_in(sizes, key) for key in args[at + 1 : at + 1 + count]]
    looked_at = _looked_at(counts, operation)
    if looked_at > MEMBERS_MAX:
        return MEMBERS_MAX * STORED_US
    return looked_at * LOOKED_FOR_US + _found_max(counts, operation) * STORED_US


def _found_max(counts: Sequence[float], operation: str) -> float:
    return sum(counts) if operation == _UNION else min(counts)


def _stored_us(sizes: Sizes, args: Sequence[bytes], operation: str) -> float:
    count = _key_count(args[2:], "")
    if isinstance(count, int):
        found = [sizes.size(key) for key in args[3 : 3 + count]]
        sizes.grow(args[1], sum(found) if operation == _UNION else found[0])
    return _read_us(sizes, args, operation, 2)


_row = partial(data_row, level=2)
_GROUP = "sorted-set"
_WORDS = {
    _UNION: "The union of sorted sets.",
    _INTER: "What sorted sets have in common.",
    _DIFF: "What a sorted set has and others have not.",
}


def _read_row(operation: str) -> Command:
    return _row(
        f"z{operation}",
        partial(_read, operation=operation),
        -3,
        "readonly movablekeys",
        counted("RO access"),
        _GROUP,
        _WORDS[operation],
        "6.2.0",
        cost=partial(_read_us, operation=operation),
    )


def _store_row(operation: str, since: str) -> Command:
    return _row(
        f"z{operation}store",
        partial(_store, operation=operation),
        -4,
        "write denyoom movablekeys",
        (*one("OW update"), *counted("RO access", 2)),
        _GROUP,
        f"Stores it: {_WORDS[operation][0].lower()}{_WORDS[operation][1:]}",
        since,
        cost=partial(_stored_us, operation=operation),
    )


COMMANDS = (
    *map(_read_row, (_UNION, _INTER, _DIFF)),
    _store_row(_UNION, "2.0.0"),
    _store_row(_INTER, "2.0.0"),
    _store_row(_DIFF, "6.2.0"),
    _row(
        "zintercard",
        zintercard,
        -3,
        "readonly movablekeys",
        counted("RO access"),
        _GROUP,
        "Counts what sorted sets have in common.",
        "7.0.0",
        cost=partial(_read_us, operation=_INTER),
    ),
)
