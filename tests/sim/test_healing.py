"""The ring heals itself: claims about clusters of five, each shown for a few seeds."""

from collections import Counter

import pytest

from distrodb.reply import OK
from distrodb.slave.core import MAP_GROUP
from tests.sim.simulation import Simulation

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
    assert cluster.slaves["node4"].core.leads(0)
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
    members = cluster.controller().core.groups[MAP_GROUP].engine.members
    assert len(members) >= 3 and all(cluster.is_up(name.partition("/")[0]) for name in members)
