"""A write set is bounded in what it deletes, and a crash between two of them loses nothing."""

import random
from dataclasses import replace

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
    writes.on_disk(sequence)
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
    after_a_crash.on_disk(sequence)
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


# -- what is large -------------------------------------------------------------------------------

OTHER = 4


def add(writes: WriteSet, index: int, size: int, group: int = GROUP) -> int:
    return writes.add(records.entry(group, index, 1, b"x" * size), group, begins=True)


def taken(writes: WriteSet) -> list[tuple[int, int]]:
    """(group, index) of the entries that the next commit has, which is on disk at once."""
    sequence, operations = writes.take()
    keys = [each.key for each in operations if isinstance(each, records.Put)]
    writes.on_disk(sequence)
    return [(int.from_bytes(key[:2]), int.from_bytes(key[3:])) for key in keys if len(key) == 11]


def write_all(writes: WriteSet) -> None:
    for sequence, put in writes.take_large():
        writes.large_written(sequence, put)


def test_what_is_small_goes_before_what_is_large():
    writes = WriteSet()
    add(writes, 1, write_set.LARGE_BYTES)
    add(writes, 2, 10)  # behind it, in the same group
    add(writes, 1, 10, OTHER)
    ((sequence, put),) = writes.take_large()
    assert taken(writes) == [(OTHER, 1)] and writes.is_empty
    add(writes, 2, 10, OTHER)
    assert taken(writes) == [(OTHER, 2)] and writes.is_empty
    writes.large_written(sequence, put)
    add(writes, 3, 10, OTHER)
    assert taken(writes) == [(OTHER, 3), (GROUP, 1), (GROUP, 2)]
    add(writes, 3, 10)
    assert taken(writes) == [(GROUP, 3)] and writes.is_empty


def test_a_large_value_is_on_disk_with_the_commit_that_has_it():
    writes = WriteSet()
    before = add(writes, 1, 10)
    large, behind = add(writes, 2, write_set.LARGE_BYTES), add(writes, 3, 10)
    assert before < large == behind
    taken(writes)
    assert writes.is_on_disk(before) and not writes.is_on_disk(large)
    write_all(writes)
    assert not writes.is_on_disk(large)
    sequence, _ = writes.take()
    assert not writes.is_on_disk(large)
    writes.on_disk(sequence)
    assert writes.is_on_disk(large)
    assert not writes.is_on_disk(add(writes, 4, 10))


def test_large_ones_of_a_group_stay_in_order_whichever_is_written_first():
    writes = WriteSet()
    for index in (1, 2, 3):
        add(writes, index, write_set.LARGE_BYTES)
    large = writes.take_large()
    for sequence, put in reversed(large[1:]):
        writes.large_written(sequence, put)
    assert writes.take() is None
    writes.large_written(*large[0])
    assert taken(writes) == [(GROUP, 1), (GROUP, 2), (GROUP, 3)]


def test_a_commit_is_bounded_and_groups_take_turns():
    """Entries of which each is small enough, and all together are not."""
    writes, size = WriteSet(), write_set.LARGE_BYTES // 2
    groups = range(10, 20)
    for index in range(1, 11):
        for group in groups:
            add(writes, index, size, group)
    assert not writes.has_large
    commits = []
    while not writes.is_empty:
        commits.append(taken(writes))
    most = write_set.COMMIT_BYTES // size + 1
    assert max(map(len, commits)) <= most
    for group in groups:
        assert [i for commit in commits for g, i in commit if g == group] == list(range(1, 11))
    # One that has less to write is through long before the others are.
    last = {group: max(n for n, c in enumerate(commits) if (group, 2) in c) for group in groups}
    assert max(last.values()) < len(commits) // 2


def test_what_is_apart_goes_also_while_small_ones_fill_each_commit():
    writes, size = WriteSet(), write_set.COMMIT_BYTES // 20
    add(writes, 1, write_set.LARGE_BYTES)
    write_all(writes)
    for index in range(1, 40):
        add(writes, index, size, OTHER)
    assert (GROUP, 1) in taken(writes)


def test_nothing_is_deleted_of_a_group_before_its_record_says_so():
    """Its log begins behind that, says a record that waits for a large entry."""
    disk, writes = Disk(random.Random(1)), WriteSet()
    log = filled(writes, 9)
    commit(disk, writes)
    log.on_durable()
    log.add(b"\x00" + b"x" * write_set.LARGE_BYTES, 10, 1)
    log.setRaftCommitIndex(9)
    log.compact(8, 8, 1)
    other = filled(writes, 3, OTHER)
    ((sequence, put),) = writes.take_large()
    commit(disk, writes)
    assert on_disk(disk) == list(range(1, 10)) and writes.is_empty and writes.is_cutting(GROUP)
    again = loaded(disk)
    assert again.last_index == 9 and again.meta.commit_index == 1
    assert other.is_on_disk(other.last_sequence) and log.gate()
    log.on_durable()
    assert log.durable_index == 9
    writes.large_written(sequence, put)
    while not writes.is_empty:
        commit(disk, writes)
    log.on_durable()
    assert on_disk(disk) == [8, 9, 10] and not writes.is_cutting(GROUP)
    assert log.durable_index == 10 and not log.gate()
    assert (loaded(disk).entries, loaded(disk).meta) == (log.entries, log.meta)


def test_a_commit_index_is_written_though_each_entry_is_large():
    disk, writes = Disk(random.Random(1)), WriteSet()
    log = filled(writes, 2)
    for index in range(3, 6):
        log.setRaftCommitIndex(index - 1)
        log.add(b"\x00" + b"x" * write_set.LARGE_BYTES, index, 1)
        write_all(writes)
    commit(disk, writes)
    assert loaded(disk).meta.commit_index == 4


