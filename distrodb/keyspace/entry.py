"""The payload of a log entry: a batch of write commands with their leader's time.

    format version (1 byte), then msgpack
    2   [milliseconds, how many expired keys are removed at most, [[place, [name, …]], …]]
    1   [milliseconds, [[slot, [name, argument, …]], …]], of 0.3.0: read, not written

The commands happen at that time, all of them, after so many keys whose expiry has come are removed,
soonest first.  An entry without commands lets time pass: a tick.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgpack

VERSION, VERSION_1 = b"\x02", b"\x01"
LARGE_BYTES = 1 << 16  # from where on it is worth to encode without copies


class Batch(NamedTuple):
    now_ms: int  # since the epoch
    expire_max: int
    commands: Sequence[tuple[int, Sequence[bytes]]]  # places (see place_number.py) and arguments


def encode_batch(
    now_ms: int,
    commands: Sequence[tuple[int, Sequence[bytes]]],
    expire_max: int = 0,
    size: int = 0,
) -> bytes:
    """``size``: the bytes of all arguments together, about."""
    data: bytes
    if size < LARGE_BYTES:
        data = msgpack.packb((now_ms, expire_max, commands))
        return VERSION + data
    # With room for all from the start: a buffer that grows is copied again and again.
    packer = msgpack.Packer(autoreset=False, buf_size=size + size // 8)
    packer.pack(VERSION[0])  # a small number is packed as itself
    packer.pack((now_ms, expire_max, commands))
    data = packer.bytes()
    return data


def decode_batch(payload: bytes) -> Batch:
    """The inverse.  Raises ``ValueError`` for damaged or unknown payloads.

    What it returns has the types it says: the store relies on that.
    """
    version = payload[:1]
    if version not in (VERSION, VERSION_1):
        raise ValueError("a log entry of an unknown format version")
    try:
        plain = msgpack.unpackb(memoryview(payload)[1:], use_list=False)
        now_ms, expire_max, rows = plain if version == VERSION else (plain[0], 0, *plain[1:])
        if type(now_ms) is not int or now_ms < 0:
            raise ValueError("its time is not a number")
        if type(expire_max) is not int or expire_max < 0:
            raise ValueError("how many keys expire is not a number")
        if type(rows) is not tuple:
            raise ValueError("it holds no commands")
        for place, args in rows:
            if type(place) is not int or type(args) is not tuple or not args:
                raise ValueError("it holds what is not a command")
            for arg in args:
                if type(arg) is not bytes:
                    raise ValueError("it holds what is not a command")
        return Batch(now_ms, expire_max, rows)
    except (ValueError, TypeError, LookupError, RecursionError, msgpack.UnpackException) as problem:
        raise ValueError(f"a log entry that cannot be decoded: {problem!r}") from None
