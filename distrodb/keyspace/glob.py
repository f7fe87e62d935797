"""Redis' glob patterns (``stringmatchlen``) as regular expressions.

``*`` any bytes, ``?`` one, ``[a-z]`` and ``[^a]`` a class, a backslash escapes.  A class that is
not closed ends with the pattern; ``!`` does not negate, other than in a shell.

A pattern comes from a client, and so do keys, so matching must take no longer than a key is long:
what follows a ``*`` is an atomic group, since the first place where it fits is as good as any later
one, and what follows the last ``*`` is compared once, at the key's end.  So a key takes the product
of its length and of the longest piece between two stars at most.  Where that piece is long (4 KiB
of it took half a second for a key of 64 KiB) it is searched for in one pass (``_LongPieces``).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from distrodb.resp.reply import error

PATTERN_BYTES_MAX = 4096  # longer ones are refused: this takes some 30 ms to compile, once
LONG_PATTERN = error("ERR", f"a pattern is longer than {PATTERN_BYTES_MAX} bytes")
PIECE_BYTES_MAX = 32  # from a longer one on between two stars long keys have a search of their own
KEY_BYTES_MAX = 1024  # and these are long

_STAR, _QUESTION, _OPEN, _CLOSE, _ESCAPE, _NOT, _DASH = b"*?[]\\^-"
_ANY = frozenset(range(256))

Piece = list[frozenset[int]]  # what is between two stars: the bytes that may be in each place


class _LongPieces:
    """A pattern with a long piece between two stars."""

    def __init__(self, short: re.Pattern[bytes], first: bytes, middle: Sequence[Piece], end: bytes):
        """``short``: all of it, for keys that are not long."""
        self._short = short
        self._begin = re.compile(first, re.DOTALL)
        self._finds = list(map(_search, middle))
        self._end = re.compile(end, re.DOTALL)

    def match(self, key: bytes) -> bool:
        if len(key) <= KEY_BYTES_MAX:
            return self._short.match(key) is not None
        begin = self._begin.match(key)
        if begin is None:
            return False
        position = begin.end()
        for find in self._finds:
            position = find(key, position)
            if position < 0:
                return False
        return self._end.match(key, position) is not None


def glob(pattern: bytes) -> re.Pattern[bytes] | _LongPieces:
    """Its ``match`` is true for a key that fits as a whole."""
    if len(pattern) > 1 and not pattern.strip(b"*"):
        return re.compile(rb".+\Z", re.DOTALL)  # as Redis has it: nothing at all fits * alone
    pieces = _pieces(pattern)
    first, *middle = pieces
    if not middle:
        return re.compile(_text(first) + rb"\Z", re.DOTALL)
    last = middle.pop()
    groups = b"".join(b"(?>.*?" + _text(piece) + b")" for piece in middle)
    # No search for the last piece: so many bytes are left behind the groups, and it ends them.
    end = b"(?=.{%d}).*+(?<=%b)" % (len(last), _text(last)) if last else b""
    whole = re.compile(_text(first) + groups + end, re.DOTALL)
    if max(map(len, middle), default=0) <= PIECE_BYTES_MAX:
        return whole
    return _LongPieces(whole, _text(first), middle, end)


def _pieces(pattern: bytes) -> list[Piece]:
    pieces: list[Piece] = [[]]
    position = 0
    while position < len(pattern):
        byte = pattern[position]
        position += 1
        if byte == _STAR:
            if pieces[-1] or len(pieces) == 1:
                pieces.append([])
        elif byte == _QUESTION:
            pieces[-1].append(_ANY)
        elif byte == _OPEN:
            members, position = _class(pattern, position)
            pieces[-1].append(members)
        else:
            if byte == _ESCAPE and position < len(pattern):
                byte = pattern[position]
                position += 1
            pieces[-1].append(frozenset((byte,)))
    return pieces


def _class(pattern: bytes, position: int) -> tuple[frozenset[int], int]:
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
    return _ANY - members if negated else frozenset(members), position + 1


# -- as regular expressions --------------------------------------------------------------------


def _text(piece: Piece) -> bytes:
    return b"".join(map(_one_of, piece))


def _one_of(members: frozenset[int]) -> bytes:
    if len(members) == 1:
        return re.escape(bytes(members))
    if len(members) == len(_ANY):
        return b"."
    text = b"".join(b"\\x%02x-\\x%02x" % ends for ends in _ranges(sorted(members)))
    return b"[" + text + b"]" if text else b"(?!)"


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


# -- in one pass -------------------------------------------------------------------------------


def _search(piece: Piece) -> Callable[[bytes, int], int]:
    """``find(key, position)``: where the first place ends in which the piece fits; -1: none."""
    if all(len(members) == 1 for members in piece):
        return partial(_find_plain, b"".join(map(bytes, piece)))
    places: dict[frozenset[int], int] = {}  # of each class, as bits
    for position, members in enumerate(piece):
        places[members] = places.get(members, 0) | 1 << position
    masks = [0] * 256
    for members, bits in places.items():
        for byte in members:
            masks[byte] |= bits
    return partial(_find, masks, 1 << len(piece) - 1)


def _find_plain(plain: bytes, key: bytes, position: int) -> int:
    found = key.find(plain, position)
    return found if found < 0 else found + len(plain)


def _find(masks: list[int], last: int, key: bytes, position: int) -> int:
    """Bit ``n`` of the state: the first n + 1 places of the piece fit just before here (Baeza-Yates
    and Gonnet, "A new approach to text searching", 1992)."""
    state = 0
    for at in range(position, len(key)):
        state = (state << 1 | 1) & masks[key[at]]
        if state & last:
            return at + 1
    return -1
