"""A slave that the map does not want in a group any more asks its leader to let it go, forgets its
log, and may be taken in again under the same name: as if it had forgotten nothing.

Whoever knows only the configuration in which it was a member still counts on it.
"""

import random

import pytest

from distrodb.raft import messages as m
from distrodb.raft.log import Configuration, Log
from distrodb.raft.write_set import WriteSet
from distrodb.storage.journal import open_journal
from tests.library import ours


@pytest.fixture
def cluster():
    """Four members, d removed; a leads, and d has not heard of it."""
    cluster = ours.Cluster("abcd").lead("a")
    cluster.write("a", "x")
    cluster.settle()
    cluster.change("a", "abc")
    cluster.settle("a", "b", "c")
    assert cluster["d"].member.is_member
    return cluster


def let_go(cluster: ours.Cluster, name: str = "d", by: str = "a") -> int | None:
    """What comes of it when it asks a leader."""
    cluster.ask_to_leave(name)
    cluster.deliver(name, by)
    cluster.deliver(by, name)
    return cluster[name].member.removed_at


def forget(cluster: ours.Cluster) -> ours.Replica:
    assert let_go(cluster)
    return cluster.forget("d")


# When it may go.


def test_a_leader_lets_go_of_one_that_is_removed(cluster):
    assert cluster["d"].member.removed_at is None
    assert let_go(cluster) == cluster["a"].journal.configuration.index


def test_only_a_leader_lets_it_go(cluster):
    assert let_go(cluster, by="b") is None


def test_a_leader_keeps_a_member_and_a_learner():
    cluster = ours.Cluster().lead("a")
    assert let_go(cluster, "c") is None
    cluster.start("d")
    cluster.reconcile("a", "abcd")
    assert list(cluster["a"].member.learners) == ["d"]
    assert let_go(cluster, "d") is None


def test_a_leader_lets_nobody_go_before_the_removal_is_committed():
    cluster = ours.Cluster("abcd").lead("a")
    cluster.reconcile("a", "abc")
    assert cluster["a"].names == "a b c"
    assert let_go(cluster) is None
    cluster.settle("a", "b", "c")
    assert let_go(cluster)


def test_one_whose_term_is_ahead_may_go_too(cluster):
    """A candidate has asked for its vote, and then nothing came of it."""
    cluster["d"].member._state.enter_term(cluster["a"].term + 1)
    assert let_go(cluster) is None and not cluster["a"].leads
    cluster.elect("a", "b", "c")
    cluster.settle("a", "b", "c")
    assert let_go(cluster)


def test_one_whose_term_is_behind_learns_of_the_leader_s(cluster):
    cluster.ask_to_leave("d")
    term, number = cluster["a"].term + 3, cluster["d"].member._membership._leave_number
    cluster.hand_over("a", "d", [ours.GROUP, m.LEAVE, term, number, 9])
    assert cluster["d"].member.removed_at == 9 and cluster["d"].term == term


def test_one_that_is_about_to_be_added_is_not_let_go():
    """a adds d when the map wants it no more, and d has not heard of it; then c is gone for good.
    Two of the four are no majority, so without d there would never be one again."""
    cluster = ours.Cluster().lead("a")
    cluster.start("d")
    cluster.reconcile("a", "abcd")
    cluster.settle()
    cluster.reconcile("a", "abcd")
    cluster.lose("a", "d")
    cluster.deliver("a", "b")
    assert cluster["b"].names == "a b c d" and cluster["d"].names == "a b c"
    assert let_go(cluster) is None
    cluster.cut("c")
    cluster.start("a")
    cluster.elect("b", "a", "d")
    cluster.settle("a", "b", "d")
    assert cluster["b"].member.is_ready and cluster["d"].names == "a b c d"


def test_who_follows_a_leader_after_it_asked_stays(cluster):
    """The answer is on its way for long; meanwhile the leader takes it in again."""
    cluster.ask_to_leave("d")
    cluster.deliver("d", "a")
    late = cluster.lose("a", "d")
    assert [message[1] for message in late] == [m.LEAVE]
    cluster.change("a", "abcd", epoch=3)
    assert cluster["d"].member.is_member
    cluster.hand_over("a", "d", late[0])
    assert cluster["d"].member.removed_at is None


def test_who_was_let_go_and_then_follows_a_leader_stays(cluster):
    assert let_go(cluster)
    cluster.reconcile("a", "abcd", epoch=3)
    cluster.deliver("a", "d")
    assert cluster["d"].member.removed_at is None


def test_an_answer_to_its_life_before_does_not_count(cluster):
    cluster.ask_to_leave("d")
    cluster.deliver("d", "a")
    late = cluster.lose("a", "d")
    cluster.start("d")
    cluster.ask_to_leave("d")
    cluster.hand_over("a", "d", late[0])
    assert cluster["d"].member.removed_at is None
    assert let_go(cluster)


def test_a_leader_of_an_older_term_is_not_heard(cluster):
    """b leads and is about to add d; a, which is cut off from it, leads still as it thinks."""
    cluster.cut("a", "b", "c")
    cluster.elect("b", "c")
    cluster.settle("b", "c")
    cluster.reconcile("b", "abcd", epoch=3)
    cluster.settle("b", "c", "d")
    assert cluster["a"].member.is_ready
    cluster.ask_to_leave("d")
    answer = [
        ours.GROUP,
        m.LEAVE,
        cluster["a"].term,
        cluster["d"].member._membership._leave_number,
        9,
    ]
    cluster.hand_over("a", "d", answer)
    assert cluster["d"].member.removed_at is None
    cluster.deliver("d", "a")  # which learns of the newer term
    assert not cluster["a"].leads


# What it forgets, and what not.


