"""Write sets on their way to the disk: one commit at a time, while the next one gathers.

So one sync serves all groups, and what comes while it runs waits for one more sync at most.  Large
values are written beside that, before they are committed (raft/write_set.py).  How long each commit
takes, and what is written beside it, is told to ``DiskSpeed``; a slow disk with nothing to write is
probed.
"""

from distrodb.raft.write_set import WriteSet
from distrodb.slave.disk_speed import DiskSpeed
from distrodb.slave.own_records import Records
from distrodb.storage.records import Operation, SealedPut


class DiskWrites:
    def __init__(self, writes: WriteSet, records: Records, disk: DiskSpeed):
        self._writes, self._records, self._disk = writes, records, disk
        self.is_busy = False  # a write set was handed out and is not yet on disk
        self._large: dict[int, int] = {}  # by write set: bytes of the value that is being written

    @property
    def has_work(self) -> bool:
        """A write set waits, and may be handed out, or a large value is to be written."""
        return self._writes.has_large or not (self.is_busy or self._writes.is_empty)

    @property
    def is_awaited(self) -> bool:
        """Groups hold back what they would write until the journal is free; not on a slow disk."""
        return self.is_busy and not self._disk.is_slow

    def take_large(self, now: float) -> list[tuple[int, SealedPut]]:
        """Large values to write, each with the number of its write set."""
        taken = self._writes.take_large()
        for sequence, put in taken:
            self._large[sequence] = put.size
            self._disk.beside_begins(now, put.size)
        return taken

    def large_written(self, now: float, sequence: int, operation: Operation) -> None:
        self._large.pop(sequence, None)
        self._disk.beside(now, sum(self._large.values()))
        self._writes.large_written(sequence, operation)

    def is_on_disk(self, sequence: int) -> bool:
        return self._writes.is_on_disk(sequence)

    def take(self, now: float) -> tuple[int, list[Operation]] | None:
        """The next write set, with its number, if it may be handed out."""
        if self.is_busy:
            return None
        if self._disk.wants_probe(now):
            self._records.probe()
        taken = self._writes.take()
        if taken is not None:
            self.is_busy = True
            self._disk.sync_begins(now)
        return taken

    def write_set_is_durable(self, now: float, sequence: int, took_s: float | None) -> set[int]:
        """Returns the groups that have something in it."""
        self.is_busy = False
        self._disk.sync_ended(now, took_s)
        self._writes.on_disk(sequence)
        return self._writes.taken_groups
