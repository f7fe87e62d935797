"""Bits of strings (https://redis.io/docs/latest/commands/?group=bitmap); fields are in bitfield.py.

Bit 0 is the highest of the first byte.

Caveat: strings do not change in place, so a SETBIT that changes something copies the value once:
some milliseconds for one of 16 MiB, where Redis takes none.
"""

from collections.abc import Callable, Sequence
from functools import reduce

from distrodb.commands.command import data_row
from distrodb.commands.costs import (
    COMBINED_NS,
    COPIED_NS,
    COUNTED_NS,
    Sizes,
    rewritten_us,
    walked,
)
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.key_specs import READS, KeySpec, one
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.commands.strings import over_limits, over_value_limit, spliced
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import GENERIC, STRING, Keys
from distrodb.resp.reply import ErrorReply, Reply, error

OFFSET_MAX = (1 << 32) - 1  # as in Redis, whatever the longest value is
# Of all sources of one BITOP, each as long as the longest one: about half a second.
SOURCES_BYTES_MAX = 1 << 28
PIECE_BYTES = 1 << 16  # of a value that is counted or combined as a number
BAD_OFFSET = error("ERR", "bit offset is not an integer or out of range")


def parse_offset(text: bytes) -> int | None:
    offset = parse_integer(text)
    return offset if offset is not None and 0 <= offset <= OFFSET_MAX else None


