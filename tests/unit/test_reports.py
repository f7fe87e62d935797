"""What leaders report of their groups: which of two reports is the newer, and which count."""

import itertools
from dataclasses import replace

from distrodb.raft.log import Configuration
from distrodb.ring.clustermap import first_map
from distrodb.slave.membership_reports import Report, Reports

NODES = [(name, f"{name}:1", f"{name}:2") for name in "abcd"]
BORN = first_map(NODES, 4, 3, dict.fromkeys("abcd", "1"))


def report(index: int, term: int, epoch: int = 1, members: str = "abc") -> Report:
    return Report(Configuration(index, epoch, tuple(members)), term, epoch)


def books(*heard: Report) -> Reports:
    reports = Reports()
    reports.map_changed(BORN)
    for each in heard:
        reports.heard(0, each)
    return reports


def test_the_newer_report_counts_whichever_comes_first():
    in_order = [
        report(5, 1),
        report(5, 1, epoch=2),  # the leader has learnt of another map
        report(9, 1, epoch=2),  # a change is committed
        report(9, 2, epoch=1),  # another leader, which does not know that map yet
        report(4, 3, epoch=1),  # and one whose log is not compacted
    ]
    for older, newer in itertools.pairwise(in_order):
        assert books(older, newer).of(0) == newer == books(newer, older).of(0)


def test_a_report_is_news_once():
    reports = Reports()
    assert [reports.heard(0, report(5, 1)) for _ in range(2)] == [True, False]
    assert not reports.heard(0, report(4, 1))
    assert reports.heard(0, report(4, 2))
    assert reports.version == 2


def test_only_what_is_news_makes_the_planner_look_again():
    reports = books(report(5, 1))
    before = reports.version
    reports.heard(0, report(5, 1))
    reports.map_changed(BORN)
    assert reports.version == before


def test_a_leader_that_knows_the_map_s_last_word_on_its_group_counts():
    assert books(report(5, 1)).voters() == {0: ("a", "b", "c")}


def test_what_a_leader_said_before_the_map_changed_its_group_does_not_count():
    reports = books(report(5, 1, epoch=1))
    first, *others = BORN.partitions
    moved = replace(first, group=("b", "c", "d"))
    reports.map_changed(replace(BORN, epoch=2, partitions=(moved, *others)))
    assert reports.voters() == {}
    assert reports.of(0) is not None  # it is still the newest that is known
    reports.heard(0, report(5, 1, epoch=2))
    assert reports.voters() == {0: ("a", "b", "c")}


def test_a_change_of_another_group_does_not_make_a_report_old():
    reports = books(report(5, 1, epoch=1))
    first, second, *others = BORN.partitions
    moved = replace(second, group=("a", "b", "d"))
    reports.map_changed(replace(BORN, epoch=2, partitions=(first, moved, *others)))
    assert reports.voters() == {0: ("a", "b", "c")}


def test_groups_that_no_map_has_named_are_nobody_s_business():
    reports = Reports()
    reports.heard(0, report(5, 1))
    assert reports.voters() == {}
