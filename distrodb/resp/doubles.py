"""A double as text, in the shortest form that reads back as the same number, as Redis prints it.

That is how Redis prints scores and distances since 7.2; before, all 17 digits (0.1 was
0.10000000000000001).  Whole numbers up to 2^62 are written out; of what has a point, 17 places at
most stand before an exponent is written instead (``1.2345678901234567e+4``).
"""

import math

_WHOLE_MAX = 2.0**62  # up to there Redis prints a double as it prints an integer
_ZEROS_MAX = 7  # that are written behind the digits of a whole number beyond


def show_double(number: float) -> bytes:
    if -_WHOLE_MAX <= number <= _WHOLE_MAX and number == int(number):
        whole = int(number)
        return b"%d" % whole if whole or math.copysign(1, number) > 0 else b"-0"
    if not math.isfinite(number):
        return b"nan" if math.isnan(number) else b"inf" if number > 0 else b"-inf"
    sign = b"-" if number < 0 else b""
    digits, exponent = _digits(abs(number))
    return sign + _placed(digits, exponent)


def _digits(number: float) -> tuple[bytes, int]:
    """The shortest ones, the last not 0, and the power of ten that they are times of."""
    text, _, power = repr(number).partition("e")
    whole, _, rest = text.partition(".")
    digits = (whole + rest).lstrip("0")
    exponent = int(power or 0) - len(rest)
    kept = digits.rstrip("0")
    return kept.encode(), exponent + len(digits) - len(kept)


def _placed(digits: bytes, exponent: int) -> bytes:
    count = len(digits)
    leading = exponent + count - 1  # the power of ten of the first digit
    if exponent >= 0 and leading < count + _ZEROS_MAX:
        return digits + b"0" * exponent
    if exponent < 0 and (exponent > -7 or abs(leading) < 4):
        before = count + exponent  # digits before the point
        if before <= 0:
            return b"0." + b"0" * -before + digits
        return digits[:before] + b"." + digits[before:]
    point = b"." + digits[1:] if count > 1 else b""
    return digits[:1] + point + b"e%+d" % leading
