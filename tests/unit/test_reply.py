from hypothesis import given
from hypothesis import strategies as st

from distrodb.resp.reply import error


def test_an_error_has_its_first_word_as_code() -> None:
    assert error("MOVED", "3999 127.0.0.1:6381").code == "MOVED"


@given(st.text())
def test_an_error_is_one_line_whatever_it_quotes(message: str) -> None:
    text = error("ERR", message).text
    assert text.startswith(b"ERR ")
    assert b"\r" not in text
    assert b"\n" not in text
