"""Changes of the members: as the library makes them, and by our mechanism, which is another one
altogether (distrodb/raft/membership.py)."""

import pickle

import pytest

from distrodb.errors import PeerError
from distrodb.raft import messages as m
from tests.library import ours, plain

ran: list[str] = []


def ran_by_unpickling(what: str) -> None:
    ran.append(what)


class Hostile:
    """Pickles as a call: whoever unpickles it has made the call."""

    def __init__(self, what: str):
        self._what = what

    def __reduce__(self):
        return ran_by_unpickling, (self._what,)


@pytest.fixture
def cluster():
    return plain.Cluster(dynamicMembershipChange=True).lead("a")


def add(cluster, leader, name):
    outcome = plain.Outcome()
    cluster[leader].addNodeToCluster(plain.Member(name), outcome)
    cluster.tick(leader)
    return outcome


def remove(cluster, leader, name):
    outcome = plain.Outcome()
    cluster[leader].removeNodeFromCluster(plain.Member(name), outcome)
    cluster.tick(leader)
    return outcome


def test_plain_three_changes_are_accepted_while_none_can_commit(cluster):
    """The guard's ``__changeClusterIDx`` is read and never set."""
    cluster.cut("a")
    outcomes = [add(cluster, "a", name) for name in "def"]
    assert [outcome.reason for outcome in outcomes] == [None] * 3  # none was refused
    assert cluster["a"].members == set("abcdef") and cluster["b"].members == set("abc")


def test_plain_two_leaders_acknowledge_at_once(cluster):
    """What follows from it: two removals at once leave majorities that do not meet."""
    remove(cluster, "a", "c")
    remove(cluster, "a", "b")
    assert cluster["a"].members == {"a"}
    cluster.cut("a")
    alone = cluster.write("a", "alone")
    cluster.tick("a")
    cluster.elect("b", "c")
    both = cluster.write("b", "with c")
    cluster.settle("b", "c")
    assert alone.is_ok and both.is_ok and cluster["a"].leads and cluster["b"].leads


def test_plain_the_configuration_after_a_restart_is_the_caller_s(tmp_path):
    cluster = plain.Cluster(files=tmp_path, dynamicMembershipChange=True).lead("a")
    added = add(cluster, "a", "d")
    cluster.settle()
    assert cluster["b"].members == set("abcd") and added.is_ok
    cluster.stop("b")
    assert cluster.start("b", "ab").members == {"a", "b"}


def test_plain_an_entry_is_made_effective_twice(cluster):
    """Once when it is appended and once when it is applied: a later removal is undone for a time,
    or for good if it is not applied."""
    add(cluster, "a", "d")
    remove(cluster, "a", "d")
    assert cluster["a"].members == set("abc")
    message = {"type": "next_node_idx", "reset": False, "success": True}
    cluster.hand_over("b", "a", {**message, "next_node_idx": cluster["a"].last_index})
    cluster.tick("a")
    assert cluster["a"].applied_index == cluster["a"].last_index - 1
    assert cluster["a"].members == set("abcd")


def test_plain_a_restart_replays_what_the_caller_s_configuration_has(tmp_path):
    """The caller knows of the removal; the journal makes the member a member again first."""
    cluster = plain.Cluster(files=tmp_path, dynamicMembershipChange=True).lead("a")
    add(cluster, "a", "d")
    remove(cluster, "a", "d")
    cluster.settle()
    cluster.stop("b")
    member = cluster.start("b", "abc")
    cluster.run(1.0, "a", "b", "c")
    assert member.wire.added == ["d"]


def test_plain_a_member_that_is_removed_is_not_told(cluster):
    """The leader drops the link before the entry has left; and nobody can remove the leader."""
    assert remove(cluster, "a", "a").reason == plain.FAIL_REASON.REQUEST_DENIED
    remove(cluster, "a", "c")
    cluster.settle()
    assert cluster["a"].members == {"a", "b"} and cluster["c"].members == set("abc")


def test_plain_membership_entries_are_unpickled(cluster):
    ran.clear()
    leader = cluster["a"]
    command = b"\x02" + pickle.dumps(Hostile("a membership entry"), 2)
    message = {
        "type": "append_entries",
        "term": leader.term,
        "commit_index": 1,
        "prevLogIdx": leader.last_index,
        "prevLogTerm": leader.term,
        "entries": [(command, leader.last_index + 1, leader.term)],
    }
    cluster.hand_over("a", "b", message)  # the call returns None, which is taken for no change
    assert ran == ["a membership entry"]


