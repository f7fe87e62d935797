"""The journal's file, damaged in every way that came to mind: noticed, and the process lives.

Each damaged file is opened in a child, since what is not noticed may end by SIGBUS or SIGABRT.
"""

import mmap
import os
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import lmdb
import lmdb.verify
import pytest

from distrodb.errors import CorruptionError, StorageError
from distrodb.raft.log import Log
from distrodb.raft.write_set import WriteSet
from distrodb.storage.directory import Directory
from distrodb.storage.lmdb_check import check
from distrodb.storage.lmdb_store import LmdbStore
from distrodb.storage.records import IDENTITY_KEY, DeleteRange, Put
from distrodb.storage.segment_files import RealFolder
from distrodb.storage.wal import Wal

PAGE = mmap.PAGESIZE
GROUPS = range(3)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> bytes:
    """A journal with small and large entries, and with free pages in the middle."""
    directory = tmp_path_factory.mktemp("sound")
    store = LmdbStore(directory / "journal")
    writes, generator = WriteSet(), random.Random(1)
    journals = [Log(group, writes) for group in GROUPS]
    for journal in journals:
        journal.begin(["a", "b"])
    for index in range(2, 50):
        for journal in journals:
            content = generator.randbytes(generator.choice((10, 300, 9000)))
            journal.add(b"\x00" + content, index, 1)
        if index % 20 == 0:
            for journal in journals:
                journal.compact(index - 10, index - 10, 1)
        store.commit(writes.take()[1])
    store.close()
    return (directory / "journal" / "data.mdb").read_bytes()


@pytest.fixture
def file(tmp_path) -> Path:
    folder = tmp_path / "slave" / "journal"
    folder.mkdir(parents=True)
    return folder / "data.mdb"


def outcome(file: Path) -> str:
    """What a slave makes of the file: the exception's name and text, or a digest of its content."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = _read_all(file.parent.parent)
        except StorageError as error:
            said = f"{type(error).__name__}: {error}"
        except BaseException as error:
            said = f"not expected: {error!r}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    assert os.WIFEXITED(status), f"signal {os.WTERMSIG(status)}"
    assert "\n" not in said and not said.startswith("not expected"), said
    return said


def _read_all(directory: Path) -> str:
    store = LmdbStore(directory / "journal")
    seen = []
    for group in GROUPS:
        journal = Log(group, WriteSet())
        journal.load(store)
        seen.append((journal.meta, journal.entries))
    # A large write takes pages from the free ones; they must not be anybody's.
    store.commit([Put(b"\x70", b"x" * 50_000), DeleteRange(b"\x70", b"\x70")])
    store.close()
    return str(hash(str(seen)))


def refused(file: Path, content: bytes) -> str:
    file.write_bytes(content)
    said = outcome(file)
    assert said.startswith("CorruptionError: "), said
    return said


def test_a_sound_file_passes(file, sound):
    file.write_bytes(sound)
    check(file)
    assert not outcome(file).startswith("CorruptionError")


@pytest.mark.parametrize("part", [0.0, 0.01, 0.1, 0.5, 0.9])
def test_a_file_that_is_cut_off(file, sound, part):
    length = max(40, int(len(sound) * part))
    said = refused(file, sound[:length])
    assert said
    if length >= PAGE:
        assert f"was cut off: {length} of " in said


def test_a_large_record_that_lost_its_end(file, sound):
    """LMDB's structure is whole then; the record's own checksum tells."""
    large = sound.rfind(struct.pack("=HHI", 0, 4, 3))  # an overflow page's flags and count
    assert "checksum does not match" in refused(file, sound[: large // PAGE * PAGE + PAGE])


def test_every_page_at_the_end_counts_or_is_free(file, sound):
    """A sound file may be short by pages that nothing uses, so the length alone says nothing."""
    file.write_bytes(sound)
    whole = outcome(file)
    for pages in range(1, 12):
        for rest in (0, 1, PAGE // 2):
            file.write_bytes(sound[: len(sound) - pages * PAGE + rest])
            said = outcome(file)
            assert said == whole or said.startswith("CorruptionError"), (pages, said)


def test_a_sound_file_may_be_shorter_than_its_meta_page_says(tmp_path):
    """LMDB leaves out last pages that one transaction took and gave back."""
    generator, lengths = random.Random(12), []
    environment = lmdb.open(str(tmp_path), map_size=1 << 30, sync=False)
    for turn in range(60):
        with environment.begin(write=True) as transaction:
            for _ in range(5):
                first = generator.randrange(1000)
                for number in range(first, first + 40):
                    value = generator.randbytes(generator.choice((20, 300, 1900)))
                    transaction.put(struct.pack(">I", number), value)
                cursor = transaction.cursor()
                found = cursor.set_range(struct.pack(">I", first + 10))
                while found and cursor.key() < struct.pack(">I", first + 40):
                    found = cursor.delete()
        needed = (environment.info()["last_pgno"] + 1) * PAGE
        lengths.append(needed - os.path.getsize(tmp_path / "data.mdb"))
        copy = tmp_path / f"copy{turn}"
        shutil.copy(tmp_path / "data.mdb", copy)
        check(copy)
    environment.close()
    assert max(lengths) > 0, "LMDB no longer does this: the length may be trusted then"


def test_the_verifier_is_of_the_release_whose_words_are_read():
    """setup.cfg pins it: of a newer one, see first what it says in the next test."""
    assert lmdb.__version__.startswith("3.0.")


def test_a_large_record_written_twice_in_one_commit_is_no_damage(file):
    """Found by hypothesis: the smaller value keeps the larger one's pages."""
    environment = lmdb.open(str(file.parent), map_size=1 << 30)
    with environment.begin(write=True) as transaction:
        transaction.put(b"first", b"x" * 30_000)
        for number, size in enumerate((9000, 20_000)):
            transaction.put(b"twice%d" % number, b"x" * size)
            transaction.put(b"twice%d" % number, b"x" * 10)
        transaction.put(b"last", b"x" * 30_000)
    environment.close()
    assert lmdb.verify.verify(str(file)), "the verifier knows it now: _damage can go"
    check(file)
    content = bytearray(file.read_bytes())
    header = content.find(struct.pack("=HHI", 0, 4, 8))  # 8 pages of overflow: one of the others
    content[header + 4] ^= 16  # and with its neighbours' pages, were it ever freed
    file.write_bytes(content)
    with pytest.raises(CorruptionError, match="mp_pages"):
        check(file)


