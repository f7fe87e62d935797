"""Files that are whole or not there: made beside their place, readable for nobody else, and moved
there when they are synced.

Whatever the system answers is one line (``StorageError``).
"""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from io import BufferedReader, FileIO
from pathlib import Path
from typing import BinaryIO, Protocol

from distrodb.errors import ConfigError
from distrodb.storage.files import full, sync_directory, told

READ_BYTES = 1 << 20


class Output(Protocol):
    """Where something is written that may have to go back."""

    def write(self, data: bytes) -> None: ...

    def mark(self) -> int: ...

    def back_to(self, mark: int) -> None:
        """Take back what was written behind that mark."""

    def settle(self) -> None:
        """There is no way back behind this."""


class NewFile:
    """It gets its name when the block of ``made`` ends well, and is gone otherwise."""

    def __init__(self, path: Path, file: BinaryIO):
        self._path, self._file = path, file

    def write(self, data: bytes) -> None:
        with told(self._path, f"cannot be written{full(self._path.parent)}"):
            self._file.write(data)

    def mark(self) -> int:
        return self._file.tell()

    def back_to(self, mark: int) -> None:
        with told(self._path, "cannot be written"):
            self._file.seek(mark)
            self._file.truncate()

    def settle(self) -> None:
        pass


@contextlib.contextmanager
def made(path: Path) -> Iterator[NewFile]:
    """A file that is not there yet."""
    _refuse_existing(path)
    with told(path, "cannot be made"):
        descriptor, name = tempfile.mkstemp(".part", f"{path.name}.", path.parent)  # 0600
    file = os.fdopen(descriptor, "wb", READ_BYTES)
    try:
        yield NewFile(path, file)
        with told(path, f"cannot be written{full(path.parent)}"):
            file.flush()
            os.fsync(file.fileno())
            file.close()
        _refuse_existing(path)
        with told(path, "cannot be made"):
            os.rename(name, path)
            sync_directory(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):  # what it still had to write is not missed
            file.close()
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise ConfigError(f"{path}: is there already; name another file, or move it away")


class Spool:
    """Standard output: what may have to go back waits in a file of no name."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def mark(self) -> int:
        return self._file.tell()

    def back_to(self, mark: int) -> None:
        self._file.seek(mark)
        self._file.truncate()

    def settle(self) -> None:
        self._file.seek(0)
        shutil.copyfileobj(self._file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        self.back_to(0)


@contextlib.contextmanager
def opened(path: Path) -> Iterator["BufferedReader[FileIO]"]:
    """To be read from the front."""
    with told(path, "cannot be read"):
        if path.is_dir():
            raise IsADirectoryError(None, "it is a directory")
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with BufferedReader(FileIO(descriptor), READ_BYTES) as file:
        yield file
