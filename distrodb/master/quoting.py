"""How bytes are written in a line of the shell, and read back (pure).

Invariant: what `escape` writes between double quotes, `scan` reads back as the same bytes, so that
any value the shell prints can be pasted into its next command.

Departures from a POSIX shell, all for keys and values that look like text:
  - a quote has a meaning only where an argument begins: `GET don't` needs no quoting;
  - outside quotes a backslash is a backslash;
  - between double quotes: \\n \\r \\t \\" \\\\ \\xNN (one byte) \\uNNNN; any other backslash stays;
  - between single quotes only \\' is special;
  - nothing else is: | > ; # & * $ are ordinary characters.
"""

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from distrodb.errors import DistrodbError

BLANKS = " \t\r\n"
_SHORT = {"n": b"\n", "r": b"\r", "t": b"\t", '"': b'"', "\\": b"\\"}
_SHORT_BACK = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_HEX_DIGITS = {"x": 2, "u": 4}

# Direction marks reorder the rest of the line in a terminal, so a value could imitate the shell.
_DIRECTION_MARKS = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


class Token(NamedTuple):
    start: int  # where it begins in the line, its opening quote included
    value: bytes
    closed: bool  # False: the line ended inside its quotes


def encode(text: str) -> bytes:
    """Text from the terminal as bytes; bytes that were no UTF-8 there come through unchanged."""
    return text.encode("utf-8", "surrogateescape")


def escape(value: bytes) -> str:
    """`value` as one line of text: UTF-8 as it is, everything a terminal would act on escaped."""
    return "".join(map(_escape_character, value.decode("utf-8", "surrogateescape")))


def _escape_character(character: str) -> str:
    short = _SHORT_BACK.get(character)
    if short is not None:
        return short
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: one byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if character in _DIRECTION_MARKS or unicodedata.category(character) in ("Cc", "Zl", "Zp"):
        return f"\\u{code:04x}"
    return character


def quote(value: bytes) -> str:
    """`value` as an argument that `scan` reads back; in quotes only where it needs them."""
    text = escape(value)
    if not value or value[:1] in b"'\"" or b" " in value or text.encode() != value:
        return f'"{text}"'
    return text


def split(line: str) -> list[bytes]:
    tokens = list(scan(line))
    if tokens and not tokens[-1].closed:
        opened = line[tokens[-1].start :]
        raise DistrodbError(
            f"{opened[0]} is not closed in {escape(encode(opened))}; close it,"
            " followed by a blank or the end of the line"
        )
    return [token.value for token in tokens]


def scan(line: str) -> Iterator[Token]:
    position = 0
    while True:
        while position < len(line) and line[position] in BLANKS:
            position += 1
        if position == len(line):
            return
        start = position
        if line[start] in "\"'":
            value, position = _quoted(line, start)
            yield Token(start, value, position <= len(line))
            if position > len(line):
                return
            continue
        while position < len(line) and line[position] not in BLANKS:
            position += 1
        yield Token(start, encode(line[start:position]), True)


def _quoted(line: str, start: int) -> tuple[bytes, int]:
    """The value, and the position after its closing quote: past the line's end if there is none."""
    mark = line[start]
    value = bytearray()
    position = start + 1
    while position < len(line):
        character = line[position]
        if character == mark and (position + 1 == len(line) or line[position + 1] in BLANKS):
            return bytes(value), position + 1
        taken, piece = _escaped(line, position, mark) if character == "\\" else (1, b"")
        value += piece or encode(line[position : position + taken])
        position += taken
    return bytes(value), len(line) + 1


def _escaped(line: str, position: int, mark: str) -> tuple[int, bytes]:
    """How many characters the escape at `position` takes, and its bytes (none: no escape)."""
    kind = line[position + 1 : position + 2]
    if mark == "'":
        return (2, b"'") if kind == "'" else (1, b"")
    if kind in _SHORT:
        return 2, _SHORT[kind]
    if kind in _HEX_DIGITS:
        digits = line[position + 2 : position + 2 + _HEX_DIGITS[kind]]
        try:
            code = int(digits, 16) if len(digits) == _HEX_DIGITS[kind] and digits.isalnum() else -1
        except ValueError:
            code = -1
        if code >= 0:
            return 2 + len(digits), bytes([code]) if kind == "x" else encode_code_point(code)
    return 1, b""


def encode_code_point(code: int) -> bytes:
    return chr(code).encode("utf-8", "surrogatepass")
