"""What is left after a crash, a power cut, a flipped bit, a full disk."""

import mmap
import os
import pickle
import random
import struct
import types

import pytest

from distrodb.errors import CorruptionError, StorageError
from distrodb.raft import messages as m
from distrodb.raft.log import Configuration, Log
from distrodb.raft.write_set import WriteSet
from distrodb.resp.reply import OK
from distrodb.storage import segment
from distrodb.storage.journal import open_journal
from distrodb.storage.records import DeleteRange, Put
from distrodb.storage.segment import BLOCK_BYTES_MAX
from distrodb.storage.snapshot_files import SnapshotFiles
from distrodb.storage.wal import SEGMENT_BYTES
from tests.library import ours, plain
from tests.library.slaves import Slaves


@pytest.fixture
def store(tmp_path):
    store = open_journal(tmp_path / "slave")
    yield store
    store.close()


def commit(store, writes: WriteSet) -> None:
    sequence, operations = writes.take()
    store.commit(operations)
    writes.on_disk(sequence)


def our_journal(entries: int, writes: WriteSet, term: int = 1) -> Log:
    """The first entry is the one with which every log begins."""
    journal = Log(ours.GROUP, writes)
    journal.begin("abc")
    for index in range(2, entries + 1):
        journal.add(b"\x00command %d" % index, index, term)
    journal.setCurrentTerm(term, "a")
    return journal


def our_journal_loaded(store) -> Log:
    journal = Log(ours.GROUP, WriteSet())
    assert journal.load(store)
    return journal


def their_journal(path, entries: int, term: int = 1):
    journal = plain.journal.createJournal(str(path))
    for index in range(1, entries + 1):
        journal.add(b"\x00command %d" % index, index, term)
    journal.setCurrentTerm(term, "a")
    return journal


# Nothing is ever fsynced.


@pytest.fixture
def syncs(monkeypatch):
    """What is synced, in order, and the renames between: of files, directories, memory maps."""
    seen = []

    def fsync(descriptor):
        seen.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    class Watched(mmap.mmap):
        def flush(self, *args):
            seen.append("mmap")
            return super().flush(*args)

    def replace(old, new, real=os.replace):
        seen.append(f"rename to {new}")
        real(old, new)

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, fsync)
    monkeypatch.setattr(os, "sync", lambda: seen.append("all"))
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(plain.journal, "mmap", types.SimpleNamespace(mmap=Watched))
    return seen


def test_plain_nothing_is_ever_synced(tmp_path, syncs):
    """Neither entries nor term nor vote, before the vote and the acks that speak of them leave."""
    cluster = plain.Cluster(files=tmp_path).lead("a")
    cluster.write("a", "x")
    cluster.settle()
    cluster.compact("a")
    assert cluster.counts_of("x") == [1, 1, 1] and (tmp_path / "a.dump").exists()
    assert [what for what in syncs if not what.startswith("rename")] == []


def test_ours_the_journal_is_synced_at_each_commit(store, tmp_path, syncs):
    (segment,) = (tmp_path / "slave").glob("*.segment")
    for number in range(1, 4):
        store.commit([Put(b"a", b"1")])
        assert syncs == number * [str(segment)]


def test_ours_a_new_segment_is_synced_then_its_directory_then_noted(tmp_path, syncs):
    store = open_journal(tmp_path / "slave")
    store.close()
    folder = str(tmp_path / "slave")
    begin = syncs.index(f"{folder}/0000000000000001.segment")
    assert syncs[begin:] == [
        f"{folder}/0000000000000001.segment",
        folder,
        f"{folder}/data.mdb.temporary",
        f"rename to {folder}/data.mdb",
        folder,
    ]


def test_ours_a_snapshot_is_synced_then_renamed_then_its_directory(tmp_path, syncs):
    files = SnapshotFiles(tmp_path / "snapshots")
    syncs.clear()
    files.write(7, 9, iter([b"one", b"two"]))
    name = str(tmp_path / "snapshots" / "00007-00000000000000000009.")
    assert syncs == [
        f"{name}temporary",
        f"rename to {name}snapshot",
        str(tmp_path / "snapshots"),
    ]


# What must not leave before it is on the disk: whole slaves and their own gate, and what was sent.


def three_slaves() -> Slaves:
    """a leads the one partition."""
    return Slaves("abc", partitions=1).settled()


def sent(slaves: Slaves, sender: str, receiver: str, kind: int, group: int = 0) -> list[m.Message]:
    return [
        message
        for *link, message in slaves.delivered
        if link == [sender, receiver] and message[:2] == [group, kind]
    ]


def test_ours_no_vote_leaves_before_it_is_durable():
    slaves = three_slaves()
    slaves.crash("a")
    slaves.held_disks.add("b")
    slaves["c"].groups[0].member.stand_at_once(slaves.now)
    slaves.run(0.3)
    assert sent(slaves, "c", "b", m.VOTE_REQUEST) and not sent(slaves, "b", "c", m.VOTE)
    assert not slaves["c"].routing.leads(0)
    slaves.release_disk("b")
    slaves.tick()
    assert sent(slaves, "b", "c", m.VOTE) and slaves["c"].routing.leads(0)


