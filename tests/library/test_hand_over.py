"""A leader that hands over: commands wait meanwhile, none is lost or answered twice, and it goes on
leading when nothing comes of it."""

import pytest

from distrodb.raft import messages as m
from distrodb.raft.group import HAND_OVER_AGAIN_S, HAND_OVER_S
from distrodb.resp.reply import OK
from tests.library import ours


@pytest.fixture
def cluster():
    cluster = ours.Cluster().lead("a")
    cluster.write("a", "x")
    cluster.settle()
    return cluster


def hand_over(cluster, *to):
    cluster["a"].group.hand_over(cluster.now, to)
    cluster["a"].collect()
    cluster["a"].turn()


def is_asked(cluster, name) -> bool:
    return bool(cluster.under_way("a", name, m.TIMEOUT_NOW))


def test_it_takes_no_new_batch_while_it_hands_over(cluster):
    hand_over(cluster, "b")
    last_index = cluster["a"].last_index
    call = cluster.ask("a", b"PUT", b"y")
    assert is_asked(cluster, "b") and cluster["a"].last_index == last_index
    cluster.run(ours.ELECTION_S, *"abc")
    assert cluster["b"].leads
    assert call.was_handed_back and call.reply is None  # it surely did not happen
    assert cluster["b"].values == ["x"]


def test_the_batch_under_way_is_finished_first(cluster):
    """Who takes over must have it, or could not be elected."""
    call = cluster.ask("a", b"PUT", b"y")
    hand_over(cluster, "b")
    assert not is_asked(cluster, "b")
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    assert call.reply == OK and is_asked(cluster, "b")


def test_a_batch_that_cannot_be_finished_meanwhile_is_not_lost(cluster):
    call = cluster.ask("a", b"PUT", b"y")
    cluster.lose("a", "b")
    cluster.lose("a", "c")
    hand_over(cluster, "b")
    cluster.cut("a")
    cluster.elect("b", "c")
    cluster.join("a")
    cluster.run(ours.ELECTION_S, *"abc")
    assert call.was_handed_back and cluster["a"].values == ["x"]


def test_reads_that_wait_are_handed_back_too(cluster):
    hand_over(cluster, "b")
    read = cluster.ask("a", b"READ")
    cluster.run(ours.ELECTION_S, *"abc")
    assert read.was_handed_back


def refuses(cluster, name):
    """It follows, and stands for nothing that it is asked to stand for."""
    receive = cluster[name].group.receive

    def receive_the_rest(now, peer, message):
        if message[1] != m.TIMEOUT_NOW:
            receive(now, peer, message)

    cluster[name].group.receive = receive_the_rest


def test_it_goes_on_when_nothing_comes_of_it(cluster):
    refuses(cluster, "b")
    hand_over(cluster, "b")
    call = cluster.ask("a", b"PUT", b"y")
    cluster.run(HAND_OVER_S - ours.PERIOD_S, *"abc")
    assert call.reply is None
    cluster.run(3 * ours.PERIOD_S, *"abc")
    assert call.reply == OK and cluster["a"].leads and not call.was_handed_back


def test_one_that_came_to_nothing_is_not_tried_again_at_once(cluster):
    """``Core`` asks with every tick as long as the leader is not wanted: its clients would wait
    for one hand-over after another."""
    refuses(cluster, "b")
    hand_over(cluster, "b")
    cluster.run(HAND_OVER_S + ours.PERIOD_S, *"abc")
    for n in range(10):
        hand_over(cluster, "b")
        assert not is_asked(cluster, "b")
        call = cluster.ask("a", b"PUT", b"%d" % n)
        cluster.run(2 * ours.PERIOD_S, *"abc")
        assert call.reply == OK
    cluster.run(HAND_OVER_AGAIN_S, *"abc")
    hand_over(cluster, "b")
    assert is_asked(cluster, "b")


def test_nobody_is_made_to_wait_for_one_that_lags(cluster):
    cluster.cut("b")
    for n in range(30):
        cluster.write("a", str(n))
    cluster.settle("a", "c")
    hand_over(cluster, "b")
    call = cluster.ask("a", b"PUT", b"y")
    cluster.settle("a", "c")
    assert call.reply == OK


def test_the_first_that_has_the_whole_log_takes_over(cluster):
    cluster.cut("b")
    cluster.write("a", "y")
    cluster.settle("a", "c")
    hand_over(cluster, "b", "c")
    assert is_asked(cluster, "c") and not is_asked(cluster, "b")


def test_to_be_asked_twice_is_to_be_asked_once(cluster):
    """The second message is of a term that is over."""
    hand_over(cluster, "b")
    asked = cluster.under_way("a", "b", m.TIMEOUT_NOW)[0]
    term = cluster["a"].term
    cluster.run(ours.ELECTION_S, *"abc")
    assert cluster["b"].leads and cluster["b"].term == term + 1
    cluster.hand_over("a", "b", asked)
    cluster.run(1.0, *"abc")
    assert cluster["b"].leads and cluster["b"].term == term + 1
