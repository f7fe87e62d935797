"""One group's journal: the log in memory, and the writes that make it durable.

pysyncobj reads and changes the log through the interface of its own ``Log`` class (camelCase
below is its).  Here each change is applied to a list in memory at once and noted as an operation
in the slave's ``WriteSet``; the shell commits all noted operations of all groups in one
transaction, off the event loop, and tells the groups when it is on disk.

Invariants:
- entries are contiguous; the first one is at or below the snapshot's index;
- operations reach the disk in the order in which they were noted, whole write sets at a time;
- ``durable_index`` never exceeds what is on disk: a leader counts itself only up to there;
- the commit index is written along with other writes and never causes one, so after a crash it
  may be behind, never ahead: it is clamped to the last entry when it is loaded;
- the configuration (who is a member) is part of the log: the newest one in it is in force,
  committed or not (thesis 4.1), and one that is truncated away gives way to the one before it.

A log that was begun together with the cluster starts with an entry at index 1 and its configuration
is the first one; that of a slave that joins starts at index 0 without any, so that it cannot match
and must begin with a snapshot.

A member that was removed forgets its log (``retire``), but neither its term and vote nor the index
of the configuration that removed it: when it is taken in again under the same name, those who know
only the configuration in which it was a member may still count on it.  So it must not vote before
its log has come past that index (``may_vote``), as if it had never forgotten anything.

Every record carries a CRC-32 of its key and content; one that does not match is never used.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgpack

from distrodb.errors import CorruptionError, invariant

Entry = tuple[bytes, int, int]  # command, index, term: pysyncobj's order
NO_OP = b"\x01"  # pysyncobj's command type of an entry that does nothing
MEMBERSHIP = b"\x02"  # and of one that changes who is a member

_ENTRY_KEY = struct.Struct(">HcQ")
_META_KEY = struct.Struct(">Hc")
_CHECKSUM = struct.Struct(">I")
_TERM = struct.Struct(">Q")
LAST_INDEX = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Put:
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class DeleteRange:
    first: bytes  # inclusive
    last: bytes  # inclusive


Operation = Put | DeleteRange


@dataclass(frozen=True, slots=True)
class Configuration:
    """Who is a member of a group, from the entry at ``index`` on."""

    index: int
    epoch: int  # of the cluster map that asked for it
    members: tuple[str, ...]  # sorted

    def pack(self) -> bytes:
        """The command of its log entry."""
        data: bytes = msgpack.packb([self.epoch, self.members])
        return MEMBERSHIP + data

    @staticmethod
    def unpack(index: int, command: bytes) -> "Configuration":
        """Raises ``ValueError`` for what is not one."""
        epoch, members = msgpack.unpackb(command[1:])
        if type(epoch) is not int or not all(isinstance(member, str) for member in members):
            raise ValueError("a membership entry has the wrong fields")
        return Configuration(index, epoch, tuple(members))


def is_configuration(command: bytes) -> bool:
    return command[:1] == MEMBERSHIP


class JournalStore(Protocol):
    """A place where write sets become durable.  ``commit`` returns when they are (fsync)."""

    def commit(self, operations: Iterable[Operation]) -> None: ...

    def scan(self, first: bytes, last: bytes) -> Iterable[tuple[bytes, bytes]]: ...


@dataclass(slots=True)
class Meta:
    """What a group remembers beside its entries; one record, rewritten whole."""

    term: int = 0
    voted_for: str | None = None
    commit_index: int = 1
    snapshot_index: int = 1
    snapshot_term: int = 0
    epoch: int = 0  # of the configuration at the snapshot
    members: list[str] = field(default_factory=list)  # at the snapshot

    def pack(self) -> bytes:
        data: bytes = msgpack.packb(
            [
                self.term,
                self.voted_for,
                self.commit_index,
                self.snapshot_index,
                self.snapshot_term,
                self.epoch,
                self.members,
            ]
        )
        return data


class WriteSet:
    """The operations of one slave that are not yet handed to the disk, all groups in order."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.sequence = 1  # of the set now being filled
        self.durable_sequence = 0  # of the newest set known to be on disk
        self.groups: set[int] = set()  # that have something in the set that is being filled
        self.taken_groups: set[int] = set()  # and in the set that was taken last
        self._lazy: set[Log] = set()  # whose commit index moved since their last record

    def add(self, operation: Operation) -> None:
        self.operations.append(operation)

    def commit_moved(self, journal: "Log") -> None:
        self._lazy.add(journal)

    def forget(self, journal: "Log") -> None:
        self._lazy.discard(journal)

    def take(self) -> tuple[int, list[Operation]] | None:
        """Close the set that is being filled and return it, or None when it is empty."""
        if not self.operations:
            return None
        for journal in sorted(self._lazy, key=lambda journal: journal.group):
            self.operations.append(journal.meta_record())
        self._lazy.clear()
        taken = self.sequence, self.operations
        self.operations = []
        self.taken_groups, self.groups = self.groups, set()
        self.sequence += 1
        return taken


