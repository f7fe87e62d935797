"""A write set is bounded in what it deletes, and a crash between two of them loses nothing."""

import random

import pytest

from distrodb.errors import CorruptionError
from distrodb.raft import write_set
from distrodb.raft.log import Configuration, Log, delete_forgotten
from distrodb.raft.write_set import DELETED_ENTRIES_MAX, WriteSet
from distrodb.storage import records
from distrodb.storage.journal import open_journal
from distrodb.storage.records import DeleteRange, entry_key
from tests.support.disk import Disk

GROUP = 3
LAST = b"\xff" * 16


@pytest.fixture(params=["simulated", "real"])
def disk(request, tmp_path):
    opened = Disk(random.Random(1)) if request.param == "simulated" else open_journal(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def three_a_commit(monkeypatch):
    monkeypatch.setattr(write_set, "DELETED_ENTRIES_MAX", 3)


def filled(writes: WriteSet, entries: int, group: int = GROUP) -> Log:
    log = Log(group, writes)
    log.begin(["a", "b"])
    log.setCurrentTerm(1, "a")
    for index in range(2, entries + 1):
        log.add(b"\x00command %d" % index, index, 1)
    return log


def commit(disk, writes: WriteSet) -> list:
    sequence, operations = writes.take()
    disk.commit(operations)
    writes.durable_sequence = sequence
    return operations


def on_disk(disk, group: int = GROUP) -> list[int]:
    keys = disk.scan(entry_key(group, 0), entry_key(group, records.LAST_INDEX))
    return [records.read_index(group, key) for key, _ in keys]


def loaded(disk) -> Log:
    log = Log(GROUP, WriteSet())
    assert log.load(disk)
    return log


def deleted(operations: list) -> int:
    """The most entries that its ranges may have."""
    ranges = [o for o in operations if isinstance(o, DeleteRange) and len(o.first) > 3]
    return sum(records.read_index(0, o.last) - records.read_index(0, o.first) + 1 for o in ranges)


def test_no_commit_deletes_more_than_the_bound_and_all_of_it_goes():
    disk, writes = Disk(random.Random(1)), WriteSet()
    logs = [filled(writes, 2500, group) for group in (1, 2, 4)]
    commit(disk, writes)
    for log in logs:
        log.compact(2400, 2450, 1)
    counts = []
    while not writes.is_empty:
        counts.append(deleted(commit(disk, writes)))
    assert max(counts) == DELETED_ENTRIES_MAX and len(counts) == 8  # of 3 * 2,399
    for group in (1, 2, 4):
        assert on_disk(disk, group) == list(range(2400, 2501))
    assert writes.take() is None


def test_a_deletion_is_work_by_itself(three_a_commit):
    """Without anybody's write what is left of it goes too."""
    disk, writes = Disk(random.Random(1)), WriteSet()
    log = filled(writes, 9)
    commit(disk, writes)
    log.compact(8, 8, 1)
    commit(disk, writes)
    assert on_disk(disk) == [4, 5, 6, 7, 8, 9] and not writes.is_empty
    commit(disk, writes)
    assert on_disk(disk) == [7, 8, 9]


def test_a_crash_between_two_slices_leaves_the_same_log(disk, three_a_commit):
    writes = WriteSet()
    log = filled(writes, 20)
    commit(disk, writes)
    log.compact(15, 17, 1)
    log.add(b"\x00later", 21, 1)
    left = [14]
    while not writes.is_empty:
        commit(disk, writes)
        again = loaded(disk)
        assert (again.entries, again.meta, again.bytes) == (log.entries, log.meta, log.bytes)
        left.append(sum(index < 15 for index in on_disk(disk)))
    assert left == [14, 11, 8, 5, 2, 0]


def test_a_start_goes_on_where_a_crash_came_in_between(disk, three_a_commit):
    writes = WriteSet()
    log = filled(writes, 20)
    commit(disk, writes)
    log.compact(15, 17, 1)
    commit(disk, writes)
    again = loaded(disk)
    while not again.writes.is_empty:
        commit(disk, again.writes)
    assert on_disk(disk) == list(range(15, 21))
    assert loaded(disk).writes.is_empty


@pytest.mark.parametrize("index", [9, 10, 11, 50])
def test_a_crash_after_a_reset_never_brings_old_entries_back(disk, three_a_commit, index):
    """Also when they reach up to the new first one: they are of another history."""
    writes = WriteSet()
    log = filled(writes, 10)
    commit(disk, writes)
    log.reset(index, 7, Configuration(index, 3, ("a", "c")))
    log.add(b"\x00new", index + 1, 7)
    while not writes.is_empty:
        commit(disk, writes)
        again = loaded(disk)
        assert [(entry[1], entry[2]) for entry in again.entries] == [(index, 7), (index + 1, 7)]
        assert again.entries == log.entries and again.meta == log.meta
    assert on_disk(disk) == [index, index + 1]


def test_a_forgotten_log_is_not_begun_again_before_it_is_gone(disk, three_a_commit):
    writes = WriteSet()
    log = filled(writes, 8)
    commit(disk, writes)
    log.retire(8)
    assert writes.is_cutting(GROUP)
    commit(disk, writes)
    assert on_disk(disk) == [4, 5, 6, 7, 8] and writes.is_cutting(GROUP)
    after_a_crash = WriteSet()
    assert delete_forgotten(disk, after_a_crash, GROUP) and after_a_crash.is_cutting(GROUP)
    commit(disk, after_a_crash)
    sequence, operations = after_a_crash.take()
    disk.commit(operations)
    assert after_a_crash.is_cutting(GROUP)  # nobody has said that it is on disk
    after_a_crash.durable_sequence = sequence
    assert not after_a_crash.is_cutting(GROUP) and on_disk(disk) == []
    assert not delete_forgotten(disk, WriteSet(), GROUP)


def test_entries_without_a_record_and_a_tombstone_are_damage_still(disk):
    writes = WriteSet()
    filled(writes, 4)
    disk.commit([o for o in writes.take()[1] if getattr(o, "key", b"")[2:3] != b"m"])
    assert not delete_forgotten(disk, WriteSet(), GROUP)
    with pytest.raises(CorruptionError, match="no term and vote"):
        Log(GROUP, WriteSet()).load(disk)


def test_what_is_cut_in_pieces_has_gaps(disk):
    """What two lives left to delete is not walked index by index."""
    disk.commit([records.entry(GROUP, index, 1, b"x") for index in (2, 3, 10**9, 10**12)])
    disk.commit([records.tombstone(GROUP, records.Tombstone(1, None, 5))])
    writes = WriteSet()
    assert delete_forgotten(disk, writes, GROUP)
    commit(disk, writes)
    assert on_disk(disk) == [] and not writes.is_cutting(GROUP)


def test_a_lost_first_entry_is_noticed(disk):
    writes = WriteSet()
    log = filled(writes, 8)
    log.compact(4, 6, 1)
    commit(disk, writes)
    disk.commit([records.entries(GROUP, 4, 4)])
    with pytest.raises(CorruptionError, match="missing before 5"):
        loaded(disk)


def test_what_0_3_0_wrote_is_loaded():
    """Its record does not say where the log begins: with the first entry there is."""
    disk, writes = Disk(random.Random(1)), WriteSet()
    log = filled(writes, 8)
    log.compact(4, 6, 1)
    while not writes.is_empty:
        commit(disk, writes)
    older = b"\x97" + log.meta.pack()[1:-1]  # an array of seven, without the last field
    record = records.meta(GROUP, log.meta)
    disk.commit([records.sealed(record.key, older)])
    again = loaded(disk)
    assert again.entries == log.entries and again.meta == log.meta
    assert again.writes.is_empty
