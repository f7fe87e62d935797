"""Fields of hashes and their values (https://redis.io/docs/latest/commands/?group=hash).

Those that choose by chance or walk are in hash_walks.py, those about when fields expire in
hash_expiry.py.  HSET lets a field stay that would have expired, what adds to it does not.
"""

from collections.abc import Sequence
from functools import partial

from distrodb.commands.command import data_row
from distrodb.commands.costs import LISTED_NS, walked
from distrodb.commands.counters import INFINITE, OVERFLOW
from distrodb.commands.error_replies import wrong_arity
from distrodb.commands.fields import (
    all_in,
    close,
    count_gone,
    open_to_write,
    value_in,
    value_of,
)
from distrodb.commands.key_specs import DELETES, INSERTS, LOOKS, READS, UPDATES, one
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
from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import HASH, Keys
from distrodb.resp.reply import OK, ErrorReply, Reply, error

FIELD_NOT_AN_INTEGER = error("ERR", "hash value is not an integer")
FIELD_NOT_A_FLOAT = error("ERR", "hash value is not a float")
NO_NUMBER = error("ERR", "value is NaN or Infinity")


# -- to write --------------------------------------------------------------------------------------


def over_field_limits(
    context: Context, key: bytes, field: bytes, value: bytes
) -> ErrorReply | None:
    if problem := over_limits(context, key, value):
        return problem
    limit = context.limits.value_bytes_max
    if len(field) > limit:
        return error("ERR", f"field exceeds value_bytes_max ({limit} bytes)")
    return None


def _set(keys: Keys, args: Sequence[bytes], context: Context) -> int | ErrorReply:
    """How many fields were not there."""
    if len(args) % 2:
        return wrong_arity(args[0].decode().lower())
    key, pairs = args[1], list(zip(args[2::2], args[3::2], strict=True))
    for field, value in pairs:
        if problem := over_field_limits(context, key, field, value):
            return problem
    written = open_to_write(keys, key, args[2::2], context, replaces=True)
    count = sum(written.set(field, value) for field, value in pairs)
    if written.expiries is not None:
        for field, _ in pairs:
            written.persist(field)
        keys.follow_fields(key)
    keys.event(HASH, b"hset", key)
    return count


def hset(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _set(keys, args, context)


def hmset(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    problem = _set(keys, args, context)
    return problem if isinstance(problem, ErrorReply) else OK


def hsetnx(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    _, key, field, value = args
    if value_of(keys, key, field) is not None:
        return 0
    if problem := over_field_limits(context, key, field, value):
        return problem
    open_to_write(keys, key, [field], context).set(field, value)
    keys.event(HASH, b"hset", key)
    return 1


def hdel(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, fields = args[1], args[2:]
    found = keys.container(key, Hash)
    if all(value_in(keys, found, field) is None for field in fields):
        return 0
    written = open_to_write(keys, key, fields, context)
    count = sum(written.delete(field) for field in fields)
    keys.event(HASH, b"hdel", key)
    close(keys, key, written, context)
    return count


def hincrby(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    _, key, field, delta_text = args
    delta = parse_integer(delta_text)
    if delta is None:
        return NOT_AN_INTEGER
    before = value_of(keys, key, field)
    number = 0 if before is None else parse_integer(before)
    if number is None:
        return FIELD_NOT_AN_INTEGER
    number += delta
    if not INT_MIN <= number <= INT_MAX:
        return OVERFLOW
    if problem := over_field_limits(context, key, field, b""):
        return problem
    open_to_write(keys, key, [field], context).set(field, b"%d" % number)
    keys.event(HASH, b"hincrby", key)
    return number


def hincrbyfloat(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    _, key, field, delta_text = args
    if is_infinite(delta_text):
        return NO_NUMBER
    delta = parse_long_double(delta_text)
    if delta is None:
        return NOT_A_FLOAT
    found = value_of(keys, key, field)
    before = b"0" if found is None else found
    if is_infinite(before):
        return INFINITE
    number = parse_long_double(before)
    if number is None:
        return FIELD_NOT_A_FLOAT
    number = rounded(number + delta)
    if not is_finite(number):
        return INFINITE
    value = show_long_double(number)
    if problem := over_field_limits(context, key, field, value):
        return problem
    open_to_write(keys, key, [field], context).set(field, value)
    keys.event(HASH, b"hincrbyfloat", key)
    return value


# -- to read ---------------------------------------------------------------------------------------


def hget(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return value_of(keys, args[1], args[2])


def hmget(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    found = keys.container(args[1], Hash)
    return [value_in(keys, found, field) for field in args[2:]]


def hexists(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return int(value_of(keys, args[1], args[2]) is not None)


def hstrlen(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return len(value_of(keys, args[1], args[2]) or b"")


def hgetall(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return dict(all_in(keys, keys.container(args[1], Hash), context).items())


def hkeys(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return list(all_in(keys, keys.container(args[1], Hash), context))


def hvals(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return list(all_in(keys, keys.container(args[1], Hash), context).values())


def hlen(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    found = keys.container(args[1], Hash)
    return 0 if found is None else len(found) - count_gone(keys, found, context)


_row = partial(data_row, level=2)
_ADDS = "write denyoom fast"
_SETS = one("RW update")
_UNORDERED = ("nondeterministic_output_order",)

COMMANDS = (
    data_row("hset", hset, -4, _ADDS, _SETS, "hash", "Sets fields of a hash.", "2.0.0"),
    _row("hmset", hmset, -4, _ADDS, _SETS, "hash", "Sets fields of a hash.", "2.0.0"),
    _row("hsetnx", hsetnx, 4, _ADDS, INSERTS, "hash", "Sets a field that is not there.", "2.0.0"),
    _row("hincrby", hincrby, 4, _ADDS, UPDATES, "hash", "Adds to a field.", "2.0.0"),
    _row("hincrbyfloat", hincrbyfloat, 4, _ADDS, UPDATES, "hash", "Adds to a field.", "2.6.0"),
    data_row("hdel", hdel, -3, "write fast", DELETES, "hash", "Deletes fields.", "2.0.0"),
    data_row("hget", hget, 3, "readonly fast", READS, "hash", "Returns a field.", "2.0.0"),
    _row("hmget", hmget, -3, "readonly fast", READS, "hash", "Returns fields.", "2.0.0"),
    _row("hexists", hexists, 3, "readonly fast", LOOKS, "hash", "Is a field there?", "2.0.0"),
    _row("hstrlen", hstrlen, 3, "readonly fast", LOOKS, "hash", "A field's length.", "3.2.0"),
    data_row(
        "hgetall",
        hgetall,
        2,
        "readonly",
        READS,
        "hash",
        "Returns a whole hash.",
        "2.0.0",
        cost=walked(LISTED_NS),
        tips=_UNORDERED,
    ),
    _row(
        "hkeys",
        hkeys,
        2,
        "readonly",
        READS,
        "hash",
        "Returns all fields.",
        "2.0.0",
        cost=walked(LISTED_NS),
        tips=_UNORDERED,
    ),
    _row(
        "hvals",
        hvals,
        2,
        "readonly",
        READS,
        "hash",
        "Returns the values of all fields.",
        "2.0.0",
        cost=walked(LISTED_NS),
        tips=_UNORDERED,
    ),
    data_row("hlen", hlen, 2, "readonly fast", LOOKS, "hash", "Counts the fields.", "2.0.0"),
)
