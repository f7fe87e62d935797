"""A store as chunks of bytes: a header, then items, about 256 KiB a chunk.

Each chunk is the CRC32 of the rest (4 bytes, big-endian), then msgpack:

    header  ["distrodb store", version, milliseconds, first slot, last slot, number of keys,
             origins opened, number of origins]
    items   [[place, tag, item, item, ...], ...]

The tag says of what kind the values of a row are (values.py), plus 64 if its keys expire:

    tag        an item is  key, value
    tag + 64   an item is  key, expiry in milliseconds since the epoch, value

A row with the tag 128 is no key's, but a gateway's (origins.py), in the order of their use:

    origin, 128, number that ran last, number, reply, number, reply, ...

A row with the tag 129 has scripts and libraries of functions (scripts.py), before all keys; how
many there are in all rows tells whether one is missing:

    number of all, 129, kind, name, text, kind, name, text, ...

A container may come in several items of its key, in order, so that a large one is no large chunk.
The number of keys tells a snapshot that ends too early from a whole one.

Versions 1 and 2 are read and not written.  Version 2 knows no origins; the rows of version 1, of
0.3.0, are those of strings that stay, and its slots the places of database 0.

Caveat: a chunk is larger than 256 KiB by as much as one key and string, or field of a container.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgpack

from distrodb.errors import VersionError
from distrodb.keyspace.containers.kinds import CONTAINERS
from distrodb.keyspace.values import STRING, Value
from distrodb.resp.encode import size_of
from distrodb.resp.plain import to_plain
from distrodb.resp.reply import Reply

CHUNK_BYTES = 256 * 1024  # few enough to send between heartbeats, many enough to cost little each
ITEM_BYTES = 16  # what an item costs beside its key and value, roughly
NAME, VERSION, VERSIONS_BEFORE = "distrodb store", 3, (1, 2)
EXPIRES = 64  # added to a tag
ORIGIN, SCRIPTS = 128, 129  # in place of a tag
_BYTES = {bytes}

Kept: TypeAlias = Iterable[tuple[int, int, Mapping[int, Reply]]]  # what Origins.rows gives
ScriptRow: TypeAlias = tuple[int, bytes, bytes]  # what Scripts.rows gives
Keys: TypeAlias = tuple[Mapping[bytes, Value], Mapping[bytes, int]]  # values, and expiries


class Header(NamedTuple):
    now_ms: int
    first_slot: int
    last_slot: int
    key_count: int
    origins_opened: int = 0
    origin_count: int = 0


class Row(NamedTuple):
    """Keys of one place and their values of one kind: strings, or parts of containers."""

    place: int
    tag: int
    keys: list[bytes]
    expiries: list[int] | None  # of each key; None: they stay
    values: list[Any]


class OriginRow(NamedTuple):
    """A gateway's numbers, or a part of its replies."""

    number: int
    last: int
    replies: list[tuple[Any, Any]]  # number, and the reply in plain form


class ScriptRows(NamedTuple):
    """Some of the scripts, and how many there are in all."""

    whole_count: int
    rows: list[tuple[Any, Any, Any]]


def encode(
    header: Header,
    places: Mapping[int, Keys],
    origins: Kept = (),
    scripts: Sequence[ScriptRow] = (),
) -> Iterator[bytes]:
    """``places`` and ``origins`` must not change until the last chunk is taken."""
    yield _pack([NAME, VERSION, *header])
    yield from _origins(origins)
    yield from _scripts(scripts)
    rows: list[list[Any]] = []  # of the chunk that is being filled
    size = 0
    for place in sorted(places):
        values, expiries = places[place]
        row: list[Any] = [place, STRING]  # of strings that stay, by far the most; the others' below
        for key, value in values.items():
            if type(value) is bytes and not (expiries and key in expiries):
                row += (key, value)
                size += len(key) + len(value) + ITEM_BYTES
                if size >= CHUNK_BYTES:
                    yield _pack([*rows, row])
                    rows, row, size = [], [place, STRING], 0
                continue
            for item, item_size in _items(place, key, value, expiries.get(key)):
                rows.append(item)
                size += item_size
                if size >= CHUNK_BYTES:
                    yield _pack([*rows, row] if len(row) > 2 else rows)
                    rows, row, size = [], [place, STRING], 0
        if len(row) > 2:
            rows.append(row)
    if rows:
        yield _pack(rows)


