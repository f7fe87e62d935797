import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrodb.keyspace.glob import glob
from distrodb.keyspace.store import Store
from distrodb.resp.reply import error
from distrodb.slave.machine_factory import new_store


def put(store: Store, slot: int, key: bytes) -> None:
    store.execute(slot, [b"SET", key, b""], 0)


def scan_all(store: Store, count: int, match: bytes | None = None) -> list[bytes]:
    found: list[bytes] = []
    position: int | None = 0
    while position is not None:
        position, keys = store.share(0).scan(position, count, match)
        found += keys
    return found


@given(
    st.dictionaries(st.binary(max_size=4), st.integers(10, 14), max_size=60),
    st.integers(0, 300),
    st.integers(1, 100),
)
def test_a_scan_returns_every_key_once(keys: dict[bytes, int], tagged: int, count: int) -> None:
    store = new_store(10, 14)
    keys |= {b"{tag}%d" % number: 12 for number in range(tagged)}
    for key, slot in keys.items():
        put(store, slot, key)
    assert sorted(scan_all(store, count)) == sorted(keys)


@settings(max_examples=50)
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_keys_that_stay_are_returned_once_while_others_come_and_go(random, count) -> None:  # type: ignore[no-untyped-def]
    store = new_store(0, 2)
    staying = [b"s%d" % number for number in range(100)]
    for number, key in enumerate(staying):
        put(store, number % 3, key)
    found: list[bytes] = []
    position: int | None = 0
    while position is not None:
        for _ in range(random.randrange(40)):
            slot, key = random.randrange(3), b"x%d" % random.randrange(200)
            store.execute(slot, random.choice([[b"SET", key, b""], [b"DEL", key]]), 0)
        position, keys = store.share(0).scan(position, count)
        found += keys
    assert sorted(key for key in found if key in set(staying)) == sorted(staying)


def test_the_command_and_its_options() -> None:
    store = new_store(10, 19)
    for number in range(30):
        put(store, 10 + number % 10, b"key%d" % number)

    def run(line: str) -> object:
        return store.execute(-1, line.encode().split(b" "), 0)

    cursor, keys = run("SCAN 0")  # type: ignore[misc]
    assert len(keys) >= 10
    assert int(cursor) // 64 in range(10, 20)
    assert run("SCAN 0 COUNT 100 MATCH key1") == [b"0", [b"key1"]]
    assert run("SCAN 0 COUNT 100 TYPE hash") == [b"0", []]
    assert len(run("SCAN 0 count 100 type STRING")[1]) == 30  # type: ignore[index]
    assert run("SCAN 99999999") == [b"0", []]
    syntax, integer = error("ERR", "syntax error"), error("ERR", "invalid cursor")
    assert run("SCAN x") == run("SCAN 1.5") == run("SCAN -") == integer
    assert run("SCAN 18446744073709551616") == integer
    assert run("SCAN -1") == run("SCAN 18446744073709551615") == [b"0", []]
    assert run("SCAN ") == run("SCAN +0") == run("SCAN 0")
    assert run("SCAN 0 MATCH") == run("SCAN 0 COUNT 0") == run("SCAN 0 FOO 1") == syntax
    assert (
        run("SCAN 0 COUNT x MATCH")
        == run("SCAN 0 COUNT x")
        == error("ERR", "value is not an integer or out of range")
    )


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (b"*", [b"", b"a\nb"], []),
        (b"", [b""], [b"a"]),
        (b"h?llo", [b"hello", b"h\nllo"], [b"hllo", b"hello!", b"xhello"]),
        (b"h*llo", [b"hllo", b"heeello", b"hllollo"], [b"hll"]),
        (b"h[ae]llo", [b"hello", b"hallo"], [b"hillo"]),
        (b"h[^e]llo", [b"hallo"], [b"hello"]),
        (b"h[!e]llo", [b"h!llo", b"hello"], [b"hallo"]),
        (b"h[a-c]llo", [b"hbllo"], [b"hdllo"]),
        (b"h[c-a]llo", [b"hbllo"], [b"hdllo"]),
        (rb"h\*llo", [b"h*llo"], [b"hello"]),
        (rb"[\]]", [b"]"], [b"\\"]),
        (b"[ab", [b"a", b"b"], [b"c", b"[ab"]),
        (b"[]a", [], [b"a", b"]a", b""]),
        (b"a\\", [b"a\\"], [b"a"]),
        (b"a.c+(|$^", [b"a.c+(|$^"], [b"abc+(|$^"]),
        (b"*a*b*", [b"ab", b"xaxbx"], [b"ba"]),
        (b"a**b", [b"ab", b"axb"], [b"a"]),
        (b"*ab", [b"aab", b"abab"], [b"aba"]),
        (b"\xff*", [b"\xffa"], [b"a"]),
    ],
)
def test_glob_is_that_of_redis(pattern: bytes, yes: list[bytes], no: list[bytes]) -> None:
    for text in yes:
        assert glob(pattern).match(text), text
    for text in no:
        assert not glob(pattern).match(text), text


@given(st.lists(st.sampled_from(list(b"ab*?[]^-\\!")).map(lambda b: bytes([b])), max_size=8))
def test_any_pattern_compiles(parts: list[bytes]) -> None:
    glob(b"".join(parts)).match(b"abab")


def _simple(pattern: bytes, text: bytes) -> bool:
    if not pattern:
        return not text
    if pattern[:1] == b"*":
        return any(_simple(pattern[1:], text[n:]) for n in range(len(text) + 1))
    return bool(text) and pattern[:1] in (b"?", text[:1]) and _simple(pattern[1:], text[1:])


@given(st.text("ab*?", max_size=7), st.text("ab", max_size=8))
def test_stars_match_what_a_simple_matcher_matches(pattern: str, text: str) -> None:
    found = glob(pattern.encode()).match(text.encode()) is not None
    if not text and set(pattern) == {"*"}:
        assert found == (pattern == "*")  # as Redis has it
    else:
        assert found == _simple(pattern.encode(), text.encode())


def test_a_hostile_pattern_takes_no_exponential_time() -> None:
    start = time.perf_counter()
    assert not glob(b"*a" * 40 + b"*b").match(b"a" * 1000)
    assert time.perf_counter() - start < 1
