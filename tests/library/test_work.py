"""What a slave does costs what has happened, not what there is.  Whole slaves, their links and
disks by hand."""

import itertools
from collections import Counter

import pytest

from distrodb.raft.group import Group
from distrodb.raft.membership import Membership
from distrodb.resp.reply import OK
from distrodb.ring.clustermap import member
from distrodb.slave.cluster_replies import Topology
from distrodb.slave.gossip_sender import GOSSIP_INTERVAL_S, GOSSIP_LEAST_S
from distrodb.slave.open_groups import ELECTION_S, FEW_GROUPS
from tests.library.slaves import Slaves

QUIET_S = 3.0  # until groups in which nothing happens are quiet


@pytest.fixture
def slaves():
    slaves = Slaves("abc", partitions=12).settled()
    slaves.run(QUIET_S)
    return slaves


def counted(monkeypatch, owner, name):
    """How often a method is called, by its object."""
    calls, original = Counter(), getattr(owner, name)

    def method(self, *args):
        calls[self] += 1
        return original(self, *args)

    monkeypatch.setattr(owner, name, method)
    return calls


def test_a_write_ticks_its_own_group_and_no_other(slaves, monkeypatch):
    ticks = counted(monkeypatch, Group, "tick")
    write = slaves.ask("a", b"SET", b"k", b"v")
    for name in "abcabcabcabc":  # messages and disks, but no time
        slaves.flush(name)
    assert write.reply == OK and {group.id for group in ticks} == {0}


def test_a_group_that_is_led_and_as_it_should_be_is_not_looked_at(slaves, monkeypatch):
    looks = counted(monkeypatch, Membership, "reconcile")
    for n in range(20):
        slaves.ask("a", b"SET", b"k", b"%d" % n)
        slaves.run(0.1)
    assert not looks


def test_quiet_groups_are_ticked_for_their_own_deadlines_only(slaves, monkeypatch):
    ticks = counted(monkeypatch, Group, "tick")
    slaves.run(10.0)
    # A follower looks once or twice an election timeout, a leader twice.
    assert 0 < max(ticks.values()) <= 25


def test_a_slave_sleeps_until_something_is_due(slaves):
    wakes, start = 0, slaves.now
    while slaves.now < start + 5.0:
        due = min(core.next_due for core in slaves.cores.values())
        slaves.tick(max(due - slaves.now, 0.0) + 0.001)
        wakes += 1
    assert wakes < 5.0 * 100  # a heartbeat each 0.1 s, and a few deadlines, of three slaves


def test_gossip_is_the_same_for_all_peers_and_each_second(slaves):
    before = len(slaves.gossips)
    slaves.run(3 * GOSSIP_INTERVAL_S)
    assert len(slaves.gossips) - before == 3 * 2 * 3
    slaves.now += 2 * GOSSIP_INTERVAL_S
    told = slaves["a"].gossip.take(slaves.now)
    assert set(told) == {"b", "c"} and told["b"] is told["c"]


def test_however_much_changes_a_peer_is_told_at_most_each_50_ms(slaves):
    core, told = slaves["a"], []
    for _ in range(200):
        slaves.now += 0.005
        core.gossip.soon()
        told += [slaves.now] * ("b" in core.flush(slaves.now, 0).gossip)
    gaps = [later - earlier for earlier, later in itertools.pairwise(told)]
    assert len(told) > 15 and min(gaps) >= GOSSIP_LEAST_S - 1e-9


def test_a_peer_that_is_back_is_told_at_once(slaves):
    core = slaves["a"]
    core.flush(slaves.now, 0)
    incarnation = core.links["b"]
    core.link_down(slaves.now, "b")
    core.link_up(slaves.now, "b", incarnation)
    assert "b" in core.flush(slaves.now, 0).gossip


@pytest.mark.parametrize("answer", ["slots", "shards", "nodes", "info"])
def test_what_all_clients_ask_is_made_once_until_it_changes(slaves, answer):
    topology = Topology(slaves["c"].view)
    first = getattr(topology, answer)()
    slaves.ask("a", b"SET", b"k", b"v")
    slaves.run(2.0)
    assert getattr(topology, answer)() is first
    slaves["a"].groups[0].hand_over(slaves.now, [member("b", slaves["b"].incarnation)])
    slaves.until(lambda: slaves["c"].routing.leader_of(0) == "b")
    second = getattr(topology, answer)()
    assert second is not first and (answer == "info" or second != first)
    slaves.crash("b")
    assert getattr(topology, answer)() != second


def test_many_groups_that_begin_together_wait_longer_for_their_owners():
    """Else whoever comes first on a slow machine leads, and hands back for a long time."""
    deadlines = {}
    for partitions in (FEW_GROUPS // 2, 400):
        slaves = Slaves("abc", partitions=partitions)
        core = slaves["b"]
        slaves.until(lambda core=core: core.groups)
        deadlines[partitions] = [
            group.member._elections.deadline - slaves.now
            for id_, group in core.groups.items()
            if id_ < partitions and core.map.partitions[id_].owner != "b"
        ]
        slaves.until(lambda s=slaves, n=partitions: all(s.leader(p) for p in range(n)))
        assert all(slaves[p.owner].routing.leads(p.id) for p in core.map.partitions)
    few, many = deadlines.values()
    assert max(few) < 2.1 and min(many) > 1.0 + (400 - FEW_GROUPS) * ELECTION_S
