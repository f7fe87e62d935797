"""String commands (https://redis.io/docs/latest/commands/?group=string)."""

from collections.abc import Sequence

from distrodb.commands.command import (
    ALL_KEYS,
    ONE_KEY,
    PAIRS,
    READ,
    WRITE,
    data_row,
)
from distrodb.keyspace.context import Context
from distrodb.keyspace.place import Place
from distrodb.resp.reply import OK, ErrorReply, Reply, error

NOT_AN_INTEGER = error("ERR", "value is not an integer or out of range")
OVERFLOW = error("ERR", "increment or decrement would overflow")
SYNTAX = error("ERR", "syntax error")
INT_MIN, INT_MAX = -(2**63), 2**63 - 1


def parse_integer(text: bytes) -> int | None:
    """A 64-bit integer in Redis' strict form (no sign +, spaces, leading zeros), or None."""
    if not 0 < len(text) <= 20:
        return None
    try:
        number = int(text)
    except ValueError:
        return None
    return number if b"%d" % number == text and INT_MIN <= number <= INT_MAX else None


def over_limits(context: Context, key: bytes, value: bytes) -> ErrorReply | None:
    if len(key) > context.limits.key_bytes_max:
        return error("ERR", f"key exceeds key_bytes_max ({context.limits.key_bytes_max} bytes)")
    if len(value) > context.limits.value_bytes_max:
        limit = context.limits.value_bytes_max
        return error("ERR", f"value exceeds value_bytes_max ({limit} bytes)")
    return None


def get(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    return place.string(args[1])


def set_(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    """SET key value [NX | XX] [GET].  Options of expiry come with a later version and are refused
    clearly; an expiry that was there is gone."""
    key, value = args[1], args[2]
    if (
        len(key) > context.limits.key_bytes_max or len(value) > context.limits.value_bytes_max
    ) and (problem := over_limits(context, key, value)):
        return problem
    if len(args) == 3:
        place.put(key, value)
        return OK
    options = [option.upper() for option in args[3:]]
    for option in options:
        if option in (b"EX", b"PX", b"EXAT", b"PXAT", b"KEEPTTL"):
            return error("ERR", f"SET option {option.decode()} is not supported yet")
        if option not in (b"NX", b"XX", b"GET"):
            return SYNTAX
    if b"NX" in options and b"XX" in options:
        return SYNTAX
    before = place.string(key) if b"GET" in options else None
    is_there = key in place
    blocked = (b"NX" in options and is_there) or (b"XX" in options and not is_there)
    if not blocked:
        place.put(key, value)
    if b"GET" in options:
        return before
    return None if blocked else OK


def setnx(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    if problem := over_limits(context, args[1], args[2]):
        return problem
    if args[1] in place:
        return 0
    place.put(args[1], args[2])
    return 1


def mget(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    """A key that is not there, or no string, is null."""
    return [place.string_if_any(key) for key in args[1:]]


def mset(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    if len(args) % 2 == 0:
        return error("ERR", "wrong number of arguments for 'mset' command")
    pairs = list(zip(args[1::2], args[2::2], strict=True))
    for key, value in pairs:
        if problem := over_limits(context, key, value):
            return problem
    for key, value in pairs:
        place.put(key, value)
    return OK


def strlen(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    return len(place.string(args[1]) or b"")


def append(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    value = (place.string(args[1]) or b"") + args[2]
    if problem := over_limits(context, args[1], value):
        return problem
    place.update(args[1], value)
    return len(value)


def _add(place: Place, key: bytes, delta: int, context: Context) -> Reply:
    before = place.string(key)
    number = 0 if before is None else parse_integer(before)
    if number is None:
        return NOT_AN_INTEGER
    number += delta
    if not INT_MIN <= number <= INT_MAX:
        return OVERFLOW
    if problem := over_limits(context, key, b""):
        return problem
    place.update(key, b"%d" % number)
    return number


def incr(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    return _add(place, args[1], 1, context)


def decr(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    return _add(place, args[1], -1, context)


def incrby(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    delta = parse_integer(args[2])
    return NOT_AN_INTEGER if delta is None else _add(place, args[1], delta, context)


def decrby(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    delta = parse_integer(args[2])
    if delta is None:
        return NOT_AN_INTEGER
    if delta == INT_MIN:
        return error("ERR", "decrement would overflow")
    return _add(place, args[1], -delta, context)


_SET_ALL = ("request_policy:multi_shard", "response_policy:all_succeeded")

COMMANDS = (
    data_row("get", get, 2, READ, ONE_KEY, "string", "Returns the value of a key."),
    data_row("set", set_, -3, WRITE, ONE_KEY, "string", "Sets the value of a key."),
    data_row("setnx", setnx, 3, WRITE, ONE_KEY, "string", "Sets a key that does not exist."),
    data_row(
        "mget",
        mget,
        -2,
        READ,
        ALL_KEYS,
        "string",
        "Returns the values of keys.",
        tips=("request_policy:multi_shard",),
    ),
    data_row(
        "mset", mset, -3, WRITE, PAIRS, "string", "Sets the values of keys.", "1.0.1", _SET_ALL
    ),
    data_row("strlen", strlen, 2, READ, ONE_KEY, "string", "Length of a value.", "2.2.0"),
    data_row("append", append, 3, WRITE, ONE_KEY, "string", "Appends to a value.", "2.0.0"),
    data_row("incr", incr, 2, WRITE, ONE_KEY, "string", "Increments an integer by one."),
    data_row("decr", decr, 2, WRITE, ONE_KEY, "string", "Decrements an integer by one."),
    data_row("incrby", incrby, 3, WRITE, ONE_KEY, "string", "Increments an integer."),
    data_row("decrby", decrby, 3, WRITE, ONE_KEY, "string", "Decrements an integer."),
)
