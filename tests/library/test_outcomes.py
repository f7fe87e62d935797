"""What a client is told, and what it may believe."""

import contextlib
import itertools
from dataclasses import replace
from unittest import mock

import pytest

from distrodb.errors import InvariantViolation, VersionError
from distrodb.raft import messages as m
from distrodb.resp.reply import OK, ErrorReply
from distrodb.slave.machine_factory import new_store
from tests.library import ours, plain

# LEADER_CHANGED is not a failure.


def test_plain_a_command_that_failed_with_leader_changed_is_committed_later():
    cluster = plain.Cluster().lead("a")
    outcome = cluster.write("b", "forwarded")
    cluster.deliver("b", "a")
    cluster.tick("a")
    cluster.tick("a")
    cluster.deliver("a", "c")
    cluster.cut("a")
    cluster.elect("c", "b")
    cluster.deliver("c", "b", 1)
    assert outcome.reason == plain.FAIL_REASON.LEADER_CHANGED
    cluster.settle("b", "c")
    assert cluster.counts_of("forwarded") == [0, 1, 1]


def test_ours_a_command_under_way_when_the_lead_is_lost_waits_for_its_fate():
    cluster = ours.Cluster().lead("a")
    call = cluster.ask("a", b"PUT", b"x")
    cluster.deliver("a", "c")
    cluster.cut("a")
    cluster.run(ours.TIMEOUT_S * 1.2, "a")
    assert not cluster["a"].leads and call.reply is None
    cluster.elect("c", "b")
    cluster.join("a")
    cluster.settle()
    assert call.reply == OK and cluster.counts_of("x") == [1, 1, 1]


def test_ours_a_command_whose_fate_is_not_learnt_is_unknown():
    cluster = ours.Cluster().lead("a")
    call = cluster.ask("a", b"PUT", b"x")
    cluster.cut("a")
    cluster.run(ours.UNKNOWN_AFTER_S + 1.0, "a")
    assert call.is_unknown and not call.was_handed_back


def test_ours_a_command_that_surely_did_not_happen_is_handed_back():
    cluster = ours.Cluster().lead("a")
    call = cluster.ask("a", b"PUT", b"x")
    cluster.cut("a")
    cluster.elect("c", "b")
    cluster.join("a")
    cluster.settle()
    assert call.was_handed_back and cluster.counts_of("x") == [0, 0, 0]


# New: a leader that steps down keeps its clients waiting, for ever if it hears nobody.


def test_plain_a_leader_that_steps_down_never_answers():
    cluster = plain.Cluster().lead("a")
    outcome = cluster.write("a", "x")
    cluster.cut("a")
    cluster.run(300.0, "a")
    assert not cluster["a"].leads and outcome.reason is None


# (ours: test_ours_a_command_whose_fate_is_not_learnt_is_unknown)


# New: the answer to a forwarded command is lost with a link: its client waits for ever.


def test_plain_a_forwarded_command_whose_answer_is_lost_is_never_answered():
    cluster = plain.Cluster().lead("a")
    outcome = cluster.write("b", "forwarded")
    cluster.deliver("b", "a")
    cluster.tick("a")
    cluster.cut("a", "b")
    cluster.join("a", "b")
    cluster.run(60.0, "a", "b", "c")
    assert cluster.counts_of("forwarded") == [1, 1, 1] and outcome.reason is None


def test_ours_commands_are_never_forwarded():
    cluster = ours.Cluster().lead("a")
    with pytest.raises(InvariantViolation, match="only a leader proposes"):
        cluster.write("b", "x")


# Waiters below a snapshot are never called.


def a_waiter_meets_a_snapshot(cluster):
    """a has an entry that the others lack; they go on, and it gets their state as a snapshot."""
    cluster.lead("a")
    cluster.cut("a")
    outcome = cluster.write("a", "lost")
    cluster.elect("c", "b")
    for n in range(5):
        cluster.write("c", f"value{n}")
    cluster.settle("b", "c")
    cluster.compact("c")
    cluster.join("a")
    cluster.run(5.0, "a", "b", "c")
    assert cluster["a"].values == [f"value{n}" for n in range(5)]
    return outcome


def test_plain_waiters_below_a_snapshot_are_never_called():
    assert a_waiter_meets_a_snapshot(plain.Cluster()).reason is None


def test_ours_waiters_below_a_snapshot_are_called():
    outcome = a_waiter_meets_a_snapshot(ours.Cluster())
    assert outcome.reason in (ours.Fate.UNKNOWN, ours.Fate.OVERWRITTEN)


def test_ours_a_snapshot_answers_what_waits_below_it_unknown():
    cluster = ours.Cluster().lead("a")
    outcome = cluster.write("a", "x")
    member = cluster["a"]
    configuration = replace(member.journal.configuration, index=member.last_index)
    assert member.member.install(cluster.now, member.term, configuration)
    assert outcome.reason == ours.Fate.UNKNOWN


# A state machine that raises: one bad command freezes every member for good.


def test_plain_an_apply_that_raises_freezes_all_members():
    cluster = plain.Cluster().lead("a")
    bad, good = cluster.write("a", "raise"), cluster.write("a", "good")
    for follower in "bc":
        cluster.deliver("a", follower)
        cluster.deliver(follower, "a")
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            cluster.tick("a")
    cluster["a"]._SyncObj__sendAppendEntries()  # what the tick never comes to
    for follower in "bc":
        cluster.deliver("a", follower)
        with pytest.raises(ZeroDivisionError):
            cluster.tick(follower)
    assert cluster.counts_of("good") == [0, 0, 0] and bad.reason is good.reason is None


