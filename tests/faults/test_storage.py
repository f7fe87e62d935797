"""What a slave does with a directory that it cannot trust, or must not open."""

import subprocess
import sys

import pytest

from distrodb import LocalCluster
from tests.faults.conftest import QUICK


def run_slave(file) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "distrodb", "slave", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr.splitlines()[-1]


@pytest.fixture
def filled():
    """A stopped cluster of one slave with a snapshot of its one partition."""
    with LocalCluster(nodes=1, partitions=1, raft_snapshot_log_bytes=65536, **QUICK) as cluster:
        client = cluster.client()
        for number in range(80):
            client.set(f"key{number}", b"marker" + b"x" * 4096)
        snapshots = cluster.directory / "node1" / "snapshots"
        cluster.wait_until(lambda: any(snapshots.glob("*.snapshot")), "there is a snapshot")
        assert cluster.stop("node1") == 0
        yield cluster


def flip(path, offset: int) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def test_a_damaged_journal_record_is_not_served(filled):
    path = filled.directory / "node1" / "journal" / "data.mdb"
    data = path.read_bytes()
    position = data.find(b"marker")
    while position >= 0:  # every copy, since LMDB keeps old pages too
        flip(path, position)
        position = data.find(b"marker", position + 1)
    status, line = run_slave(filled.configs["node1"].file)
    assert status == 1
    assert "checksum does not match" in line


def test_one_directory_one_slave(three):
    config = three.configs["node1"]
    other = config.file.with_name("other.toml")
    text = config.file.read_text()
    for address in (*three.addresses.values(), *map(three.peer_address, three.nodes)):
        text = text.replace(address, f"127.0.0.1:{int(address.split(':')[1]) - 1}")
    other.write_text(text)
    status, line = run_slave(other)
    assert status == 1 and "another slave runs on this directory" in line


def test_a_port_in_use_is_named(three):
    config = three.configs["node2"]
    other = config.file.with_name("other.toml")
    other.write_text(config.file.read_text().replace('"../node2"', '"../elsewhere"'))
    status, line = run_slave(other)
    assert status == 2 and "cannot listen" in line and str(other) in line


def test_a_directory_keeps_its_layout(filled):
    file = filled.configs["node1"].file
    file.write_text(file.read_text().replace("partitions = 1", "partitions = 2"))
    status, line = run_slave(file)
    assert status == 1 and "another slave or cluster layout" in line