# Ours: configurations in the log, one change at a time, learners first.


@pytest.fixture
def ours_abc():
    return ours.Cluster().lead("a")


def test_ours_one_change_is_made_at_a_time(ours_abc):
    """Two are to come; while the first cannot commit, nothing more is asked for."""
    for name in "de":
        ours_abc.start(name)
    ours_abc.run(1.0, "a", "b", "c")
    ours_abc.reconcile("a", "abcde")
    ours_abc.run(0.5, *"abcde")
    ours_abc.reconcile("a", "abcde")
    ours_abc.cut("a", "b", "c")
    for _ in range(3):
        ours_abc.reconcile("a", "abcde")
        ours_abc.tick("a", after_s=0.01)
    assert ours_abc["a"].leads and ours_abc["a"].names == "a b c d"
    assert ours_abc["b"].names == "a b c"


def test_ours_two_leaders_never_acknowledge_at_once(ours_abc):
    """The story of the plain test: both others are to be removed, and a is cut off."""
    ours_abc.reconcile("a", "a")
    ours_abc.reconcile("a", "a")
    assert ours_abc["a"].names == "a c"  # one of them only
    ours_abc.cut("a")
    alone = ours_abc.write("a", "alone")
    ours_abc.tick("a")
    ours_abc.elect("b", "c")
    both = ours_abc.write("b", "with c")
    ours_abc.settle("b", "c")
    assert both.is_ok and not alone.is_ok


def test_ours_a_new_leader_changes_nothing_before_it_has_committed(ours_abc):
    """Otherwise two changes of two leaders might not meet: the fault of Raft's first edition of
    this mechanism (Ongaro, raft-dev, 2015)."""
    ours_abc.start("d")
    ours_abc.cut("a")
    ours_abc.stand("b")
    ours_abc.elect("b", "c")
    assert ours_abc["b"].leads and not ours_abc["b"].member.is_ready
    ours_abc.reconcile("b", "bc")
    assert ours_abc["b"].names == "a b c" and not ours_abc["b"].member.learners
    ours_abc.settle("b", "c", "d")
    ours_abc.reconcile("b", "bc")
    assert ours_abc["b"].names == "b c"


def test_ours_the_map_of_an_older_epoch_changes_nothing(ours_abc):
    ours_abc.start("d")
    ours_abc.change("a", "abcd", epoch=5)
    ours_abc.reconcile("a", "abc", epoch=4)
    assert ours_abc["a"].names == "a b c d"
    ours_abc.change("a", "abc", epoch=5)


def test_ours_the_configuration_after_a_restart_is_the_log_s(ours_abc):
    ours_abc.start("d")
    ours_abc.change("a", "abcd")
    assert [ours_abc.start(name).names for name in "abcd"] == ["a b c d"] * 4


def test_ours_the_configuration_outlives_the_log_behind_a_snapshot(ours_abc):
    ours_abc.start("d")
    ours_abc.change("a", "abcd")
    ours_abc.write("a", "x")
    ours_abc.settle()
    ours_abc.compact("b")
    member = ours_abc.start("b")
    assert member.journal.first_index > 2 and member.names == "a b c d"


def test_ours_a_snapshot_brings_its_configuration(ours_abc):
    ours_abc.start("d")
    ours_abc.cut("c")
    ours_abc.change("a", "abcd", "a", "b", "d")
    ours_abc.compact("a")
    ours_abc.join("c")
    ours_abc.run(1.0, *"abcd")
    assert ours_abc["c"].journal.first_index > 2 and set(ours_abc["c"].member.voters) == set("abd")
    assert ours_abc.start("c").names == "a b c d"


def test_ours_a_restart_makes_nobody_a_member_again(ours_abc):
    """Its log has d's coming and d's going, and both are applied once more."""
    ours_abc.start("d")
    ours_abc.change("a", "abcd")
    ours_abc.change("a", "abc", epoch=3)
    member = ours_abc.start("b")
    seen = {member.names}
    for _ in range(10):
        ours_abc.run(0.1, "a", "b", "c")
        seen.add(member.names)
    assert seen == {"a b c"} and member.applied_index == ours_abc["a"].applied_index


