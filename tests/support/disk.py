"""A simulated disk, one object a slave, in place of ``Directory``.

What is written reaches the platter in two steps, so that the simulator can crash in between:
``begin`` takes a write set (no reader sees it, it is not durable), ``sync`` makes it durable and
visible.  ``commit`` is both.  ``begin_snapshot``, ``sync_snapshot`` and ``write`` are the same for
snapshots; ``begin_snapshot`` takes only some of the chunks and ``sync_snapshot`` the rest, as the
slave's snapshot thread reads them while the slave goes on.

What a crash leaves (all coins come from the generator given to the disk):

- of the write sets that were begun and not synced, the first few whole and the others not at all;
  never half of one.  This is the contract of the write-ahead log: a commit that is not whole on
  the disk is told from damage and cut off (distrodb/storage/segment.py; tests/unit/test_wal.py
  loses sectors and names to show it).  It may also be complete on disk although the crash came
  before anybody heard of it: hence the coin.
- of a snapshot not synced: nothing, a torn temporary file, or the whole file under its name.
  Never a torn file under its name, since the rename comes after the file's own sync.
- a snapshot that was removed may be back, until the next snapshot's sync of the directory.

After a sync that failed nobody knows what is on disk, so the journal takes nothing more, as
``Wal`` does, until ``crash`` (or ``reopen``): then the coin decides as above.

Caveats: the size counts keys, values and snapshot files, not segments; a set that only deletes is
never too large, where a log needs a block for it.  ``flip`` damages values, which are read again;
what else is in a segment is damaged in tests/unit/test_wal.py and tests/faults/test_damage.py.
"""

import random
import zlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from distrodb.errors import CorruptionError, StorageError
from distrodb.storage.directory import FORMAT
from distrodb.storage.records import IDENTITY_KEY, Operation, Put, SealedPut
from distrodb.storage.snapshot_files import MAGIC

KEY_BYTES_MAX = 511  # as in distrodb/storage/segment.py
CHUNKS_AT_BEGIN_MAX = 3
_END = 0xFFFFFFFF

Snapshot = tuple[int, int]  # group, index


@dataclass(eq=False, slots=True)
class PendingSet:
    """A write set that was begun; ``operations`` in order."""

    operations: list[Operation]
    size: int  # of what it puts


@dataclass(eq=False, slots=True)
class PendingSnapshot:
    """A snapshot that was begun: its temporary file so far."""

    snapshot: Snapshot
    chunks: Iterator[bytes]
    content: bytearray = field(default_factory=lambda: bytearray(MAGIC))
    count: int = 0
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Survivors:
    """What a crash left of what was not synced, or was removed without a sync."""

    sets: list[PendingSet]
    snapshots: list[Snapshot]
    removed: list[Snapshot]  # that are back
    temporaries: list[Snapshot]


@dataclass(frozen=True, slots=True)
class Damage:
    """One flipped bit: in the record at ``key``, or else in the file of ``snapshot``."""

    key: bytes | None
    snapshot: Snapshot | None
    position: int  # of the byte in the value, or in the file
    mask: int


