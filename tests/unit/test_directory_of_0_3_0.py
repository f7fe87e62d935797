"""A data directory that distrodb 0.3.0 wrote opens, serves what it holds, and goes on.

``tests/support/directory-0.3.0.tar.xz`` was made by that release: one slave, two partitions, killed
with -9 when it held
    key<n>   "value<n> " sixty times, for n below 300, but not for every tenth
    counter  307
    tail     00 ff, " of the log"
partly in snapshots and partly in the log behind them.
"""

import random
import tarfile
from functools import partial
from pathlib import Path

import pytest

from distrodb.config import SlaveConfig, load
from distrodb.keyspace.entry import VERSION_1, VERSION_2
from distrodb.keyspace.snapshot import decode_header
from distrodb.resp.reply import OK
from distrodb.ring.slots import slot_of
from distrodb.slave.core import Core
from distrodb.storage.directory import Directory
from distrodb.storage.snapshot_files import SnapshotFiles
from tests.support.request import Asked

ARCHIVE = Path(__file__).parents[1] / "support" / "directory-0.3.0.tar.xz"
WALL_MS = 1_900_000_000_000


class Slave:
    """Its core on the real disk, without sockets."""

    def __init__(self, config: SlaveConfig):
        self.directory = Directory(config.directory)
        self.directory.identify(f"{config.cluster_id} {config.id}")
        self.store, self.files = self.directory.journal, self.directory.snapshots
        self.now = 100.0
        self.core = Core(self.now, config, self.store, self.files.read, random.Random(1))
        for _ in range(200):
            self.turn()
        assert all(group.member.is_ready for group in self.core.groups.values())

    def turn(self) -> None:
        self.now += 0.05
        self.core.tick(self.now)
        output = self.core.flush(self.now, WALL_MS + int(self.now * 1000))
        if output.journal is not None:
            sequence, operations = output.journal
            self.store.commit(operations)
            self.core.durable(self.now, sequence)
        for write in output.snapshots:
            done = write.run(partial(self.files.write, write.group, write.index))
            self.core.snapshot_written(self.now, done)

    def ask(self, *args: bytes, is_write: bool = False) -> object:
        call = Asked(*args, slot=slot_of(args[1]), is_write=is_write)
        self.core.submit(call, self.core.routing.partition_of_slot[call.slot])
        for _ in range(10):
            self.turn()
        assert call.is_answered
        return call.reply

    def close(self) -> None:
        self.directory.close()


def holds_it_all(slave: Slave) -> None:
    calls = [(b"key%d" % n, (b"value%d " % n) * 60 if n % 10 else None) for n in range(300)]
    calls += [(b"counter", b"307"), (b"tail", b"\x00\xff of the log")]
    for key, value in calls:
        group = slave.core.groups[slave.core.routing.partition_of_slot[slot_of(key)]]
        time_ms = group.machine.now_ms
        assert group.machine.execute(slot_of(key), [b"GET", key], time_ms) == value
    assert sum(group.machine.key_count() for group in slave.core.view.partitions) >= 272


@pytest.fixture
def config(tmp_path: Path) -> SlaveConfig:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return load(tmp_path / "node1.toml")


def test_it_opens_and_goes_on(config: SlaveConfig) -> None:
    slave = Slave(config)
    groups = slave.core.view.partitions
    payloads = [command[1:2] for group in groups for command, _, _ in group.log.entries]
    assert VERSION_1 in payloads and VERSION_2 not in payloads  # else this would show nothing
    assert all(group.log.meta.snapshot_index > 1 for group in groups)
    holds_it_all(slave)
    assert slave.ask(b"GET", b"counter") == b"307"
    assert slave.ask(b"HSET", b"hash", b"field", b"1", is_write=True) == 1
    assert slave.ask(b"PEXPIRE", b"hash", b"1000000", is_write=True) == 1
    slave.close()

    again = Slave(config)  # with entries of both versions
    payloads = [c[1:2] for group in again.core.view.partitions for c, _, _ in group.log.entries]
    assert {VERSION_1, VERSION_2} <= set(payloads)
    holds_it_all(again)
    assert again.ask(b"HGET", b"hash", b"field") == b"1"
    before = [group.log.meta.snapshot_index for group in again.core.view.partitions]
    for n in range(300):  # until there are new snapshots
        again.ask(b"SET", b"new%d" % (n % 2), b"x" * 2000, is_write=True)
    newer = [group.log.meta.snapshot_index for group in again.core.view.partitions]
    assert any(index > old for index, old in zip(newer, before, strict=True))
    again.close()

    last = Slave(config)
    holds_it_all(last)
    assert last.ask(b"HGET", b"hash", b"field") == b"1"
    assert last.ask(b"SET", b"hash", b"1", is_write=True) == OK
    last.close()


def test_its_snapshots_are_of_the_old_format(config: SlaveConfig) -> None:
    files = sorted((config.directory / "snapshots").glob("*.snapshot"))
    assert len(files) == 2
    for file in files:
        group, index = map(int, file.stem.split("-"))
        chunks = list(SnapshotFiles(config.directory / "snapshots").read(group, index))
        assert b"distrodb store\x01" in chunks[0] and decode_header(chunks[0]).key_count > 100
