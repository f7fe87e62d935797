"""A group's log: what is loaded is what was committed, and nothing damaged is."""

import random

import pytest

from distrodb.errors import CorruptionError, InvariantViolation
from distrodb.raft.log import Configuration, Log
from distrodb.raft.write_set import WriteSet
from distrodb.storage.journal import open_journal
from distrodb.storage.records import DeleteRange, Put, entry_key
from tests.support.disk import Disk


@pytest.fixture
def store(tmp_path):
    store = open_journal(tmp_path / "slave")
    yield store
    store.close()


def commit(store, writes: WriteSet) -> int:
    sequence, operations = writes.take()
    store.commit(operations)
    writes.on_disk(sequence)
    return sequence


def filled(writes: WriteSet, entries: int = 5, group: int = 3) -> Log:
    journal = Log(group, writes)
    journal.begin(["a", "b"])
    for index in range(2, entries + 1):
        journal.add(b"command %d" % index, index, 1)
    journal.setCurrentTerm(1, "a")
    return journal


def loaded(store, group: int = 3) -> Log:
    journal = Log(group, WriteSet())
    assert journal.load(store)
    return journal


def test_what_was_committed_is_loaded(store):
    writes = WriteSet()
    journal = filled(writes)
    other = filled(writes, 2, group=4)
    journal.setRaftCommitIndex(4)
    commit(store, writes)
    again = loaded(store)
    assert again.entries == journal.entries and again.meta == journal.meta
    assert again.getRaftCommitIndex() == 4 and again.getVotedForNodeId() == "a"
    assert loaded(store, 4).entries == other.entries


def test_the_commit_index_alone_writes_nothing_and_is_clamped(store):
    writes = WriteSet()
    journal = filled(writes)
    journal.setRaftCommitIndex(9)
    commit(store, writes)
    assert loaded(store).getRaftCommitIndex() == 5
    journal.setRaftCommitIndex(10)
    assert writes.take() is None


def test_the_durable_index_follows_the_disk():
    writes = WriteSet()
    journal = filled(writes, 3)
    first, _ = writes.take()
    journal.add(b"later", 4, 1)
    assert journal.durable_index == 0 and journal.gate() == 2
    writes.on_disk(first)
    journal.on_durable()
    assert journal.durable_index == 3 and journal.gate() == 2
    second, _ = writes.take()
    writes.on_disk(second)
    journal.on_durable()
    assert journal.durable_index == 4 and journal.gate() == 0


def test_truncated_and_compacted_entries_are_gone(store):
    writes = WriteSet()
    journal = filled(writes, 9)
    commit(store, writes)
    journal.truncate(8)
    journal.add(b"other", 8, 2)
    journal.setRaftCommitIndex(6)
    journal.compact(4, 6, 1)
    commit(store, writes)
    again = loaded(store)
    assert again.entries == journal.entries
    assert (again.first_index, again.last_index, again.last_term) == (4, 8, 2)
    assert again.bytes == journal.bytes == sum(len(entry[0]) for entry in journal.entries)
    assert again.term_at(3) is None and again.term_at(8) == 2


def test_a_committed_entry_is_never_truncated():
    journal = filled(WriteSet())
    journal.setRaftCommitIndex(3)
    with pytest.raises(InvariantViolation):
        journal.truncate(3)


def test_a_reset_replaces_the_log(store):
    writes = WriteSet()
    journal = filled(writes)
    commit(store, writes)
    journal.reset(100, 7, Configuration(100, 3, ("a", "c")))
    commit(store, writes)
    again = loaded(store)
    assert (again.first_index, again.last_index, again.last_term) == (100, 100, 7)
    assert again.meta.snapshot_index == 100
    assert again.configuration == Configuration(100, 3, ("a", "c"))


def test_the_newest_configuration_in_the_log_is_in_force(store):
    writes = WriteSet()
    journal = filled(writes)
    first = Configuration(1, 1, ("a", "b"))
    later = Configuration(6, 2, ("a", "b", "c"))
    assert journal.configuration == first
    journal.add(later.pack(), 6, 1)
    commit(store, writes)
    assert journal.configuration == loaded(store).configuration == later
    assert loaded(store).configuration_at(5) == first
    journal.truncate(6)
    commit(store, writes)
    assert journal.configuration == loaded(store).configuration == first


def test_a_snapshot_keeps_the_configuration_that_is_compacted_away(store):
    writes = WriteSet()
    journal = filled(writes)
    journal.add(Configuration(6, 2, ("b",)).pack(), 6, 1)
    journal.add(b"command 7", 7, 1)
    journal.compact(7, 7, 1)
    commit(store, writes)
    assert loaded(store).configuration == Configuration(7, 2, ("b",))


def test_a_log_that_joins_matches_nothing(store):
    writes = WriteSet()
    journal = Log(3, writes)
    journal.join()
    commit(store, writes)
    assert (loaded(store).last_index, loaded(store).last_term) == (0, 0)
    assert loaded(store).configuration.members == ()


@pytest.mark.parametrize("position", [0, 3, 4, 10, -1])
def test_a_flipped_bit_is_noticed(store, position):
    writes = WriteSet()
    filled(writes)
    commit(store, writes)
    for key, value in list(store.scan(b"\x00\x03", b"\x00\x03\xff")):
        flipped = bytearray(value)
        flipped[position] ^= 1
        store.commit([Put(key, bytes(flipped))])
        with pytest.raises(CorruptionError, match="checksum"):
            loaded(store)
        store.commit([Put(key, value)])
    assert loaded(store).last_index == 5


def test_a_missing_entry_is_noticed(store):
    writes = WriteSet()
    journal = filled(writes)
    operations = writes.take()[1]
    store.commit([o for n, o in enumerate(operations) if n != 3])
    assert journal.last_index == 5
    with pytest.raises(CorruptionError, match="missing before 4"):
        loaded(store)


def test_of_entries_that_were_cut_and_not_deleted_before_a_crash_no_value_is_read():
    """There may be many, and large ones; whether they are whole is nobody's concern any more."""

    class Watched(Disk):
        def scan(self, first, last):
            read.extend(keys := self.keys(first, last))
            yield from [(key, self.records[key]) for key in keys]

    read: list[bytes] = []
    disk, writes = Watched(random.Random(1), "a"), WriteSet()
    journal = filled(writes, 9)
    journal.setRaftCommitIndex(8)
    commit(disk, writes)
    journal.compact(6, 7, 1)
    _, operations = writes.take()
    disk.commit([each for each in operations if not isinstance(each, DeleteRange)])
    again, later = Log(3, writes := WriteSet()), entry_key(3, 6)
    assert again.load(disk) and again.first_index == 6
    assert [key for key in read if entry_key(3, 0) <= key < later] == []
    commit(disk, writes)
    assert list(disk.keys(entry_key(3, 0), entry_key(3, 5))) == []
