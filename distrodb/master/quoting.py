"""How bytes are written in a line of the shell, and read back (pure).

Invariant: what `escape` writes between double quotes, `unquote` reads back as the same bytes, so
that any value the shell prints can be pasted into its next command. Both cost as much as a few
copies: a value may have 16 MB.

Departures from a POSIX shell, all for keys and values that look like text:
  - a quote has a meaning only where an argument begins: `GET don't` needs no quoting;
  - outside quotes a backslash is a backslash;
  - between double quotes: \\n \\r \\t \\" \\\\ \\xNN (one byte) \\uNNNN; any other backslash stays;
  - between single quotes only \\' is special;
  - nothing else is: | > ; & * $ are ordinary characters, # too but at the beginning of a line.
"""

import re

from distrodb.errors import DistrodbError

SHOWN_MAX = 40  # characters of what was typed
BLANKS = " \t\r\n"
_END = rf"(?=[{BLANKS}]|\Z)"  # a quote that nothing of the kind follows is a part of the text
_TOKEN = re.compile(
    rf'("(?:[^"\\]++|\\.|"(?!{_END}))*+"{_END}'
    rf"|'(?:[^'\\]++|\\'|\\|'(?!{_END}))*+'{_END}"
    rf"|[^\"'{BLANKS}][^{BLANKS}]*+)[{BLANKS}]*",
    re.DOTALL,
)
_ESCAPE = re.compile(rb'\\(?:([nrt"\\])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))')
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_MEANT = {short[1:].encode(): char.encode() for char, short in _SHORT.items()}
# What a terminal acts on, what a quoted argument cannot hold as it is, bytes that are no UTF-8.
# Direction marks reorder the rest of a line, so a value could imitate the shell.
_UNSAFE = {
    *range(0x20), *b'"\\', *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F,
    *range(0x2028, 0x202F), *range(0x2066, 0x206A), *range(0xDC80, 0xDD00),
}  # fmt: skip


class _Escapes(dict[int, str]):
    """For `str.translate`: each code is looked into once."""

    def __missing__(self, code: int) -> str:
        self[code] = _escaped(code) if code in _UNSAFE else chr(code)
        return self[code]


def _escaped(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: one byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return _SHORT.get(chr(code), f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}")


_ESCAPES, _ESCAPES_OF_TYPED = _Escapes(), _Escapes({code: chr(code) for code in b'"\\'})


def encode(text: str) -> bytes:
    """Text from the terminal as bytes; bytes that were no UTF-8 there come through unchanged."""
    return text.encode("utf-8", "surrogateescape")


def escape(value: bytes) -> str:
    """`value` as one line of text: UTF-8 as it is, everything a terminal would act on escaped."""
    return value.decode("utf-8", "surrogateescape").translate(_ESCAPES)


def shown(text: str) -> str:
    """What somebody typed, as it was typed; only what a terminal would act on is escaped."""
    return text.translate(_ESCAPES_OF_TYPED)


def is_plain(value: bytes) -> bool:
    """Whether it can be typed as it is, with quotes around it if it holds spaces."""
    return value[:1] != b"'" and escape(value).encode() == value


def tokens(line: str) -> list[str]:
    """The arguments in a line, in their quotes. Raises DistrodbError: a quote is not closed."""
    found = []
    at = 0
    line = line.strip(BLANKS)
    while at < len(line):
        match = _TOKEN.match(line, at)
        if match is None:
            rest = line[at:] if len(line) - at <= SHOWN_MAX else f"{line[at : at + SHOWN_MAX]}…"
            raise DistrodbError(
                f"a quote is not closed (a blank or the line's end must follow it): {rest}"
            )
        found.append(match[1])
        at = match.end()
    return found


def unquote(token: str) -> bytes:
    """What an argument means."""
    if token[:1] == '"':
        return _ESCAPE.sub(_meant, encode(token[1:-1]))
    return encode(token[1:-1].replace("\\'", "'") if token[:1] == "'" else token)


def _meant(match: re.Match[bytes]) -> bytes:
    short, byte, code_point = match.groups()
    if short:
        return _MEANT[short]
    if byte:
        return bytes([int(byte, 16)])
    return chr(int(code_point, 16)).encode("utf-8", "surrogatepass")
