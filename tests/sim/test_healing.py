"""The ring heals itself: claims about clusters of five, each shown for a few seeds."""

from collections import Counter

import pytest

from distrodb.resp.reply import OK
from distrodb.ring.clustermap import node_of
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.storage.records import load_tombstone
from tests.sim.checks import NEAR_ENTRIES
from tests.sim.continuity import leftovers
from tests.sim.simulation import Simulation
from tests.sim.workload import Client
from tests.support.history import check

# Four orders of the same events each: a healing is long, and random runs have many more.
SEEDS = range(4)


def a_ring(seed: int, **raft: int) -> Simulation:
    cluster = Simulation(seed, nodes=5, partitions=10, **{"dead_after_s": 2, **raft})
    for number in range(30):
        assert cluster.ask("SET", f"key{number}", str(number)) == OK
    return cluster


def heals(cluster: Simulation) -> None:
    """The ring becomes whole, and nothing is lost."""
    cluster.run_until(cluster.is_healed, 60.0)
    for number in range(30):
        assert cluster.ask("GET", f"key{number}") == b"%d" % number
    counts = Counter(partition.owner for partition in the_map(cluster).partitions)
    assert max(counts.values()) - min(counts.values()) <= 1
    copies = min(3, len(the_map(cluster).ring))
    alive = {node for node in cluster.slaves if cluster.is_up(node)}
    assert all(len(alive & {*p.group}) == copies for p in the_map(cluster).partitions)
    cluster.checks.all_digests()
    assert not leftovers(cluster)


def the_map(cluster: Simulation):
    return cluster.controller().core.map


def status(cluster: Simulation, node: str) -> str:
    return the_map(cluster).nodes[node].status


@pytest.mark.parametrize("seed", SEEDS)
def test_when_a_slave_dies_the_gap_closes_and_copies_are_restored(seed):
    cluster = a_ring(seed)
    cluster.crash("node2")
    heals(cluster)
    assert the_map(cluster).ring == ("node1", "node3", "node4", "node5")


