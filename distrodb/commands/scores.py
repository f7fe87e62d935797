"""Scores and the bounds of ranges, as clients write them, and what ranks a range has.

Redis reads numbers as C's ``strtod`` does: ``inf``, hexadecimal digits and exponents are numbers,
NaN is refused.  A bound that begins with ``(`` is left out of its range; a bound of a range by
members begins with ``[`` or ``(``, or is ``-`` or ``+``, the least and the greatest.

Caveat: a range by members has a meaning where all scores are equal.  Elsewhere what it gives is not
specified; we give what Redis gives of a sorted set of up to 128 members, which it looks through
from its one end.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from distrodb.keyspace.containers.sorted_set import SortedSet
from distrodb.resp.reply import ErrorReply, error

NOT_A_SCORE_BOUND = error("ERR", "min or max is not a float")
NOT_A_MEMBER_BOUND = error("ERR", "min or max not valid string range item")
NOT_A_NUMBER = error("ERR", "resulting score is not a number (NaN)")
CHARACTERS_MAX = 5 * 1024  # of a number

_INFINITE = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)
_DECIMAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEXADECIMAL = re.compile(
    rb"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?"
)
_SPACES = b" \t\n\v\f\r"
_LOOKED_THROUGH_MAX = 128  # members of a sorted set that Redis keeps as a list

Ranks: TypeAlias = tuple[int, int]  # the first one, and behind the last one


def _number(text: bytes) -> float | None:
    """Infinite also where a number is too large; None if it is none."""
    if len(text) > CHARACTERS_MAX:
        return None
    if _DECIMAL.fullmatch(text) or _INFINITE.fullmatch(text):
        return float(text)
    if _HEXADECIMAL.fullmatch(text):
        try:
            return float.fromhex(text.decode())
        except OverflowError:
            return -math.inf if text[:1] == b"-" else math.inf
    return None


def parse_score(text: bytes) -> float | None:
    """None for what is no number, or no double's."""
    number = _number(text)
    if number is None:
        return None
    if math.isinf(number) and _INFINITE.fullmatch(text) is None:
        return None
    if number == 0 and _is_not_zero(text):
        return None
    return number


def _is_not_zero(text: bytes) -> bool:
    """It is so near to zero that no double is."""
    digits = text.lower()
    is_hexadecimal = b"0x" in digits
    mantissa = digits.partition(b"x")[2].partition(b"p")[0] if is_hexadecimal else digits
    if not is_hexadecimal:
        mantissa = digits.partition(b"e")[0]
    return any(digit not in b"+-.0" for digit in mantissa)


# -- by score --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScoreRange:
    least: float
    most: float
    is_least_out: bool = False
    is_most_out: bool = False

    def ranks(self, of: SortedSet) -> Ranks:
        start = of.rank_of_score(self.least, self.is_least_out)
        stop = of.rank_of_score(self.most, not self.is_most_out)
        return start, max(start, stop)


def _score_bound(text: bytes) -> tuple[float, bool] | None:
    text = text.partition(b"\0")[0]
    is_out = text[:1] == b"("
    rest = text[is_out:]
    # To strtod nothing is a zero that it reads to the end.
    number = _number(rest.lstrip(_SPACES)) if rest else 0.0
    return None if number is None else (number, is_out)


def score_range(least: bytes, most: bytes) -> ScoreRange | ErrorReply:
    lower, upper = _score_bound(least), _score_bound(most)
    if lower is None or upper is None:
        return NOT_A_SCORE_BOUND
    return ScoreRange(lower[0], upper[0], lower[1], upper[1])


# -- by member -------------------------------------------------------------------------------------


# Before all, at a member or behind all; the member; whether the bound lies behind it.  They compare
# as they lie.
_MemberBound: TypeAlias = tuple[int, bytes, bool]
_LOWEST, _HIGHEST = (0, b"", False), (2, b"", False)


def _is_before(member: bytes, bound: _MemberBound) -> bool:
    return (1, member, False) < bound


@dataclass(frozen=True, slots=True)
class MemberRange:
    lower: _MemberBound
    upper: _MemberBound

    def ranks(self, of: SortedSet, is_reverse: bool = False) -> Ranks:
        lower, upper, count = self.lower, self.upper, len(of)
        if not count or lower >= upper:
            return 0, 0
        if _is_before(of.at(count - 1)[1], lower) or not _is_before(of.at(0)[1], upper):
            return 0, 0
        if count > _LOOKED_THROUGH_MAX:
            start, stop = _rank_of(of, lower), _rank_of(of, upper)
            return start, max(start, stop)
        members = [member for _, member in of]
        above = [not _is_before(member, lower) for member in members]
        below = [_is_before(member, upper) for member in members]
        if is_reverse:
            start, stop = _looked_through(below[::-1], above[::-1])
            return count - stop, count - start
        return _looked_through(above, below)


def _looked_through(begins: Sequence[bool], goes_on: Sequence[bool]) -> Ranks:
    start = begins.index(True)
    stop = start
    while stop < len(goes_on) and goes_on[stop]:
        stop += 1
    return start, stop


def _rank_of(of: SortedSet, bound: _MemberBound) -> int:
    """Where members of equal scores are parted by it."""
    low, high = 0, len(of)
    while low < high:
        middle = (low + high) // 2
        if _is_before(of.at(middle)[1], bound):
            low = middle + 1
        else:
            high = middle
    return low


def _member_bound(text: bytes, is_upper: bool) -> _MemberBound | None:
    first, rest = text[:1], text[1:]
    if first in (b"-", b"+") and rest[:1] in (b"", b"\0"):
        return _HIGHEST if first == b"+" else _LOWEST
    if first not in (b"[", b"("):
        return None
    return (1, rest, (first == b"[") == is_upper)


def member_range(least: bytes, most: bytes) -> MemberRange | ErrorReply:
    lower, upper = _member_bound(least, False), _member_bound(most, True)
    if lower is None or upper is None:
        return NOT_A_MEMBER_BOUND
    return MemberRange(lower, upper)


Range: TypeAlias = ScoreRange | MemberRange
