"""One contract, two disks: what the simulator trusts of its disk, the real one keeps.

Each claim is tried on the simulated disk and on the real one.  At the end hypothesis drives both
side by side through random operations, crashes, damage and reopening
(tests/support/disk_mirror.py).
"""

import contextlib
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from distrodb.errors import CorruptionError, StorageError
from distrodb.raft.log import Log
from distrodb.raft.write_set import WriteSet
from distrodb.storage.directory import FORMAT, READABLE, Directory
from distrodb.storage.lmdb_store import LmdbStore
from distrodb.storage.records import IDENTITY_KEY, DeleteRange, Put
from distrodb.storage.snapshot_files import MAGIC, SnapshotFiles
from tests.support.disk import Disk, flipped
from tests.support.disk_mirror import Mirror

LAST = b"\xff" * 16


class RealDisk:
    """``Disk``'s interface over the product's own two classes."""

    def __init__(self, directory: Path):
        self.directory = directory
        self._open()

    def _open(self) -> None:
        self.opened = Directory(self.directory)
        self.store, self.files = self.opened.journal, self.opened.snapshots
        self.commit, self.scan, self.keys = self.store.commit, self.store.scan, self.store.keys
        self.identify = self.opened.identify
        self.write, self.read = self.files.write, self.files.read
        self.remove_older = self.files.remove_older

    def close(self) -> None:
        self.opened.close()

    def reopen(self) -> None:
        self.close()
        self._open()

    def path(self, group: int, index: int) -> Path:
        return self.directory / "snapshots" / f"{group:05d}-{index:020d}.snapshot"

    def raw(self, group: int, index: int) -> bytes:
        return self.path(group, index).read_bytes()

    def damage(self, group: int, index: int, content: bytes) -> None:
        self.path(group, index).write_bytes(content)

    def leave_temporary(self, group: int, index: int, content: bytes) -> None:
        self.path(group, index).with_suffix(".temporary").write_bytes(content)


class SimulatedDisk(Disk):
    def raw(self, group: int, index: int) -> bytes:
        return self.files[group, index]

    def damage(self, group: int, index: int, content: bytes) -> None:
        self.files[group, index] = content

    def leave_temporary(self, group: int, index: int, content: bytes) -> None:
        self.temporaries[group, index] = content


@pytest.fixture(params=["simulated", "real"])
def disk(request, tmp_path):
    if request.param == "simulated":
        opened = SimulatedDisk(random.Random(1))
    else:
        opened = RealDisk(tmp_path / "slave")
    yield opened
    opened.close()


def key(number: int, group: int = 1) -> bytes:
    return struct.pack(">HcQ", group, b"e", number)


def everything(disk) -> list[tuple[bytes, bytes]]:
    return list(disk.scan(b"", LAST))


# -- records -------------------------------------------------------------------------------------


def test_an_empty_disk_has_nothing(disk):
    assert everything(disk) == []
    disk.commit([])
    disk.commit([DeleteRange(b"\x00", LAST)])
    assert everything(disk) == []


def test_a_scan_is_in_the_order_of_the_keys_as_bytes(disk):
    numbers = [5, 1, 256, 2**63, 255, 0, 2**64 - 1]
    disk.commit(Put(key(n), b"%d" % n) for n in numbers)
    disk.commit([Put(b"\x00", b"first"), Put(b"\x00\x01", b"longer is later")])
    found = everything(disk)
    assert [k for k, _ in found] == [b"\x00", b"\x00\x01", *(key(n) for n in sorted(numbers))]
    assert dict(found)[key(256)] == b"256"


def test_the_later_operation_on_a_key_counts(disk):
    disk.commit([Put(b"a", b"1"), Put(b"a", b"2")])
    assert everything(disk) == [(b"a", b"2")]
    disk.commit([DeleteRange(b"a", b"a"), Put(b"a", b"3"), Put(b"b", b"4")])
    disk.commit([Put(b"c", b"5"), DeleteRange(b"b", b"c")])
    assert everything(disk) == [(b"a", b"3")]


