"""Connections that send several commands in one write, while their slaves lose and win the lead.

What is asked of every burst of SET, GET, INFO-like counts and GET on a key that nobody else writes:
- each command has one reply, in its place;
- a GET behind a SET that was acknowledged sees it, whatever answered it (the leader's queue, or a
  copy after READONLY); no GET sees less than a GET before it.
"""

import pytest

from distrodb.resp.reply import OK, ErrorReply, Reply, Status
from tests.sim.connection import Connection
from tests.sim.simulation import Simulation

PAUSE_S_MAX = 0.05  # between two bursts
PATIENCE_S = 10.0  # a burst without an answer for so long went to a slave that is gone
VIRTUAL_S = 20.0


class Pipeliner:
    """One client; it writes ever larger numbers to its key, one burst at a time.  A burst that is
    never answered may still happen, so it takes another key then."""

    def __init__(self, cluster: Simulation, number: int):
        self.cluster, self.number = cluster, number
        self.count = self.answered = self.keys = 0
        self._burst()

    def _pause(self) -> None:
        self.cluster.at(self.cluster.random.uniform(0.001, PAUSE_S_MAX), self._burst)

    def _burst(self) -> None:
        cluster = self.cluster
        key = b"pipelined%d.%d" % (self.number, self.keys)
        leader = cluster.leader(key.decode())
        node = leader if leader and cluster.random.random() < 0.8 else None
        node = node or cluster.random.choice(list(cluster.slaves))
        first, self.count = self.count + 1, self.count + 2
        commands = [
            # Two of three read copies; the commands of the third are taken as bursts.
            (b"READONLY",) if self.number else (b"PING",),
            (b"GET", key),
            (b"SET", key, b"%d" % first),
            (b"GET", key),
            (b"CLUSTER", b"MYID"),
            (b"SET", key, b"%d" % self.count),
            (b"GET", key),
        ]
        replies: list[Reply] = []

        def done(number: int, reply: Reply) -> None:
            assert number == len(replies), "a reply is out of its place"
            replies.append(reply)
            if number == 6 and not is_given_up:
                self._judge(first, replies)
                self._pause()

        def give_up() -> None:
            if len(replies) < 7:
                is_given_up.append(True)
                self.keys += 1
                self._pause()

        is_given_up: list[bool] = []
        cluster.at(PATIENCE_S, give_up)
        Connection(cluster.slaves[node], cluster.random_for_clients).ask_all(commands, done)

    def _judge(self, first: int, replies: list[Reply]) -> None:
        assert replies[0] == (OK if self.number else Status(b"PONG"))
        assert isinstance(replies[4], bytes) and len(replies[4]) == 40
        least = 0
        for reply in (replies[1], replies[2], replies[3], replies[5], replies[6]):
            if reply is replies[2] or reply is replies[5]:
                if reply == OK:
                    self.answered += 1
                    least = first + (reply is replies[5])
                else:
                    assert isinstance(reply, ErrorReply), reply
            elif not isinstance(reply, ErrorReply):
                seen = int(reply or b"0")
                assert seen >= least, f"{seen} is read behind {least}: {replies}"
                least = seen


# Where a burst is cut, and who leads when it comes, differ.
@pytest.mark.parametrize("seed", range(8))
def test_a_connection_sees_its_own_writes_whoever_leads(seed: int) -> None:
    cluster = Simulation(seed)
    cluster.run_until(cluster.is_whole)
    clients = [Pipeliner(cluster, number) for number in range(3)]
    until = cluster.now + VIRTUAL_S
    while cluster.now < until:
        cluster.run(cluster.random.uniform(0.1, 1.5))
        leader = cluster.leader("pipelined0.0")
        fault = cluster.random.choice(["isolate", "isolate", "cut", "pause", "heal", "heal"])
        if fault == "heal" or leader is None:
            cluster.heal()
        elif fault == "isolate":
            cluster.isolate(leader)
        elif fault == "pause":
            cluster.pause(leader, cluster.random.uniform(0.05, 1.0))
        else:
            cluster.cut(leader, next(node for node in cluster.slaves if node != leader))
    assert sum(client.answered for client in clients) > 100