def test_ours_an_entry_is_effective_when_it_is_appended_and_then_never_again(ours_abc):
    ours_abc.start("d")
    ours_abc.change("a", "abcd")
    added = ours_abc["a"].last_index
    ours_abc.reconcile("a", "abc", epoch=3)
    assert ours_abc["a"].names == "a b c" and ours_abc["a"].commit_index == added
    ours_abc.settle()
    assert [ours_abc[name].names for name in "abc"] == ["a b c"] * 3
    assert ours_abc["a"].applied_index == ours_abc["a"].last_index > added


def test_ours_a_configuration_that_is_truncated_gives_way_to_the_one_before(ours_abc):
    """a has added d, and only d has heard of it; b is elected by c and goes on without it."""
    ours_abc.start("d")
    ours_abc.reconcile("a", "abcd")
    ours_abc.settle()
    ours_abc.reconcile("a", "abcd")
    ours_abc.deliver("a", "d")
    ours_abc.cut("a", "b", "c")
    ours_abc.cut("d", "b", "c")
    assert [ours_abc[name].names for name in "abcd"] == ["a b c d", "a b c", "a b c", "a b c d"]
    assert ours_abc["d"].member.is_member
    ours_abc.elect("b", "c")
    ours_abc.settle("b", "c")
    for name in "ad":
        ours_abc.join(name)
    ours_abc.settle()
    ours_abc.reconcile("b", "abcd")
    ours_abc.run(0.3, *"abcd")
    assert [ours_abc[name].names for name in "abcd"] == ["a b c"] * 4
    assert not ours_abc["d"].member.is_member
    assert ours_abc.start("a").names == "a b c"  # on disk too


def test_ours_a_new_member_learns_before_it_counts(ours_abc):
    """Until it has caught up, it is sent the log, or a snapshot, and nobody counts it."""
    for n in range(30):
        ours_abc.write("a", f"value{n}")
    ours_abc.settle()
    ours_abc.start("d")
    ours_abc.reconcile("a", "abcd")
    assert list(ours_abc["a"].member.learners) == ["d"] and ours_abc["a"].names == "a b c"
    ours_abc.deliver("a", "d")
    ours_abc.reconcile("a", "abcd")
    assert ours_abc["a"].names == "a b c"
    ours_abc.run(1.0, *"abcd")
    assert len(ours_abc["d"].values) == 30 and not ours_abc["d"].member.is_member
    ours_abc.reconcile("a", "abcd")
    assert ours_abc["a"].names == "a b c d"
    ours_abc.settle()
    assert ours_abc["d"].member.is_member


def test_ours_what_a_learner_acknowledges_does_not_count(ours_abc):
    ours_abc.start("d")
    ours_abc.reconcile("a", "abcd")
    ours_abc.settle()
    assert ours_abc["a"].names == "a b c"
    ours_abc.cut("a", "b", "c")
    outcome = ours_abc.write("a", "x")
    ours_abc.deliver("a", "d")
    ours_abc.deliver("d", "a")
    assert ours_abc["a"].match_index("d") == ours_abc["a"].last_index and outcome.reason is None


def test_ours_a_learner_neither_stands_nor_keeps_a_leader_in_office(ours_abc):
    ours_abc.start("d")
    ours_abc.reconcile("a", "abcd")
    ours_abc.settle()
    ours_abc.cut("a", "b", "c")
    ours_abc.run(ours.ELECTION_S, "a", "d")
    assert not ours_abc["a"].leads and not ours_abc.under_way("d", "b")
    asked = {message[1] for sender, _, message in ours_abc.history if sender == "d"}
    assert not asked & {m.VOTE_REQUEST, m.PREVOTE_REQUEST}


def test_ours_a_learner_that_is_lost_begins_anew_when_it_is_back(ours_abc):
    ours_abc.start("d")
    ours_abc.reconcile("a", "abcd")
    ours_abc.settle()
    ours_abc.cut("d")
    ours_abc.reconcile("a", "abcd")
    assert not ours_abc["a"].member.learners and ours_abc["a"].names == "a b c"
    for n in range(30):
        ours_abc.write("a", f"value{n}")
    ours_abc.settle("a", "b", "c")
    ours_abc.compact("a")
    ours_abc.join("d")
    ours_abc.reconcile("a", "abcd")
    assert ours_abc["a"].names == "a b c"
    ours_abc.change("a", "abcd")
    assert len(ours_abc["d"].values) == 30


def test_ours_the_dead_go_out_before_the_new_come_in(ours_abc):
    ours_abc.cut("c")
    ours_abc.reconcile("a", "abd")
    assert ours_abc["a"].names == "a b c"  # nobody is there to take its place
    ours_abc.start("d")
    assert ours_abc.change("a", "abd", *"abd") == ["a b c", "a b", "a b d"]


