"""Patterns of clients: each class is short, since a pattern is compiled on the loop."""

import re

import pytest
from hypothesis import given
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


def test_a_class_does_not_grow_a_pattern_much() -> None:
    pattern = b"[^a][\x00-\xff]" * 400
    assert len(glob(pattern).pattern) < 6 * len(pattern)


def test_a_longer_pattern_is_refused() -> None:
    store = new_store(0, 16383)
    assert b"SCAN" in DATA_COMMANDS
    for size, is_refused in ((PATTERN_BYTES_MAX, False), (PATTERN_BYTES_MAX + 1, True)):
        reply = store.execute(-1, [b"SCAN", b"0", b"MATCH", b"a" * size], 0)
        assert isinstance(reply, ErrorReply) == is_refused
