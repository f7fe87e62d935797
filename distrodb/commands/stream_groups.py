"""Groups of consumers of streams: XGROUP, and XREADGROUP, which reads for one of them.

A group is in the state, so what was read, and by whom, survives whatever becomes of a leader.  That
a group has read, or a consumer was seen, is nothing that tells who watches the key (WATCH, caching,
those who wait), as in Redis; that there is another group is.
"""

from collections.abc import Sequence
from functools import partial

from distrodb.commands.command import container, data_row
from distrodb.commands.costs import Sizes
from distrodb.commands.error_replies import shown, wrong_subcommand
from distrodb.commands.key_specs import KeySpec, one
from distrodb.commands.stream_arguments import (
    Reading,
    Wrong,
    id_or_end,
    integer,
    parse_reading,
    strict_id,
)
from distrodb.commands.streams import entries_in, given_us, refusing, taken, timeout_of
from distrodb.commands.streams import shown as entry_shown
from distrodb.commands.strings import over_limits
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.containers.stream_group import UNKNOWN, Consumer, Group
from distrodb.keyspace.containers.stream_progress import distance, has_gap_from
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import STREAM, Keys
from distrodb.keyspace.stream_ids import ID_MAX, show_id
from distrodb.resp.reply import NULL_ARRAY, OK, ErrorReply, Named, Reply, error

DELIVERED_US = 12.0  # of an entry that becomes pending, or is so no more
PENDING_BYTES_MIN = 290

_NO_STREAM = error(
    "ERR",
    "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the"
    " MKSTREAM option to create an empty stream automatically.",
)
_GROUP_EXISTS = error("BUSYGROUP", "Consumer Group name already exists")
_BAD_COUNT = error("ERR", "value for ENTRIESREAD must be positive or -1")
_NO_LAST = error(
    "ERR",
    "The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this"
    " consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just"
    " return an empty result set.",
)


def no_group_of_key(name: bytes, key: bytes) -> ErrorReply:
    return error("NOGROUP", f"No such consumer group '{_text(name)}' for key name '{_text(key)}'")


def no_key_or_group(key: bytes, name: bytes, rest: str = "") -> ErrorReply:
    return error("NOGROUP", f"No such key '{_text(key)}' or consumer group '{_text(name)}'{rest}")


def _text(word: bytes) -> str:
    return shown(word, len(word))


def group_of(keys: Keys, key: bytes, name: bytes) -> Group | None:
    found = keys.container(key, Stream)
    return None if found is None else found.groups.get(name)


def group_to_write(keys: Keys, key: bytes, name: bytes) -> Group:
    return keys.container_to_mark(key, Stream).group_to_write(name)


def consumer_of(keys: Keys, key: bytes, group: Group, name: bytes, now_ms: int) -> Consumer:
    """Seen now, and made if there is none."""
    found = group.consumers.get(name)
    if found is None:
        found = group.add_consumer(name, now_ms)
        keys.event(STREAM, b"xgroup-createconsumer", key)
    found.seen_ms = now_ms
    return found


# -- groups ----------------------------------------------------------------------------------------


def _options(args: Sequence[bytes], is_new: bool) -> tuple[int, bool] | ErrorReply:
    """ENTRIESREAD and MKSTREAM of XGROUP."""
    read_count, makes_stream, place = UNKNOWN, False, 5
    while place < len(args):
        word = args[place].upper()
        if word == b"MKSTREAM" and is_new:
            makes_stream = True
        elif word == b"ENTRIESREAD" and place + 1 < len(args):
            place += 1
            read_count = integer(args[place])
            if read_count < UNKNOWN:
                return _BAD_COUNT
        else:
            return wrong_subcommand(args)
        place += 1
    return read_count, makes_stream


def _last_of(stream: Stream | None) -> int:
    return 0 if stream is None else stream.last_id


