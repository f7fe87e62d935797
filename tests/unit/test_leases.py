"""What slaves promise, and how long a leader relies on it; tests/sim/test_leases.py has stories."""

import pytest

from distrodb.raft.lease import RENEW_S
from distrodb.raft.pulse import NEVER
from distrodb.slave.heartbeats import Heartbeats
from distrodb.slave.leases import LEASE_S, TRUSTED, Promises, relied_on

INTERVAL_S = 0.1


def test_a_promise_is_for_the_groups_that_follow_and_outlives_that():
    promises = Promises(0.0, LEASE_S)
    promises.promise(5.0, "a/1")
    assert promises.until(3, "a/1") == 5.0 + LEASE_S
    promises.leaves(3, "a/1")
    assert promises.until(3, "b/1") == promises.until(3, None) == 5.0 + LEASE_S
    assert promises.until(4, None) == LEASE_S  # since the start: an earlier life may have promised


def test_a_later_promise_to_another_does_not_shorten_an_earlier_one():
    promises = Promises(0.0, LEASE_S)
    promises.promise(5.0, "a/1")
    promises.leaves(3, "a/1")
    promises.promise(4.99, "b/1")
    assert promises.until(3, "b/1") == 5.0 + LEASE_S
    promises.leaves(3, "b/1")
    assert promises.until(3, None) == 5.0 + LEASE_S


def test_who_may_not_promises_nothing():
    promises = Promises(0.0, 0.0)
    promises.promise(5.0, "a/1")
    promises.leaves(3, "a/1")
    assert promises.until(3, "a/1") == NEVER


def test_a_leader_relies_on_less_than_was_promised():
    assert relied_on(7.0, LEASE_S) == 7.0 + TRUSTED * LEASE_S < 7.0 + LEASE_S
    assert relied_on(7.0, 0.0) == NEVER


def test_new_promises_are_asked_for_when_half_of_what_is_relied_on_is_left():
    assert pytest.approx(TRUSTED * LEASE_S / 2) == RENEW_S


class Pair:
    """``a`` leads group 1 in term 5 and ``b`` follows."""

    def __init__(self, a_s: float, b_s: float):
        self.now = 100.0
        self.a, self.b = Heartbeats(0.0, INTERVAL_S, a_s), Heartbeats(0.0, INTERVAL_S, b_s)
        self.a.link_up("b")
        self.b.link_up("a")
        self.a.group_changed(1, 5, None)
        self.b.group_changed(1, None, ("a", 5))
        for _ in range(3):
            self.exchange()

    def exchange(self, delay_s: float = 0.0) -> None:
        self.now += INTERVAL_S
        self.asked_at = self.now
        self.carry(self.a, "a", self.b)
        self.now += delay_s
        self.answered_at = self.now
        self.carry(self.b, "b", self.a)

    def carry(self, side: Heartbeats, name: str, other: Heartbeats) -> None:
        for _, message in side.take(self.now):
            other.receive(self.now, name, message)


def test_it_is_relied_on_from_the_question_and_kept_from_the_answer():
    pair = Pair(LEASE_S, LEASE_S)
    pair.exchange(delay_s=0.03)
    relied = pair.a.leased_until("b", 1, 5)
    assert relied == pytest.approx(pair.asked_at + TRUSTED * LEASE_S, abs=1e-5)
    assert pair.b.promised_until(1) == pytest.approx(pair.answered_at + LEASE_S)
    assert pair.a.leased_until("b", 1, 4) == pair.a.leased_until("b", 2, 5) == NEVER
    assert pair.a.leased_until("c", 1, 5) == NEVER


def test_a_promise_is_kept_when_the_link_is_gone_and_the_group_follows_another():
    pair = Pair(LEASE_S, LEASE_S)
    until = pair.b.promised_until(1)
    pair.b.link_down("a")
    assert pair.b.promised_until(1) == until > pair.now
    pair.b.group_changed(1, None, ("c", 6))
    assert pair.b.promised_until(1) == until
    pair.b.group_changed(1, 7, None)
    pair.b.link_up("a")
    assert pair.b.promised_until(1) == until


def test_a_slave_relies_on_promises_only_if_its_own_file_says_so():
    assert Pair(0.0, LEASE_S).a.leased_until("b", 1, 5) == NEVER
    assert Pair(LEASE_S, 0.0).a.leased_until("b", 1, 5) == NEVER
    assert Pair(0.0, 0.0).b.promised_until(1) == NEVER
