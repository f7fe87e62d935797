"""A stream as snapshots and backups hold it: parts, each a list that begins with a number.

    [0, last number, how many were added, highest number deleted]   a number is two integers
    [1, number, bytes, ...]                                         blocks (stream_block.py)
    [2, name, last number, how many it has read]                    a group
    [3, name, consumer, seen, active, ...]                          of that group
    [4, name, number, consumer, milliseconds, deliveries, ...]      what is pending

in this order.  A part changes nothing if it is refused: it may come from a stranger, too.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from distrodb.keyspace.containers.stream_block import Block
from distrodb.keyspace.containers.stream_group import Group
from distrodb.keyspace.stream_ids import ID_MAX, make_id, split_id

if TYPE_CHECKING:
    from distrodb.keyspace.containers.stream import Stream

_BLOCK_BYTES = 16  # of a block in a part, beside its data
_PENDING_BYTES = 40
_HEADER, _BLOCKS, _GROUP, _CONSUMERS, _PENDING = range(5)


def parts_of(stream: "Stream", bytes_max: int) -> Iterator[tuple[list[Any], int]]:
    last, deleted = split_id(stream.last_id), split_id(stream.deleted_max)
    yield [_HEADER, *last, stream.added_count, *deleted], 50
    yield from _in_parts(
        [_BLOCKS],
        (
            ((*split_id(block.base), bytes(block.data)), len(block.data) + _BLOCK_BYTES)
            for block in stream.blocks
        ),
        bytes_max,
    )
    for group in stream.groups_in_order():
        name = group.name
        yield [_GROUP, name, *split_id(group.last_id), group.read_count], 30 + len(name)
        consumers = (
            ((each.name, each.seen_ms, each.active_ms), 20 + len(each.name))
            for each in group.in_order()
        )
        yield from _in_parts([_CONSUMERS, name], consumers, bytes_max)
        pending = (
            ((*split_id(number), *group.pending[number]), _PENDING_BYTES)
            for number in group.numbers(0, ID_MAX)
        )
        yield from _in_parts([_PENDING, name], pending, bytes_max)


def add_part(stream: "Stream", plain: list[Any], is_again: bool) -> None:
    """``is_again``: what is there already is passed over.  Raises ``ValueError``."""
    match plain:
        case [0, int(ms), int(sequence), int(added), int(deleted_ms), int(deleted)]:
            is_sound = min(ms, sequence, added, deleted_ms, deleted) >= 0
            if is_sound and make_id(ms, sequence) >= stream.top_id:
                stream.last_id, stream.added_count = make_id(ms, sequence), added
                stream.deleted_max = make_id(deleted_ms, deleted)
                return
        case [1, *words] if words and _are(words, int, int, bytes):
            _add_blocks(stream, words, is_again)
            return
        case [2, bytes(name), int(ms), int(sequence), int(read)]:
            if is_again and name in stream.groups:
                return
            if name not in stream.groups and min(ms, sequence, read + 1) >= 0:
                stream.add_group(name, make_id(ms, sequence), read)
                return
        case [3, bytes(name), *words] if _are(words, bytes, int, int):
            if name in stream.groups:
                _add_consumers(stream.group_to_write(name), words, is_again)
                return
        case [4, bytes(name), *words] if _are(words, int, int, bytes, int, int):
            if name in stream.groups:
                _add_pending(stream.group_to_write(name), words, is_again)
                return
    raise ValueError("a part of a stream that makes no sense")


def _add_blocks(stream: "Stream", words: list[Any], is_again: bool) -> None:
    top, blocks = stream.top_id, []
    for ms, sequence, data in _rows(words, 3):
        block = Block.of(None, make_id(ms, sequence), data)
        if is_again and block.base <= stream.top_id:
            continue
        if block.base <= top or block.last > stream.last_id:
            raise ValueError("a block of a stream that is not in order")
        top = block.last
        blocks.append(block)
    stream.add_blocks(blocks)


def _add_consumers(group: Group, words: list[Any], is_again: bool) -> None:
    made: dict[bytes, tuple[int, int]] = {}
    for name, seen_ms, active_ms in _rows(words, 3):
        if is_again and name in group.consumers:
            continue
        if name in group.consumers or name in made or min(seen_ms, active_ms + 1) < 0:
            raise ValueError("a part of a stream with consumers that make no sense")
        made[name] = seen_ms, active_ms
    for name, times in made.items():
        group.add_consumer(name, *times)


def _add_pending(group: Group, words: list[Any], is_again: bool) -> None:
    made: dict[int, tuple[bytes, int, int]] = {}
    for ms, sequence, name, at_ms, count in _rows(words, 5):
        number = make_id(ms, sequence)
        if is_again and number in group.pending:
            continue
        is_new = number not in group.pending and number not in made
        if not is_new or name not in group.consumers or min(ms, sequence, at_ms, count) < 0:
            raise ValueError("a part of a stream with pending entries that make no sense")
        made[number] = name, at_ms, count
    for number, (name, at_ms, count) in made.items():
        group.deliver(number, group.consumers[name], at_ms, count)


def _in_parts(
    head: list[Any], rows: Iterable[tuple[tuple[Any, ...], int]], bytes_max: int
) -> Iterator[tuple[list[Any], int]]:
    part, size = list(head), 0
    for row, row_size in rows:
        part += row
        size += row_size
        if size >= bytes_max:
            yield part, size
            part, size = list(head), 0
    if len(part) > len(head):
        yield part, size


def _are(words: list[Any], *kinds: type) -> bool:
    width = len(kinds)
    return len(words) % width == 0 and all(
        set(map(type, words[place::width])) <= {kind} for place, kind in enumerate(kinds)
    )


def _rows(words: list[Any], width: int) -> Iterator[tuple[Any, ...]]:
    return zip(*(words[place::width] for place in range(width)), strict=True)
