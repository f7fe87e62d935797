"""What every part of the storage does with files: sync, refuse what is no file, report.

Whatever the disk answers ends in one line (``StorageError``), never in a traceback: each access is
made within ``told``.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distrodb.errors import StorageError

FULL_BYTES = 4 << 20  # with less free than a large write set takes, that is why a write failed


@contextmanager
def told(place: Path, what: str, kinds: tuple[type[Exception], ...] = (OSError,)) -> Iterator[None]:
    """An error within, of one of these kinds, is raised as a ``StorageError`` of one line that says
    where it was and what could not be done."""
    try:
        yield
    except kinds as problem:
        raise StorageError(f"{place}: {what}: {reason(problem)}") from None


def reason(problem: Exception) -> str:
    """What the system said, in one line."""
    said = problem.strerror if isinstance(problem, OSError) else None
    return " ".join((said or str(problem) or type(problem).__name__).split())


def require_regular(file: Path) -> None:
    """Raises ``OSError`` if there is something else of this name: opening a FIFO, say, would wait
    for ever."""
    try:
        mode = os.lstat(file).st_mode
        if stat.S_ISLNK(mode):
            mode = os.stat(file).st_mode  # raises for a link to nothing
    except FileNotFoundError:
        if file.is_symlink():
            raise OSError(None, f"{file.name} is a link to nothing") from None
        return
    if not stat.S_ISREG(mode):
        raise OSError(None, f"{file.name} is not a regular file")


def make_directory(directory: Path) -> None:
    """With those above it; durable when it returns."""
    directory.mkdir(parents=True, exist_ok=True)
    sync_directory(directory)
    # Who made it may have made those above it too, and not synced them.
    for above in directory.absolute().parents:
        with contextlib.suppress(PermissionError):  # then it was not made by us
            sync_directory(above)


def is_full(problem: BaseException) -> bool:
    """There was no room, and there may be again."""
    return isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT)


def full(directory: Path) -> str:
    """What to say behind a failed write, if the disk is full: not every error says so."""
    try:
        free = shutil.disk_usage(directory).free
    except OSError:
        return ""  # the disk says nothing at all any more: what the system said must do
    return f"; the disk is full: {free} bytes are free" if free < FULL_BYTES else ""


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
