"""Reads by leases: never stale while no clock runs a fifth faster than another's; and beyond that
bound, or with a cure removed, this test sees that they are.

One leader is cut off from the others (not from its clients) and goes on answering reads as long as
it relies on its lease; the others elect a new one as soon as their promises let them, and it takes
writes.  A read is stale if it was asked after a newer write was acknowledged, and does not see it.
"""

import math
import os

import pytest

from distrodb.clock import monotonic
from distrodb.raft.group import HAND_OVER_S
from distrodb.raft.lease import Lease
from distrodb.raft.state import MemberState
from distrodb.resp.reply import OK, Reply
from distrodb.ring.clustermap import node_of
from distrodb.slave.leases import LEASE_S, TRUSTED, Promises
from tests.sim.chaos import VIRTUAL_S, Chaos
from tests.sim.simulation import Simulation

KEY = "a"
EVERY_S = 0.002  # between two commands of one client
WATCHED_S = 1.0  # from the cut on
FASTEST = 1.0 / TRUSTED  # of a clock, to another's


class Story:
    """``slow``: the rate of the leader's clock; that of the others' is 1."""

    def __init__(self, seed: int, slow: float = 1.0):
        self.cluster = cluster = Simulation(seed, partitions=1, reads="lease")
        self.acknowledged = 0  # the newest write
        self.stale: list[str] = []
        self.began = math.inf  # when the old leader was cut off
        self.leased = 0  # reads that the old leader has answered though it was cut off
        cluster.run_until(cluster.is_whole)
        self.old = cluster.leader(KEY)
        slave = cluster.slaves[self.old]
        slave.rate = slow  # before anything is promised by it: its clock goes on from another now
        cluster.run(3.0)
        cluster.run_until(cluster.is_whole)
        self.old = cluster.leader(KEY)
        assert cluster.ask("SET", KEY, "0") == OK
        self.until = cluster.now + WATCHED_S

    def cut_off(self) -> "Story":
        cluster = self.cluster
        cluster.run(cluster.random.uniform(0.0, 2 * LEASE_S))
        self.until = cluster.now + WATCHED_S
        self._read()
        self._write(1)
        cluster.run(0.05)
        self.began = cluster.now
        cluster.run(0.02)  # what was written before is there
        cluster.isolate(self.old)
        cluster.run_until(lambda: cluster.now >= self.until)
        return self

    def _read(self) -> None:
        cluster, least = self.cluster, self.acknowledged

        def done(reply: Reply) -> None:
            if isinstance(reply, bytes):
                self.leased += cluster.now > self.began + 0.03
                if int(reply) < least:
                    self.stale.append(f"{reply!r} was read after {least} was acknowledged")

        cluster.submit(self.old, "GET", KEY, done=done)
        if cluster.now < self.until:
            cluster.at(EVERY_S, self._read)

    def _write(self, number: int) -> None:
        cluster = self.cluster
        # Not to the old one once it is cut off: its reads would wait behind what cannot commit.
        before = self.old if cluster.now < self.began else None
        leader = next((n for n in cluster.slaves if n != self.old and self._leads(n)), before)

        def done(reply: Reply) -> None:
            if reply == OK:
                self.acknowledged = max(self.acknowledged, number)

        if leader is not None:
            cluster.submit(leader, "SET", KEY, str(number), done=done)
        if cluster.now < self.until:
            cluster.at(EVERY_S, lambda: self._write(number + 1))

    def _leads(self, node: str) -> bool:
        core = self.cluster.slaves[node].core
        return core is not None and core.routing.leads(0)


@pytest.mark.parametrize("slow", [1.0, 1.01 / FASTEST, FASTEST / 1.01])
def test_no_read_is_stale_while_clocks_keep_to_the_bound(slow):
    stories = [Story(seed, slow).cut_off() for seed in range(8)]
    assert [story.stale for story in stories if story.stale] == []
    assert all(story.acknowledged > 10 for story in stories)  # there was a new leader
    assert sum(story.leased > 0 for story in stories) > 2  # it could have failed


def noticed(slow: float, seeds: int = 12) -> bool:
    return any(Story(seed, slow).cut_off().stale for seed in range(seeds))


def test_beyond_the_bound_stale_reads_are_seen():
    assert noticed(0.3)


def test_a_follower_that_forgets_its_promise_is_noticed(monkeypatch):
    monkeypatch.setattr(MemberState, "has_promised", False)
    assert noticed(1.0)


def test_a_promise_that_ends_with_its_link_is_noticed(monkeypatch):
    monkeypatch.setattr(Promises, "until", lambda self, group, leader: float("-inf"))
    assert noticed(1.0)


# Three shapes of a cluster: three slaves, five copies, and short logs.  The soak has all.
@pytest.mark.parametrize("seed", [0, 3, 5])
def test_no_acknowledged_write_is_lost_and_no_read_is_stale_under_random_faults(seed):
    """Clocks differ by a tenth there; slaves crash, hang, hand over, come and go."""
    assert Chaos(seed, reads="lease").run(VIRTUAL_S).operations > 0


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_nothing_is_lost_or_stale_for_long_with_fresh_seeds():
    until = monotonic() + float(os.environ.get("DISTRODB_SOAK_S", "300"))
    seed, runs = int.from_bytes(os.urandom(4)), 0
    while monotonic() < until:
        print(seed + runs)
        Chaos(seed + runs, reads="lease").run(VIRTUAL_S)
        runs += 1
    print(f"{runs} runs of {VIRTUAL_S} virtual seconds")


def handed_over(seed: int) -> Story:
    """The old leader tells another to take over, which hangs; so it goes on leading.  When that one
    goes on it stands after all, with the right of one that was told to, and the old leader is cut
    off."""
    story = Story(seed)
    cluster = story.cluster
    slave = cluster.slaves[story.old]
    group = slave.core.groups[0]
    to = group.member.voters[0]
    cluster.at_once(lambda: group.hand_over(slave.now, [to], is_urgent=True))
    cluster.slaves[node_of(to)].pause(HAND_OVER_S + cluster.random.uniform(0.05, 0.3))
    slave.turn_soon()
    story.until = cluster.now + HAND_OVER_S + WATCHED_S
    story._read()
    term = group.member.term
    cluster.run_until(lambda: _term(cluster, node_of(to)) == term)
    cluster.at_once(lambda: _term(cluster, node_of(to)) > term)
    cluster.isolate(story.old)
    story.began = cluster.now - EVERY_S
    story._write(1)
    cluster.run_until(lambda: cluster.now >= story.until)
    return story


def _term(cluster: Simulation, node: str) -> int:
    core = cluster.slaves[node].core
    return 0 if core is None else core.groups[0].member.term


# When the one that hangs goes on differs.
@pytest.mark.parametrize("seed", range(4))
def test_a_leader_that_hands_over_reads_by_no_lease(seed):
    story = handed_over(seed)
    assert not story.stale and story.acknowledged > 0


def test_one_that_goes_on_reading_after_handing_over_is_noticed(monkeypatch):
    monkeypatch.setattr(Lease, "forgo", lambda self: None)
    assert any(handed_over(seed).stale for seed in range(30))