@pytest.mark.parametrize(
    ("first", "last", "left"),
    [
        (3, 5, [1, 2, 6, 7]),
        (1, 7, []),
        (0, 2**64 - 1, []),
        (4, 4, [1, 2, 3, 5, 6, 7]),
        (5, 4, [1, 2, 3, 4, 5, 6, 7]),
        (8, 2**64 - 1, [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_a_range_has_both_its_ends(disk, first, last, left):
    disk.commit(Put(key(n), b"x") for n in range(1, 8))
    disk.commit([Put(key(4, group=2), b"another group's")])
    assert list(disk.scan(key(first), key(last))) == [
        (key(n), b"x") for n in range(1, 8) if n not in left
    ]
    disk.commit([DeleteRange(key(first), key(last))])
    assert [k for k, _ in everything(disk)] == [*(key(n) for n in left), key(4, group=2)]


def test_the_ends_of_a_range_need_not_be_there(disk):
    disk.commit(Put(bytes([n]), b"") for n in (10, 20, 30))
    assert [k for k, _ in disk.scan(b"\x0b", b"\x1d\xff")] == [bytes([20])]
    disk.commit([DeleteRange(b"\x0b", b"\x1d\xff")])
    assert [k for k, _ in everything(disk)] == [bytes([10]), bytes([30])]


@pytest.mark.parametrize("size", [0, 1, 2000, 2041, 4096, 65536, 5_000_000])
def test_values_of_every_size(disk, size):
    value = random.Random(size).randbytes(size)
    disk.commit([Put(key(1), value), Put(key(2), b"small")])
    disk.reopen()
    assert everything(disk) == [(key(1), value), (key(2), b"small")]
    disk.commit([Put(key(1), b"replaced")])
    assert everything(disk) == [(key(1), b"replaced"), (key(2), b"small")]


@pytest.mark.parametrize("wrong", [b"", b"x" * 512])
def test_a_key_of_a_wrong_length_stops_the_whole_set(disk, wrong):
    disk.commit([Put(b"a", b"1")])
    with pytest.raises(StorageError, match="cannot write"):
        disk.commit([Put(b"b", b"2"), Put(wrong, b"3")])
    with pytest.raises(StorageError, match="an earlier write failed"):
        disk.commit([Put(b"c", b"4")])
    disk.reopen()
    assert everything(disk) == [(b"a", b"1")]


def test_the_longest_key(disk):
    disk.commit([Put(b"x" * 511, b"1")])
    assert list(disk.scan(b"", b"x" * 511)) == [(b"x" * 511, b"1")]


def test_a_scan_under_way_sees_one_state(disk):
    disk.commit(Put(key(n), b"old") for n in range(5))
    scan = disk.scan(key(0), key(9))
    assert next(scan) == (key(0), b"old")
    disk.commit([DeleteRange(key(1), key(3)), Put(key(4), b"new"), Put(key(7), b"new")])
    assert list(scan) == [(key(n), b"old") for n in range(1, 5)]


def test_what_was_committed_is_there_after_every_reopening(disk):
    for turn in range(5):
        disk.commit([DeleteRange(key(turn - 2), key(turn - 1))] if turn > 2 else [])
        disk.commit([Put(key(turn), b"%d" % turn)])
        before = everything(disk)
        disk.reopen()
        assert everything(disk) == before


def test_a_directory_keeps_its_identity(disk):
    disk.identify("cluster node1 layout")
    disk.identify("cluster node1 layout")
    disk.reopen()
    disk.identify("cluster node1 layout")
    with pytest.raises(StorageError, match="another slave or cluster"):
        disk.identify("cluster node2 layout")


def test_a_directory_of_0_2_0_has_a_layout_behind_its_identity(tmp_path):
    store = Directory(tmp_path)
    store.identify(f"cluster node1 {'0a' * 32}")
    store.identify("cluster node1")
    with pytest.raises(StorageError, match="another slave or cluster"):
        store.identify("cluster node2")
    store.close()


def test_snapshots_without_a_journal_have_lost_it(disk):
    disk.write(1, 5, [b"x"])
    with pytest.raises(StorageError, match="empty beside snapshots"):
        disk.identify("cluster node1 layout")
    assert everything(disk) == []


def test_a_temporary_file_is_no_snapshot_to_the_identity(disk):
    disk.leave_temporary(1, 5, MAGIC)
    disk.identify("cluster node1 layout")


def test_a_flipped_bit_in_any_byte_of_a_record_is_noticed(disk):
    writes = WriteSet()
    journal = Log(1, writes)
    journal.begin(["a", "b"])
    journal.add(b"\x00a command", 2, 1)
    disk.commit(writes.take()[1])
    for stored_key, value in everything(disk):
        for position in range(len(value)):
            disk.commit([Put(stored_key, flipped(value, position, 1 << position % 8))])
            with pytest.raises(CorruptionError, match="checksum does not match"):
                Log(1, WriteSet()).load(disk)
        disk.commit([Put(stored_key, value)])
    assert Log(1, WriteSet()).load(disk)


# -- snapshots -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chunks",
    [[], [b""], [b"one"], [b"", b"a", b"", b"b" * 70_000, b""], [b"x" * 3_000_000] * 2],
    ids=["none", "empty", "one", "mixed", "large"],
)
def test_a_snapshot_is_read_as_it_was_written(disk, chunks):
    disk.write(1, 7, iter(chunks))
    assert list(disk.read(1, 7)) == chunks
    disk.reopen()
    assert list(disk.read(1, 7)) == chunks


def test_a_snapshot_is_replaced_whole(disk):
    disk.write(1, 7, [b"a long one", b"of two"])
    disk.write(1, 7, [b"short"])
    assert list(disk.read(1, 7)) == [b"short"]


def test_a_snapshot_that_is_not_there(disk):
    disk.write(1, 7, [b"x"])
    for group, index in ((1, 8), (2, 7)):
        with pytest.raises(CorruptionError, match="cannot read"):
            list(disk.read(group, index))


def test_only_older_snapshots_of_the_group_are_removed(disk):
    for group in (1, 2, 10):
        for index in (9, 10, 11, 100):
            disk.write(group, index, [b"%d %d" % (group, index)])
    disk.remove_older(1, 11)
    disk.remove_older(2, 5)
    for index in (9, 10):
        with pytest.raises(CorruptionError):
            list(disk.read(1, index))
    assert list(disk.read(1, 11)) == [b"1 11"] and list(disk.read(1, 100)) == [b"1 100"]
    assert list(disk.read(2, 9)) == [b"2 9"] and list(disk.read(10, 9)) == [b"10 9"]


def test_a_flipped_bit_in_any_byte_of_a_snapshot_is_noticed(disk):
    disk.write(1, 7, [b"first", b"", b"the last"])
    whole = disk.raw(1, 7)
    for position in range(len(whole)):
        for mask in (1, 0x10, 0x80):
            disk.damage(1, 7, flipped(whole, position, mask))
            with pytest.raises(CorruptionError):
                list(disk.read(1, 7))


def test_a_snapshot_cut_off_anywhere_is_noticed(disk):
    disk.write(1, 7, [b"first", b"", b"the last"])
    whole = disk.raw(1, 7)
    for length in range(len(whole)):
        disk.damage(1, 7, whole[:length])
        with pytest.raises(CorruptionError):
            list(disk.read(1, 7))


def test_a_missing_or_doubled_record_is_noticed(disk):
    disk.write(1, 7, [b"aa", b"bb"])
    whole, record = disk.raw(1, 7), 8 + 2
    for content in (
        whole[: len(MAGIC)] + whole[len(MAGIC) + record :],
        whole[: len(MAGIC) + record] + whole[len(MAGIC) :],
    ):
        disk.damage(1, 7, content)
        with pytest.raises(CorruptionError, match="records are missing"):
            list(disk.read(1, 7))


def test_a_temporary_file_does_no_harm(disk):
    disk.leave_temporary(1, 7, MAGIC + b"half")
    with pytest.raises(CorruptionError, match="cannot read"):
        list(disk.read(1, 7))
    disk.write(1, 7, [b"whole"])
    disk.leave_temporary(1, 6, MAGIC + b"half")
    disk.remove_older(1, 7)
    assert list(disk.read(1, 7)) == [b"whole"]


def test_chunks_that_raise_leave_the_old_snapshot(disk):
    def chunks():
        yield b"new"
        raise ZeroDivisionError

    disk.write(1, 7, [b"old"])
    with pytest.raises(ZeroDivisionError):
        disk.write(1, 7, chunks())
    assert list(disk.read(1, 7)) == [b"old"]


# -- the simulated disk alone --------------------------------------------------------------------


def test_nothing_is_seen_or_kept_before_its_sync():
    seen = set()
    for seed in range(40):
        disk = Disk(random.Random(seed))
        disk.commit([Put(b"a", b"1")])
        for number in (2, 3, 4):
            disk.begin([Put(b"%d" % number, b"x"), Put(b"a", b"%d" % number)])
        assert everything(disk) == [(b"a", b"1")]
        disk.crash()
        kept = tuple(k for k, _ in everything(disk) if k != b"a")
        seen.add(kept)
        # Whole sets, and none without the ones before it.
        assert kept == tuple(b"%d" % n for n in range(2, 2 + len(kept)))
        assert dict(everything(disk))[b"a"] == (kept[-1] if kept else b"1")
    assert len(seen) == 4


def test_a_crash_never_leaves_a_torn_snapshot_under_its_name():
    seen = set()
    for seed in range(200):
        disk = Disk(random.Random(seed))
        disk.write(1, 5, [b"old"])
        disk.write(1, 6, [b"named by the journal"])
        disk.remove_older(1, 6)
        disk.begin_snapshot(1, 9, [b"new", b"chunks"])
        disk.crash()
        whole = {snapshot: list(disk.read(*snapshot)) for snapshot in disk.files}
        assert whole[1, 6] == [b"named by the journal"]
        assert whole.get((1, 9)) in (None, [b"new", b"chunks"])
        seen.add((tuple(sorted(whole)), tuple(disk.temporaries)))
    assert len(seen) == 6  # the old one back or not; the new one there, torn, or nothing


def test_a_full_disk_and_one_that_fails():
    disk = Disk(random.Random(1))
    disk.commit([Put(b"a", b"1")])
    disk.full = 100
    with pytest.raises(StorageError, match="No space left"):
        disk.commit([Put(b"b", b"x" * 200)])
    with pytest.raises(StorageError, match="No space left"):
        disk.write(1, 5, [b"x" * 200])
    disk.crash()
    assert everything(disk) == [(b"a", b"1")] and not disk.files
    disk.full, disk.temporaries = None, {}
    disk.fail_syncs = 2
    with pytest.raises(StorageError, match="Input/output error"):
        disk.write(1, 5, [b"x"])
    with pytest.raises(StorageError, match="Input/output error"):
        disk.commit([Put(b"a", b"2")])
    with pytest.raises(StorageError, match="an earlier write failed"):
        disk.commit([Put(b"a", b"3")])
    disk.crash()
    assert everything(disk) in ([(b"a", b"1")], [(b"a", b"2")])
    disk.commit([Put(b"a", b"4")])
    disk.wipe()
    assert everything(disk) == [] and disk.used == 0


def test_the_same_seed_decides_the_same():
    def story() -> list:
        generator = random.Random(5)
        disk, said = Disk(generator), []
        for number in range(50):
            disk.commit([Put(key(number), b"x" * number)])
            disk.begin([Put(key(number, 2), b"x" * number)])
            disk.begin_snapshot(1, number, [b"a", b"b", b"c", b"d"])
            said.append(disk.flip(generator))
            disk.crash()
        return [said, everything(disk), disk.files, disk.temporaries]

    assert story() == story()


# -- the real disk alone -------------------------------------------------------------------------


def test_one_directory_one_opener(tmp_path):
    first = Directory(tmp_path)
    with pytest.raises(StorageError, match="another slave runs on this directory"):
        Directory(tmp_path)
    first.journal.commit([Put(b"a", b"1")])
    first.close()
    second = Directory(tmp_path)
    assert list(second.journal.scan(b"", LAST)) == [(b"a", b"1")]
    second.close()


def test_a_directory_of_0_3_0_is_taken_over(tmp_path):
    """It is read, and marked: what is written from now on the older version cannot read."""
    older = Directory(tmp_path)
    older.journal.commit([Put(IDENTITY_KEY, b"distrodb journal 2\ncluster node1")])
    with pytest.raises(StorageError, match="another slave or cluster"):
        older.identify("cluster node2")
    assert everything(older.journal)[0][1].startswith(READABLE[0])
    older.identify("cluster node1")
    assert everything(older.journal) == [(IDENTITY_KEY, FORMAT + b"\ncluster node1")]
    older.close()


_COMMITTER = """
import random, struct, sys
from pathlib import Path
from distrodb.storage.records import DeleteRange, Put
from distrodb.storage.lmdb_store import LmdbStore
from distrodb.storage.snapshot_files import SnapshotFiles

store = LmdbStore(Path(sys.argv[1]) / "journal")
files = SnapshotFiles(Path(sys.argv[1]) / "snapshots")
generator = random.Random()
found = [struct.unpack(">I", value[:4])[0] for _, value in store.scan(b"last", b"last")]
number = found[0] if found else 0
while True:
    number += 1
    size = generator.choice((10, 3000, 30000))
    value = struct.pack(">I", number) + bytes(size)
    puts = [Put(b"e%02d" % n, value) for n in generator.sample(range(40), 5)]
    gone = DeleteRange(b"e00", b"e%02d" % generator.randrange(20))
    store.commit([*puts, gone, *(Put(b"s%d" % n, value) for n in range(20)), Put(b"last", value)])
    print(f"{number}", flush=True)
    if number % 3 == 0:
        files.write(1, number, (value for _ in range(20)))
        files.remove_older(1, number)
        print(f"snapshot {number}", flush=True)
"""


def test_a_set_is_whole_or_absent_after_kill_9(tmp_path):
    """And so is a snapshot; and the file passes its check each time."""
    generator = random.Random(6)
    for _ in range(12):
        output = tmp_path / "output"
        with open(output, "w") as file:
            child = subprocess.Popen(
                [sys.executable, "-c", _COMMITTER, str(tmp_path / "slave")], stdout=file
            )
        until = time.monotonic() + 30
        while output.read_text().count("\n") < 3 and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(generator.uniform(0, 0.02))
        child.send_signal(signal.SIGKILL)
        child.wait()
        lines = output.read_text().splitlines()
        said = max(int(line) for line in lines if line.isdigit())
        named = [int(line.split()[1]) for line in lines if line.startswith("snapshot ")]
        store = LmdbStore(tmp_path / "slave" / "journal")
        found = dict(store.scan(b"", LAST))
        last = struct.unpack(">I", found[b"last"][:4])[0]
        assert last in (said, said + 1), "a committed set is lost"
        assert {found[b"s%d" % n] for n in range(20)} == {found[b"last"]}, "a half of a set"
        store.close()
        snapshots = SnapshotFiles(tmp_path / "slave" / "snapshots")
        indexes = [int(path.stem[6:]) for path in tmp_path.glob("slave/snapshots/*.snapshot")]
        for index in indexes:
            assert len(list(snapshots.read(1, index))) == 20
        assert max(indexes, default=0) >= max(named, default=0), "a durable snapshot is lost"


# -- both side by side ---------------------------------------------------------------------------

keys = st.builds(key, st.integers(0, 12), st.integers(1, 2))
values = st.builds(
    lambda size, seed: random.Random(seed).randbytes(size),
    st.sampled_from([0, 1, 30, 2000, 9000]),
    st.integers(0, 99),
)
operations = st.lists(
    st.one_of(st.builds(Put, keys, values), st.builds(DeleteRange, keys, keys)), max_size=8
)
snapshots = st.tuples(st.integers(1, 2), st.integers(2, 6))


class SideBySide(RuleBasedStateMachine):
    """Every rule asks both disks; ``Mirror`` raises at the first difference."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
        self.random = random.Random(0)
        self.disk = Mirror(self.random, self.folder / "slave")
        self.sets: list = []
        self.writing = None
        self.has_failed = False

    def teardown(self) -> None:
        self.disk.check()
        self.disk.close()
        shutil.rmtree(self.folder)

    def forget(self) -> None:
        self.sets, self.writing, self.has_failed = [], None, False

    def attempt(self, action, *args):
        try:
            return action(*args)
        except StorageError:
            self.has_failed = True
            return None

    @rule(seed=st.integers(0, 1000))
    def throw_other_coins(self, seed):
        self.random.seed(seed)

    @rule(operations=operations)
    def begin(self, operations):
        pending = self.attempt(self.disk.begin, operations)
        if pending is not None:
            self.sets.append(pending)

    @precondition(lambda self: self.sets and not self.has_failed)
    @rule(data=st.data())
    def sync(self, data):
        position = data.draw(st.integers(0, len(self.sets) - 1))
        self.attempt(self.disk.sync, self.sets[position])
        if not self.has_failed:
            del self.sets[: position + 1]

    @precondition(lambda self: not self.sets and not self.has_failed)
    @rule(operations=operations)
    def commit(self, operations):
        self.attempt(self.disk.commit, operations)

    @rule(first=keys, last=keys)
    def scan(self, first, last):
        list(self.disk.scan(first, last))

    @precondition(lambda self: self.writing is None)
    @rule(snapshot=snapshots, chunks=st.lists(values, max_size=6))
    def begin_snapshot(self, snapshot, chunks):
        self.writing = self.attempt(self.disk.begin_snapshot, *snapshot, chunks)

    @precondition(lambda self: self.writing is not None)
    @rule()
    def sync_snapshot(self):
        writing, self.writing = self.writing, None
        self.attempt(self.disk.sync_snapshot, writing)

    @rule(snapshot=snapshots)
    def read(self, snapshot):
        with contextlib.suppress(CorruptionError):
            list(self.disk.read(*snapshot))

    @rule(snapshot=snapshots)
    def remove_older(self, snapshot):
        self.disk.remove_older(*snapshot)

    @precondition(lambda self: not self.sets and not self.has_failed)
    @rule(layout=st.sampled_from(["one", "two"]))
    def identify(self, layout):
        self.disk.fail_syncs = 0
        with contextlib.suppress(StorageError):
            self.disk.identify(layout)

    @rule(seed=st.integers(0, 1000))
    def flip(self, seed):
        damage = self.disk.flip(random.Random(seed))
        if damage is not None and damage.snapshot is not None:
            with pytest.raises(CorruptionError):
                list(self.disk.read(*damage.snapshot))
            self.disk.change(damage)  # back

    @rule(syncs=st.integers(0, 2))
    def fail_syncs(self, syncs):
        self.disk.fail_syncs = syncs

    @rule()
    def crash(self):
        self.disk.crash()
        self.disk.fail_syncs = 0
        self.forget()

    @precondition(lambda self: not self.sets and self.writing is None and not self.has_failed)
    @rule()
    def reopen(self):
        self.disk.reopen()
        self.forget()

    @rule()
    def wipe(self):
        self.disk.wipe()
        self.forget()

    @invariant()
    def the_size_is_counted(self):
        content = sum(len(k) + len(v) for k, v in self.disk.records.items())
        assert self.disk.used == content + sum(map(len, self.disk.files.values()))


TestSideBySide = SideBySide.TestCase
TestSideBySide.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
