"""Files and directories that are for their owner alone: they hold secrets, or people's data."""

import contextlib
import os
import stat
from pathlib import Path

DIRECTORY, FILE = 0o700, 0o600
_OTHERS = 0o077


def write(file: Path, data: bytes, mode: int = FILE) -> None:
    """As a whole or not at all; nobody else may look at it in between."""
    half = file.with_name(f".{file.name}.new")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
    half.replace(file)


def opener(path: str, flags: int) -> int:
    """For ``open``."""
    return os.open(path, flags, FILE)


def close_to_others(directory: Path) -> None:
    """And all that is in it; what is not ours stays as it is, and links are not followed."""
    for folder, _, names in os.walk(directory):
        _restrict(Path(folder), DIRECTORY)
        for name in names:
            _restrict(Path(folder, name), FILE)


def _restrict(path: Path, mode: int) -> None:
    with contextlib.suppress(PermissionError, FileNotFoundError):
        now = os.lstat(path).st_mode
        if now & _OTHERS and not stat.S_ISLNK(now):
            os.chmod(path, mode)


def is_open_to_others(file: Path) -> bool:
    try:
        return bool(os.stat(file).st_mode & _OTHERS)
    except OSError:
        return False
