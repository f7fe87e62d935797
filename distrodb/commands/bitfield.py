"""Integers of 1 to 64 bits in a string: BITFIELD, BITFIELD_RO
(https://redis.io/docs/latest/commands/bitfield/)."""

from collections.abc import Sequence
from typing import NamedTuple

from distrodb.commands.bits import BAD_OFFSET, OFFSET_MAX, refused
from distrodb.commands.command import data_row
from distrodb.commands.costs import FIELD_US, Sizes, rewritten_us
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.key_specs import READS, one
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import STRING, Keys
from distrodb.resp.reply import ErrorReply, Reply, error

BAD_TYPE = error(
    "ERR",
    "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
)


class Field(NamedTuple):
    """An integer of so many bits from bit ``offset`` on."""

    is_signed: bool
    bits: int
    offset: int

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1)) if self.is_signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.bits - self.is_signed)) - 1

    def wrapped(self, number: int) -> int:
        return (number - self.low) % (1 << self.bits) + self.low

    def read(self, value: bytes | bytearray) -> int:
        """What lies beyond the value is zero."""
        first, end = self.offset >> 3, (self.offset + self.bits + 7) >> 3
        number = int.from_bytes(bytes(value[first:end]).ljust(end - first, b"\0"), "big")
        number >>= 8 * end - self.offset - self.bits
        return self.wrapped(number & ((1 << self.bits) - 1))

    def write(self, value: bytearray, number: int) -> None:
        """The value is long enough."""
        first, end = self.offset >> 3, (self.offset + self.bits + 7) >> 3
        shift = 8 * end - self.offset - self.bits
        mask = (1 << self.bits) - 1
        around = int.from_bytes(value[first:end], "big") & ~(mask << shift)
        value[first:end] = (around | (number & mask) << shift).to_bytes(end - first, "big")

    def given(self, number: int) -> int:
        """What SET writes: to an unsigned field a negative number is one that is very large."""
        return number if self.is_signed else number % (1 << 64)

    def fitting(self, number: int, overflow: bytes) -> int | None:
        """What is stored for a number that may not fit; None: nothing (FAIL)."""
        if self.low <= number <= self.high:
            return number
        if overflow == b"WRAP":
            return self.wrapped(number)
        if overflow == b"SAT":
            return max(self.low, min(number, self.high))
        return None


class _Step(NamedTuple):
    verb: bytes  # GET SET INCRBY
    field: Field
    number: int
    overflow: bytes


def _parse_field(kind: bytes, offset: bytes) -> Field | ErrorReply:
    is_signed, width = kind[:1] == b"i", parse_integer(kind[1:])
    if kind[:1] not in (b"i", b"u") or width is None or not 1 <= width <= 63 + is_signed:
        return BAD_TYPE
    counts_fields = offset[:1] == b"#"
    start = parse_integer(offset[counts_fields:])
    if start is None:
        return BAD_OFFSET
    start *= width if counts_fields else 1
    if not 0 <= start <= OFFSET_MAX:
        return BAD_OFFSET
    return Field(is_signed, width, start)


def _parse(words: Sequence[bytes]) -> list[_Step] | ErrorReply:
    steps: list[_Step] = []
    overflow, position = b"WRAP", 0
    while position < len(words):
        verb, rest = words[position].upper(), len(words) - position - 1
        if verb == b"OVERFLOW" and rest >= 1:
            overflow = words[position + 1].upper()
            if overflow not in (b"WRAP", b"SAT", b"FAIL"):
                return error("ERR", "Invalid OVERFLOW type specified")
            position += 2
            continue
        width = {b"GET": 3, b"SET": 4, b"INCRBY": 4}.get(verb)
        if width is None or rest < width - 1:
            return SYNTAX
        field = _parse_field(words[position + 1], words[position + 2])
        if isinstance(field, ErrorReply):
            return field
        number = parse_integer(words[position + 3]) if width == 4 else 0
        if number is None:
            return NOT_AN_INTEGER
        steps.append(_Step(verb, field, number, overflow))
        position += width
    return steps


def bitfield_ro(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    steps = _parse(args[2:])
    if isinstance(steps, ErrorReply):
        return steps
    if any(step.verb != b"GET" for step in steps):
        return error("ERR", "BITFIELD_RO only supports the GET subcommand")
    value = keys.string(args[1]) or b""
    return [step.field.read(value) for step in steps]


def bitfield(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key = args[1]
    steps = _parse(args[2:])
    if isinstance(steps, ErrorReply):
        return steps
    before = keys.string(key) or b""
    ends = [s.field.offset + s.field.bits for s in steps if s.verb != b"GET"]
    if not ends:
        return [step.field.read(before) for step in steps]
    if problem := refused(context, key, max(ends)):
        return problem
    value = bytearray(before.ljust((max(ends) + 7) // 8, b"\0"))
    replies: list[Reply] = []
    is_written = False
    for step in steps:
        old = step.field.read(value)
        if step.verb == b"GET":
            replies.append(old)
            continue
        wanted = step.field.given(step.number) if step.verb == b"SET" else old + step.number
        stored = step.field.fitting(wanted, step.overflow)
        if stored is None:
            replies.append(None)
            continue
        step.field.write(value, stored)
        is_written = True
        replies.append(old if step.verb == b"SET" else stored)
    keys.update(key, bytes(value))
    if is_written:
        keys.event(STRING, b"setbit", key)
    return replies


def _fields_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return len(args) * FIELD_US


def _written_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    steps = _parse(args[2:])
    if isinstance(steps, ErrorReply):
        return _fields_us(sizes, args)
    ends = [s.field.offset + s.field.bits for s in steps if s.verb != b"GET"]
    # It is copied twice: to be written to, and back.
    copied_us = 2 * rewritten_us(sizes, args[1], (max(ends) + 7) // 8) if ends else 0.0
    return copied_us + _fields_us(sizes, args)


_NOTES = "This command allows both access and modification of the key"

COMMANDS = (
    data_row(
        "bitfield",
        bitfield,
        -2,
        "write denyoom",
        one("RW access update variable_flags", notes=_NOTES),
        "bitmap",
        "Reads and writes integers of any width.",
        "3.2.0",
        cost=_written_us,
    ),
    data_row(
        "bitfield_ro",
        bitfield_ro,
        -2,
        "readonly fast",
        READS,
        "bitmap",
        "Reads them.",
        "6.0.0",
        cost=_fields_us,
    ),
)
