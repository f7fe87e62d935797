"""Elements by chance: what HRANDFIELD and its kind have in common.

A count says how many different ones are wanted, or with a minus how many, the same ones again too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.numbers import BEYOND, INT_MAX, NOT_AN_INTEGER, parse_integer
from distrodb.keyspace.chance import Chance
from distrodb.resp.reply import ErrorReply, error

CHOSEN_MAX = 1 << 20  # that one command gives: a negative count may name any number
CHOSEN_US = 4.0  # of each

OUT_OF_RANGE = error("ERR", "value is out of range")
_TOO_MANY = error("ERR", f"value is out of range: no more than {CHOSEN_MAX} elements at once")


@dataclass(frozen=True, slots=True)
class Wanted:
    count: int
    is_with_values: bool


def parse_wanted(words: Sequence[bytes], with_values: bytes) -> Wanted | ErrorReply:
    """count [WITHVALUES]; ``with_values``: how the option is called."""
    count = parse_integer(words[0])
    if count is None:
        return NOT_AN_INTEGER
    if count < -INT_MAX:
        return BEYOND
    if len(words) > 2 or (len(words) == 2 and words[1].upper() != with_values):
        return SYNTAX
    if len(words) == 2 and abs(count) > INT_MAX // 2:
        return OUT_OF_RANGE
    return Wanted(count, len(words) == 2)


def too_many(wanted: Wanted) -> ErrorReply | None:
    return _TOO_MANY if wanted.count < -CHOSEN_MAX else None


def chosen(chance: Chance, size: int, count: int) -> list[int]:
    """Their numbers, of so many as there are."""
    if count < 0:
        return [chance.number() % size for _ in range(-count)]
    if count >= size:
        return list(range(size))
    # The first steps of a shuffle; what was moved is kept beside.
    moved: dict[int, int] = {}
    numbers = []
    for first in range(count):
        other = first + chance.number() % (size - first)
        numbers.append(moved.get(other, other))
        moved[other] = moved.pop(first, first)
    return numbers


def chosen_count(word: bytes, size: int) -> int:
    """How many a count asks for, at most."""
    count = parse_integer(word) or 0
    return min(-count, CHOSEN_MAX) if count < 0 else min(count, size)
