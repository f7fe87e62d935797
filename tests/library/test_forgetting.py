"""A member that was removed alive forgets its log, and may be taken in again under the same name.

Whoever knows only the configuration in which it was a member still counts on it.
"""

import random
from dataclasses import replace

import pytest

from distrodb.raft import messages as m
from distrodb.raft.journal import (
    LAST_INDEX,
    Configuration,
    Journal,
    WriteSet,
    load_farewell,
    load_meta,
)
from distrodb.raft.lmdb_store import LmdbStore
from distrodb.slave.core import map_of
from distrodb.slave.gossip import News
from tests.library import ours
from tests.library.test_membership import a_core


@pytest.fixture
def abc():
    cluster = ours.Cluster("abc")
    cluster.elect("a")
    cluster.settle()
    return cluster


def test_it_neither_votes_nor_stands_before_its_log_has_come_past_its_removal(abc):
    abc.forget("c", left_at=abc["a"].last_index + 3)
    abc.cut("a", "b", "c")
    with pytest.raises(AssertionError, match="b was not elected"):
        abc.elect("b", "c")
    assert not [message for sender, _, message in abc.history if sender == "c" and is_vote(message)]
    abc.join("a")
    abc.settle()
    if not abc["a"].leads:
        abc.elect("a", "b")
    for n in range(5):
        abc.write("a", f"value{n}")
    abc.run(2.0, *"abc")
    assert abc["c"].values == abc["a"].values and abc["c"].engine.is_member
    abc.cut("a", "b", "c")
    abc.elect("b", "c")


def is_vote(message: list) -> bool:
    return message[1] in (m.VOTE, m.PREVOTE, m.VOTE_REQUEST, m.PREVOTE_REQUEST) and message[2] > 1


def test_its_term_and_vote_stay(abc):
    abc.elect("b", "c")
    before = abc["c"].journal.meta
    after = abc.forget("c", left_at=2).journal.meta
    assert (after.term, after.voted_for) == (before.term, "b")
    assert abc.forget("c", left_at=2, term=after.term + 5).term == before.term + 5
    assert abc["c"].journal.meta.voted_for is None


def test_a_removal_is_never_forgotten_for_an_older_one(abc):
    abc.forget("c", left_at=70)
    assert abc.forget("c", left_at=3).journal.left_at == 70


def test_a_learner_that_has_forgotten_its_log_begins_anew(abc):
    abc.start("d")
    for n in range(5):
        abc.write("a", f"value{n}")
    abc.settle()
    abc.reconcile("a", "abcd")
    abc.run(1.0, *"abcd")
    assert abc["a"].match_index("d") == abc["a"].last_index
    abc.forget("d", left_at=1)
    abc.change("a", "abcd")
    assert abc["d"].values == abc["a"].values and len(abc["d"].values) == 5


def test_one_that_is_added_counts_from_the_entry_that_added_it():
    """It may have forgotten what it acknowledged as a learner: with its acknowledgement of then x
    would be committed, and on one disk only."""
    cluster = ours.Cluster("ab")
    cluster.elect("a")
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
    assert cluster["a"].names == "a b d" and outcome.reason is None
    cluster.deliver("a", "d")
    cluster.deliver("d", "a")
    assert outcome.is_ok


def test_a_live_member_does_not_go_while_a_wanted_one_is_dead(abc):
    abc.start("d")
    abc.change("a", "abcd")
    abc.cut("b")
    for _ in range(20):
        abc.reconcile("a", "abd", epoch=3)
        abc.run(0.1, "a", "c", "d")
    assert abc["a"].names == "a b c d"
    abc.join("b")
    abc.change("a", "abd", epoch=3)


def test_a_crash_leaves_the_log_or_the_farewell_and_nothing_between(tmp_path):
    store, writes = LmdbStore(tmp_path), WriteSet()
    journal = Journal(7, writes)
    journal.begin("abc")
    journal.setCurrentTerm(4, "b")
    store.commit(writes.take()[1])
    journal.retire(9, 3)
    store.close()  # before the write set is on disk
    store = LmdbStore(tmp_path)
    assert load_meta(store, 7).term == 4 and load_farewell(store, 7) is None
    store.commit(writes.take()[1])
    store.close()
    store, again = LmdbStore(tmp_path), Journal(7, WriteSet())
    assert load_meta(store, 7) is None and not again.load(store)
    assert (again.meta.term, again.meta.voted_for, again.left_at) == (4, "b", 9)
    again.join()
    store.commit(again.writes.take()[1])
    loaded = Journal(7, WriteSet())
    assert loaded.load(store) and loaded.meta.term == 4 and not loaded.may_vote
    store.close()


def test_a_slave_is_told_of_its_removal_and_forgets_and_may_come_again():
    """A removed member is sent nothing by Raft, not even its removal: the leader's report tells it.
    Only when the map does not want it either."""
    disk = ours.Disk(random.Random(0), "b")
    core = a_core("b", disk)
    born = map_of(core.config, dict.fromkeys("abcd", core.incarnation))
    without = tuple(f"{node}/{core.incarnation}" for node in "acd")
    report = {0: Configuration(5, 2, without)}
    core.receive_gossip(1000.0, "a", News(1, {0: 8}, reports=report, map=born).to_plain())
    core.tick(1000.0)
    assert 0 in core.groups  # the map wants it here
    first, *others = born.partitions
    moved = replace(born, epoch=2, partitions=(replace(first, group=tuple("acd")), *others))
    core.receive_gossip(1000.0, "a", News(2, {0: 8}, map=moved).to_plain())
    core.tick(1000.0)
    assert 0 not in core.groups and core.leader_of(0) == "a"
    back = replace(moved, epoch=3, partitions=born.partitions)
    core.receive_gossip(1000.0, "a", News(3, {0: 8}, map=back).to_plain())
    assert 0 not in core.groups  # not before the deletion is on disk
    sequence, operations = core.flush(1000.0, ours.WALL_MS).journal
    disk.commit(operations)
    core.durable(1000.0, sequence)
    assert core.flush(1000.0, ours.WALL_MS).obsolete == [(0, LAST_INDEX)]  # all older snapshots
    journal = core.groups[0].journal
    assert journal.last_index == 0 and journal.left_at == 5 and core.groups[0].engine.term == 8


def test_a_leader_that_hands_over_takes_no_commands_and_goes_on_if_nobody_takes_over(abc):
    abc["a"].group.hand_over(abc.now, ["b"])
    call = abc.ask("a", b"PUT", b"x")
    abc.lose("a", "b")  # what asks it to lead
    abc.run(0.4, "a", "c")
    assert call.reply is None and abc["a"].leads
    abc.run(0.4, "a", "c")
    assert call.reply is not None


def test_a_leader_that_hands_over_hands_back_what_waits(abc):
    abc["a"].group.hand_over(abc.now, ["b"])
    call = abc.ask("a", b"PUT", b"x")
    abc.run(0.3, *"abc")
    assert abc["b"].leads and call.was_handed_back
