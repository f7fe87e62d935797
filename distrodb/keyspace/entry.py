"""The payload of a log entry: a batch of write commands with their leader's time.

    format version (1 byte), then msgpack
    3   the same as 2, and [[place in the list of commands, origin, number, answered], …]
    2   [milliseconds, how many expired keys are removed at most, limits, [[place, [name, …]], …]]
    1   [milliseconds, [[slot, [name, argument, …]], …]], of 0.3.0: read, not written

Format 3 is written when gateways have forwarded some of the commands; what their marks mean is said
in origins.py.  Otherwise it is format 2.

The limits are the leader's (bytes of a key, of a value; how many logical databases, 16 where that
is missing): they decide what a command does, so they must be the same wherever the entry is
applied, and slaves' files may differ or change.

A slave that does not know the format, or a command, stops (``VersionError``): replicas of two
versions must not differ.  That cannot be seen of a command that does something else in a newer
version, with an option more for one: such a version must write another format.

The commands happen at that time, all of them, after so many keys whose expiry has come are removed,
soonest first.  An entry without commands lets time pass: a tick.
"""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import msgpack

from distrodb.compiled import compiled
from distrodb.errors import VersionError

Limits = tuple[int, ...]  # bytes of a key, of a value; databases
Payload = bytes | memoryview  # a large one is not copied on its way

_LIMITS = (int, int), (int, int, int)

VERSION_1, VERSION_2, VERSION_3 = b"\x01", b"\x02", b"\x03"
LARGE_BYTES = 1 << 16  # from where on it is worth to encode without copies


class Batch(NamedTuple):
    now_ms: int  # since the epoch
    expire_max: int
    limits: Limits | None  # None in version 1: whatever the one has that applies it
    commands: Sequence[tuple[int, Sequence[bytes]]]  # places (see place_number.py) and arguments
    # Of some commands, in their order: number in the list, and the mark (origins.py).
    marks: Sequence[tuple[int, int, int, int]] = ()


def encode_batch(
    now_ms: int,
    commands: Sequence[tuple[int, Sequence[bytes]]],
    expire_max: int,
    limits: Limits,
    size: int = 0,
    marks: Sequence[tuple[int, int, int, int]] = (),
) -> Payload:
    """``size``: the bytes of all arguments together, about."""
    data: bytes
    batch: tuple[object, ...] = (now_ms, expire_max, limits, commands)
    version = VERSION_2
    if marks:
        batch, version = (*batch, marks), VERSION_3
    if size < LARGE_BYTES:
        data = msgpack.packb(batch)
        return version + data
    # With room for all from the start: a buffer that grows is copied again and again.
    packer = msgpack.Packer(autoreset=False, buf_size=size + size // 8)
    packer.pack(version[0])  # a small number is packed as itself
    packer.pack(batch)
    return memoryview(packer.getbuffer())


def decode_batch(payload: Payload) -> Batch:
    """The inverse.  Raises ``ValueError`` for damaged payloads, and ``VersionError``.

    What it returns has the types it says: the store relies on that.
    """
    version = payload[:1]
    if version not in (VERSION_3, VERSION_2, VERSION_1, b""):
        raise VersionError(f"commands in format {version[0]}")
    try:
        plain = msgpack.unpackb(memoryview(payload)[1:], use_list=False)
        is_old = version == VERSION_1
        marks = ()
        if version == VERSION_3:
            *plain, marks = plain
            _check_marks(marks, len(plain[3]))
        now_ms, expire_max, limits, rows = (plain[0], 0, None, *plain[1:]) if is_old else plain
        if type(now_ms) is not int or now_ms < 0:
            raise ValueError("its time is not a number")
        if type(expire_max) is not int or expire_max < 0:
            raise ValueError("how many keys expire is not a number")
        if not is_old and (type(limits) is not tuple or tuple(map(type, limits)) not in _LIMITS):
            raise ValueError("its limits are not two or three numbers")
        if type(rows) is not tuple:
            raise ValueError("it holds no commands")
        if rows:
            check_rows(rows)
        return Batch(now_ms, expire_max, limits, rows, marks)
    except (ValueError, TypeError, LookupError, RecursionError, msgpack.UnpackException) as problem:
        raise ValueError(f"a log entry that cannot be decoded: {type(problem).__name__}") from None


@compiled
def check_rows(rows: tuple[object, ...]) -> None:
    """Raises ``ValueError`` or ``TypeError``.  All at once, since entries have thousands of words,
    and each replica looks at all of them."""
    if set(map(type, rows)) != {tuple}:
        raise ValueError("it holds what is not a command")
    places, commands = zip(*rows, strict=True)
    words = chain.from_iterable(commands)
    if set(map(type, places)) != {int} or set(map(type, commands)) != {tuple} or not all(commands):
        raise ValueError("it holds what is not a command")
    if set(map(type, words)) != {bytes}:
        raise ValueError("it holds what is not a command")


def _check_marks(marks: object, count: int) -> None:
    """Raises ``ValueError``."""
    before = -1
    for mark in marks if type(marks) is tuple else [()]:
        if type(mark) is not tuple or tuple(map(type, mark)) != (int, int, int, int):
            raise ValueError("it holds what is not a mark")
        if not before < mark[0] < count or min(mark) < 0:
            raise ValueError("it holds a mark of no command")
        before = mark[0]
