"""Whatever the disk answers when a slave starts: one line that names the place, and no traceback.

First by real means (what lies in the way), then by a seam: each call of the system fails in turn.
"""

import builtins
import errno
import fcntl
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from distrodb import cli
from distrodb.config import Address, NodeAddress, check_directory, load, render
from distrodb.errors import CorruptionError, DistrodbError, StorageError
from distrodb.storage import lmdb_store
from distrodb.storage.directory import COPY, Directory
from distrodb.storage.lmdb_store import LmdbStore
from distrodb.storage.records import IDENTITY_KEY, Put
from tests.e2e.test_commands import free_base_port

# Some of these slaves do start; other tests that run meanwhile rely on nobody at 127.0.0.1:1.
NODES = [NodeAddress("a", Address("127.0.0.2", 1), Address("127.0.0.2", 2))]


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "slave.toml"
    file.write_text(render("a", "data", NODES))
    return file


def start(file: Path, capsys) -> tuple[int, str]:
    """What `distrodb slave FILE` ends with, and the one line that it says."""
    status = cli.main(["slave", str(file)])
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("distrodb: ") and err.count("\n") == 1, err
    assert "Traceback" not in err and "None" not in err and "Errno" not in err
    return status, err


# -- the file ------------------------------------------------------------------------------------


def _is_missing(file: Path) -> None:
    file.unlink()


def _is_a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _is_a_fifo(file: Path) -> None:
    file.unlink(missing_ok=True)
    os.mkfifo(file)


def _is_a_link_to_nothing(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.symlink_to(file.parent / "nothing")


def _is_a_link_to_itself(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.symlink_to(file)


def _is_latin_1(file: Path) -> None:
    file.write_bytes(b"# gr\xfc\xdfe\n" + file.read_bytes())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_is_missing, "cannot be read (No such file or directory); name a slave's file"),
        (_is_a_directory, "is not a regular file; name a slave's file"),
        (_is_a_fifo, "is not a regular file; name a slave's file"),
        (_is_a_link_to_nothing, "cannot be read (No such file or directory); name a slave's file"),
        (_is_a_link_to_itself, "cannot be read (Too many levels of symbolic links)"),
        (_is_latin_1, "is not UTF-8 text (at byte 4); save it as UTF-8"),
    ],
)
def test_a_file_that_is_none(file, capsys, spoil, words):
    spoil(file)
    status, line = start(file, capsys)
    assert status == 2 and f"{file}: {words}" in line


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_file_that_cannot_be_read(file, capsys, monkeypatch, code):
    def fails(*_: object) -> bytes:
        raise OSError(code, os.strerror(code), str(file))

    monkeypatch.setattr(Path, "read_bytes", fails)
    status, line = start(file, capsys)
    assert status == 2 and f"{file}: cannot be read ({os.strerror(code)})" in line


# -- the directory -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil", [Path.touch, _is_a_fifo, _is_a_link_to_nothing, _is_a_link_to_itself]
)
@pytest.mark.parametrize("where", ["data", "."])
def test_a_directory_that_is_none(tmp_path, capsys, spoil, where):
    file = tmp_path / "slave.toml"
    file.write_text(render("a", f"home/{where}/x" if where == "." else "home/data", NODES))
    (tmp_path / "home").mkdir()
    place = tmp_path / "home" / ("data" if where == "data" else "x")
    spoil(place)
    status, line = start(file, capsys)
    assert status == 2 and f"{file}: node.directory: " in line and "home" in line


def test_a_directory_that_was_found_to_be_a_copy_is_not_used_again(file, capsys):
    opened = Directory(file.parent / "data")
    opened.identify("c a")
    opened.mark_as_copy("because")
    opened.close()
    status, line = start(file, capsys)
    assert status == 1 and "data: is a copy of a directory that another slave ran with" in line
    assert (file.parent / "data" / COPY).read_text() == "because\n"


@pytest.mark.parametrize("spoil", [Path.touch, Path.mkdir, _is_a_fifo, _is_a_link_to_nothing])
@pytest.mark.parametrize(
    "name", ["lock", "journal", "journal/data.mdb", "journal/lock.mdb", "snapshots"]
)
def test_something_else_is_where_a_part_of_it_should_be(file, capsys, spoil, name):
    place = file.parent / "data" / name
    place.parent.mkdir(parents=True)
    spoil(place)
    if (spoil, name) in SOUND:
        opened = Directory(file.parent / "data")
        opened.identify("c a")
        opened.close()
        return
    status, line = start(file, capsys)
    assert status == 1 and f"{file.parent}/data" in line


SOUND = [
    *((Path.touch, name) for name in ("lock", "journal/data.mdb", "journal/lock.mdb")),
    *((Path.mkdir, name) for name in ("journal", "snapshots")),
]


def test_a_directory_that_can_only_be_read(tmp_path, capsys):
    home = tmp_path / "home"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(home)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs root, to mount a file system")
    try:
        file = tmp_path / "slave.toml"
        file.write_text(render("a", "home", NODES))
        status, line = start(file, capsys)
        assert status == 2 and "cannot be written to (Read-only file system)" in line
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


# -- each call of the system fails in turn -------------------------------------------------------

_CALLS = [
    *((os, name) for name in ("mkdir", "open", "stat", "lstat", "fstat", "listdir")),
    *((os, name) for name in ("unlink", "replace", "truncate", "read", "write")),
    *((os, name) for name in ("pread", "pwrite")),
    (builtins, "open"),
    (fcntl, "flock"),
    (shutil, "disk_usage"),
]


