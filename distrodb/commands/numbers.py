"""Numbers as Redis reads and writes them: 64-bit integers, and x87's long doubles.

INCRBYFLOAT adds in ``long double``, whose 64 bits of mantissa Python has not.  So the sums are
made with fractions and rounded to 64 bits: the same digits on every machine, and as Redis'.
"""

import re
from fractions import Fraction

from distrodb.resp.reply import error

NOT_AN_INTEGER = error("ERR", "value is not an integer or out of range")
NOT_POSITIVE = error("ERR", "value is out of range, must be positive")
NO_KEY_COUNT = error("ERR", "numkeys should be greater than 0")
NO_COUNT = error("ERR", "count should be greater than 0")
BAD_TIMEOUT = error("ERR", "timeout is not an integer or out of range")
NEGATIVE_TIMEOUT = error("ERR", "timeout is negative")
NOT_A_FLOAT = error("ERR", "value is not a valid float")
BAD_COUNT = error("ERR", "COUNT must be > 0")
INT_MIN, INT_MAX = -(2**63), 2**63 - 1
BEYOND = error("ERR", f"value is out of range, value must between {-INT_MAX} and {INT_MAX}")

_FLOAT_CHARACTERS_MAX = 5 * 1024  # of a number in a string; as in Redis
_DIGITS_AT_ONCE = 4000  # Python converts no more than 4300 of them at once
_EXPONENT_MAX = 5000  # beyond, a power of ten is no long double
_LARGEST, _SMALLEST = Fraction(2) ** 16384, Fraction(1, 2**16445)  # of long doubles, the next ones
_DECIMAL = re.compile(rb"([+-]?)(\d+\.?\d*|\.\d+)(?:[eE]([+-]?\d+))?")
_HEXADECIMAL = re.compile(
    rb"([+-]?)0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP]([+-]?\d+))?"
)
_INFINITE = re.compile(rb"[+-]?inf(inity)?", re.IGNORECASE)


def parse_integer(text: bytes) -> int | None:
    """A 64-bit integer in Redis' strict form (no sign +, spaces, leading zeros), or None."""
    if not 0 < len(text) <= 20:
        return None
    try:
        number = int(text)
    except ValueError:
        return None
    return number if b"%d" % number == text and INT_MIN <= number <= INT_MAX else None


def is_infinite(text: bytes) -> bool:
    """C takes these for numbers too."""
    return _INFINITE.fullmatch(text) is not None


def parse_long_double(text: bytes) -> Fraction | None:
    """A finite number as C's ``strtold`` reads it, rounded to a long double; None if it is none."""
    if len(text) > _FLOAT_CHARACTERS_MAX:
        return None
    base, power = 10, 10
    match = _DECIMAL.fullmatch(text)
    if match is None:
        base, power = 16, 2
        match = _HEXADECIMAL.fullmatch(text)
        if match is None:
            return None
    sign, digits, exponent_text = match[1], match[2], match[3] or b"0"
    whole, _, rest = digits.partition(b".")
    mantissa = _integer(whole + rest, base)
    exponent = _integer(exponent_text, 10)
    if mantissa and abs(exponent) > 4 * _EXPONENT_MAX:
        return None
    number = Fraction(mantissa, base ** len(rest))
    if mantissa:
        number *= Fraction(power) ** exponent
    if number and not _SMALLEST <= number < _LARGEST:
        return None
    return rounded(-number if sign == b"-" else number)


def rounded(number: Fraction) -> Fraction:
    """To 64 bits of mantissa, half to even."""
    if not number:
        return number
    size = abs(number)
    shift = size.numerator.bit_length() - size.denominator.bit_length() - 64
    scaled = size / Fraction(2) ** shift
    while scaled >= 2**64:
        scaled, shift = scaled / 2, shift + 1
    while scaled < 2**63:
        scaled, shift = scaled * 2, shift - 1
    result = Fraction(round(scaled)) * Fraction(2) ** shift
    return -result if number < 0 else result


def is_finite(number: Fraction) -> bool:
    return abs(number) < _LARGEST


def show_long_double(number: Fraction) -> bytes:
    """17 digits behind the point at most, none that say nothing."""
    scaled = round(abs(number) * 10**17)
    whole, rest = divmod(scaled, 10**17)
    sign = b"-" if number < 0 and scaled else b""
    return (sign + _digits(whole) + b".%017d" % rest).rstrip(b"0").rstrip(b".")


def _integer(text: bytes, base: int) -> int:
    if base != 10 or len(text) <= _DIGITS_AT_ONCE:
        return int(text, base)
    lower = text[_DIGITS_AT_ONCE:]
    power: int = 10 ** len(lower)
    return int(text[:_DIGITS_AT_ONCE]) * power + int(lower)


def _digits(number: int) -> bytes:
    upper, lower = divmod(number, 10**_DIGITS_AT_ONCE)
    return b"%d%0*d" % (upper, _DIGITS_AT_ONCE, lower) if upper else b"%d" % lower
