"""What is fuzzed, a row each: how bytes are read, which errors are documented, what to begin with.

``repair`` mends the checksums of an input, so that what is behind them is reached too.  A reader
may take ``memory`` bytes, and ``memory_per_byte`` more for each byte of its input.

Not here: RDB files, which a redis-server reads and no line of ours (backup/rdb.py).
"""

import argparse
import atexit
import io
import json
import os
import random
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgpack

from distrodb import login
from distrodb.backup import note as restore_note
from distrodb.backup.format import HEAD_BYTES, MAGIC, Decoder, Encoder, _check
from distrodb.backup.json_lines import line_of, record_of
from distrodb.backup.records import Reading
from distrodb.commands.acl_user import RuleError, UnmatchedError, User, read
from distrodb.commands.table import DISPATCHED
from distrodb.compiled import pure
from distrodb.config.load import load as load_config
from distrodb.errors import ConfigError, CorruptionError, PeerError, StorageError, VersionError
from distrodb.keyspace import dump, snapshot
from distrodb.keyspace.containers.kinds import CONTAINERS
from distrodb.keyspace.entry import decode_batch, encode_batch
from distrodb.keyspace.snapshot import OriginRow
from distrodb.keyspace.values import STRING
from distrodb.raft.messages import check
from distrodb.resp import parse
from distrodb.resp.plain import from_plain
from distrodb.ring.clustermap import ClusterMap, first_map
from distrodb.ring.map_commands import apply
from distrodb.slave.gossip import Gossip
from distrodb.slave.http.conversation import Answer, RefusedError
from distrodb.slave.http.conversation import Conversation as HttpConversation
from distrodb.slave.links.conversation import Conversation
from distrodb.slave.links.framing import Incoming, whole
from distrodb.slave.links.introduction import Introduction
from distrodb.slave.map_machine import MapMachine
from distrodb.slave.users import Users
from distrodb.storage import segment
from distrodb.storage.large_files import LargeFiles
from distrodb.storage.lmdb_store import LmdbStore
from distrodb.storage.records import DeleteRange, LargePut, Put, Reference, SealedPut
from distrodb.storage.segment_files import RealFolder
from distrodb.storage.snapshot_files import SnapshotFiles
from tests.fuzz import scripts
from tests.library.slaves import Slaves
from tests.oracle.test_scripts import SCRIPTS
from tests.unit.backup_world import FACTS
from tests.unit.session_world import World
from tests.unit.test_backup_format import WHOLE
from tests.unit.test_dump import PAYLOADS
from tests.unit.test_gossip import FULL

Errors = tuple[type[Exception], ...]
_FOLDER = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())


@dataclass(frozen=True)
class Target:
    name: str
    read: Callable[[bytes], object]
    seeds: Sequence[bytes]
    errors: Errors = ()
    words: Sequence[bytes] = ()
    repair: Callable[[bytes], bytes] | None = None
    values: Sequence[
        object
    ] = ()  # what inputs stand for, where that can be said: these are changed,
    pack: Callable[[Any], bytes] = msgpack.packb  # and packed
    share: int = 1  # one in so many inputs of the others: what takes longer
    memory: int = 1 << 20
    memory_per_byte: int = 400


@cache
def _file(name: str) -> Path:
    """One that is written again and again, in memory where that can be."""
    folder = Path(tempfile.mkdtemp(prefix="distrodb-fuzz-", dir=_FOLDER))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder / name


def _written(name: str, data: bytes) -> Path:
    file = _file(name)
    file.write_bytes(data)
    return file


def _sound(what: Callable[..., Any], *args: object) -> Any:
    """What must not fail once a reader has taken its input, not even with a documented error."""
    try:
        return what(*args)
    except Exception as problem:
        raise AssertionError(f"it was taken, and then: {problem!r:.150}") from problem


