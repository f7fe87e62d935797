"""The bytes of the write-ahead log: segments, blocks, the note of which segments count.  Pure.

A segment is a file that was filled with zeros when it was made.  Its first sector is a header:

    magic, number, size of the file, salt, CRC-32; the rest of the sector is FF

then blocks, one a commit, each from the next sector on:

    magic, number of the segment, sequence number, length of the body, mask, CRC-32 of the body,
    CRC-32 of this header and the salt; then the body; FF up to the end of the sector

A body is operations: kind, lengths, key and value; or the ends of a range that is deleted; or a key
and in which file its value is, how long it is and its CRC-32 (large_files.py).

How a torn commit is told from damage: the disk writes a sector whole or not at all, and a sector
that was not written holds zeros still.  **Every sector of a block has at least two bits that are
set** when it is written.  (A body with a sector of zeros, or of a single bit, is masked: XORed with
a stream of pseudo-random bytes.)  So a sector of zeros in a block was never written, and one
flipped bit cannot make one.  A block that is not whole is torn only if a sector of it is zeros and
nothing is behind it; all else is damage.

Sequence numbers have no gaps, over all segments, and the note has the first one.  The salt is
random and told to nobody, so no client can send a value that looks like a block.

Caveats: where a disk writes a sector in part, a torn commit is taken for damage.  And where it
loses sectors that it had synced, so that they are zeros again, from some place up to the end of the
log, this is taken for a torn commit, or for nothing.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from distrodb.storage.records import DeleteRange, LargePut, Operation, Put, Reference, SealedPut

SECTOR = 512
KEY_BYTES_MAX = 511  # LMDB's, which journals of before were written with
BLOCK_BYTES_MAX = 1 << 31  # offsets and lengths in a segment fit in 32 bits
TOO_LARGE = "more than 2 GiB at once"
_SEGMENT = struct.Struct("<19sQQ8s")
_SEGMENT_MAGIC = b"distrodb segment 1\n"
_ANY_SEGMENT = re.compile(rb"distrodb segment [2-9]\n")
_BLOCK = struct.Struct("<4sQQQQII")
_BLOCK_MAGIC = b"\xd1\x57\xb1\x0c"
HEADER_BYTES = _BLOCK.size
_NO_HEADER = bytes(HEADER_BYTES)
_CRC = struct.Struct("<I")
_RECORD = struct.Struct("<BHI")
_PUT, _DELETE, _LARGE = 1, 2, 3
_REFERENCE = struct.Struct("<QQI")
_ZEROS = bytes(SECTOR)
_FEW_ZEROS = bytes(SECTOR // 2 - 1)  # are in every sector with at most one bit
_PADDING = [b"\xff" * (-n % SECTOR) for n in range(SECTOR)]

# An operation of which the log has the bytes: a key and where its value lies (its position from the
# start of the body << 32 | its length), or a range.


@dataclass(slots=True)
class LargeChange:
    """The same of a value that is in a file of its own: the place is that of the reference."""

    key: bytes
    place: int
    reference: Reference


Change = tuple[bytes, int] | DeleteRange | LargeChange


class Damaged(Exception):
    """The bytes are not what was written; what is wrong, without the file's name."""


class Newer(Damaged):
    """They are what was written, by a version whose format is not known here."""


class Torn(Exception):
    """The last commit was under way and is not whole: it was never acknowledged."""


class Block(NamedTuple):
    sequence: int
    body: bytes
    body_offset: int  # in the segment
    end: int  # where the next block begins
    mask: int


# -- segments ------------------------------------------------------------------------------------


def segment_header(number: int, size: int, salt: bytes) -> bytes:
    header = _SEGMENT.pack(_SEGMENT_MAGIC, number, size, salt)
    header += _CRC.pack(zlib.crc32(header))
    return header.ljust(SECTOR, b"\xff")


def read_segment_header(content: bytes, number: int) -> bytes:
    """The salt.  Raises ``Damaged``."""
    if len(content) < SECTOR:
        raise Damaged(f"was cut off: {len(content)} of more than {SECTOR} bytes are left")
    magic, found, size, salt = _SEGMENT.unpack_from(content)
    header = content[: _SEGMENT.size]
    if content[:SECTOR] != (header + _CRC.pack(zlib.crc32(header))).ljust(SECTOR, b"\xff"):
        raise Damaged("is damaged (its first sector)")
    if magic != _SEGMENT_MAGIC and _ANY_SEGMENT.fullmatch(magic):
        raise Newer(f"is of format {int(magic[-2:-1])}")
    if magic != _SEGMENT_MAGIC or found != number:
        raise Damaged(f"is not segment {number} of this version")
    if len(content) < size:
        raise Damaged(f"was cut off: {len(content)} of {size} bytes are left")
    if len(content) > size:
        raise Damaged(f"is damaged (it has {len(content)} bytes and not {size})")
    assert isinstance(salt, bytes)
    return salt


