"""XINFO: what is known of a stream, its groups and their consumers.

Caveat: what Redis' tree of blocks would take (``radix-tree-nodes``) follows from their number here.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from distrodb.commands.command import container, data_row
from distrodb.commands.costs import Sizes
from distrodb.commands.error_replies import wrong_subcommand
from distrodb.commands.key_specs import one
from distrodb.commands.keys import NO_SUCH_KEY
from distrodb.commands.stream_arguments import Wrong, integer
from distrodb.commands.stream_groups import no_group_of_key
from distrodb.commands.streams import GIVEN_US, refusing, shown, taken
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.containers.stream_group import NEVER, UNKNOWN, Consumer, Group
from distrodb.keyspace.containers.stream_progress import lag_of
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import Keys
from distrodb.keyspace.stream_ids import ID_MAX, show_id
from distrodb.resp.reply import Reply

COUNT = 10  # of XINFO STREAM FULL where nobody says
_BYTES_MIN = 20  # of what it shows


@refusing
def stream_info(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    found = keys.container(args[2], Stream)
    if found is None:
        return NO_SUCH_KEY
    if len(args) == 3:
        return _about(found) | {
            b"groups": len(found.groups),
            b"first-entry": _end(found, False),
            b"last-entry": _end(found, True),
        }
    if len(args) not in (4, 6) or args[3].upper() != b"FULL":
        return wrong_subcommand(args)
    if len(args) == 6 and args[4].upper() != b"COUNT":
        return wrong_subcommand(args)
    count = _count(args)
    return _about(found) | {
        b"entries": list(map(shown, taken(found, 0, ID_MAX, count))),
        b"groups": [_full_group(found, group, count) for group in found.groups_in_order()],
    }


def _count(args: Sequence[bytes]) -> int:
    """0 for all."""
    count = integer(args[5]) if len(args) > 5 else COUNT
    return COUNT if count < 0 else count


def _about(stream: Stream) -> dict[Reply, Reply]:
    return {
        b"length": len(stream),
        b"radix-tree-keys": len(stream.blocks),
        b"radix-tree-nodes": len(stream.blocks) + 1,
        b"last-generated-id": show_id(stream.last_id),
        b"max-deleted-entry-id": show_id(stream.deleted_max),
        b"entries-added": stream.added_count,
        b"recorded-first-entry-id": show_id(stream.first_id),
    }


def _end(stream: Stream, is_last: bool) -> Reply:
    entries = taken(stream, 0, ID_MAX, 1, is_last)
    return shown(entries[0]) if entries else None


def _full_group(stream: Stream, group: Group, count: int) -> Reply:
    pending: list[Reply] = [
        [show_id(n), *group.pending[n]] for n in _some(group.numbers(0, ID_MAX), count)
    ]
    return {
        b"name": group.name,
        b"last-delivered-id": show_id(group.last_id),
        b"entries-read": _read_count(group),
        b"lag": lag_of(stream, group),
        b"pel-count": len(group),
        b"pending": pending,
        b"consumers": [_full_consumer(group, each, count) for each in group.in_order()],
    }


def _full_consumer(group: Group, consumer: Consumer, count: int) -> Reply:
    numbers = _some(group.numbers(0, ID_MAX, consumer), count)
    return {
        b"name": consumer.name,
        b"seen-time": consumer.seen_ms,
        b"active-time": consumer.active_ms,
        b"pel-count": len(consumer.pending),
        b"pending": [
            [show_id(n), group.pending[n].at_ms, group.pending[n].deliveries] for n in numbers
        ],
    }


def _some(numbers: Iterable[int], count: int) -> list[int]:
    found: list[int] = []
    for number in numbers:
        found.append(number)
        if len(found) == count:
            break
    return found


def _read_count(group: Group) -> int | None:
    return None if group.read_count == UNKNOWN else group.read_count


def groups_info(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    found = keys.container(args[2], Stream)
    if found is None:
        return NO_SUCH_KEY
    return [
        {
            b"name": group.name,
            b"consumers": len(group.consumers),
            b"pending": len(group),
            b"last-delivered-id": show_id(group.last_id),
            b"entries-read": _read_count(group),
            b"lag": lag_of(found, group),
        }
        for group in found.groups_in_order()
    ]


def consumers_info(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    found = keys.container(args[2], Stream)
    if found is None:
        return NO_SUCH_KEY
    group = found.groups.get(args[3])
    if group is None:
        return no_group_of_key(args[3], args[2])
    now_ms = context.now_ms
    return [
        {
            b"name": each.name,
            b"pending": len(each.pending),
            b"idle": max(0, now_ms - each.seen_ms),
            b"inactive": NEVER if each.active_ms == NEVER else max(0, now_ms - each.active_ms),
        }
        for each in group.in_order()
    ]


def _info_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    """All that it shows, if it is much."""
    most = sizes.size(args[2]) / _BYTES_MIN
    if len(args) == 3:
        return 100.0
    try:
        count = _count(args)
    except Wrong:
        return 0.0
    found = sizes.value(args[2])
    if count == 0 or not isinstance(found, Stream):
        return most * GIVEN_US
    groups = found.groups.values()
    consumers = sum(len(group.consumers) for group in groups)
    return min(most, count * (1 + len(groups) + consumers) + consumers) * GIVEN_US


def _groups_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return sizes.size(args[2]) / 900 * GIVEN_US


_row = partial(data_row, level=2)
_GROUP = "stream"

COMMANDS = (
    container(
        "xinfo",
        _GROUP,
        "Tells of streams.",
        "5.0.0",
        [
            _row(
                "xinfo|consumers",
                consumers_info,
                4,
                "readonly",
                one("RO access", 2),
                _GROUP,
                "Tells of the consumers of a group.",
                "5.0.0",
                tips=("nondeterministic_output",),
                cost=_groups_us,
            ),
            _row(
                "xinfo|groups",
                groups_info,
                3,
                "readonly",
                one("RO access", 2),
                _GROUP,
                "Tells of the groups of a stream.",
                "5.0.0",
                cost=_groups_us,
            ),
            _row(
                "xinfo|stream",
                stream_info,
                -3,
                "readonly",
                one("RO access", 2),
                _GROUP,
                "Tells of a stream.",
                "5.0.0",
                cost=_info_us,
            ),
        ],
    ),
)
