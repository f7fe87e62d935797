"""Groups in which nothing happens send nothing: the slaves' heartbeats speak for them, and their
elections stay as prompt.  Whole slaves, their links and disks by hand."""

import msgpack
import pytest

from distrodb.raft import messages as m
from distrodb.ring.clustermap import member
from distrodb.slave import leadership
from distrodb.slave.leadership import Leadership
from tests.library.slaves import TICK_S, Wire

HEARTBEATS_A_S = 10  # heartbeat_ms is 100
TIMEOUT_S = 1.0  # election_timeout_ms


def tables_in(heartbeat: m.Message) -> int:
    return sum(map(len, heartbeat[-2:]))


@pytest.mark.parametrize("partitions", [4, 40])
def test_an_idle_cluster_sends_one_heartbeat_a_pair_however_many_groups_it_has(partitions):
    slaves = Wire(partitions=partitions).settled()
    slaves.run(2 * TIMEOUT_S)
    slaves.sent.clear()
    slaves.run(5.0)
    assert {message[1] for _, _, message in slaves.sent} == {m.HEARTBEAT}, slaves.sent[:9]
    pairs = 3 * 2
    assert len(slaves.sent) <= pairs * HEARTBEATS_A_S * 5
    assert sum(tables_in(message) for _, _, message in slaves.sent) == 0


def test_nobody_stands_while_the_heartbeats_come():
    slaves = Wire().settled()
    terms = {group: slaves["a"].routing.term_of(group) for group in range(4)}
    slaves.run(20 * TIMEOUT_S)
    assert {group: slaves["a"].routing.term_of(group) for group in range(4)} == terms


def test_a_slave_that_hangs_loses_the_lead_of_its_quiet_groups():
    slaves = Wire().settled()
    slaves.run(2 * TIMEOUT_S)
    leader = slaves.leader(0)
    slaves.loses = lambda sender, receiver, _: leader in (sender, receiver)
    others = [name for name in slaves.names if name != leader]
    began = slaves.now
    slaves.until(lambda: any(slaves[name].routing.leads(0) for name in others))
    assert slaves.now - began < 4 * TIMEOUT_S
    slaves.until(lambda: not slaves[leader].routing.leads(0))  # it hears no majority
    assert slaves.now - began < 4 * TIMEOUT_S


def test_a_group_that_one_member_lost_sight_of_is_not_quiet():
    """It hears no leader, since it forgot whom it follows; its slave's heartbeats say so."""
    slaves = Wire().settled()
    slaves.run(2 * TIMEOUT_S)
    leader, follower = (
        slaves.leader(0),
        next(n for n in slaves.names if not slaves[n].routing.leads(0)),
    )
    state = slaves[follower].groups[0].member._state
    state.library.leader = None
    state.changed()
    slaves.until(lambda: slaves[follower].routing.leader_of(0) == leader)
    assert slaves.leader(0) == leader


@pytest.mark.parametrize("kind", [m.APPEND, m.ACK])
def test_entries_that_are_lost_though_the_link_stands_are_sent_again(kind):
    """A slave that has not opened the group yet drops them, for one."""
    slaves = Wire().settled()
    leader = slaves.leader(0)
    follower = next(name for name in slaves.names if name != leader)
    group = slaves[leader].groups[0]

    def loses(sender: str, receiver: str, message: m.Message) -> bool:
        return message[:2] == [0, kind] and {sender, receiver} == {leader, follower}

    slaves.loses = loses
    written = slaves.ask(leader, b"SET", b"k", b"v")
    slaves.until(lambda: written.reply)
    slaves.loses = lambda *_: False
    behind = slaves[follower].groups[0]
    slaves.until(lambda: behind.member.applied_index == group.member.applied_index)
    name = member(follower, slaves[follower].incarnation)
    slaves.until(lambda: group.member.match_index(name) == group.log.last_index)


def hold_entries(slaves: Wire, late: str) -> list[m.Message]:
    """Entries of group 0 do not reach that slave; they are kept here."""
    held = []

    def loses(sender: str, receiver: str, message: m.Message) -> bool:
        is_late = receiver == late and message[:2] == [0, m.APPEND] and bool(message[7])
        if is_late:
            held.append(message)
        return is_late

    slaves.loses = loses
    return held


def test_a_follower_whose_entries_come_late_learns_what_is_committed_though_the_group_is_quiet():
    """On a link a heartbeat overtakes entries that were sent before it.  It tells a commit that the
    follower cannot know yet, and must not count as having told it."""
    slaves = Wire().settled()
    leader = slaves.leader(0)
    late = next(name for name in slaves.names if name != leader)
    slaves.run(2 * TIMEOUT_S)
    held = hold_entries(slaves, late)
    written = slaves.ask(leader, b"SET", b"k", b"v")
    slaves.until(lambda: written.reply)
    slaves.run(0.5 * TIMEOUT_S)  # heartbeats of the group pass by
    slaves.loses = lambda *_: False
    (entry,) = held
    entry = msgpack.unpackb(msgpack.packb(entry))  # as it arrives
    slaves[late].receive(slaves.now, leader, [entry])
    slaves.run(2 * TIMEOUT_S)
    commit_index = slaves[leader].groups[0].member.commit_index
    assert slaves[late].groups[0].member.commit_index == commit_index


