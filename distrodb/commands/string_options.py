"""The options that SET, GETEX and MSETEX share: conditions, and when the key expires.

As in Redis, words that are no options, or that exclude each other, are a syntax error whatever
their values; a value that is no number, or no moment, is found when the command runs
(``expiry_ms``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import xxhash

from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.numbers import INT_MAX, NOT_AN_INTEGER, parse_integer
from distrodb.resp.reply import ErrorReply, error

# Milliseconds of their unit, and whether they count from now on.
EXPIRIES = {
    b"EX": (1000, True),
    b"PX": (1, True),
    b"EXAT": (1000, False),
    b"PXAT": (1, False),
}
_CONDITIONS = (b"NX", b"XX", b"IFEQ", b"IFNE", b"IFDEQ", b"IFDNE")
_WITH_VALUE = frozenset(EXPIRIES) | frozenset(_CONDITIONS[2:])
DIGEST_CHARACTERS = 16
BAD_DIGEST = error("ERR", f"digest must be exactly {DIGEST_CHARACTERS} hexadecimal characters")


@dataclass(slots=True)
class Options:
    condition: bytes = b""
    wanted: bytes = b""  # the value or digest of a condition that has one
    expiry: bytes = b""  # EX PX EXAT PXAT
    number: bytes = b""  # its value
    gets: bool = False  # GET
    keeps_expiry: bool = False  # KEEPTTL
    persists: bool = False  # PERSIST

    @property
    def is_about_value(self) -> bool:
        return self.condition in _CONDITIONS[2:]

    def holds(self, value: bytes | None) -> "bool | ErrorReply":
        """Whether the condition allows it, if this is the value; None is no key."""
        condition = self.condition
        if condition in (b"", b"NX", b"XX"):
            return condition == b"" or (value is None) == (condition == b"NX")
        if condition in (b"IFDEQ", b"IFDNE"):
            wanted = self.wanted.lower()
            if len(wanted) != DIGEST_CHARACTERS or wanted.strip(b"0123456789abcdef"):
                return BAD_DIGEST
            is_equal = value is not None and digest(value) == wanted
        else:
            is_equal = value == self.wanted
        return is_equal == (condition in (b"IFEQ", b"IFDEQ"))

    def expiry_ms(self, name: str, now_ms: int) -> int | ErrorReply | None:
        """The moment, in milliseconds since the epoch; None if there is none."""
        if not self.expiry:
            return None
        unit_ms, is_relative = EXPIRIES[self.expiry]
        return moment_ms(name, self.number, unit_ms, now_ms if is_relative else 0)


def moment_ms(name: str, text: bytes, unit_ms: int, base_ms: int) -> int | ErrorReply:
    """``base_ms`` plus so many units, which must be more than none."""
    number = parse_integer(text)
    if number is None:
        return NOT_AN_INTEGER
    if number <= 0 or number * unit_ms + base_ms > INT_MAX:
        return invalid_moment(name)
    return number * unit_ms + base_ms


def invalid_moment(name: str) -> ErrorReply:
    return error("ERR", f"invalid expire time in '{name}' command")


def parse_options(words: Sequence[bytes], known: frozenset[bytes]) -> Options | ErrorReply:
    """``known``: the options of this command."""
    found = Options()
    position = 0
    while position < len(words):
        option = words[position].upper()
        position += 1
        if option not in known:
            return SYNTAX
        value = b""
        if option in _WITH_VALUE:
            if position == len(words):
                return SYNTAX
            value = words[position]
            position += 1
        if not _take(found, option, value):
            return SYNTAX
    return found


def _take(found: Options, option: bytes, value: bytes) -> bool:
    """False if it excludes one that was there before; of one that comes again the last holds."""
    if option in _CONDITIONS:
        is_again = found.condition == option and option in (b"NX", b"XX")
        if found.condition and not is_again:
            return False
        found.condition, found.wanted = option, value
    elif option == b"GET":
        found.gets = True
    elif option in EXPIRIES:
        if found.expiry not in (b"", option) or found.keeps_expiry or found.persists:
            return False
        found.expiry, found.number = option, value
    elif option == b"KEEPTTL":
        found.keeps_expiry = True
        return not (found.expiry or found.persists)
    else:
        found.persists = True
        return not (found.expiry or found.keeps_expiry)
    return True


def digest(value: bytes) -> bytes:
    """What DIGEST answers: XXH3, 64 bits (https://redis.io/docs/latest/commands/digest/)."""
    return xxhash.xxh3_64_hexdigest(value).encode()
