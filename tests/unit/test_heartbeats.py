"""One heartbeat a pair of slaves: what it tells, when it carries a table, what it never claims."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.errors import PeerError
from distrodb.raft.messages import HEARTBEAT, SLAVE, check
from distrodb.raft.pulse import NEVER
from distrodb.slave.heartbeats import Heartbeats

INTERVAL_S = 0.1


class Pair:
    """Two slaves, ``a`` and ``b``, and the time."""

    def __init__(self):
        self.now = 100.0
        self.a, self.b = Heartbeats(0.0, INTERVAL_S), Heartbeats(0.0, INTERVAL_S)
        self.a.link_up("b")
        self.b.link_up("a")

    def beat(self, sender, is_lost=False):
        """One heartbeat from there to the other, as it looks on the wire."""
        self.now += INTERVAL_S
        side, other = (self.a, self.b) if sender == "a" else (self.b, self.a)
        ((_, message),) = side.take(self.now)
        message = check(msgpack.unpackb(msgpack.packb(message)))
        if not is_lost:
            other.receive(self.now, sender, message)
        return message

    def exchange(self):
        for sender in "ababab":
            self.beat(sender)


def tables(message):
    return message[8:]


def test_a_follower_hears_the_leader_of_each_group_in_its_term_only():
    pair = Pair()
    pair.a.group_changed(1, 5, None)
    pair.a.group_changed(2, 7, None)
    pair.beat("a")
    assert pair.b.heard_at("a", 1, 5) == pair.b.heard_at("a", 2, 7) == pair.now
    assert pair.b.heard_at("a", 1, 6) == pair.b.heard_at("a", 3, 5) == NEVER
    assert pair.b.heard_at("c", 1, 5) == NEVER


def test_what_was_answered_counts_from_when_the_question_left():
    pair = Pair()
    pair.a.group_changed(1, 5, None)
    pair.b.group_changed(1, None, ("a", 5))
    pair.beat("a")
    asked = pair.now
    pair.beat("b")
    pair.now += 10
    assert pair.a.answered_at("b", 1, 5) == pytest.approx(asked, abs=1e-5)
    assert pair.a.answered_at("b", 1, 4) == NEVER


def test_an_answer_to_no_question_counts_for_nothing():
    pair = Pair()
    pair.b.group_changed(1, None, ("a", 5))
    pair.beat("b")
    assert pair.a.answered_at("b", 1, 5) == NEVER


def test_a_table_travels_until_it_is_held_and_then_no_more():
    pair = Pair()
    pair.a.group_changed(1, 5, None)
    assert tables(pair.beat("a", is_lost=True))[0] == [[1, 5]]
    assert tables(pair.beat("a"))[0] == [[1, 5]]  # nobody has said that it arrived
    pair.exchange()
    assert tables(pair.beat("a")) == tables(pair.beat("b")) == [[], []]
    assert pair.b.heard_at("a", 1, 5) == pytest.approx(pair.now - INTERVAL_S)


def test_a_change_is_told_and_the_old_state_is_claimed_no_more():
    pair = Pair()
    pair.a.group_changed(1, 5, None)
    pair.b.group_changed(1, None, ("a", 5))
    pair.exchange()
    pair.a.group_changed(1, None, None)
    pair.b.group_changed(1, None, ("c", 6))
    pair.exchange()
    assert pair.b.heard_at("a", 1, 5) == pair.a.answered_at("b", 1, 5) == NEVER


def test_one_that_was_overtaken_is_ignored():
    pair = Pair()
    pair.a.group_changed(1, 5, None)
    early = pair.beat("a", is_lost=True)
    pair.a.group_changed(1, 6, None)
    pair.beat("a")
    heard = pair.now
    pair.b.receive(pair.now + 1, "a", early)
    assert pair.b.heard_at("a", 1, 5) == NEVER
    assert pair.b.heard_at("a", 1, 6) == heard


def test_with_a_link_everything_is_forgotten_and_told_anew():
    pair = Pair()
    pair.a.group_changed(1, 5, None)
    pair.exchange()
    pair.b.link_down("a")
    assert pair.b.heard_at("a", 1, 5) == NEVER
    pair.a.link_down("b")
    pair.a.link_up("b")
    pair.b.link_up("a")
    pair.beat("a")
    assert pair.b.heard_at("a", 1, 5) == pair.now


def test_who_follows_somebody_else_does_not_follow_the_first_any_more():
    heartbeats = Heartbeats(0.0, INTERVAL_S)
    heartbeats.link_up("b")
    heartbeats.link_up("c")
    heartbeats.group_changed(1, None, ("b", 5))
    heartbeats.group_changed(1, None, ("c", 6))
    followed = {name: tables(message)[1] for name, message in heartbeats.take(1.0)}
    assert followed == {"b": [[]], "c": [[1, 6]]}


def test_an_echo_from_the_future_answers_nothing():
    pair = Pair()
    pair.b.group_changed(1, None, ("a", 5))
    message = pair.beat("b", is_lost=True)
    message[4] = 10**15
    pair.a.receive(pair.now, "b", message)
    assert pair.a.answered_at("b", 1, 5) == NEVER


class Question:
    """``a`` leads group 1 in term 5, ``b`` follows, and each holds the other's tables."""

    def __init__(self):
        self.pair = Pair()
        self.pair.a.group_changed(1, 5, None)
        self.pair.b.group_changed(1, None, ("a", 5))
        self.a, self.b = self.pair.a, self.pair.b
        self.pair.exchange()
        self.deliver("a")

    def deliver(self, sender):
        """What leaves now reaches the other; without the time that a beat takes."""
        side, other = (self.a, self.b) if sender == "a" else (self.b, self.a)
        sent = [message for _, message in side.take(self.pair.now)]
        for message in sent:
            other.receive(self.pair.now, sender, check(msgpack.unpackb(msgpack.packb(message))))
        return sent

    def is_confirmed(self, number, term=5):
        return self.a.confirmed("b", 1, term) >= number


