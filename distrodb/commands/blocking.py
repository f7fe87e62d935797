"""Commands that take something, or wait until there is something: BLPOP and its kind
(https://redis.io/docs/latest/commands/blpop/).

The handlers never wait: what waits is the session (slave/blocking.py), which asks again.  So in a
transaction and in a script they answer at once that there is nothing, as in Redis.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from distrodb.commands.command import Command, data_row
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.key_specs import counted, many, one
from distrodb.commands.lists import move, pop_of_several, side, take, take_of_several
from distrodb.commands.numbers import NEGATIVE_TIMEOUT, parse_long_double
from distrodb.commands.sorted_sets import parse_pop, pop, pop_first
from distrodb.commands.strings import over_limits
from distrodb.keyspace.containers.list import List
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import Keys
from distrodb.resp.reply import NULL_ARRAY, ErrorReply, Reply, error

NO_TIMEOUT = error("ERR", "timeout is not a float or out of range")
LONG_TIMEOUT = error("ERR", "timeout is out of range")
TIMEOUT_MS_MAX = 2**63 - 1
PLAIN_DIGITS_MAX = 9  # of a number that is in range whatever it is

Handler: TypeAlias = Callable[[Keys, Sequence[bytes], Context], Reply]


def timeout_s(word: bytes) -> float | ErrorReply:
    """Seconds; 0 is for ever."""
    if word.isdigit() and len(word) <= PLAIN_DIGITS_MAX:  # mostly, and each time that it is asked
        return float(word)
    seconds = parse_long_double(word)
    if seconds is None:
        return NO_TIMEOUT
    if seconds < 0:
        return NEGATIVE_TIMEOUT
    return LONG_TIMEOUT if seconds * 1000 > TIMEOUT_MS_MAX else float(seconds)


def timeout_at(position: int) -> Callable[[Sequence[bytes]], float | ErrorReply]:
    return lambda args: timeout_s(args[position])


def _checked(handler: Handler, position: int) -> Handler:
    """Its timeout is looked at first, also where nothing waits."""

    def checked(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
        timeout = timeout_s(args[position])
        return timeout if isinstance(timeout, ErrorReply) else handler(keys, args, context)

    return checked


def _pop(keys: Keys, args: Sequence[bytes], context: Context, *, is_left: bool) -> Reply:
    """key [key …] timeout"""
    for key in args[1:-1]:
        if keys.container(key, List) is not None:
            return [key, take(keys, key, 1, is_left)[0]]
    return NULL_ARRAY


def blmove(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout"""
    from_left, to_left = side(args[3]), side(args[4])
    if from_left is None or to_left is None:
        return SYNTAX
    timeout = timeout_s(args[5])
    if isinstance(timeout, ErrorReply):
        return timeout
    if problem := over_limits(context, args[2], b""):
        return problem
    return move(keys, args[1], args[2], from_left, to_left)


def brpoplpush(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """BRPOPLPUSH source destination timeout"""
    if problem := over_limits(context, args[2], b""):
        return problem
    return move(keys, args[1], args[2], False, True)


def blmpop(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """BLMPOP timeout numkeys key [key …] LEFT|RIGHT [COUNT count]"""
    wanted, timeout = pop_of_several(args[2:]), timeout_s(args[1])
    if isinstance(wanted, ErrorReply):
        return wanted
    return timeout if isinstance(timeout, ErrorReply) else take_of_several(keys, *wanted)


def _zpop(keys: Keys, args: Sequence[bytes], context: Context, *, is_highest: bool) -> Reply:
    """key [key …] timeout"""
    for key in args[1:-1]:
        if taken := pop(keys, key, is_highest, 1):
            score, member = taken[0]
            return [key, member, score]
    return NULL_ARRAY


def bzmpop(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """BZMPOP timeout numkeys key [key …] MIN|MAX [COUNT count]"""
    wanted, timeout = parse_pop(args[2:]), timeout_s(args[1])
    if isinstance(wanted, ErrorReply):
        return wanted
    if isinstance(timeout, ErrorReply):
        return timeout
    return pop_first(keys, wanted) or NULL_ARRAY


def _of_move(args: Sequence[bytes]) -> float | ErrorReply | None:
    """Wrong words are told first, by the handler."""
    return timeout_s(args[5]) if None not in (side(args[3]), side(args[4])) else None


def _of_several(
    parse: Callable[[Sequence[bytes]], object],
) -> Callable[[Sequence[bytes]], float | ErrorReply | None]:
    """The same."""

    def timeout_of(args: Sequence[bytes]) -> float | ErrorReply | None:
        return None if isinstance(parse(args[2:]), ErrorReply) else timeout_s(args[1])

    return timeout_of


_row = partial(data_row, level=2)


def _taking(
    name: str, handler: Handler, flags: str, group: str, summary: str, since: str
) -> Command:
    """The row of ``name key [key …] timeout``."""
    keys = many("RW access delete", last=-2)
    summary += "; waits until there is one."
    handler, timeout_of = _checked(handler, -1), timeout_at(-1)
    return _row(name, handler, -3, flags, keys, group, summary, since, timeout_of=timeout_of)


_MOVED = (*one("RW access delete"), *one("RW insert", 2))

COMMANDS = (
    _taking(
        "blpop",
        partial(_pop, is_left=True),
        "write noscript blocking",
        "list",
        "Takes the first element of a list",
        "2.0.0",
    ),
    _taking(
        "brpop",
        partial(_pop, is_left=False),
        "write noscript blocking",
        "list",
        "Takes the last element of a list",
        "2.0.0",
    ),
    _row(
        "blmove",
        blmove,
        6,
        "write denyoom noscript blocking",
        _MOVED,
        "list",
        "Moves an element from a list to another one; waits until there is one.",
        "6.2.0",
        timeout_of=_of_move,
    ),
    _row(
        "brpoplpush",
        _checked(brpoplpush, 3),
        4,
        "write denyoom noscript blocking",
        _MOVED,
        "list",
        "Moves the last element of a list to the front of another one; waits until there is one.",
        "2.2.0",
        timeout_of=timeout_at(3),
    ),
    _row(
        "blmpop",
        blmpop,
        -5,
        "write blocking movablekeys",
        counted("RW access delete", 2),
        "list",
        "Takes elements of the first list that is there; waits until there is one.",
        "7.0.0",
        timeout_of=_of_several(pop_of_several),
    ),
    _taking(
        "bzpopmin",
        partial(_zpop, is_highest=False),
        "write noscript fast blocking",
        "sorted-set",
        "Takes the member with the lowest score",
        "5.0.0",
    ),
    _taking(
        "bzpopmax",
        partial(_zpop, is_highest=True),
        "write noscript fast blocking",
        "sorted-set",
        "Takes the member with the highest score",
        "5.0.0",
    ),
    _row(
        "bzmpop",
        bzmpop,
        -5,
        "write blocking movablekeys",
        counted("RW access delete", 2),
        "sorted-set",
        "Takes members of the first sorted set that is there; waits until there is one.",
        "7.0.0",
        timeout_of=_of_several(parse_pop),
    ),
)
