"""What a newer version has written is refused in one line, and told from damage where the remedies
differ: what is damaged is thrown away.

A row a kind: what reads it, given the test's folder, and the whole line.
"""

import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest

from distrodb.backup import note
from distrodb.backup.format import FACTS, MAGIC, Decoder, Encoder
from distrodb.config.load import load
from distrodb.errors import ConfigError, CorruptionError, PeerError, StorageError, VersionError
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.dump import VERSION_MAX, crc64
from distrodb.keyspace.entry import decode_batch, encode_batch
from distrodb.raft.interfaces import SnapshotRun, SnapshotWrite
from distrodb.resp.reply import OK, error
from distrodb.ring.clustermap import first_map
from distrodb.ring.levels import LEVEL
from distrodb.slave.machine_factory import new_store, read_back, restore_store
from distrodb.slave.map_machine import MapMachine
from distrodb.slave.own_records import MAP_KEY, newest_map
from distrodb.storage import segment
from distrodb.storage.directory import Directory
from distrodb.storage.lmdb_store import LmdbStore
from distrodb.storage.records import IDENTITY_KEY, Put, sealed
from distrodb.storage.segment_files import NOTE
from distrodb.storage.snapshot_files import SnapshotFiles
from tests.support.disk import flipped
from tests.unit.backup_world import FACTS as OF_BACKUP
from tests.unit.test_link_introduction import side

UNKNOWN = "which this version of distrodb does not know"
STORE = f"a store's snapshot of version 4, {UNKNOWN}; use a newer one"
KEPT = f"{UNKNOWN}; upgrade this slave, its data is kept"


def opened(folder: Path) -> None:
    Directory(folder).close()


def segment_of(folder: Path) -> Path:
    (found,) = (folder / "journal").glob("*.segment")
    return found


# -- files of a slave ------------------------------------------------------------------------------


def later_note(folder: Path) -> None:
    opened(folder)
    text = b"distrodb journal 17: whatever it\nsays"
    line = text + b", checksum %08x\n" % zlib.crc32(text)
    (folder / "journal" / NOTE).write_bytes(line)
    opened(folder)


def later_segment(folder: Path) -> None:
    opened(folder)
    file = segment_of(folder)
    content = bytearray(file.read_bytes())
    header = segment._SEGMENT.pack(b"distrodb segment 2\n", 1, len(content), b"saltsalt")
    content[: len(header) + 4] = header + segment._CRC.pack(zlib.crc32(header))
    file.write_bytes(content)
    opened(folder)


def later_identity(folder: Path) -> None:
    directory = Directory(folder)
    directory.journal.commit([Put(IDENTITY_KEY, b"distrodb journal 17\nc node1")])
    try:
        directory.identify("c node1")
    finally:
        directory.close()


def later_lmdb(folder: Path) -> None:
    """It is not converted either."""
    old = LmdbStore(folder / "journal")
    old.commit([Put(IDENTITY_KEY, b"distrodb journal 17\nc node1")])
    old.close()
    before = (folder / "journal" / NOTE).read_bytes()
    directory = Directory(folder)
    try:
        directory.identify("c node1")
    finally:
        directory.close()
        assert (folder / "journal" / NOTE).read_bytes() == before


def later_snapshot_file(folder: Path) -> None:
    files = SnapshotFiles(folder)
    files.write(1, 7, [b"chunk"])
    (file,) = [each for each in folder.iterdir() if each.is_file()]
    file.write_bytes(file.read_bytes().replace(b"snapshot 1", b"snapshot 2"))
    list(files.read(1, 7))


def store_of(version: int) -> list[bytes]:
    data = msgpack.packb(["distrodb store", version, {"it": "has"}, "other", "fields"])
    return [zlib.crc32(data).to_bytes(4, "big") + data, b"and chunks of another kind"]


def later_store(_: Path) -> None:
    limits = StoreLimits()
    read_back(
        "snapshot 7 of group 1", store_of(4), lambda c: restore_store(limits, c), new_store(0, 9)
    )


def of_level(level: int) -> dict[str, object]:
    """The map of a level that may have other fields."""
    plain = first_map([("node1", "h:1", "h:2")], 2, 1, {"node1": "1"}).to_plain()
    return {**plain, "level": level, "nodes": {"node1": ["of", "another", "shape"]}}


def later_map_snapshot(_: Path) -> None:
    chunks = [json.dumps([1, of_level(LEVEL + 1)]).encode()]
    read_back(
        "snapshot 7 of the map",
        chunks,
        MapMachine.restore,
        MapMachine(first_map([("a", "h:1", "h:2")], 2, 1, {"a": "1"})),
    )


def later_map_record(folder: Path) -> None:
    directory = Directory(folder)
    directory.journal.commit([sealed(MAP_KEY, json.dumps(of_level(LEVEL + 1)).encode())])
    try:
        newest_map(directory.journal)
    finally:
        directory.close()


def later_entry(_: Path) -> None:
    payload = bytes(encode_batch(1, [(0, [b"SET", b"k", b"v"])], 0, (9, 9)))
    decode_batch(b"\x11" + payload[1:])


# -- files of people -------------------------------------------------------------------------------


