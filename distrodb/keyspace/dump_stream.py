"""Streams as Redis' DUMP writes them and RESTORE reads them.  Pure.

    blocks · length · last number · [2: first number · highest deleted one · how many were added]
    groups: name · last number · [2: how many it has read]
            · pending: number · milliseconds · deliveries
            · consumers: name · seen · [3: active] · numbers of what is pending

A block is its master number and a listpack: its fields, then its entries, each with the difference
of its number.  Redis 5 writes version 1, 7.0 version 2, 7.2 version 3; we write version 2, and so
when a consumer got something last is when it was seen last, to who reads it.

Caveat: blocks are made anew by who reads them here, so what is trimmed "about" may
be other entries.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.containers.stream_group import Group
from distrodb.keyspace.stream_ids import ID_MAX, SEQUENCE_MAX, make_id, split_id

_DELETED, _SAME_FIELDS = 1, 2  # flags of an entry
_HEAD_WORDS = 3  # of an entry: its flags, and its number in two parts
_STEPS = 2  # of one that is pending
_TIME_MAX = 2**63 - 1


class Reader(Protocol):
    """See dump.py."""

    def length(self) -> int: ...

    def string(self) -> bytes: ...

    def take(self, count: int) -> bytes: ...

    def step(self, count: int) -> None: ...


# -- writing ---------------------------------------------------------------------------------------


def put_stream(to: bytearray, value: Stream, put_length: Callable[[bytearray, int], None]) -> None:
    def put_id(number: int) -> None:
        for part in split_id(number):
            put_length(to, part)

    def put_string(text: bytes | bytearray) -> None:
        put_length(to, len(text))
        to.extend(text)

    put_length(to, len(value.blocks))
    for block in value.blocks:
        put_string(block.base.to_bytes(16))
        put_string(_listpack_of(block.base, block.entries()))
    put_length(to, len(value))
    put_id(value.last_id)
    put_id(value.first_id)
    put_id(value.deleted_max)
    put_length(to, value.added_count)
    put_length(to, len(value.groups))
    for group in value.groups_in_order():
        put_string(group.name)
        put_id(group.last_id)
        put_length(to, group.read_count & SEQUENCE_MAX)  # -1: unknown
        put_length(to, len(group))
        for number in group.numbers(0, ID_MAX):
            pending = group.pending[number]
            to += number.to_bytes(16) + pending.at_ms.to_bytes(8, "little", signed=True)
            put_length(to, pending.deliveries)
        put_length(to, len(group.consumers))
        for consumer in group.in_order():
            put_string(consumer.name)
            to += consumer.seen_ms.to_bytes(8, "little", signed=True)
            put_length(to, len(consumer.pending))
            for number in group.numbers(0, ID_MAX, consumer):
                to += number.to_bytes(16)


def _listpack_of(base: int, entries: list[tuple[int, list[bytes]]]) -> bytearray:
    names = entries[0][1][::2]
    to, count = bytearray(6), 0

    def put(item: int | bytes) -> None:
        nonlocal count
        _put_item(to, item)
        count += 1

    head: list[int | bytes] = [len(entries), 0, len(names), *names, 0]
    for item in head:
        put(item)
    ms, sequence = split_id(base)
    for number, fields in entries:
        its_ms, its_sequence = split_id(number)
        is_same = fields[::2] == names
        words: list[int | bytes] = [*fields[1::2]] if is_same else [len(fields) // 2, *fields]
        put(_SAME_FIELDS if is_same else 0)
        put(its_ms - ms)
        put(its_sequence - sequence)
        for word in words:
            put(word)
        put(_HEAD_WORDS + len(words))
    to.append(0xFF)
    to[:4] = len(to).to_bytes(4, "little")
    to[4:6] = min(count, 0xFFFF).to_bytes(2, "little")
    return to


def _put_item(to: bytearray, item: int | bytes) -> None:
    begin = len(to)
    if isinstance(item, bytes):
        size = len(item)
        if size < 64:
            to.append(0x80 | size)
        elif size < 4096:
            to += bytes([0xE0 | size >> 8, size & 0xFF])
        else:
            to += b"\xf0" + size.to_bytes(4, "little")
        to += item
    elif 0 <= item < 128:
        to.append(item)
    elif -(1 << 63) <= item < 1 << 63:
        to += b"\xf4" + item.to_bytes(8, "little", signed=True)
    else:  # a number of 64 bits goes round
        to += b"\xf4" + (item & SEQUENCE_MAX).to_bytes(8, "little")
    size = len(to) - begin  # which is written behind it, in seven bits a byte
    behind = [size & 127]
    while size := size >> 7:
        behind.append(size & 127)
    to += bytes([behind[-1], *(part | 128 for part in reversed(behind[:-1]))])


# -- reading ---------------------------------------------------------------------------------------


def read_stream(
    reader: Reader, listpack: Callable[[], Iterator[bytes]], version: int, bytes_max: int
) -> Stream:
    """``listpack``: the items of the next one.  Raises ``ValueError``."""

    def read_id() -> int:
        return make_id(reader.length(), reader.length())

    stream = Stream(0)
    for _ in range(reader.length()):
        master = reader.string()
        if len(master) != 16:
            raise ValueError("a number of another length")
        for number, fields in _entries(int.from_bytes(master), listpack()):
            if number <= stream.last_id:
                raise ValueError("entries that are not in order")
            stream.add(number, fields)
            if stream.size > bytes_max:
                raise ValueError("more than a payload may hold")
    if reader.length() != len(stream):
        raise ValueError("another number of entries")
    stream.last_id = max(read_id(), stream.top_id)
    if version > 1:
        read_id()  # the first one: it is known
        stream.deleted_max = read_id()
        stream.added_count = max(_time(reader.length()), len(stream))
    for _ in range(reader.length()):
        _read_group(reader, stream, version)
    return stream


def _entries(master: int, items: Iterator[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    ms, sequence = split_id(master)
    count = _number(items) + _number(items)  # those that are there, and those that were deleted
    names = [_next(items) for _ in range(_number(items))]
    _next(items)
    for _ in range(count):
        flags = _number(items)
        number_ms = ms + _number(items) & SEQUENCE_MAX
        number_sequence = sequence + _number(items) & SEQUENCE_MAX
        fields: list[bytes] = []
        if flags & _SAME_FIELDS:
            for name in names:
                fields += (name, _next(items))
        else:
            fields = [_next(items) for _ in range(2 * _number(items))]
        _next(items)
        if not fields:
            raise ValueError("an entry without fields")
        if not flags & _DELETED:
            yield make_id(number_ms, number_sequence), fields
    if next(items, None) is not None:
        raise ValueError("more entries than there should be")


def _next(items: Iterator[bytes]) -> bytes:
    item = next(items, None)
    if item is None:
        raise ValueError("it ends too early")
    return item


def _number(items: Iterator[bytes]) -> int:
    text = _next(items)
    if len(text) > 20:
        raise ValueError("no number")
    return int(text)


def _time(number: int) -> int:
    if not 0 <= number <= _TIME_MAX:
        raise ValueError("a number beyond all times")
    return number


def _read_group(reader: Reader, stream: Stream, version: int) -> None:
    name = reader.string()
    last_id, read_count = make_id(reader.length(), reader.length()), -1
    if version > 1:
        read_count = reader.length()
        read_count -= SEQUENCE_MAX + 1 if read_count > _TIME_MAX else 0
    if name in stream.groups or read_count < -1:
        raise ValueError("a group twice, or one that has read less than nothing")
    group = stream.add_group(name, last_id, read_count)
    pending: dict[int, tuple[int, int]] = {}
    for _ in range(reader.length()):
        reader.step(_STEPS)
        number = int.from_bytes(reader.take(16))
        at_ms = _time(int.from_bytes(reader.take(8), "little", signed=True))
        if number in pending:
            raise ValueError("an entry that is pending twice")
        pending[number] = at_ms, _time(reader.length())
    for _ in range(reader.length()):
        _read_consumer(reader, group, version, pending)
    if pending:
        raise ValueError("an entry that is pending for nobody")


def _read_consumer(
    reader: Reader, group: Group, version: int, pending: dict[int, tuple[int, int]]
) -> None:
    """``pending``: of its group, without what others have had."""
    name = reader.string()
    seen_ms = active_ms = _time(int.from_bytes(reader.take(8), "little", signed=True))
    if version > 2:
        active_ms = int.from_bytes(reader.take(8), "little", signed=True)
        if active_ms < -1:
            raise ValueError("a number beyond all times")
    if name in group.consumers:
        raise ValueError("a consumer twice")
    consumer = group.add_consumer(name, seen_ms, active_ms)
    for _ in range(reader.length()):
        reader.step(_STEPS)
        number = int.from_bytes(reader.take(16))
        found = pending.pop(number, None)
        if found is None:
            raise ValueError("an entry that is not pending, or for two")
        group.deliver(number, consumer, *found)