def test_the_store_gives_room_back_within_a_commit(tmp_path, file):
    store = LmdbStore(file.parent)
    store.commit([Put(b"a", b"x" * 9000), Put(b"a", b"y"), Put(b"a", b"z" * 5000)])
    assert list(store.scan(b"a", b"a")) == [(b"a", b"z" * 5000)]
    store.close()
    assert lmdb.verify.verify(str(file)) == []


def test_pages_of_zeros_or_garbage(file, sound):
    """Of every kind; one that nothing uses does no harm."""
    file.write_bytes(sound)
    whole, generator = outcome(file), random.Random(2)
    refusals = 0
    for page in range(0, len(sound) // PAGE, 4):
        for content in (bytes(PAGE), generator.randbytes(PAGE)):
            file.write_bytes(sound[: page * PAGE] + content + sound[(page + 1) * PAGE :])
            said = outcome(file)
            assert said == whole or said.startswith("CorruptionError: "), (page, said)
            refusals += said != whole
    assert refusals > len(sound) // PAGE // 4


def test_changed_bits_anywhere(file, sound):
    """Most of them in the first bytes of a page, where the structure is."""
    file.write_bytes(sound)
    whole, generator = outcome(file), random.Random(3)
    for _ in range(60):
        content = bytearray(sound)
        page, limit = generator.randrange(len(sound) // PAGE), generator.choice((40, PAGE))
        content[page * PAGE + generator.randrange(limit)] ^= 1 << generator.randrange(8)
        file.write_bytes(content)
        said = outcome(file)
        assert said == whole or said.startswith("CorruptionError: "), said


@pytest.mark.parametrize("meta", [0, 1])
def test_a_meta_page_that_is_gone_or_of_another_commit(file, sound, meta):
    """LMDB would go on with the other one, which may be the state before."""
    transaction = meta * PAGE + 16 + 128
    far = sound[:transaction] + struct.pack("=Q", 4 + meta) + sound[transaction + 8 :]
    assert refused(file, far)
    assert refused(file, sound[: meta * PAGE] + bytes(PAGE) + sound[(meta + 1) * PAGE :])


def test_a_file_of_something_else(file):
    assert refused(file, b"no journal" * 1000)


@pytest.mark.parametrize("pages", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("length", [0, 1, 2])
def test_a_power_cut_before_the_first_commit_leaves_a_new_journal(tmp_path, file, pages, length):
    """LMDB writes its first two pages without a sync: any of them may be zeros, or not there."""
    lmdb.open(str(tmp_path / "fresh"), map_size=1 << 20).close()
    fresh = (tmp_path / "fresh" / "data.mdb").read_bytes()
    halves = [fresh[n * PAGE : (n + 1) * PAGE] if pages[n] else bytes(PAGE) for n in range(2)]
    file.write_bytes(b"".join(halves)[: length * PAGE])
    store = Directory(file.parent.parent)
    store.identify("layout")
    store.close()


def test_a_damaged_file_of_readers_is_made_anew(file, sound):
    file.write_bytes(sound)
    file.with_name("lock.mdb").write_bytes(b"garbage" * 2000)
    assert not outcome(file).startswith("CorruptionError")


# -- a disk that fails while the slave runs ------------------------------------------------------


def replace_descriptors(file: Path, other: str) -> None:
    """Every write of LMDB to its file goes to another one from now on."""
    for descriptor in Path("/proc/self/fd").iterdir():
        if descriptor.exists() and descriptor.resolve() == file.resolve():
            target = os.open(other, os.O_RDWR)
            os.dup2(target, int(descriptor.name))
            os.close(target)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_nothing_is_written_after_a_failed_commit(tmp_path):
    store = LmdbStore(tmp_path / "journal")
    store.commit([Put(b"a", b"1")])
    file = tmp_path / "journal" / "data.mdb"
    kept = os.open(file, os.O_RDWR)
    replace_descriptors(file, "/dev/full")
    with pytest.raises(StorageError, match="cannot write: .*No space left"):
        store.commit([Put(b"b", b"2")])
    for descriptor in Path("/proc/self/fd").iterdir():
        if descriptor.exists() and str(descriptor.resolve()) == "/dev/full":
            os.dup2(kept, int(descriptor.name))  # there is space again
    with pytest.raises(StorageError, match="an earlier write failed"):
        store.commit([Put(b"c", b"3")])
    store.close()
    os.close(kept)
    again = LmdbStore(tmp_path / "journal")
    assert list(again.scan(b"a", b"z")) == [(b"a", b"1")]
    again.close()


def test_an_error_among_the_operations_leaves_nothing(tmp_path):
    store = LmdbStore(tmp_path)

    def operations():
        yield Put(b"a", b"1")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.commit(operations())
    assert list(store.scan(b"", b"z")) == []
    with pytest.raises(StorageError, match="an earlier write failed"):
        store.commit([])
    store.close()


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(command, check=False).returncode:
        pytest.skip("needs root, to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def a_log(folder: Path) -> Wal:
    folder.mkdir(exist_ok=True)
    return Wal(RealFolder(folder))


@pytest.mark.parametrize(("kind", "free"), [(LmdbStore, r"\d{1,5}"), (a_log, r"\d{1,7}")])
def test_a_full_disk_loses_nothing_that_was_committed(small_disk, kind, free):
    store = kind(small_disk / "slave")
    committed = 0
    # LMDB says "Input/output error" of a write that found too little space.
    with pytest.raises(StorageError, match=f"cannot write: .*; the disk is full: {free} bytes"):
        while True:
            store.commit([Put(struct.pack(">I", committed), b"x" * 9000)])
            committed += 1
    store.close()
    assert committed > 50
    again = kind(small_disk / "slave")
    found = [struct.unpack(">I", key)[0] for key, _ in again.scan(b"", b"\xff")]
    assert found == list(range(committed))
    again.close()


def test_a_disk_too_full_to_begin_is_one_line(small_disk):
    (small_disk / "ballast").write_bytes(b"x" * ((12 << 20) - PAGE))
    with pytest.raises(StorageError) as caught:
        Directory(small_disk / "slave").identify("layout")
    assert not isinstance(caught.value, CorruptionError)
    (small_disk / "ballast").unlink()
    store = Directory(small_disk / "slave")
    store.identify("layout")
    store.close()


def test_a_directory_of_another_version_is_named_as_such(tmp_path):
    store = Directory(tmp_path)
    store.journal.commit([Put(IDENTITY_KEY, b"distrodb journal 1\nours")])
    with pytest.raises(StorageError, match="another version of distrodb"):
        store.identify("ours")
    store.close()
