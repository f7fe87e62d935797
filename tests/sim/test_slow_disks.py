"""A slave whose disk takes seconds a sync says so, and leads nothing that another one could."""

import pytest

from distrodb.resp.reply import OK
from distrodb.ring.slots import slot_of
from distrodb.slave.disk_speed import AGAIN_S, CALM_S, SLOW_S
from distrodb.slave.group_ids import MAP_GROUP
from tests.sim.chaos import FAULTS, Chaos
from tests.sim.healing_chaos import FAULTS as HEALING_FAULTS
from tests.sim.healing_chaos import HealingChaos
from tests.sim.simulation import Simulation
from tests.sim.workload import Client
from tests.support.history import check

# Four of each claim: whose disk it is, and what is under way when it becomes slow, differ.
SEEDS = range(4)
HANDED_OVER_S = SLOW_S + AGAIN_S + 1.0  # after a write that waits for the disk


def owners_lead(cluster: Simulation) -> bool:
    """And nothing is under way any more, the first entry of a term neither."""
    cores = {node: slave.core for node, slave in cluster.slaves.items()}
    return all(
        cores[p.owner].routing.leads(p.id) and cores[p.owner].groups[p.id].member.is_ready
        for p in cores["node1"].map.partitions
    )


def a_cluster(seed: int) -> Simulation:
    cluster = Simulation(seed, partitions=3)
    assert cluster.ask("SET", "a", "1") == OK
    cluster.run_until(lambda: owners_lead(cluster))
    return cluster


def led_by(cluster: Simulation, node: str) -> list[int]:
    groups = cluster.slaves[node].core.groups
    return [id_ for id_, group in groups.items() if group.member.is_leader]


def terms(cluster: Simulation) -> dict[int, int]:
    """The newest, of all groups."""
    cores = [slave.core for slave in cluster.slaves.values()]
    return {id_: max(core.groups[id_].member.term for core in cores) for id_ in cores[0].groups}


def seconds_for(cluster: Simulation, writes: int) -> float:
    start = cluster.now
    for number in range(writes):
        assert cluster.ask("SET", "a", str(number)) == OK
    return cluster.now - start


@pytest.mark.parametrize("sync_s", [1.5, 3.0, 1e9])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_leader_whose_disk_takes_seconds_or_hangs_hands_over_at_once(seed, sync_s):
    cluster = a_cluster(seed)
    slow = cluster.leader("a")
    cluster.slaves[slow].slow_sync_s = sync_s
    assert seconds_for(cluster, 1) < HANDED_OVER_S
    cluster.run(1.0)
    assert led_by(cluster, slow) == []
    assert seconds_for(cluster, 20) < 2.0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_write_to_another_partition_waits_for_a_hanging_disk_no_longer(seed):
    """It came while the journal was busy, so it waits for its turn, which does not come."""
    cluster = Simulation(seed, partitions=6)
    assert cluster.ask("SET", "a", "1") == OK
    cluster.run_until(lambda: owners_lead(cluster))
    slow = cluster.leader("a")
    partition = cluster.slaves[slow].core.routing.partition_of_slot
    others = [key for key in "bcdefghijklmnopqrstuvwxyz" if cluster.leader(key) == slow]
    home = partition[slot_of(b"a")]
    other = next(key for key in others if partition[slot_of(key.encode())] != home)
    cluster.slaves[slow].slow_sync_s = 1e9
    cluster.submit(slow, "SET", "a", "2", done=lambda reply: None)
    cluster.run(0.3)
    start = cluster.now
    assert cluster.ask("SET", other, "1") == OK
    assert cluster.now - start < HANDED_OVER_S


@pytest.mark.parametrize("seed", SEEDS)
def test_it_says_so_in_its_log_and_every_slave_knows(seed):
    cluster = a_cluster(seed)
    slow = cluster.leader("a")
    assert not any(s.core.view.has_slow_disk(slow) for s in cluster.slaves.values())
    cluster.slaves[slow].slow_sync_s = 3.0
    assert cluster.ask("SET", "a", "2") == OK
    cluster.run(30.0)
    for slave in cluster.slaves.values():
        assert [n for n in cluster.slaves if slave.core.view.has_slow_disk(n)] == [slow]
        assert slave.core.view.sync_ms(slow) >= 3000
    (line,) = cluster.slaves[slow].warnings
    assert line.startswith("the disk is slow: a sync has taken ")
    assert not any(s.warnings for s in cluster.slaves.values() if s.id != slow)


@pytest.mark.parametrize("seed", SEEDS)
def test_its_partitions_stay_with_others_until_its_disk_is_well_again(seed):
    """They are not given back to the owner meanwhile, also when nobody writes."""
    cluster = a_cluster(seed)
    slow = cluster.leader("a")
    cluster.slaves[slow].slow_sync_s = 3.0
    assert cluster.ask("SET", "a", "2") == OK
    cluster.run(3.0)
    before = terms(cluster)
    cluster.run(60.0)
    assert seconds_for(cluster, 20) < 2.0
    cluster.run(60.0)
    assert terms(cluster) == before and led_by(cluster, slow) == []
    cluster.slaves[slow].slow_sync_s = 0.0
    cluster.run(CALM_S / 2)
    assert led_by(cluster, slow) == []
    cluster.run_until(lambda: owners_lead(cluster), 2 * CALM_S + 10.0)
    assert cluster.slaves[slow].warnings[-1].startswith("the disk is fast again")


