"""Snapshots on disk: one file each, whole and durable before anything relies on it.

    magic, then records: length (4 bytes), CRC-32 of the data (4 bytes), data; then a trailer with
    the length 0xFFFFFFFF and the number of records.

A file is written under a temporary name, synced, renamed, and its directory synced.  The journal's
record names the snapshot that counts; ``remove_older`` is for when that record is durable.
"""

import fnmatch
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from distrodb.errors import CorruptionError
from distrodb.storage.files import require_regular, sync_directory, told

MAGIC = b"distrodb snapshot 1\n"
_RECORD = struct.Struct(">II")
_END = 0xFFFFFFFF


class SnapshotFiles:
    def __init__(self, directory: Path):
        """Raises ``StorageError``."""
        self._directory = directory
        with told(directory, "cannot open"):
            directory.mkdir(parents=True, exist_ok=True)
            sync_directory(directory.parent)
            for half in self._named("*.temporary"):  # what a crash left half written
                half.unlink()

    @property
    def is_empty(self) -> bool:
        """There are no snapshots.  Raises ``StorageError``."""
        with told(self._directory, "cannot read"):
            return not self._named("*.snapshot")

    def _named(self, pattern: str) -> list[Path]:
        """Not by ``Path.glob``, for which a directory that cannot be read is an empty one."""
        names = fnmatch.filter(os.listdir(self._directory), pattern)
        return [self._directory / name for name in sorted(names)]

    def _path(self, group: int, index: int) -> Path:
        return self._directory / f"{group:05d}-{index:020d}.snapshot"

    def write(self, group: int, index: int, chunks: Iterable[bytes]) -> None:
        """Return when the snapshot is durable.  Raises ``StorageError``."""
        path = self._path(group, index)
        temporary = path.with_suffix(".temporary")
        with told(path, "cannot write"):
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

    def remove_older(self, group: int, index: int) -> None:
        """Remove what came before the snapshot at ``index``."""
        with told(self._directory, "cannot remove"):
            for old in self._named(f"{group:05d}-*.snapshot"):
                if old < self._path(group, index):
                    old.unlink()

    def read(self, group: int, index: int) -> Iterator[bytes]:
        """The chunks of a snapshot; raises ``CorruptionError`` at the first that is damaged."""
        path = self._path(group, index)
        # Permissions, say: then the snapshot itself may be sound.  One that is not there is lost.
        with told(path, "cannot read"):
            try:
                require_regular(path)
                file = open(path, "rb")  # noqa: SIM115
            except FileNotFoundError as problem:
                raise CorruptionError(f"{path}: cannot read: {problem.strerror}") from None
            with file:
                yield from self._records(path, file)

    @staticmethod
    def _records(path: Path, file: BinaryIO) -> Iterator[bytes]:
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
