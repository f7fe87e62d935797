"""Who is down: a majority of the others in the ring has not heard it for long enough."""

import pytest

from distrodb.slave.failure_detector import FailureDetector

AFTER_S = 10.0


class Book:
    """What a hears of the others, and what it is told of whom they hear."""

    def __init__(self, names="abcde"):
        self.names, self.detector, self.now = names, FailureDetector("a"), 0.0
        for name in names:
            self.says(name, names)

    def says(self, observer: str, hears: str) -> None:
        others = {node: "1" for node in hears if node != observer}
        self.detector.heard(self.now, observer, others)

    def dies(self, *nodes: str, heard_by: str = "") -> None:
        """All links to these break, but for those of ``heard_by``."""
        for node in nodes:
            self.detector.lost(node)
        for observer in self.names:
            if observer in nodes:
                continue
            kept = nodes if observer in heard_by else ()
            alive = [n for n in self.names if n not in nodes or n in kept]
            self.says(observer, "".join(alive))

    def after(self, seconds: float) -> "Book":
        self.detector.watch(self.now, self.names)
        self.now += seconds
        self.detector.watch(self.now, self.names)
        return self

    def down(self) -> str:
        ring = self.names
        return "".join(n for n in ring if self.detector.is_down(self.now, n, ring, AFTER_S))

    def heard(self) -> str:
        return "".join(n for n in self.names if self.detector.is_heard(n, self.names))


def test_all_are_heard_and_nobody_is_down():
    book = Book().after(100.0)
    assert (book.down(), book.heard()) == ("", "abcde")


def test_one_that_nobody_hears_is_down_after_a_while_and_not_before():
    book = Book()
    book.dies("e")
    assert book.after(AFTER_S - 0.1).down() == "" and book.heard() == "abcd"
    assert book.after(0.1).down() == "e"


@pytest.mark.parametrize(
    ("heard_by", "is_down", "is_heard"),
    [("", True, False), ("b", True, False), ("bc", False, False), ("bcd", False, True)],
)
def test_a_majority_of_the_others_decides_either_way(heard_by, is_down, is_heard):
    """With half of them it stays as it is: neither down nor up again."""
    book = Book()
    book.dies("e", heard_by=heard_by)
    book.after(AFTER_S)
    assert (book.down() == "e", "e" in book.heard()) == (is_down, is_heard)


def test_one_that_only_we_do_not_hear_is_not_down():
    book = Book()
    book.says("a", "abcd")
    assert book.after(AFTER_S).down() == "" and "e" in book.heard()


def test_dead_observers_say_nothing_and_still_count_as_others():
    """Two of five died at once: the other three are a majority of the four others."""
    book = Book()
    book.dies("d", "e")
    assert book.after(AFTER_S).down() == "de"


def test_a_minority_takes_nobody_for_dead():
    """a and b are cut off; to them three of five have gone silent."""
    book = Book()
    book.dies("c", "d", "e")
    assert book.after(AFTER_S).down() == "" and book.heard() == "a"


@pytest.mark.parametrize(
    ("names", "dead", "down"),
    [("a", "", ""), ("ab", "b", "b"), ("abc", "c", "c"), ("abc", "bc", "")],
)
def test_small_rings(names, dead, down):
    """Of two, the other one is the only one to be asked; the map's majority keeps that safe."""
    book = Book(names)
    book.dies(*dead)
    assert book.after(AFTER_S).down() == down


def test_one_that_is_heard_for_an_instant_is_waited_for_anew():
    book = Book()
    book.dies("e")
    book.after(AFTER_S - 0.1)
    book.says("b", "acde")
    book.says("c", "abde")
    book.says("b", "acd")
    book.says("c", "abd")
    assert book.after(0.2).down() == ""
    assert book.after(AFTER_S).down() == "e"


def test_what_an_observer_said_is_void_once_we_do_not_hear_it():
    """It may have been long silent when its last word came."""
    book = Book()
    book.dies("e")
    book.after(AFTER_S)
    for observer in "bc":
        book.detector.lost(observer)
    assert book.down() == ""
    for observer in "bc":
        book.says(observer, "abcd")
    assert book.after(AFTER_S - 0.1).down() == ""


def test_those_that_are_not_in_the_ring_are_not_asked():
    book = Book()
    for observer in "abcd":
        book.says(observer, "abcd")
    book.detector.heard(0.0, "f", {"e": "1"})
    assert book.after(AFTER_S).down() == "e"


def test_a_slave_that_is_new_is_not_down_because_it_was_never_heard():
    """It counts from the moment at which the map names it."""
    book = Book("abcd")
    book.after(100.0)
    assert not book.detector.is_down(book.now, "e", "abcde", AFTER_S)
    book.names = "abcde"
    assert book.after(AFTER_S - 0.1).down() == ""


def test_we_are_never_down_to_ourselves():
    book = Book()
    for observer in "bcde":
        book.says(observer, "bcde")
    assert book.after(AFTER_S).down() == "" and "a" in book.heard()


def test_what_is_known_of_the_forgotten_is_forgotten():
    book = Book()
    book.dies("e")
    book.after(AFTER_S)
    book.detector.watch(book.now, "abcd")
    assert book.after(0.0).down() == ""


# Which directory it runs with.


def incarnation(**hears: str) -> str | None:
    hearing = FailureDetector("a")
    for observer, said in hears.items():
        hearing.heard(0.0, observer, {"e": said} if said else {})
    return hearing.incarnation("e")


@pytest.mark.parametrize(
    ("hears", "known"),
    [
        ({"a": "1", "b": "1", "c": "1"}, "1"),
        ({"a": "", "b": "1", "c": "1"}, "1"),  # we do not hear it ourselves
        ({"a": "", "b": "", "c": ""}, None),
        ({"a": "1", "b": "2", "c": "2"}, "2"),  # our link to its old self still stands
        ({"a": "2", "b": "1", "c": ""}, None),  # one of them is late: soon they agree
        ({"a": "2", "b": "1", "c": "1", "d": "2"}, None),  # two processes with one name
    ],
)
def test_it_runs_with_what_most_of_those_say_that_hear_it(hears, known):
    assert incarnation(**hears) == known
