"""Doubles as Redis prints them since 7.2: the shortest digits, placed as its fpconv_dtoa does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.resp.doubles import show_double

TABLE = {
    0.0: "0",
    3.0: "3",
    -17.0: "-17",
    0.1: "0.1",
    1.5: "1.5",
    -2.5: "-2.5",
    0.30000000000000004: "0.30000000000000004",
    1700000000.125: "1700000000.125",
    166274.1516: "166274.1516",
    3.14159265358979: "3.14159265358979",
    1e17: "100000000000000000",
    2.0**62: "4611686018427387904",
    1e19: "1e+19",
    -1.5e300: "-1.5e+300",
    12345.678901234567: "1.2345678901234567e+4",
    0.000001: "0.000001",
    1e-7: "1e-7",
    1.234e-5: "1.234e-5",
    5e-324: "5e-324",
    float("inf"): "inf",
    float("-inf"): "-inf",
}


@pytest.mark.parametrize(("number", "text"), TABLE.items())
def test_a_double_is_printed_as_redis_does(number: float, text: str) -> None:
    assert show_double(number) == text.encode()


def test_a_negative_zero_keeps_its_sign() -> None:
    assert show_double(-0.0) == b"-0"
    assert show_double(float("nan")) == b"nan"


@given(st.floats(allow_nan=False))
def test_it_reads_back_as_the_same_number(number: float) -> None:
    text = show_double(number)
    assert float(text) == number and len(text) <= 24
