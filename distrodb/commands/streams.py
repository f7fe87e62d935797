"""Entries of streams (https://redis.io/docs/latest/commands/?group=stream).

Groups of consumers are in stream_groups.py, what is pending for them in stream_pending.py.

XREAD that finds nothing answers so; whether it waits then is for the session (slave/blocking.py),
which asks again when a key has changed.  From where on ``$`` means is asked once, before (XLAST).
"""

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any

import msgpack

from distrodb.commands.command import Begin, data_row
from distrodb.commands.costs import Sizes
from distrodb.commands.dump import BAD_FORMAT
from distrodb.commands.error_replies import SYNTAX, wrong_arity
from distrodb.commands.key_specs import DELETES, LOOKS, READS, KeySpec, many, one
from distrodb.commands.keys import NO_SUCH_KEY
from distrodb.commands.stream_arguments import (
    Trimming,
    Wrong,
    first_of_range,
    integer,
    last_of_range,
    parse_new_id,
    parse_reading,
    parse_trimming,
    strict_id,
)
from distrodb.commands.strings import over_limits
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.containers.stream_block import OVERHEAD_BYTES, Entry
from distrodb.keyspace.containers.stream_parts import add_part
from distrodb.keyspace.containers.stream_trimming import References, trim
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import STREAM, Keys
from distrodb.keyspace.stream_ids import ID_MAX, SEQUENCE_MAX, make_id, show_id
from distrodb.resp.reply import NULL_ARRAY, OK, ErrorReply, Named, Reply, error

GIVEN_US, GIVEN_NS = 4.0, 4.0  # of an entry of a reply, and of a byte of it
LOOKED_FOR_US = 2.0  # of an entry, in one group
OPENED_US = 60.0  # of a block that is read and written anew
PART_NS = 200.0  # of a byte of a part of a backup
ENTRY_BYTES_MIN = 6  # of an entry in its block

_ZERO_ID = error("ERR", "The ID specified in XADD must be greater than 0-0")
_LOW_ID = error(
    "ERR", "The ID specified in XADD is equal or smaller than the target stream top item"
)
_NO_MORE_IDS = error(
    "ERR", "The stream has exhausted the last possible ID, unable to add more items"
)
_ONLY_GROUPS = error(
    "ERR",
    "The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer>"
    " option.",
)

Handler = Callable[[Keys, Sequence[bytes], Context], Reply]


