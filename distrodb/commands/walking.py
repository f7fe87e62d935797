"""What HSCAN, SSCAN and ZSCAN have in common: their words, and the steps of the walk (walk.py).

As in Redis a small container comes whole, whatever was asked for, and its walk is at its end.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from distrodb.commands.combine import INVALID_CURSOR, cursor_of
from distrodb.commands.costs import Cost, Sizes
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.keyspace.containers.walk import PLACES
from distrodb.keyspace.glob import LONG_PATTERN, PATTERN_BYTES_MAX, glob
from distrodb.keyspace.keys import Keys
from distrodb.keyspace.values import Container
from distrodb.resp.reply import ErrorReply, Reply

C = TypeVar("C", bound=Container)

COUNT = 10  # of elements, if none is said
GIVEN_US, MADE_US = 2.0, 0.8  # of an element of a step, and of one of all when a walk begins


class Walked(Protocol):
    def __len__(self) -> int: ...

    @property
    def is_walked(self) -> bool: ...

    def walk(self, position: int, count: int) -> tuple[int, list[bytes]]: ...


@dataclass(slots=True)
class Steps:
    pattern: bytes | None = None
    count: int = COUNT
    is_without_values: bool = False  # NOVALUES of HSCAN


@dataclass(slots=True)
class Opened(Generic[C]):
    found: C
    cursor: int
    steps: Steps


def opened(
    keys: Keys, args: Sequence[bytes], kind: type[C], may_leave_values: bool = False
) -> Opened[C] | Reply:
    """name key cursor [MATCH pattern] [COUNT count]: what is meant, or what is answered at
    once."""
    cursor = cursor_of(args[2])
    if cursor is None:
        return INVALID_CURSOR
    found = keys.container(args[1], kind)
    if found is None:
        return [b"0", []]
    steps = _parse_steps(args[3:], may_leave_values)
    return steps if isinstance(steps, ErrorReply) else Opened(found, cursor, steps)


def _parse_steps(words: Sequence[bytes], may_leave_values: bool) -> Steps | ErrorReply:
    """[MATCH pattern] [COUNT count]"""
    steps, left = Steps(), deque(words)
    while left:
        option = left.popleft().upper()
        if option == b"COUNT" and left:
            count = parse_integer(left.popleft())
            if count is None:
                return NOT_AN_INTEGER
            if count < 1:
                return SYNTAX
            steps.count = count
        elif option == b"MATCH" and left:
            steps.pattern = left.popleft()
        elif option == b"NOVALUES" and may_leave_values:
            steps.is_without_values = True
        else:
            return SYNTAX
    if steps.pattern is not None and len(steps.pattern) > PATTERN_BYTES_MAX:
        return LONG_PATTERN
    return steps


def step(found: Walked, cursor: int, steps: Steps) -> tuple[bytes, list[bytes]]:
    """The next cursor and the elements that fit, of a container that is not small."""
    following, elements = found.walk(cursor, steps.count) if cursor < PLACES else (0, [])
    return b"%d" % following, fitting(elements, steps)


def fitting(elements: list[bytes], steps: Steps) -> list[bytes]:
    """As in Redis an empty element fits no pattern but an empty one, and a star alone."""
    if steps.pattern in (None, b"*"):
        return elements
    fits = glob(steps.pattern).match
    return [each for each in elements if fits(each) and (each or not steps.pattern)]


def step_us(kind: type[Walked]) -> Cost:
    """As many elements as the largest number says; and all of them where a walk begins."""

    def cost(sizes: Sizes, args: Sequence[bytes]) -> float:
        found = sizes.value(args[1])
        if not isinstance(found, kind):
            return 0.0
        count = max([COUNT, *(parse_integer(word) or 0 for word in args[3:])])
        all_us = 0.0 if found.is_walked else len(found) * MADE_US
        return all_us + min(count, len(found)) * GIVEN_US

    return cost