class Disk:
    def __init__(self, generator: random.Random, name: str = "sim"):
        self._random = generator
        self.name = name
        self.full: int | None = None  # bytes it can hold; None: no limit
        self.fail_syncs = 0  # so many of the next syncs raise StorageError
        self.records: dict[bytes, bytes] = {}
        self.files: dict[Snapshot, bytes] = {}  # snapshots, in SnapshotFiles' format
        self.temporaries: dict[Snapshot, bytes] = {}
        self.used = 0
        self._start()
        self._keys: list[bytes] = []  # of the records, sorted

    def _start(self) -> None:
        """What a process knows of its disk when it starts: nothing under way."""
        self._sets: list[PendingSet] = []
        self._writing: list[PendingSnapshot] = []
        self._unlinked: dict[Snapshot, bytes] = {}  # removed, not synced
        self._is_broken = False

    # -- records: Wal -----------------------------------------------------------------------

    def commit(self, operations: Iterable[Operation]) -> None:
        self.sync(self.begin(operations))

    def begin(self, operations: Iterable[Operation]) -> PendingSet:
        """Raises ``StorageError`` when the disk is full; nothing of the set is there then."""
        if self._is_broken:
            raise self._journal_error("cannot write: an earlier write failed")
        taken, size = list(operations), 0
        for operation in taken:
            if isinstance(operation, Put):
                if not 0 < len(operation.key) <= KEY_BYTES_MAX:
                    self._is_broken = True
                    raise self._journal_error("cannot write: a key of a wrong length")
                size += len(operation.key) + len(operation.value)
        if not self._has_room(size):
            self._is_broken = True
            raise self._journal_error("cannot write: No space left on device")
        pending = PendingSet(taken, size)
        self._sets.append(pending)
        return pending

    def sync(self, pending: PendingSet) -> None:
        """``pending`` and every set begun before it become durable and visible."""
        assert pending in self._sets, "a set of an earlier life, or synced twice"
        if self._is_broken:
            raise self._journal_error("cannot write: an earlier write failed")
        if self._sync_fails():
            self._is_broken = True
            raise self._journal_error("cannot write: Input/output error")
        while self._sets:
            first = self._sets.pop(0)
            self._apply(first)
            if first is pending:
                return

    def write_large(self, put: SealedPut) -> SealedPut:
        """Nothing refers to it before it is committed, so there is nothing to see."""
        return put

    def keys(self, first: bytes, last: bytes) -> list[bytes]:
        return self._keys[bisect_left(self._keys, first) : bisect_right(self._keys, last)]

    def scan(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        keys = self.keys(first, last)
        # One state for the whole scan, as a read transaction sees it, whatever is written meanwhile
        yield from [(key, self.records[key]) for key in keys]

    def identify(self, layout: str) -> None:
        self.temporaries.clear()  # as SnapshotFiles does when a slave starts
        ours = FORMAT + b"\n" + layout.encode()
        theirs = self.records.get(IDENTITY_KEY)
        if theirs is None:
            if self.files:
                raise self._journal_error("is empty beside snapshots, so it was lost")
            self.commit([Put(IDENTITY_KEY, ours)])
        elif theirs != ours:
            raise StorageError(f"{self.name}: holds the data of another slave or cluster")

    def close(self) -> None: ...

    def _apply(self, pending: PendingSet) -> None:
        records, keys = self.records, self._keys
        for operation in pending.operations:
            if isinstance(operation, Put):
                old = records.get(operation.key)
                if old is None:
                    insort(keys, operation.key)
                    self.used += len(operation.key)
                else:
                    self.used -= len(old)
                records[operation.key] = operation.value
                self.used += len(operation.value)
            else:
                first = bisect_left(keys, operation.first)
                last = bisect_right(keys, operation.last)
                for key in keys[first:last]:
                    self.used -= len(key) + len(records.pop(key))
                del keys[first:last]

    # -- snapshots: SnapshotFiles ------------------------------------------------------------

    def write(self, group: int, index: int, chunks: Iterable[bytes]) -> None:
        self.sync_snapshot(self.begin_snapshot(group, index, chunks))

    def begin_snapshot(self, group: int, index: int, chunks: Iterable[bytes]) -> PendingSnapshot:
        """Raises ``StorageError`` when the disk is full; the temporary file stays."""
        self.temporaries.pop((group, index), None)
        pending = PendingSnapshot((group, index), iter(chunks))
        self._writing.append(pending)
        self._take(pending, self._random.randint(0, CHUNKS_AT_BEGIN_MAX))
        return pending

    def sync_snapshot(self, pending: PendingSnapshot) -> None:
        """Take the remaining chunks; return when the snapshot is durable and has its name."""
        assert pending in self._writing, "a snapshot of an earlier life, or synced twice"
        self._take(pending, None)
        self._writing.remove(pending)
        if self._sync_fails():
            self.temporaries[pending.snapshot] = bytes(pending.content)
            raise self._snapshot_error(pending.snapshot, "cannot write: Input/output error")
        self._rename(pending)
        self._unlinked.clear()  # one sync of the directory for its name and for what was removed

    def read(self, group: int, index: int) -> Iterator[bytes]:
        snapshot = group, index
        content = self.files.get(snapshot)
        if content is None:
            raise self._corruption(snapshot, "cannot read: No such file or directory")
        if content[: len(MAGIC)] != MAGIC:
            raise self._corruption(snapshot, "is not a snapshot of this version")
        position, count = len(MAGIC), 0
        while True:
            if len(content) < position + 8:
                raise self._corruption(snapshot, "is cut off")
            length = int.from_bytes(content[position : position + 4], "big")
            checksum = int.from_bytes(content[position + 4 : position + 8], "big")
            position += 8
            if length == _END:
                if checksum != count:
                    raise self._corruption(snapshot, "records are missing")
                return
            chunk = content[position : position + length]
            if len(chunk) < length or zlib.crc32(chunk) != checksum:
                raise self._corruption(snapshot, f"record {count} is damaged")
            position += length
            count += 1
            yield chunk

    def remove_older(self, group: int, index: int) -> None:
        for other in [o for o in self.files if o[0] == group and o[1] < index]:
            self._unlinked[other] = self.files.pop(other)
            self.used -= len(self._unlinked[other])

    def path(self, snapshot: Snapshot) -> str:
        group, index = snapshot
        return f"{self.name}/snapshots/{group:05d}-{index:020d}.snapshot"

    def _take(self, pending: PendingSnapshot, chunks_max: int | None) -> None:
        """Write more chunks to the temporary file, and the trailer behind the last one."""
        content, taken = pending.content, 0
        while not pending.is_over and taken != chunks_max:
            chunk = next(pending.chunks, None)
            if chunk is None:
                content += _record(_END, pending.count)
                pending.is_over = True
            else:
                content += _record(len(chunk), zlib.crc32(chunk)) + chunk
                pending.count += 1
                taken += 1
            if not self._has_room(0):
                self._writing.remove(pending)
                self.temporaries[pending.snapshot] = bytes(content[:-1])
                raise self._snapshot_error(
                    pending.snapshot, "cannot write: No space left on device"
                )

    def _rename(self, pending: PendingSnapshot) -> None:
        old = self.files.get(pending.snapshot, b"")
        self.files[pending.snapshot] = bytes(pending.content)
        self.used += len(pending.content) - len(old)
        self._unlinked.pop(pending.snapshot, None)

    # -- faults ------------------------------------------------------------------------------

    def crash(self) -> Survivors:
        """The process and the machine stop here; see the module's text for what is left."""
        coin = self._random.random
        sets: list[PendingSet] = []
        for pending in self._sets:
            if coin() < 0.5:
                break
            self._apply(pending)
            sets.append(pending)
        snapshots: list[Snapshot] = []
        temporaries: list[Snapshot] = []
        for writing in self._writing:
            chance = coin()
            if writing.is_over and chance < 0.3:
                self._rename(writing)
                snapshots.append(writing.snapshot)
            elif chance < 0.7:
                torn = self._random.randint(0, len(writing.content))
                self.temporaries[writing.snapshot] = bytes(writing.content[:torn])
                temporaries.append(writing.snapshot)
        back = [snapshot for snapshot in self._unlinked if coin() < 0.5]
        for snapshot in back:
            self.files[snapshot] = self._unlinked[snapshot]
            self.used += len(self.files[snapshot])
        self._start()
        return Survivors(sets, snapshots, back, temporaries)

    def reopen(self) -> None:
        """An orderly end and a start: nothing is under way, so nothing is left to a coin."""
        assert not self._sets and not self._writing, "a slave waits for its disk before it ends"
        self._start()

    def wipe(self) -> None:
        """An empty directory; the slave must be down."""
        for content in (self.records, self.files, self.temporaries, self._keys):
            content.clear()
        self.used = 0
        self._start()

    def flip(self, generator: random.Random) -> Damage | None:
        """Flip one bit of what is stored; None when nothing is."""
        places: list[bytes | Snapshot] = [*self._keys, *sorted(self.files)]
        if not places:
            return None
        place = generator.choice(places)
        content = self.records[place] if isinstance(place, bytes) else self.files[place]
        if not content:
            return None
        position, mask = generator.randrange(len(content)), 1 << generator.randrange(8)
        if isinstance(place, bytes):
            damage = Damage(place, None, position, mask)
        else:
            damage = Damage(None, place, position, mask)
        self.change(damage)
        return damage

    def change(self, damage: Damage) -> None:
        """Flip the bit; a second time flips it back."""
        if damage.key is not None:
            old = self.records[damage.key]
            self.records[damage.key] = flipped(old, damage.position, damage.mask)
        elif damage.snapshot is not None:
            content = self.files[damage.snapshot]
            self.files[damage.snapshot] = flipped(content, damage.position, damage.mask)

    # -- inside ------------------------------------------------------------------------------

    def _has_room(self, size: int) -> bool:
        if self.full is None:
            return True
        waiting = sum(pending.size for pending in self._sets)
        torn = sum(map(len, self.temporaries.values()))
        torn += sum(len(writing.content) for writing in self._writing)
        return self.used + waiting + torn + size <= self.full

    def _sync_fails(self) -> bool:
        if self.fail_syncs > 0:
            self.fail_syncs -= 1
            return True
        return False

    def _journal_error(self, what: str) -> StorageError:
        return StorageError(f"{self.name}/journal: {what}")

    def _snapshot_error(self, snapshot: Snapshot, what: str) -> StorageError:
        return StorageError(f"{self.path(snapshot)}: {what}")

    def _corruption(self, snapshot: Snapshot, what: str) -> CorruptionError:
        return CorruptionError(f"{self.path(snapshot)}: {what}")


def flipped(content: bytes, position: int, mask: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= mask
    return bytes(changed)


def _record(length: int, checksum: int) -> bytes:
    return length.to_bytes(4, "big") + checksum.to_bytes(4, "big")


def plain_copy(disk: Disk) -> Disk:
    """What a disk holds, for who looks at it later: a simulated one alone."""
    copy = Disk(random.Random(0), disk.name)
    copy.records, copy.files = dict(disk.records), dict(disk.files)
    copy._keys, copy.used = list(disk._keys), disk.used
    return copy
