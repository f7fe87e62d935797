"""A store as chunks of bytes: a header, then items, about 256 KiB a chunk.

Each chunk is the CRC32 of the rest (4 bytes, big-endian), then msgpack:

    header  ["distrodb store", version, milliseconds, first slot, last slot, number of keys]
    items   [[slot, type tag, key, value, key, value, ...], ...]

The number of keys tells a snapshot that ends too early from a whole one.

Caveat: a chunk is larger than 256 KiB by as much as one key and value; a value is never split.
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgpack

CHUNK_BYTES = 256 * 1024  # few enough to send between heartbeats, many enough to cost little each
ITEM_BYTES = 16  # what an item costs beside its key and value, roughly
NAME, VERSION = "distrodb store", 1
STRING = 0


class Header(NamedTuple):
    now_ms: int
    first_slot: int
    last_slot: int
    key_count: int


def encode(header: Header, slots: Mapping[int, Mapping[bytes, bytes]]) -> Iterator[bytes]:
    """``slots`` must not change until the last chunk is taken."""
    yield _pack([NAME, VERSION, *header])
    rows: list[list[Any]] = []
    size = 0
    for slot in sorted(slots):
        row: list[Any] = [slot, STRING]
        for key, value in slots[slot].items():
            row += (key, value)
            size += len(key) + len(value) + ITEM_BYTES
            if size >= CHUNK_BYTES:
                yield _pack([*rows, row])
                rows, row, size = [], [slot, STRING], 0
        if len(row) > 2:
            rows.append(row)
    if rows:
        yield _pack(rows)


def decode_header(chunk: bytes) -> Header:
    """Raises ``ValueError`` for a damaged or unknown header."""
    match _unpack(chunk):
        case ["distrodb store", 1, int(now_ms), int(first), int(last), int(key_count)]:
            return Header(now_ms, first, last, key_count)
    raise ValueError("not a store's snapshot, or one of another version")


def decode_items(chunk: bytes) -> Iterator[tuple[int, dict[bytes, bytes]]]:
    """Raises ``ValueError`` for a damaged chunk."""
    rows = _unpack(chunk)
    for row in rows if isinstance(rows, list) else [None]:
        match row:
            case [int(slot), 0, *flat] if len(flat) % 2 == 0 and set(map(type, flat)) == {bytes}:
                yield slot, dict(zip(flat[::2], flat[1::2], strict=True))
            case _:
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
