"""A member that was removed alive, forgets its log, and is taken in again under the same name: as
if it had forgotten nothing (``Journal.retire``, ``Engine.left_at``)."""

import random

import pytest

from distrodb.raft import messages as m
from distrodb.raft.journal import Configuration, Journal, WriteSet
from distrodb.raft.lmdb_store import LmdbStore
from tests.library import ours


@pytest.fixture
def cluster():
    """Four members, d removed; a leads, and d has not heard of it."""
    cluster = ours.Cluster("abcd").lead("a")
    cluster.write("a", "x")
    cluster.settle()
    cluster.change("a", "abc")
    cluster.settle("a", "b", "c")
    assert cluster["d"].engine.is_member
    return cluster


def told(cluster, name="d", by="a") -> int | None:
    """What this member makes of the report of a leader."""
    leader = cluster[by]
    assert leader.engine.is_ready and leader.journal.configuration.index <= leader.commit_index
    return cluster[name].engine.left_at(leader.journal.configuration, leader.term)


def forget(cluster, name="d", by="a"):
    """It was told, closes the group, and opens it again, as ``Holding`` does."""
    left_at = told(cluster, name, by)
    assert left_at is not None
    member = cluster[name]
    member.group.close()
    member.journal.retire(left_at, max(member.term, cluster[by].term))
    member.disk.commit(member.writes.take()[1])
    return cluster.start(name)


# When it has left.


def test_it_has_not_left_before_it_is_told(cluster):
    assert cluster["d"].engine.left_at(None) is None
    assert told(cluster) == cluster["a"].journal.configuration.index


def test_an_older_configuration_without_it_does_not_count(cluster):
    """It was not in there before it was added."""
    before = Configuration(1, 1, ("a", "b", "c"))
    cluster.change("a", "abcd", epoch=3)
    assert cluster["d"].engine.left_at(before, cluster["a"].term) is None


def test_its_own_log_tells_it_once_that_is_committed():
    """d hears of its removal in a log that it gets as a learner."""
    cluster = ours.Cluster("abcd").lead("a")
    cluster.change("a", "abc")
    cluster.reconcile("a", "abcd", epoch=3)
    cluster.settle()
    assert list(cluster["a"].engine.learners) == ["d"]
    configuration = cluster["d"].journal.configuration
    assert "d" not in configuration.members
    assert cluster["d"].engine.left_at(None) == configuration.index


def test_who_was_added_by_an_entry_that_is_void_has_left():
    """a proposed to add d, and nobody else has heard of it; b leads, whose members did not
    change since, and do not have to change again."""
    cluster = ours.Cluster().lead("a")
    cluster.start("d")
    cluster.reconcile("a", "abcd")
    cluster.settle()
    cluster.reconcile("a", "abcd")
    cluster.deliver("a", "d")
    cluster.cut("a")
    cluster.cut("d")
    assert cluster["d"].engine.is_member
    reported = cluster["b"].journal.configuration
    assert cluster["d"].engine.left_at(reported, cluster["d"].term) is None  # by a itself, say
    cluster.elect("b", "c")
    cluster.settle("b", "c")
    assert told(cluster, by="b") == reported.index < cluster["d"].journal.configuration.index


# What it forgets, and what not.


def test_it_forgets_its_log_but_neither_its_term_nor_its_vote(cluster):
    cluster.cut("d")
    member = cluster["d"]
    member.journal.setCurrentTerm(cluster["a"].term + 5, "c")
    member.turn()
    again = forget(cluster)
    assert again.log == [(b"\x01", 0, 0)] and again.values == []
    assert again.journal.meta.voted_for == "c" and again.term == cluster["a"].term + 5
    candidate = [ours.GROUP, m.VOTE_REQUEST, again.term, 1000, again.term, False]
    cluster.hand_over("b", "d", candidate)
    assert not [m_ for _, _, m_ in cluster.history if m_[1] == m.VOTE and m_[2] == again.term]


def test_it_follows_no_leader_of_a_term_before_its_removal(cluster):
    """Such a one may send it a log in which it was never removed."""
    cluster["d"].journal.meta.term = 0  # it has slept since the first term
    again = forget(cluster)
    old = cluster["a"].term - 1
    cluster.hand_over("c", "d", [ours.GROUP, m.APPEND, old, 0, 0, 0, 0, [[1, b"\x01"]]])
    assert again.last_index == 0


def test_it_neither_votes_nor_stands_before_its_log_is_past_its_removal(cluster):
    """c knows only the members among whom d was one, and d has come as far as that too."""
    again = forget(cluster)
    removed_at, term = again.journal.left_at, again.term
    entries = [[t, command] for command, _, t in cluster["a"].log[1:] if command]
    until = removed_at - 1
    start, start_term = cluster["a"].log[0][1], cluster["a"].log[0][2]
    again.journal.reset(start, start_term, Configuration(start, 1, tuple("abcd")))
    known = entries[: until - start]
    append = [ours.GROUP, m.APPEND, term, start, start_term, start, 0, known]
    cluster.hand_over("a", "d", append)
    assert again.last_index == until and again.names == "a b c d"
    assert not again.engine.is_member and not again.journal.may_vote
    cluster.cut("a")
    cluster.pass_time(ours.ELECTION_S)
    before = len(cluster.history)
    for request in (
        [ours.GROUP, m.PREVOTE_REQUEST, term + 1, until, term],
        [ours.GROUP, m.VOTE_REQUEST, term + 1, until, term, True],
    ):
        cluster.hand_over("c", "d", request)
    cluster.run(ours.ELECTION_S, "d")
    kinds = {message[1] for sender, _, message in cluster.history[before:] if sender == "d"}
    assert not kinds & {m.VOTE, m.PREVOTE, m.PREVOTE_REQUEST, m.VOTE_REQUEST}
    rest = entries[until - start :]
    cluster.hand_over("b", "d", [ours.GROUP, m.APPEND, term + 1, until, term, until, 0, rest[:1]])
    assert again.journal.may_vote and not again.engine.is_member  # it is not in there any more


