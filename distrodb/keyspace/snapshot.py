"""A store as chunks of bytes: a header, then items, about 256 KiB a chunk.

Each chunk is the CRC32 of the rest (4 bytes, big-endian), then msgpack:

    header  ["distrodb store", version, milliseconds, first slot, last slot, number of keys]
    items   [[place, tag, item, item, ...], ...]

The tag says of what kind the values of a row are (values.py), plus 64 if its keys expire:

    tag        an item is  key, value
    tag + 64   an item is  key, expiry in milliseconds since the epoch, value

A container may come in several items of its key, in order, so that a large one is no large chunk.
The number of keys tells a snapshot that ends too early from a whole one.

Version 1, of 0.3.0, is read and not written: its rows are those of strings that stay, and its
slots the places of database 0.

Caveat: a chunk is larger than 256 KiB by as much as one key and string, or field of a container.
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import msgpack

from distrodb.keyspace.values import CONTAINERS, STRING, Value

CHUNK_BYTES = 256 * 1024  # few enough to send between heartbeats, many enough to cost little each
ITEM_BYTES = 16  # what an item costs beside its key and value, roughly
NAME, VERSION, VERSIONS = "distrodb store", 2, (1, 2)
EXPIRES = 64  # added to a tag

Keys: TypeAlias = tuple[Mapping[bytes, Value], Mapping[bytes, int]]  # values, and expiries


class Header(NamedTuple):
    now_ms: int
    first_slot: int
    last_slot: int
    key_count: int


class Row(NamedTuple):
    """Keys of one place and their values of one kind: strings, or parts of containers."""

    place: int
    tag: int
    keys: list[bytes]
    expiries: list[int] | None  # of each key; None: they stay
    values: list[Any]


def encode(header: Header, places: Mapping[int, Keys]) -> Iterator[bytes]:
    """``places`` must not change until the last chunk is taken."""
    yield _pack([NAME, VERSION, *header])
    rows: dict[tuple[int, int], list[Any]] = {}
    size = 0
    for place in sorted(places):
        values, expiries = places[place]
        parts: Iterator[tuple[Any, int]]
        for key, value in values.items():
            if isinstance(value, bytes):
                tag, parts = STRING, iter([(value, len(value))])
            else:
                tag, parts = value.tag, value.parts(CHUNK_BYTES)
            at_ms = expiries.get(key)
            if at_ms is not None:
                tag += EXPIRES
            for part, part_size in parts:
                row = rows.get((place, tag))
                if row is None:
                    row = rows[place, tag] = [place, tag]
                row += (key, part) if at_ms is None else (key, at_ms, part)
                size += len(key) + part_size + ITEM_BYTES
                if size >= CHUNK_BYTES:
                    yield _pack(list(rows.values()))
                    rows, size = {}, 0
    if rows:
        yield _pack(list(rows.values()))


def decode_header(chunk: bytes) -> Header:
    """Raises ``ValueError`` for a damaged or unknown header."""
    match _unpack(chunk):
        case ["distrodb store", int(version), int(now_ms), int(first), int(last), int(key_count)]:
            if version in VERSIONS:
                return Header(now_ms, first, last, key_count)
    raise ValueError("not a store's snapshot, or one of another version")


def decode_items(chunk: bytes) -> Iterator[Row]:
    """Raises ``ValueError`` for a damaged chunk.  The values of a row are those of its kind, but
    whether a part of a container makes sense is for the container to say."""
    rows = _unpack(chunk)
    for row in rows if isinstance(rows, list) else [None]:
        yield _row(row)


def _row(plain: Any) -> Row:
    match plain:
        case [int(place), int(tag), *items] if 0 <= tag < 2 * EXPIRES:
            expires, tag = divmod(tag, EXPIRES)
            width = 2 + expires
            kind = bytes if tag == STRING else list if tag in CONTAINERS else None
            keys, times, values = items[::width], items[1::width], items[width - 1 :: width]
            is_whole = bool(items) and len(items) % width == 0
            if is_whole and set(map(type, keys)) == {bytes} and set(map(type, values)) == {kind}:
                if not expires:
                    return Row(place, tag, keys, None, values)
                if set(map(type, times)) == {int}:
                    return Row(place, tag, keys, times, values)
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
        raise ValueError(f"a snapshot's chunk that cannot be decoded: {problem!r}") from None