@pytest.mark.parametrize("seed", SEEDS)
def test_three_of_five_may_die_one_after_another_and_return(seed):
    cluster = a_ring(seed)
    for node in ("node2", "node5", "node3"):
        cluster.crash(node)
        heals(cluster)
    assert the_map(cluster).ring == ("node1", "node4")
    for node in ("node2", "node5", "node3"):
        cluster.start(node)
    heals(cluster)
    assert len(the_map(cluster).ring) == 5


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slave_that_one_other_cannot_reach_is_not_taken_for_dead(seed):
    cluster = a_ring(seed)
    controller = cluster.controller().id
    other = next(node for node in cluster.slaves if node != controller)
    cluster.cut(controller, other)
    cluster.run(20.0)
    assert status(cluster, other) == "up" and len(the_map(cluster).ring) == 5


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slave_that_is_merely_slow_is_not_taken_for_dead(seed):
    cluster = a_ring(seed, dead_after_s=4)
    epoch = the_map(cluster).epoch
    for _ in range(4):
        cluster.pause("node3", 2.5)
        cluster.run(5.0)
    assert status(cluster, "node3") == "up" and the_map(cluster).epoch == epoch


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sixth_joins_and_gets_its_share(seed):
    cluster = a_ring(seed)
    assert cluster.add() == "node6"
    heals(cluster)
    assert Counter(p.owner for p in the_map(cluster).partitions)["node6"] in (1, 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slave_that_is_removed_is_drained_ends_and_is_forgotten(seed):
    cluster = a_ring(seed)
    cluster.ask_controller("REMOVE", "node4")
    cluster.run_until(lambda: cluster.slaves["node4"].is_removed)
    heals(cluster)
    assert "node4" not in the_map(cluster).nodes


@pytest.mark.parametrize("step", range(1, 10))
def test_a_slave_that_leaves_may_be_called_back_at_any_step(step):
    cluster = a_ring(step)
    epoch = the_map(cluster).epoch
    cluster.ask_controller("REMOVE", "node4")
    cluster.at_once(lambda: cluster.controller() and the_map(cluster).epoch >= epoch + step)
    cluster.ask_controller("KEEP", "node4")
    heals(cluster)
    assert "node4" in the_map(cluster).ring and status(cluster, "node4") == "up"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_removal_under_load_costs_no_copy_at_any_moment(seed):
    cluster, history = a_ring(seed), []
    clients = [Client(cluster, number, history) for number in range(4)]
    cluster.ask_controller("REMOVE", "node4")
    while not cluster.slaves["node4"].is_removed:
        assert min(full_copies(cluster, partition) for partition in range(10)) >= 3
        cluster.run(0.005)
    for client in clients:
        client.is_stopped = True
    heals(cluster)
    check(history)
    assert history


def full_copies(cluster: Simulation, partition: int) -> int:
    """Slaves that count in the partition and have on disk all but the end of its log."""
    index = cluster.checks.newest(partition) - NEAR_ENTRIES
    groups = [s.core.groups.get(partition) for s in cluster.slaves.values() if s.core]
    return sum(
        g is not None and g.member.is_member and g.log.durable_index >= index for g in groups
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_who_is_in_again_with_an_empty_log_elects_nobody_by_an_old_configuration(seed):
    """node1 was out of the group, has forgotten its log and has just come in again; node2 knows
    neither, nor what was written since, and both are a majority of the members that it knows."""
    cluster = Simulation(seed, nodes=5, partitions=1, dead_after_s=2)
    assert cluster.ask("SET", "key", "old") == OK
    cluster.run_until(lambda: holds(cluster, "node2") and holds(cluster, "node5"))
    cut_off(cluster, "node2")
    cluster.crash("node2")
    cluster.run_until(cluster.is_healed)
    cluster.ask_controller("MOVE", "0", "node4")
    cluster.run_until(cluster.is_healed)
    assert not holds(cluster, "node1") and cluster.ask("SET", "key", "new") == OK
    cluster.ask_controller("MOVE", "0", "node1")
    cluster.at_once(lambda: holds(cluster, "node1"))
    cut_off(cluster, "node1")
    cluster.start("node2")
    cluster.run(10.0)
    assert not any(cluster.slaves[node].core.routing.leads(0) for node in ("node1", "node2"))
    cluster.heal()
    cluster.run_until(cluster.is_healed, 60.0)
    assert cluster.ask("GET", "key") == b"new"


def holds(cluster: Simulation, node: str) -> bool:
    return 0 in cluster.slaves[node].core.groups


def cut_off(cluster: Simulation, node: str) -> None:
    """From all but its neighbour on the other side of the cut."""
    for other in ("node3", "node4", "node5"):
        cluster.cut(node, other)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_file_of_a_closed_group_that_a_crash_brings_back_goes_at_the_next_start(seed):
    cluster = a_ring(seed)
    cluster.add()
    heals(cluster)
    node, group = next(
        (slave.id, id_)
        for slave in cluster.slaves.values()
        for id_ in range(10)
        if id_ not in slave.core.groups and load_tombstone(slave.disk, id_)
    )
    cluster.crash(node)
    cluster.slaves[node].disk.files[group, 7] = b"its removal was not synced"
    cluster.start(node)
    heals(cluster)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_but_three_may_be_removed_one_after_another(seed):
    cluster = a_ring(seed)
    for node in ("node1", "node3"):
        cluster.ask_controller("REMOVE", node)
        cluster.run_until(lambda node=node: cluster.slaves[node].is_removed)
    heals(cluster)
    assert set(the_map(cluster).map_group) == {"node2", "node4", "node5"}


@pytest.mark.parametrize("seed", SEEDS)
def test_of_slaves_that_are_removed_at_the_same_moment_only_as_many_leave_as_may(seed):
    cluster = a_ring(seed)
    cluster.run_until(cluster.is_healed, 60.0)
    controller, replies = cluster.controller(), []
    for node in ("node1", "node2", "node3", "node4"):
        controller.core.change_map(["REMOVE", node], replies.append)
    controller.turn_soon()
    cluster.run(1.0)
    assert [getattr(reply, "code", reply) for reply in replies] == ["TRYAGAIN"] * 3 + [OK]
    heals(cluster)
    assert not any(row.status == "leaving" for row in the_map(cluster).nodes.values())


@pytest.mark.parametrize("step", range(1, 12))
def test_the_controller_may_die_at_any_step_of_a_healing(step):
    cluster = a_ring(step)
    victim = next(node for node in cluster.slaves if node != cluster.controller().id)
    epoch = the_map(cluster).epoch
    cluster.crash(victim)
    cluster.at_once(lambda: epochs(cluster) >= epoch + step or is_still(cluster))
    controller = cluster.controller().id
    cluster.crash(controller)
    cluster.run(1.0)
    cluster.start(controller)
    heals(cluster)
    assert len(the_map(cluster).ring) == 4


def epochs(cluster: Simulation) -> int:
    return max(slave.core.map.epoch for slave in cluster.slaves.values() if slave.core)


def is_still(cluster: Simulation) -> bool:
    """It is healed already, with fewer steps."""
    leader = cluster.controller()
    return leader is not None and len(leader.core.map.ring) == 4 and cluster.is_healed()


@pytest.mark.parametrize("seed", SEEDS)
def test_two_controllers_may_die_for_good_in_the_middle_of_what_they_do(seed):
    cluster = a_ring(seed)
    for _ in range(2):
        controller = cluster.controller().id
        cluster.crash(controller)
        cluster.run_until(lambda: cluster.controller() is not None)
        cluster.run_until(cluster.is_healed, 60.0)
    heals(cluster)


@pytest.mark.parametrize("is_wiped", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_slave_may_return_in_the_middle_of_being_replaced(seed, is_wiped):
    cluster = a_ring(seed)
    cluster.crash("node2")
    steps = seed + 2
    epoch = the_map(cluster).epoch
    cluster.at_once(lambda: cluster.controller() and the_map(cluster).epoch >= epoch + steps)
    if is_wiped:
        cluster.wipe("node2")
    cluster.start("node2")
    heals(cluster)
    assert len(the_map(cluster).ring) == 5


@pytest.mark.parametrize("seed", SEEDS)
def test_a_ring_that_is_cut_in_two_heals_on_the_larger_side_only(seed):
    cluster = a_ring(seed)
    small, large = ("node1", "node2"), ("node3", "node4", "node5")
    for node in small:
        for other in large:
            cluster.cut(node, other)
    cluster.run(20.0)
    assert {*the_map(cluster).ring} == {*large}
    assert all(cluster.slaves[node].core.map.epoch < the_map(cluster).epoch for node in small)
    cluster.heal()
    heals(cluster)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_person_moved_stays_until_he_says_balance(seed):
    cluster = a_ring(seed)
    cluster.ask_controller("MOVE", "0", "node4")
    cluster.run_until(cluster.is_healed)
    assert the_map(cluster).partitions[0].owner == "node4"
    assert cluster.slaves["node4"].core.routing.leads(0)
    cluster.ask_controller("BALANCE")
    heals(cluster)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_map_s_own_group_is_healed_too(seed):
    cluster = Simulation(seed, nodes=7, partitions=7, dead_after_s=2)
    cluster.run(2.0)
    for _ in range(3):  # a majority of the five that held it at first
        victim = next(node for node in the_map(cluster).map_group if cluster.is_up(node))
        cluster.crash(victim)
        cluster.run_until(lambda: cluster.controller() is not None)
        cluster.run_until(cluster.is_healed, 60.0)
    members = cluster.controller().core.groups[MAP_GROUP].member.members
    assert len(members) >= 3 and all(cluster.is_up(name.partition("/")[0]) for name in members)


def test_an_owner_leads_again_though_one_who_was_to_come_is_dead_too():
    """Of six with five copies one dies, and the one that the map wants instead dies before it is
    taken in: the members are not those that the map wants, for as long as both are gone."""
    cluster = Simulation(3, nodes=6, partitions=1, replicas=5, dead_after_s=2)
    cluster.run_until(cluster.is_healed, 60.0)
    partition = the_map(cluster).partitions[0]
    (spare,) = {*cluster.slaves} - {*partition.group}
    dead = next(node for node in partition.group if node != partition.owner)
    cluster.crash(dead)
    cluster.at_once(lambda: spare in the_map(cluster).partitions[0].group)
    cluster.crash(spare)
    owner = the_map(cluster).partitions[0].owner
    cluster.run(5.0)
    cluster.crash(owner)
    cluster.run_until(lambda: cluster.leader("a") is not None)
    names = cluster.slaves[cluster.leader("a")].core.groups[0].member.members
    assert dead in map(node_of, names) and spare not in map(node_of, names)
    cluster.start(owner)
    cluster.run_until(lambda: cluster.leader("a") == owner, 60.0)