class Failing:
    """Lets ``sound`` calls through, and then fails one, or each from there on."""

    def __init__(self, monkeypatch, sound: int, problem: Exception, for_good: bool):
        self._left, self._problem, self._for_good = sound, problem, for_good
        self.is_over = False
        for owner, name in () if isinstance(problem, lmdb.Error) else _CALLS:
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name)))
        # Quick: what is on the disk after a crash is not the question here.
        sync = (
            (lambda _: None) if isinstance(problem, lmdb.Error) else self._wrapped(lambda _: None)
        )
        monkeypatch.setattr(os, "fsync", sync)
        monkeypatch.setattr(os, "fdatasync", sync)
        opens = functools.partial(lmdb.open, sync=False)
        monkeypatch.setattr(lmdb_store.lmdb, "open", self._wrapped(opens, self._environment))

    def _wrapped(self, call, then=lambda result: result):
        def wrapped(*args: object, **kwargs: object) -> object:
            self._count()
            return then(call(*args, **kwargs))

        return wrapped

    def _count(self) -> None:
        self._left -= 1
        if self._left == -1 or (self._left < 0 and self._for_good):
            self.is_over = True
            raise self._problem

    def _environment(self, environment: lmdb.Environment) -> object:
        failing = self

        class Environment:
            def begin(self, **kwargs: object) -> lmdb.Transaction:
                failing._count()
                return environment.begin(**kwargs)

            def close(self) -> None:
                environment.close()

        return Environment()


def _left_by_lmdb(directory: Path, is_new: bool = False) -> None:
    store = LmdbStore(directory / "journal")
    if not is_new:
        store.commit([Put(IDENTITY_KEY, b"distrodb journal 3\nc a"), Put(b"b", b"2")])
    store.close()


def _whole_start(file: Path) -> None:
    config = load(file)
    check_directory(config)
    opened = Directory(config.directory)
    try:
        opened.identify("c a")
        opened.journal.commit([Put(b"a", b"1")])
        assert list(opened.journal.scan(b"a", b"a")) == [(b"a", b"1")]
        opened.snapshots.write(1, 7, [b"x"])
        assert list(opened.snapshots.read(1, 7)) == [b"x"]
        opened.snapshots.remove_older(1, 8)
    finally:
        opened.close()


def _os_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize(
    "problem",
    [
        *map(_os_error, (errno.EIO, errno.ENOSPC, errno.EACCES)),
        OSError("without a number"),
        lmdb.DiskError("mdb_env_open: Input/output error"),
    ],
    ids=str,
)
def test_every_call_that_fails_ends_in_one_line(file, monkeypatch, problem, is_new, for_good):
    is_lmdb = isinstance(problem, lmdb.Error)  # then each start converts what it left
    if not is_new and not is_lmdb:
        _whole_start(file)
        (file.parent / "data" / "snapshots" / "x.temporary").write_bytes(b"half")
    failed = 0
    for sound in range(500):
        if is_new or is_lmdb:
            shutil.rmtree(file.parent / "data", ignore_errors=True)
        if is_lmdb:
            _left_by_lmdb(file.parent / "data", is_new)
        with monkeypatch.context() as patched:
            failing = Failing(patched, sound, problem, for_good)
            try:
                _whole_start(file)
            except DistrodbError as error:
                failed += 1
                line = str(error)
                assert str(file.parent) in line and "\n" not in line and "None" not in line
                assert not isinstance(error, CorruptionError) or "snapshot" in line, line
            # Anything else that is raised fails the test; so does a hang.
        if not failing.is_over:
            break
    assert not failing.is_over and failed >= (4 if isinstance(problem, lmdb.Error) else 15)


ERRORS = [kind for kind in vars(lmdb).values() if isinstance(kind, type)]
ERRORS = [kind for kind in ERRORS if issubclass(kind, lmdb.Error)]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_of_lmdb_is_one_line(tmp_path, monkeypatch, kind):
    _left_by_lmdb(tmp_path)

    def fails(*_: object, **__: object) -> None:
        raise kind("mdb_env_open: said\nin two lines")

    monkeypatch.setattr(lmdb_store.lmdb, "open", fails)
    with pytest.raises(StorageError) as caught:
        Directory(tmp_path)
    assert str(caught.value) == f"{tmp_path}/journal: cannot read: mdb_env_open: said in two lines"


# -- the rest of the command line ----------------------------------------------------------------


def test_what_nobody_thought_of_is_one_line_too(file, capsys, monkeypatch):
    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error", "/some/where")

    monkeypatch.setattr("distrodb.config.load", fails)
    status, line = start(file, capsys)
    assert status == 1 and line == "distrodb: /some/where: Input/output error\n"


@pytest.mark.parametrize("spoil", [Path.touch, _is_a_fifo, _is_a_link_to_nothing])
def test_a_home_of_a_local_cluster_that_is_none(tmp_path, capsys, spoil):
    home = tmp_path / "home"
    spoil(home)
    arguments = ["--no-shell", "--nodes", "1", "--base-port", str(free_base_port())]
    status = cli.main(["local", "--dir", str(home), *arguments])
    _, err = capsys.readouterr()
    assert status in (1, 2) and err.startswith("distrodb: ") and err.count("\n") == 1
    assert str(home) in err and "Errno" not in err


@pytest.mark.parametrize("spoil", [_is_missing, _is_a_directory, _is_a_fifo, _is_a_link_to_nothing])
def test_a_file_of_words_that_is_none(file, tmp_path, capsys, spoil):
    spoil(file)
    arguments = ["local", "--dir", str(tmp_path / "home"), "--no-shell", "--populate", str(file)]
    status = cli.main(arguments)
    _, err = capsys.readouterr()
    assert status == 2 and f"--populate {file}: cannot be read; name a text file" in err
    assert not (tmp_path / "home").exists()