def _origins(origins: Kept) -> Iterator[bytes]:
    rows: list[list[Any]] = []
    size = 0
    for number, last, replies in origins:
        rows.append([number, ORIGIN, last])
        size += ITEM_BYTES
        for sequence, reply in replies.items():
            rows[-1] += sequence, to_plain(reply)
            size += size_of(reply) + ITEM_BYTES
            if size >= CHUNK_BYTES:
                yield _pack(rows)
                rows, size = [[number, ORIGIN, last]], 0
    if rows:
        yield _pack(rows)


def _scripts(scripts: Sequence[ScriptRow]) -> Iterator[bytes]:
    row: list[Any] = [len(scripts), SCRIPTS]
    size = 0
    for script in scripts:
        row += script
        size += len(script[2]) + ITEM_BYTES
        if size >= CHUNK_BYTES:
            yield _pack([row])
            row, size = [len(scripts), SCRIPTS], 0
    if len(row) > 2:
        yield _pack([row])


def _items(
    place: int, key: bytes, value: Value, at_ms: int | None
) -> Iterator[tuple[list[Any], int]]:
    """A container, or a key that expires: rows of one item each, and their sizes."""
    parts: Iterable[tuple[Any, int]]
    if isinstance(value, bytes):
        tag, parts = STRING, [(value, len(value))]
    else:
        tag, parts = value.tag, value.parts(CHUNK_BYTES)
    for part, size in parts:
        row = [place, tag, key, part] if at_ms is None else [place, tag + EXPIRES, key, at_ms, part]
        yield row, size + len(key) + ITEM_BYTES


def decode_header(chunk: bytes) -> Header:
    """Raises ``ValueError`` for a damaged header, ``VersionError`` for one of a later version."""
    match _unpack(chunk):
        case ["distrodb store", int(version), int(now_ms), int(first), int(last), int(key_count)]:
            if version in VERSIONS_BEFORE:
                return Header(now_ms, first, last, key_count)
        case ["distrodb store", 3, *numbers] if list(map(type, numbers)) == [int] * 6:
            return Header(*numbers)
        case ["distrodb store", int(version), *_] if version > VERSION:
            raise VersionError(
                f"a store's snapshot of version {version}, which this version of distrodb does not"
                " know; use a newer one"
            )
    raise ValueError("not a store's snapshot, or one of another version")


def decode_items(chunk: bytes) -> Iterator[Row | OriginRow | ScriptRows]:
    """Raises ``ValueError`` for a damaged chunk.  The values of a row are those of its kind, but
    whether a part of a container makes sense is for the container to say."""
    rows = _unpack(chunk)
    for row in rows if isinstance(rows, list) else [None]:
        yield _row(row)


def _row(plain: Any) -> Row | OriginRow | ScriptRows:
    match plain:
        case [int(place), 0, *items] if items and len(items) % 2 == 0:
            if set(map(type, items)) == _BYTES:
                return Row(place, STRING, items[::2], None, items[1::2])
        case [int(place), int(tag), *items] if 0 < tag < 2 * EXPIRES and items:
            expires, tag = divmod(tag, EXPIRES)
            width = 2 + expires
            kind = bytes if tag == STRING else list if tag in CONTAINERS else None
            keys, times, values = items[::width], items[1::width], items[width - 1 :: width]
            is_whole = len(items) % width == 0
            if is_whole and set(map(type, keys)) == _BYTES and set(map(type, values)) == {kind}:
                if not expires:
                    return Row(place, tag, keys, None, values)
                if set(map(type, times)) == {int}:
                    return Row(place, tag, keys, times, values)
        case [int(number), 128, int(last), *replies] if len(replies) % 2 == 0:
            return OriginRow(number, last, list(zip(replies[::2], replies[1::2], strict=True)))
        case [int(count), 129, *items] if items and len(items) % 3 == 0:
            return ScriptRows(count, list(zip(items[::3], items[1::3], items[2::3], strict=True)))
    raise ValueError("a snapshot's chunk with an item of an unknown type")


def _pack(rows: list[Any]) -> bytes:
    data: bytes = msgpack.packb(rows)
    return zlib.crc32(data).to_bytes(4, "big") + data


def _unpack(chunk: bytes) -> Any:
    data = memoryview(chunk)[4:]
    if zlib.crc32(data).to_bytes(4, "big") != chunk[:4]:
        raise ValueError("a snapshot's chunk that does not match its checksum")
    try:
        return msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException) as problem:
        what = type(problem).__name__
        raise ValueError(f"a snapshot's chunk that cannot be decoded: {what}") from None
