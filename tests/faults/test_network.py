"""Slaves in networks of their own that are cut, one way or both, lose packets and are slow."""

import contextlib

import pytest
import redis

from tests.faults.conftest import QUICK
from tests.faults.network import CLIENT, network_cluster, why_not
from tests.faults.recording import can_break_connections, recording, seeded
from tests.faults.story import Wire, known_leader_of

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
CUTS, KILLS_IN_SPOILT = 12, 8  # turns


@pytest.fixture
def networked(tmp_path):
    with network_cluster(3, tmp_path, **QUICK) as (network, cluster):
        yield network, cluster


def test_slaves_are_cut_off_at_random(networked):
    """Both ways or one way, from the other slaves only or from the clients, too."""
    network, cluster = networked
    chance = seeded()
    with recording(cluster, chance) as record:
        for _ in range(CUTS):
            alone = chance.choice(cluster.nodes)
            others = network.others(alone)
            if chance.random() < 0.3:
                others.append(CLIENT)
            how = chance.choice(["cut", "deaf", "dumb"])
            record.done[f"times {how}"] += 1
            if how == "cut":
                network.cut([alone], others)
            elif how == "deaf":
                network.cut_one_way(others, [alone])
            else:
                network.cut_one_way([alone], others)
            record.progress(chance.randrange(20, 200))
            network.heal()
            record.progress(chance.randrange(20, 200))


def test_a_network_that_loses_and_delays(networked):
    network, cluster = networked
    chance = seeded()
    with recording(cluster, chance) as record:
        network.spoil(loss=0.03, delay_s=0.02)
        for _ in range(KILLS_IN_SPOILT):
            node = chance.choice(cluster.nodes)
            record.kill(node)
            record.progress(chance.randrange(10, 50))
            cluster.start(node)
            record.progress(chance.randrange(10, 50))
        network.heal()


@pytest.mark.skipif(not can_break_connections(), reason="ss -K, which needs root, does not work")
def test_a_leader_that_is_replaced_before_it_can_know_reads_nothing_stale(tmp_path):
    """Its followers see their links to it break, and elect another one at once; it sees nothing of
    that for an election timeout.  No write goes to it, which its reads would wait for."""
    with network_cluster(3, tmp_path, raft_election_timeout_ms=3000) as (network, cluster):
        cluster.client().set("key", "old")
        old = known_leader_of(cluster, "key")
        others, wire = network.others(old), Wire(cluster, old)
        wire.send("GET key")
        assert wire.reply() == b"old"
        network.cut([old], others)
        for other in others:
            network.reset(other, old)
        cluster.wait_until(lambda: any(sets(cluster, o, "key", "new") for o in others), "a write")
        wire.send("GET key")
        assert wire.reply() != b"old"
        network.heal()
        cluster.wait_until(lambda: cluster.client().get("key") == b"new", "all is well")


def sets(cluster, node: str, key: str, value: str) -> bool:
    with contextlib.suppress(redis.RedisError), cluster.connection(node) as slave:
        return bool(slave.set(key, value))
    return False