def test_ours_no_request_for_votes_leaves_before_ones_own_vote_is_durable():
    slaves = three_slaves()
    slaves.crash("a")
    slaves.held_disks.add("c")
    slaves["c"].groups[0].member.stand_at_once(slaves.now)
    slaves.run(0.3)
    assert sent(slaves, "c", "b", m.PREVOTE_REQUEST) and not sent(slaves, "c", "b", m.VOTE_REQUEST)
    slaves.release_disk("c")
    slaves.tick()
    assert sent(slaves, "c", "b", m.VOTE_REQUEST)


def test_ours_no_ack_leaves_before_it_is_durable():
    slaves = three_slaves()
    slaves.cut("a", "c")
    slaves.held_disks.add("b")
    write = slaves.ask("a", b"SET", b"k", b"v")
    index = slaves["a"].groups[0].log.last_index + 1
    slaves.run(0.3)
    assert slaves["b"].groups[0].log.last_index == index
    assert write.reply is None
    assert not [ack for ack in sent(slaves, "b", "a", m.ACK) if ack[3] and ack[4] >= index]
    slaves.release_disk("b")
    slaves.tick()
    slaves.tick()
    assert write.reply == OK


def test_ours_a_leader_counts_itself_when_its_own_disk_has_the_entry():
    slaves = three_slaves()
    slaves.cut("a", "c")
    slaves.held_disks.add("a")
    write = slaves.ask("a", b"SET", b"k", b"v")
    slaves.run(0.3)
    assert [ack for ack in sent(slaves, "b", "a", m.ACK) if ack[4] == log_end(slaves, "a")]
    assert write.reply is None
    slaves.release_disk("a")
    slaves.tick()
    assert write.reply == OK


def log_end(slaves: Slaves, name: str) -> int:
    return slaves[name].groups[0].log.last_index


def test_ours_what_waits_for_the_disk_is_lost_in_a_crash_and_asked_for_again():
    """b has an entry in memory, and its power goes: nobody may count on it."""
    slaves = three_slaves()
    slaves.cut("a", "c")
    slaves.held_disks.add("b")
    write = slaves.ask("a", b"SET", b"k", b"v")
    slaves.run(0.1)
    end = log_end(slaves, "b")
    slaves.crash("b")
    assert write.reply is None
    assert slaves.start("b").groups[0].log.last_index == end - 1
    slaves.until(lambda: write.reply == OK)


# Compaction rewrites the journal in place.


def test_plain_a_crash_in_a_compaction_loses_the_log(tmp_path):
    journal = their_journal(tmp_path / "journal", 1000)
    add, added = journal.add, []

    def dies_after_a_while(*entry):
        if len(added) == 99:
            raise KeyboardInterrupt  # stands for kill -9
        added.append(entry)
        add(*entry)

    journal.add = dies_after_a_while
    with pytest.raises(KeyboardInterrupt):
        journal.deleteEntriesTo(10)
    assert len(plain.journal.createJournal(str(tmp_path / "journal"))) == 99


def test_ours_a_crash_in_a_compaction_changes_nothing(store):
    writes = WriteSet()
    journal = our_journal(1000, writes)
    commit(store, writes)
    journal.compact(11, 11, 1)
    _, operations = writes.take()

    def dies_before_the_end():
        yield from operations
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.commit(dies_before_the_end())
    again = our_journal_loaded(store)
    assert (again.first_index, again.last_index) == (1, 1000)


# A commit index ahead of a tail that was lost: what is proposed next counts as committed.


def test_plain_an_isolated_leader_acknowledges_what_its_old_commit_index_covers(tmp_path):
    for name in "abc":
        journal = their_journal(tmp_path / f"{name}.journal", 1)
        journal.setRaftCommitIndex(10)  # it is stored with the next vote
        journal.setCurrentTerm(1, None)
        journal._destroy()
    cluster = plain.Cluster(files=tmp_path)
    cluster.elect("a")
    cluster.cut("a")
    assert cluster.write("a", 1).is_ok and cluster["b"].last_index == 1


def test_ours_the_commit_index_is_clamped_when_it_is_loaded():
    disks = {}
    for name in "abc":
        writes, disks[name] = WriteSet(), ours.Disk(random.Random(name), name)
        journal = our_journal(1, writes)
        journal.setRaftCommitIndex(10)
        journal.setCurrentTerm(1, None)
        commit(disks[name], writes)
    cluster = ours.Cluster(disks=disks)
    assert [cluster[name].commit_index for name in "abc"] == [1, 1, 1]
    cluster.elect("a")
    cluster.cut("a")
    assert cluster.write("a", "x").reason is None


# No checksums in the journal; new: a damaged record of term and vote is taken for an empty one.


def test_plain_a_flipped_bit_in_the_journal_is_served(tmp_path):
    their_journal(tmp_path / "journal", 3)._destroy()
    damaged = (tmp_path / "journal").read_bytes().replace(b"command 2", b"command 3")
    (tmp_path / "journal").write_bytes(damaged)
    assert plain.journal.createJournal(str(tmp_path / "journal"))[1][0] == b"\x00command 3"