def test_taken_in_again_it_votes_and_leads_like_any_other(cluster):
    forget(cluster)
    cluster.change("a", "abcd", epoch=3)
    assert cluster["d"].engine.is_member and cluster["d"].values == ["x"]
    cluster.cut("a")
    cluster.elect("d", "b", "c")


# What the leader makes of it.


def test_it_counts_only_from_the_entry_that_added_it(cluster):
    """What it acknowledged as a learner may be what it has forgotten since."""
    cluster.reconcile("a", "abcd", epoch=3)
    cluster.settle()
    cluster.reconcile("a", "abcd", epoch=3)
    leader = cluster["a"]
    added_at = leader.journal.configuration.index
    assert leader.names == "a b c d" and leader.match_index("d") == 0
    ack = [ours.GROUP, m.ACK, leader.term, True, added_at - 1, 0]
    cluster.hand_over("d", "a", ack)
    assert leader.match_index("d") == 0
    cluster.hand_over("d", "a", [*ack[:4], added_at, 0])
    assert leader.match_index("d") == added_at


def test_a_learner_that_has_forgotten_its_log_begins_anew(cluster):
    """The leader had it for one that has caught up, and did not see the link break."""
    cluster.reconcile("a", "abcd", epoch=3)
    cluster.settle()
    leader = cluster["a"]
    assert leader.engine.is_near("d")
    forget(cluster)
    cluster.tick("a")
    cluster.deliver("a", "d")
    cluster.deliver("d", "a")
    assert leader.match_index("d") == 0 and not leader.engine.is_near("d")
    cluster.change("a", "abcd", epoch=3)
    assert cluster["d"].values == ["x"]


def test_a_live_member_stays_while_one_that_is_wanted_is_dead():
    cluster = ours.Cluster("abcd").lead("a")
    cluster.cut("c")
    for _ in range(5):
        cluster.reconcile("a", "abc")
        cluster.run(0.1, *"abd")
    assert cluster["a"].names == "a b c d"
    cluster.join("c")
    cluster.change("a", "abc")


# The disk.


@pytest.fixture(params=["simulated", "real"])
def disk(request, tmp_path):
    if request.param == "simulated":
        yield ours.Disk(random.Random(1))
    else:
        store = LmdbStore(tmp_path / "slave")
        yield store
        store.close()


def a_removed_one(disk) -> tuple[Journal, WriteSet]:
    writes = WriteSet()
    journal = Journal(ours.GROUP, writes)
    journal.begin("abc")
    journal.setCurrentTerm(7, "b")
    for index in range(2, 9):
        journal.add(b"\x00entry", index, 7)
    disk.commit(writes.take()[1])
    journal.setRaftCommitIndex(8)  # its record is due with the next write set
    journal.retire(8, 7)
    return journal, writes


def loaded(disk) -> tuple[bool, Journal]:
    journal = Journal(ours.GROUP, WriteSet())
    return journal.load(disk), journal


def test_a_crash_before_it_is_on_disk_leaves_the_whole_log(disk):
    a_removed_one(disk)
    is_there, journal = loaded(disk)
    assert is_there and journal.last_index == 8 and journal.left_at == 0 and journal.may_vote


def test_a_crash_after_it_leaves_term_vote_and_where_it_was_removed(disk):
    _, writes = a_removed_one(disk)
    disk.commit(writes.take()[1])
    is_there, journal = loaded(disk)
    assert not is_there and journal.left_at == 8
    assert (journal.meta.term, journal.meta.voted_for) == (7, "b")
    journal.join()
    assert not journal.may_vote


def test_a_crash_after_it_was_opened_again_changes_nothing(disk):
    _, writes = a_removed_one(disk)
    disk.commit(writes.take()[1])
    _, journal = loaded(disk)
    journal.join()
    disk.commit(journal.writes.take()[1])
    is_there, again = loaded(disk)
    assert is_there and again.last_index == 0 and not again.may_vote
    assert (again.meta.term, again.meta.voted_for) == (7, "b")


def test_a_second_removal_remembers_the_later_one(disk):
    """As a learner it heard of a configuration without it that is older than its removal."""
    _, writes = a_removed_one(disk)
    disk.commit(writes.take()[1])
    _, journal = loaded(disk)
    journal.join()
    journal.retire(3, 9)
    disk.commit(journal.writes.take()[1])
    _, again = loaded(disk)
    assert again.left_at == 8 and (again.meta.term, again.meta.voted_for) == (9, None)
