"""The threads of one slave that write to its disk, and what they tell the core when it is there.

One thread each for the journal, snapshots and large values: write sets reach the disk in order, and
neither a long snapshot nor a large value delays them.  What is told is told in the event loop.
"""

import sys
from collections.abc import Callable
from functools import partial

from distrodb.clock import monotonic
from distrodb.raft.interfaces import SnapshotWrite
from distrodb.slave.core import Core
from distrodb.slave.outgoing import Output
from distrodb.slave.timing import Timing
from distrodb.slave.worker import Steps, TurnWorker, Worker
from distrodb.storage.directory import Directory
from distrodb.storage.records import Operation, SealedPut
from distrodb.storage.snapshot_files import SnapshotFiles

# Seconds after which the thread that computes a snapshot lets the event loop go on.  The loop asks
# often: each checksum of what is large gives the interpreter away.  With the usual 5 ms it waited
# for most of a second beside a snapshot of large values.  Only then: the journal's thread, which
# computes next to nothing, would interrupt the loop as often, which cost a write a fifth more.
SWITCH_S = 0.0005


class DiskThreads:
    def __init__(self, directory: Directory, core: Core, timing: Timing, tell: Callable[..., None]):
        """``tell``: call a method of the core with the time and what follows."""
        self._store, self._files = directory.journal, directory.snapshots
        self._core, self._timing, self._tell = core, timing, tell
        self._journal: Worker
        self._snapshots: Worker
        self._large: TurnWorker

    def begin(
        self,
        tell_loop: Callable[[Callable[[], None]], object],
        failed: Callable[[BaseException], None],
    ) -> None:
        """``tell_loop``: have something called in the event loop, from any thread."""
        self._journal = Worker("journal", tell_loop, failed)
        self._snapshots = Worker("snapshot", tell_loop, failed)
        self._large = TurnWorker("large", tell_loop, failed)

    def close(self) -> None:
        """Waits until all that was given is done."""
        self._large.close()
        self._journal.close()
        self._snapshots.close()

    def give(self, output: Output) -> None:
        """What one flush of the core has for the disk."""
        for sequence, put in output.large:
            self._large.give(self._write_large(sequence, put))
        if output.journal is not None:
            self._journal.give(partial(self._commit, *output.journal))
        for snapshot in output.snapshots:
            self._snapshots.give(partial(self._write_snapshot, snapshot))
        for group, index in output.obsolete:
            self._snapshots.give(partial(_remove_older, self._files, group, index))

    def aside(self, work: Callable[[], Callable[[], None]]) -> None:
        self._snapshots.give(work)  # nobody waits for it

    # -- in their threads --------------------------------------------------------------------

    def _commit(self, sequence: int, operations: list[Operation]) -> Callable[[], None]:
        began = monotonic()
        self._store.commit(operations)
        took_s = monotonic() - began
        return lambda: self._synced(sequence, took_s)

    def _synced(self, sequence: int, took_s: float) -> None:
        self._timing.synced(took_s)
        self._tell(self._core.durable, sequence, took_s)

    def _write_large(self, sequence: int, put: SealedPut) -> Steps:
        written = yield from self._store.write_large(put)
        return lambda: self._tell(self._core.large_written, sequence, written)

    def _write_snapshot(self, snapshot: SnapshotWrite) -> Callable[[], None]:
        usual_s = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_S)
        try:
            done = snapshot.run(partial(self._files.write, snapshot.group, snapshot.index))
        finally:
            sys.setswitchinterval(usual_s)
        return lambda: self._tell(self._core.snapshot_written, done)


def _remove_older(files: SnapshotFiles, group: int, index: int) -> Callable[[], None]:
    files.remove_older(group, index)
    return lambda: None