def is_unused(content: bytes) -> bool:
    """No commit has come here, not even a part of one."""
    return is_zero(content[SECTOR:])


def is_zero(content: bytes) -> bool:
    return content == bytes(len(content))


# -- blocks --------------------------------------------------------------------------------------


def encode_body(operations: Iterable[Operation]) -> tuple[list[bytes], list[Change], int]:
    """The pieces of a body, what it changes, and its length.  Raises ``ValueError``."""
    pieces: list[bytes] = []
    changes: list[Change] = []
    position = 0
    for operation in operations:
        if isinstance(operation, DeleteRange):
            first, last = operation.first, operation.last
            pieces += (_RECORD.pack(_DELETE, len(first), len(last)), first, last)
            changes.append(operation)
            position += _RECORD.size + len(first) + len(last)
            continue
        key = operation.key
        if not 0 < len(key) <= KEY_BYTES_MAX:
            raise ValueError(f"a key of {len(key)} bytes")
        if isinstance(operation, LargePut):
            position += _RECORD.size + len(key)
            pieces += (_RECORD.pack(_LARGE, len(key), _REFERENCE.size), key)
            pieces.append(_REFERENCE.pack(*operation.reference))
            place = position << 32 | _REFERENCE.size
            changes.append(LargeChange(key, place, operation.reference))
            position += _REFERENCE.size
            continue
        value = operation.value
        length = len(value)
        position += _RECORD.size + len(key)
        if position + length > BLOCK_BYTES_MAX:
            raise ValueError(TOO_LARGE)
        pieces += (_RECORD.pack(_PUT, len(key), length), key, value)
        changes.append((key, position << 32 | length))
        position += length
    return pieces, changes, position


def encode_block(
    number: int, salt: bytes, sequence: int, pieces: list[bytes]
) -> tuple[bytearray, int]:
    """A whole number of sectors, and the mask of its body (0: none).

    What is large is copied once, and its checksum does not hold up the other threads."""
    block = bytearray().join((_NO_HEADER, *pieces))
    length, mask = len(block) - HEADER_BYTES, 0
    block += _PADDING[len(block) % SECTOR]
    body = memoryview(block)[HEADER_BYTES : HEADER_BYTES + length]
    if _FEW_ZEROS in block:
        plain = bytes(body)
        while _has_sparse_sector(block):
            mask += 1
            body[:] = masked(plain, mask)
    fields = _BLOCK_MAGIC, number, sequence, length, mask, zlib.crc32(body)
    _BLOCK.pack_into(block, 0, *fields, 0)
    header = block[: HEADER_BYTES - _CRC.size]
    _CRC.pack_into(block, len(header), zlib.crc32(salt, zlib.crc32(header)))
    return block, mask


def _has_sparse_sector(block: bytearray) -> bool:
    """A sector, but for that of the header, has less than two bits."""
    for offset in range(SECTOR, len(block), SECTOR):
        sector = block[offset : offset + SECTOR]
        if sector.count(0) >= SECTOR - 1 and int.from_bytes(sector).bit_count() < 2:
            return True
    return False


def masked(body: bytes, mask: int) -> bytes:
    """XORed with a stream that depends on the mask alone; a second time gives the body again."""
    stream = hashlib.shake_128(mask.to_bytes(8)).digest(len(body))
    number = int.from_bytes(body, "little") ^ int.from_bytes(stream, "little")
    return number.to_bytes(len(body), "little")


