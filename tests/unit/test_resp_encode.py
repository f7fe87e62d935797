from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.resp.doubles import show_double
from distrodb.resp.encode import PIECE_BYTES, encode, encode_in_pieces, size_of
from distrodb.resp.reply import (
    NULL_ARRAY,
    OK,
    Encoded,
    NumberText,
    Pairs,
    Reply,
    SetReply,
    Status,
    Verbatim,
    error,
)

TABLE = [
    (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
    (b"a\r\nb", b"$4\r\na\r\nb\r\n", b"$4\r\na\r\nb\r\n"),
    (0, b":0\r\n", b":0\r\n"),
    (-(2**63), b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
    (None, b"$-1\r\n", b"_\r\n"),
    (OK, b"+OK\r\n", b"+OK\r\n"),
    (Status(b"PONG"), b"+PONG\r\n", b"+PONG\r\n"),
    (error("ERR", "no"), b"-ERR no\r\n", b"-ERR no\r\n"),
    (True, b":1\r\n", b"#t\r\n"),
    (False, b":0\r\n", b"#f\r\n"),
    (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
    ([], b"*0\r\n", b"*0\r\n"),
    (
        [b"a", None, [1]],
        b"*3\r\n$1\r\na\r\n$-1\r\n*1\r\n:1\r\n",
        b"*3\r\n$1\r\na\r\n_\r\n*1\r\n:1\r\n",
    ),
    ((1, 2), b"*2\r\n:1\r\n:2\r\n", b"*2\r\n:1\r\n:2\r\n"),
    ({b"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
    (Verbatim(b"hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n"),
    (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
    (SetReply([b"a", [1]]), b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", b"~2\r\n$1\r\na\r\n*1\r\n:1\r\n"),
    (
        Pairs([(b"a", 1.5), (b"b", None)]),
        b"*4\r\n$1\r\na\r\n$3\r\n1.5\r\n$1\r\nb\r\n$-1\r\n",
        b"*2\r\n*2\r\n$1\r\na\r\n,1.5\r\n*2\r\n$1\r\nb\r\n_\r\n",
    ),
    (NumberText(b"0.10"), b"$4\r\n0.10\r\n", b",0.10\r\n"),
    (3.0, b"$1\r\n3\r\n", b",3\r\n"),
    (float("-inf"), b"$4\r\n-inf\r\n", b",-inf\r\n"),
    (Encoded(b":7\r\n"), b":7\r\n", b":7\r\n"),
]


@pytest.mark.parametrize(("reply", "resp2", "resp3"), TABLE)
def test_each_reply_in_both_protocols(reply: Reply, resp2: bytes, resp3: bytes) -> None:
    assert encode(reply, 2) == resp2
    assert encode(reply, 3) == resp3


@pytest.mark.parametrize("value", ["text", object(), {1}])
def test_what_is_no_reply_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="not a reply"):
        encode(value, 2)


scalars = st.none() | st.binary() | st.integers(-(2**63), 2**63 - 1)
replies = st.recursive(
    scalars | st.booleans() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(scalars, inner, max_size=5),
    max_leaves=15,
)


@given(replies)
def test_resp3_comes_back_as_it_went(reply: Reply) -> None:
    reader = hiredis.Reader()
    reader.feed(encode([reply], 3))
    assert reader.gets() == [reply]
    assert not reader.has_data()


def _in_resp2(reply: Any) -> Any:
    if isinstance(reply, list):
        return [_in_resp2(item) for item in reply]
    if isinstance(reply, dict):
        return [_in_resp2(item) for pair in reply.items() for item in pair]
    return show_double(reply) if isinstance(reply, float) else reply


@given(replies)
def test_resp2_flattens_maps_and_has_floats_as_text(reply: Reply) -> None:
    reader = hiredis.Reader()
    reader.feed(encode([reply], 2))
    assert reader.gets() == [_in_resp2(reply)]
    assert not reader.has_data()


any_replies = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.just(NULL_ARRAY)
    | st.floats(allow_nan=False)
    | st.binary(max_size=9)
    | st.integers(PIECE_BYTES - 2, 3 * PIECE_BYTES).map(bytes)
    | st.builds(Status, st.binary(max_size=9))
    | st.builds(Verbatim, st.binary(max_size=9)),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(st.tuples(inner, inner), max_size=3).map(Pairs)
        | st.dictionaries(st.binary(max_size=5), inner)
    ),
    max_leaves=12,
)


@given(any_replies, st.sampled_from([2, 3]))
def test_pieces_are_the_same_bytes_and_none_is_large(reply: Reply, protocol: int) -> None:
    pieces = list(encode_in_pieces(reply, protocol))
    whole = encode(reply, protocol)
    assert b"".join(pieces) == whole
    assert all(0 < len(piece) < 2 * PIECE_BYTES for piece in pieces)
    # At least one piece in two is a whole one: a reply is not sent in crumbs.
    assert len(pieces) <= 1 + 4 * len(whole) // PIECE_BYTES


@given(any_replies)
def test_the_size_is_known_before_it_is_encoded(reply: Reply) -> None:
    """Limits are kept by it, so it must not be far below the truth."""
    assert len(encode(reply, 2)) <= 3 * size_of(reply) + 32
