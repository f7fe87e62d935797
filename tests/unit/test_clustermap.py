import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrodb.config.options import OPTIONS
from distrodb.ring.clustermap import STATUSES, ClusterMap, first_map, node_of
from distrodb.ring.map_commands import apply
from distrodb.ring.placement import REPLICAS
from distrodb.ring.slots import SLOT_COUNT

NODES = [(f"node{n}", f"127.0.0.1:5555{n}", f"127.0.0.1:5655{n}") for n in range(1, 6)]
INCARNATIONS = {f"node{n}": f"a{n}" for n in range(1, 6)}
MAP = first_map(NODES, 10, 3, INCARNATIONS)
junk = st.recursive(
    st.none() | st.integers() | st.text() | st.binary() | st.sampled_from(["set_status", "node1"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_the_first_map_deals_partitions_round_the_ring() -> None:
    assert MAP.epoch == 1
    assert [p.owner for p in MAP.partitions] == list(MAP.ring) * 2
    assert MAP.partitions[0].group == ("node5", "node1", "node2")
    assert MAP.map_group == MAP.ring
    assert {node.status for node in MAP.nodes.values()} == {"up"}


@given(st.integers(1, 8), st.integers(1, 40), st.sampled_from([1, 3, 5]))
def test_every_slot_finds_its_partition(slaves: int, partitions: int, replicas: int) -> None:
    nodes = [(f"node{n}", f"host:{n}", f"host:{n + 100}") for n in range(slaves)]
    born = {f"node{n}": "a" for n in range(slaves)}
    cluster_map = first_map(nodes, partitions, replicas, born)
    for partition in cluster_map.partitions:
        for slot in (partition.first, partition.last):
            assert cluster_map.partition_of_slot(slot) is partition
    assert cluster_map.partitions[-1].last == SLOT_COUNT - 1
    assert ClusterMap.from_plain(cluster_map.to_plain()) == cluster_map


@pytest.mark.parametrize("codec", [json, msgpack], ids=["json", "msgpack"])
def test_a_map_goes_through_a_codec_and_back(codec: Any) -> None:
    again = ClusterMap.from_plain(codec.loads(codec.dumps(MAP.to_plain())))
    assert again == MAP
    assert again.digest() == MAP.digest()


def test_the_digest_is_the_same_in_another_process() -> None:
    program = (
        "import json, sys; from distrodb.ring.clustermap import ClusterMap;"
        "print(ClusterMap.from_plain(json.load(sys.stdin)).digest())"
    )
    output = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(MAP.to_plain()), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert output.strip() == MAP.digest()


def test_set_status_makes_the_next_map() -> None:
    after = apply(MAP, ["set_status", "node3", "down"])
    assert after.epoch == MAP.epoch + 1
    assert after.nodes["node3"].status == "down"
    assert MAP.nodes["node3"].status == "up"
    assert after.digest() != MAP.digest()
    assert after.partitions == MAP.partitions


def test_a_slave_that_lost_its_directory_is_another_member() -> None:
    after = apply(MAP, ["incarnate", "node3", "b3"])
    assert after.epoch == MAP.epoch + 1
    assert MAP.members(["node3", "node4"]) == ("node3/a3", "node4/a4")
    assert after.members(["node3", "node4"]) == ("node3/b3", "node4/a4")
    assert node_of("node3/b3") == "node3"


def at_level_2(replicas: int = 5) -> ClusterMap:
    born = {id_: f"{name}.2" for id_, name in INCARNATIONS.items()}
    return first_map(NODES, 10, replicas, born)


def test_a_map_that_all_slaves_understand_says_how_many_copies_there_are() -> None:
    assert (MAP.replicas, MAP.replicas_at_birth) == (0, 0) and "replicas" not in MAP.to_plain()
    cluster_map = at_level_2()
    assert (cluster_map.replicas, cluster_map.replicas_at_birth) == (5, 5)
    fewer = apply(cluster_map, ["set_replicas", "3"])
    assert (fewer.replicas, fewer.replicas_at_birth, fewer.epoch) == (3, 5, 2)
    assert fewer.partitions == cluster_map.partitions
    assert ClusterMap.from_plain(fewer.to_plain()) == fewer
    first = apply(MAP, ["set_replicas", "3"])
    assert (first.replicas, first.replicas_at_birth) == (3, 3)
    for number in ("5", "2", "0", "4", "-1", "7", "x", "", "\u0665", 3):
        assert apply(cluster_map, ["set_replicas", number]) is cluster_map


@pytest.mark.parametrize("key", ["replicas", "replicas_at_birth"])
@pytest.mark.parametrize("value", [0, 2, -1, "3", True, None, [3], 7])
def test_a_damaged_number_of_copies_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match="not a cluster map: replicas"):
        ClusterMap.from_plain({**at_level_2().to_plain(), key: value})


def down(cluster_map: ClusterMap, *nodes: str) -> ClusterMap:
    for node in nodes:
        cluster_map = apply(cluster_map, ["set_status", node, "down"])
    return cluster_map


def test_a_group_is_made_smaller_down_to_the_map_s_number_and_the_dead_go_first() -> None:
    def sized(cluster_map: ClusterMap, *nodes: str) -> int:
        after = apply(cluster_map, ["set_group", "0", *(f"node{node}" for node in nodes)])
        return len(after.partitions[0].group)

    five = at_level_2()
    assert sized(five, *"1234") == 5  # five there should be
    three = apply(five, ["set_replicas", "3"])
    assert sized(three, *"1234") == 4
    assert sized(three, *"123") == 5  # two at once
    assert sized(down(three, "node5"), *"1234") == 4
    assert sized(down(three, "node4"), *"1234") == 5  # a live one, and a dead one would stay
    assert sized(down(three, "node4", "node5"), *"1234") == 4
    four = apply(three, ["set_group", "0", "node1", "node2", "node3", "node4"])
    assert sized(four, *"123") == 3
    again = apply(apply(four, ["set_group", "0", "node1", "node2", "node3"]), ["set_replicas", "5"])
    assert sized(again, *"12") == 3  # late, when more are wanted again
    assert sized(again, *"1234") == 4
    # A slave that does not know of it would make another map of the same command.
    assert sized(replace(three, replicas=0, replicas_at_birth=0), *"1234") == 5


def test_the_numbers_of_copies_are_those_of_the_files() -> None:
    (option,) = (each for each in OPTIONS if each.key == "cluster.replicas")
    assert option.choices == REPLICAS


def test_a_slave_may_be_found_elsewhere() -> None:
    before = MAP.nodes["node3"]
    after = apply(MAP, ["set_addresses", "node3", "a3", "x:1", "x:2"])
    assert after.epoch == MAP.epoch + 1
    assert after.nodes["node3"] == replace(before, client="x:1", peer="x:2")
    assert after.partitions == MAP.partitions and after.members(["node3"]) == ("node3/a3",)
    only_one = apply(MAP, ["set_addresses", "node3", "a3", before.client, "x:2"])
    assert only_one.nodes["node3"].peer == "x:2"


@pytest.mark.parametrize("field", ["client", "peer"])
def test_two_slaves_are_never_at_one_address(field) -> None:
    taken = getattr(MAP.nodes["node2"], field)
    for places in ((taken, "x:2"), ("x:1", taken)):
        assert apply(MAP, ["set_addresses", "node3", "a3", *places]) is MAP


def test_before_the_birth_there_is_a_layout_only() -> None:
    layout = first_map(NODES, 10, 3)
    assert layout.epoch == 0
    with pytest.raises(ValueError, match="not a cluster map"):
        ClusterMap.from_plain(layout.to_plain())


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["incarnate", "node3", "a3"],
        ["set_addresses", "node3", "b3", "x:1", "x:2"],  # another directory than the map knows
        ["set_addresses", "node9", "a9", "x:1", "x:2"],
        ["set_addresses", "node3", "a3", "", "x:2"],
        ["set_addresses", "node3", "a3", "x:1", ""],
        ["set_addresses", "node3", "a3", MAP.nodes["node3"].client, MAP.nodes["node3"].peer],
        ["incarnate", "node3", ""],
        ["incarnate", "node3", "a/b"],
        ["incarnate", "node9", "b3"],
        ["set_status", "node3", "up"],
        ["set_status", "node9", "down"],
        ["set_status", "node3", "asleep"],
        ["set_status", ["node3"], "down"],
        ["set_status", "node3", ["down"]],
        ["set_status", "node3", "down", "now"],
        ["set_weather", "node3", "down"],
    ],
)
def test_what_makes_no_sense_gives_the_same_object(command: list[Any]) -> None:
    assert apply(MAP, command) is MAP


