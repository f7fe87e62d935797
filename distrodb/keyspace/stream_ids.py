"""Numbers of a stream's entries: ``milliseconds-sequence``, two of 64 bits each.  Pure.

Here one is a whole number of 128 bits, so that they compare as numbers do.
"""

import re

SEQUENCE_MAX = (1 << 64) - 1
ID_MAX = (1 << 128) - 1
_TEXT_BYTES_MAX = 127
_NUMBER = re.compile(rb"[ \t\n\v\f\r]*([+-]?)(\d+)")


def make_id(ms: int, sequence: int) -> int:
    return ms << 64 | sequence


def split_id(number: int) -> tuple[int, int]:
    return number >> 64, number & SEQUENCE_MAX


def show_id(number: int) -> bytes:
    return b"%d-%d" % (number >> 64, number & SEQUENCE_MAX)


def parse_id(text: bytes, sequence: int = 0) -> int | None:
    """``sequence``: where the text says none.  None if it is no number."""
    if len(text) > _TEXT_BYTES_MAX:
        return None
    ms, dash, rest = text.partition(b"\0")[0].partition(b"-")
    first = _unsigned(ms)
    second = _unsigned(rest) if dash else sequence
    return None if first is None or second is None else make_id(first, second)


def _unsigned(text: bytes) -> int | None:
    """As C's ``strtoull`` reads it, which lets a number be negative behind a space."""
    match = _NUMBER.fullmatch(text)
    if match is None or text.startswith(b"-"):
        return None
    sign, digits = match.groups()
    number = int(digits)
    if number > SEQUENCE_MAX:
        return None
    return -number & SEQUENCE_MAX if sign == b"-" else number
