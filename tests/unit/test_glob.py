"""Patterns of clients: each class is short, since a pattern is compiled on the loop."""

import re
import time
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from distrodb.commands.table import DATA_COMMANDS
from distrodb.keyspace.glob import PATTERN_BYTES_MAX, glob
from distrodb.resp.reply import ErrorReply
from distrodb.slave.machine_factory import new_store


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        (b"[^a]", b"bz\x00\xff\n", b"a"),
        (b"[a-cx]", b"abcx", b"dw"),
        (b"[^a-c]", b"dx", b"abc"),
        (b"[c-a]", b"abc", b"d"),
        (b"[\\]]", b"]", b"\\"),
        (b"[^]", b"az\n", b""),
    ],
)
def test_classes(pattern: bytes, matching: bytes, others: bytes) -> None:
    matches = glob(pattern).match
    assert all(matches(bytes([byte])) for byte in matching)
    assert not any(matches(bytes([byte])) for byte in others)


@given(st.binary(max_size=12))
def test_any_pattern_compiles(pattern: bytes) -> None:
    assert isinstance(glob(pattern), re.Pattern)


def _fits(pattern: bytes, name: bytes) -> bool:
    """Without classes and backslashes."""
    if pattern[:1] == b"*":
        return any(_fits(pattern[1:], name[skipped:]) for skipped in range(len(name) + 1))
    if not pattern or not name:
        return pattern == name
    return pattern[:1] in (b"?", name[:1]) and _fits(pattern[1:], name[1:])


@given(st.text("ab*?", max_size=7), st.text("ab\n", max_size=6))
@example("ab*b", "ab")  # the last piece may not share bytes with what stands before the star
def test_stars_match_as_a_plain_search_says(pattern: str, name: str) -> None:
    found = glob(pattern.encode()).match(name.encode())
    is_nothing = not name and len(pattern) > 1  # to Redis it fits no pattern but * and none
    assert bool(found) == (_fits(pattern.encode(), name.encode()) and not is_nothing)


def test_the_end_of_a_long_key_is_compared_once() -> None:
    """Not at each of its bytes: each of these keys kept all others waiting for a second."""
    matches = glob(b"*" + b"a" * (PATTERN_BYTES_MAX - 2) + b"b").match
    began = time.process_time()
    assert not any(matches(b"a" * 65536) for _ in range(4))
    assert time.process_time() - began < 0.5


@given(st.text("ab*?", max_size=9), st.text("ab\n", max_size=8))
@example("a*ab*b", "aabb")
@example("*a?b*", "aab")
@example("*[b]a*[^]*", "bab")
def test_a_search_in_one_pass_finds_the_same(pattern: str, name: str) -> None:
    short = bool(glob(pattern.encode()).match(name.encode()))
    with mock.patch.multiple("distrodb.keyspace.glob", PIECE_BYTES_MAX=0, KEY_BYTES_MAX=-1):
        assert bool(glob(pattern.encode()).match(name.encode())) == short


@pytest.mark.parametrize("piece", [b"a", b"?", b"a?", b"[ab]"])
def test_a_long_piece_between_stars_is_searched_for_in_one_pass(piece: bytes) -> None:
    """A tenth of this; each key took half a second."""
    piece *= 4000 // len(piece)
    matches = glob(b"*" + piece + b"b*").match
    began = time.process_time()
    assert not any(matches(b"a" * 65536) for _ in range(6))
    assert time.process_time() - began < 1.0
    assert matches(b"a" * 60000 + b"b" + b"a" * 5000)


def test_a_class_does_not_grow_a_pattern_much() -> None:
    pattern = b"[^a][\x00-\xff]" * 400
    compiled = glob(pattern)
    assert isinstance(compiled, re.Pattern) and len(compiled.pattern) < 6 * len(pattern)


def test_a_longer_pattern_is_refused() -> None:
    store = new_store(0, 16383)
    assert b"SCAN" in DATA_COMMANDS
    for size, is_refused in ((PATTERN_BYTES_MAX, False), (PATTERN_BYTES_MAX + 1, True)):
        reply = store.execute(-1, [b"SCAN", b"0", b"MATCH", b"a" * size], 0)
        assert isinstance(reply, ErrorReply) == is_refused
