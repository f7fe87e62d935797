from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.errors import VersionError
from distrodb.keyspace.entry import decode_batch, encode_batch

pytestmark = pytest.mark.usefixtures("build")

LIMITS = 65536, 1 << 24  # bytes of a key, of a value

commands = st.lists(
    st.tuples(st.integers(-1, 16383), st.lists(st.binary(), min_size=1, max_size=5)), max_size=10
)


@given(st.integers(0, 2**48), commands, st.integers(0, 1000))
def test_a_batch_comes_back_as_it_went(
    now_ms: int, batch: list[tuple[int, list[bytes]]], expire_max: int
) -> None:
    rows = tuple((place, tuple(args)) for place, args in batch)
    assert decode_batch(encode_batch(now_ms, batch, expire_max, LIMITS)) == (
        now_ms,
        expire_max,
        LIMITS,
        rows,
        (),
    )


@given(commands, st.data())
def test_marks_come_back_with_their_commands(
    batch: list[tuple[int, list[bytes]]], data: st.DataObject
) -> None:
    marked = data.draw(st.sets(st.integers(0, len(batch) - 1))) if batch else set()
    number = st.integers(0, 2**40)
    marks = tuple(
        (place, *data.draw(st.tuples(number, number, number))) for place in sorted(marked)
    )
    payload = encode_batch(1, batch, 0, LIMITS, 0, marks)
    assert payload[:1] == (b"\x03" if marks else b"\x02")
    assert decode_batch(payload).marks == marks
    large = encode_batch(1, batch, 0, LIMITS, 1 << 17, marks)
    assert decode_batch(large).marks == marks


@pytest.mark.parametrize(
    "marks",
    [
        None,
        1,
        [1],
        [[0, 1, 1]],
        [[1, 1, 1, 1]],
        [[0, 1, 1, -1]],
        [[0, 1, 1, 1]] * 2,
        [[0, 1, 1, b""]],
    ],
)
def test_marks_that_are_none_are_refused(marks: Any) -> None:
    payload = b"\x03" + msgpack.packb([1, 0, LIMITS, [[0, [b"GET", b"a"]]], marks])
    with pytest.raises(ValueError, match="a log entry"):
        decode_batch(payload)


@given(st.binary())
def test_damage_is_a_value_error(data: bytes) -> None:
    for payload in (data, b"\x01" + data, b"\x02" + data, b"\x03" + data):
        try:
            decode_batch(payload)
        except ValueError as problem:
            assert str(problem).startswith("a log entry")
        except VersionError:
            assert payload[:1] not in (b"", b"\x01", b"\x02", b"\x03")


@given(commands.filter(bool), st.data())
def test_a_truncated_batch_is_refused(
    batch: list[tuple[int, list[bytes]]], data: st.DataObject
) -> None:
    payload = encode_batch(1, batch, 0, LIMITS)
    with pytest.raises(ValueError, match="a log entry"):
        decode_batch(payload[: data.draw(st.integers(0, len(payload) - 1))])


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        ["now", []],
        [-1, []],
        [1, [[0, []]]],
        [1, [[0, ["text"]]]],
        [1, [[0, [b"GET", 1]]]],
        [1, [["0", [b"GET"]]]],
        [1, [[0, b"GET"]]],
        [1, [[0]]],
    ],
)
def test_what_is_not_a_batch_is_refused(plain: Any) -> None:
    with pytest.raises(ValueError, match="a log entry"):
        decode_batch(b"\x01" + msgpack.packb(plain))
    if isinstance(plain, list):
        plain[1:1] = [0, LIMITS]
    with pytest.raises(ValueError, match="a log entry"):
        decode_batch(b"\x02" + msgpack.packb(plain))


@pytest.mark.parametrize("expire_max", [-1, None, b"1", 1.5])
def test_how_many_keys_expire_is_a_number(expire_max: Any) -> None:
    with pytest.raises(ValueError, match="a log entry"):
        decode_batch(b"\x02" + msgpack.packb([1, expire_max, LIMITS, []]))


def test_another_version_is_refused() -> None:
    with pytest.raises(VersionError, match="commands in format 4"):
        decode_batch(b"\x04" + encode_batch(1, [], 0, LIMITS)[1:])


@pytest.mark.parametrize("limits", [None, [], [1], [1, b"2"], [1, 2, 3, 4], [1, True]])
def test_limits_are_two_or_three_numbers(limits: Any) -> None:
    with pytest.raises(ValueError, match="a log entry"):
        decode_batch(b"\x02" + msgpack.packb([1, 0, limits, []]))