@pytest.mark.parametrize("seed", SEEDS)
def test_where_all_disks_are_slow_nobody_hands_over(seed):
    cluster = a_cluster(seed)
    for slave in cluster.slaves.values():
        slave.slow_sync_s = 2.0
    cluster.ask("SET", "a", "2")
    cluster.run(10.0)
    before = terms(cluster)
    for number in range(10):
        assert cluster.ask("SET", "a", str(number)) == OK
    cluster.run(60.0)
    assert terms(cluster) == before


@pytest.mark.parametrize("seed", SEEDS)
def test_a_leader_is_elected_though_all_disks_are_slower_than_the_election_timeout(seed):
    cluster = a_cluster(seed)
    for slave in cluster.slaves.values():
        slave.slow_sync_s = 2.0
    cluster.crash(cluster.leader("a"))
    # Three syncs, each behind another group's, make 8 s; a split vote twice that (18 s, one seed of
    # 200).  60 s would not notice that candidates overtake each other.
    cluster.run_until(lambda: cluster.leader("a") is not None, 30.0)
    assert cluster.ask("SET", "a", "2") == OK


@pytest.mark.parametrize("seed", SEEDS)
def test_the_map_s_own_group_is_handed_over_too(seed):
    cluster = a_cluster(seed)
    controller, replies = cluster.controller(), []
    controller.slow_sync_s = 3.0
    controller.core.change_map(["MOVE", "0", "node2"], replies.append)
    controller.turn_soon()
    cluster.run_until(lambda: replies, HANDED_OVER_S)
    assert replies == [OK] and not controller.core.routing.leads(MAP_GROUP)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slow_follower_costs_its_groups_nothing(seed):
    cluster = a_cluster(seed)
    slow = next(node for node in cluster.slaves if node != cluster.leader("a"))
    cluster.slaves[slow].slow_sync_s = 3.0
    assert seconds_for(cluster, 20) < 2.0


def five_in_a_group(seed: int) -> Simulation:
    cluster = Simulation(seed, nodes=5, partitions=1, replicas=5, dead_after_s=1000)
    assert cluster.ask("SET", "a", "1") == OK
    cluster.run_until(lambda: owners_lead(cluster))
    return cluster


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dead, slow", [(1, 2), (2, 1)])
def test_a_leader_is_elected_though_a_vote_that_is_needed_comes_from_a_slow_disk(seed, dead, slow):
    """Whoever has a fast disk, and has voted, leaves the other votes the time, too."""
    cluster = five_in_a_group(seed)
    leader = cluster.leader("a")
    assert leader is not None
    others = [node for node in cluster.slaves if node != leader]
    for node in others[dead - 1 :][:slow]:
        cluster.slaves[node].slow_sync_s = 2.0
    for node in [leader, *others[: dead - 1]]:
        cluster.crash(node)
    cluster.run_until(lambda: cluster.leader("a") is not None, 30.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_candidate_that_died_is_not_waited_for_because_disks_hung_meanwhile(seed):
    cluster = five_in_a_group(seed)
    leader = cluster.leader("a")
    assert leader is not None
    members = {node: cluster.slaves[node].core.groups[0].member for node in cluster.slaves}
    del members[leader]
    cluster.crash(leader)
    log = {node: member._state.log for node, member in members.items()}
    term = max(member.term for member in members.values())

    def candidates() -> list[str]:
        stood = [node for node, member in members.items() if member.term > term]
        return [n for n in stood if log[n].getVotedForNodeId() == members[n]._state.name]

    cluster.at_once(candidates)
    candidate = candidates()[0]
    for node in members.keys() - {candidate}:
        cluster.slaves[node].slow_sync_s = 5.0
    cluster.at_once(lambda: sum(member.term > term for member in members.values()) >= 3)
    cluster.run(0.005)  # the votes wait for these disks
    for slave in cluster.slaves.values():
        slave.slow_sync_s = 0.0
    cluster.crash(candidate)
    cluster.run_until(lambda: cluster.leader("a") is not None, 5.0 + 2.0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_nothing_is_lost_while_disks_become_slow_and_fast_under_load(seed, at_once):
    cluster, history = a_cluster(seed), []
    clients = [Client(cluster, number, history) for number in range(4)]
    for _ in range(12):
        slow = cluster.random.sample(list(cluster.slaves), at_once)
        for slave in cluster.slaves.values():
            choice = cluster.random.choice([0.3, 2.0, 5.0])
            slave.slow_sync_s = choice if slave.id in slow else 0.0
        cluster.run(cluster.random.uniform(0.0, 6.0))
    for slave in cluster.slaves.values():
        slave.slow_sync_s = 0.0
    for client in clients:
        client.is_stopped = True
    cluster.run_until(lambda: not any(client.is_waiting for client in clients), 30.0)
    cluster.run_until(cluster.is_whole)
    check(history)
    cluster.checks.all_digests()
    assert len(history) > (200 if at_once == 1 else 20)


@pytest.mark.parametrize("seed", SEEDS)
def test_slow_disks_among_all_other_faults(seed):
    Chaos(seed, {**FAULTS, "slow disk": 6}).run(20.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_slow_disks_while_the_ring_heals(seed):
    HealingChaos(seed, {**HEALING_FAULTS, "slow disk": 6}).run(20.0)