def _cut(data: bytes, most: int = 4) -> list[bytes]:
    """In pieces: where depends on the bytes alone."""
    generator = random.Random(zlib.crc32(data))
    cuts = sorted(generator.randrange(len(data) + 1) for _ in range(generator.randrange(most)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


# -- clients ---------------------------------------------------------------------------------------

_LIMITS = parse.ParserLimits(
    inline_bytes_max=100, bulk_bytes_max=1000, arguments_max=50, command_bytes_max=2000
)
_COMMANDS = [
    b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    b"*1\r\n$4\r\nPING\r\n" * 3 + b"*2\r\n$3\r\nGE",
    b"PING\r\nSET a \"x\\x41\\n\" \r\nGET 'b\\'c'\r\n",
    b"*0\r\n*-1\r\n\r\n*1\r\n$0\r\n\r\n",
    b"*12\r\n" + b"$10\r\n0123456789\r\n" * 12,
    b"%1\r\n+a\r\n:1\r\n~1\r\n*1\r\n>1\r\n_\r\n",
]
_RESP = [
    b"*",
    b"$",
    b"\r\n",
    b"$-1\r\n",
    b"*2\r\n$1\r\n",
    b"*65537\r\n",
    b"*99999\r\n",
    b"~10000\r\n",
]


def _parsed(chunks: Sequence[bytes]) -> tuple[list[list[bytes]], str]:
    parser, commands = parse.CommandParser(_LIMITS), []
    try:
        for chunk in chunks:
            commands += parser.feed(chunk)
    except parse.ProtocolError as problem:
        return [*commands, *problem.commands], str(problem)
    return commands, ""


def _parse(data: bytes) -> None:
    """Also: the same however it is cut, and whichever parser it is."""
    expected = _parsed([data])
    assert _parsed(_cut(data)) == expected, "other commands when it is cut elsewhere"
    compiled, parse.find_commands = parse.find_commands, pure["find_commands"]
    try:
        assert _parsed([data]) == expected, "other commands without the compiled part"
    finally:
        parse.find_commands = compiled


_PASSWORD = b"a-password"
_SESSION = [
    *_COMMANDS,
    b"AUTH a-password\r\nSET a 1\r\nMULTI\r\nGET a\r\nSET b 2\r\nEXEC\r\n",
    b"AUTH a-password\r\nACL SETUSER x on >y ~* +@all\r\nACL LIST\r\nACL LOG\r\n",
    b"HELLO 3 AUTH default a-password\r\nCLIENT LIST\r\nCONFIG GET *\r\nINFO\r\n",
    b"AUTH a-password\r\nSUBSCRIBE a b\r\nPSUBSCRIBE *\r\nUNSUBSCRIBE\r\nPUBLISH a b\r\n",
    b"AUTH a-password\r\nCLIENT TRACKING ON BCAST\r\nSET a 1\r\nDUMP a\r\nHSET h f 1\r\nSCAN 0\r\n",
    b"AUTH a-password\r\nBITFIELD a SET u8 0 255 GET i4 4\r\nSORT a\r\nLCS a b\r\nPFADD p x\r\n",
    b"AUTH a-password\r\nEXPIRE a 100\r\nSETRANGE a 10 x\r\nGETRANGE a 0 -1\r\nINCRBY f 5\r\n",
    b"AUTH a-password\r\nWATCH a\r\nUNWATCH\r\nDISCARD\r\nSLOWLOG GET\r\nCOMMAND DOCS get\r\n",
]  # fmt: skip


class _Sessions:
    """One slave; a session an input.  A new slave now and then, so that little is carried over.

    Caveat: an input ends where it asks for what the stand-in for a slave does not have."""

    def __init__(self) -> None:
        self._world: World | None = None
        self._inputs = 0

    def __call__(self, data: bytes) -> None:
        if self._world is None or self._inputs >= 200:
            self._world = World(
                requirepass=_PASSWORD.decode(),
                value_bytes_max=65536,
                inline_bytes_max=4096,
            )
            self._inputs = 0
        self._inputs += 1
        world = self._world
        world.session = world.service.open_session(world._woken, "client:1")
        try:
            for chunk in _cut(data):
                world.session.receive(chunk)
                world.finish()
        except AttributeError as problem:
            self._world = None
            if not isinstance(problem.obj, (World, SimpleNamespace)):
                raise  # else a stand-in lacks what a slave has: nothing is known of the rest
        except BaseException:
            self._world = None
            raise
        finally:
            world.session.close()


# -- peers -----------------------------------------------------------------------------------------

_NODES = [(f"node{n}", f"127.0.0.1:5555{n}", f"127.0.0.1:5655{n}") for n in range(1, 4)]
_MAP = first_map(_NODES, 6, 3, {f"node{n}": f"a{n}" for n in range(1, 4)})
_CHALLENGE = bytes(range(16))
_SECRET = "a secret of thirty-two characters"


def _side(me: str, peer: str | None) -> Conversation:
    ours = Introduction("c", 3, "layout", _SECRET, f"{me}/a1", "127.0.0.1:1", "127.0.0.1:2")
    return Conversation(ours, peer, _CHALLENGE)


def _said() -> list[bytes]:
    """What each side of a link says, from its first byte to its last frame."""
    sides = [_side("node1", "node2"), _side("node2", None)]
    said = [b"", b""]
    for turn in range(8):
        out = b"".join(map(bytes, sides[turn % 2].outgoing.take(1 << 20)))
        said[turn % 2] += out
        list(sides[1 - turn % 2].receive(out))
    return [each + whole([0, [[1, 2, 3]]]) for each in said]


def _introduce(data: bytes) -> None:
    dials = zlib.crc32(data[:40]) & 1
    conversation = _side("node1", "node2") if dials else _side("node2", None)
    try:
        for chunk in _cut(data):
            for _ in conversation.receive(chunk):
                pass
    except PeerError as problem:
        Incoming().feed(conversation.farewell(problem))
        raise


def _with_checksums(data: bytes) -> bytes:
    """Of the records of a link."""
    out, position = bytearray(data), 0
    while position + 8 <= len(out):
        head = int.from_bytes(out[position : position + 4], "big")
        kind, length = head >> 28, head & ((1 << 28) - 1)
        content = bytes(out[position + 8 : position + 8 + length])
        if kind != 2:
            struct.pack_into(">I", out, position + 4, zlib.crc32(content, kind) & 0xFFFFFFFF)
        position += 8 + length
    return bytes(out)


def _frames(data: bytes) -> None:
    incoming = Incoming()
    incoming.is_trusted = True
    for chunk in _cut(data):
        for frame in incoming.feed(chunk):
            _frame(frame)


def _frame(frame: object) -> None:
    if not isinstance(frame, list) or len(frame) != 2:
        raise PeerError("as links/link.py says")
    for message in frame[1] if isinstance(frame[1], list) else []:
        check(message)


_MESSAGES = [
    [0, 1, 5, 9, 4, False],
    [0, 5, 5, 9, 4, 8, 77, [[5, b"a command"], [5, b"\x02abc"]]],
    [0, 6, 5, True, 9, 77],
    [1, 8, 5, 1, 0, 9, 4, [1, ["node1/a1", "node2/a2"]], b"chunk", True],
    [0xFFFF, 13, 1, True, 2, [1], [2], 0, [[1, 2]], []],
]
_LARGE = b"x" * 3000


def _large_frame() -> bytes:
    """As an older slave would cut it: in parts of any size."""
    first = msgpack.packb([0, [[0, 5, 5, 9, 4, 8, 77, [[5, msgpack.ExtType(1, b"")]]]]])
    lengths = msgpack.packb([len(first), len(_LARGE)])
    sum_ = zlib.crc32(lengths, 1)
    out = struct.pack(">II", 1 << 28 | len(lengths), sum_) + lengths
    for piece in (first, _LARGE[:1000], _LARGE[1000:]):
        sum_ = zlib.crc32(piece, sum_)
        out += struct.pack(">II", 2 << 28 | len(piece), sum_) + piece
    return out


def _gossip(data: bytes) -> None:
    Gossip.from_plain(msgpack.unpackb(data))


def _map(data: bytes) -> None:
    found = ClusterMap.from_plain(msgpack.unpackb(data))
    again = _sound(ClusterMap.from_plain, found.to_plain())
    assert again == found, "a map that comes back otherwise"
    _sound(found.digest)
    _sound(Users(DISPATCHED, "").follow, found.users)


def _map_snapshot(data: bytes) -> None:
    _sound(lambda machine: list(machine.snapshot()), MapMachine.restore([data]))


def _map_command(data: bytes) -> None:
    command = msgpack.unpackb(data)
    if isinstance(command, list):
        changed = _sound(apply, _MAP, command)
        _sound(ClusterMap.from_plain, changed.to_plain())
        _sound(Users(DISPATCHED, "").follow, changed.users)


def _reply(data: bytes) -> None:
    from_plain(msgpack.unpackb(data))


class _Parcels:
    """A slave that has taken up with others, and what one of these sends that is not Raft's."""

    def __init__(self) -> None:
        self._slaves: Slaves | None = None
        self._inputs = 0

    def __call__(self, data: bytes) -> None:
        frame = msgpack.unpackb(data)
        if not isinstance(frame, list) or len(frame) != 2:
            return
        if self._slaves is None or self._inputs >= 1000:
            self._slaves, self._inputs = Slaves("abc"), 0
            for _ in range(200):
                self._slaves.tick()
        self._inputs += 1
        core = self._slaves["a"]
        try:
            core.receive_parcel(self._slaves.now, "b", *frame)
            core.flush(self._slaves.now, 1)
        except PeerError:
            raise
        except BaseException:
            self._slaves = None
            raise


# Frames of kinds 2 to 8 (links/framing.py), each with its content.
_PARCELS = [
    [2, [[0, 1, 1, 0, 0, [[0, 1, 0, [b"SET", b"a", b"1"]], [1, -1, 0, [b"GET", b"a"]]]]]],
    [3, [[0, 1, [[0, 0, [0, b"OK"]], [1, 1, None]]]]],
    [4, [[0, b"channel", b"message"], [2, 7, 0, b"channel", b"x"], [3, 1, 2]]],
    [5, "KEA"], [5, 1], [5, True],
    [6, 5], [6, 0],
    [7, [1, [0], [[3, b"key"]]]], [7, [5, [], [], False]],
    [8, [0, 1, [b"SETUSER", b"u", b"on"]]], [8, [1, 1, [0, b"OK"], 7]], [8, [2, 1, None, 0]],
]  # fmt: skip

# What msgpack itself says of bytes that are none; whoever unpacks catches these.
_NO_VALUE: Errors = (ValueError, msgpack.UnpackException)


# -- disks -----------------------------------------------------------------------------------------

_SALT = b"saltsalt"
_OPERATIONS = [
    Put(b"a" * 6, b"value"),
    DeleteRange(b"a", b"b"),
    LargePut(SealedPut(b"large", b"xx"), Reference(3, 2, 77)),
]


def _segment() -> bytes:
    blocks = b"".join(
        bytes(segment.encode_block(4, _SALT, 10 + n, segment.encode_body(_OPERATIONS)[0])[0])
        for n in range(3)
    )
    size = segment.SECTOR + len(blocks) + 2 * segment.SECTOR
    return (segment.segment_header(4, size, _SALT) + blocks).ljust(size, b"\0")


def _read_segment(data: bytes) -> None:
    """As recovery.py does."""
    salt = segment.read_segment_header(data, 4)
    blocks, position, sequence = segment.Blocks(4, salt, data), segment.SECTOR, None
    while block := blocks.next(position, sequence):
        for change in segment.decode_body(block.body):
            if not isinstance(change, DeleteRange):
                segment.put_of(block.body, change)
        position, sequence = block.end, block.sequence + 1


def _mended_segment(data: bytes) -> bytes:
    out, position = bytearray(data), segment.SECTOR
    if len(out) < segment.SECTOR:
        return data
    out[: segment.SECTOR] = segment.segment_header(4, len(out), _SALT)
    while position + segment.HEADER_BYTES <= len(out):
        start, length = (
            position + segment.HEADER_BYTES,
            int.from_bytes(out[position + 20 : position + 28], "little"),
        )
        if length > len(out):
            break
        struct.pack_into("<I", out, position + 36, zlib.crc32(out[start : start + length]))
        header = bytes(out[position : position + 40])
        struct.pack_into("<I", out, position + 40, zlib.crc32(_SALT, zlib.crc32(header)))
        position += segment.block_bytes(length)
    return bytes(out)


def _body() -> bytes:
    return b"".join(segment.encode_body(_OPERATIONS)[0])


def _decode_body(data: bytes) -> None:
    for change in segment.decode_body(data):
        if not isinstance(change, DeleteRange):
            segment.put_of(data, change)


_ROWS = [
    [5, 0, b"key", b"value", b"other", b"x"],
    [5, 64, b"key", 99, b"value"],
    [7, next(iter(CONTAINERS)), b"hash", [b"f", b"1", b"g", b"2"]],
    [9, 128, 3, 1, [0, b"OK"]],
]


_STORE_HEADER = ["distrodb store", 3, 1, 0, 16383, 4, 0, 0]


def _read_chunk(data: bytes) -> None:
    try:
        snapshot.decode_header(data)
    except ValueError:
        for row in snapshot.decode_items(data):
            if isinstance(row, OriginRow) or row.tag == STRING:
                continue
            for part in row.values:
                CONTAINERS[row.tag](0).add_part(part)


def _sealed_chunk(data: bytes) -> bytes:
    return zlib.crc32(data[4:]).to_bytes(4, "big") + data[4:]


@cache
def _snapshots() -> SnapshotFiles:
    return SnapshotFiles(_file("snapshots"))


def _snapshot_file() -> bytes:
    files = _snapshots()
    files.write(1, 2, [b"chunk" * 20, b"", b"other"])
    return files._path(1, 2).read_bytes()


def _read_snapshot(data: bytes) -> None:
    files = _snapshots()
    files._path(1, 3).write_bytes(data)
    for _ in files.read(1, 3):
        pass


_LARGE_VALUE = SealedPut(b"large", b"a large value" * 200)


@cache
def _large_files() -> tuple[LargeFiles, Reference, Path, bytes]:
    folder = _file("large")
    folder.mkdir()
    files = LargeFiles(RealFolder(folder))
    steps = files.write(_LARGE_VALUE)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            (file,) = folder.iterdir()
            return files, done.value.reference, file, file.read_bytes()


def _read_large(data: bytes) -> None:
    files, reference, file, whole = _large_files()
    file.write_bytes(data)
    assert files.read(reference) == whole, "it was taken, and is not what was written"


_LMDB_RECORDS = [Put(b"k%03d" % n, b"v" * (n * 7)) for n in range(60)] + [Put(b"x", b"y" * 9000)]


@cache
def _lmdb(commits: int) -> bytes:
    folder = _file(f"lmdb-made-{commits}")
    store = LmdbStore(folder)
    for number in range(commits):
        store.commit(_LMDB_RECORDS[number::commits])
    store.commit([DeleteRange(b"k010", b"k020")])
    store.close()
    return (folder / "data.mdb").read_bytes()


_CHANGE = struct.Struct("<BBHH")  # how, page, where in it, what


def _read_lmdb(data: bytes) -> None:
    """A file is larger than inputs are, so these are changes of one, a dozen at most.

    What passes the check must not lead LMDB astray: that would end the process."""
    out = bytearray(_lmdb(1 + len(data) % 3))
    for how, page, at, what in _CHANGE.iter_unpack(data[: min(len(data) // 6, 12) * 6]):
        begin = page % (len(out) // 4096) * 4096
        # The head of a page and its table of nodes; else anywhere in it.
        begin += at % 4094 if how & 1 else at % 160
        if how & 0x0F == 0x0F:
            del out[max(begin, 8192) :]
        elif how & 8:
            struct.pack_into("<H", out, begin, what)
        else:
            out[begin] ^= 1 << what % 8
    folder = _file("lmdb")
    folder.mkdir(exist_ok=True)
    (folder / "data.mdb").write_bytes(out)
    store = LmdbStore(folder)
    try:
        for _ in store.scan(b"", b"\xff" * 512):
            pass
    finally:
        store.close()


# -- files that people bring -----------------------------------------------------------------------


def _mended_backup(data: bytes) -> bytes:
    out, position, number, seed = bytearray(data), len(MAGIC), 0, 0
    while position + HEAD_BYTES <= len(out):
        length, kind = int.from_bytes(out[position : position + 4], "big"), out[position + 4]
        body = bytes(out[position + HEAD_BYTES : position + HEAD_BYTES + length])
        if len(body) < length:
            break
        out[position + 5 : position + HEAD_BYTES] = _check(number, kind, body, seed)
        if number == 0:
            try:
                seed = msgpack.unpackb(body)[1]["id"] & (1 << 64) - 1
            except Exception:
                break
        position, number = position + HEAD_BYTES + length, number + 1
    return bytes(out)


def _backup_of(chunks: Any) -> bytes:
    """Of one partition, with these chunks."""
    header, rows = chunks
    encoder = Encoder(replace(FACTS, partitions=1))
    parts = [encoder.begin(), encoder.partition(0)]
    parts += [encoder.chunk(snapshot._pack(each)) for each in (header, rows)]
    return b"".join([*parts, encoder.end(1, 4)])


def _read_backup(data: bytes) -> None:
    for record in Reading(Decoder("a.backup", io.BytesIO(data).read)).records():
        line_of(record)


def _read_line(data: bytes) -> None:
    record = record_of(data.decode())
    assert _sound(record_of, _sound(line_of, record)).key == record.key, (
        "a key that comes back otherwise"
    )


_LINES = [
    b'{"key": "a", "value": "1"}',
    b'{"key": "b", "value": "2", "expires_at_ms": 1795824000000, "database": 3}',
    b'{"key": "h", "hash": [["field", "text"], ["other", {"base64": "/w=="}]]}',
]
_NOTE = json.dumps(
    {
        "backup": 5,
        "slaves": ["a1"],
        "frame": 3,
        "keys": 9,
        "samples": [[0, "YQ==", None], [1, "Yg==", 7]],
    }
).encode()
_CONFIG = b"""
[node]
id = "node1"
directory = "data"
protected_mode = true
[cluster]
id = "c"
partitions = 6
secret = "abcdefghijklmnop"
[[cluster.nodes]]
id = "node1"
client = "127.0.0.1:55551"
peer = "127.0.0.1:56551"
http = "58551"
[[cluster.nodes]]
id = "node2"
client = "[::1]:55552"
peer = "0.0.0.0:56552"
announce = "example"
[raft]
heartbeat_ms = 50
[limits]
value_bytes_max = 1000000
[clients]
requirepass = "x"
notify_keyspace_events = "KEA"
[tls]
clients = "on"
certificate = "a.crt"
key = "a.key"
"""


# -- the rest --------------------------------------------------------------------------------------

_RULES = [
    b"on >its-password ~app:* &app:* +@all -@admin -@dangerous",
    b"off nopass resetkeys resetchannels %R~a %W~b %RW~c +get +config|get -select (+@read ~x:*)",
    b"reset #" + b"0" * 64 + b" !" + b"0" * 64 + b" allkeys allchannels allcommands +select|0",
    b"( +@all ~* ) (-@all %R~* &c) clearselectors sanitize-payload",
]  # fmt: skip


def _acl(data: bytes) -> None:
    user = User(b"u").changed(data.split(b" "), DISPATCHED)
    assert _sound(read, b"u", user.text, DISPATCHED) == user, "a user that comes back otherwise"


def _http(data: bytes) -> None:
    conversation = HttpConversation()
    try:
        for chunk in _cut(data):
            conversation.receive(chunk)
            while conversation.next() is not None:
                conversation.answer(Answer(200, b"x"))
                if not conversation.go_on():
                    return
    except RefusedError as refused:
        conversation.answer(refused.answer, is_last=True)


_REQUESTS = [
    b"GET /cluster?a=b HTTP/1.1\r\nHost: node1:80\r\nAuthorization: Basic YTpi\r\n\r\n" * 2,
    b"HEAD / HTTP/1.0\r\n\r\n",
    b"POST /key HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
    b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
]


def _load(data: bytes) -> None:
    if dump.is_intact(data):
        value = dump.load(data, 4096)
        again = _sound(dump.load, _sound(dump.dump, value), 1 << 20)
        assert again == value or not isinstance(value, bytes)


def _with_crc(data: bytes) -> bytes:
    body = data[:-10] + b"\x09\x00" if len(data) > 10 else b"\x00\x09\x00"
    return body + dump.crc64(body).to_bytes(8, "little")


def _environment(data: bytes) -> None:
    """Names and values as the system gives them: bytes that are no UTF-8 come as surrogates."""
    fields = os.fsdecode(data.replace(b"\0", b"")).split("\n")
    names = ("DISTRODB_USER", "DISTRODB_PASSWORD", "DISTRODB_CA")
    options = argparse.Namespace(
        user=None, password=None, password_file=None, tls=False, ca=None, cert=None, key=None
    )
    found = login.given(options, dict(zip(names, fields, strict=False)), asks=False)
    _sound(lambda: (found.greeting, found.options))


def _password_file(data: bytes) -> None:
    options = argparse.Namespace(
        user="u", password=None, password_file=str(_written("password", data)),
        tls=False, ca=None, cert=None, key=None,
    )  # fmt: skip
    assert isinstance(login.given(options, {}, asks=False).greeting, bytes)


_MAPS = [each.to_plain() for each in (_MAP, apply(_MAP, ["set_user", "\xff", "on ~* +@all"]))]
_MAP_COMMANDS = [
    ["set_status", "node1", "down"], ["incarnate", "node1", "b"], ["balance"],
    ["add_node", "n4", "a:1", "a:2", "c"], ["change_ring", "-node1"], ["move", "1", "node2"],
    ["set_user", "u", "on"], ["delete_users", "u"], ["set_group", "0", "node1", "node2"],
    ["set_map_group", "node1", "node2"], ["remove_node", "node1"],
]  # fmt: skip
_REPLIES = [[0, b"OK"], [2, 1, b"x", None, [3, b"k", 1.5]], [4, True], [7, b"9" * 30], [5, b"t"]]
_ENTRIES = [
    bytes(
        encode_batch(5, [(3, [b"SET", b"a", b"1"]), (-1, [b"FLUSHDB"])], 9, (10, 10, 16), 0, marks)
    )
    for marks in ((), [(0, 1, 2, 3)])
]

_LUA = [
    b" .. ", b"#", b"[", b"]", b"{", b"}", b"(", b")", b"...", b"nil", b" and ", b" or ", b"not ",
    b"function() ", b" end ", b"return ", b"local t = {} ", b"pcall(", b"error(", b"unpack(",
    b"2^31", b"while true do ", b"for i = 1, 1e9 do ", b"coroutine.wrap(", b"setmetatable({}, ",
    b"__index", b"redis.call('SET', KEYS[1], ARGV[1]) ", b"redis.pcall(", b"KEYS[1]", b"ARGV[2]",
    b"_G", b"1/0", b"string.rep('x', 1e6)", b":gsub('.-', ", b"string.format('%s', ",
    b"tostring(", b"loadstring(", b"cjson.decode(", b"cjson.encode(", b"cmsgpack.pack(",
    b"cmsgpack.unpack(", b"struct.pack('<i4'", b"struct.unpack(", b"bit.bor(",
    b"redis.setresp(3) ", b"table.sort(", b"math.random(", b"-0/0",
    b"redis.call('HGETALL', KEYS[1])", b"redis.call('SORT', KEYS[1])", b"\x00", b"\\255", b"__gc",
]  # fmt: skip
_ROWS_OF_TARGETS = [
    Target("parse", _parse, _COMMANDS, words=_RESP),
    Target(
        "inline", lambda data: parse.split_inline(data), [b"SET a \"x\\x41\\n\" 'b\\'c'", b" a  b"]
    ),
    Target(
        "session",
        _Sessions(),
        _SESSION,
        words=[*_RESP, b"AUTH a-password\r\n", b"EXEC\r\n", *(name + b" " for name in DISPATCHED)],
        memory=8 << 20,
        memory_per_byte=4000,
    ),
    Target("introduction", _introduce, _said(), (PeerError,), repair=_with_checksums),
    Target(
        "frames",
        _frames,
        [*(whole([0, [each]]) for each in _MESSAGES), whole([0, _MESSAGES]), _large_frame()],
        (PeerError,),
        repair=_with_checksums,
        values=_MESSAGES,
        pack=lambda m: whole([0, [m]]),
    ),
    Target(
        "gossip",
        _gossip,
        [msgpack.packb(FULL.to_plain())],
        (PeerError, *_NO_VALUE),
        values=[FULL.to_plain()],
    ),
    Target(
        "parcels",
        _Parcels(),
        [msgpack.packb(each) for each in _PARCELS],
        (PeerError, *_NO_VALUE),
        values=_PARCELS,
        memory=32 << 20,
    ),
    Target(
        "map",
        _map,
        [msgpack.packb(each) for each in _MAPS],
        _NO_VALUE,
        values=_MAPS,
        memory=8 << 20,
    ),
    Target(
        "map_snapshot",
        _map_snapshot,
        [b"".join(MapMachine(_MAP).snapshot())],
        (ValueError, VersionError),
        memory=8 << 20,
        values=[[5, each] for each in _MAPS],
        pack=lambda value: json.dumps(value).encode(),
    ),
    Target(
        "map_command",
        _map_command,
        [msgpack.packb(each) for each in _MAP_COMMANDS],
        _NO_VALUE,
        values=_MAP_COMMANDS,
        memory=8 << 20,
    ),
    Target("reply", _reply, [msgpack.packb(each) for each in _REPLIES], _NO_VALUE, values=_REPLIES),
    Target(
        "entry",
        decode_batch,
        _ENTRIES,
        (ValueError, VersionError),
        values=[msgpack.unpackb(each[1:]) for each in _ENTRIES],
        pack=lambda v: bytes([2 + (len(v) == 5)]) + msgpack.packb(v),
    ),
    Target(
        "segment",
        _read_segment,
        [_segment()],
        (segment.Damaged, segment.Torn),
        repair=_mended_segment,
    ),
    Target("segment_body", _decode_body, [_body()], (segment.Damaged,)),
    Target(
        "journal_note", segment.decode_note, [segment.encode_note(1, 5, 77)], (segment.Damaged,)
    ),
    Target(
        "snapshot_chunk",
        _read_chunk,
        [
            snapshot._pack(_ROWS),
            *(snapshot._pack([r]) for r in _ROWS),
            snapshot._pack(_STORE_HEADER),
        ],
        (ValueError, VersionError),
        repair=_sealed_chunk,
        values=[_ROWS, _STORE_HEADER],
        pack=snapshot._pack,
    ),
    Target("large_file", _read_large, [_large_files()[3]], (CorruptionError,)),
    Target(
        "lmdb",
        _read_lmdb,
        [b"", b"\x03\x02\x05\0\x01\0", b"\x0a\x03\x10\0\x07\0" * 3, bytes(range(100, 124))],
        (StorageError,),
        memory=8 << 20,
    ),
    Target("snapshot_file", _read_snapshot, [_snapshot_file()], (CorruptionError,)),
    Target(
        "backup",
        _read_backup,
        [WHOLE],
        (ConfigError, CorruptionError, VersionError),
        repair=_mended_backup,
        memory=8 << 20,
        values=[[_STORE_HEADER, _ROWS[:3]]],
        pack=_backup_of,
    ),
    Target(
        "restore_note",
        lambda data: restore_note.read(_written("note", data)),
        [_NOTE],
        values=[json.loads(_NOTE)],
        pack=lambda value: json.dumps(value).encode(),
    ),
    Target(
        "json_lines",
        _read_line,
        _LINES,
        (ValueError,),
        words=[b'{"base64": "/w=="}'],
        values=[json.loads(each) for each in _LINES],
        pack=lambda value: json.dumps(value).encode(),
    ),
    Target(
        "config",
        lambda data: load_config(_written("node1.toml", data)),
        [_CONFIG],
        (ConfigError,),
        words=[
            b"\n[gateway]\n",
            b"inf",
            b"nan",
            b"1979-05-27T07:32:00Z",
            b"= [",
            b"\\u0000",
            b"..",
            b"[[",
        ],
    ),
    Target("acl", _acl, _RULES, (RuleError, UnmatchedError)),
    Target(
        "http",
        _http,
        _REQUESTS,
        words=[b"\r\n", b"Content-Length: ", b"chunked", b": ", b"HTTP/1.1"],
    ),
    Target(
        "dump",
        _load,
        [bytes.fromhex(text) for text, _ in PAYLOADS],
        (dump.BadFormat, dump.TooLarge),
        repair=_with_crc,
    ),
    Target(
        "environment",
        _environment,
        [b"app\npassword", b"\xff\n\xfe", b"a\nb\n/etc/passwd"],
        (ConfigError,),
    ),
    Target("password_file", _password_file, [b"a password\r\n"], (ConfigError,)),
    Target(
        "script",
        scripts.read,
        [each.encode() for each in SCRIPTS[::4]],
        words=_LUA,
        share=5,
        memory=64 << 20,
    ),
]
TARGETS = {target.name: target for target in _ROWS_OF_TARGETS}