def test_it_forgets_its_log_but_neither_its_term_nor_its_vote(cluster):
    member = cluster["d"]
    member.journal.setCurrentTerm(cluster["a"].term, "c")
    member.turn()
    again = forget(cluster)
    assert again.log == [(b"\x01", 0, 0)] and again.values == []
    assert again.journal.meta.voted_for == "c" and again.term == cluster["a"].term
    before = len(cluster.history)
    candidate = [ours.GROUP, m.VOTE_REQUEST, again.term, 1000, again.term, False]
    cluster.hand_over("b", "d", candidate)
    assert not [message for _, _, message in cluster.history[before:] if message[1] == m.VOTE]


def test_it_follows_no_leader_of_a_term_before_its_removal(cluster):
    """Such a one may send it a log in which it was never removed."""
    old = cluster["d"].term
    cluster.cut("d")
    cluster.elect("b", "a", "c")
    cluster.settle("a", "b", "c")
    cluster.join("d", "b")
    assert let_go(cluster, by="b")
    again = cluster.forget("d")
    cluster.hand_over("c", "d", [ours.GROUP, m.APPEND, old, 0, 0, 0, 0, [[1, b"\x01"]]])
    assert again.last_index == 0 and again.term == cluster["b"].term > old


def test_it_neither_votes_nor_stands_before_its_log_is_past_its_removal(cluster):
    """c knows only the members among whom d was one, and d has come as far as that too."""
    again = forget(cluster)
    removed_at, term = again.journal.removed_at, again.term
    entries = [[t, command] for command, _, t in cluster["a"].log[1:] if command]
    until = removed_at - 1
    start, start_term = cluster["a"].log[0][1], cluster["a"].log[0][2]
    again.journal.reset(start, start_term, Configuration(start, 1, tuple("abcd")))
    known = entries[: until - start]
    append = [ours.GROUP, m.APPEND, term, start, start_term, start, 0, known]
    cluster.hand_over("a", "d", append)
    assert again.last_index == until and again.names == "a b c d"
    assert not again.member.is_member and not again.journal.may_vote
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
    assert again.journal.may_vote and not again.member.is_member  # it is not in there any more


def test_taken_in_again_it_votes_and_leads_like_any_other(cluster):
    forget(cluster)
    cluster.change("a", "abcd", epoch=3)
    assert cluster["d"].member.is_member and cluster["d"].values == ["x"]
    cluster.cut("a")
    cluster.elect("d", "b", "c")


# What the leader makes of it.


def test_a_learner_counts_from_what_was_added_when_its_teaching_began(cluster):
    """What it acknowledged in the same term before may be what it has forgotten since."""
    leader = cluster["a"]
    old = [ours.GROUP, m.ACK, leader.term, True, leader.last_index, 0]
    forget(cluster)
    cluster.reconcile("a", "abcd", epoch=3)
    cluster.hand_over("d", "a", old)
    assert leader.match_index("d") == 0 and not leader.member.is_near("d")
    cluster.reconcile("a", "abcd", epoch=3)
    assert leader.names == "a b c"
    cluster.change("a", "abcd", epoch=3)
    assert cluster["d"].values == ["x"]


def test_one_that_is_added_counts_from_the_entry_that_added_it():
    """x is on the disks of a and d, but d would not know that it is a member: if a is lost for
    good, so is x."""
    cluster = ours.Cluster("ab").lead("a")
    cluster.start("d")
    cluster.settle()
    cluster.reconcile("a", "abd")
    cluster.run(1.0, *"abd")
    outcome = cluster.write("a", "x")
    cluster.deliver("a", "d")
    cluster.deliver("d", "a")
    assert cluster["a"].match_index("d") == cluster["a"].last_index
    cluster.reconcile("a", "abd")
    cluster.tick_one("a")
    leader = cluster["a"]
    assert leader.names == "a b d" and outcome.reason is None
    before = [ours.GROUP, m.ACK, leader.term, True, leader.journal.configuration.index - 1, 0]
    cluster.hand_over("d", "a", before)
    assert outcome.reason is None
    cluster.deliver("a", "d")
    cluster.deliver("d", "a")
    assert outcome.is_ok
    cluster.cut("a")
    cluster.elect("d", "b")
    cluster.settle("b", "d")
    assert cluster["b"].values == ["x"]


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
        store = open_journal(tmp_path / "slave")
        yield store
        store.close()


def a_removed_one(disk) -> tuple[Log, WriteSet]:
    writes = WriteSet()
    journal = Log(ours.GROUP, writes)
    journal.begin("abc")
    journal.setCurrentTerm(7, "b")
    for index in range(2, 9):
        journal.add(b"\x00entry", index, 7)
    disk.commit(writes.take()[1])
    journal.setRaftCommitIndex(8)  # its record is due with the next write set
    journal.retire(8)
    return journal, writes


def loaded(disk) -> tuple[bool, Log]:
    journal = Log(ours.GROUP, WriteSet())
    return journal.load(disk), journal


def test_a_crash_before_it_is_on_disk_leaves_the_whole_log(disk):
    a_removed_one(disk)
    is_there, journal = loaded(disk)
    assert is_there and journal.last_index == 8 and journal.removed_at == 0 and journal.may_vote


def test_a_crash_after_it_leaves_term_vote_and_where_it_was_removed(disk):
    _, writes = a_removed_one(disk)
    disk.commit(writes.take()[1])
    is_there, journal = loaded(disk)
    assert not is_there and journal.removed_at == 8
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
    journal.setCurrentTerm(9, None)
    journal.retire(3)
    disk.commit(journal.writes.take()[1])
    _, again = loaded(disk)
    assert again.removed_at == 8 and (again.meta.term, again.meta.voted_for) == (9, None)
