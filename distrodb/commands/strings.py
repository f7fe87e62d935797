"""Strings as a whole and in part (https://redis.io/docs/latest/commands/?group=string).

Numbers in strings are in counters.py, their bits in bits.py.
"""

from collections import deque
from collections.abc import Sequence

from distrodb.commands import lcs as lcs_
from distrodb.commands.command import data_row
from distrodb.commands.costs import COPIED_NS, Sizes, rewritten_us
from distrodb.commands.error_replies import SYNTAX, wrong_arity
from distrodb.commands.key_specs import INSERTS, LOOKS, READS, KeySpec, many, one
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.commands.string_options import Options, digest, moment_ms, parse_options
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import GENERIC, STRING, Keys
from distrodb.resp.reply import OK, ErrorReply, Reply, error

_WHEN = frozenset({b"EX", b"PX", b"EXAT", b"PXAT"})
_SET_OPTIONS = _WHEN | {b"NX", b"XX", b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE", b"GET", b"KEEPTTL"}
_GETEX_OPTIONS = _WHEN | {b"PERSIST"}
_MSETEX_OPTIONS = _WHEN | {b"NX", b"XX", b"KEEPTTL"}
_DELEX_OPTIONS = frozenset({b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE"})


def over_limits(context: Context, key: bytes, value: bytes) -> ErrorReply | None:
    if len(key) > context.limits.key_bytes_max:
        return error("ERR", f"key exceeds key_bytes_max ({context.limits.key_bytes_max} bytes)")
    return over_value_limit(context, len(value))


def over_value_limit(context: Context, size: int) -> ErrorReply | None:
    limit = context.limits.value_bytes_max
    return error("ERR", f"value exceeds value_bytes_max ({limit} bytes)") if size > limit else None


# -- whole values ------------------------------------------------------------------------------


def get(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return keys.string(args[1])


def set_(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """SET key value [NX | XX | IFEQ v | IFNE v | IFDEQ d | IFDNE d] [GET] [EX s | PX ms | EXAT s |
    PXAT ms | KEEPTTL] (https://redis.io/docs/latest/commands/set/)."""
    key, value, limits = args[1], args[2], context.limits
    if len(key) > limits.key_bytes_max or len(value) > limits.value_bytes_max:
        return over_limits(context, key, value)
    if len(args) == 3:
        keys.put(key, value)
        return OK
    options = parse_options(args[3:], _SET_OPTIONS)
    if isinstance(options, ErrorReply):
        return options
    return _set(keys, "set", key, value, options, context)


def _set(
    keys: Keys, name: str, key: bytes, value: bytes, options: Options, context: Context
) -> Reply:
    at_ms = options.expiry_ms(name, context.now_ms)
    if isinstance(at_ms, ErrorReply):
        return at_ms
    if options.gets or options.is_about_value:
        before = keys.string(key)
        allowed = options.holds(before)
    else:
        before = None
        allowed = options.holds(b"" if key in keys else None)
    if isinstance(allowed, ErrorReply):
        return allowed
    if allowed:
        _put(keys, key, value, at_ms, options.keeps_expiry)
    if options.gets:
        return before
    return OK if allowed else None


def _put(keys: Keys, key: bytes, value: bytes, at_ms: int | None, keeps_expiry: bool) -> None:
    if keeps_expiry:
        keys.update(key, value)
        keys.event(STRING, b"set", key)
    else:
        keys.put(key, value)
    if at_ms is not None:
        keys.expire_at(key, at_ms)
        keys.event(GENERIC, b"expire", key)


def setnx(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    if problem := over_limits(context, args[1], args[2]):
        return problem
    if args[1] in keys:
        return 0
    _put(keys, args[1], args[2], None, False)
    return 1


def _set_until(
    keys: Keys, name: str, args: Sequence[bytes], unit_ms: int, context: Context
) -> Reply:
    if problem := over_limits(context, args[1], args[3]):
        return problem
    at_ms = moment_ms(name, args[2], unit_ms, context.now_ms)
    if isinstance(at_ms, ErrorReply):
        return at_ms
    _put(keys, args[1], args[3], at_ms, False)
    return OK


def setex(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _set_until(keys, "setex", args, 1000, context)


def psetex(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _set_until(keys, "psetex", args, 1, context)


def getset(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    if problem := over_limits(context, args[1], args[2]):
        return problem
    before = keys.string(args[1])
    _put(keys, args[1], args[2], None, False)
    return before


def getdel(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    before = keys.string(args[1])
    if before is not None:
        _delete(keys, args[1])
    return before


def _delete(keys: Keys, key: bytes) -> None:
    keys.delete(key)
    keys.event(GENERIC, b"del", key)


def getex(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]."""
    key = args[1]
    options = parse_options(args[2:], _GETEX_OPTIONS)
    if isinstance(options, ErrorReply):
        return options
    value = keys.string(key)
    if value is None:
        return None
    at_ms = options.expiry_ms("getex", context.now_ms)
    if isinstance(at_ms, ErrorReply):
        return at_ms
    if at_ms is not None and at_ms <= context.now_ms:
        _delete(keys, key)
    elif at_ms is not None:
        keys.expire_at(key, at_ms)
        keys.event(GENERIC, b"expire", key)
    elif options.persists and keys.expiry(key) is not None:
        keys.persist(key)
        keys.event(GENERIC, b"persist", key)
    return value


def digest_(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    value = keys.string(args[1])
    return None if value is None else digest(value)


def delex(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """DELEX key [IFEQ v | IFNE v | IFDEQ d | IFDNE d]; without a condition as DEL."""
    key = args[1]
    options = parse_options(args[2:], _DELEX_OPTIONS)
    if isinstance(options, ErrorReply):
        return options
    if options.is_about_value:
        value = keys.string(key)
        allowed = value is not None and options.holds(value)
    else:
        allowed = key in keys
    if isinstance(allowed, ErrorReply):
        return allowed
    if allowed:
        _delete(keys, key)
    return int(allowed)


# -- several -----------------------------------------------------------------------------------


def mget(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """A key that is not there, or no string, is null."""
    return [keys.string_if_any(key) for key in args[1:]]


def _pairs(args: Sequence[bytes], context: Context) -> list[tuple[bytes, bytes]] | ErrorReply:
    pairs = list(zip(args[::2], args[1::2], strict=True))
    for key, value in pairs:
        if problem := over_limits(context, key, value):
            return problem
    return pairs


def mset(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    if len(args) % 2 == 0:
        return wrong_arity("mset")
    pairs = _pairs(args[1:], context)
    if isinstance(pairs, ErrorReply):
        return pairs
    for key, value in pairs:
        _put(keys, key, value, None, False)
    return OK


def msetnx(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    if len(args) % 2 == 0:
        return wrong_arity("msetnx")
    pairs = _pairs(args[1:], context)
    if isinstance(pairs, ErrorReply):
        return pairs
    if any(key in keys for key, _ in pairs):
        return 0
    for key, value in pairs:
        _put(keys, key, value, None, False)
    return 1


def msetex(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """MSETEX numkeys key value [key value …] [NX | XX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]
    (https://redis.io/docs/latest/commands/msetex/)."""
    count = parse_integer(args[1])
    if count is None or count <= 0:
        return error("ERR", "invalid numkeys value")
    if 2 + 2 * count > len(args):
        return error("ERR", "wrong number of key-value pairs")
    options = parse_options(args[2 + 2 * count :], _MSETEX_OPTIONS)
    if isinstance(options, ErrorReply):
        return options
    at_ms = options.expiry_ms("msetex", context.now_ms)
    if isinstance(at_ms, ErrorReply):
        return at_ms
    pairs = _pairs(args[2 : 2 + 2 * count], context)
    if isinstance(pairs, ErrorReply):
        return pairs
    if options.condition and any((key in keys) == (options.condition == b"NX") for key, _ in pairs):
        return 0
    for key, value in pairs:
        _put(keys, key, value, at_ms, options.keeps_expiry)
    return 1


# -- parts of a value --------------------------------------------------------------------------


def strlen(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return len(keys.string(args[1]) or b"")


def append(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    value = (keys.string(args[1]) or b"") + args[2]
    if problem := over_limits(context, args[1], value):
        return problem
    keys.update(args[1], value)
    keys.event(STRING, b"append", args[1])
    return len(value)


def getrange(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """GETRANGE key start end, both included; negative ones count from the end."""
    start, end = parse_integer(args[2]), parse_integer(args[3])
    if start is None or end is None:
        return NOT_AN_INTEGER
    value = keys.string(args[1]) or b""
    first, behind = _range(start, end, len(value))
    return value[first:behind]


def _range(start: int, end: int, length: int) -> tuple[int, int]:
    """The first byte, and the one behind the last."""
    if start < 0 and end < 0 and start > end:
        return 0, 0
    first = max(0, start + length) if start < 0 else start
    return first, (max(0, end + length) if end < 0 else min(end, length - 1)) + 1


def spliced(value: bytes, offset: int, part: bytes) -> bytes:
    """A string with a part of it overwritten, or behind it; it is copied once."""
    whole = memoryview(value)
    gap = bytes(max(0, offset - len(value)))
    return b"".join((whole[:offset], gap, part, whole[offset + len(part) :]))


def setrange(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """SETRANGE key offset value; what lies between is filled with zero bytes."""
    key, offset, part = args[1], parse_integer(args[2]), args[3]
    if offset is None:
        return NOT_AN_INTEGER
    if offset < 0:
        return error("ERR", "offset is out of range")
    value = keys.string(key) or b""
    if not part:
        return len(value)
    if problem := over_value_limit(context, offset + len(part)) or over_limits(context, key, b""):
        return problem
    written = spliced(value, offset, part)
    keys.update(key, written)
    keys.event(STRING, b"setrange", key)
    return len(written)


def lcs(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """LCS key key [LEN] [IDX] [MINMATCHLEN n] [WITHMATCHLEN]."""
    if any(keys.kind(key) not in (None, b"string") for key in args[1:3]):
        return error("ERR", "The specified keys must contain string values")
    asked = _lcs_options(args[3:])
    if isinstance(asked, ErrorReply):
        return asked
    options, length_min = asked
    if {b"LEN", b"IDX"} <= options:
        return error("ERR", "If you want both the length and indexes, please just use IDX.")
    one_, other = keys.string(args[1]) or b"", keys.string(args[2]) or b""
    if lcs_.takes_too_long(len(one_), len(other)):
        lengths = f"{len(one_)} and {len(other)} bytes"
        return error("ERR", f"the strings are too long for LCS: {lengths}")
    if b"LEN" in options:
        return lcs_.length(one_, other)
    if b"IDX" not in options:
        return lcs_.common(one_, lcs_.matches(one_, other))
    with_length = b"WITHMATCHLEN" in options
    found = list(lcs_.matches(one_, other))
    shown: list[Reply] = [
        [
            [match.first_of_one, match.last_of_one],
            [match.first_of_other, match.last_of_other],
            *([match.length] if with_length else []),
        ]
        for match in found
        if match.length >= length_min
    ]
    return {b"matches": shown, b"len": sum(match.length for match in found)}


def _lcs_options(words: Sequence[bytes]) -> tuple[set[bytes], int] | ErrorReply:
    options: set[bytes] = set()
    length_min = 0
    rest = deque(words)
    while rest:
        option = rest.popleft().upper()
        if option == b"MINMATCHLEN" and rest:
            number = parse_integer(rest.popleft())
            if number is None:
                return NOT_AN_INTEGER
            length_min = max(0, number)
        elif option in (b"LEN", b"IDX", b"WITHMATCHLEN"):
            options.add(option)
        else:
            return SYNTAX
    return options, length_min


# -- what they take ------------------------------------------------------------------------------


def _appended_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return rewritten_us(sizes, args[1], sizes.size(args[1]) + len(args[2]))


def _overwritten_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    offset = parse_integer(args[2])
    if offset is None or offset < 0 or not args[3]:
        return 0.0
    return rewritten_us(sizes, args[1], offset + len(args[3]))


def _part_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    start, end = parse_integer(args[2]), parse_integer(args[3])
    if start is None or end is None:
        return 0.0
    first, behind = _range(start, end, sizes.size(args[1]))
    return max(0, behind - first) * COPIED_NS / 1000


def _compared_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return lcs_.cost_us(sizes.size(args[1]), sizes.size(args[2]))


# -- rows --------------------------------------------------------------------------------------

_SET_ALL = ("request_policy:multi_shard", "response_policy:all_succeeded")
_WRITE, _FAST, _READ = "write denyoom", "write denyoom fast", "readonly"
_VARIES = one(
    "RW access update variable_flags",
    notes="RW and ACCESS due to the optional `GET` argument",
)
_TIMED = one("RW access update", notes="RW and UPDATE because it changes the TTL")
_REPLACES, _OVERWRITES = one("RW access update"), one("OW update")
_PAIRS = (KeySpec("OW update", 1, count_at=0, first=1, step=2),)

COMMANDS = (
    data_row("get", get, 2, "readonly fast", READS, "string", "Returns the value of a key."),
    data_row("set", set_, -3, _WRITE, _VARIES, "string", "Sets the value of a key."),
    data_row("setnx", setnx, 3, _FAST, one("OW insert"), "string", "Sets a key that is new."),
    data_row("setex", setex, 4, _WRITE, _OVERWRITES, "string", "Sets, in seconds.", "2.0.0"),
    data_row("psetex", psetex, 4, _WRITE, _OVERWRITES, "string", "Sets, in ms.", "2.6.0"),
    data_row("getset", getset, 3, _FAST, _REPLACES, "string", "Sets, returns what was there."),
    data_row(
        "getdel",
        getdel,
        2,
        "write fast",
        one("RW access delete"),
        "string",
        "Returns and deletes a value.",
        "6.2.0",
    ),
    data_row(
        "getex",
        getex,
        -2,
        "write fast",
        _TIMED,
        "string",
        "Returns a value and sets when it expires.",
        "6.2.0",
    ),
    data_row("digest", digest_, 2, "readonly fast", READS, "string", "Hash of a value.", "8.4.0"),
    data_row(
        "delex",
        delex,
        -2,
        "write fast",
        one("RW delete variable_flags"),
        "string",
        "Deletes a key if its value is as expected.",
        "8.4.0",
    ),
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
    data_row(
        "msetnx",
        msetnx,
        -3,
        _WRITE,
        many("OW insert", step=2),
        "string",
        "Sets keys if all of them are new.",
        "1.0.1",
        tips=("request_policy:multi_shard", "response_policy:agg_min"),
    ),
    data_row(
        "msetex",
        msetex,
        -4,
        _WRITE,
        _PAIRS,
        "string",
        "Sets keys and when they expire.",
        "8.4.0",
        tips=("request_policy:multi_shard", "response_policy:agg_min"),
    ),
    data_row("strlen", strlen, 2, "readonly fast", LOOKS, "string", "Length of a value.", "2.2.0"),
    data_row(
        "append",
        append,
        3,
        _FAST,
        INSERTS,
        "string",
        "Appends to a value.",
        "2.0.0",
        cost=_appended_us,
    ),
    data_row(
        "getrange",
        getrange,
        4,
        _READ,
        READS,
        "string",
        "A part of a value.",
        "2.4.0",
        cost=_part_us,
    ),
    data_row(
        "substr",
        getrange,
        4,
        _READ,
        READS,
        "string",
        "As GETRANGE, its old name.",
        cost=_part_us,
    ),
    data_row(
        "setrange",
        setrange,
        4,
        _WRITE,
        one("RW update"),
        "string",
        "Writes part.",
        "2.2.0",
        cost=_overwritten_us,
    ),
    data_row(
        "lcs",
        lcs,
        -3,
        _READ,
        many("RO access", last=1),
        "string",
        "The longest common subsequence of two values.",
        "7.0.0",
        cost=_compared_us,
    ),
)
