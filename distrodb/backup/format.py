"""The bytes of a backup: a line that says what it is, and frames.  Pure.

    b"distrodb backup\\n", then frames:
    length of the body (4 bytes, big-endian) · kind (1) · check (8) · body

The check is XXH3 (64 bits) of the frame's number, length, kind and body, with the backup's own
number as its seed, so a frame that is damaged, missing, twice, elsewhere or another backup's is
noticed.  The kinds, in the order in which they come:

    FACTS      msgpack: what ``Facts`` has; the seed of its check is 0
    then for each partition
    PARTITION  msgpack: its number
    CHUNK      Zstandard: a chunk of the partition's picture (keyspace/snapshot.py); the first one
               is its header, which says how many keys there are
    at the end
    END        msgpack: how many partitions and keys there are

So a file that ends too early is told from a whole one, at whatever byte it was cut.  ``keys`` are
counted by whoever reads the chunks (records.py).

Another version of this format has another VERSION, and is refused with that number.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import msgpack
import xxhash
import zstandard

from distrodb.errors import ConfigError, CorruptionError, invariant

MAGIC = b"distrodb backup\n"
VERSION = 1
FACTS, PARTITION, CHUNK, END = 1, 2, 3, 4
HEAD_BYTES = 13
# Of a body, and of a chunk when it is unpacked: a key, a field and its value of the largest that
# options allow (144 MiB), and room.  Beyond it a length is damage, and nothing is allocated for it.
BODY_BYTES_MAX = 256 << 20
MADE_MS_MAX = 253_402_300_799_000  # the end of the year 9999
LEVEL = 3  # Zstandard's own default: faster than one connection reads


@dataclass(frozen=True, slots=True)
class Facts:
    """What a backup says of itself."""

    id: int  # a random number of 64 bits: a backup's own
    made_ms: int  # Unix time, in milliseconds, when it was begun
    made_by: str  # the version of distrodb
    slaves: list[str]
    partitions: int


class Frame(NamedTuple):
    kind: int
    body: bytes  # of a CHUNK: unpacked
    number: int
    at: int  # the byte of the file where it begins


class Encoder:
    """Makes the frames of one backup.  ``position`` says how far it is, and may be set back to an
    earlier one, whose frames then come again."""

    def __init__(self, facts: Facts):
        self._facts = facts
        self._packer = zstandard.ZstdCompressor(level=LEVEL)
        self.position = 0  # the next frame's number

    def begin(self) -> bytes:
        plain = msgpack.packb([VERSION, asdict(self._facts)])
        return MAGIC + self._frame(FACTS, plain, seed=0)

    def partition(self, number: int) -> bytes:
        return self._frame(PARTITION, msgpack.packb(number))

    def chunk(self, chunk: bytes) -> bytes:
        invariant(len(chunk) <= BODY_BYTES_MAX, "a chunk that no backup could be read with")
        return self._frame(CHUNK, self._packer.compress(chunk))

    def end(self, partitions: int, keys: int) -> bytes:
        return self._frame(END, msgpack.packb([partitions, keys]))

    def _frame(self, kind: int, body: bytes, seed: int | None = None) -> bytes:
        seed = self._facts.id if seed is None else seed
        check = _check(self.position, kind, body, seed)
        self.position += 1
        return len(body).to_bytes(4, "big") + bytes([kind]) + check + body


def _check(number: int, kind: int, body: bytes, seed: int) -> bytes:
    hasher = xxhash.xxh3_64(number.to_bytes(8, "big"), seed=seed)
    hasher.update(len(body).to_bytes(4, "big") + bytes([kind]))
    hasher.update(body)
    return hasher.digest()


class Decoder:
    """Reads a backup front to back.  ``read`` gives that many bytes, fewer only at the end, and
    ``name`` is what errors call the file.

    Raises ``ConfigError`` for what is no backup, or one of another version, ``CorruptionError`` for
    one that is damaged or not whole.
    """

    def __init__(self, name: str, read: Callable[[int], bytes]):
        self.name, self._read = name, read
        self._unpacker = zstandard.ZstdDecompressor()
        self._at = self._number = self._seed = 0
        self._partitions = 0
        self.keys = 0  # that the end says there are
        if self._take(len(MAGIC)) != MAGIC:
            raise ConfigError(f"{name}: this is no backup of distrodb")
        self.facts = self._facts(self._next())
        self._seed = self.facts.id

    @property
    def at(self) -> int:
        """Bytes that were read."""
        return self._at

    def frames(self) -> Iterator[Frame]:
        """PARTITION and CHUNK frames, to the end, which is checked too."""
        while True:
            frame = self._next()
            if frame.kind == PARTITION:
                self._expect(frame, _unpack(frame.body) == self._partitions)
                self._partitions += 1
            elif frame.kind == CHUNK:
                self._expect(frame, self._partitions > 0)
                frame = frame._replace(body=self._unpacked(frame))
            else:
                self._finish(frame)
                return
            yield frame

    def damaged(self, frame: Frame, why: str) -> CorruptionError:
        return CorruptionError(f"{self.name}: damaged at byte {frame.at}: {why}")

    def _finish(self, frame: Frame) -> None:
        match _unpack(frame.body) if frame.kind == END else None:
            case [int(partitions), int(keys)] if partitions == self._partitions:
                self.keys = keys
            case _:
                raise self.damaged(frame, "a frame that does not belong there")
        self._expect(frame, self._partitions == self.facts.partitions)
        if self._read(1):
            raise CorruptionError(f"{self.name}: there is more behind the end of the backup")

    def _expect(self, frame: Frame, holds: bool) -> None:
        if not holds:
            raise self.damaged(frame, "a frame that does not belong there")

    def _take(self, count: int) -> bytes:
        data = self._read(count)
        self._at += len(data)
        return data

    def _next(self) -> Frame:
        at = self._at
        head = self._take(HEAD_BYTES)
        length = int.from_bytes(head[:4], "big")
        if len(head) == HEAD_BYTES and length > BODY_BYTES_MAX:
            raise CorruptionError(f"{self.name}: damaged at byte {at}: a frame of {length} bytes")
        body = self._take(length) if len(head) == HEAD_BYTES else b""
        if len(head) < HEAD_BYTES or len(body) < length:
            raise CorruptionError(
                f"{self.name}: it ends too early, at byte {self._at}: the backup was not finished,"
                " or the file was cut off"
            )
        kind, number = head[4], self._number
        frame = Frame(kind, body, number, at)
        if _check(number, kind, body, self._seed) != head[5:]:
            raise self.damaged(frame, "it does not match its checksum")
        self._number += 1
        return frame

    def _unpacked(self, frame: Frame) -> bytes:
        try:
            if not 0 <= zstandard.frame_content_size(frame.body) <= BODY_BYTES_MAX:
                raise self.damaged(frame, "it unpacks to more than it may")
            return self._unpacker.decompress(frame.body)
        except zstandard.ZstdError as problem:
            raise self.damaged(frame, f"it cannot be unpacked: {problem}") from None

    def _facts(self, frame: Frame) -> Facts:
        match _unpack(frame.body) if frame.kind == FACTS else None:
            case [int(version), dict(plain)] if version == VERSION and _are_facts(plain):
                return Facts(**plain)
            case [int(version), *_] if version != VERSION:
                raise ConfigError(
                    f"{self.name}: a backup of format {version}, and this version of distrodb"
                    f" reads format {VERSION}"
                )
        raise self.damaged(frame, "its facts make no sense")


def _are_facts(plain: dict[Any, Any]) -> bool:
    kinds: dict[str, type] = {
        "id": int, "made_ms": int, "made_by": str, "slaves": list, "partitions": int
    }  # fmt: skip
    if {each.name for each in fields(Facts)} != set(plain):
        return False
    are_right = all(type(plain[name]) is kind for name, kind in kinds.items())
    if not are_right or not all(type(slave) is str for slave in plain["slaves"]):
        return False
    return bool(0 <= plain["made_ms"] <= MADE_MS_MAX and plain["id"] >= 0)


def _unpack(body: bytes) -> Any:
    """None for what is no msgpack."""
    try:
        return msgpack.unpackb(body)
    except (ValueError, msgpack.UnpackException):
        return None
