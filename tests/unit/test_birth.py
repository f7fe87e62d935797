"""How a cluster is born: only when every slave has met every other one, all of them empty."""

import random

from distrodb.raft.write_set import WriteSet
from distrodb.ring.clustermap import first_map
from distrodb.slave.birth import Birth
from distrodb.slave.own_records import Records
from distrodb.storage.journal import open_journal

NODES = ["a", "b", "c"]


def met(me: str, **others: str) -> Birth:
    birth = Birth(me, "1", NODES)
    for peer, incarnation in others.items():
        birth.met(peer, incarnation)
    return birth


def test_all_see_the_same():
    birth = met("a", b="1", c="1")
    seen = {"a": "1", "b": "1", "c": "1"}
    birth.told("b", seen)
    assert birth.agreed() is None
    birth.told("c", seen)
    assert birth.agreed() == seen


def test_who_is_told_that_the_cluster_has_been_born_begins_none_and_lets_nobody_else():
    birth = Birth("a", "1", NODES, may_begin=False)
    for peer in "bc":
        birth.met(peer, "1")
        birth.told(peer, {"a": "1", "b": "1", "c": "1"})
    assert birth.missing == [] and birth.agreed() is None
    assert birth.says == {}


def test_one_that_is_missing_is_waited_for():
    birth = met("a", b="1")
    assert birth.missing == ["c"] and birth.agreed() is None


def test_one_that_was_wiped_meanwhile_must_be_seen_by_all():
    birth = met("a", b="1", c="1")
    birth.told("b", {"a": "1", "b": "1", "c": "1"})
    birth.lost("c")
    birth.met("c", "2")
    birth.told("c", {"a": "1", "b": "1", "c": "2"})
    assert birth.agreed() is None
    birth.told("b", {"a": "1", "b": "1", "c": "2"})
    assert birth.agreed() == {"a": "1", "b": "1", "c": "2"}


def test_a_cluster_of_one_is_born_at_once():
    assert Birth("a", "1", ["a"]).agreed() == {"a": "1"}


def test_a_directory_keeps_its_incarnation_and_the_newest_map(tmp_path):
    store = open_journal(tmp_path / "slave")
    writes = WriteSet()
    records = Records(store, writes, random.Random(1))
    assert records.map is None and records.incarnation
    records.keep(first_map([("a", "h:1", "h:2")], 2, 3, {"a": records.incarnation}))
    store.commit(writes.take()[1])
    again = Records(store, WriteSet(), random.Random(2))
    assert (again.incarnation, again.map) == (records.incarnation, records.map)
    store.close()
    other = open_journal(tmp_path / "other")
    assert Records(other, WriteSet(), random.Random(3)).incarnation != records.incarnation
    other.close()
