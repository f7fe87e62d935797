"""A directory that something else has damaged: one line, exit status 1, nothing served."""

import os
import shutil
import socket
import subprocess
import sys

import pytest
import redis

from distrodb import LocalCluster
from tests.faults.conftest import QUICK
from tests.faults.story import progress, writing


def start_refused(cluster: LocalCluster, node: str) -> str:
    """Run a slave that must end by itself; the one line it says."""
    done = subprocess.run(
        [sys.executable, "-m", "distrodb", "slave", str(cluster.configs[node].file)],
        capture_output=True,
        text=True,
        timeout=20,
    )
    lines = done.stderr.splitlines()
    assert done.returncode == 1, (done.returncode, lines)
    assert len(lines) == 1 and lines[0].startswith("distrodb: "), lines
    assert done.stdout == ""
    with pytest.raises(redis.ConnectionError), cluster.connection(node) as slave:
        slave.ping()
    return lines[0]


@pytest.fixture
def filled():
    """A cluster of three with snapshots; node3 is stopped."""
    with LocalCluster(nodes=3, partitions=3, raft_snapshot_log_bytes=65536, **QUICK) as cluster:
        client = cluster.client()
        for number in range(150):
            client.set(f"key{number}", b"marker" + b"x" * 4096)
        snapshots = cluster.directory / "node3" / "snapshots"
        cluster.wait_until(lambda: any(snapshots.glob("*.snapshot")), "there is a snapshot")
        assert cluster.stop("node3") == 0
        yield cluster


def flip(path, offset: int) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def newest(cluster: LocalCluster) -> list:
    """The newest snapshot of each partition at node3."""
    files = sorted((cluster.directory / "node3" / "snapshots").glob("*.snapshot"))
    return list({file.name[:5]: file for file in files}.values())


@pytest.mark.parametrize("part", ["first byte", "middle", "last byte"])
def test_a_flipped_bit_in_a_snapshot(filled, part):
    for file in newest(filled):
        size = os.path.getsize(file)
        flip(file, {"first byte": 0, "middle": size // 2, "last byte": size - 1}[part])
    line = start_refused(filled, "node3")
    assert str(newest(filled)[0].parent) in line


def test_a_snapshot_that_is_cut_off(filled):
    for file in newest(filled):
        os.truncate(file, os.path.getsize(file) - 3)
    assert "is cut off" in start_refused(filled, "node3")


def test_a_snapshot_that_is_gone(filled):
    for file in newest(filled):
        file.unlink()
    assert "cannot read" in start_refused(filled, "node3")


def test_a_flipped_bit_in_a_journal_record(filled):
    path = segment(filled)
    flip(path, path.read_bytes().find(b"marker"))
    line = start_refused(filled, "node3")
    assert f"{path}: is damaged (commit " in line
    assert "start this slave with an empty directory" in line


def segment(cluster: LocalCluster):
    """The oldest one: nothing of it may be missing."""
    return min((cluster.directory / "node3" / "journal").glob("*.segment"))


def test_a_journal_that_is_no_journal(filled):
    (filled.directory / "node3" / "journal" / "data.mdb").write_bytes(b"no journal" * 1000)
    assert "/node3/journal" in start_refused(filled, "node3")


@pytest.mark.parametrize("kept", ["nine tenths", "half", "a page", "less"])
def test_a_journal_that_is_cut_off(filled, kept):
    path = segment(filled)
    size = os.path.getsize(path)
    sizes = {"nine tenths": size * 9 // 10, "half": size // 2, "a page": 4096, "less": 1000}
    os.truncate(path, sizes[kept])
    line = start_refused(filled, "node3")
    assert f"{path}: was cut off: {sizes[kept]} of " in line
    assert "start this slave with an empty directory" in line


def test_a_journal_that_is_cut_off_while_it_is_in_use(filled):
    filled.start("node3")
    filled.wait_ready()
    with writing(filled) as writers:
        for file in (filled.directory / "node3" / "journal").glob("*.segment"):
            os.truncate(file, 8192)
        filled.wait_until(lambda: "node3" in filled.ended(), "node3 has ended")
        assert filled.ended()["node3"] == 1
        assert "was cut off while it was in use" in filled.last_words("node3")
        progress(filled, writers)
        shutil.rmtree(filled.directory / "node3")
        filled.start("node3")
        filled.wait_ready()


@pytest.mark.parametrize("content", [b"\x00", b"\xa7"])
def test_a_journal_with_a_damaged_half(filled, content):
    file = segment(filled)
    used = len(file.read_bytes().rstrip(b"\0"))
    with open(file, "r+b") as opened:
        opened.seek(used // 4 // 512 * 512)
        opened.write(content * (used // 2))
    line = start_refused(filled, "node3")
    assert f"{file}: is damaged" in line and "start this slave with an empty directory" in line


@pytest.mark.parametrize("how", ["removed", "emptied", "a segment", "the note"])
def test_a_journal_that_is_gone_beside_its_snapshots(filled, how):
    """Started empty it would vote against what its old self has acknowledged."""
    journal = filled.directory / "node3" / "journal"
    if how == "removed":
        shutil.rmtree(journal)
    elif how == "a segment":
        segment(filled).unlink()
    elif how == "the note":
        (journal / "data.mdb").unlink()
    else:
        os.truncate(journal / "data.mdb", 0)
    assert "journal" in start_refused(filled, "node3")


def test_the_others_serve_while_a_damaged_one_is_refused(filled):
    with writing(filled) as writers:
        for file in newest(filled):
            flip(file, os.path.getsize(file) // 2)
        start_refused(filled, "node3")
        progress(filled, writers)
    assert filled.client().get("key1") == b"marker" + b"x" * 4096


def test_what_a_crash_left_half_written_does_no_harm(filled):
    """A temporary file is not yet a snapshot."""
    snapshots = filled.directory / "node3" / "snapshots"
    half = snapshots / newest(filled)[0].with_suffix(".temporary").name
    half.write_bytes(newest(filled)[0].read_bytes()[:100])
    filled.start("node3")
    filled.wait_ready()
    filled.kill("node1")
    filled.wait_ready()
    assert filled.client().get("key1") == b"marker" + b"x" * 4096


def test_a_peer_port_in_use_is_named(filled):
    host, _, port = filled.peer_address("node3").rpartition(":")
    with socket.create_server((host, int(port))):
        done = subprocess.run(
            [sys.executable, "-m", "distrodb", "slave", str(filled.configs["node3"].file)],
            capture_output=True,
            text=True,
            timeout=60,
        )
    line = done.stderr.splitlines()[-1]
    assert done.returncode == 2 and "cluster.nodes.peer" in line and "cannot listen" in line
    assert "Traceback" not in done.stderr