def test_a_large_entry_may_be_truncated_before_it_is_written():
    disk, writes = Disk(random.Random(1)), WriteSet()
    log = filled(writes, 3)
    commit(disk, writes)
    log.add(b"\x00" + b"x" * write_set.LARGE_BYTES, 4, 1)
    log.truncate(4)
    log.add(b"\x00another", 4, 2)
    write_all(writes)
    commit(disk, writes)
    log.on_durable()
    assert loaded(disk).entries == log.entries and log.durable_index == 4


class Walk:
    """One log through all that happens to logs, with a large value written at any time."""

    def __init__(self, generator: random.Random):
        self._random, self._large = generator, []
        self.disk, self.writes = Disk(random.Random(1)), WriteSet()
        self.log, self.noted = Log(GROUP, self.writes), []
        self.log.begin(["a", "b"])
        self.note()
        while not self.writes.is_on_disk(self.log.last_sequence):
            self.disk_step()

    def note(self) -> None:
        """What a crash may leave, once it is on the disk: the entries of then."""
        self.noted.append((self.log.last_sequence, list(self.log.entries)))

    def step(self) -> None:
        coin, log = self._random, self.log
        chance, term = coin.random(), log.meta.term
        if chance < 0.5:
            if chance < 0.1 and log.last_index > log.meta.commit_index:
                log.truncate(coin.randint(log.meta.commit_index + 1, log.last_index))
            size = coin.choice((0, 10, 30, 70, 200))
            log.add(b"\x00" + coin.randbytes(size), log.last_index + 1, term)
        elif chance < 0.6:
            log.setCurrentTerm(term + coin.randint(0, 1), coin.choice(("a", "b", None)))
        elif chance < 0.75:
            log.setRaftCommitIndex(coin.randint(log.meta.commit_index, log.last_index))
        elif chance < 0.85 and log.meta.commit_index > log.meta.snapshot_index:
            snapshot = coin.randint(log.meta.snapshot_index, log.meta.commit_index)
            log.compact(max(snapshot - 1, log.first_index), snapshot, log.term_at(snapshot))
        elif chance < 0.9:
            index = coin.randint(log.meta.commit_index + 1, log.last_index + 3)
            log.reset(index, term, Configuration(1, 1, ("a", "b")))
            log.setRaftCommitIndex(index)
        self.note()

    def disk_step(self) -> None:
        self._large += self.writes.take_large()
        if self._large and self._random.random() < 0.4:
            self.writes.large_written(*self._large.pop(self._random.randrange(len(self._large))))
        if self._random.random() < 0.5 and (taken := self.writes.take()) is not None:
            self.disk.commit(taken[1])
            self.writes.on_disk(taken[0])
            self.look()

    def look(self) -> None:
        """A crash here leaves a log that can be read, and has what messages may speak of."""
        again, log = loaded(self.disk), self.log
        log.on_durable()
        known = max(n for n, (at, _) in enumerate(self.noted) if self.writes.is_on_disk(at))
        del self.noted[:known]
        later = {entry for _, entries in self.noted for entry in entries}
        assert set(again.entries) <= later
        assert again.last_index >= log.durable_index


def walk_through(seed: int) -> None:
    """Raises ``AssertionError`` or ``CorruptionError`` if anything is wrong."""
    generator = random.Random(seed)
    walk = Walk(generator)
    for _ in range(600):
        if generator.random() < 0.5:
            walk.step()
        walk.disk_step()
    while walk.writes._apart or not walk.writes.is_empty:
        walk.disk_step()
    again, log = loaded(walk.disk), walk.log
    assert again.entries == log.entries and not log.gate()
    assert again.meta.commit_index <= log.meta.commit_index
    assert replace(again.meta, commit_index=1) == replace(log.meta, commit_index=1)


# Any will do: each has hundreds of commits.
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("sizes", [(1, 256), (60, 256), (1 << 30, 64), (40, 16)])
def test_a_crash_between_any_two_commits_leaves_a_log(monkeypatch, seed, sizes):
    monkeypatch.setattr(write_set, "LARGE_BYTES", sizes[0])
    monkeypatch.setattr(write_set, "COMMIT_BYTES", sizes[1])
    walk_through(seed)


def retire_slowly(monkeypatch) -> None:
    """A log is forgotten while an entry of it is written; a crash may come behind each commit.

    Found by a soak: what one event noted came in two commits, and the record was back."""
    monkeypatch.setattr(write_set, "LARGE_BYTES", 20)
    monkeypatch.setattr(write_set, "COMMIT_BYTES", 1)
    disk, writes = Disk(random.Random(1)), WriteSet()
    log = filled(writes, 3)
    write_all(writes)
    while not writes.is_empty:
        commit(disk, writes)
    log.add(b"\x00" + b"x" * 100, 4, 1)
    log.setRaftCommitIndex(4)
    log.retire(4)
    assert writes.take() is None and loaded(disk).last_index == 3
    write_all(writes)
    while not writes.is_empty:
        commit(disk, writes)
        assert not Log(GROUP, WriteSet()).load(disk)
    assert on_disk(disk) == [] and not writes.is_cutting(GROUP)


def test_a_log_is_forgotten_at_once_though_an_entry_of_it_is_large(monkeypatch):
    retire_slowly(monkeypatch)


def test_what_is_noted_together_and_written_apart_is_no_log_after_a_crash(monkeypatch):
    add = WriteSet.add
    monkeypatch.setattr(WriteSet, "add", lambda self, op, group, begins: add(self, op, group, True))
    with pytest.raises((CorruptionError, AssertionError)):
        retire_slowly(monkeypatch)
