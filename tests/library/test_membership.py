"""Changes of the members, as the library makes them.  Ours are another mechanism altogether; its
tests are with it."""

import pickle

import pytest

from tests.library import plain

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