def test_a_question_is_answered_at_once_and_confirms_the_groups_that_follow_in_that_term():
    question = Question()
    number = question.a.ask(["b"])
    assert not question.is_confirmed(number)
    assert question.a.next_due < question.pair.now
    question.deliver("a")
    assert question.b.next_due < question.pair.now
    question.deliver("b")
    assert question.is_confirmed(number)
    assert not question.is_confirmed(number, term=6) and not question.is_confirmed(number, term=4)
    assert question.a.confirmed("b", 2, 5) == question.a.confirmed("c", 1, 5) == 0
    assert not question.deliver("a") and not question.deliver("b")  # an answer asks nothing


def test_what_left_before_the_question_came_does_not_answer_it():
    question = Question()
    early = question.pair.beat("b", is_lost=True)
    number = question.a.ask(["b"])
    question.deliver("a")
    question.a.receive(question.pair.now, "b", early)
    assert not question.is_confirmed(number)


def test_questions_of_one_moment_are_told_apart():
    question = Question()
    first = question.a.ask(["b"])
    question.deliver("a")
    second = question.a.ask(["b"])
    assert second > first
    question.deliver("b")
    assert question.is_confirmed(first) and not question.is_confirmed(second)


def test_who_follows_another_by_now_confirms_nothing():
    question = Question()
    number = question.a.ask(["b"])
    question.deliver("a")
    question.b.group_changed(1, None, ("c", 6))
    question.deliver("b")
    assert not question.is_confirmed(number)


def test_a_question_that_is_lost_is_asked_again_with_the_next_beat():
    question = Question()
    number = question.a.ask(["b"])
    list(question.a.take(question.pair.now))
    question.pair.exchange()
    assert question.is_confirmed(number)


def test_only_those_are_asked_that_are_meant():
    question = Question()
    question.a.link_up("c")
    question.a.ask(["c", "a slave without a link"])
    ((name, message),) = question.a.take(question.pair.now)
    assert (name, message[3]) == ("c", True)


ANY = st.recursive(
    st.integers() | st.booleans() | st.binary(max_size=3) | st.none(),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(ANY, min_size=8, max_size=8))
def test_malformed_ones_close_the_link_and_nothing_else(fields):
    pair = Pair()
    try:
        message = check([SLAVE, HEARTBEAT, *fields])
        pair.b.receive(pair.now, "a", message)
    except PeerError:
        pass
    assert list(pair.b.take(pair.now))


@pytest.mark.parametrize(
    "at, value",
    [
        (3, 1),
        (5, [1]),
        (5, [1, -1]),
        (6, [1, b"x"]),
        (7, [[1]]),
        (7, [[1, -2]]),
        (7, [[1 << 17, 2]]),
        (8, [[1, 1 << 62]]),
        (8, [7]),
    ],
)
def test_each_malformed_part_is_refused(at, value):
    pair = Pair()
    pair.a.group_changed(1, 5, None)
    message = pair.beat("a", is_lost=True)
    message[at] = value
    with pytest.raises(PeerError):
        pair.b.receive(pair.now, "a", check(message))


def test_only_a_heartbeat_is_of_no_group():
    with pytest.raises(PeerError):
        check([SLAVE, 2, 1])
    with pytest.raises(PeerError):
        check([1, HEARTBEAT, 1, False, 0, [1, 1], [0, 0], 0, [], []])
