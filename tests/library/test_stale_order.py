"""An order to stand (thesis 3.10) is void once another leads than who gave it."""

from distrodb.raft import messages as m
from tests.library import ours, plain


def test_plain_an_order_to_stand_outlives_its_term():
    """a asks b to take over.  Before b has come to it c stands, and b votes for it.  c leads, has
    asked for nothing, is heard all the time, and is unseated all the same."""
    cluster = plain.Cluster().lead("a")
    cluster.hand_over("a", "b", {"type": "timeout_now", "term": cluster["a"].term})
    cluster.elect("c", "b")
    cluster.deliver("c", "b")
    term = cluster["c"].term
    cluster.run(10.0, "a", "b", "c")
    assert cluster["b"].term > term and not cluster["c"].leads


def test_ours_an_order_to_stand_is_void_once_another_has_been_voted_for():
    """a hands over: it asks b, whose disk is held, and then c, who stands and is elected with b's
    vote too.  b must not unseat c afterwards: c has asked nobody."""
    cluster = ours.Cluster().lead("a")
    term = cluster["a"].term
    cluster["b"].disk_is_held = True
    cluster["a"].member.transfer_leadership(cluster.now, ["b"])
    cluster["a"].collect()
    b = cluster["b"].member
    b.receive(cluster.now, "a", [ours.GROUP, m.TIMEOUT_NOW, term])
    assert b._library.is_told_to_stand
    log = cluster["c"].journal
    # c stands in the next term, by order or since a is silent; b votes for it, and follows it.
    b.receive(
        cluster.now,
        "c",
        [ours.GROUP, m.VOTE_REQUEST, term + 1, log.last_index, log.last_term, True],
    )
    assert b._library.term == term + 1
    b.receive(
        cluster.now, "c", [ours.GROUP, m.APPEND, term + 1, log.last_index, log.last_term, 0, 1, []]
    )
    assert b.follows == ("c", term + 1)
    assert not b._library.is_told_to_stand
