"""Claims about a cluster of three, each shown for a few seeds in virtual time."""

import copy

import pytest

from distrodb.resp.reply import OK, ErrorReply
from distrodb.slave.group_ids import MAP_GROUP
from tests.sim.disk import flipped
from tests.sim.simulation import Simulation

# Eight orders of the same events each; what is rarer is for the random runs.
SEEDS = range(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_owners_lead_at_first(seed):
    cluster = Simulation(seed)
    cluster.run(2.0)
    for partition in cluster.slaves["node1"].core.map.partitions:
        leaders = {slave.core.routing.leader_of(partition.id) for slave in cluster.slaves.values()}
        assert leaders == {partition.owner}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_write_outlives_its_leader(seed):
    cluster = Simulation(seed)
    assert cluster.ask("SET", "a", "1") == OK
    cluster.crash(cluster.leader("a"))
    assert cluster.ask("GET", "a") == b"1"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crash_of_all_loses_no_acknowledged_write(seed):
    cluster = Simulation(seed)
    for number in range(20):
        assert cluster.ask("SET", f"key{number}", "x") == OK
    for node in cluster.slaves:
        cluster.crash(node)
    for node in cluster.slaves:
        cluster.start(node)
    for number in range(20):
        assert cluster.ask("GET", f"key{number}") == b"x"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_leader_that_was_cut_off_serves_nothing_stale(seed):
    cluster = Simulation(seed)
    cluster.ask("SET", "a", "old")
    leader = cluster.leader("a")
    cluster.isolate(leader)
    replies = []
    cluster.submit(leader, "SET", "a", "lost", done=replies.append)
    cluster.run_until(lambda: cluster.leader("a") not in (leader, None))
    assert cluster.ask("SET", "a", "new") == OK
    cluster.submit(leader, "GET", "a", done=replies.append)
    cluster.run(10.0)
    assert all(isinstance(reply, ErrorReply) for reply in replies) and len(replies) == 2
    cluster.heal()
    cluster.run(2.0)
    assert cluster.ask("GET", "a") == b"new"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slave_that_was_cut_off_unseats_nobody(seed):
    cluster = Simulation(seed)
    cluster.ask("SET", "a", "1")
    leader = cluster.leader("a")
    other = next(node for node in cluster.slaves if node != leader)
    before = cluster.terms_led_by(leader)
    cluster.isolate(other)
    cluster.run(60.0)
    cluster.heal()
    cluster.run(5.0)
    assert before.items() <= cluster.terms_led_by(leader).items()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slave_that_lags_catches_up_by_snapshot(seed):
    cluster = Simulation(seed, partitions=1, snapshot_log_bytes=65536)
    cluster.run_until(lambda: cluster.leader("a") is not None)
    away = next(node for node in cluster.slaves if node != cluster.leader("a"))
    cluster.crash(away)
    for number in range(60):
        assert cluster.ask("SET", f"key{number}", "x" * 4096) == OK
    cluster.run(1.0)
    assert cluster.slaves[cluster.leader("a")].core.groups[0].log.first_index > 2
    cluster.start(away)
    cluster.run(5.0)
    assert cluster.slaves[away].core.groups[0].log.meta.snapshot_index > 1
    cluster.crash(cluster.leader("a"))
    for number in range(60):
        assert cluster.ask("GET", f"key{number}") == b"x" * 4096
    cluster.checks.all_digests()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_map_leader_that_is_cut_off_while_it_judges_goes_on(seed):
    cluster = Simulation(seed, dead_after_s=3)
    cluster.run(2.0)
    cluster.crash("node3")
    judge = next(s for s in cluster.slaves.values() if s.core and s.core.routing.leads(MAP_GROUP))
    cluster.at_once(lambda: judge.core.groups[MAP_GROUP].is_busy)
    cluster.isolate(judge.id)
    cluster.start("node3")
    cluster.run(1.0 + seed / 4)
    cluster.heal()
    cluster.run(10.0)
    assert cluster.ask("SET", "a", "1") == OK
    assert {s.core.map.nodes["node3"].status for s in cluster.slaves.values()} == {"up"}


@pytest.mark.parametrize("nodes", [1, 2, 3, 5, 7])
def test_clusters_of_every_size_serve(nodes):
    cluster = Simulation(nodes, nodes=nodes, partitions=2 * nodes)
    for number in range(20):
        assert cluster.ask("SET", f"key{number}", str(number)) == OK
        assert cluster.ask("GET", f"key{number}") == b"%d" % number
    cluster.run(2.0)
    cluster.checks.all_digests()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_wiped_slave_is_taken_in_as_a_new_member(seed):
    cluster = Simulation(seed)
    assert cluster.ask("SET", "a", "1") == OK
    before = cluster.slaves["node2"].core.incarnation
    cluster.wipe("node2")
    cluster.start("node2")
    cluster.run_until(cluster.is_whole)
    assert cluster.slaves["node2"].core.incarnation != before
    cluster.crash("node1")
    assert cluster.ask("GET", "a") == b"1"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_slave_is_wiped_one_after_another(seed):
    cluster = Simulation(seed)
    for number in range(10):
        assert cluster.ask("SET", f"key{number}", "x") == OK
    for node in cluster.slaves:
        cluster.wipe(node)
        cluster.start(node)
        cluster.run_until(cluster.is_whole)
    for number in range(10):
        assert cluster.ask("GET", f"key{number}") == b"x"


@pytest.mark.parametrize("seed", SEEDS)
def test_two_wiped_slaves_elect_nobody_without_the_third(seed):
    cluster = Simulation(seed)
    assert cluster.ask("SET", "a", "1") == OK
    for node in cluster.slaves:
        cluster.crash(node)
    for node in ("node1", "node2"):
        cluster.wipe(node)
        cluster.start(node)
    cluster.run(30.0)
    assert cluster.leader("a") is None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cluster_is_not_born_without_all_of_its_slaves(seed):
    cluster = Simulation(seed)
    cluster.crash("node3")
    cluster.run(10.0)
    assert cluster.leader("a") is None
    cluster.start("node3")
    assert cluster.ask("SET", "a", "1") == OK


@pytest.mark.parametrize("seed", SEEDS)
def test_a_damaged_record_is_refused_and_an_empty_directory_is_the_remedy(seed):
    cluster = Simulation(seed)
    assert cluster.ask("SET", "a", "1") == OK
    cluster.crash("node2")
    disk = cluster.slaves["node2"].disk
    for key in disk.records:
        disk.records[key] = flipped(disk.records[key], -1, 1)
    cluster.start("node2")
    assert cluster.slaves["node2"].refused and not cluster.is_up("node2")
    cluster.wipe("node2")
    cluster.start("node2")
    cluster.run_until(cluster.is_whole)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_old_directory_that_is_found_again_is_taken_in_again(seed):
    cluster = Simulation(seed)
    assert cluster.ask("SET", "a", "1") == OK
    cluster.crash("node2")
    old = copy.deepcopy(cluster.slaves["node2"].disk)
    cluster.wipe("node2")
    cluster.start("node2")
    cluster.run_until(cluster.is_whole)
    assert cluster.ask("SET", "a", "2") == OK
    cluster.wipe("node2")
    cluster.slaves["node2"].disk = old
    cluster.start("node2")
    cluster.run_until(cluster.is_whole)
    cluster.crash("node1")
    assert cluster.ask("GET", "a") == b"2"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slave_that_is_wiped_while_it_is_taken_in_is_taken_in_all_the_same(seed):
    cluster = Simulation(seed)
    assert cluster.ask("SET", "a", "1") == OK
    cluster.wipe("node2")
    cluster.start("node2")
    for _ in range(3):
        cluster.run(cluster.random.uniform(0.0, 0.5))
        cluster.wipe("node2")
        cluster.start("node2")
    cluster.run_until(cluster.is_whole)
    assert cluster.ask("GET", "a") == b"1"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_birth_survives_crashes(seed):
    cluster = Simulation(seed)
    for _ in range(6):
        cluster.run(cluster.random.uniform(0.0, 0.03))
        node = cluster.random.choice(list(cluster.slaves))
        cluster.crash(node)
        cluster.start(node)
    cluster.run_until(cluster.is_whole)
    assert cluster.ask("SET", "a", "1") == OK


@pytest.mark.parametrize("seed", range(40))
def test_slaves_that_are_wiped_during_a_birth_never_make_two_clusters(seed):
    """Whatever the moment: either the cluster is born, or it waits for somebody; what was
    acknowledged is there."""
    cluster = Simulation(seed)
    cluster.run(cluster.random.uniform(0.0, 0.08))
    cluster.wipe("node3")
    cluster.run(cluster.random.uniform(0.0, 0.05))
    cluster.start("node3")
    cluster.run(cluster.random.uniform(0.0, 0.5))
    cluster.crash("node1")
    cluster.run(1.0)
    cluster.start("node1")
    cluster.run_until(cluster.is_whole)
    assert cluster.ask("SET", "a", "1") == OK