@refusing
def create(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    options = _options(args, is_new=True)
    if isinstance(options, ErrorReply):
        return options
    read_count, makes_stream = options
    key, name = args[2], args[3]
    if problem := over_limits(context, key, name):
        return problem
    found = keys.container(key, Stream)
    if found is None and not makes_stream:
        return _NO_STREAM
    if len(args) > 8:
        return wrong_subcommand(args)
    last_id = _last_of(found) if args[4] == b"$" else strict_id(args[4])
    if found is not None and name in found.groups:
        return _GROUP_EXISTS
    keys.container_to_write(key, Stream).add_group(name, last_id, read_count)
    keys.event(STREAM, b"xgroup-create", key)
    return OK


@refusing
def set_id(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    options = _options(args, is_new=False)
    if isinstance(options, ErrorReply):
        return options
    key, name = args[2], args[3]
    found = keys.container(key, Stream)
    if found is None:
        return _NO_STREAM
    if name not in found.groups:
        return no_group_of_key(name, key)
    if len(args) not in (5, 7):
        return wrong_subcommand(args)
    last_id = _last_of(found) if args[4] == b"$" else id_or_end(args[4])
    # There may be something to read again for those who wait.
    group = keys.container_to_write(key, Stream).group_to_write(name)
    group.last_id, group.read_count = last_id, options[0]
    keys.event(STREAM, b"xgroup-setid", key)
    return OK


def destroy(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, name = args[2], args[3]
    found = keys.container(key, Stream)
    if found is None:
        return _NO_STREAM
    if name not in found.groups:
        return 0
    keys.container_to_write(key, Stream).remove_group(name)
    keys.event(STREAM, b"xgroup-destroy", key)
    return 1


def create_consumer(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, name, consumer = args[2], args[3], args[4]
    if problem := over_limits(context, key, consumer):
        return problem
    found = keys.container(key, Stream)
    if found is None:
        return _NO_STREAM
    if name not in found.groups:
        return no_group_of_key(name, key)
    if consumer in found.groups[name].consumers:
        return 0
    consumer_of(keys, key, group_to_write(keys, key, name), consumer, context.now_ms)
    return 1


def delete_consumer(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, name, consumer = args[2], args[3], args[4]
    found = keys.container(key, Stream)
    if found is None:
        return _NO_STREAM
    if name not in found.groups:
        return no_group_of_key(name, key)
    if consumer not in found.groups[name].consumers:
        return 0
    count = group_to_write(keys, key, name).remove_consumer(consumer)
    keys.event(STREAM, b"xgroup-delconsumer", key)
    return count


# -- reading ---------------------------------------------------------------------------------------


@refusing
def xreadgroup(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    asked = parse_reading(args)
    assert asked.group is not None  # parse_reading has seen to it
    name, consumer_name = asked.group
    begins: list[int | None] = []
    for key, text in zip(asked.keys, asked.ids, strict=True):
        if group_of(keys, key, name) is None:
            return no_key_or_group(key, name, " in XREADGROUP with GROUP option")
        if text == b"$":
            return _NO_LAST
        number = ID_MAX if text == b">" else strict_id(text)
        begins.append(None if number == ID_MAX else number)
    if problem := over_limits(context, b"", consumer_name):
        return problem
    told: list[tuple[Reply, Reply]] = []
    for key, begin in zip(asked.keys, begins, strict=True):
        group = group_to_write(keys, key, name)
        stream = keys.container(key, Stream)
        assert stream is not None
        consumer = consumer_of(keys, key, group, consumer_name, context.now_ms)
        if begin is not None:
            told.append((key, _history(stream, group, consumer, begin, asked.count, context)))
        elif stream.top_id > group.last_id:
            told.append((key, _new(stream, group, consumer, asked, context)))
    return Named(told) if told else NULL_ARRAY


def _new(
    stream: Stream, group: Group, consumer: Consumer, asked: Reading, context: Context
) -> Reply:
    entries = taken(stream, group.last_id + 1, ID_MAX, asked.count)
    has_gap = has_gap_from(stream, group.last_id + 1)
    for number, _ in entries:
        if group.read_count != UNKNOWN and not (has_gap and has_gap_from(stream, number)):
            group.read_count += 1
        elif stream.added_count:
            group.read_count = distance(stream, number)
        group.last_id = number
        if not asked.no_ack:
            group.deliver(number, consumer, context.now_ms, 1)
    if entries:
        consumer.active_ms = context.now_ms
    return list(map(entry_shown, entries))


def _history(
    stream: Stream, group: Group, consumer: Consumer, begin: int, count: int, context: Context
) -> Reply:
    """What is pending for it already, again."""
    finder = stream.finder()
    told: list[Reply] = []
    numbers: list[int] = []
    for number in group.numbers(begin + 1, ID_MAX, consumer):
        numbers.append(number)
        if len(numbers) == count:
            break
    for number in numbers:
        fields = finder.find(number)
        if fields is None:
            told.append([show_id(number), NULL_ARRAY])
            continue
        before = group.pending[number]
        group.deliver(number, consumer, context.now_ms, before.deliveries + 1)
        told.append(entry_shown((number, fields)))
    return told


def _group_of_words(args: Sequence[bytes]) -> bytes:
    """Wherever it stands among the options."""
    group = parse_reading(args).group
    assert group is not None  # who waits has been looked at
    return b"group " + group[0]


# -- rows ------------------------------------------------------------------------------------------


def pending_in(sizes: Sizes, key: bytes, name: bytes) -> float:
    """How many entries may be pending for a group."""
    found, size = sizes.value(key), sizes.size(key)
    if not isinstance(found, Stream):
        return size / PENDING_BYTES_MIN
    group = found.groups.get(name)
    return (0 if group is None else len(group)) + (size - found.size) / PENDING_BYTES_MIN


def _reading_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    try:
        asked = parse_reading(args)
    except Wrong:
        return 0.0
    name = b"" if asked.group is None else asked.group[0]
    total = 0.0
    for key, text in zip(asked.keys, asked.ids, strict=True):
        found = sizes.value(key)
        group = found.groups.get(name) if isinstance(found, Stream) else None
        begin = 0 if group is None or text != b">" else group.last_id + 1
        is_new = text == b">"
        most = entries_in(sizes, key, begin, ID_MAX) if is_new else pending_in(sizes, key, name)
        count = min(asked.count, most) if asked.count else most
        total += count * DELIVERED_US + given_us(sizes, key, begin, ID_MAX, int(count) or 1)
        sizes.grow(key, sizes.size(key) + int(count) * PENDING_BYTES_MIN)
    return total


def _deleted_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return pending_in(sizes, args[2], args[3]) * DELIVERED_US


def _freed_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return pending_in(sizes, args[2], args[3]) * 0.5


_row = partial(data_row, level=2)
_GROUP = "stream"
_KEYS = (KeySpec("RO access", 4, word=b"STREAMS", last=-1, limit=2),)

COMMANDS = (
    container(
        "xgroup",
        _GROUP,
        "Groups of consumers.",
        "5.0.0",
        [
            _row(
                "xgroup|create",
                create,
                -5,
                "write denyoom",
                one("RW insert", 2),
                _GROUP,
                "Makes a group.",
                "5.0.0",
            ),
            _row(
                "xgroup|setid",
                set_id,
                -5,
                "write",
                one("RW update", 2),
                _GROUP,
                "Sets up to where a group has read.",
                "5.0.0",
            ),
            _row(
                "xgroup|destroy",
                destroy,
                4,
                "write",
                one("RW delete", 2),
                _GROUP,
                "Deletes a group.",
                "5.0.0",
                cost=_freed_us,
            ),
            _row(
                "xgroup|createconsumer",
                create_consumer,
                5,
                "write denyoom",
                one("RW insert", 2),
                _GROUP,
                "Makes a consumer.",
                "6.2.0",
            ),
            _row(
                "xgroup|delconsumer",
                delete_consumer,
                5,
                "write",
                one("RW delete", 2),
                _GROUP,
                "Deletes a consumer, and what is pending for it.",
                "5.0.0",
                cost=_deleted_us,
            ),
        ],
    ),
    _row(
        "xreadgroup",
        xreadgroup,
        -7,
        "write blocking movablekeys",
        _KEYS,
        _GROUP,
        "Entries that no consumer of a group has got yet, or that are pending; may wait.",
        "5.0.0",
        cost=_reading_us,
        timeout_of=timeout_of,
        group_waited_for=_group_of_words,
    ),
)
