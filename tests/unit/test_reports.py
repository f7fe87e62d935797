"""What leaders have said of their groups' members."""

from distrodb.raft.journal import Configuration
from distrodb.ring.clustermap import first_map
from distrodb.ring.commands import apply
from distrodb.slave.reports import Report, Reports

BORN = first_map([(n, f"{n}:1", f"{n}:2") for n in "abcd"], 4, 3, dict.fromkeys("abcd", "1"))
MOVED = apply(BORN, ["set_group", "0", "d", "a", "c"])


def report(index: int, members: str, term: int = 1, epoch: int = 1) -> Report:
    return Report(Configuration(index, epoch, tuple(members)), term, epoch)


def test_the_newest_configuration_counts():
    reports = Reports()
    reports.map_changed(BORN)
    for each in (report(5, "abd"), report(9, "abc", term=2), report(5, "abd", term=1)):
        reports.heard(0, each)
    assert reports.voters() == {0: ("a", "b", "c")}


def test_one_of_before_the_map_s_last_word_does_not_count():
    reports = Reports()
    reports.map_changed(BORN)
    reports.heard(0, report(5, "abd"))
    reports.heard(1, report(5, "abc"))
    reports.map_changed(MOVED)
    assert set(reports.voters()) == {1}
    reports.heard(0, report(5, "abd", epoch=MOVED.epoch))
    assert set(reports.voters()) == {0, 1}


def test_the_version_tells_that_something_changed():
    reports = Reports()
    reports.map_changed(BORN)
    reports.heard(0, report(5, "abd"))
    before = reports.version
    reports.heard(0, report(5, "abd"))
    reports.map_changed(BORN)
    assert reports.version == before
    reports.map_changed(MOVED)
    assert reports.version > before


def test_nothing_is_said_of_groups_that_the_map_does_not_have():
    reports = Reports()
    reports.map_changed(BORN)
    reports.heard(0xFFFE, report(5, "abd"))
    assert reports.voters() == {} and reports.of(0xFFFE) is not None
