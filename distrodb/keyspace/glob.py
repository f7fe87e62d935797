"""Redis' glob patterns (``stringmatchlen``) as regular expressions.

``*`` any bytes, ``?`` one, ``[a-z]`` and ``[^a]`` a class, a backslash escapes.  A class that is
not closed ends with the pattern; ``!`` does not negate, other than in a shell.

A pattern comes from a client, so matching must not take exponential time: what follows a ``*`` is
an atomic group, since the first place where it fits is as good as any later one, and what follows
the last ``*`` is compared once, at the key's end.  It takes the product of both lengths at most.
"""

import re
from collections.abc import Iterator

PATTERN_BYTES_MAX = 4096  # longer ones are refused: this takes some 30 ms to compile, once

_STAR, _QUESTION, _OPEN, _CLOSE, _ESCAPE, _NOT, _DASH = b"*?[]\\^-"


def glob(pattern: bytes) -> re.Pattern[bytes]:
    """The regular expression that matches from a key's beginning to its end."""
    pieces = [bytearray()]  # between the stars
    position = width = 0  # width: the bytes that the newest piece matches
    while position < len(pattern):
        byte = pattern[position]
        position += 1
        if byte == _STAR:
            if pieces[-1] or len(pieces) == 1:
                pieces.append(bytearray())
            width = 0
            continue
        width += 1
        if byte == _QUESTION:
            pieces[-1] += b"."
        elif byte == _OPEN:
            text, position = _class(pattern, position)
            pieces[-1] += text
        else:
            if byte == _ESCAPE and position < len(pattern):
                byte = pattern[position]
                position += 1
            pieces[-1] += re.escape(bytes([byte]))
    first, *middle = map(bytes, pieces)
    if not middle:
        return re.compile(first + rb"\Z", re.DOTALL)
    last = middle.pop()
    groups = b"".join(b"(?>.*?" + piece + b")" for piece in middle)
    # No search for the last piece: so many bytes are left behind the groups, and it ends them.
    end = b"(?=.{%d}).*+(?<=%b)" % (width, last) if last else b""
    return re.compile(first + groups + end, re.DOTALL)


def _class(pattern: bytes, position: int) -> tuple[bytes, int]:
    """The class that begins behind the bracket, and where it ends."""
    members: set[int] = set()
    negated = pattern[position : position + 1] == b"^"
    position += negated
    while position < len(pattern) and pattern[position] != _CLOSE:
        if pattern[position] == _ESCAPE and position + 1 < len(pattern):
            members.add(pattern[position + 1])
            position += 2
        elif position + 2 < len(pattern) and pattern[position + 1] == _DASH:
            first, last = sorted((pattern[position], pattern[position + 2]))
            members.update(range(first, last + 1))
            position += 3
        else:
            members.add(pattern[position])
            position += 1
    text = b"".join(b"\\x%02x-\\x%02x" % ends for ends in _ranges(sorted(members)))
    if negated:
        return (b"[^" + text + b"]" if text else b"."), position + 1
    return (b"[" + text + b"]" if text else b"(?!)"), position + 1


def _ranges(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each run of numbers."""
    first = last = -2
    for number in numbers:
        if number != last + 1:
            if first >= 0:
                yield first, last
            first = number
        last = number
    if first >= 0:
        yield first, last
