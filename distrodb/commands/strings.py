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
from distrodb.resp.reply import OK, ErrorReply, Reply, error

Keyspace = dict[bytes, bytes]

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


def _over_limits(context: Context, key: bytes, value: bytes) -> ErrorReply | None:
    if len(key) > context.limits.key_bytes_max:
        return error("ERR", f"key exceeds key_bytes_max ({context.limits.key_bytes_max} bytes)")
    if len(value) > context.limits.value_bytes_max:
        limit = context.limits.value_bytes_max
        return error("ERR", f"value exceeds value_bytes_max ({limit} bytes)")
    return None


def get(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    return keyspace.get(args[1])


def set_(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    """SET key value [NX | XX] [GET]; expiry comes with a later version and is refused clearly."""
    key, value = args[1], args[2]
    if (
        len(key) > context.limits.key_bytes_max or len(value) > context.limits.value_bytes_max
    ) and (problem := _over_limits(context, key, value)):
        return problem
    if len(args) == 3:
        keyspace[key] = value
        return OK
    options = [option.upper() for option in args[3:]]
    for option in options:
        if option in (b"EX", b"PX", b"EXAT", b"PXAT", b"KEEPTTL"):
            return error("ERR", f"SET option {option.decode()} is not supported yet")
        if option not in (b"NX", b"XX", b"GET"):
            return SYNTAX
    if b"NX" in options and b"XX" in options:
        return SYNTAX
    before = keyspace.get(key)
    blocked = (b"NX" in options and before is not None) or (b"XX" in options and before is None)
    if not blocked:
        keyspace[key] = value
    if b"GET" in options:
        return before
    return None if blocked else OK


def setnx(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    if problem := _over_limits(context, args[1], args[2]):
        return problem
    if args[1] in keyspace:
        return 0
    keyspace[args[1]] = args[2]
    return 1


def mget(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    return [keyspace.get(key) for key in args[1:]]


def mset(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    if len(args) % 2 == 0:
        return error("ERR", "wrong number of arguments for 'mset' command")
    pairs = list(zip(args[1::2], args[2::2], strict=True))
    for key, value in pairs:
        if problem := _over_limits(context, key, value):
            return problem
    keyspace.update(pairs)
    return OK


def strlen(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    return len(keyspace.get(args[1], b""))


def append(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    value = keyspace.get(args[1], b"") + args[2]
    if problem := _over_limits(context, args[1], value):
        return problem
    keyspace[args[1]] = value
    return len(value)


def _add(keyspace: Keyspace, key: bytes, delta: int, context: Context) -> Reply:
    number = parse_integer(keyspace.get(key, b"0"))
    if number is None:
        return NOT_AN_INTEGER
    number += delta
    if not INT_MIN <= number <= INT_MAX:
        return OVERFLOW
    if problem := _over_limits(context, key, b""):
        return problem
    keyspace[key] = b"%d" % number
    return number


def incr(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    return _add(keyspace, args[1], 1, context)


def decr(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    return _add(keyspace, args[1], -1, context)


def incrby(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    delta = parse_integer(args[2])
    return NOT_AN_INTEGER if delta is None else _add(keyspace, args[1], delta, context)


def decrby(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    delta = parse_integer(args[2])
    if delta is None:
        return NOT_AN_INTEGER
    if delta == INT_MIN:
        return error("ERR", "decrement would overflow")
    return _add(keyspace, args[1], -delta, context)


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
