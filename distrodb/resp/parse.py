"""Bytes from a client to commands.

There are two parsers:

- the fast one, ``find_commands``: takes the commands that a chunk begins with, as far as they are
  what clients of a cluster send: arrays of bulk strings, whole, numbers in their shortest form;
- the exact one, ``_Framer``: takes what the fast one did not, which is another kind of command, a
  fault, or the incomplete command at a chunk's end.  It keeps its place, so that a client that
  sends byte by byte costs no more than its bytes; and it allocates only for what has arrived.

The fast one is compiled (compiled.py); where it is not, hiredis parses, and it guards it.  hiredis
allocates a list of N at ``*N`` before an element arrives, also inside another array, so a packet of
16 bytes could cost gigabytes.  And it takes more than a server may: nested arrays, nulls, every
RESP3 type.  So a chunk in which something looks like the header of a large aggregate does not go to
hiredis; and one pass over its result, without looking at the payloads, proves that it was nothing
but arrays of bulk strings, and tells where the last complete command ends.

Invariants:
- every fast parse begins at a boundary between two commands, and keeps nothing;
- the same bytes give the same commands and the same error however they are cut into chunks,
  whichever parser takes them.

As in Redis, the two bytes behind a bulk string are skipped, not checked; an array with no element
or a negative length is ignored; and inline commands (``PING`` typed into telnet) are taken, with
Redis' quoting rules.  Unlike Redis, a line that begins as another RESP type is a protocol error,
since it is a client that has lost its place; and so is one that begins with a control byte, as the
opening of TLS or STUN does: a web page can put words of its own, with line ends, into those.
"""

import re
from dataclasses import dataclass

import hiredis

from distrodb.compiled import compiled

# From 10000 elements on; below, all that hiredis can be made to allocate by headers (it nests nine
# deep) is under a megabyte.  The rarer types are looked for only if their byte occurs at all.
_large_array = re.compile(rb"\*[0-9]{5}").search
_large_other = re.compile(rb"[~>%|][0-9]{5}").search
_NOT_INLINE = b"$+-:_,#(!=%~>|" + bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r")
_ESCAPES = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("b"): 8, ord("a"): 7}
_HEADER_BYTES_MAX = 32  # no number that is not refused is longer
ARGUMENT_BYTES = 48  # that an argument costs in memory beside its own bytes, about


@dataclass(frozen=True, slots=True)
class ParserLimits:
    inline_bytes_max: int = 65536  # Redis' own: nobody types more
    bulk_bytes_max: int = 16777216  # a value must fit a log entry
    bulk_limit: str = "value_bytes_max"  # the name of the option that sets it
    arguments_max: int = 65536  # the list of arguments is held whole
    command_bytes_max: int = 25165824  # the same for their bytes


class ProtocolError(Exception):
    """The stream cannot be followed any further; ``commands`` came complete before that."""

    def __init__(self, text: str, commands: list[list[bytes]]):
        super().__init__(f"Protocol error: {text}")
        self.commands = commands


class CommandParser:
    def __init__(self, limits: ParserLimits):
        self._limits = limits
        self._fast_bytes_max = min(limits.bulk_bytes_max, limits.command_bytes_max)
        self._framer = _Framer(limits)
        self.held = 0  # bytes of the incomplete command that have arrived; 0 at a boundary
        self.begun = 0  # incomplete commands so far: tells one from the next

    @property
    def memory(self) -> int:
        """Bytes that the incomplete command takes, about."""
        return self._framer.held + ARGUMENT_BYTES * self._framer.arguments

    def clear(self) -> None:
        """Forget the incomplete command; feed no more."""
        self._framer, self.held = _Framer(self._limits), 0

    def feed(self, data: bytes) -> list[list[bytes]]:
        """The commands that are complete now.  Raises ``ProtocolError``; then feed no more."""
        commands: list[list[bytes]] = []
        if self.held:
            data = self._framer.feed(data, commands, one=True)
            self.held = self._framer.held
        if data and len(data) <= self._fast_bytes_max:
            end = find_commands(data, commands, self._limits.arguments_max)
            if end == len(data):
                return commands
            data = data[end:]
        if data:
            self._framer.feed(data, commands, one=False)
            self.held = self._framer.held
            self.begun += 1
        return commands


