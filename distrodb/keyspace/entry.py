"""The payload of a log entry: a batch of write commands with the leader's wall clock.

format version (1 byte), then msgpack [milliseconds, [[slot, [name, argument, ...]], ...]]
"""

from collections.abc import Sequence

import msgpack

VERSION = b"\x01"


def encode_batch(now_ms: int, commands: Sequence[tuple[int, Sequence[bytes]]]) -> bytes:
    """``now_ms``: milliseconds since the epoch, the time at which all of the batch happens."""
    data: bytes = msgpack.packb((now_ms, commands))
    return VERSION + data


def decode_batch(payload: bytes) -> tuple[int, list[tuple[int, list[bytes]]]]:
    """The inverse.  Raises ``ValueError`` for damaged or unknown payloads.

    What it returns has the types it says: the store relies on that.
    """
    if payload[:1] != VERSION:
        raise ValueError("a log entry of an unknown format version")
    try:
        now_ms, rows = msgpack.unpackb(memoryview(payload)[1:])
        commands = [(slot, args) for slot, args in rows]
        if type(now_ms) is not int or now_ms < 0:
            raise ValueError("its time is not a number")
        for slot, args in commands:
            if type(slot) is not int or type(args) is not list or set(map(type, args)) != {bytes}:
                raise ValueError("it holds what is not a command")
        return now_ms, commands
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as problem:
        raise ValueError(f"a log entry that cannot be decoded: {problem!r}") from None
