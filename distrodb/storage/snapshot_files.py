"""Snapshots on disk: one file each, whole and durable before anything relies on it.

    magic, then records: length (4 bytes), CRC-32 of the data (4 bytes), data; then a trailer with
    the length 0xFFFFFFFF and the number of records.

A file is written under a temporary name, synced, renamed, and its directory synced.  The journal's
record names the snapshot that counts; ``remove_older`` is for when that record is durable.
"""

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from distrodb.errors import CorruptionError, StorageError

MAGIC = b"distrodb snapshot 1\n"
_RECORD = struct.Struct(">II")
_END = 0xFFFFFFFF


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class SnapshotFiles:
    def __init__(self, directory: Path):
        """Raises ``StorageError``."""
        self._directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            sync_directory(directory.parent)
            for half in directory.glob("*.temporary"):  # what a crash left half written
                half.unlink()
        except OSError as problem:
            raise StorageError(f"{directory}: {problem.strerror}") from None

    def _path(self, group: int, index: int) -> Path:
        return self._directory / f"{group:05d}-{index:020d}.snapshot"

    def write(self, group: int, index: int, chunks: Iterable[bytes]) -> None:
        """Return when the snapshot is durable.  Raises ``StorageError``."""
        path = self._path(group, index)
        temporary = path.with_suffix(".temporary")
        try:
            with open(temporary, "wb") as file:
                file.write(MAGIC)
                count = 0
                for chunk in chunks:
                    file.write(_RECORD.pack(len(chunk), zlib.crc32(chunk)))
                    file.write(chunk)
                    count += 1
                file.write(_RECORD.pack(_END, count))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            sync_directory(self._directory)
        except OSError as problem:
            raise StorageError(f"{path}: cannot write: {problem.strerror}") from None

    def remove_older(self, group: int, index: int) -> None:
        """Remove what came before the snapshot at ``index``."""
        try:
            for old in self._directory.glob(f"{group:05d}-*.snapshot"):
                if old < self._path(group, index):
                    old.unlink()
        except OSError as problem:
            raise StorageError(f"{self._directory}: cannot remove: {problem.strerror}") from None

    def read(self, group: int, index: int) -> Iterator[bytes]:
        """The chunks of a snapshot; raises ``CorruptionError`` at the first that is damaged."""
        path = self._path(group, index)
        try:
            with open(path, "rb") as file:
                if file.read(len(MAGIC)) != MAGIC:
                    raise CorruptionError(f"{path}: is not a snapshot of this version")
                count, size = 0, os.fstat(file.fileno()).st_size
                while True:
                    header = file.read(_RECORD.size)
                    if len(header) < _RECORD.size:
                        raise CorruptionError(f"{path}: is cut off")
                    length, checksum = _RECORD.unpack(header)
                    if length == _END:
                        if checksum != count:
                            raise CorruptionError(f"{path}: records are missing")
                        return
                    chunk = file.read(min(length, size))  # a flipped bit may ask for 4 GiB
                    if len(chunk) < length or zlib.crc32(chunk) != checksum:
                        raise CorruptionError(f"{path}: record {count} is damaged")
                    count += 1
                    yield chunk
        except FileNotFoundError as problem:
            raise CorruptionError(f"{path}: cannot read: {problem.strerror}") from None
        except OSError as problem:  # permissions, say: the snapshot itself may be sound
            raise StorageError(f"{path}: cannot read: {problem.strerror}") from None
