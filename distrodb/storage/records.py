"""What the journal holds: the keys of its records, their bytes, their checksums.  Pure.

    group (2 bytes) "e" index (8 bytes)    an entry: its term (8 bytes), its command
    group (2 bytes) "m"                    ``Meta``: term and vote, and where the log stands
    group (2 bytes) "t"                    ``Tombstone``: what stays of a group that was let go
    FF FF                                  whose directory this is (directory.py); not sealed
    FF FF 01, 02, 03                       the slave's incarnation; the newest cluster map, and the
                                           first one that it knew

Keys are big-endian, so they sort by group, kind and index: a log is one range of keys.

Every record but the directory's identity is sealed: it begins with a CRC-32 of its key and its
content, and one that does not match is never used (``CorruptionError``).

An entry that lies below its group's ``Meta.first_index``, or whose group has a tombstone and no
``Meta``, is none any more: it waits for its deletion (raft/write_set.py), and nobody reads it.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgpack

from distrodb.errors import CorruptionError

LAST_INDEX = 2**64 - 1
IDENTITY_KEY = b"\xff\xff"  # behind every group's keys: there is no group 0xFFFF
INCARNATION_KEY = b"\xff\xff\x01"
MAP_KEY = b"\xff\xff\x02"
FIRST_MAP_KEY = b"\xff\xff\x03"

_ENTRY_KEY = struct.Struct(">HcQ")
_GROUP_KEY = struct.Struct(">Hc")
_CHECKSUM = struct.Struct(">I")
_TERM = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Put:
    key: bytes
    value: bytes

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return len(self.value)


class SealedPut(Put):
    """One whose checksum and bytes are made when they are written: off the event loop, which for
    what is large is long."""

    __slots__ = ("_pieces",)
    _pieces: tuple[bytes, ...]

    def __init__(self, key: bytes, *pieces: bytes):
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "_pieces", pieces)

    @property
    def size(self) -> int:
        return _CHECKSUM.size + sum(map(len, self._pieces))

    def pieces(self) -> tuple[bytes, ...]:
        """The value, not copied."""
        checksum = zlib.crc32(self.key)
        for piece in self._pieces:
            checksum = zlib.crc32(piece, checksum)
        return _CHECKSUM.pack(checksum), *self._pieces

    @property
    def value(self) -> bytes:
        return b"".join(self.pieces())


class Reference(NamedTuple):
    """To a value that is in a file of its own (large_files.py)."""

    number: int  # of the file
    size: int
    checksum: int  # CRC-32 of the whole file


class LargePut(SealedPut):
    """One whose value is on the disk already, in a file of its own: only where is committed."""

    __slots__ = ("reference",)
    reference: Reference

    def __init__(self, put: SealedPut, reference: Reference):
        super().__init__(put.key, *put._pieces)
        object.__setattr__(self, "reference", reference)


@dataclass(frozen=True, slots=True)
class DeleteRange:
    first: bytes  # inclusive
    last: bytes  # inclusive

    @property
    def size(self) -> int:
        return len(self.first) + len(self.last)


Operation = Put | DeleteRange


class JournalStore(Protocol):
    """A place where write sets become durable.  ``commit`` returns when they are (fsync)."""

    def commit(self, operations: Iterable[Operation]) -> None: ...

    def scan(self, first: bytes, last: bytes) -> Iterable[tuple[bytes, bytes]]: ...

    def keys(self, first: bytes, last: bytes) -> Iterable[bytes]:
        """The same without the values: none is read."""


# -- checksums -----------------------------------------------------------------------------------


def seal(key: bytes, content: bytes) -> bytes:
    return _CHECKSUM.pack(zlib.crc32(content, zlib.crc32(key))) + content


def unseal(key: bytes, value: bytes, what: str) -> bytes:
    """Raises ``CorruptionError``, in which ``what`` names the record."""
    content = value[_CHECKSUM.size :]
    checksum = zlib.crc32(content, zlib.crc32(key))
    if len(value) < _CHECKSUM.size or _CHECKSUM.unpack_from(value)[0] != checksum:
        raise CorruptionError(f"journal: {what} is damaged (checksum does not match)")
    return content


def sealed(key: bytes, content: bytes) -> Put:
    return Put(key, seal(key, content))


# -- entries -------------------------------------------------------------------------------------


def entry_key(group: int, index: int) -> bytes:
    return _ENTRY_KEY.pack(group, b"e", index)


def entry(group: int, index: int, term: int, command: bytes) -> SealedPut:
    return SealedPut(entry_key(group, index), _TERM.pack(term), command)


def entries(group: int, first: int, last: int) -> DeleteRange:
    """Those with ``first <= index <= last`` are no more."""
    return DeleteRange(entry_key(group, first), entry_key(group, last))


def read_index(group: int, key: bytes) -> int:
    """The index of an entry's key.  Raises ``CorruptionError``."""
    if len(key) != _ENTRY_KEY.size:
        raise CorruptionError(f"journal: group {group} has a damaged key")
    index: int = _ENTRY_KEY.unpack(key)[2]
    return index


