"""When keys expire: EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST TTL PTTL EXPIRETIME PEXPIRETIME.

An expiry is a moment in the leader's time, which log entries carry: keyspace/store.py says what
follows from it, raft/steady_time.py how that time goes.
"""

from collections.abc import Sequence

from distrodb.commands.command import data_row
from distrodb.commands.error_replies import shown
from distrodb.commands.key_specs import one
from distrodb.commands.numbers import INT_MAX, INT_MIN, NOT_AN_INTEGER, parse_integer
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import GENERIC, Keys
from distrodb.resp.reply import ErrorReply, Reply, error

GONE, STAYS = -2, -1  # what TTL answers for a key that is not there, or does not expire


def _expire(
    keys: Keys, args: Sequence[bytes], context: Context, unit_ms: int, base_ms: int
) -> Reply:
    """name key number [NX | XX | GT | LT]; the moment is ``base_ms`` plus so many units."""
    options = {option.upper() for option in args[3:]}
    if problem := _wrong_options(options, args[3:]):
        return problem
    number = parse_integer(args[2])
    if number is None:
        return NOT_AN_INTEGER
    at_ms = number * unit_ms + base_ms
    if not INT_MIN <= number * unit_ms <= INT_MAX or at_ms > INT_MAX:
        return error("ERR", f"invalid expire time in '{args[0].decode().lower()}' command")
    key = args[1]
    if key not in keys or not _applies(options, at_ms, keys.expiry(key)):
        return 0
    if at_ms <= context.now_ms:
        keys.delete(key)
        keys.event(GENERIC, b"del", key)
    else:
        keys.expire_at(key, at_ms)
        keys.event(GENERIC, b"expire", key)
    return 1


def _wrong_options(options: set[bytes], words: Sequence[bytes]) -> ErrorReply | None:
    for word in words:
        if word.upper() not in (b"NX", b"XX", b"GT", b"LT"):
            return error("ERR", f"Unsupported option {shown(word)}")
    if b"NX" in options and len(options) > 1:
        return error("ERR", "NX and XX, GT or LT options at the same time are not compatible")
    if {b"GT", b"LT"} <= options:
        return error("ERR", "GT and LT options at the same time are not compatible")
    return None


def _applies(options: set[bytes], at_ms: int, before_ms: int | None) -> bool:
    """A key that stays is, to GT and LT, one that expires at the end of time."""
    if before_ms is None:
        return not options & {b"XX", b"GT"}
    return not (
        b"NX" in options
        or (b"GT" in options and at_ms <= before_ms)
        or (b"LT" in options and at_ms >= before_ms)
    )


def expire(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _expire(keys, args, context, 1000, context.now_ms)


def pexpire(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _expire(keys, args, context, 1, context.now_ms)


def expireat(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _expire(keys, args, context, 1000, 0)


def pexpireat(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _expire(keys, args, context, 1, 0)


def pexpiretime(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    if args[1] not in keys:
        return GONE
    at_ms = keys.expiry(args[1])
    return STAYS if at_ms is None else at_ms


def expiretime(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _in_seconds(pexpiretime(keys, args, context))


def pttl(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    if args[1] not in keys:
        return GONE
    at_ms = keys.expiry(args[1])
    return STAYS if at_ms is None else at_ms - context.now_ms


def ttl(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _in_seconds(pttl(keys, args, context))


def _in_seconds(ms: Reply) -> Reply:
    return (ms + 500) // 1000 if isinstance(ms, int) and ms >= 0 else ms


def persist(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    if keys.expiry(args[1]) is None:
        return 0
    keys.persist(args[1])
    keys.event(GENERIC, b"persist", args[1])
    return 1


_WRITE, _READ = "write fast", "readonly fast"
_SETS, _TELLS = one("RW update"), one("RO access")
_VARIES = ("nondeterministic_output",)

COMMANDS = (
    data_row("expire", expire, -3, _WRITE, _SETS, "generic", "Lets a key expire in seconds."),
    data_row(
        "pexpire",
        pexpire,
        -3,
        _WRITE,
        _SETS,
        "generic",
        "Lets a key expire in milliseconds.",
        "2.6.0",
    ),
    data_row(
        "expireat",
        expireat,
        -3,
        _WRITE,
        _SETS,
        "generic",
        "Lets a key expire at a Unix time.",
        "1.2.0",
    ),
    data_row(
        "pexpireat",
        pexpireat,
        -3,
        _WRITE,
        _SETS,
        "generic",
        "Lets a key expire at a Unix time in ms.",
        "2.6.0",
    ),
    data_row("ttl", ttl, 2, _READ, _TELLS, "generic", "Seconds until a key expires.", tips=_VARIES),
    data_row(
        "pttl", pttl, 2, _READ, _TELLS, "generic", "Milliseconds until then.", "2.6.0", tips=_VARIES
    ),
    data_row(
        "expiretime",
        expiretime,
        2,
        _READ,
        _TELLS,
        "generic",
        "The Unix time at which a key expires.",
        "7.0.0",
    ),
    data_row(
        "pexpiretime",
        pexpiretime,
        2,
        _READ,
        _TELLS,
        "generic",
        "The same in milliseconds.",
        "7.0.0",
    ),
    data_row("persist", persist, 2, _WRITE, _SETS, "generic", "Lets a key stay.", "2.2.0"),
)