def refused(context: Context, key: bytes, bits: int) -> ErrorReply | None:
    """Why a value of so many bits is not written."""
    return over_value_limit(context, (bits + 7) // 8) or over_limits(context, key, b"")


def setbit(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, offset = args[1], parse_offset(args[2])
    if offset is None:
        return BAD_OFFSET
    if args[3] not in (b"0", b"1"):
        return error("ERR", "bit is not an integer or out of range")
    value = keys.string(key) or b""
    if problem := refused(context, key, offset + 1):
        return problem
    at, mask = offset >> 3, 0x80 >> (offset & 7)
    byte = value[at] if at < len(value) else 0
    wanted = byte & ~mask | (mask if args[3] == b"1" else 0)
    if wanted != byte or at >= len(value):
        keys.update(key, spliced(value, at, bytes((wanted,))))
        keys.event(STRING, b"setbit", key)
    return int(byte & mask > 0)


def getbit(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    offset = parse_offset(args[2])
    if offset is None:
        return BAD_OFFSET
    value = keys.string(args[1]) or b""
    return value[offset >> 3] >> (7 - (offset & 7)) & 1 if offset >> 3 < len(value) else 0


# -- counting and finding ----------------------------------------------------------------------


def _clamped(start: int, end: int, unit: bytes, length: int) -> tuple[int, int]:
    """First and last bit, both included; the last one is before the first if there is none.
    ``length``: the value's, in bytes."""
    is_in_bits = unit.upper() == b"BIT"
    total = 8 * length if is_in_bits else length
    start = max(0, start + total) if start < 0 else start
    end = min(max(0, end + total) if end < 0 else end, total - 1)
    if start > end:
        return 0, -1
    return (start, end) if is_in_bits else (8 * start, 8 * end + 7)


def _is_unit(word: bytes) -> bool:
    return word.upper() in (b"BYTE", b"BIT")


def _part(value: bytes, start: int, end: int, around: int) -> bytearray:
    """The bytes with the bits from start to end; those before and behind are all ``around``."""
    part = bytearray(value[start >> 3 : (end >> 3) + 1])
    before, behind = 0xFF & ~(0xFF >> (start & 7)), 0x7F >> (end & 7)
    part[0] = part[0] | before if around else part[0] & ~before
    part[-1] = part[-1] | behind if around else part[-1] & ~behind
    return part


def _count(value: bytes | bytearray) -> int:
    return sum(
        int.from_bytes(value[begin : begin + PIECE_BYTES], "big").bit_count()
        for begin in range(0, len(value), PIECE_BYTES)
    )


def bitcount(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """BITCOUNT key [start end [BYTE | BIT]]."""
    value = keys.string(args[1])
    if value is None:
        return 0
    if len(args) == 3 or len(args) > 5:
        return SYNTAX
    if len(args) == 2:
        return _count(value)
    start, end = parse_integer(args[2]), parse_integer(args[3])
    if start is None or end is None:
        return NOT_AN_INTEGER
    if start < 0 and end < 0 and start > end:
        return 0
    unit = args[4] if len(args) == 5 else b"BYTE"
    if not _is_unit(unit):
        return SYNTAX
    start, end = _clamped(start, end, unit, len(value))
    if start > end:
        return 0
    return _count(_part(value, start, end, 0))


def bitpos(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """BITPOS key bit [start [end [BYTE | BIT]]].  A string is followed by zeros, unless an end is
    given."""
    bit = parse_integer(args[2])
    if bit is None:
        return NOT_AN_INTEGER
    if bit not in (0, 1):
        return error("ERR", "The bit argument must be 1 or 0.")
    value = keys.string(args[1])
    if value is None:
        return -1 if bit else 0
    if len(args) > 6:
        return SYNTAX
    start = parse_integer(args[3]) if len(args) > 3 else 0
    unit = args[5] if len(args) > 5 else b"BYTE"
    if start is None:
        return NOT_AN_INTEGER
    if not _is_unit(unit):
        return SYNTAX
    has_end = len(args) > 4
    last = parse_integer(args[4]) if has_end else -1
    if last is None:
        return NOT_AN_INTEGER
    start, end = _clamped(start, last, unit, len(value))
    if start > end:
        return -1
    part = _part(value, start, end, 1 - bit)
    rest = part.lstrip(b"\0" if bit else b"\xff")
    if rest:
        first = rest[0] if bit else rest[0] ^ 0xFF
        return (start & ~7) + 8 * (len(part) - len(rest)) + 8 - first.bit_length()
    return -1 if bit or has_end else end + 1


# -- BITOP -------------------------------------------------------------------------------------


def _any_of(sources: Sequence[int]) -> int:
    return reduce(lambda one_, other: one_ | other, sources, 0)


def _exactly_one(sources: Sequence[int]) -> int:
    seen = twice = 0
    for source in sources:
        twice |= seen & source
        seen |= source
    return seen & ~twice


# Of the sources as numbers, as wide as the longest one; the result may be wider.
_OPERATIONS: dict[bytes, Callable[[Sequence[int]], int]] = {
    b"AND": lambda sources: reduce(lambda one_, other: one_ & other, sources),
    b"OR": _any_of,
    b"XOR": lambda sources: reduce(lambda one_, other: one_ ^ other, sources),
    b"DIFF": lambda sources: sources[0] & ~_any_of(sources[1:]),
    b"DIFF1": lambda sources: _any_of(sources[1:]) & ~sources[0],
    b"ANDOR": lambda sources: sources[0] & _any_of(sources[1:]),
    b"ONE": _exactly_one,
    b"NOT": lambda sources: ~sources[0],
}
_AT_LEAST_TWO = (b"DIFF", b"DIFF1", b"ANDOR")


def _combined(combine: Callable[[Sequence[int]], int], values: Sequence[bytes], size: int) -> bytes:
    """Piece by piece: large numbers are new memory each time, which takes several times as long."""
    pieces: list[bytes] = []
    for begin in range(0, size, PIECE_BYTES):
        length = min(PIECE_BYTES, size - begin)
        parts = (value[begin : begin + length].ljust(length, b"\0") for value in values)
        number = combine([int.from_bytes(part, "big") for part in parts])
        pieces.append((number & (1 << 8 * length) - 1).to_bytes(length, "big"))
    return b"".join(pieces)


def bitop(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """BITOP operation destination source [source …]."""
    operation, destination = args[1].upper(), args[2]
    if operation not in _OPERATIONS:
        return SYNTAX
    if operation == b"NOT" and len(args) != 4:
        return error("ERR", "BITOP NOT must be called with a single source key.")
    if operation in _AT_LEAST_TWO and len(args) < 5:
        name = operation.decode()
        return error("ERR", f"BITOP {name} must be called with at least two source keys.")
    values = [keys.string(key) or b"" for key in args[3:]]
    size = max(map(len, values))
    if problem := over_limits(context, destination, b""):
        return problem
    if not size:
        if keys.delete(destination):
            keys.event(GENERIC, b"del", destination)
        return 0
    if size * len(values) > SOURCES_BYTES_MAX:
        return error("ERR", f"the sources exceed {SOURCES_BYTES_MAX} bytes together")
    keys.put(destination, _combined(_OPERATIONS[operation], values, size))
    return size


def _written_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return rewritten_us(sizes, args[1], (parse_offset(args[2]) or 0) // 8 + 1)


def _combined_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    size = max(map(sizes.size, args[3:]))
    together = size * len(args[3:])
    if together > SOURCES_BYTES_MAX:
        return 0.0  # it will be refused
    sizes.grow(args[2], size)
    return together * COMBINED_NS / 1000


_TARGET_AND_SOURCES = (KeySpec("OW update", 2), KeySpec("RO access", 3, last=-1))

COMMANDS = (
    data_row(
        "setbit",
        setbit,
        4,
        "write denyoom",
        one("RW access update"),
        "bitmap",
        "Sets a bit, returns what it was.",
        "2.2.0",
        cost=_written_us,
    ),
    data_row("getbit", getbit, 3, "readonly fast", READS, "bitmap", "Returns a bit.", "2.2.0"),
    data_row(
        "bitcount",
        bitcount,
        -2,
        "readonly",
        READS,
        "bitmap",
        "Counts ones.",
        "2.6.0",
        cost=walked(COUNTED_NS),
    ),
    data_row(
        "bitpos",
        bitpos,
        -3,
        "readonly",
        READS,
        "bitmap",
        "The first such bit.",
        "2.8.7",
        cost=walked(COPIED_NS),
    ),
    data_row(
        "bitop",
        bitop,
        -4,
        "write denyoom",
        _TARGET_AND_SOURCES,
        "bitmap",
        "Combines strings bit by bit.",
        "2.6.0",
        cost=_combined_us,
    ),
)