def test_ours_a_flipped_bit_in_the_journal_is_refused(store):
    writes = WriteSet()
    our_journal(3, writes)
    commit(store, writes)
    for key, value in list(store.scan(b"", b"\xff")):
        if b"command 2" in value:
            store.commit([Put(key, value.replace(b"command 2", b"command 3"))])
    with pytest.raises(CorruptionError, match="entry 2 .* is damaged"):
        our_journal_loaded(store)


def test_plain_a_damaged_vote_is_forgotten_and_given_again(tmp_path):
    cluster = plain.Cluster(files=tmp_path)
    cluster.elect("a", "b")
    cluster.stop("b")
    (tmp_path / "b.journal.meta").write_bytes(b"damaged")
    assert cluster.start("b").term == 0
    cluster.cut("a")
    cluster.elect("c", "b")
    assert cluster["a"].leads and cluster["a"].term == cluster["c"].term  # two in one term


def test_ours_a_damaged_vote_is_refused(store):
    writes = WriteSet()
    our_journal(3, writes)
    commit(store, writes)
    ((key, value),) = [record for record in store.scan(b"", b"\xff") if record[0][2:] == b"m"]
    store.commit([Put(key, value[:-1] + b"\x00")])
    with pytest.raises(CorruptionError, match="the record of group 7"):
        our_journal_loaded(store)


# Offsets of 32 bits.


def test_plain_a_journal_ends_at_four_gibibytes(tmp_path):
    journal = their_journal(tmp_path / "journal", 3)
    journal._FileJournal__currentOffset = 2**32 - 8
    journal._FileJournal__journalFile.write = lambda offset, values: None  # not that much disk
    with pytest.raises(struct.error):
        journal.add(b"one more", 4, 1)
    assert journal[-1][0] == b"one more"  # in memory, though it will not be there after a restart


def test_ours_a_journal_has_no_such_end(store):
    writes = WriteSet()
    journal = Log(ours.GROUP, writes)
    journal.join()
    journal.setCurrentTerm(5, None)
    journal.reset(2**33, 5, Configuration(2**33, 1, ("a", "b", "c")))
    journal.add(b"\x00one more", 2**33 + 1, 5)
    commit(store, writes)
    assert our_journal_loaded(store).last_index == 2**33 + 1


def test_ours_an_offset_is_one_in_a_segment_and_those_have_no_end(store, monkeypatch):
    assert SEGMENT_BYTES <= BLOCK_BYTES_MAX < 2**32
    store.commit([Put(b"a", b"x" * (SEGMENT_BYTES + 1)), Put(b"b", b"1")])
    store.commit([Put(b"c", b"y" * (2 * SEGMENT_BYTES))])
    assert [len(value) for _, value in store.scan(b"a", b"c")] == [
        SEGMENT_BYTES + 1,
        1,
        2 * SEGMENT_BYTES,
    ]
    monkeypatch.setattr(segment, "BLOCK_BYTES_MAX", 1000)
    with pytest.raises(StorageError, match="cannot write: more than 2 GiB at once"):
        store.commit([Put(b"d", b"x" * 900), Put(b"e", b"x" * 900)])


# New: a write that fails leaves the entry in memory, and the next heartbeat acknowledges it.


def test_plain_an_entry_that_was_not_written_is_acknowledged(tmp_path):
    cluster = plain.Cluster(files=tmp_path).lead("a")
    outcome = cluster.write("a", "x")

    def full(offset, values):
        raise OSError("no space left on device")

    log = cluster["b"]._SyncObj__raftLog
    log._FileJournal__journalFile.write, write = full, log._FileJournal__journalFile.write
    with pytest.raises(OSError):
        cluster.deliver("a", "b")
    log._FileJournal__journalFile.write = write
    cluster.cut("c")
    cluster.tick("a")
    cluster.settle("a", "b")
    assert outcome.is_ok
    on_disk = plain.journal.createJournal(str(tmp_path / "b.journal"))
    assert b"x" not in pickle.dumps(on_disk[:])


def test_ours_an_entry_that_was_not_written_is_not_acknowledged():
    slaves = three_slaves()
    slaves.cut("a", "c")
    slaves.held_disks.add("b")  # in the product a disk that fails stops the slave
    write = slaves.ask("a", b"SET", b"k", b"v")
    slaves.run(2.0)
    assert write.reply is None or write.reply.code == "UNKNOWN"
    assert not [ack for ack in sent(slaves, "b", "a", m.ACK) if ack[4] == log_end(slaves, "a")]


def test_ours_a_missing_vote_is_refused(store):
    writes = WriteSet()
    our_journal(3, writes)
    commit(store, writes)
    ((key, _),) = [record for record in store.scan(b"", b"\xff") if record[0][2:] == b"m"]
    store.commit([DeleteRange(key, key)])
    with pytest.raises(CorruptionError):
        our_journal_loaded(store)