def test_a_follower_that_refused_what_told_it_of_a_commit_learns_of_it_though_the_group_is_quiet():
    """The entry comes late, behind a heartbeat that tells of its commit and is therefore refused;
    what the leader sends next is lost.  By then the follower lacks nothing but that commit."""
    slaves = Wire().settled()
    leader = slaves.leader(0)
    late = next(name for name in slaves.names if name != leader)
    slaves.run(2 * TIMEOUT_S)
    slaves.sent.clear()
    held = hold_entries(slaves, late)
    written = slaves.ask(leader, b"SET", b"k", b"v")
    slaves.until(lambda: written.reply)
    group, behind = slaves[leader].groups[0], slaves[late].groups[0]

    def refusals() -> int:
        return sum(s == late and x[:2] == [0, m.ACK] and not x[3] for s, _, x in slaves.sent)

    slaves.until(lambda: refusals())  # when the entry has been on its way for too long
    entry = msgpack.unpackb(msgpack.packb(held[0]))
    slaves[late].receive(slaves.now, leader, [entry])
    name = member(late, slaves[late].incarnation)
    slaves.until(lambda: group.member.match_index(name) == group.log.last_index)
    slaves.loses = lambda *_: False
    assert behind.member.commit_index < group.member.commit_index
    began = slaves.now
    slaves.until(lambda: behind.member.commit_index == group.member.commit_index)
    assert slaves.now - began < TIMEOUT_S / 2


def test_a_member_that_is_down_does_not_wake_the_groups_of_the_others():
    slaves = Wire().settled()
    slaves.crash("c")
    slaves.until(lambda: all(slaves.leader(group) for group in range(4)))
    slaves.run(10 * TIMEOUT_S)  # and the map says that it is down
    slaves.sent.clear()
    slaves.run(5.0)
    assert {message[1] for _, _, message in slaves.sent} == {m.HEARTBEAT}, slaves.sent[:9]


@pytest.mark.parametrize("crashed", ["abc", "b"])
def test_a_cluster_that_has_settled_after_a_crash_is_as_idle_as_before(crashed):
    slaves = Wire(partitions=40).settled()
    for name in crashed:
        slaves.crash(name)
    for name in crashed:
        slaves.start(name)
    slaves.settled()
    slaves.run(2 * TIMEOUT_S)
    slaves.sent.clear()
    slaves.run(5.0)
    assert {message[1] for _, _, message in slaves.sent} == {m.HEARTBEAT}, slaves.sent[:9]
    assert sum(tables_in(message) for _, _, message in slaves.sent) == 0


def leads_of(slaves: Wire, name: str) -> int:
    return sum(slaves[name].routing.leads(group) for group in range(slaves.partitions))


def without_its_leads(partitions: int) -> tuple[Wire, int]:
    """A cluster in which the others lead what ``c`` owns, ``c`` that is about to start, and how
    much that is."""
    slaves = Wire(partitions=partitions).settled()
    owned = leads_of(slaves, "c")
    slaves.crash("c")
    slaves.until(lambda: all(slaves.leader(group) for group in range(partitions)))
    return slaves, owned


def test_leads_that_wait_to_go_home_are_not_looked_at_meanwhile(monkeypatch):
    """Each of them was, with each one that went."""
    slaves, owned = without_its_leads(60)
    looks = []
    lead = Leadership._lead

    def counted(self, now, group):
        looks.append(group.id)
        return lead(self, now, group)

    slaves.start("c")
    slaves.until(lambda: leads_of(slaves, "c"))
    monkeypatch.setattr(Leadership, "_lead", counted)
    slaves.until(lambda: leads_of(slaves, "c") == owned)
    assert len(looks) < 6 * owned


@pytest.mark.parametrize("at_a_time", [1, 4])
def test_of_the_leads_that_go_home_so_many_go_at_a_time(monkeypatch, at_a_time):
    partitions = 60
    monkeypatch.setattr(leadership, "RETURN_SHARE", at_a_time / partitions)
    slaves, owned = without_its_leads(partitions)
    orders: list[tuple[float, str]] = []

    def noted(sender: str, receiver: str, message: m.Message) -> bool:
        if message[1] == m.TIMEOUT_NOW:
            orders.append((slaves.now, sender))
        return False

    slaves.loses = noted
    slaves.start("c")
    slaves.until(lambda: leads_of(slaves, "c") == owned)
    givers = {sender for _, sender in orders}
    for giver in givers:
        times = [at for at, sender in orders if sender == giver]
        within = [
            sum(at <= other < at + leadership.RETURN_INTERVAL_S - TICK_S for other in times)
            for at in times
        ]
        assert max(within) == at_a_time
