"""How far a restore has come, kept beside the backup: so one that was interrupted goes on.

A note speaks of one backup and one cluster (its slaves' incarnations, of which one at least must
still be there), and names keys that were written.  Those that cannot have expired since must be in
the cluster: where they are not, somebody has emptied it, and the note counts for nothing.
"""

import base64
import contextlib
import json
import os
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from distrodb.storage.files import told

EXPIRES_S = 60  # a key that expires sooner, by this machine's clock, shows nothing


class Sample(NamedTuple):
    """A key that was written."""

    database: int
    key: bytes
    expires_at_ms: int | None

    def must_be_there(self, now_ms: int) -> bool:
        return self.expires_at_ms is None or self.expires_at_ms > now_ms + 1000 * EXPIRES_S


@dataclass(frozen=True, slots=True)
class Note:
    backup: int  # its id
    slaves: frozenset[str]  # incarnations
    frame: int  # with which reading goes on
    keys: int  # that were written
    samples: list[Sample]

    def speaks_of(self, backup: int, slaves: Collection[str]) -> bool:
        return self.backup == backup and not self.slaves.isdisjoint(slaves)


def place_of(backup: Path) -> Path:
    return backup.with_name(f"{backup.name}.restoring")


def write(path: Path, note: Note) -> None:
    """It takes the place of the one before.  Raises ``StorageError``."""
    plain = {
        "backup": note.backup,
        "slaves": sorted(note.slaves),
        "frame": note.frame,
        "keys": note.keys,
        "samples": [
            [at, base64.b64encode(key).decode(), expires_at_ms]
            for at, key, expires_at_ms in note.samples
        ],
    }
    with told(path, "how far the restore is cannot be noted"):
        descriptor, name = tempfile.mkstemp(".part", f"{path.name}.", path.parent)
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump(plain, file)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


def read(path: Path) -> Note | None:
    """None if there is none that makes sense."""
    try:
        plain: Any = json.loads(path.read_bytes())
        samples = [
            Sample(int(at), base64.b64decode(key), None if at_ms is None else int(at_ms))
            for at, key, at_ms in plain["samples"]
        ]
        return Note(
            int(plain["backup"]),
            frozenset(map(str, plain["slaves"])),
            int(plain["frame"]),
            int(plain["keys"]),
            samples,
        )
    except (OSError, ValueError, TypeError, LookupError, OverflowError, RecursionError):
        return None


def remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