def refusing(handler: Handler) -> Handler:
    """What is wrong with its arguments is the reply."""

    @wraps(handler)
    def run(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
        try:
            return handler(keys, args, context)
        except Wrong as wrong:
            return wrong.reply

    return run


def shown(entry: Entry) -> Reply:
    number, fields = entry
    return [show_id(number), list(fields)]


# -- adding ----------------------------------------------------------------------------------------


@refusing
def xadd(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    trimming = parse_trimming(args, is_adding=True)
    key, fields = args[1], list(args[trimming.end + 1 :])
    if len(fields) < 2 or len(fields) % 2:
        return wrong_arity("xadd")
    given = parse_new_id(args[trimming.end])
    if given == (0, True):
        return _ZERO_ID
    if problem := over_limits(context, key, max(fields, key=len)):
        return problem
    found = keys.container(key, Stream)
    if found is None and trimming.no_stream:
        return None
    number = _next_id(0 if found is None else found.last_id, given, context.now_ms)
    if isinstance(number, ErrorReply):
        return number
    stream = keys.container_to_write(key, Stream)
    stream.add(number, fields)
    keys.event(STREAM, b"xadd", key)
    if _trim(stream, trimming):
        keys.event(STREAM, b"xtrim", key)
    return show_id(number)


def _next_id(last: int, given: tuple[int, bool] | None, now_ms: int) -> int | ErrorReply:
    if last == ID_MAX:
        return _NO_MORE_IDS
    if given is None:
        return max(last + 1, make_id(now_ms, 0))
    number, is_whole = given
    if not is_whole and number >> 64 == last >> 64:
        number = last + 1
        if last & SEQUENCE_MAX == SEQUENCE_MAX:
            return _LOW_ID
    return number if number > last else _LOW_ID


def _trim(stream: Stream, trimming: Trimming) -> int:
    if not trimming.is_asked:
        return 0
    references = trimming.references or References.KEEP
    bounds = trimming.length, trimming.first, trimming.is_about, trimming.limit
    return trim(stream, *bounds, references)


@refusing
def xtrim(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    trimming = parse_trimming(args, is_adding=False)
    key = args[1]
    found = keys.container(key, Stream)
    if found is None or (len(found) <= trimming.length and found.first_id >= trimming.first):
        return 0
    count = _trim(keys.container_to_write(key, Stream), trimming)
    if count:
        keys.event(STREAM, b"xtrim", key)
    return count


@refusing
def xdel(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key = args[1]
    found = keys.container(key, Stream)
    if found is None:
        return 0
    numbers = list(map(strict_id, args[2:]))
    finder = found.finder()
    there = [number for number in numbers if finder.find(number) is not None]
    if not there:
        return 0
    count = keys.container_to_write(key, Stream).delete(there)
    keys.event(STREAM, b"xdel", key)
    return count


@refusing
def xsetid(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, number = args[1], strict_id(args[2])
    added = deleted = -1
    place = 3
    while place < len(args):
        word = args[place].upper()
        if place + 1 == len(args) or word not in (b"ENTRIESADDED", b"MAXDELETEDID"):
            return SYNTAX
        if word == b"ENTRIESADDED":
            added = integer(args[place + 1])
            if added < 0:
                return error("ERR", "entries_added must be positive")
        else:
            deleted = strict_id(args[place + 1])
            if number < deleted:
                return _smaller("the provided max_deleted_entry_id")
        place += 2
    found = keys.container(key, Stream)
    if found is None:
        return NO_SUCH_KEY
    if number < found.deleted_max:
        return _smaller("current max_deleted_entry_id")
    if len(found):
        if number < found.top_id:
            return _smaller("the target stream top item")
        if 0 <= added < len(found):
            return error(
                "ERR",
                "The entries_added specified in XSETID is smaller than the target stream length",
            )
    stream = keys.container_to_write(key, Stream)
    stream.last_id = number
    if added >= 0:
        stream.added_count = added
    if deleted > 0:
        stream.deleted_max = deleted
    keys.event(STREAM, b"xsetid", key)
    return OK


def _smaller(what: str) -> ErrorReply:
    return error("ERR", f"The ID specified in XSETID is smaller than {what}")


def xpart(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """A part of a large stream, as backups hold it (backup/writes.py), may come more than once."""
    key, found = args[1], keys.container(args[1], Stream)
    if problem := over_limits(context, key, b""):
        return problem
    try:
        part = msgpack.unpackb(args[2])
        if found is None:
            add_part(Stream(0), part, is_again=True)  # lest there be an empty one for nothing
        add_part(keys.container_to_write(key, Stream), part, is_again=True)
    except (ValueError, TypeError, msgpack.UnpackException):
        return BAD_FORMAT
    keys.event(STREAM, b"xadd", key)
    return OK


# -- reading ---------------------------------------------------------------------------------------


def xlen(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return len(keys.container(args[1], Stream) or ())


def _range(args: Sequence[bytes], is_reverse: bool) -> tuple[int, int, int]:
    """The first number, the last one, and how many: -1 for all."""
    first, last = (args[3], args[2]) if is_reverse else (args[2], args[3])
    begin, end, count = first_of_range(first), last_of_range(last), -1
    place = 4
    while place < len(args):
        if args[place].upper() != b"COUNT" or place + 1 == len(args):
            raise Wrong(SYNTAX)
        count = max(0, integer(args[place + 1]))
        place += 2
    return begin, end, count


def _xrange(is_reverse: bool) -> Handler:
    @refusing
    def run(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
        begin, end, count = _range(args, is_reverse)
        found = keys.container(args[1], Stream)
        if found is None:
            return []
        if count == 0:
            return NULL_ARRAY
        return list(map(shown, taken(found, begin, end, count, is_reverse)))

    return run


def taken(
    stream: Stream, first: int, last: int, count: int, is_reverse: bool = False
) -> list[Entry]:
    """``count``: 0 or less for all."""
    entries: list[Entry] = []
    for entry in stream.range(first, last, is_reverse):
        entries.append(entry)
        if len(entries) == count:
            break
    return entries


@refusing
def xread(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    asked = parse_reading(args)
    begins = []
    for key, text in zip(asked.keys, asked.ids, strict=True):
        found = keys.container(key, Stream)
        if text == b"$":
            begins.append(0 if found is None else found.last_id)
        elif text == b"+":  # the last entry, as since Redis 7.4
            begins.append(-1 if found is None or not len(found) else found.top_id - 1)
        elif text == b">":
            return _ONLY_GROUPS
        else:
            begins.append(strict_id(text))
    told: list[tuple[Reply, Reply]] = []
    for key, begin in zip(asked.keys, begins, strict=True):
        found = keys.container(key, Stream)
        if found is not None and begin >= 0 and found.top_id > begin:
            told.append((key, list(map(shown, taken(found, begin + 1, ID_MAX, asked.count)))))
    return Named(told) if told else NULL_ARRAY


def xlast(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """The last number that each stream has had; what a session asks by itself."""
    found = [keys.container(key, Stream) for key in args[1:]]
    return [show_id(0 if stream is None else stream.last_id) for stream in found]


# -- waiting ---------------------------------------------------------------------------------------


def timeout_of(args: Sequence[bytes]) -> float | ErrorReply | None:
    """Of XREAD and XREADGROUP: seconds; what is wrong the command itself will say."""
    try:
        asked = parse_reading(args)
    except Wrong:
        return None
    if asked.timeout_ms is None or (asked.group is not None and set(asked.ids) != {b">"}):
        return None  # what is pending is told at once, also if it is nothing
    return asked.timeout_ms / 1000


def _begin_of(args: Sequence[bytes]) -> Begin | None:
    """``$`` is from now on, and not from when it is asked again."""
    asked = parse_reading(args)
    if b"$" not in asked.ids:
        return None

    def begin(told: Reply) -> Sequence[bytes]:
        numbers: Any = told  # of XLAST
        ids = [
            number if text == b"$" else text
            for text, number in zip(asked.ids, numbers, strict=True)
        ]
        return [*args[: len(args) - len(ids)], *ids]

    return [b"XLAST", *asked.keys], begin


# -- rows ------------------------------------------------------------------------------------------


def given_us(sizes: Sizes, key: bytes, first: int, last: int, count: int) -> float:
    """Of so many entries of a range; 0 or less for all."""
    found, size = sizes.value(key), sizes.size(key)
    most = entries_in(sizes, key, first, last)
    length = len(found) if isinstance(found, Stream) else 0
    share = min(count, most) / most if count > 0 and most else 1.0
    size_of = size * min(1.0, most / length) if length else size
    return share * (most * GIVEN_US + size_of * GIVEN_NS / 1000)


def entries_in(sizes: Sizes, key: bytes, first: int, last: int) -> float:
    """How many there may be with these numbers."""
    found, size = sizes.value(key), sizes.size(key)
    if not isinstance(found, Stream):
        return size / ENTRY_BYTES_MIN
    more = size - found.size  # by commands before this one
    return found.count_between(first, last) + more / ENTRY_BYTES_MIN


def _range_us(is_reverse: bool) -> Callable[[Sizes, Sequence[bytes]], float]:
    def cost(sizes: Sizes, args: Sequence[bytes]) -> float:
        try:
            begin, end, count = _range(args, is_reverse)
        except Wrong:
            return 0.0
        return 0.0 if count == 0 else given_us(sizes, args[1], begin, end, count)

    return cost


def reading_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    try:
        asked = parse_reading(args)
    except Wrong:
        return 0.0
    return sum(
        given_us(sizes, key, _begin(text), ID_MAX, asked.count)
        for key, text in zip(asked.keys, asked.ids, strict=True)
    )


def _begin(text: bytes) -> int:
    if text in (b"$", b"+"):
        return ID_MAX
    try:
        return strict_id(text)
    except Wrong:
        return 0


def _part_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    sizes.grow(args[1], sizes.size(args[1]) + 10 * len(args[2]))
    return len(args[2]) * PART_NS / 1000


def _opened_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return (len(args) - 2) * OPENED_US


def _trimmed_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    """All its blocks may go."""
    walked = 0.0  # of its entries each may be looked for in all groups
    if any(word.upper() in (b"DELREF", b"ACKED") for word in args[2:9]):
        walked = entries_in(sizes, args[1], 0, ID_MAX) * looked_for_us(sizes, args[1])
    sizes.grow(args[1], sizes.size(args[1]) + sum(map(len, args)) + OVERHEAD_BYTES)
    return OPENED_US + sizes.size(args[1]) / OVERHEAD_BYTES + walked


def looked_for_us(sizes: Sizes, key: bytes) -> float:
    """Of one entry, in what is pending for all groups."""
    found = sizes.value(key)
    return GIVEN_US + (len(found.groups) if isinstance(found, Stream) else 1) * LOOKED_FOR_US


_row = partial(data_row, level=2)
_GROUP = "stream"
_READ_KEYS = (KeySpec("RO access", 1, word=b"STREAMS", last=-1, limit=2),)
_NOT_THE_SAME = ("nondeterministic_output",)

COMMANDS = (
    _row(
        "xadd",
        xadd,
        -5,
        "write denyoom fast",
        one("RW update", notes="UPDATE instead of INSERT because of the optional trimming feature"),
        _GROUP,
        "Adds an entry.",
        "5.0.0",
        tips=_NOT_THE_SAME,
        cost=_trimmed_us,
    ),
    _row("xlen", xlen, 2, "readonly fast", LOOKS, _GROUP, "Counts the entries.", "5.0.0"),
    _row(
        "xrange",
        _xrange(False),
        -4,
        "readonly",
        READS,
        _GROUP,
        "Entries of a range.",
        "5.0.0",
        cost=_range_us(False),
    ),
    _row(
        "xrevrange",
        _xrange(True),
        -4,
        "readonly",
        READS,
        _GROUP,
        "Entries of a range, from behind.",
        "5.0.0",
        cost=_range_us(True),
    ),
    _row(
        "xdel",
        xdel,
        -3,
        "write fast",
        DELETES,
        _GROUP,
        "Deletes entries.",
        "5.0.0",
        cost=_opened_us,
    ),
    _row(
        "xtrim",
        xtrim,
        -4,
        "write",
        DELETES,
        _GROUP,
        "Deletes entries from the beginning.",
        "5.0.0",
        tips=_NOT_THE_SAME,
        cost=_trimmed_us,
    ),
    _row(
        "xsetid",
        xsetid,
        -3,
        "write denyoom fast",
        one("RW update"),
        _GROUP,
        "Sets what the last number was.",
        "5.0.0",
    ),
    _row(
        "xpart",
        xpart,
        3,
        "write denyoom",
        one("RW update"),
        _GROUP,
        "Adds a part of a stream as a backup has it.",
        "8.0.0",
        acl="dangerous",
        cost=_part_us,
    ),
    _row(
        "xread",
        xread,
        -4,
        "readonly blocking movablekeys",
        _READ_KEYS,
        _GROUP,
        "Entries behind a number, of several streams; may wait.",
        "5.0.0",
        cost=reading_us,
        timeout_of=timeout_of,
        begin_of=_begin_of,
    ),
)
# What a session asks by itself.
ASKED = (_row("xlast", xlast, -2, "readonly fast", many("RO"), _GROUP, "Last numbers.", "5.0.0"),)
