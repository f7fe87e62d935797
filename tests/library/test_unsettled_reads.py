"""Reads whose reply depends on an expiry that no entry has come to: a tick is applied first.

The machine is a list; here it says so of a read for which ``expired`` is asked.
"""

import math
from unittest import mock

import pytest

from distrodb.keyspace.context import UNSETTLED
from distrodb.keyspace.entry import decode_batch
from distrodb.raft.member import Member
from tests.library import ours
from tests.library.ours import ListMachine
from tests.support.request import Asked

EXPIRED = (b"READ", b"expired")


@pytest.fixture(autouse=True)
def a_machine_with_a_key_that_expires():
    def read(self, place, args, now_ms):
        return UNSETTLED if args == EXPIRED else self.execute(place, args, now_ms)

    def advance(self, now_ms, expire_max):
        self.now_ms = now_ms
        if expire_max:
            self.next_expiry_ms = math.inf

    with mock.patch.multiple(ListMachine, read=read, advance=advance, next_expiry_ms=math.inf):
        yield


def a_round_of_reads(*commands: tuple[bytes, ...]) -> tuple[ours.Cluster, list[Asked]]:
    """They are in one batch, and a majority is about to confirm that their leader leads."""
    cluster = ours.Cluster().lead("a")
    cluster.settle()
    cluster.ask("a", b"READ")
    calls = [Asked(*command) for command in commands]
    for call in calls:
        cluster["a"].group.submit(call)
    cluster["a"].group.machine.next_expiry_ms = ours.WALL_MS
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    return cluster, calls


def test_it_is_answered_when_an_entry_is_on_a_majority():
    cluster, (before, unsettled, behind) = a_round_of_reads((b"READ",), EXPIRED, (b"READ",))
    last_index = cluster["a"].last_index
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    assert before.reply == () and unsettled.reply is behind.reply is None
    assert cluster["a"].last_index == last_index + 1
    tick = decode_batch(cluster["a"].log[-1][0][1:])
    assert tick.commands == () and tick.now_ms >= ours.WALL_MS and tick.expire_max > 0
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    assert unsettled.reply == behind.reply == ()
    assert cluster["a"].group.machine.now_ms == tick.now_ms


def test_it_is_handed_back_when_the_lead_is_lost_before_that():
    """It has changed nothing, whatever becomes of the entry; so nobody is told UNKNOWN."""
    cluster, (unsettled, behind) = a_round_of_reads(EXPIRED, (b"READ",))
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    assert unsettled.reply is behind.reply is None
    cluster.cut("a")
    cluster.elect("b", "c")
    written = cluster.write("b", "new")
    cluster.settle("b", "c")
    cluster.join("a")
    cluster.settle()
    assert written.is_ok and cluster["a"].values == ["new"]
    assert unsettled.was_handed_back and behind.was_handed_back
    assert unsettled.reply is behind.reply is None
    cluster.run(2 * ours.UNKNOWN_AFTER_S)
    assert unsettled.reply is behind.reply is None


def is_handed_back(cluster, read):
    """When its leader steps down before the entry that it waits for is on a majority, whatever
    becomes of that entry."""
    assert cluster["a"].last_index > cluster["b"].last_index and read.reply is None
    cluster.cut("a")
    cluster.run(2 * ours.UNKNOWN_AFTER_S, "a")
    assert not cluster["a"].leads
    return read.was_handed_back and read.reply is None


def test_a_read_in_one_batch_with_an_entry_that_removes_keys_is_handed_back_too():
    """A soak found it answered UNKNOWN (healing runs, seed 4259732675)."""
    cluster = ours.Cluster().lead("a")
    cluster["a"].group.machine.next_expiry_ms = ours.WALL_MS
    cluster["a"].group._proposals.gain_leadership(cluster.now)  # it looks for what has expired
    assert is_handed_back(cluster, cluster.ask("a", b"READ"))


def test_a_read_by_a_lease_that_has_met_an_expired_key_is_handed_back_too():
    cluster = ours.Cluster().lead("a")
    cluster["a"].group.machine.next_expiry_ms = ours.WALL_MS
    with mock.patch.object(Member, "has_lease", return_value=True):
        read = cluster.ask("a", *EXPIRED)
    assert is_handed_back(cluster, read)


def test_commands_wait_behind_it():
    cluster, (unsettled,) = a_round_of_reads(EXPIRED)
    cluster.deliver("a", "b")
    cluster.deliver("b", "a")
    write, read = cluster.ask("a", b"PUT", b"x"), cluster.ask("a", b"READ")
    cluster.settle()
    assert unsettled.reply == () and read.reply == (b"x",) and write.reply is not None
