"""Replies on peer links and in snapshots: what comes back means the same to every client."""

import inspect

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.resp import reply as replies
from distrodb.resp.encode import encode
from distrodb.resp.plain import from_plain, to_plain
from distrodb.resp.reply import (
    NULL_ARRAY,
    Encoded,
    ErrorReply,
    Named,
    NumberText,
    Pairs,
    SetReply,
    Status,
    Verbatim,
)

text = st.binary(max_size=20)
scalars = st.one_of(
    text,
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.builds(Status, text),
    st.builds(ErrorReply, text),
    st.builds(Verbatim, text),
    st.builds(Encoded, text),
    st.builds(NumberText, text),
    st.just(NULL_ARRAY),
)
any_reply = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=4).map(SetReply),
        st.lists(st.tuples(inner, inner), max_size=3).map(Pairs),
        st.dictionaries(st.one_of(text, st.builds(Status, text)), inner, max_size=4),
    ),
    max_leaves=10,
)


@given(any_reply, st.sampled_from([2, 3]))
def test_what_comes_back_means_the_same(reply, protocol):
    back = from_plain(msgpack.unpackb(msgpack.packb(to_plain(reply))))
    assert encode(back, protocol) == encode(reply, protocol)
    assert to_plain(back) == to_plain(reply)


def test_every_kind_of_reply_is_known():
    kinds = [each for _, each in inspect.getmembers(replies, inspect.isclass)]
    ours = [kind for kind in kinds if kind.__module__ == replies.__name__]
    assert {Status, ErrorReply, Verbatim, Encoded} <= set(ours)
    of_sessions = {replies.Push, replies.Several}  # no partition answers these
    assert from_plain(to_plain(NULL_ARRAY)) is NULL_ARRAY
    for reply in (SetReply([b"x"]), Pairs([(b"a", 1.5), (b"b", None)]), Named([(b"a", 1)])):
        assert from_plain(to_plain(reply)) == reply
    for kind in set(ours) - of_sessions - {replies.NullArray, SetReply, Pairs, Named}:
        (field,) = inspect.signature(kind).parameters
        assert from_plain(to_plain(kind(**{field: b"x"}))) == kind(**{field: b"x"})


@pytest.mark.parametrize(
    "plain",
    [
        [],
        "text",
        [0],
        [0, 1],
        [0, b"a", b"b"],
        [3, b"key"],
        [4, 1],
        [6, "text"],
        [7, b"x1"],
        [9, b"a"],
        [10, b"a"],
        [12, b"a"],
        [13, b"a"],
        [b"a"],
        [[2]],
        {},
        True,
        msgpack.ExtType(1, b""),
        [2, [9, 9]],
        [8, [13]],
        [3, [2], 1],
        [7, b"9" * 5000],
    ],
)
def test_what_is_no_reply_is_refused(plain):
    with pytest.raises(ValueError):
        from_plain(plain)


def test_depth_is_bounded():
    plain = None
    for _ in range(1000):
        plain = [2, plain]
    with pytest.raises(ValueError):
        from_plain(plain)
