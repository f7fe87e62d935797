"""Commands that wait for a leader: in order, each answered once, and not for long."""

import math

import pytest

from distrodb.slave import waiting as limits
from distrodb.slave.waiting import ALL_HELD, EACH_BYTES, Waiting

WAIT_S = 0.5


class Books:
    """What waits, who leads, and what went on."""

    def __init__(self):
        self.waiting, self.led = Waiting(WAIT_S), set()
        self.went_on = []

    def take(self, now, *numbers, partition=1, size=64):
        """Commands come; a turn follows, as always."""
        taken = [
            self.waiting.take(partition, size, lambda n=number: self.went_on.append((partition, n)))
            for number in numbers
        ]
        self.release(now)
        return taken

    def release(self, now):
        for go_on in self.waiting.release(now, self.led.__contains__):
            go_on()


@pytest.fixture
def books():
    return Books()


def test_they_go_on_in_their_order_when_there_is_a_leader(books):
    assert books.take(0.0, 1, 2) == [True, True] and books.take(0.1, 3) == [True]
    books.release(0.1)
    assert books.went_on == [] and list(books.waiting.commands) == [1]
    books.led.add(1)
    books.release(0.2)
    assert books.went_on == [(1, 1), (1, 2), (1, 3)]
    books.release(0.3)
    assert len(books.went_on) == 3 and not books.waiting.commands


def test_all_go_on_when_there_is_none_for_too_long(books):
    """The first that came decides: the others have waited for less."""
    books.take(0.0, 1)
    books.take(WAIT_S - 0.01, 2)
    books.release(WAIT_S - 0.01)
    assert books.went_on == []
    books.release(WAIT_S)
    assert books.went_on == [(1, 1), (1, 2)]


def test_after_that_each_is_answered_at_once_until_there_is_a_leader(books):
    books.take(0.0, 1)
    books.release(WAIT_S)
    assert books.take(WAIT_S + 5.0, 2) == [False]
    books.led.add(1)
    books.release(WAIT_S + 6.0)
    books.led.clear()
    assert books.take(WAIT_S + 7.0, 3) == [True]


def test_each_partition_waits_for_its_own_leader(books):
    books.take(0.0, 1, partition=1)
    books.take(0.3, 2, partition=2)
    books.led.add(2)
    books.release(0.3)
    assert books.went_on == [(2, 2)]
    books.release(WAIT_S)
    assert books.went_on == [(2, 2), (1, 1)]


def test_what_waits_is_bounded_in_bytes_whatever_it_waits_for(books, monkeypatch):
    monkeypatch.setattr(limits, "WAITING_BYTES_MAX", 2 * EACH_BYTES + 100)
    assert books.take(0.0, 1, 2) == [True, True]
    assert books.take(0.0, 3, partition=2) == [False] == books.take(0.0, 4, partition=ALL_HELD)
    books.led.add(1)
    books.release(0.1)
    assert books.take(0.1, 5, partition=2) == [True]


def test_what_is_small_is_bounded_too(books, monkeypatch):
    """Each takes more than its bytes."""
    monkeypatch.setattr(limits, "WAITING_BYTES_MAX", 10 * EACH_BYTES)
    assert books.take(0.0, *range(20), size=0).count(True) == 10


def test_it_says_when_to_look_again(books):
    assert books.waiting.next_due == math.inf
    books.waiting.take(1, 64, lambda: None)
    assert books.waiting.next_due <= 0.0  # at once: since when it waits is not known yet
    books.release(5.0)
    assert books.waiting.next_due == 5.0 + WAIT_S
    books.release(5.0 + WAIT_S)
    assert books.waiting.next_due == math.inf and books.waiting.commands