def read_entry(group: int, key: bytes, value: bytes) -> tuple[bytes, int, int]:
    """(command, index, term) of a record.  Raises ``CorruptionError``."""
    index = read_index(group, key)
    what = f"entry {index} of group {group}"
    content = unseal(key, value, what)
    if len(content) <= _TERM.size:
        raise CorruptionError(f"journal: {what} is too short")
    return content[_TERM.size :], index, _TERM.unpack_from(content)[0]


# -- what a group remembers beside its entries ---------------------------------------------------


@dataclass(slots=True)
class Meta:
    """What a group remembers beside its entries; one record, rewritten whole."""

    term: int = 0
    voted_for: str | None = None
    commit_index: int = 1
    snapshot_index: int = 1
    snapshot_term: int = 0
    epoch: int = 0  # of the configuration at the snapshot
    members: list[str] = field(default_factory=list)  # at the snapshot
    first_index: int = 0  # the log begins there, or behind it; 0 in what 0.3.0 wrote

    def pack(self) -> bytes:
        data: bytes = msgpack.packb(
            [
                self.term,
                self.voted_for,
                self.commit_index,
                self.snapshot_index,
                self.snapshot_term,
                self.epoch,
                self.members,
                self.first_index,
            ]
        )
        return data


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stays of a group whose member this slave was: see ``Log.retire``."""

    term: int
    voted_for: str | None
    index: int  # of the configuration that removed it


def meta(group: int, content: Meta) -> Put:
    return sealed(_meta_key(group), content.pack())


def no_meta(group: int) -> DeleteRange:
    return DeleteRange(_meta_key(group), _meta_key(group))


def tombstone(group: int, content: Tombstone) -> Put:
    fields = [content.term, content.voted_for, content.index]
    return sealed(_GROUP_KEY.pack(group, b"t"), msgpack.packb(fields))


def load_meta(store: JournalStore, group: int) -> Meta | None:
    """Raises ``CorruptionError``."""
    fields = _load(store, _meta_key(group), f"the record of group {group}")
    return None if fields is None else Meta(*fields)


def load_tombstone(store: JournalStore, group: int) -> Tombstone | None:
    """Raises ``CorruptionError``."""
    fields = _load(store, _GROUP_KEY.pack(group, b"t"), f"the tombstone of group {group}")
    return None if fields is None else Tombstone(*fields)


def _meta_key(group: int) -> bytes:
    return _GROUP_KEY.pack(group, b"m")


def _load(store: JournalStore, key: bytes, what: str) -> list[Any] | None:
    for _, value in store.scan(key, key):
        fields: list[Any] = msgpack.unpackb(unseal(key, value, what))
        return fields
    return None
