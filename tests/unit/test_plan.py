"""The ring heals itself: what must hold of the planner, whatever dies, joins and leaves."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distrodb.ring.clustermap import ClusterMap
from distrodb.ring.map_commands import apply
from distrodb.ring.moves import Observed
from distrodb.ring.placement import REPLICAS, group_of
from distrodb.ring.plan import plan
from tests.unit.ring_world import MAP, World

EVENTS = (
    *("kill", "kill", "back", "wipe", "join", "leave", "move", "balance", "replicas"),
    *("wait", "wait"),
)
events = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 99)), max_size=25)
choices = st.lists(st.integers(0, 99), min_size=1, max_size=8)
worlds = st.builds(
    World,
    st.integers(1, 9),
    st.integers(1, 30),
    replicas=st.sampled_from([3, 3, 1, 5]),
    moves_at_once=st.integers(1, 5),
    reports_are_late=st.sampled_from([False, False, True]),
)


def happen(world: World, kind: str, number: int) -> None:
    nodes = list(world.map.nodes)
    node = nodes[number % len(nodes)]
    if kind == "kill" and node not in world.dead:
        world.kill(node)
    elif kind == "back" and world.dead:
        world.come_back(world.dead[number % len(world.dead)])
    elif kind == "wipe" and node not in world.dead:
        world.wipe(node)
    elif kind == "join" and len(nodes) < 14:
        world.join(f"new{number}")
    elif kind == "leave" and node not in world.dead:
        world.leave(node)
    elif kind == "move":
        world.submit("move", str(number % len(world.map.partitions)), node)
    elif kind == "balance":
        world.submit("balance")
    elif kind == "replicas":
        world.set_replicas(REPLICAS[number % len(REPLICAS)])
    elif kind == "wait":
        for turn in range(number % 12):
            world.obey(world.plan())
            moving = world.under_way()
            if moving:
                world.step(moving[(number + turn) % len(moving)])


def assert_whole(world: World) -> None:
    """Everything is where it should be, with the slaves that live."""
    live = [n for n in world.map.nodes.values() if n.id not in world.dead]
    staying = {n.id for n in live if n.status == "up"}
    leaving = {n.id for n in live if n.status == "leaving"}
    ring = world.map.ring
    assert staying <= set(ring) <= staying | leaving
    if len(staying) >= world.replicas:
        assert set(ring) == staying
    assert_balanced(world.map)
    for partition in world.map.partitions:
        if not world.has_majority(partition.id):
            continue
        if len(ring) >= world.replicas:
            assert partition.group == group_of(ring, partition.owner, world.replicas)
            assert world.voters[partition.id] == set(world.wanted(partition.id))
        else:
            assert set(ring) <= set(partition.group)
    assert_map_group(world)


def assert_balanced(cluster_map: ClusterMap) -> None:
    counts = Counter(p.owner for p in cluster_map.partitions)
    owned = [counts[node] for node in cluster_map.ring]
    assert max(owned) - min(owned) <= 1
    assert set(counts) <= set(cluster_map.ring)


def assert_map_group(world: World) -> None:
    group, ring = world.map.map_group, world.map.ring
    assert len(set(group)) == len(group) <= 5
    assert sum(node in ring for node in group) == min(5, len(ring))
    assert len(group) <= max(3, len(ring))
    assert world.has_majority(MAP)


@given(worlds, events, choices)
@settings(max_examples=300, deadline=None)
def test_any_sequence_of_deaths_joins_and_leaves_converges(
    world: World, sequence: list[tuple[str, int]], choices: list[int]
) -> None:
    for kind, number in sequence:
        happen(world, kind, number)
    world.submit("balance")
    world.converge(choices)
    assert_whole(world)
    for node in list(world.dead):
        world.come_back(node)
    world.converge(choices)
    world.submit("balance")
    world.converge(choices)
    assert_whole(world)
    assert world.plan().is_done
    if "wipe" not in dict(sequence):  # a lost directory may have been the last copy but one
        assert all(map(world.has_majority, world.voters))
        assert world.plan().stuck == ()


@given(worlds, events)
@settings(max_examples=50, deadline=None)
def test_the_same_input_gives_the_same_plan(world: World, sequence: list[tuple[str, int]]) -> None:
    for kind, number in sequence:
        happen(world, kind, number)
    again = ClusterMap.from_plain(json.loads(json.dumps(world.map.to_plain())))
    assert world.plan() == world.plan(again)


HISTORY = """
import hashlib
from tests.unit.ring_world import World
world, digest = World(12, 100), hashlib.sha256()
def go(n):
    for _ in range(n):
        after = world.plan()
        digest.update(repr(after).encode())
        world.obey(after)
        for group in world.under_way()[:2]:
            world.step(group)
