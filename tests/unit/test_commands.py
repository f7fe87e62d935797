from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.ring.clustermap import ClusterMap, first_map
from distrodb.ring.map_commands import apply

NODES = [(f"n{number}", f"n{number}:1", f"n{number}:2") for number in range(6)]
WHOLE = first_map(NODES, 12, 3, {id_: "a" for id_, _, _ in NODES})
NAMES = [*WHOLE.ring, "x", ""]


def after(cluster_map: ClusterMap, *commands: list[Any]) -> ClusterMap:
    for command in commands:
        cluster_map = apply(cluster_map, command)
    return cluster_map


DOWN = after(WHOLE, ["set_status", "n2", "down"], ["change_ring", "-n2"])


def test_who_is_down_leaves_the_ring_and_owns_nothing() -> None:
    assert DOWN.ring == ("n0", "n1", "n3", "n4", "n5")
    assert "n2" not in [p.owner for p in DOWN.partitions]
    assert "n2" in DOWN.partitions[2].group  # its group is the planner's next concern


def test_who_is_back_stands_where_it_stood() -> None:
    up = ["set_status", "n2", "up"]
    assert after(DOWN, up, ["change_ring", "+n2"]).ring == WHOLE.ring
    first = after(WHOLE, ["set_status", "n0", "down"], ["change_ring", "-n0"])
    again = after(first, ["set_status", "n0", "up"], ["change_ring", "+n0"])
    assert again.ring == WHOLE.ring


def test_a_new_slave_stands_at_the_end_and_owns_its_share() -> None:
    new = after(WHOLE, ["add_node", "x", "x:1", "x:2", "b"])
    assert new.ring == WHOLE.ring
    assert new.nodes["x"].status == "joining"
    new = after(new, ["change_ring", "+x"])
    assert new.ring == (*WHOLE.ring, "x")
    assert [p.owner for p in new.partitions].count("x") == 1


def test_move_and_balance() -> None:
    moved = after(WHOLE, ["move", "0", "n3"])
    assert moved.partitions[0].owner == "n3"
    assert moved.partitions[0].group == WHOLE.partitions[0].group
    assert [p.owner for p in after(moved, ["balance"]).partitions].count("n3") == 2


def test_a_row_is_forgotten_when_it_is_in_nothing() -> None:
    joins = after(WHOLE, ["add_node", "x", "x:1", "x:2", "b"])
    assert apply(joins, ["remove_node", "x"]) is joins  # neither down nor leaving
    assert after(joins, ["set_status", "x", "leaving"], ["remove_node", "x"]).nodes == WHOLE.nodes
    assert apply(DOWN, ["remove_node", "n2"]) is DOWN


@pytest.mark.parametrize(
    "command",
    [
        ["add_node", "n1", "n1:1", "n1:2", "b"],
        ["add_node", "x/y", "x:1", "x:2", "b"],
        ["add_node", "x", "x:1", "x:2", ""],
        ["remove_node", "n1"],
        ["remove_node", "x"],
        ["change_ring"],
        ["change_ring", "-n1"],  # is up
        ["change_ring", "+n1", "+x", "n1", "", 7],
        ["balance"],
        ["balance", "now"],
        ["move", "0", "n0"],
        ["move", "0", "x"],
        ["move", "12", "n1"],
        ["move", "-1", "n1"],
        ["move", "9" * 9999, "n1"],
        ["move", "\u0663", "n1"],
        ["set_group", "0"],
        ["set_group", "0", "n5", "n0", "n1"],  # as it is
        ["set_group", "0", "n5", "n0"],  # smaller
        ["set_group", "0", "n5", "n0", "n0"],
        ["set_group", "0", "n5", "n0", "x"],
        ["set_group", "0", "n2", "n3", "n1"],  # two at once
        ["set_group", "0", "n5", "n0", 1],
        ["set_map_group"],
        ["set_map_group", "n0", "n1", "n2", "n3"],  # n4 is in the ring
        ["set_map_group", "n0", "n1", "n2", "n3", "n4", "n5"],
    ],
)
def test_what_makes_no_sense_changes_nothing(command: list[Any]) -> None:
    assert apply(WHOLE, command) is WHOLE


def test_a_dead_slave_comes_into_no_group() -> None:
    dead = after(WHOLE, ["set_status", "n2", "down"])
    assert apply(dead, ["set_group", "0", "n5", "n0", "n2"]) is dead
    assert apply(dead, ["move", "0", "n2"]) is dead
    assert apply(DOWN, ["change_ring", "+n2"]) is DOWN


def test_a_dead_member_stays_until_another_one_comes() -> None:
    number = next(p.id for p in DOWN.partitions if "n2" in p.group)
    left = [node for node in DOWN.partitions[number].group if node != "n2"]
    assert apply(DOWN, ["set_group", str(number), *left]) is DOWN
    assert after(DOWN, ["set_group", str(number), *left, "n5"]).partitions[number].group[2] == "n5"


def test_the_ring_is_never_empty() -> None:
    dead = after(WHOLE, *(["set_status", node, "down"] for node in WHOLE.ring))
    assert apply(dead, ["change_ring", *(f"-{node}" for node in WHOLE.ring)]) is dead


names = st.sampled_from(NAMES)
numbers = st.sampled_from(["0", "5", "11", "12", "x"])
commands = st.one_of(
    st.tuples(st.just("set_status"), names, st.sampled_from(["up", "down", "leaving", "joining"])),
    st.tuples(st.just("add_node"), names, names, names, names),
    st.tuples(st.just("remove_node"), names),
    st.lists(st.tuples(st.sampled_from("+-"), names).map("".join)).map(
        lambda c: ["change_ring", *c]
    ),
    st.tuples(st.just("move"), numbers, names),
    st.just(["balance"]),
    st.lists(names, max_size=4).map(lambda group: ["set_map_group", *group]),
    st.tuples(numbers, st.lists(names, max_size=4)).map(lambda c: ["set_group", c[0], *c[1]]),
)


@given(st.lists(commands, max_size=30))
def test_any_commands_in_any_order_leave_a_map(sequence: list[Any]) -> None:
    """What commands.py says of itself, however senseless a sender is."""
    cluster_map = WHOLE
    for command in sequence:
        before, cluster_map = cluster_map, apply(cluster_map, command)
        assert ClusterMap.from_plain(cluster_map.to_plain()) == cluster_map
        assert cluster_map.ring
        assert cluster_map.epoch == before.epoch + (cluster_map is not before)
        groups = [
            (old.group, new.group)
            for old, new in zip(before.partitions, cluster_map.partitions, strict=True)
        ]
        for old, new in [*groups, (before.map_group, cluster_map.map_group)]:
            assert len(set(old) - set(new)) <= 1
            assert len(set(new) - set(old)) <= 1
        assert all(len(old) <= len(new) for old, new in groups)
        lost = set(before.map_group) - set(cluster_map.map_group)
        assert not lost & set(cluster_map.ring)
