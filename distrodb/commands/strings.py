"""String commands (https://redis.io/docs/latest/commands/?group=string)."""

from collections.abc import Sequence

from distrodb.commands.command import data_row
from distrodb.commands.key_specs import INSERTS, LOOKS, READS, UPDATES, many, one
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import Keys
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


def get(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return keys.string(args[1])


def set_(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """SET key value [NX | XX] [GET].  Options of expiry come with a later version and are refused
    clearly; an expiry that was there is gone."""
    key, value = args[1], args[2]
    if (
        len(key) > context.limits.key_bytes_max or len(value) > context.limits.value_bytes_max
    ) and (problem := over_limits(context, key, value)):
        return problem
    if len(args) == 3:
        keys.put(key, value)
        return OK
    options = [option.upper() for option in args[3:]]
    for option in options:
        if option in (b"EX", b"PX", b"EXAT", b"PXAT", b"KEEPTTL"):
            return error("ERR", f"SET option {option.decode()} is not supported yet")
        if option not in (b"NX", b"XX", b"GET"):
            return SYNTAX
    if b"NX" in options and b"XX" in options:
        return SYNTAX
    before = keys.string(key) if b"GET" in options else None
    is_there = key in keys
    blocked = (b"NX" in options and is_there) or (b"XX" in options and not is_there)
    if not blocked:
        keys.put(key, value)
    if b"GET" in options:
        return before
    return None if blocked else OK


def setnx(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    if problem := over_limits(context, args[1], args[2]):
        return problem
    if args[1] in keys:
        return 0
    keys.put(args[1], args[2])
    return 1


def mget(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """A key that is not there, or no string, is null."""
    return [keys.string_if_any(key) for key in args[1:]]


def mset(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    if len(args) % 2 == 0:
        return error("ERR", "wrong number of arguments for 'mset' command")
    pairs = list(zip(args[1::2], args[2::2], strict=True))
    for key, value in pairs:
        if problem := over_limits(context, key, value):
            return problem
    for key, value in pairs:
        keys.put(key, value)
    return OK


def strlen(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return len(keys.string(args[1]) or b"")


def append(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    value = (keys.string(args[1]) or b"") + args[2]
    if problem := over_limits(context, args[1], value):
        return problem
    keys.update(args[1], value)
    return len(value)


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


_SET_ALL = ("request_policy:multi_shard", "response_policy:all_succeeded")
_WRITE, _FAST = "write denyoom", "write denyoom fast"
_SETS = one(
    "RW access update variable_flags",
    notes="RW and ACCESS due to the optional `GET` argument",
)

COMMANDS = (
    data_row("get", get, 2, "readonly fast", READS, "string", "Returns the value of a key."),
    data_row("set", set_, -3, _WRITE, _SETS, "string", "Sets the value of a key."),
    data_row("setnx", setnx, 3, _FAST, one("OW insert"), "string", "Sets a key that is new."),
    data_row(
        "mget",
        mget,
        -2,
        "readonly fast",
        many("RO access"),
        "string",
        "Returns the values of keys.",
        tips=("request_policy:multi_shard",),
    ),
    data_row(
        "mset",
        mset,
        -3,
        _WRITE,
        many("OW update", step=2),
        "string",
        "Sets the values of keys.",
        "1.0.1",
        tips=_SET_ALL,
    ),
    data_row("strlen", strlen, 2, "readonly fast", LOOKS, "string", "Length of a value.", "2.2.0"),
    data_row("append", append, 3, _FAST, INSERTS, "string", "Appends to a value.", "2.0.0"),
    data_row("incr", incr, 2, _FAST, UPDATES, "string", "Increments an integer by one."),
    data_row("decr", decr, 2, _FAST, UPDATES, "string", "Decrements an integer by one."),
    data_row("incrby", incrby, 3, _FAST, UPDATES, "string", "Increments an integer."),
    data_row("decrby", decrby, 3, _FAST, UPDATES, "string", "Decrements an integer."),
)