@compiled
def find_commands(data: bytes, commands: list[list[bytes]], arguments_max: int) -> int:
    """Add the commands that the data begins with; how many bytes they were.

    hiredis takes a number in its shortest form only, so the length of a header follows from
    the number; that each element begins with ``$`` where the one before must end shows, one
    after the other, that it was a bulk string.  What is not so is left to the exact parser.
    """
    if _is_suspicious(data):
        return 0
    reader = hiredis.Reader()
    gets = reader.gets
    reader.feed(data)
    end = 0
    try:
        # False is "no more", but also an element of RESP3; the caller sees that from the end.
        while (command := gets()) is not False:
            if not command or len(command) > arguments_max or data[end] != 42:
                break
            count = len(command)
            position = end + (4 if count < 10 else 3 + len(str(count)))
            for argument in command:
                if data[position] != 36:  # "$"
                    return end
                length = len(argument)
                position += length + (6 if length < 10 else 5 + len(str(length)))
            commands.append(command)
            end = position
    except (hiredis.ProtocolError, TypeError, IndexError):
        pass
    return end


def _is_suspicious(data: bytes) -> bool:
    # Bytes are looked for as numbers: a fifth of the time.
    return (
        data[0] != 42  # "*"
        or _large_array(data) is not None
        or (
            (37 in data or 124 in data or 126 in data or 62 in data)  # "%", "|", "~", ">"
            and _large_other(data) is not None
        )
    )