def later_backup(_: Path) -> None:
    encoder = Encoder(OF_BACKUP)
    data = MAGIC + encoder._frame(FACTS, msgpack.packb([17, {"other": "facts"}]), seed=0)
    rest = memoryview(data)
    at = 0

    def read(count: int) -> bytes:
        nonlocal at
        at += count
        return bytes(rest[at - count : at])

    Decoder("a.backup", read)


def later_option(folder: Path) -> None:
    file = folder / "node.toml"
    file.write_text(f'[node]\nid = "node1"\ndirectory = "{folder}"\nquorum_lease_ms = 5\n')
    load(file)


# -- what is said ----------------------------------------------------------------------------------


def later_protocol(_: Path) -> None:
    side("a/1", None).receive([17, b"1" * 16, {"more": 1}])


OPTION = "node.quorum_lease_ms: is unknown; "
OTHER = (
    "FOLDER: was made by another version of distrodb, which this one cannot read; use another"
    " directory, or that version"
)
LEVELS = (
    f"the cluster uses features of level {LEVEL + 1}, and this version of distrodb knows those"
    f" up to {LEVEL}; upgrade this slave, its data is kept"
)
LATER: dict[str, tuple[Callable[[Path], object], type[Exception], str]] = {
    "journal": (later_note, VersionError, f"FOLDER/journal/{NOTE}: is of format 17, {KEPT}"),
    "segment": (later_segment, VersionError, f"FOLDER/journal/SEGMENT: is of format 2, {KEPT}"),
    "identity": (later_identity, StorageError, OTHER),
    "LMDB": (later_lmdb, StorageError, OTHER),
    "snapshot file": (
        later_snapshot_file, CorruptionError, "FOLDER/FILE: is not a snapshot of this version",
    ),
    "a store's snapshot": (
        later_store,
        VersionError,
        f"snapshot 7 of group 1: {STORE}",
    ),
    "the map's snapshot": (
        later_map_snapshot,
        VersionError,
        f"snapshot 7 of the map: {LEVELS}",
    ),
    "the slave's own map": (later_map_record, VersionError, LEVELS),
    "entry": (later_entry, VersionError, "commands in format 17"),  # raft/library.py adds the rest
    "backup": (
        later_backup,
        ConfigError,
        "a.backup: a backup of format 17, and this version of distrodb reads format 1",
    ),
    "option": (later_option, ConfigError, f"FOLDER/node.toml: {OPTION}ANYTHING"),
    "protocol": (
        later_protocol, PeerError, "its protocol version is another one: 17, ours 7",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LATER)
def test_it_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    read, problem, line = LATER[kind]
    with pytest.raises(problem) as refused:
        read(tmp_path)
    said = str(refused.value)
    pattern = re.escape(line.replace("FOLDER", str(tmp_path)))
    for hole in ("SEGMENT", "FILE", "ANYTHING"):
        pattern = pattern.replace(hole, r"[^\n]*")
    assert type(refused.value) is problem and re.fullmatch(pattern, said), said


def test_a_slave_s_files_stay_as_they_are(tmp_path: Path) -> None:
    """For the version that knows them."""
    with pytest.raises(VersionError):
        later_note(tmp_path)
    before = {file.name: file.read_bytes() for file in (tmp_path / "journal").iterdir()}
    with pytest.raises(VersionError):
        opened(tmp_path)
    assert {file.name: file.read_bytes() for file in (tmp_path / "journal").iterdir()} == before


def test_no_flipped_bit_of_a_note_makes_it_a_later_one() -> None:
    whole = segment.encode_note(1, 5, 77)
    for position in range(len(whole)):
        for bit in range(8):
            with pytest.raises(segment.Damaged) as found:
                segment.decode_note(flipped(whole, position, 1 << bit))
            assert type(found.value) is segment.Damaged


def test_a_leader_s_newer_snapshot_is_refused_and_not_written() -> None:
    restore = lambda chunks: restore_store(StoreLimits(), chunks)  # noqa: E731
    run = SnapshotRun(SnapshotWrite(1, 7, 2, store_of(4), restore))
    assert run.chunks is None and run.done().machine is None
    assert run.done().damage == STORE


def test_a_map_that_makes_no_sense_is_no_newer_one() -> None:
    for level in (LEVEL, 0, "17", None, True):
        with pytest.raises(ValueError, match="not a cluster map"):
            MapMachine.restore([json.dumps([1, of_level(level)]).encode()])


@pytest.mark.parametrize(("version", "reply"), [(VERSION_MAX, OK), (VERSION_MAX + 1, None)])
def test_a_payload_of_a_newer_redis(version: int, reply: object) -> None:
    body = b"\x00\x05hello" + version.to_bytes(2, "little")
    payload = body + crc64(body).to_bytes(8, "little")
    said = new_store(0, 9).execute(0, [b"RESTORE", b"k", b"0", payload], 0)
    assert said == (reply or error("ERR", "DUMP payload version or checksum are wrong"))


def test_a_later_note_of_a_restore_counts_for_nothing(tmp_path: Path) -> None:
    """So it begins anew, which is safe."""
    file = tmp_path / "a.backup.restoring"
    whole = note.Note(5, frozenset({"node1/1"}), 3, 9, [])
    note.write(file, whole)
    assert note.read(file) == whole
    plain = json.loads(file.read_bytes())
    file.write_text(json.dumps({"format": 2, "of": plain}))
    assert note.read(file) is None
