"""Long doubles: x87's 64 bits of mantissa, whatever the machine."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.commands.numbers import parse_long_double, rounded, show_long_double


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"3.0e3", b"3000"),
        (b".5", b"0.5"),
        (b"-5.", b"-5"),
        (b"+1", b"1"),
        (b"0x1f", b"31"),
        (b"0x.8p1", b"1"),
        (b"1e-18", b"0"),
        (b"-1e-18", b"0"),
        (b"99999999999999999.5", b"99999999999999999.5"),
        (b"123456789012345678901", b"123456789012345678904"),
        (b"1e4931", b"1" + b"0" * 19),
    ],
)
def test_what_is_a_number(text: bytes, shown: bytes) -> None:
    number = parse_long_double(text)
    assert number is not None and show_long_double(number)[: len(shown)] == shown


@pytest.mark.parametrize(
    "text", [b"", b" 1", b"1 ", b"1e", b"e1", b".", b"nan", b"inf", b"1e5000", b"1e-5000", b"0x"]
)
def test_what_is_none(text: bytes) -> None:
    assert parse_long_double(text) is None


def test_more_digits_than_python_shows_at_once() -> None:
    largest = parse_long_double(b"1.18973149535723176502e+4932")
    assert largest is not None
    shown = show_long_double(largest)
    assert len(shown) == 4933 and parse_long_double(shown) == largest


@given(st.fractions())
def test_rounding_is_to_the_nearest_of_64_bits(number: Fraction) -> None:
    near = rounded(number)
    assert rounded(near) == near
    assert abs(near - number) <= abs(number) / 2**64
