"""``distrodb recover``: two of three slaves are lost for good at once."""

import itertools
import json
import os
import shutil
from argparse import Namespace
from pathlib import Path

import pytest

from distrodb import LocalCluster
from distrodb.backup import recover
from distrodb.backup.files import NewFile, made
from tests.e2e.test_commands import distrodb


@pytest.fixture(scope="module")
def left(tmp_path_factory) -> Path:
    """Of three slaves the directories of two.  Node3 has missed what came last."""
    directory = tmp_path_factory.mktemp("recover") / "cluster"
    with LocalCluster(nodes=3, partitions=2, directory=directory) as cluster:
        client = cluster.client()
        for number in range(300):
            client.set(f"early:{number}", number, px=None if number % 3 else 3_600_000)
        client.execute_command("ACL SETUSER", "app", "on", ">pw", "~app:*", "+@all")
        cluster.wait_healed()
        cluster.kill("node3")
        for number in range(300):
            client.set(f"late:{number}", number)
        client.execute_command("ACL SETUSER", "late", "on", ">pw", "~late:*", "+@all")
        told = distrodb("recover", str(directory / "b"), str(directory / "node1"), "--yes")
        assert told.returncode == 1 and "another slave runs on this directory" in told.stderr
        for node in ("node1", "node2"):
            cluster.kill(node)
    shutil.rmtree(directory / "node2")
    return directory


def keys_of(backup: Path) -> dict[str, str]:
    done = distrodb("export", "-", "--from", str(backup))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {row["key"]: row["value"] for row in rows}


EARLY = {f"early:{number}": str(number) for number in range(300)}
LATE = {f"late:{number}": str(number) for number in range(300)}


def test_whoever_is_ahead_counts_and_what_the_majority_has_is_whole(left, tmp_path):
    backup = tmp_path / "b"
    done = distrodb("recover", str(backup), str(left / "node3"), str(left / "node1"), "--yes")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "here node3 node1, missing node2" in done.stdout
    assert "whole: 2 partitions (0 1)" in done.stdout and "600 keys" in done.stdout
    assert keys_of(backup) == EARLY | LATE
    assert backup.with_name("b.users").read_text().startswith('ACL SETUSER "app" "reset" "on" "#')
    assert 'ACL SETUSER "late"' in backup.with_name("b.users").read_text()
    assert "the cluster map, which has the users" not in done.stdout
    assert backup.with_name("b.users").stat().st_mode & 0o077 == 0


def test_one_that_is_behind_is_said_to_lack_what_only_others_had(left, tmp_path):
    done = distrodb("recover", str(tmp_path / "b"), str(left / "node3"), "--yes")
    lacks = "what only node1 node2 had acknowledged is gone"
    assert "may lack its last changes: the cluster map, which has the users" in done.stdout
    assert done.returncode == 0 and done.stdout.count(lacks) == 2
    assert keys_of(tmp_path / "b") == EARLY


def test_nothing_is_written_without_a_yes(left, tmp_path):
    done = distrodb("recover", str(tmp_path / "b"), str(left / "node1"))
    assert done.returncode == 2 and "--yes says that you agree" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_there_is_no_backup_before_the_users_file_is_there(left, tmp_path, monkeypatch):
    """Else, after a crash between them, the backup would be taken for all that there was."""

    def stopping(path: Path):
        if path.name == "b.users":
            raise KeyboardInterrupt
        return made(path)

    monkeypatch.setattr(recover, "made", stopping)
    options = {"file": str(tmp_path / "b"), "directories": [str(left / "node1")]}
    with pytest.raises(KeyboardInterrupt):
        recover.run(Namespace(**options, yes=True, accept_lost_partitions=False))
    assert list(tmp_path.iterdir()) == []


