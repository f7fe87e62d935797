"""Which map a slave goes by: the newest it has heard of; others are told once it is on disk."""

import random
import re
from dataclasses import replace

import pytest

from distrodb.config import Address
from distrodb.errors import VersionError
from distrodb.keyspace.entry import encode_batch
from distrodb.raft.write_set import WriteSet
from distrodb.ring import levels, map_commands
from distrodb.ring.clustermap import ClusterMap, first_map
from distrodb.ring.levels import LEVEL
from distrodb.ring.map_commands import apply
from distrodb.slave.gossip import Gossip
from distrodb.slave.map_keeper import MapKeeper, map_of
from distrodb.slave.map_machine import MapMachine
from distrodb.slave.own_records import Records
from tests.library.slaves import config_of
from tests.support.disk import Disk


class Kept:
    """Slave a of three, its disk, and what it keeps there."""

    def __init__(self, **config):
        self.disk, self.writes = Disk(random.Random(1)), WriteSet()
        self.config = replace(config_of("a", "abc", 3), **config)
        self.records = Records(self.disk, self.writes, random.Random(1))
        self.maps = MapKeeper(self.config, self.records)

    def born(self) -> ClusterMap:
        me = {"a": self.records.incarnation}
        return map_of(self.config, {**dict.fromkeys("abc", "other"), **me})

    def sync(self) -> bool:
        sequence, operations = self.writes.take()
        self.disk.commit(operations)
        return self.maps.write_set_is_durable(sequence)


def test_a_map_is_adopted_and_told_to_others_when_it_is_on_disk():
    kept = Kept()
    born = kept.born()
    assert kept.maps.heard("b", Gossip(1, map=born)) == born
    assert kept.maps.adopt(born) is None and kept.maps.map == born
    assert kept.maps.durable is None and kept.maps.waits_for is None
    assert kept.sync() and kept.maps.durable == born
    again = MapKeeper(kept.config, Records(kept.disk, WriteSet(), random.Random(2)))
    assert (again.map, again.durable, again.birth) == (born, born, None)


def test_a_map_of_a_level_that_this_version_does_not_know_is_not_gone_by(monkeypatch):
    kept = Kept()
    newer = replace(kept.born(), epoch=2, level=LEVEL + 1)
    line = f"^the cluster uses features of level {LEVEL + 1}, and this version of distrodb knows"
    with pytest.raises(VersionError, match=line):
        kept.maps.adopt(newer)
    assert kept.maps.map.epoch == 0
    with monkeypatch.context() as upgraded:
        upgraded.setattr(levels, "LEVEL", LEVEL + 1)
        kept.maps.adopt(newer)
        kept.sync()
    with pytest.raises(VersionError, match=line):  # it was upgraded, and is put back
        MapKeeper(kept.config, Records(kept.disk, WriteSet(), random.Random(2)))


def test_an_older_map_or_the_same_one_is_not_news():
    kept = Kept()
    newer = replace(kept.born(), epoch=7)
    kept.maps.adopt(newer)
    for epoch in (1, 7):
        assert kept.maps.heard("b", Gossip(epoch, map=replace(newer, epoch=epoch))) is None
    assert kept.maps.heard("b", Gossip(8, map=replace(newer, epoch=8))).epoch == 8


def test_who_is_behind_what_is_on_disk_should_hear_of_it():
    kept = Kept()
    kept.maps.adopt(replace(kept.born(), epoch=7))
    assert not kept.maps.is_behind_us(Gossip(6))  # it is not on our disk yet
    kept.sync()
    assert kept.maps.is_behind_us(Gossip(6)) and not kept.maps.is_behind_us(Gossip(7))


def test_one_that_joins_waits_for_a_map_that_names_it():
    kept = Kept(join=(Address("sim", 1),))
    whole = replace(kept.born(), epoch=7)
    others = {id_: row for id_, row in whole.nodes.items() if id_ != "a"}
    unnamed = replace(whole, nodes=others)
    assert kept.maps.heard("b", Gossip(7, map=unnamed)) is None and kept.maps.waits_to_join
    assert kept.maps.heard("b", Gossip(7, map=whole)) == whole


@pytest.mark.parametrize("incarnation", ["ours", "another"])
def test_who_was_met_and_slept_learns_that_it_was_born_into_the_first_map(incarnation):
    """Not one whose directory was lost since."""
    kept = Kept()
    first = kept.born()
    if incarnation == "another":
        first = replace(first, founders={**first.founders, "a": "before"})
    born_into = kept.maps.adopt(replace(first, epoch=5))
    assert (born_into == first) if incarnation == "ours" else born_into is None


def test_who_slept_finds_the_first_map_though_the_number_of_copies_was_changed_since():
    """In the map and in the file: the members that a group was born with stand in the first map."""
    kept = Kept(nodes=config_of("a", "abcde", 3).nodes, replicas=5)
    me = {"a": kept.records.incarnation}
    names = {**dict.fromkeys("abcde", "other.2"), **me}
    first = map_of(replace(kept.config, replicas=3), names)
    assert (first.level, first.replicas) == (2, 3)
    now = apply(first, ["set_replicas", "5"])
    assert kept.maps.adopt(now) == first
    assert len(first.partitions[0].group) == 3


def test_a_slave_that_the_newest_map_has_forgotten_is_removed():
    kept = Kept()
    assert not kept.maps.is_removed  # the layout of a cluster that is not born
    born = kept.born()
    kept.maps.adopt(
        replace(born, nodes={id_: row for id_, row in born.nodes.items() if id_ != "a"})
    )
    assert kept.maps.is_removed and not kept.maps.counts_us


def test_a_change_of_the_map_that_a_newer_version_knows_is_not_skipped():
    machine = MapMachine(map_of(config_of("a", "abc", 3)))
    rows = [(-1, [b"BALANCE"]), (-1, [b"SPLIT", b"1"])]
    with pytest.raises(VersionError, match="^the change 'SPLIT' of the cluster map$"):
        machine.apply(encode_batch(1, rows, 0, (0, 0)))
    assert machine.apply(encode_batch(1, rows[:1], 0, (0, 0)))


def test_each_change_of_the_map_is_known():
    told = re.findall(r'``\["(\w+)"', map_commands.apply.__doc__)
    assert set(told) == map_commands.NAMES


@pytest.mark.parametrize(
    "content", [b"", b"\xff", b"7", b"[7]", b"[7, 8]", b"[1, 2, 3]", b"{}", b"[" * 9999]
)
def test_a_snapshot_that_is_no_map_is_damaged(content):
    with pytest.raises(ValueError):
        MapMachine.restore([content])


def test_a_snapshot_of_the_map_has_a_time():
    map_ = first_map([("node1", "h:1", "h:2")], 2, 1, {"node1": "1"})
    (content,) = MapMachine(map_).snapshot()
    assert MapMachine.restore([content]).map == map_
    with pytest.raises(ValueError, match="time"):
        MapMachine.restore([content.replace(b"[0,", b"[null,", 1)])