@given(junk)
def test_apply_takes_anything(command: Any) -> None:
    assert apply(MAP, command).epoch in (1, 2)


@given(st.lists(st.tuples(st.sampled_from(MAP.ring), st.sampled_from(STATUSES)), max_size=20))
def test_equal_commands_give_equal_maps(changes: list[tuple[str, str]]) -> None:
    one = two = MAP
    for node, status in changes:
        one = apply(one, ["set_status", node, status])
        two = apply(ClusterMap.from_plain(two.to_plain()), ["set_status", node, status])
    assert one == two
    assert one.digest() == two.digest()


@given(junk, st.sampled_from(sorted(MAP.to_plain())))
def test_a_damaged_map_is_refused_in_one_way(value: Any, key: str) -> None:
    plain = MAP.to_plain()
    plain[key] = value
    try:
        ClusterMap.from_plain(plain)
    except ValueError as problem:
        assert str(problem).startswith("not a cluster map: ")
    else:
        assert key in ("epoch", "ring", "map_group", "founders")  # some junk is good for these
    del plain[key]
    if key == "founders":  # maps of 0.2.0 have none
        assert not ClusterMap.from_plain(plain).founders
        return
    with pytest.raises(ValueError, match="not a cluster map"):
        ClusterMap.from_plain(plain)


def test_a_map_that_misses_a_slot_or_names_a_stranger_is_refused() -> None:
    plain = MAP.to_plain()
    del plain["partitions"][-1]
    with pytest.raises(ValueError, match="slots"):
        ClusterMap.from_plain(plain)
    plain = MAP.to_plain()
    plain["partitions"][0][4][0] = "node9"
    with pytest.raises(ValueError, match="unknown slave 'node9'"):
        ClusterMap.from_plain(plain)


def test_a_map_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        MAP.epoch = 2  # type: ignore[misc]
