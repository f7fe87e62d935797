"""The judge of what slaves promise: it sees each kind of word that the disk does not keep."""

import random

import pytest

from distrodb.raft import messages as m
from distrodb.raft.log import Log
from distrodb.raft.write_set import WriteSet
from tests.support.disk import Disk
from tests.support.promises import broken_promise

GROUP, TERM = 7, 3


@pytest.fixture
def disk():
    """Of member a: in term 3 it voted for b; its log ends at 4."""
    writes, disk = WriteSet(), Disk(random.Random(1))  # coins that are never thrown
    log = Log(GROUP, writes)
    log.begin("abc")
    for index in (2, 3, 4):
        log.add(b"\x00entry", index, TERM)
    log.setCurrentTerm(TERM, "b")
    disk.commit(writes.take()[1])
    return disk


@pytest.mark.parametrize(
    "message",
    [
        [m.VOTE, TERM],
        [m.VOTE, TERM - 1],  # of an earlier term; by now it is no news
        [m.ACK, TERM, True, 4, 1],
        [m.ACK, TERM, False, 9, 1],
        [m.STALE, TERM],
        [m.APPEND, TERM, 9, TERM, 4, 1, []],  # a leader's entries may travel before they are synced
        [m.PREVOTE_REQUEST, TERM + 1, 9, TERM],  # a question that changes nothing
        [m.PREVOTE, TERM + 1],
    ],
)
def test_what_the_disk_keeps_may_be_said(disk, message):
    assert broken_promise(disk, "a", "b", [GROUP, *message]) == ""


@pytest.mark.parametrize(
    ("receiver", "message", "what"),
    [
        ("c", [m.VOTE, TERM], "a vote for b"),
        ("b", [m.VOTE, TERM + 1], "the term on its disk is 3"),
        ("c", [m.VOTE_REQUEST, TERM, 4, TERM, False], "a vote for b"),
        ("c", [m.VOTE_REQUEST, TERM + 1, 4, TERM, False], "the term on its disk is 3"),
        ("b", [m.ACK, TERM, True, 5, 1], "neither that entry nor a snapshot"),
        ("b", [m.ACK, TERM + 1, True, 4, 1], "the term on its disk is 3"),
        ("b", [m.STALE, TERM + 1], "the term on its disk is 3"),
        ("b", [m.APPEND, TERM + 1, 4, TERM, 4, 1, []], "the term on its disk is 3"),
        ("b", [m.TIMEOUT_NOW, TERM + 1], "the term on its disk is 3"),
        ("b", [m.LEAVE_REQUEST, TERM + 1, 1], "the term on its disk is 3"),
    ],
)
def test_what_the_disk_does_not_keep_is_noticed(disk, receiver, message, what):
    assert what in broken_promise(disk, "a", receiver, [GROUP, *message])


def test_a_group_that_is_not_on_the_disk_promises_nothing(disk):
    assert "the term on its disk is None" in broken_promise(disk, "a", "b", [8, m.VOTE, 1])