def block_bytes(body_bytes: int) -> int:
    return -(-(HEADER_BYTES + body_bytes) // SECTOR) * SECTOR


class Blocks:
    """Reads the blocks of one segment, of which it has all bytes."""

    def __init__(self, number: int, salt: bytes, content: bytes):
        self._number, self._salt, self._content = number, salt, content

    def next(self, position: int, sequence: int | None) -> Block | None:
        """The block at ``position``, or None behind the last one.

        ``sequence``: that it must have, if it is known.  Raises ``Torn`` and ``Damaged``.
        """
        content = self._content
        if position >= len(content):
            return None
        if content[position : position + SECTOR] == _ZEROS:
            if is_zero(content[position:]):
                return None
            if self._has_block_behind(position + SECTOR):
                raise Damaged(f"is damaged (a block is missing at {position})")
            raise Torn
        header = self._header(position)
        if header is None:
            raise Damaged(f"is damaged (at {position} there is no block)")
        found, length, mask, checksum = header
        if sequence is not None and found != sequence:
            raise Damaged(f"is damaged (commit {found} follows {sequence - 1})")
        start, end = position + HEADER_BYTES, position + block_bytes(length)
        body = content[start : start + length]
        padding = content[start + length : end].strip(b"\xff")
        if end > len(content) or padding or zlib.crc32(body) != checksum:
            sectors = range(position, min(end, len(content)), SECTOR)
            is_partial = any(content[at : at + SECTOR] == _ZEROS for at in sectors)
            if end <= len(content) and is_partial and is_zero(content[end:]):
                raise Torn
            raise Damaged(f"is damaged (commit {found} at {position})")
        return Block(found, masked(body, mask) if mask else body, start, end, mask)

    def size_at(self, position: int) -> int:
        """Bytes of the block there, of which only the first sector need be here; 0: there is none.
        Raises ``Damaged``."""
        if self._content[position : position + SECTOR] == _ZEROS:
            return 0
        header = self._header(position)
        if header is None:
            raise Damaged(f"is damaged (at {position} there is no block)")
        return block_bytes(header[1])

    def _header(self, position: int) -> tuple[int, int, int, int] | None:
        """Sequence, length, mask and checksum, if there is a sound header."""
        if not self._content.startswith(_BLOCK_MAGIC, position):
            return None
        if len(self._content) < position + HEADER_BYTES:
            return None
        fields = _BLOCK.unpack_from(self._content, position)
        header = self._content[position : position + HEADER_BYTES - _CRC.size]
        _, number, sequence, length, mask, checksum, own = fields
        if own != zlib.crc32(self._salt, zlib.crc32(header)) or number != self._number:
            return None
        return sequence, length, mask, checksum

    def _has_block_behind(self, position: int) -> bool:
        positions = range(position, len(self._content), SECTOR)
        return any(self._header(at) is not None for at in positions)


def decode_body(body: bytes) -> Iterator[Change]:
    """Raises ``Damaged``, which a body whose checksum is right is only by a bug of who wrote it."""
    position, size = 0, len(body)
    while position < size:
        if size - position < _RECORD.size:
            raise Damaged("holds an operation that is not whole")
        kind, key_bytes, length = _RECORD.unpack_from(body, position)
        position += _RECORD.size
        middle = position + key_bytes
        if middle + length > size:
            raise Damaged("holds an operation that is not whole")
        if kind == _PUT:
            yield body[position:middle], middle << 32 | length
        elif kind == _DELETE:
            yield DeleteRange(body[position:middle], body[middle : middle + length])
        elif kind == _LARGE and length == _REFERENCE.size:
            reference = Reference(*_REFERENCE.unpack_from(body, middle))
            yield LargeChange(body[position:middle], middle << 32 | length, reference)
        else:
            raise Damaged("holds what this version does not know")
        position = middle + length


def put_of(body: bytes, change: tuple[bytes, int] | LargeChange) -> Operation:
    if isinstance(change, LargeChange):
        return LargePut(SealedPut(change.key), change.reference)
    position = change[1] >> 32
    return Put(change[0], body[position : position + (change[1] & 0xFFFFFFFF)])


# -- which segments count ------------------------------------------------------------------------

_FORMAT = 5
NOTE_MAGIC = b"distrodb journal %d: " % _FORMAT
# What wrote it takes a reference to a large value for a deletion; so it must not find any.
NOTE_MAGIC_BEFORE = b"distrodb journal 4: "
NOTE_BYTES_MAX = 4096
_NOTE = re.compile(
    rb"(distrodb journal [45]: )"
    rb"segments (\d{1,19}) to (\d{1,19}) from commit (\d{1,19}), checksum [0-9a-f]{8}\n"
)
# Whatever a later format says, it says which it is, and ends in the checksum of all before it: so
# it is told from damage.
_ANY_NOTE = re.compile(rb"(distrodb journal (\d{1,9}): .*), checksum ([0-9a-f]{8})\n", re.DOTALL)


def encode_note(first: int, last: int, begins: int, magic: bytes = NOTE_MAGIC) -> bytes:
    text = magic + b"segments %d to %d from commit %d" % (first, last, begins)
    return text + b", checksum %08x\n" % zlib.crc32(text)


def decode_note(content: bytes) -> tuple[int, int, int]:
    """The first and the last segment, and the sequence number of the first block in them.

    Raises ``Damaged``; ``Newer`` if it is whole, and of a later format."""
    found = _NOTE.fullmatch(content)
    if found is not None:
        magic, *numbers = found.groups()
        first, last, begins = map(int, numbers)
        if encode_note(first, last, begins, magic) == content:
            return first, last, begins
    later = _ANY_NOTE.fullmatch(content)
    if later is not None and int(later[2]) > _FORMAT and int(later[3], 16) == zlib.crc32(later[1]):
        raise Newer(f"is of format {int(later[2])}")
    raise Damaged("is damaged (it does not say which segments there are)")