def contents(directory: Path) -> dict[str, bytes]:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def killed_before(step: int, backup: Path, source: Path) -> bool:
    """Recover in a process that ends, as by kill -9, before its so manieth change of the disk."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    steps = itertools.count()

    def counted(change):
        def changing(*args, **options):
            if next(steps) == step:
                os._exit(9)
            return change(*args, **options)

        return changing

    try:
        for name in ("fsync", "rename", "unlink"):
            setattr(os, name, counted(getattr(os, name)))
        NewFile.write = counted(NewFile.write)
        options = {"file": str(backup), "directories": [str(source)]}
        recover.run(Namespace(**options, yes=True, accept_lost_partitions=False))
    except BaseException:
        os._exit(1)
    os._exit(0)


def test_wherever_it_is_killed_the_backup_is_whole_or_not_there_and_nothing_else_is_touched(
    left, tmp_path
):
    before, whole = contents(left / "node1"), []
    for step in itertools.count():
        place = tmp_path / str(step)
        place.mkdir()
        was_killed = killed_before(step, place / "b", left / "node1")
        assert contents(left / "node1") == before
        if (place / "b").exists():
            assert "late" in (place / "b.users").read_text(), step
            whole.append(step)
        if not was_killed:
            break
    assert whole and step - len(whole) > 5  # it was killed before the end, and behind it
    for step in whole:
        assert distrodb("verify", str(tmp_path / str(step) / "b")).returncode == 0


def test_an_old_directory_does_not_come_back_into_what_was_restored(left, tmp_path):
    """With the id that recover says to write into every file."""
    cluster = LocalCluster(nodes=3, partitions=2, cluster_id="restored", directory=tmp_path / "new")
    config = cluster.configs["node1"]
    shutil.rmtree(config.directory, ignore_errors=True)
    shutil.copytree(left / "node1", config.directory)
    before = contents(config.directory / "journal")
    done = distrodb("slave", str(config.file))
    assert done.returncode == 1 and "holds the data of another slave or cluster" in done.stderr
    assert contents(config.directory / "journal") == before


def test_a_damaged_directory_is_named_and_nothing_is_written(left, tmp_path):
    shutil.copytree(left / "node1", tmp_path / "node1")
    segment = max((tmp_path / "node1" / "journal").glob("*.segment"))
    data = bytearray(segment.read_bytes())
    data[len(data.rstrip(b"\0")) // 2] ^= 1
    segment.write_bytes(data)
    done = distrodb("recover", str(tmp_path / "b"), str(tmp_path / "node1"), "--yes")
    assert done.returncode == 1 and str(tmp_path / "node1") in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("directories", "says"),
    [
        (["nothing"], "nothing: holds no slave's data"),
        (["node1", "again"], "is node1's, and so is"),
    ],
)
def test_directories_that_do_not_belong_together_are_refused(left, tmp_path, directories, says):
    shutil.copytree(left / "node1", tmp_path / "again")
    places = {"again": tmp_path / "again"}
    names = [str(places.get(name, left / name)) for name in directories]
    done = distrodb("recover", str(tmp_path / "b"), *names, "--yes")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and not (tmp_path / "b").exists()
    assert says in done.stderr


def test_a_partition_of_which_nobody_has_a_copy_must_be_accepted(tmp_path):
    with LocalCluster(nodes=5, partitions=5, directory=tmp_path / "five") as cluster:
        client = cluster.client()
        for number in range(200):
            client.set(f"key:{number}", number)
        cluster.wait_healed()
    words = "recover", str(tmp_path / "b"), str(tmp_path / "five" / "node1"), "--yes"
    done = distrodb(*words)
    assert done.returncode == 1 and done.stdout.count("LOST: partition") == 2
    assert "go on without by --accept-lost-partitions" in done.stderr
    done = distrodb(*words, "--accept-lost-partitions")
    assert done.returncode == 0 and distrodb("verify", str(tmp_path / "b")).returncode == 0
    assert 60 < len(keys_of(tmp_path / "b")) < 180