class _Framer:
    """The exact parser of one connection; between two calls it holds one incomplete command."""

    def __init__(self, limits: ParserLimits):
        self._limits = limits
        self._data = bytearray()
        self._position = 0  # in the data; all before it is done with
        self._needed = 0  # bytes of data without which it is no use to look again
        self._command: list[bytes] = []
        self._missing = 0  # arguments
        self._size = 0  # bytes of the command before the position

    @property
    def held(self) -> int:
        """Bytes of the incomplete command that have arrived; 0 at a boundary."""
        return self._size + len(self._data)

    @property
    def arguments(self) -> int:
        """Of the incomplete command, that are complete."""
        return len(self._command)

    def feed(self, data: bytes, commands: list[list[bytes]], one: bool) -> bytes:
        """Add the complete commands, with ``one`` no more than one; what is left of ``data``."""
        self._data += data
        if len(self._data) < self._needed:
            return b""
        self._needed = 0
        is_whole = True
        while is_whole and self._position < len(self._data):
            is_whole = self._next(commands)
            if is_whole:
                if self._command:
                    commands.append(self._command)
                self._command, self._size = [], 0
                if one:
                    break
        rest = b""
        if is_whole:
            rest = bytes(memoryview(self._data)[self._position :])
            self._data = bytearray()
        else:
            del self._data[: self._position]
            self._needed = max(0, self._needed - self._position)
        self._position = 0
        return rest

    def _next(self, commands: list[list[bytes]]) -> bool:
        """Go on with the command; whether it is whole."""
        data, limits = self._data, self._limits
        if not self._missing:
            first = data[self._position]
            if first != 42:  # "*"
                if first in _NOT_INLINE:
                    raise ProtocolError(f"expected '*', got {chr(first)!r}", commands)
                return self._inline(commands)
            count = self._number("invalid multibulk length", commands)
            if count is None:
                return False
            if count > limits.arguments_max:
                problem = f"{count} arguments exceed arguments_max ({limits.arguments_max})"
                raise ProtocolError(f"invalid multibulk length: {problem}", commands)
            self._missing = max(0, count)
        while self._missing:
            if self._position == len(data):
                return False
            start = self._position
            if data[start] != 36:  # "$"
                raise ProtocolError(f"expected '$', got {chr(data[start])!r}", commands)
            length = self._number("invalid bulk length", commands)
            if length is None:
                return False
            if length < 0:
                raise ProtocolError("invalid bulk length", commands)
            if length > limits.bulk_bytes_max:
                problem = f"{length} bytes exceed {limits.bulk_limit} ({limits.bulk_bytes_max})"
                raise ProtocolError(f"invalid bulk length: {problem}", commands)
            begin = self._position
            end = begin + length + 2
            if self._size + length + 2 > limits.command_bytes_max:
                limit = limits.command_bytes_max
                raise ProtocolError(f"command exceeds command_bytes_max ({limit})", commands)
            if len(data) < end:
                self._size -= begin - start
                self._position = start  # the header is read again with its string
                self._needed = end
                return False
            self._command.append(bytes(memoryview(data)[begin : end - 2]))
            self._missing -= 1
            self._size += length + 2
            self._position = end
        return True

    def _number(self, problem: str, commands: list[list[bytes]]) -> int | None:
        """The number in the header at the position, which moves behind it; None if it is cut."""
        start = self._position
        end = self._data.find(b"\r\n", start, start + _HEADER_BYTES_MAX)
        if end < 0:
            if len(self._data) - start >= _HEADER_BYTES_MAX:
                raise ProtocolError(problem, commands)
            return None
        text = bytes(self._data[start + 1 : end])
        if not text.removeprefix(b"-").isdigit() or b"%d" % int(text) != text:
            raise ProtocolError(problem, commands)
        self._position = end + 2
        self._size += end + 2 - start
        return int(text)

    def _inline(self, commands: list[list[bytes]]) -> bool:
        limit, start = self._limits.inline_bytes_max, self._position
        end = self._data.find(b"\n", start, start + limit + 1)
        if end < 0:
            if len(self._data) - start > limit:
                problem = f"more than inline_bytes_max ({limit})"
                raise ProtocolError(f"too big inline request: {problem}", commands)
            return False
        command = split_inline(bytes(self._data[start:end]).removesuffix(b"\r"))
        if command is None:
            raise ProtocolError("unbalanced quotes in request", commands)
        self._command = command
        self._position = end + 1
        return True


def split_inline(line: bytes) -> list[bytes] | None:
    """An inline command's arguments, by the rules of Redis' sdssplitargs; None for bad quotes."""
    args: list[bytes] = []
    position, end = 0, len(line)
    while True:
        while position < end and line[position : position + 1].isspace():
            position += 1
        if position >= end:
            return args
        arg = bytearray()
        quote = 0
        while True:
            if position >= end:
                if quote:
                    return None
                break
            byte = line[position]
            if quote:
                if byte == quote:
                    following = line[position + 1 : position + 2]
                    if following and not following.isspace():
                        return None
                    position += 1
                    break
                if byte == 92 and quote == 34:  # a backslash between double quotes
                    digits = line[position + 2 : position + 4]
                    if line[position + 1 : position + 2] == b"x" and _is_hexadecimal(digits):
                        arg.append(int(digits, 16))
                        position += 4
                        continue
                    if position + 1 < end:
                        position += 1
                        arg.append(_ESCAPES.get(line[position], line[position]))
                        position += 1
                        continue
                elif byte == 92 and line[position + 1 : position + 2] == b"'":
                    position += 1
                    byte = 39
                arg.append(byte)
            elif byte in (34, 39):
                quote = byte
            elif line[position : position + 1].isspace():
                break
            else:
                arg.append(byte)
            position += 1
        args.append(bytes(arg))


def _is_hexadecimal(digits: bytes) -> bool:
    return len(digits) == 2 and all(digit in b"0123456789abcdefABCDEF" for digit in digits)