world.kill("n3"); go(5); world.kill("n4"); go(9); world.join("x"); go(9)
world.come_back("n3"); world.leave("n0"); go(50); world.submit("balance"); go(200)
print(digest.hexdigest(), world.map.digest())
"""


def test_the_hash_seed_changes_nothing() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", HISTORY],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }  # fmt: skip
    assert len(outputs) == 1


# -- one event: how much moves -------------------------------------------------------------------


def changes(before: ClusterMap, after: ClusterMap) -> tuple[set[int], set[int], int]:
    """Partitions with another owner, with other members, and the copies that these need."""
    pairs = list(zip(before.partitions, after.partitions, strict=True))
    owners = {old.id for old, new in pairs if old.owner != new.owner}
    copies = {old.id: len(set(new.group) - set(old.group)) for old, new in pairs}
    return owners, {id_ for id_, count in copies.items() if count}, sum(copies.values())


sizes = st.tuples(st.sampled_from([3, 3, 5]), st.integers(1, 8), st.integers(1, 60))


def cluster(size: tuple[int, int, int], join: bool = False) -> World:
    replicas, more, partitions = size
    world = World(replicas + more, partitions, replicas)
    if join:  # so that owners and groups are not those of a first map
        world.join("early")
        world.converge()
    return world


@pytest.mark.parametrize("event", ["death", "drain"])
@given(sizes, st.integers(0, 99), st.booleans(), choices)
@settings(max_examples=60, deadline=None)
def test_who_goes_moves_only_what_it_held(
    event: str, size: tuple[int, int, int], number: int, join: bool, choices: list[int]
) -> None:
    world = cluster(size, join)
    before, start = world.map, world.copies
    node = before.ring[number % len(before.ring)]
    world.kill(node) if event == "death" else world.leave(node)
    world.converge(choices)
    assert_whole(world)
    owners, groups, copies = changes(before, world.map)
    owned = {p.id for p in before.partitions if p.owner == node}
    held = {p.id for p in before.partitions if node in p.group}
    assert owners == owned
    assert groups == held
    after = world.map.partitions
    far = [id_ for id_ in owned if after[id_].owner not in before.partitions[id_].group]
    shifted = world.replicas // 2 - 1  # a holder that is no neighbour of the dead
    assert copies <= len(held) + shifted * len(owned) + (world.replicas - 1) * len(far)
    assert world.copies - start == copies, "something was copied twice"
    assert (node in world.map.nodes) == (event == "death")


@given(sizes, choices)
@settings(max_examples=60, deadline=None)
def test_who_joins_gets_what_balance_needs(size: tuple[int, int, int], choices: list[int]) -> None:
    world = cluster(size)
    before = world.map
    world.join("x")
    world.converge(choices)
    assert_whole(world)
    assert world.map.nodes["x"].status == "up"
    owners, groups, copies = changes(before, world.map)
    given_to_x = {p.id for p in world.map.partitions if p.owner == "x"}
    assert owners == given_to_x
    assert len(owners) == len(before.partitions) // len(world.map.ring)
    near = group_of(world.map.ring, "x", world.replicas)
    around = {p.id for p in before.partitions if p.owner in near}
    assert groups <= owners | around
    assert copies <= world.replicas * len(owners) + len(around)
    assert world.copies == copies


@given(sizes, st.integers(0, 99), choices)
@settings(max_examples=60, deadline=None)
def test_who_is_back_at_once_costs_only_what_had_moved(
    size: tuple[int, int, int], number: int, choices: list[int]
) -> None:
    world = cluster(size)
    before = world.map
    node = before.ring[number % len(before.ring)]
    world.kill(node)
    world.obey(world.plan())  # out of the ring; no group has changed yet
    assert world.copies == 0
    world.come_back(node)
    world.converge(choices)
    assert_whole(world)
    assert world.map.ring == before.ring
    owners, groups, copies = changes(before, world.map)
    assert groups <= owners <= {p.id for p in before.partitions if p.owner == node}
    assert world.copies == copies
    taken_back = sum(p.owner == node for p in world.map.partitions)
    assert taken_back == len(before.partitions) // len(before.ring)


def test_five_slaves_die_down_to_two() -> None:
    world = World(5, 10)
    for node in ("n1", "n3", "n0"):
        assert world.kill(node)
        assert world.has_majority(MAP)
        assert all(world.has_majority(p.id) for p in world.map.partitions)
        world.converge()
        assert_whole(world)
    assert world.map.ring == ("n2", "n4")
    assert len(world.map.map_group) == 3
    for node in ("n0", "n1", "n3"):
        world.come_back(node)
    world.converge()
    assert_whole(world)
    assert world.map.ring == ("n0", "n1", "n2", "n3", "n4")


# -- cases worth a name --------------------------------------------------------------------------


def set_groups(world: World) -> list[int]:
    return [int(command[1]) for command in world.plan().commands if command[0] == "set_group"]


def test_the_plan_of_a_whole_ring_is_empty() -> None:
    plan = World(5, 10).plan()
    assert plan.commands == plan.moving == plan.waiting == plan.stuck == ()


def test_two_deaths_at_once_heal_the_poorest_groups_first() -> None:
    world = World(8, 16, replicas=5, moves_at_once=2)
    world.kill("n2")
    world.kill("n3")
    world.obey(world.plan())
    poor = [p.id for p in world.map.partitions if {"n2", "n3"} <= set(p.group)]
    assert set_groups(world) == poor[:2]


def test_one_that_dies_in_the_place_of_a_dead_one_holds_up_nothing() -> None:
    """The map has one dead member and the group another; nobody is there to come."""
    world = World(6, 6, replicas=5)
    world.kill("n5")
    before = next(p for p in world.map.partitions if "n5" in p.group)
    while not (coming := set(world.map.partitions[before.id].group) - set(before.group)):
        world.obey(world.plan())
    world.kill(coming.pop())
    world.converge()
    assert world.plan().is_done and world.plan().stuck == ()
    world.come_back("n5")
    world.converge()
    assert_whole(world)


def test_groups_without_a_majority_hold_up_nobody() -> None:
    world = World(8, 32, moves_at_once=1)
    world.kill("n2")
    world.kill("n3")
    world.obey(world.plan())
    lost = tuple(p.id for p in world.map.partitions if {"n2", "n3"} <= set(p.group))
    assert len(lost) == 8
    world.converge()
    assert world.plan().stuck == lost
    assert_whole(world)
    world.come_back("n2")
    world.converge()
    assert world.plan().stuck == ()
    assert_whole(world)


def test_with_three_slaves_a_death_changes_no_group() -> None:
    world = World(3, 6)
    before = [set(p.group) for p in world.map.partitions]
    world.kill("n1")
    world.converge()
    assert [set(p.group) for p in world.map.partitions] == before
    assert_balanced(world.map)
    assert world.copies == 0
    assert len(world.map.map_group) == 3


def test_a_new_slave_takes_the_place_of_a_dead_one() -> None:
    world = World(3, 6)
    world.kill("n1")
    world.converge()
    world.join("x")
    world.converge()
    assert_whole(world)
    assert world.copies == 6
    assert world.map.map_group == ("n0", "x", "n2")


def test_who_leaves_waits_until_there_are_enough_others() -> None:
    world = World(3, 6)
    world.leave("n1")
    world.converge()
    assert world.map.ring == ("n0", "n1", "n2")
    world.join("x")
    world.converge()
    assert list(world.map.nodes) == ["n0", "n2", "x"]
    assert_whole(world)


def test_who_leaves_stays_when_somebody_dies_meanwhile() -> None:
    world = World(4, 8)
    world.leave("n1")
    world.obey(world.plan())
    assert "n1" not in world.map.ring
    world.kill("n2")
    world.converge()
    assert world.map.ring == ("n0", "n1", "n3")
    assert_whole(world)


def test_of_two_that_leave_the_one_goes_that_has_begun() -> None:
    world = World(4, 8)
    world.leave("n0")
    world.obey(world.plan())
    world.leave("n1")
    world.converge()
    assert list(world.map.nodes) == ["n1", "n2", "n3"]
    assert world.map.ring == ("n1", "n2", "n3")


def test_the_dead_go_first_and_the_owner_comes_first() -> None:
    world = World(8, 8)
    world.submit("move", "0", "n4")
    world.kill("n1")
    world.obey(world.plan())
    assert world.map.partitions[0].group == ("n7", "n0", "n1")
    world.obey(world.plan())
    assert set(world.map.partitions[0].group) == {"n7", "n0", "n4"}


def test_the_dead_go_before_those_that_leave() -> None:
    world = World(8, 8)
    world.leave("n0")
    world.kill("n1")
    world.obey(world.plan())
    world.obey(world.plan())
    assert "n0" in world.map.partitions[0].group
    assert "n1" not in world.map.partitions[0].group


def test_the_map_waits_for_nobody_who_is_dead() -> None:
    world = World(3, 6)
    world.wipe("n0")
    world.kill("n0")
    world.converge()
    assert world.plan().is_done


def test_a_member_that_dies_during_a_move_is_replaced_by_the_one_that_was_to_go() -> None:
    world = World(3, 1)
    world.join("x")
    world.obey(world.plan())
    world.obey(world.plan())
    assert world.map.partitions[0].group == ("x", "n0", "n1")
    world.step(0)
    assert world.voters[0] == {"n0/a", "n1/a", "n2/a", "x/a"}
    world.kill("n0")
    assert world.plan().commands[0] == ("set_group", "0", "x", "n2", "n1")
    world.converge()
    assert world.copies == 1


def test_what_move_did_stays_until_the_ring_changes() -> None:
    world = World(5, 10)
    world.submit("move", "0", "n2")
    world.converge()
    assert world.map.partitions[0].owner == "n2"
    assert world.map.partitions[0].group == ("n1", "n2", "n3")
    assert world.copies == 2  # n1 held one
    world.submit("balance")
    world.converge()
    assert_whole(world)


# -- another number of copies --------------------------------------------------------------------


@given(
    st.integers(5, 9),
    st.integers(1, 30),
    st.lists(st.sampled_from(REPLICAS), min_size=1, max_size=4),
    choices,
)
@settings(max_examples=100, deadline=None)
def test_another_number_of_copies_changes_only_how_many_there_are(
    slaves: int, partitions: int, numbers: list[int], choices: list[int]
) -> None:
    world = World(slaves, partitions)
    for number in numbers:
        before, start = world.map, world.copies
        world.set_replicas(number)
        world.converge(choices)
        assert_whole(world)
        assert [p.owner for p in before.partitions] == [p.owner for p in world.map.partitions]
        assert {len(voters) for group, voters in world.voters.items() if group != MAP} == {number}
        more = max(0, number - before.replicas)
        assert world.copies - start == more * partitions, "something was copied in vain"
    assert world.map.replicas_at_birth == 3


def test_fewer_copies_the_dead_go_first_and_then_one_at_a_time() -> None:
    world = World(7, 1, replicas=5)
    assert world.map.partitions[0].group == ("n5", "n6", "n0", "n1", "n2")
    world.kill("n2")
    world.obey(world.plan())  # the ring
    world.set_replicas(3)
    sizes = []
    while not world.plan().is_done:
        world.obey(world.plan())
        sizes.append(len(world.map.partitions[0].group))
        while world.under_way():
            world.step(world.under_way()[0])
        if len(sizes) == 1:
            assert world.map.partitions[0].group == ("n6", "n0", "n1", "n5"), "the dead went first"
    assert sizes[:2] == [4, 3] and world.map.partitions[0].group == ("n6", "n0", "n1")


def test_fewer_copies_wait_for_one_who_is_silent() -> None:
    world = World(5, 1, replicas=5)
    world.set_replicas(3)
    (command,) = world.plan().commands
    assert command[0] == "set_group" and len(command) == 2 + 4
    silent = command[2]
    rows = {**world.map.nodes, silent: replace(world.map.nodes[silent], status="suspect")}
    observed = Observed({0: sorted(world.voters[0])}, sorted(world.voters[MAP]))
    after = plan(replace(world.map, nodes=rows), observed, 3, 4)
    assert all(len(command) == 2 + 5 for command in after.commands)


def test_fewer_copies_a_dead_one_goes_though_another_is_silent_or_is_to_come() -> None:
    world = World(7, 1, replicas=5)
    world.kill("n2")
    world.obey(world.plan())  # the ring
    world.set_replicas(3)
    observed = Observed({0: sorted(world.voters[0])}, sorted(world.voters[MAP]))
    silent = {**world.map.nodes, "n5": replace(world.map.nodes["n5"], status="suspect")}
    moved = apply(world.map, ["move", "0", "n4"])
    for each in (replace(world.map, nodes=silent), moved):
        (members,) = [c[2:] for c in plan(each, observed, 3, 4).commands if c[0] == "set_group"]
        assert {*members} == {"n5", "n6", "n0", "n1"}


def test_fewer_copies_one_who_dies_while_a_live_one_was_to_go_goes_instead() -> None:
    world = World(5, 1, replicas=5)
    world.set_replicas(3)
    world.obey(world.plan())
    (going,) = {*world.map.nodes} - {*world.map.partitions[0].group}
    stays = world.map.partitions[0].group[0]
    world.kill(stays)
    world.obey(world.plan())
    world.obey(world.plan())
    assert going in world.map.partitions[0].group and stays not in world.map.partitions[0].group
    world.converge()
    assert_whole(world)


def test_a_map_that_says_no_number_shrinks_nothing() -> None:
    world = World(5, 1, replicas=5)
    unsaid = replace(world.map, replicas=0, replicas_at_birth=0)
    observed = Observed({0: sorted(world.voters[0])}, sorted(world.voters[MAP]))
    assert all(len(command) == 2 + 5 for command in plan(unsaid, observed, 3, 4).commands)


def test_who_was_to_go_stays_when_more_copies_are_wanted_again() -> None:
    world = World(5, 1, replicas=5)
    world.set_replicas(3)
    world.obey(world.plan())
    assert len(world.map.partitions[0].group) == 4
    world.set_replicas(5)
    world.converge()
    assert_whole(world)
    assert world.copies == 0


def test_a_new_controller_that_knows_nothing_begins_nothing() -> None:
    world = World(5, 10)
    world.kill("n1")
    world.obey(world.plan())
    observed = Observed({}, world.map.members(world.map.map_group))
    after = plan(world.map, observed, 3, 4)
    assert [command[0] for command in after.commands] == ["set_map_group"]  # this it does know
    assert len(after.moving) == 10
