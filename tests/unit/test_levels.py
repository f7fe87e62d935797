"""Which features a cluster may use: the number in its map, and where it comes from."""

import random

import pytest

from distrodb.raft.write_set import WriteSet
from distrodb.ring.clustermap import ClusterMap, first_map
from distrodb.ring.levels import LEVEL, born_with, level_of
from distrodb.ring.map_commands import apply
from distrodb.slave.own_records import Records
from tests.support.disk import Disk

NODES = [(name, f"{name}:1", f"{name}:2") for name in "abc"]


def born(*incarnations: str) -> ClusterMap:
    return first_map(NODES, 3, 3, dict(zip("abc", incarnations, strict=True)))


def test_a_directory_tells_the_level_of_the_version_that_made_it():
    made = Records(Disk(random.Random(1)), WriteSet(), random.Random(1)).incarnation
    assert level_of(made) == LEVEL and "/" not in made


@pytest.mark.parametrize(
    ("incarnation", "level"),
    [("5f3a09c2", 1), ("5f3a09c2.2", 2), ("5f.x", 1), ("5f.0", 1), ("5f.²", 1), ("5f.9999", 1)],
)
def test_what_tells_none_is_of_the_first(incarnation, level):
    assert level_of(incarnation) == level


def test_a_cluster_is_born_with_the_least_of_its_founders():
    assert born("5f.3", "60.2", "61.4").level == 2
    assert born("5f.3", "60", "61.4").level == 1
    assert born_with([]) == 1
    assert first_map(NODES, 3, 3).level == 1  # the layout


@pytest.mark.parametrize("level", ["3", "2", "1", "0", "-3", "x", "", "3.5"])
def test_it_never_gets_lower(level):
    before = born("5f.2", "60.2", "61.2")
    after = apply(before, ["set_level", level])
    assert after.level == (3 if level == "3" else 2)
    assert after.epoch == before.epoch + (level == "3")


def test_a_map_of_the_first_level_is_written_as_before():
    assert "level" not in born("5f", "60", "61").to_plain()
    newer = born("5f.2", "60.2", "61.2")
    assert newer.to_plain()["level"] == 2
    assert ClusterMap.from_plain(newer.to_plain()) == newer


@pytest.mark.parametrize("level", [0, -1, "2", 2.0, True, None])
def test_what_is_no_level_is_no_map(level):
    with pytest.raises(ValueError, match="level"):
        ClusterMap.from_plain({**born("5f", "60", "61").to_plain(), "level": level})