def test_ours_the_living_go_out_after_the_new_have_come_in(ours_abc):
    ours_abc.start("d")
    assert ours_abc.change("a", "abd") == ["a b c", "a b c d", "a b d"]


def test_ours_a_live_member_stays_while_those_that_stay_lag(ours_abc):
    """Found by the simulator: b is merely behind; without c one full copy less would be left."""
    ours_abc.start("d")
    ours_abc.change("a", "abcd")
    for n in range(20):
        ours_abc.write("a", f"value{n}")
        for other in "cd":
            ours_abc.deliver("a", other)
            ours_abc.deliver(other, "a")
    ours_abc.reconcile("a", "abd")
    assert ours_abc["a"].names == "a b c d"
    ours_abc.settle()
    ours_abc.reconcile("a", "abd")
    assert ours_abc["a"].names == "a b d"


def test_ours_a_member_that_lags_goes_at_once(ours_abc):
    ours_abc.start("d")
    ours_abc.change("a", "abcd")
    for n in range(20):
        ours_abc.write("a", f"value{n}")
        for other in "cd":
            ours_abc.deliver("a", other)
            ours_abc.deliver(other, "a")
    ours_abc.reconcile("a", "acd", epoch=3)
    assert ours_abc["a"].names == "a c d"


def test_ours_majorities_are_counted_in_the_newest_configuration(ours_abc):
    """Two of three are not enough once a fourth is added, though that is not yet committed."""
    ours_abc.start("d")
    ours_abc.reconcile("a", "abcd")
    ours_abc.settle()
    ours_abc.reconcile("a", "abcd")
    ours_abc.cut("a", "c")
    ours_abc.cut("a", "d")
    assert ours_abc["a"].names == "a b c d"
    outcome = ours_abc.write("a", "x")
    ours_abc.deliver("a", "b")
    ours_abc.deliver("b", "a")
    assert ours_abc["a"].match_index("b") == ours_abc["a"].last_index and outcome.reason is None
    ours_abc.join("a", "c")
    ours_abc.deliver("a", "c")
    ours_abc.deliver("c", "a")
    assert outcome.is_ok


def test_ours_what_a_removed_member_says_does_not_count(ours_abc):
    """c acknowledges an entry, and votes; neither counts any more."""
    ours_abc.start("d")
    ours_abc.change("a", "abcd")
    ours_abc.change("a", "abd", epoch=3)
    leader = ours_abc["a"]
    for other in "bd":
        ours_abc.cut("a", other)
    outcome = ours_abc.write("a", "x")
    ack = [ours.GROUP, m.ACK, leader.term, True, leader.last_index, 0]
    ours_abc.hand_over("c", "a", ack)
    assert outcome.reason is None
    ours_abc.run(ours.ELECTION_S, "a")
    assert not leader.leads
    ours_abc.join("a", "b")
    ours_abc.stand("a")
    ours_abc.hand_over("c", "a", [ours.GROUP, m.PREVOTE, leader.term + 1])
    assert not leader.member._elections._prevotes
    ours_abc.deliver("a", "b")
    ours_abc.hand_over("c", "a", [ours.GROUP, m.VOTE, leader.term])
    assert not leader.leads


def a_wiped_member_comes_back(cluster):
    """b acknowledges a write together with a, and loses its directory; c has not heard of it."""
    cluster.cut("c")
    outcome = cluster.write("a", "x")
    cluster.settle("a", "b")
    assert outcome.is_ok
    cluster.cut("b")
    cluster.start("b/2")


def test_ours_a_wiped_member_elects_nobody_against_what_it_has_acknowledged(ours_abc):
    a_wiped_member_comes_back(ours_abc)
    ours_abc.cut("a")
    ours_abc.join("c", "b/2")
    ours_abc.run(10.0, "c", "b/2")
    assert not ours_abc["c"].leads and not ours_abc["b/2"].leads
    ours_abc.hand_over("b/2", "c", [ours.GROUP, m.PREVOTE, ours_abc["c"].term + 1])
    assert not ours_abc["c"].member._elections._prevotes


def test_ours_a_wiped_member_counts_when_it_has_caught_up_and_was_added(ours_abc):
    a_wiped_member_comes_back(ours_abc)
    ours_abc.join("c", "a")
    ours_abc.join("c", "b/2")
    steps = ours_abc.change("a", ("a", "b/2", "c"), "a", "b/2", "c")
    assert steps == ["a b c", "a c", "a b/2 c"]
    ours_abc.cut("a")
    ours_abc.elect("b/2", "c")
    assert ours_abc["b/2"].values == ["x"]


