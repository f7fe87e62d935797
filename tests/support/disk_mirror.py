"""The simulated disk and the real one side by side; any difference raises.

``Mirror`` is a ``Disk`` in all that a simulator sees: its coins decide what a crash leaves, and the
real directory is then brought to the same state.  Every answer is asked of both and compared, and
at each ``check`` (after every crash and reopening too) all that is stored, byte for byte.

Caveat: faults that only the simulated disk has (``full``, ``fail_syncs``) stop a write before it
gets to the real one.
"""

import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from distrodb.errors import StorageError
from distrodb.storage.directory import Directory
from distrodb.storage.records import Put
from tests.support.disk import (
    Damage,
    Disk,
    PendingSet,
    PendingSnapshot,
    Survivors,
    flipped,
    plain_copy,
)

LAST_KEY = b"\xff" * 16


class Mirror(Disk):
    def __init__(self, generator: random.Random, directory: Path):
        super().__init__(generator, str(directory))
        self._directory = directory
        self._open()

    def __deepcopy__(self, memo: dict) -> Disk:
        """What it holds, for who looks at it later: a simulated disk alone."""
        return plain_copy(self)

    def check(self) -> None:
        """Everything that is stored is the same in both."""
        same(list(super().scan(b"", LAST_KEY)), list(self._real.scan(b"", LAST_KEY)))
        folder = self._directory / "snapshots"
        for suffix, ours in ((".snapshot", self.files), (".temporary", self.temporaries)):
            theirs = {path.name: path.read_bytes() for path in folder.glob(f"*{suffix}")}
            same({f"{g:05d}-{i:020d}{suffix}": ours[g, i] for g, i in ours}, theirs)

    # -- records -----------------------------------------------------------------------------

    def _apply(self, pending: PendingSet) -> None:
        super()._apply(pending)
        self._real.commit(pending.operations)

    def keys(self, first: bytes, last: bytes) -> list[bytes]:
        found = super().keys(first, last)
        same(found, list(self._real.keys(first, last)))
        return found

    def scan(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        found = list(super().scan(first, last))
        same(found, list(self._real.scan(first, last)))
        yield from found

    def identify(self, layout: str) -> None:
        """What the simulated disk lets pass the real one does too, and the other way round."""
        try:
            super().identify(layout)
        except StorageError as error:
            if "cannot write" not in str(error):
                same("refused", refused(lambda: self._opened.identify(layout)))
            raise
        same("passed", refused(lambda: self._opened.identify(layout)))

    def close(self) -> None:
        self._opened.close()

    # -- snapshots ---------------------------------------------------------------------------

    def _rename(self, pending: PendingSnapshot) -> None:
        super()._rename(pending)
        group, index = pending.snapshot
        self._files.write(group, index, list(super().read(group, index)))
        # The chunks above were not what came in if the simulated disk damaged them.
        same(self.files[group, index], self._path(pending.snapshot).read_bytes())

    def read(self, group: int, index: int) -> Iterator[bytes]:
        ours = partly(super().read(group, index))
        theirs = partly(self._files.read(group, index))
        same(ours, theirs)
        chunks, error = ours
        yield from chunks
        if error is not None:
            raise error[0](error[1])

    def remove_older(self, group: int, index: int) -> None:
        super().remove_older(group, index)
        self._files.remove_older(group, index)

    def begin_snapshot(self, group: int, index: int, chunks: Iterable[bytes]) -> PendingSnapshot:
        self._path((group, index)).with_suffix(".temporary").unlink(missing_ok=True)
        try:
            return super().begin_snapshot(group, index, chunks)
        finally:
            self._write_temporaries()

    def sync_snapshot(self, pending: PendingSnapshot) -> None:
        try:
            super().sync_snapshot(pending)
        finally:
            self._write_temporaries()

    def _write_temporaries(self) -> None:
        for snapshot, content in self.temporaries.items():
            self._path(snapshot).with_suffix(".temporary").write_bytes(content)

    def _path(self, snapshot: tuple[int, int]) -> Path:
        return Path(self.path(snapshot))

    # -- faults ------------------------------------------------------------------------------

    def crash(self) -> Survivors:
        survivors = super().crash()  # applies what survives to both
        for snapshot in survivors.removed:
            self._path(snapshot).write_bytes(self.files[snapshot])
        self._write_temporaries()
        self._reopen()
        return survivors

    def reopen(self) -> None:
        super().reopen()
        self._reopen()

    def wipe(self) -> None:
        super().wipe()
        self._opened.close()
        shutil.rmtree(self._directory)
        self._open()

    def change(self, damage: Damage) -> None:
        super().change(damage)
        if damage.key is not None:
            self._real.commit([Put(damage.key, self.records[damage.key])])
        elif damage.snapshot is not None:
            path = self._path(damage.snapshot)
            path.write_bytes(flipped(path.read_bytes(), damage.position, damage.mask))

    def _reopen(self) -> None:
        self._opened.close()
        self._open()
        self.temporaries.clear()
        self.check()

    def _open(self) -> None:
        self._opened = Directory(self._directory)
        self._real, self._files = self._opened.journal, self._opened.snapshots


def same(ours: object, theirs: object) -> None:
    if ours != theirs:
        raise AssertionError(
            f"the simulated disk and the real one differ: {str(ours)[:500]} and {str(theirs)[:500]}"
        )


def refused(action: Callable[[], object]) -> str:
    try:
        action()
    except StorageError:
        return "refused"
    return "passed"


def partly(chunks: Iterator[bytes]) -> tuple[list[bytes], tuple[type[StorageError], str] | None]:
    """What was read, and the error behind it if there is one."""
    read: list[bytes] = []
    try:
        for chunk in chunks:
            read.append(chunk)
    except StorageError as error:
        return read, (type(error), str(error))
    return read, None