@pytest.mark.parametrize("args", [[b"NONE"], [b"SET"], [b"SET", b"k", b"v", b"EX", b"x"]])
def test_ours_bad_input_is_an_error_reply(args):
    assert isinstance(new_store(0, 16383).execute(0, args, 0), ErrorReply)


def test_ours_any_other_exception_leaves_the_tick_so_that_the_slave_stops():
    cluster = ours.Cluster().lead("a")
    cluster.write("a", "raise")
    cluster.deliver("a", "b")
    with pytest.raises(ZeroDivisionError):
        cluster.deliver("b", "a")


# New: an entry that switches to a version of the code that a member lacks is skipped but not
# counted, so that what follows it is applied twice.


def test_plain_what_follows_an_unknown_version_is_applied_twice():
    cluster = plain.Cluster().lead("a")
    cluster["a"]._applyCommand(plain.syncobj.pickle.dumps(99), None, 3)
    for value in "xyz":
        cluster.write("a", value)
    cluster.settle()
    assert cluster["b"].values.count("z") > 1


def test_ours_an_entry_of_an_unknown_kind_is_not_skipped():
    """The exception leaves the tick, so that the slave stops; started again it stops again."""
    cluster = ours.Cluster().lead("a")
    last, term = cluster["b"].last_index, cluster["a"].term
    append = [ours.GROUP, m.APPEND, term, last, term, last + 1, 0, [[term, b"\x03junk"]]]
    what = f"^group {ours.GROUP}: entry {last + 1} of the log holds a change of kind 3, which this"
    for _ in range(2):
        with pytest.raises(VersionError, match=what):
            cluster.hand_over("a", "b", append)
        assert cluster["b"].applied_index < last + 1 and cluster["b"].values == []
        cluster.start("b")


# By design: no linearizable read.


def test_plain_a_leader_that_was_replaced_reads_the_old_value():
    cluster = plain.Cluster().lead("a")
    cluster.cut("a")
    cluster.elect("b", "c")
    written = cluster.write("b", "new")
    cluster.settle("b", "c")
    assert written.is_ok and cluster["a"].leads and "new" not in cluster["a"].values


def test_ours_a_leader_that_was_replaced_answers_no_read():
    cluster = ours.Cluster().lead("a")
    cluster.cut("a")
    cluster.elect("b", "c")
    cluster.write("b", "new")
    cluster.settle("b", "c")
    assert cluster["a"].leads  # its timeout is not over: nobody has let it tick
    read = cluster.ask("a", b"READ")
    assert read.reply is None
    cluster.join("a")
    cluster.settle()
    assert read.was_handed_back and read.reply is None


def test_ours_a_leader_answers_a_read_when_a_majority_has_confirmed_it():
    cluster = ours.Cluster().lead("a")
    cluster.write("a", "x")
    cluster.settle()
    read = cluster.ask("a", b"READ")
    assert read.reply is None
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    assert read.reply == (b"x",)


@pytest.mark.parametrize("lost", ["question", "answer"])
def test_ours_a_read_round_is_asked_again_on_a_new_link(lost):
    """What is lost with a link is not waited for, though nothing else is sent to the others."""
    cluster = ours.Cluster().lead("a")
    cluster.settle()
    read = cluster.ask("a", b"READ")
    if lost == "answer":
        for follower in "bc":
            assert cluster.deliver("a", follower)
    cluster.cut("a")
    cluster.join("a")
    assert read.reply is None and cluster["a"].leads
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    assert read.reply == ()


# New: a command stays in the library's queue when its process stalls while it is put there (the
# queue is worked off by the clock).  It is proposed later, elsewhere in the log; or, when the lead
# is lost meanwhile, sent to the new leader.


@contextlib.contextmanager
def a_process_that_stalls():
    times = itertools.count(1e6)  # a second passes between any two looks at the clock
    with mock.patch.object(plain.syncobj, "monotonicTime", lambda: next(times)):
        yield


def test_plain_a_stall_leaves_a_command_in_the_queue():
    cluster = plain.Cluster().lead("a")
    before, outcome = cluster["a"].last_index, plain.Outcome()
    with a_process_that_stalls():
        cluster["a"].put("x", callback=outcome)
        cluster["a"]._checkCommandsToApply()
    assert cluster["a"].last_index == before
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    cluster.tick("a")
    assert cluster["a"].last_index == before + 1


def test_ours_a_stall_leaves_no_command_behind():
    cluster = ours.Cluster().lead("a")
    before = cluster["a"].last_index
    with a_process_that_stalls():
        call = cluster.ask("a", b"PUT", b"x")
        assert cluster["a"].last_index == before + 1
        cluster.settle()
    assert call.reply == OK and cluster.counts_of("x") == [1, 1, 1]


def test_ours_nobody_is_told_unknown_of_what_was_applied():
    """The answer to an entry comes with its application, and at no other time."""
    cluster = ours.Cluster().lead("a")
    call = cluster.ask("a", b"PUT", b"x")
    proposals = cluster["a"].group._proposals
    (position,) = proposals._proposed
    with pytest.raises(InvariantViolation, match="without an answer"):
        proposals._settled(position, ours.Fate.APPLIED)
    assert call.reply is None
