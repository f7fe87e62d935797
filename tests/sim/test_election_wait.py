"""Commands that come while a partition has no leader: none of them hears of the election.

Which slave gets them, how the election goes and when each command comes differ by seed.
"""

import pytest

from distrodb.resp.reply import OK, ErrorReply
from distrodb.ring.slots import slot_of
from tests.sim.connection import Connection
from tests.sim.simulation import Simulation

KEYS = "abcdef"  # of all partitions
ASKED = [*(("SET", key, "new") for key in KEYS), *(("GET", key) for key in KEYS)]
WHOLE = [("DBSIZE",), ("SCAN", "0"), ("CLUSTER", "COUNTKEYSINSLOT", "15495")]


def asked_while_a_leader_dies(seed: int, **raft: int) -> list[object]:
    """All replies of those that live on."""
    cluster = Simulation(seed, nodes=3, partitions=3, **raft)
    for key in KEYS:
        assert cluster.ask("SET", key, "old") == OK
    dead = cluster.leader("a")
    cluster.crash(dead)
    alive = [node for node in cluster.slaves if node != dead]
    replies: list[object] = []
    count = 0
    while cluster.leader("a") is None:
        node, asked = cluster.random.choice(alive), cluster.random.choice(ASKED + WHOLE)
        cluster.submit(node, *asked, done=replies.append)
        count += 1
        cluster.run(0.005)
    cluster.run_until(lambda: len(replies) == count, 5.0)
    assert count > 1
    return replies


def refused(replies: list[object]) -> list[ErrorReply]:
    errors = [reply for reply in replies if isinstance(reply, ErrorReply)]
    return [reply for reply in errors if reply.code != "MOVED"]


# Six elections: who is asked, and at which moment, differ.
@pytest.mark.parametrize("seed", range(6))
def test_who_asks_in_an_election_is_answered_when_it_is_over(seed):
    assert refused(asked_while_a_leader_dies(seed)) == []


def test_without_the_wait_clients_would_hear_of_it():
    assert {r.code for r in refused(asked_while_a_leader_dies(1, election_wait_ms=0))} == {
        "CLUSTERDOWN"
    }


def without_a_leader(seed: int, nodes: int = 3) -> tuple[Simulation, str]:
    """A cluster at the moment when all have noticed that a leader is gone; who that was."""
    cluster = Simulation(seed, nodes=nodes, partitions=nodes)
    for key in KEYS:
        assert cluster.ask("SET", key, "old") == OK
    dead = cluster.leader("a")
    cluster.crash(dead)
    alive = [node for node in cluster.slaves if node != dead]
    cluster.at_once(lambda: all(dead not in cluster.slaves[n].core.links for n in alive))
    assert cluster.leader("a") is None
    return cluster, dead


def test_a_command_on_whole_partitions_counts_all_that_are_led_when_it_runs():
    """Both that live answer for what they have come to lead, and pass over nothing."""
    cluster, dead = without_a_leader(3)
    alive = [node for node in cluster.slaves if node != dead]
    counts: list[object] = []
    for node in alive:
        cluster.submit(node, "DBSIZE", done=counts.append)
    cluster.run_until(lambda: len(counts) == 2, 5.0)
    assert sum(counts) == len(KEYS)


def test_a_transaction_waits_as_a_whole():
    cluster, dead = without_a_leader(2)
    node = next(node for node in cluster.slaves if node != dead)
    replies: list[object] = []
    words = [(b"MULTI",), (b"SET", b"a", b"new"), (b"GET", b"a"), (b"EXEC",)]
    Connection(cluster.slaves[node], cluster.random_for_clients).ask_all(
        words, lambda _, reply: replies.append(reply)
    )
    cluster.run_until(lambda: len(replies) == 4, 5.0)
    if isinstance(replies[3], ErrorReply):
        assert replies[3].code == "MOVED"
    else:
        assert replies[3] == [OK, b"new"]


def test_what_waits_outlives_its_connection_and_harms_nobody():
    """Its client has sent it and left: it may happen or not."""
    cluster, dead = without_a_leader(2)
    node = next(node for node in cluster.slaves if node != dead)
    connection = Connection(cluster.slaves[node], cluster.random_for_clients)
    connection.ask_all([(b"SET", b"a", b"new"), (b"DBSIZE",)], lambda *_: None)
    connection.close()
    cluster.run_until(lambda: cluster.leader("a") is not None)
    assert cluster.ask("GET", "a") in (b"old", b"new")
    assert not cluster.slaves[node].core._dispatch._waiting.commands


def test_a_shard_channel_is_served_by_any_copy_while_there_is_no_leader():
    cluster, dead = without_a_leader(4, nodes=5)
    core = next(slave.core for node, slave in cluster.slaves.items() if node != dead)
    partition = core.map.partition_of_slot(slot_of(b"a"))
    outsider = next(node for node in cluster.slaves if node not in partition.group)
    replies: list[object] = []
    cluster.submit(outsider, "SPUBLISH", "a", "x", done=replies.append)
    cluster.run_until(lambda: bool(replies), 5.0)
    assert isinstance(replies[0], ErrorReply) and replies[0].code == "MOVED"


def test_without_a_majority_all_are_answered_after_the_time_and_then_at_once():
    cluster = Simulation(1, nodes=3, partitions=3, election_wait_ms=1000)
    assert cluster.ask("SET", "a", "old") == OK
    for node in ("node2", "node3"):
        cluster.crash(node)
    cluster.run(0.1)
    for expected_s in (1.0, 0.0):
        began, replies = cluster.now, []
        for asked in (("SET", "a", "new"), ("DBSIZE",)):
            cluster.submit("node1", *asked, done=replies.append)
        cluster.run_until(lambda replies=replies: len(replies) == 2, 5.0)
        assert {reply.code for reply in replies} == {"CLUSTERDOWN"}
        assert expected_s <= cluster.now - began < expected_s + 0.3
