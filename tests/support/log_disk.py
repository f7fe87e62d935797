"""The simulator's disk with the product's own write-ahead log, over a folder that loses writes.

``LogDisk`` is a ``Disk`` whose records are in a ``Wal`` too.  What a crash leaves of them is not
decided by a coin but by the log: the machine stops in the middle of a commit, unsynced sectors and
names are lost by chance (folder.py), and what recovery makes of the rest must be what was there
before, or that and the whole write set.  Every answer is compared.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

from distrodb.storage.records import LargePut, Put, SealedPut
from distrodb.storage.wal import Wal
from tests.support.disk import Damage, Disk, PendingSet, Survivors, plain_copy
from tests.support.folder import Crash, Later, SimulatedFolder

LAST_KEY = b"\xff" * 512
SEGMENT_BYTES = 1 << 14
CALLS_MAX = 3  # of the file system, of a commit that needs no new segment


class LogDisk(Disk):
    def __init__(self, generator: random.Random, name: str = "sim"):
        super().__init__(generator, name)
        self.torn = 0  # commits that a crash cut off, of which something was written
        self._new()

    def _new(self) -> None:
        self._coin = random.Random(1)  # its own: the run is the same run as without it
        self._folder = SimulatedFolder(self._coin)
        self._open()

    def _open(self) -> None:
        self._log = Wal(self._folder, maker=Later(self._coin), segment_bytes=SEGMENT_BYTES)

    def __deepcopy__(self, memo: dict) -> Disk:
        return plain_copy(self)

    def check(self) -> None:
        assert dict(self._log.scan(b"", LAST_KEY)) == self.records

    def _apply(self, pending: PendingSet) -> None:
        super()._apply(pending)
        self._log.commit(pending.operations)

    def write_large(self, put: SealedPut) -> LargePut:
        steps = self._log.write_large(put)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return done.value

    def keys(self, first: bytes, last: bytes) -> list[bytes]:
        found = super().keys(first, last)
        assert found == list(self._log.keys(first, last))
        return found

    def scan(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        found = list(super().scan(first, last))
        assert found == list(self._log.scan(first, last))
        yield from found

    def crash(self) -> Survivors:
        under_way, self._sets = self._sets, []
        for pending in under_way[:1]:  # the journal's thread has one at a time
            self._folder.countdown = self._coin.randrange(CALLS_MAX)
            try:
                self._log.commit(pending.operations)
            except Crash:
                self.torn += 1
        self._coin.choice((self._folder.power_cut, self._folder.kill))()
        self._open()
        found, survived = dict(self._log.scan(b"", LAST_KEY)), []
        if found != self.records:
            super()._apply(under_way[0])
            survived = under_way[:1]
        self.check()
        return replace(super().crash(), sets=survived)

    def reopen(self) -> None:
        super().reopen()
        self._log.close()
        self._open()
        self.check()

    def wipe(self) -> None:
        super().wipe()
        self._new()

    def change(self, damage: Damage) -> None:
        super().change(damage)
        if damage.key is not None:
            self._log.commit([Put(damage.key, self.records[damage.key])])
