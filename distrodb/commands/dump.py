"""DUMP and RESTORE: a value as bytes that tools carry from one server to another.

keyspace/dump.py says what the bytes are.  Redis' own are accepted, and ours are by Redis.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from distrodb.commands.command import data_row
from distrodb.commands.costs import COPIED_NS, UNPACKED_NS, WALKED_NS, Sizes
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.fields import as_seen, drop_gone
from distrodb.commands.key_specs import READS, WRITES
from distrodb.commands.numbers import INT_MAX, NOT_AN_INTEGER, parse_integer
from distrodb.commands.strings import over_limits
from distrodb.keyspace.context import Context
from distrodb.keyspace.dump import BadFormat, TooLarge, dump, is_intact, is_plain, load
from distrodb.keyspace.keys import GENERIC, Keys
from distrodb.keyspace.values import Value
from distrodb.resp.reply import OK, ErrorReply, Reply, error

BUSY = error("BUSYKEY", "Target key name already exists.")
DAMAGED = error("ERR", "DUMP payload version or checksum are wrong")
BAD_FORMAT = error("ERR", "Bad data format")
FREQUENCY_MAX = 255


@dataclass(slots=True)
class _Options:
    may_replace: bool = False
    is_absolute: bool = False  # the TTL is a Unix time


def _options(words: deque[bytes]) -> _Options | ErrorReply:
    """What IDLETIME and FREQ say is checked and not kept: when, and how often, a key was asked for
    is not known here."""
    options, usage = _Options(), b""
    while words:
        word = words.popleft().upper()
        if word == b"REPLACE":
            options.may_replace = True
        elif word == b"ABSTTL":
            options.is_absolute = True
        elif word in (b"IDLETIME", b"FREQ") and words and usage in (b"", word):
            usage, number = word, parse_integer(words.popleft())
            if number is None:
                return NOT_AN_INTEGER
            if word == b"IDLETIME" and number < 0:
                return error("ERR", "Invalid IDLETIME value, must be >= 0")
            if word == b"FREQ" and not 0 <= number <= FREQUENCY_MAX:
                return error("ERR", "Invalid FREQ value, must be >= 0 and <= 255")
        else:
            return SYNTAX
    return options


def restore(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """RESTORE key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]"""
    key, options = args[1], _options(deque(args[4:]))
    if isinstance(options, ErrorReply):
        return options
    if not options.may_replace and key in keys:
        return BUSY
    ttl_ms = parse_integer(args[2])
    if ttl_ms is None:
        return NOT_AN_INTEGER
    if ttl_ms < 0:
        return error("ERR", "Invalid TTL value, must be >= 0")
    value = _value(key, args[3], context)
    if isinstance(value, ErrorReply):
        return value
    is_gone = drop_gone(value, context.now_ms)
    at_ms = ttl_ms if options.is_absolute else min(context.now_ms + ttl_ms, INT_MAX)
    if is_gone or (ttl_ms and at_ms <= context.now_ms):
        if keys.delete(key):
            keys.event(GENERIC, b"del", key)
        return OK
    keys.put_value(key, value)
    if ttl_ms:
        keys.expire_at(key, at_ms)
    keys.event(GENERIC, b"restore", key)
    return OK


def _value(key: bytes, payload: bytes, context: Context) -> Value | ErrorReply:
    if problem := over_limits(context, key, b""):
        return problem
    if not is_intact(payload):
        return DAMAGED
    try:
        return load(payload, context.limits.value_bytes_max)
    except BadFormat:
        return BAD_FORMAT
    except TooLarge as problem:
        return error("ERR", str(problem))


def dump_(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    value = as_seen(keys, keys.value(args[1]), context)
    return None if value is None else dump(value)


def _written_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    is_container = not isinstance(sizes.value(args[1]), bytes | None)
    return sizes.size(args[1]) * (WALKED_NS if is_container else COPIED_NS) / 1000


def _read_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    """Of what is compressed it is not known here what it unpacks to, but that is bounded."""
    key, payload = args[1], args[3]
    sizes.grow(key, len(payload) if is_plain(payload) else sizes.value_bytes_max)
    return len(payload) * (COPIED_NS if is_plain(payload) else UNPACKED_NS) / 1000


COMMANDS = (
    data_row(
        "dump",
        dump_,
        2,
        "readonly",
        READS,
        "generic",
        "A key's value, serialized.",
        "2.6.0",
        tips=("nondeterministic_output",),
        cost=_written_us,
    ),
    data_row(
        "restore",
        restore,
        -4,
        "write denyoom",
        WRITES,
        "generic",
        "Makes a key of a serialized value.",
        "2.6.0",
        acl="dangerous",
        cost=_read_us,
    ),
)
