"""SORT: its order, its options, and what it stores."""

import pytest

from distrodb.commands import sort
from distrodb.commands.table import DATA_COMMANDS
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.sorting import NotANumber, Order, arranged, number_of
from distrodb.keyspace.store import WRONG_TYPE, Store
from distrodb.resp.reply import Reply, error
from distrodb.ring.slots import slot_of
from tests.support.stores import ask, new_store

PLACE = slot_of(b"t")
SYNTAX = error("ERR", "syntax error")
NOT_AN_INTEGER = error("ERR", "value is not an integer or out of range")


@pytest.fixture
def store() -> Store:
    """{t}l has 3 1 2 10; each but 10 weighs {t}w_N, has a name in a hash {t}h_N, and another weight
    x_N in another slot; and yet another one in another database."""
    made = new_store(0, 16383)
    for number, weight in ((1, 9), (2, 8), (3, 7)):
        slot = slot_of(b"x_%d" % number)
        ask(made, f"SET x_{number} {number + 3}", place=slot)
        ask(made, f"SET x_{number} elsewhere", place=place_of(1, slot))
        ask(made, f"SET {{t}}w_{number} {weight}", place=PLACE)
        ask(made, f"HSET {{t}}h_{number} name n{number}", place=PLACE)
    ask(made, "RPUSH {t}l 3 1 2 10", place=PLACE)
    return made


@pytest.mark.parametrize(
    ("options", "reply"),
    [
        ("", [b"1", b"2", b"3", b"10"]),
        ("DESC", [b"10", b"3", b"2", b"1"]),
        ("DESC ASC", [b"1", b"2", b"3", b"10"]),
        ("ALPHA", [b"1", b"10", b"2", b"3"]),
        ("alpha desc", [b"3", b"2", b"10", b"1"]),
        ("LIMIT 1 2", [b"2", b"3"]),
        ("LIMIT -1 2", [b"1", b"2"]),
        ("LIMIT 1 -1", [b"2", b"3", b"10"]),
        ("LIMIT 9 9", []),
        ("BY {t}w_*", [b"10", b"3", b"2", b"1"]),
        ("BY {t}w_* DESC", [b"1", b"2", b"3", b"10"]),
        ("BY {t}h_*->name ALPHA", [b"10", b"1", b"2", b"3"]),
        ("BY {t}h_*->name", sort.NOT_NUMBERS),
        ("BY nosort", [b"3", b"1", b"2", b"10"]),
        ("BY nosort DESC", [b"10", b"2", b"1", b"3"]),
        ("BY nosort GET # GET {t}w_* LIMIT 0 2", [b"3", b"7", b"1", b"9"]),
        ("GET {t}h_*->name", [b"n1", b"n2", b"n3", None]),
        ("GET {t}w_*->name GET x LIMIT 0 1", [None, None]),
        ("GET {t}h_* LIMIT 0 1", [None]),
        ("BY x_*", [b"10", b"1", b"2", b"3"]),
        ("BY x_* GET x_*", [None, b"4", b"5", b"6"]),
        ("LIMIT 1", SYNTAX),
        ("LIMIT x 1", NOT_AN_INTEGER),
        ("LIMIT 1 x", NOT_AN_INTEGER),
        ("BY", SYNTAX),
        ("FOO", SYNTAX),
    ],
)
def test_sort(store: Store, options: str, reply: Reply) -> None:
    for name in ("SORT", "SORT_RO"):
        for place in (PLACE, -1):
            assert ask(store, f"{name} {{t}}l {options}".strip(), place=place) == reply


@pytest.mark.parametrize("place", [PLACE, -1])
@pytest.mark.parametrize("pattern", ["w_*", "*{t}", "{t*}w", "{}{t}*", "{t*"])
def test_where_there_are_several_partitions_a_pattern_needs_the_hash_tag_of_the_key(
    pattern: str, place: int
) -> None:
    store = new_store(0, 16382)
    for name in ("SORT", "SORT_RO"):
        for option in ("BY", "GET"):
            reply = ask(store, f"{name} {{t}}l {option} {pattern}", place=place)
            assert reply == sort._elsewhere(option)
    assert ask(store, "SORT {t}l BY {t}w_* GET x{t}x{*} GET x GET #", place=place) == []


def test_what_is_sorted_is_stored_or_takes_a_key_away(store: Store) -> None:
    assert ask(store, "SORT {t}l GET {t}h_*->name STORE {t}d", place=PLACE) == 4
    assert ask(store, "TYPE {t}d", place=PLACE).text == b"list"  # type: ignore[union-attr]
    assert ask(store, "SORT {t}d ALPHA", place=PLACE) == [b"", b"n1", b"n2", b"n3"]
    assert ask(store, "SORT {t}none STORE {t}d", place=PLACE) == 0
    assert ask(store, "EXISTS {t}d", place=PLACE) == 0
    assert ask(store, "SORT_RO {t}l STORE {t}d", place=PLACE) == SYNTAX


def test_how_much_is_sorted_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sort, "SORTED_MAX", 3)
    assert ask(store, "SORT {t}l", place=PLACE) == sort.TOO_MANY
    ask(store, "LPOP {t}l", place=PLACE)
    assert ask(store, "SORT {t}l", place=PLACE) == [b"1", b"2", b"10"]


def test_what_cannot_be_sorted() -> None:
    store = new_store(0, 16383)
    ask(store, "SET s 1")
    ask(store, "HSET h a 1")
    assert ask(store, "SORT s") == ask(store, "SORT_RO h BY nosort") == WRONG_TYPE
    assert ask(store, "SORT s LIMIT x 1") == NOT_AN_INTEGER
    assert ask(store, "SORT none") == ask(store, "SORT none BY nosort GET # ALPHA") == []
    assert ask(store, "SORT none STORE s") == 0 and ask(store, "EXISTS s") == 0


@pytest.mark.parametrize(
    ("line", "positions"),
    [
        ("SORT a", [1]),
        ("SORT a STORE b", [1, 3]),
        ("SORT a BY store GET store LIMIT store 1 store b", [1, 10]),
        ("SORT a STORE b STORE c", [1, 5]),
        ("SORT a STORE", [1]),
    ],
)
def test_its_keys(line: str, positions: list[int]) -> None:
    assert DATA_COMMANDS[b"SORT"].key_positions(line.encode().split()) == positions


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"1", 1.0),
        (b"-1.5e2", -150.0),
        (b" +.5", 0.5),
        (b"5.", 5.0),
        (b"0x10", 16.0),
        (b"-inf", float("-inf")),
        (b"Infinity", float("inf")),
        (b"", 0.0),
        (b"1\0x", 1.0),
        (b"0x1.8p1", 3.0),
        (b"0e-999", 0.0),
    ],
)
def test_a_number_is_read_as_c_reads_it(text: bytes, number: float) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    "text",
    [b" ", b"x", b"1 ", b"1x", b"nan", b"1_0", b"0x", b"\xb2", b"1e400", b"1e-400", b"9" * 400],
)
def test_what_is_no_number(text: bytes) -> None:
    with pytest.raises(NotANumber):
        arranged([text, b"1"], Order(), None)