def seal(key: bytes, content: bytes) -> bytes:
    return _CHECKSUM.pack(zlib.crc32(content, zlib.crc32(key))) + content


def unseal(key: bytes, value: bytes, what: str) -> bytes:
    content = value[4:]
    if len(value) < 4 or _CHECKSUM.unpack_from(value)[0] != zlib.crc32(content, zlib.crc32(key)):
        raise CorruptionError(f"journal: {what} is damaged (checksum does not match)")
    return content


def entry_key(group: int, index: int) -> bytes:
    return _ENTRY_KEY.pack(group, b"e", index)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stays of a group whose member this slave was: see ``Log.retire``."""

    term: int
    voted_for: str | None
    index: int  # of the configuration that removed it


def load_tombstone(store: JournalStore, group: int) -> Tombstone | None:
    """Raises ``CorruptionError``."""
    key = _META_KEY.pack(group, b"t")
    for _, value in store.scan(key, key):
        what = f"the tombstone of group {group}"
        return Tombstone(*msgpack.unpackb(unseal(key, value, what)))
    return None


def load_meta(store: JournalStore, group: int) -> Meta | None:
    """Raises ``CorruptionError``."""
    meta_key = _META_KEY.pack(group, b"m")
    for key, value in store.scan(meta_key, meta_key):
        return Meta(*msgpack.unpackb(unseal(key, value, f"the record of group {group}")))
    return None


class Log:
    """The log, term and vote of one group, as pysyncobj wants them."""

    def __init__(self, group: int, writes: WriteSet):
        self.group = group
        self.writes = writes
        self.meta = Meta()
        self.entries: list[Entry] = []
        # In force is the last one; the first is that of the snapshot.
        self.configurations = [Configuration(0, 0, ())]
        self.bytes = 0  # of the commands in memory
        self.last_sequence = 0  # of the write set that holds this group's newest operation
        self.durable_index = 0
        self.removed_at = 0  # index of the configuration that removed this slave last
        self._undurable: list[tuple[int, int]] = []  # (sequence, last index) of sets under way

    # -- beginning ---------------------------------------------------------------------------

    def begin(self, members: Iterable[str], epoch: int = 1) -> None:
        """Begin the log of a group together with its other members."""
        self.meta.members, self.meta.epoch = sorted(members), epoch
        self._begin(1)

    def join(self) -> None:
        """Begin the log of one that the group's leader will take in, from a snapshot on."""
        self.meta.commit_index = self.meta.snapshot_index = 0
        self._begin(0)

    def retire(self, index: int) -> None:
        """Forget the log: a configuration at ``index``, which is committed, has this slave no more.
        The journal must not be used after that."""
        meta = self.meta
        tombstone = [meta.term, meta.voted_for, max(index, self.removed_at)]
        data: bytes = msgpack.packb(tombstone)
        meta_key, key = _META_KEY.pack(self.group, b"m"), _META_KEY.pack(self.group, b"t")
        self._note(DeleteRange(self._key(0), self._key(LAST_INDEX)))
        self._note(DeleteRange(meta_key, meta_key))
        self._note(Put(key, seal(key, data)))
        self.writes.forget(self)

    def _begin(self, index: int) -> None:
        invariant(not self.entries, "a log begins twice")
        self.configurations = [self._base()]
        self.add(NO_OP, index, 0)
        self._save_meta()

    def load(self, store: JournalStore) -> bool:
        """Read everything back; False when there is nothing.

        Raises ``CorruptionError`` for what cannot be trusted.
        """
        where = f"group {self.group}"
        meta, tombstone = load_meta(store, self.group), load_tombstone(store, self.group)
        self.meta = meta or self.meta
        if tombstone is not None:
            self.removed_at = tombstone.index
            if meta is None:
                self.meta.term, self.meta.voted_for = tombstone.term, tombstone.voted_for
        for key, value in store.scan(self._key(0), self._key(LAST_INDEX)):
            if len(key) != _ENTRY_KEY.size:
                raise CorruptionError(f"journal: {where} has a damaged key")
            index = _ENTRY_KEY.unpack(key)[2]
            content = unseal(key, value, f"entry {index} of {where}")
            if self.entries and index != self.last_index + 1:
                raise CorruptionError(f"journal: entries of {where} are missing before {index}")
            command = content[8:]
            self.entries.append((command, index, _TERM.unpack_from(content)[0]))
            self.bytes += len(command)
        self.configurations = [self._base()]
        if self.entries and meta is None:
            raise CorruptionError(f"journal: {where} has entries but no term and vote")
        if self.entries:
            first, snapshot = self.entries[0][1], self.meta.snapshot_index
            if not first <= snapshot <= self.last_index:
                raise CorruptionError(f"journal: {where} does not reach its snapshot at {snapshot}")
            self.meta.commit_index = min(self.meta.commit_index, self.last_index)
            self.durable_index = self.last_index
            for command, index, _ in self.entries[snapshot + 1 - first :]:
                if is_configuration(command):
                    self.configurations.append(Configuration.unpack(index, command))
        elif meta is not None:
            raise CorruptionError(f"journal: {where} has a term but no entries")
        return bool(self.entries)

    def _base(self) -> Configuration:
        meta = self.meta
        return Configuration(meta.snapshot_index, meta.epoch, tuple(meta.members))

    # -- what the rest of distrodb asks ------------------------------------------------------

    @property
    def first_index(self) -> int:
        return self.entries[0][1]

    @property
    def last_index(self) -> int:
        return self.entries[-1][1]

    @property
    def last_term(self) -> int:
        return self.entries[-1][2]

    def term_at(self, index: int) -> int | None:
        """The term of the entry at ``index``, or None when it is not in the log."""
        position = index - self.entries[0][1]
        if 0 <= position < len(self.entries):
            return self.entries[position][2]
        return None

    def between(self, first: int, last: int) -> list[Entry]:
        """The entries with ``first <= index <= last``."""
        base = self.entries[0][1]
        return self.entries[first - base : last + 1 - base]

    @property
    def may_vote(self) -> bool:
        """The log has come past the removal of this slave, if there was one."""
        return self.last_index >= self.removed_at

    @property
    def configuration(self) -> Configuration:
        return self.configurations[-1]

    def configuration_at(self, index: int) -> Configuration:
        """The one in force at ``index``, which is not below the snapshot's."""
        return [c for c in self.configurations if c.index <= index][-1]

    def gate(self) -> int:
        """The sequence that must be durable before a message may speak of this group's state."""
        return self.last_sequence if self.last_sequence > self.writes.durable_sequence else 0

    def on_durable(self, sequence: int) -> None:
        """All write sets up to ``sequence`` are on disk."""
        while self._undurable and self._undurable[0][0] <= sequence:
            self.durable_index = self._undurable.pop(0)[1]

    def truncate(self, index: int) -> None:
        """Remove the entry at ``index`` and all behind it."""
        invariant(index > self.meta.commit_index, "a committed entry would be truncated")
        for command, _, _ in self.entries[index - self.first_index :]:
            self.bytes -= len(command)
        del self.entries[index - self.first_index :]
        self._note(DeleteRange(self._key(index), self._key(LAST_INDEX)))
        self.durable_index = min(self.durable_index, index - 1)
        self._undurable = [(s, min(last, index - 1)) for s, last in self._undurable]
        self.configurations = [c for c in self.configurations if c.index < index]

    def compact(self, index: int, snapshot_index: int, snapshot_term: int) -> None:
        """Forget the entries below ``index``: a durable snapshot at ``snapshot_index`` has them."""
        invariant(index <= snapshot_index, "the log would not reach back to its snapshot")
        for command, _, _ in self.entries[: index - self.first_index]:
            self.bytes -= len(command)
        if index > self.first_index:
            self._note(DeleteRange(self._key(0), self._key(index - 1)))
            self.entries = self.entries[index - self.first_index :]
        self._snapshot_at(snapshot_index, snapshot_term, self.configuration_at(snapshot_index))

    def reset(self, index: int, term: int, configuration: Configuration) -> None:
        """Replace the whole log by the position of a durable snapshot that came from the leader."""
        self.entries = []
        self.bytes = 0
        self.durable_index = 0
        self._undurable = []
        self._note(DeleteRange(self._key(0), self._key(LAST_INDEX)))
        self.configurations = []
        self.add(NO_OP, index, term)
        self._snapshot_at(index, term, configuration)

    def _snapshot_at(self, index: int, term: int, configuration: Configuration) -> None:
        meta = self.meta
        meta.snapshot_index, meta.snapshot_term = index, term
        meta.epoch, meta.members = configuration.epoch, list(configuration.members)
        later = [c for c in self.configurations if c.index > index]
        self.configurations = [self._base(), *later]
        self._save_meta()

    def meta_record(self) -> Operation:
        key = _META_KEY.pack(self.group, b"m")
        return Put(key, seal(key, self.meta.pack()))

    # -- pysyncobj's interface ---------------------------------------------------------------

    def add(self, command: bytes, idx: int, term: int) -> None:
        invariant(not self.entries or idx == self.last_index + 1, "a gap in the log")
        self.entries.append((command, idx, term))
        self.bytes += len(command)
        if is_configuration(command):
            self.configurations.append(Configuration.unpack(idx, command))
        key = self._key(idx)
        self._note(Put(key, seal(key, _TERM.pack(term) + command)))
        sequence = self.writes.sequence
        if self._undurable and self._undurable[-1][0] == sequence:
            self._undurable[-1] = sequence, idx
        else:
            self._undurable.append((sequence, idx))

    def __getitem__(self, item: Any) -> Any:  # an int or a slice
        return self.entries[item]

    def __len__(self) -> int:
        return len(self.entries)

    def setRaftCommitIndex(self, raftCommitIndex: int) -> None:  # noqa: N803
        if raftCommitIndex != self.meta.commit_index:
            self.meta.commit_index = raftCommitIndex
            self.writes.commit_moved(self)

    def getRaftCommitIndex(self) -> int:
        return self.meta.commit_index

    def setCurrentTerm(self, term: int, votedForNodeId: str | None) -> None:  # noqa: N803
        invariant(term >= self.meta.term, "the term would go back")
        self.meta.term, self.meta.voted_for = term, votedForNodeId
        self._save_meta()

    def getCurrentTerm(self) -> int:
        return self.meta.term

    def getVotedForNodeId(self) -> str | None:
        return self.meta.voted_for

    def onOneSecondTimer(self) -> None:
        """pysyncobj writes its term late here; ours is never late."""

    def _destroy(self) -> None:
        """The store is the slave's, and closed by it."""

    # -- inside ------------------------------------------------------------------------------

    def _key(self, index: int) -> bytes:
        return entry_key(self.group, index)

    def _note(self, operation: Operation) -> None:
        self.writes.add(operation)
        self.writes.groups.add(self.group)
        self.last_sequence = self.writes.sequence

    def _save_meta(self) -> None:
        self._note(self.meta_record())
