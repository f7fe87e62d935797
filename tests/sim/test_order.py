"""What a connection sends in order takes effect in order, also when its leader changes."""

import pytest

from distrodb.raft import messages as m
from distrodb.resp.reply import OK, ErrorReply, Reply
from tests.sim.connection import Connection
from tests.sim.simulation import Simulation


@pytest.mark.parametrize("behind", [("GET", "a"), ("SET", "a", "second")])
def test_a_discarded_write_is_not_done_behind_what_came_after_it(behind):
    """SET is proposed; what is behind it waits, and goes on when the lead is lost.  The frames in
    which another leader replaces the SET come together with that leader's death, so nobody leads
    when the fate of the SET is known; then its first slave leads again."""
    cluster = Simulation(3, partitions=1)
    assert cluster.ask("SET", "a", "first") == OK
    cluster.run(3.0)  # the leader is the partition's owner
    first = cluster.leader("a")
    others = [node for node in cluster.slaves if node != first]
    slave, group = cluster.slaves[first], cluster.slaves[first].core.groups[0]
    cluster.isolate(first)
    replies: dict[str, Reply] = {}
    client = Connection(slave, cluster.random)
    client.ask([b"SET", b"a", b"discarded"], lambda reply: replies.update(discarded=reply))
    cluster.at_once(lambda: group.is_busy)
    client.ask([arg.encode() for arg in behind], lambda reply: replies.update(behind=reply))
    slave.pause(4.0)
    cluster.run_until(lambda: cluster.leader("a") in others and cluster.leaders("a")[0][0] > 0)
    second = cluster.leader("a")
    third = next(node for node in others if node != second)
    cluster.at_once(lambda: not slave.is_paused and not group.member.is_leader)
    assert not replies

    other = cluster.slaves[second].core.groups[0]
    begin = group.member.commit_index
    log = other.log
    entries = [[term, command] for command, _, term in log.between(begin + 1, log.last_index)]
    append = [
        *(0, m.APPEND, other.member.term, begin, log.term_at(begin)),
        *(other.member.commit_index, 0, entries),
    ]
    core = slave.core
    if second in slave.links:  # it has slept while the link broke
        slave.link_down(second)
    core.link_up(slave.now, second, cluster.slaves[second].core.incarnation)
    core.receive(slave.now, second, [append])
    core.link_down(slave.now, second)
    slave.turn_soon()

    cluster.crash(second)
    cluster.heal()
    cluster.at_once(lambda: first in cluster.slaves[third].links and third in slave.links)
    group.member.stand_at_once(slave.now)
    cluster.run_until(lambda: len(replies) == 2, 5.0)
    assert cluster.leader("a") == first and not isinstance(replies["behind"], ErrorReply)
    assert isinstance(replies["discarded"], ErrorReply), replies
    assert replies["discarded"].code == "TRYAGAIN"
    expected = b"second" if behind[0] == "SET" else b"first"
    assert cluster.ask("GET", "a") == expected
