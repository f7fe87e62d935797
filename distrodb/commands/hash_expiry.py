"""When fields of hashes expire: HEXPIRE and its kind, HTTL and its kind, HPERSIST; and the commands
that set, give or delete fields meanwhile: HSETEX, HGETEX, HGETDEL.

As Redis 8 has them (https://redis.io/docs/latest/commands/?group=hash): which fields are meant is
said by ``FIELDS number field …``, and the replies of the first ones have a number for each of them.
What follows from a moment is said in keyspace/place.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from distrodb.commands.command import data_row
from distrodb.commands.error_replies import shown, wrong_arity
from distrodb.commands.fields import close, open_to_write, value_in
from distrodb.commands.hashes import over_field_limits
from distrodb.commands.key_specs import READS, one
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.commands.string_options import EXPIRIES, invalid_moment
from distrodb.keyspace.containers.field_expiries import MOMENT_MS_MAX
from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import HASH, Keys
from distrodb.resp.reply import ErrorReply, Reply, error

GONE, STAYS = -2, -1  # a field that is not there, or does not expire
UNMET, DONE, DELETED = 0, 1, 2  # by HEXPIRE: the condition does not hold; its time was past already
COUNT_MAX = 2**31 - 1

NO_FIELDS = error("ERR", "Mandatory argument FIELDS is missing or not at the right position")
NOT_POSITIVE = error("ERR", "Number of fields must be a positive integer")
NOT_ABOVE_0 = error("ERR", "Parameter `numFields` should be greater than 0")
OTHER_COUNT = error("ERR", "The `numfields` parameter must match the number of arguments")
NEGATIVE = error("ERR", "invalid expire time, must be >= 0")
NO_MOMENT = error("ERR", "missing expire time")
TWO_CONDITIONS = error("ERR", "Only one of FXX or FNX arguments can be specified")
TWO_EXPIRIES = error("ERR", "Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")
BAD_COUNT = error("ERR", "invalid number of fields")


def _fields(
    words: Sequence[bytes], not_positive: ErrorReply = NOT_POSITIVE
) -> Sequence[bytes] | ErrorReply:
    """FIELDS number field …"""
    if not words or words[0].upper() != b"FIELDS":
        return NO_FIELDS
    count = parse_integer(words[1]) if len(words) > 1 else None
    if count is None or count < 1:
        return not_positive
    return words[2:] if count == len(words) - 2 else OTHER_COUNT


def _moment_ms(name: bytes, text: bytes, unit_ms: int, base_ms: int) -> int | ErrorReply:
    number = parse_integer(text)
    if number is None:
        return NOT_AN_INTEGER
    if number < 0:
        return NEGATIVE
    at_ms = number * unit_ms + base_ms
    return at_ms if at_ms <= MOMENT_MS_MAX else invalid_moment(name.decode().lower())


def _expire(written: Hash, field: bytes, at_ms: int, now_ms: int) -> int:
    """Of a field that is there."""
    if at_ms <= now_ms:
        written.delete(field)
        return DELETED
    written.expire_at(field, at_ms)
    return DONE


# -- HEXPIRE and its kind --------------------------------------------------------------------------


def _applies(condition: bytes, at_ms: int, before_ms: int | None) -> bool:
    """A field that stays is, to GT and LT, one that expires at the end of time."""
    if before_ms is None:
        return condition not in (b"XX", b"GT")
    return not (
        condition == b"NX"
        or (condition == b"GT" and at_ms <= before_ms)
        or (condition == b"LT" and at_ms >= before_ms)
    )


def _hexpire(unit_ms: int, is_relative: bool) -> Callable[[Keys, Sequence[bytes], Context], Reply]:
    def handler(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
        """name key number [NX | XX | GT | LT] FIELDS number field …"""
        key, now_ms = args[1], context.now_ms
        found = keys.container(key, Hash)
        at_ms = _moment_ms(args[0], args[2], unit_ms, now_ms if is_relative else 0)
        if isinstance(at_ms, ErrorReply):
            return at_ms
        has_condition = args[3].upper() in (b"NX", b"XX", b"GT", b"LT")
        condition = args[3].upper() if has_condition else b""
        fields = _fields(args[3 + has_condition :], NOT_ABOVE_0)
        if isinstance(fields, ErrorReply):
            return fields
        if found is None or not any(value_in(keys, found, field) is not None for field in fields):
            return [GONE] * len(fields)
        written = open_to_write(keys, key, fields, context)
        replies: list[Reply] = []
        for field in fields:
            if field not in written:
                replies.append(GONE)
            elif not _applies(condition, at_ms, written.expiry(field)):
                replies.append(UNMET)
            else:
                replies.append(_expire(written, field, at_ms, now_ms))
        if DELETED in replies:
            keys.event(HASH, b"hdel", key)
        elif DONE in replies:
            keys.event(HASH, b"hexpire", key)
        close(keys, key, written, context)
        return replies

    return handler


# -- HTTL and its kind -----------------------------------------------------------------------------


def _httl(unit_ms: int, is_relative: bool) -> Callable[[Keys, Sequence[bytes], Context], Reply]:
    def handler(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
        """name key FIELDS number field …"""
        found, fields = keys.container(args[1], Hash), _fields(args[2:])
        if isinstance(fields, ErrorReply):
            return fields
        base_ms = context.now_ms if is_relative else 0
        replies: list[Reply] = []
        for field in fields:
            if found is None or value_in(keys, found, field) is None:
                replies.append(GONE)
            elif (at_ms := found.expiry(field)) is None:
                replies.append(STAYS)
            else:
                replies.append((at_ms - base_ms + unit_ms - 1) // unit_ms)
        return replies

    return handler


def hpersist(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """HPERSIST key FIELDS number field …"""
    key, found, fields = args[1], keys.container(args[1], Hash), _fields(args[2:])
    if isinstance(fields, ErrorReply):
        return fields
    there = [value_in(keys, found, field) is not None for field in fields]
    replies: list[Reply] = [STAYS if is_there else GONE for is_there in there]
    if found is None or not any(
        is_there and found.expiry(field) for field, is_there in zip(fields, there, strict=True)
    ):
        return replies
    written = open_to_write(keys, key, fields, context)
    for number, field in enumerate(fields):
        if written.persist(field):
            replies[number] = DONE
    keys.event(HASH, b"hpersist", key)
    close(keys, key, written, context)
    return replies


# -- values and expiries at once -------------------------------------------------------------------


def hgetdel(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """HGETDEL key FIELDS number field …"""
    key, found, fields = args[1], keys.container(args[1], Hash), _fields(args[2:])
    if isinstance(fields, ErrorReply):
        return fields
    values: list[Reply] = [None] * len(fields)
    if all(value_in(keys, found, field) is None for field in fields):
        return values
    written = open_to_write(keys, key, fields, context)
    for number, field in enumerate(fields):  # of one that comes again nothing is left
        values[number] = written.get(field)
        written.delete(field)
    keys.event(HASH, b"hdel", key)
    close(keys, key, written, context)
    return values


def hgetex(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """HGETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] FIELDS number field …"""
    key, found, option = args[1], keys.container(args[1], Hash), args[2].upper()
    at_ms, rest = None, args[2:]
    if option in EXPIRIES:
        unit_ms, is_relative = EXPIRIES[option]
        moment = _moment_ms(args[0], args[3], unit_ms, context.now_ms if is_relative else 0)
        if isinstance(moment, ErrorReply):
            return moment
        at_ms, rest = moment, args[4:]
    elif option == b"PERSIST":
        rest = args[3:]
    fields = _fields(rest)
    if isinstance(fields, ErrorReply):
        return fields
    values: list[Reply] = [value_in(keys, found, field) for field in fields]
    if found is None or all(value is None for value in values):
        return values
    if at_ms is None and not (
        option == b"PERSIST" and any(found.expiry(field) is not None for field in fields)
    ):
        return values
    written = open_to_write(keys, key, fields, context)
    done: set[int | bool] = set()
    for number, field in enumerate(fields):
        values[number] = written.get(field)
        if at_ms is None:
            done.add(written.persist(field))
        elif field in written:
            done.add(_expire(written, field, at_ms, context.now_ms))
    if at_ms is None and DONE in done:
        keys.event(HASH, b"hpersist", key)
    elif DONE in done:
        keys.event(HASH, b"hexpire", key)
    elif DELETED in done:
        keys.event(HASH, b"hdel", key)
    close(keys, key, written, context)
    return values


@dataclass(slots=True)
class _SetOptions:
    condition: bytes = b""  # FNX FXX
    expiry: bytes = b""  # EX PX EXAT PXAT KEEPTTL
    at_ms: int | None = None
    pairs: Sequence[tuple[bytes, bytes]] = ()


def _set_options(args: Sequence[bytes], now_ms: int) -> _SetOptions | ErrorReply:
    options, position = _SetOptions(), 2
    while position < len(args):
        word = args[position].upper()
        position += 1
        if word == b"FIELDS":
            pairs = _pairs(args[position:])
            if isinstance(pairs, ErrorReply):
                return pairs
            options.pairs = pairs
            return options
        if word in EXPIRIES or word == b"KEEPTTL":
            if options.expiry:
                return TWO_EXPIRIES
            options.expiry = word
            if word == b"KEEPTTL":
                continue
            if position == len(args):
                return NO_MOMENT
            unit_ms, is_relative = EXPIRIES[word]
            moment = _moment_ms(args[0], args[position], unit_ms, now_ms if is_relative else 0)
            if isinstance(moment, ErrorReply):
                return moment
            options.at_ms, position = moment, position + 1
        elif word in (b"FNX", b"FXX"):
            if options.condition:
                return TWO_CONDITIONS
            options.condition = word
        else:
            return error("ERR", f"unknown argument: {shown(args[position - 1])}")
    return NO_FIELDS


def _pairs(words: Sequence[bytes]) -> list[tuple[bytes, bytes]] | ErrorReply:
    """number field value …"""
    if len(words) < 3:
        return wrong_arity("hsetex")
    count = parse_integer(words[0])
    if count is None or not 1 <= count <= COUNT_MAX:
        return BAD_COUNT
    if len(words) != 1 + 2 * count:
        return wrong_arity("hsetex")
    return list(zip(words[1::2], words[2::2], strict=True))


def hsetex(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """HSETEX key [FNX | FXX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] FIELDS number field value
    …"""
    key, options = args[1], _set_options(args, context.now_ms)
    if isinstance(options, ErrorReply):
        return options
    found, pairs = keys.container(key, Hash), options.pairs
    if options.condition:
        wanted = options.condition == b"FXX"
        if any((value_in(keys, found, field) is not None) != wanted for field, _ in pairs):
            return 0
    for field, value in pairs:
        if problem := over_field_limits(context, key, field, value):
            return problem
    fields = [field for field, _ in pairs]
    written = open_to_write(keys, key, fields, context, replaces=not options.condition)
    done = set()
    for field, value in pairs:
        written.set(field, value)
        if options.at_ms is not None:
            done.add(_expire(written, field, options.at_ms, context.now_ms))
        elif not options.expiry:
            written.persist(field)
    keys.event(HASH, b"hset", key)
    if done:
        keys.event(HASH, b"hdel" if DELETED in done else b"hexpire", key)
    close(keys, key, written, context)
    return 1


_row = partial(data_row, level=2)
_WRITE, _ADD, _READ = "write fast", "write denyoom fast", "readonly fast"
_SETS = one("RW update")
_GETS = one("RW access update", notes="RW and UPDATE because it changes the TTL")
_VARIES = ("nondeterministic_output",)

COMMANDS = (
    _row("hexpire", _hexpire(1000, True), -6, _ADD, _SETS, "hash", "Lets fields expire.", "7.4.0"),
    _row("hpexpire", _hexpire(1, True), -6, _ADD, _SETS, "hash", "The same in ms.", "7.4.0"),
    _row(
        "hexpireat",
        _hexpire(1000, False),
        -6,
        _ADD,
        _SETS,
        "hash",
        "Lets fields expire at a Unix time.",
        "7.4.0",
    ),
    _row("hpexpireat", _hexpire(1, False), -6, _ADD, _SETS, "hash", "The same in ms.", "7.4.0"),
    _row(
        "httl",
        _httl(1000, True),
        -5,
        _READ,
        READS,
        "hash",
        "Seconds until fields expire.",
        "7.4.0",
        tips=_VARIES,
    ),
    _row(
        "hpttl",
        _httl(1, True),
        -5,
        _READ,
        READS,
        "hash",
        "Milliseconds until then.",
        "7.4.0",
        tips=_VARIES,
    ),
    _row(
        "hexpiretime",
        _httl(1000, False),
        -5,
        _READ,
        READS,
        "hash",
        "The Unix time at which fields expire.",
        "7.4.0",
    ),
    _row(
        "hpexpiretime",
        _httl(1, False),
        -5,
        _READ,
        READS,
        "hash",
        "The same in milliseconds.",
        "7.4.0",
    ),
    _row("hpersist", hpersist, -5, _WRITE, _SETS, "hash", "Lets fields stay.", "7.4.0"),
    _row(
        "hgetdel",
        hgetdel,
        -5,
        _WRITE,
        one("RW access delete"),
        "hash",
        "Returns fields and deletes them.",
        "8.0.0",
    ),
    _row(
        "hgetex",
        hgetex,
        -5,
        _WRITE,
        _GETS,
        "hash",
        "Returns fields, and may let them expire.",
        "8.0.0",
    ),
    _row(
        "hsetex",
        hsetex,
        -6,
        _ADD,
        _SETS,
        "hash",
        "Sets fields, and may let them expire.",
        "8.0.0",
    ),
)