def test_ours_membership_entries_are_not_unpickled(ours_abc):
    ran.clear()
    leader = ours_abc["a"]
    last, term = leader.last_index, leader.term
    command = b"\x02" + pickle.dumps(Hostile("a membership entry"), 2)
    append = [ours.GROUP, m.APPEND, term, last, term, last, 0, [[term, command]]]
    with pytest.raises(PeerError, match="membership"):
        ours_abc.hand_over("a", "b", append)
    assert ran == [] and ours_abc["b"].names == "a b c"


# Our own mechanism, where it fails.


def test_ours_one_replacement_lets_one_dead_member_out():
    """Two of five are dead, and one slave is there to take the place of one."""
    cluster = ours.Cluster("abcde").lead("a")
    cluster.cut("d")
    cluster.cut("e")
    cluster.start("f")
    cluster.cut("f", "d", "e")
    steps = []
    for _ in range(20):
        cluster.reconcile("a", "abcfg")
        steps.append(len(cluster["a"].member.members))
        cluster.run(0.1, *"abcf")
    assert min(steps) == 4 and steps[-1] == 5


def test_ours_a_group_never_shrinks_to_one_copy(ours_abc):
    """b and c are to be replaced and c is dead; the link to b breaks for an instant."""
    ours_abc.start("d")
    ours_abc.cut("c")
    while ours_abc["a"].names == "a b c":
        ours_abc.reconcile("a", "ade")
        ours_abc.run(0.1, *"abd")
    assert ours_abc["a"].names == "a b"
    ours_abc.cut("a", "b")
    ours_abc.reconcile("a", "ade")
    ours_abc.cut("a", "d")
    outcome = ours_abc.write("a", "on a alone")
    ours_abc.tick("a", "a", after_s=0.01)
    assert not outcome.is_ok


def test_ours_without_a_replacement_too_the_dead_go_out_first():
    """With d out, c and e dead, two of the remaining four are too few to commit that."""
    cluster = ours.Cluster("abcde").lead("a")
    cluster.cut("c")
    cluster.cut("e")
    cluster.reconcile("a", "abc")
    assert cluster["a"].names == "a b c d"


def test_ours_no_change_leaves_a_majority_of_dead_members(ours_abc):
    """The group is to shrink, and one of those who stay is dead just now."""
    ours_abc.cut("b")
    ours_abc.reconcile("a", "ab")
    outcome = ours_abc.write("a", "x")
    ours_abc.run(1.0, "a", "c")
    assert outcome.is_ok


def test_ours_no_change_counts_on_one_that_is_linked_and_does_not_answer(ours_abc):
    """b has just died, and its link is not broken yet; c is dead too, which d is to replace.
    Without c the group would be a and b: if b is gone for good it waits for ever, though c comes
    back.  (Simulator, healing seeds 1161339158 and 652341470.)"""
    ours_abc.start("d")
    ours_abc.reconcile("a", "abd")
    ours_abc.settle()
    ours_abc.cut("c")
    for _ in range(3):
        ours_abc.reconcile("a", "abd", answering="d")
        ours_abc.tick("a", after_s=0.01)
    assert ours_abc["a"].leads and ours_abc["a"].names == "a b c"
    ours_abc.reconcile("a", "abd", answering="bd")
    assert ours_abc["a"].names == "a b"


def test_ours_an_answer_of_some_time_ago_is_none(ours_abc):
    ours_abc.start("d")
    ours_abc.reconcile("a", "abd")
    ours_abc.settle()
    ours_abc.cut("c")
    member = ours_abc["a"].member
    member.reconcile(ours_abc.now, 2, "abd")
    member._state.followers["b"].answered(ours_abc.now, member.round, 0)
    assert not member.reconcile(ours_abc.now + 1.01 * ours.TIMEOUT_S, 2, "abd")
    assert ours_abc["a"].names == "a b c"


def test_ours_a_leader_that_is_not_wanted_hands_over_and_goes(ours_abc):
    ours_abc.start("d")
    for _ in range(50):
        for name in "abcd":
            if ours_abc[name].leads:
                ours_abc.reconcile(name, "bcd")
        ours_abc.run(0.1, *"abcd")
    assert ours_abc["b"].names == "b c d"
