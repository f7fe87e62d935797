"""Numbers in strings: INCR and its kind (https://redis.io/docs/latest/commands/?group=string)."""

from collections.abc import Sequence

from distrodb.commands.command import data_row
from distrodb.commands.key_specs import UPDATES
from distrodb.commands.numbers import (
    INT_MAX,
    INT_MIN,
    NOT_A_FLOAT,
    NOT_AN_INTEGER,
    is_finite,
    is_infinite,
    parse_integer,
    parse_long_double,
    rounded,
    show_long_double,
)
from distrodb.commands.strings import over_limits
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import STRING, Keys
from distrodb.resp.reply import Reply, error

OVERFLOW = error("ERR", "increment or decrement would overflow")
INFINITE = error("ERR", "increment would produce NaN or Infinity")


def _add(keys: Keys, key: bytes, delta: int, context: Context) -> Reply:
    before = keys.string(key)
    number = 0 if before is None else parse_integer(before)
    if number is None:
        return NOT_AN_INTEGER
    number += delta
    if not INT_MIN <= number <= INT_MAX:
        return OVERFLOW
    if problem := over_limits(context, key, b""):
        return problem
    keys.update(key, b"%d" % number)
    keys.event(STRING, b"incrby", key)
    return number


def incr(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _add(keys, args[1], 1, context)


def decr(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _add(keys, args[1], -1, context)


def incrby(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    delta = parse_integer(args[2])
    return NOT_AN_INTEGER if delta is None else _add(keys, args[1], delta, context)


def decrby(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    delta = parse_integer(args[2])
    if delta is None:
        return NOT_AN_INTEGER
    if delta == INT_MIN:
        return error("ERR", "decrement would overflow")
    return _add(keys, args[1], -delta, context)


def incrbyfloat(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key = args[1]
    value = keys.string(key)
    texts = (b"0" if value is None else value, args[2])
    if any(map(is_infinite, texts)):
        others = [text for text in texts if not is_infinite(text)]
        return INFINITE if None not in map(parse_long_double, others) else NOT_A_FLOAT
    before, delta = map(parse_long_double, texts)
    if before is None or delta is None:
        return NOT_A_FLOAT
    number = rounded(before + delta)
    if not is_finite(number):
        return INFINITE
    value = show_long_double(number)
    if problem := over_limits(context, key, value):
        return problem
    keys.update(key, value)
    keys.event(STRING, b"incrbyfloat", key)
    return value


_FAST = "write denyoom fast"

COMMANDS = (
    data_row("incr", incr, 2, _FAST, UPDATES, "string", "Increments an integer by one."),
    data_row("decr", decr, 2, _FAST, UPDATES, "string", "Decrements an integer by one."),
    data_row("incrby", incrby, 3, _FAST, UPDATES, "string", "Increments an integer."),
    data_row("decrby", decrby, 3, _FAST, UPDATES, "string", "Decrements an integer."),
    data_row("incrbyfloat", incrbyfloat, 3, _FAST, UPDATES, "string", "Adds to a number.", "2.6.0"),
)
