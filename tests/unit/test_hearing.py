"""Who is taken for down, by who hears whom."""

import pytest

from distrodb.slave.hearing import Hearing

RING = ["a", "b", "c", "d", "e"]
AFTER_S = 10.0


def seen_by_a(said: dict[str, str], now: float = 0.0) -> Hearing:
    """``said``: whom each observer hears, as letters."""
    hearing = Hearing("a")
    for observer, hears in said.items():
        hearing.heard(now, observer, dict.fromkeys(hears, "1"))
    hearing.watch(now, RING)
    return hearing


def down(hearing: Hearing, now: float, ring=RING) -> list[str]:
    return [node for node in ring if hearing.is_down(now, node, ring, AFTER_S)]


def test_nobody_is_down_before_its_time():
    hearing = seen_by_a({"a": "bcd", "b": "acd", "c": "abd", "d": "abc"})
    assert down(hearing, 9.9) == [] and down(hearing, 10.0) == ["e"]


def test_one_broken_link_takes_nobody_for_dead():
    hearing = seen_by_a({"a": "bcd", "b": "acde", "c": "abde", "d": "abce", "e": "bcd"})
    assert down(hearing, 1000.0) == []


def test_it_takes_a_majority_of_the_others():
    two_of_four = seen_by_a({"a": "bcd", "b": "acd", "c": "abde", "d": "abce", "e": "cd"})
    assert down(two_of_four, 20.0) == []
    three_of_four = seen_by_a({"a": "bcd", "b": "acd", "c": "abd", "d": "abce", "e": "d"})
    assert down(three_of_four, 20.0) == ["e"]


def test_who_was_heard_in_between_is_not_down():
    hearing = seen_by_a({"a": "bcd", "b": "acd", "c": "abd", "d": "abc"})
    for observer in ("a", "b"):
        hearing.heard(9.0, observer, dict.fromkeys("bcde", "1"))
        hearing.heard(9.5, observer, dict.fromkeys("bcd", "1"))
    hearing.watch(9.5, RING)
    assert down(hearing, 19.0) == [] and down(hearing, 19.5) == ["e"]


def test_what_an_observer_said_that_we_do_not_hear_any_more_does_not_count():
    hearing = seen_by_a({"a": "bc", "b": "ac", "c": "ab", "d": "e"})
    hearing.lost("d")
    assert down(hearing, 20.0) == ["d", "e"]
    hearing.lost("c")  # now it is two of four for d and e
    assert down(hearing, 20.0) == []


@pytest.mark.parametrize(("ring", "expected"), [(["a"], []), (["a", "b"], ["b"])])
def test_small_rings(ring, expected):
    hearing = Hearing("a")
    hearing.heard(0.0, "a", {})
    hearing.watch(0.0, ring)
    assert down(hearing, 20.0, ring) == expected
    assert hearing.is_heard("a", ring)


def test_of_three_both_others_must_miss_it():
    hearing = seen_by_a({"a": "b", "b": "ac"})
    assert down(hearing, 20.0, ["a", "b", "c"]) == []
    hearing.heard(20.0, "b", {"a": "1"})
    hearing.watch(20.0, RING)
    assert down(hearing, 30.0, ["a", "b", "c"]) == ["c"]


def test_a_slave_is_heard_when_a_majority_hears_it():
    hearing = seen_by_a({"a": "bcd", "b": "acd", "c": "abde", "d": "abce"})
    assert not hearing.is_heard("e", RING) and hearing.is_heard("b", RING)


def test_the_incarnation_is_what_we_see_or_what_all_others_say():
    hearing = Hearing("a")
    hearing.heard(0.0, "a", {"b": "new"})
    hearing.heard(0.0, "b", {"b": "old", "c": "1"})
    hearing.heard(0.0, "d", {"c": "2", "e": "3"})
    assert [hearing.incarnation(node) for node in "bcef"] == ["new", None, "3", None]
