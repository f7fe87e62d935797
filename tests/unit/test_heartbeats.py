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
        ((_, message),) = side.beat(self.now)
        message = check(msgpack.unpackb(msgpack.packb(message)))
        if not is_lost:
            other.receive(self.now, sender, message)
        return message

    def exchange(self):
        for sender in "ababab":
            self.beat(sender)


def tables(message):
    return message[6:]


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
    followed = {name: tables(message)[1] for name, message in heartbeats.beat(1.0)}
    assert followed == {"b": [[]], "c": [[1, 6]]}


def test_an_echo_from_the_future_answers_nothing():
    pair = Pair()
    pair.b.group_changed(1, None, ("a", 5))
    message = pair.beat("b", is_lost=True)
    message[3] = 10**15
    pair.a.receive(pair.now, "b", message)
    assert pair.a.answered_at("b", 1, 5) == NEVER


ANY = st.recursive(
    st.integers() | st.booleans() | st.binary(max_size=3) | st.none(),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(ANY, min_size=6, max_size=6))
def test_malformed_ones_close_the_link_and_nothing_else(fields):
    pair = Pair()
    try:
        message = check([SLAVE, HEARTBEAT, *fields])
        pair.b.receive(pair.now, "a", message)
    except PeerError:
        pass
    assert list(pair.b.beat(pair.now))


@pytest.mark.parametrize(
    "at, value",
    [
        (4, [1]),
        (4, [1, -1]),
        (5, [1, b"x"]),
        (6, [[1]]),
        (6, [[1, -2]]),
        (6, [[1 << 17, 2]]),
        (7, [[1, 1 << 62]]),
        (7, [7]),
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
        check([1, HEARTBEAT, 1, 0, [1, 1], [0, 0], [], []])
