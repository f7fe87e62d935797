"""The log of one group, as its member sees it: the entries, the term and vote, who is a member.

pysyncobj reads and changes it through the interface of its own ``Log`` class (camelCase below is
its).  Here each change is applied to a list in memory at once and noted in the slave's
``WriteSet``, which makes it durable (write_set.py); the bytes are those of storage/records.py.

Invariants:
- entries are contiguous; the first one is at or below the snapshot's index;
- ``durable_index`` never exceeds what is on disk: a leader counts itself only up to there;
- the commit index is written along with other records, so after a crash it may be behind, never
  ahead: it is clamped to the last entry when it is loaded;
- the configuration (who is a member) is part of the log: the newest one in it is in force,
  committed or not (thesis 4.1), and one that is truncated away gives way to the one before it;
- entries that were cut off the log's head may still be on disk, below ``Meta.first_index``: they
  are deleted later, a few at a time.  What is truncated from its tail, which other entries replace,
  goes at once; these are few, since a leader proposes one entry at a time.

A log that was begun together with the cluster starts with an entry at index 1 and its configuration
is the first one; that of a slave that joins starts at index 0 without any, so that it cannot match
and must begin with a snapshot.

A member that was removed forgets its log (``retire``), but neither its term and vote nor the index
of the configuration that removed it: when it is taken in again under the same name, those who know
only the configuration in which it was a member may still count on it.  So it must not vote before
its log has come past that index (``may_vote``), as if it had never forgotten anything.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgpack

from distrodb.errors import CorruptionError, invariant
from distrodb.raft.write_set import WriteSet
from distrodb.storage import records
from distrodb.storage.records import (
    LAST_INDEX,
    DeleteRange,
    JournalStore,
    Meta,
    Operation,
    Tombstone,
    entry_key,
    load_meta,
    load_tombstone,
)

Entry = tuple[bytes, int, int]  # command, index, term: pysyncobj's order
NO_OP = b"\x01"  # pysyncobj's command type of an entry that does nothing
MEMBERSHIP = b"\x02"  # and of one that changes who is a member


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
        are_members = isinstance(members, list) and all(isinstance(each, str) for each in members)
        if type(epoch) is not int or not are_members:
            raise ValueError("a membership entry has the wrong fields")
        return Configuration(index, epoch, tuple(members))


def is_configuration(command: bytes) -> bool:
    return command[:1] == MEMBERSHIP


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
        The log must not be used after that."""
        meta = self.meta
        self.writes.forget(self.group)
        tombstone = Tombstone(meta.term, meta.voted_for, max(index, self.removed_at))
        self._note(records.no_meta(self.group))
        self._note(records.tombstone(self.group, tombstone))
        self.writes.cut(self.group, self.first_index, self.last_index)

    def _begin(self, index: int) -> None:
        invariant(not self.entries, "a log begins twice")
        self.configurations = [self._base()]
        self.meta.first_index = index
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
        begin = self.meta.first_index
        for key, value in store.scan(self._key(begin), self._key(LAST_INDEX)):
            entry = records.read_entry(self.group, key, value)
            expected = self.last_index + 1 if self.entries else begin or entry[1]
            if entry[1] != expected:
                raise CorruptionError(f"journal: entries of {where} are missing before {entry[1]}")
            self.entries.append(entry)
            self.bytes += len(entry[0])
        if begin:  # a crash may have come before what was cut off had all been deleted
            for first, last in _runs(store, self.group, begin - 1):
                self.writes.cut(self.group, first, last)
        self.configurations = [self._base()]
        if self.entries and meta is None:
            raise CorruptionError(f"journal: {where} has entries but no term and vote")
        if self.entries:
            first, snapshot = self.first_index, self.meta.snapshot_index
            self.meta.first_index = first
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
        return 0 if self.writes.is_on_disk(self.last_sequence) else self.last_sequence

    def is_on_disk(self, sequence: int) -> bool:
        """That write set, and all of this group's before it."""
        return self.writes.is_on_disk(sequence)

    def on_durable(self) -> None:
        """More of this group's write sets are on disk."""
        while self._undurable and self.writes.is_on_disk(self._undurable[0][0]):
            self.durable_index = self._undurable.pop(0)[1]

    def truncate(self, index: int) -> None:
        """Remove the entry at ``index`` and all behind it."""
        invariant(index > self.meta.commit_index, "a committed entry would be truncated")
        for command, _, _ in self.entries[index - self.first_index :]:
            self.bytes -= len(command)
        del self.entries[index - self.first_index :]
        self._delete_from(index)
        self.durable_index = min(self.durable_index, index - 1)
        self._undurable = [(s, min(last, index - 1)) for s, last in self._undurable]
        self.configurations = [c for c in self.configurations if c.index < index]

    def compact(self, index: int, snapshot_index: int, snapshot_term: int) -> None:
        """Forget the entries below ``index``: a durable snapshot at ``snapshot_index`` has them."""
        invariant(index <= snapshot_index, "the log would not reach back to its snapshot")
        for command, _, _ in self.entries[: index - self.first_index]:
            self.bytes -= len(command)
        if index > self.first_index:
            self.writes.cut(self.group, self.first_index, index - 1)
            self.meta.first_index = index
            self.entries = self.entries[index - self.first_index :]
        self._snapshot_at(snapshot_index, snapshot_term, self.configuration_at(snapshot_index))

    def reset(self, index: int, term: int, configuration: Configuration) -> None:
        """Replace the whole log by the position of a durable snapshot that came from the leader."""
        self.writes.cut(self.group, self.first_index, min(self.last_index, index - 1))
        if self.last_index >= index:
            self._delete_from(index)
        self.entries = []
        self.bytes = 0
        self.durable_index = 0
        self._undurable = []
        self.configurations = []
        self.meta.first_index = index
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
        return records.meta(self.group, self.meta)

    # -- pysyncobj's interface ---------------------------------------------------------------

    def add(self, command: bytes, idx: int, term: int) -> None:
        invariant(not self.entries or idx == self.last_index + 1, "a gap in the log")
        self.entries.append((command, idx, term))
        self.bytes += len(command)
        if is_configuration(command):
            self.configurations.append(Configuration.unpack(idx, command))
        # Where a log begins is one with the record that says so.
        begins = command != NO_OP
        self._note(records.entry(self.group, idx, term, command), begins)
        sequence = self.last_sequence
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
            self.writes.commit_moved(self.group, self.meta_record)

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

    def _delete_from(self, index: int) -> None:
        self._note(DeleteRange(self._key(index), self._key(LAST_INDEX)))

    def _note(self, operation: Operation, begins: bool = False) -> None:
        self.last_sequence = self.writes.add(operation, self.group, begins)

    def _save_meta(self) -> None:
        self._note(self.meta_record())


def delete_forgotten(store: JournalStore, writes: WriteSet, group: int) -> bool:
    """Go on with deleting a log that was forgotten (``retire``): a crash may have come before all
    of it was gone.  False when there is nothing; else it must not be begun again yet."""
    if load_meta(store, group) is not None or load_tombstone(store, group) is None:
        return False
    left = list(_runs(store, group, LAST_INDEX))
    for first, last in left:
        writes.cut(group, first, last)
    return bool(left)


def _runs(store: JournalStore, group: int, last: int) -> Iterator[tuple[int, int]]:
    """The entries on disk up to ``last``, as ranges without gaps."""
    begin = end = -1
    for key in store.keys(entry_key(group, 0), entry_key(group, last)):
        index = records.read_index(group, key)
        if index != end + 1 and end >= 0:
            yield begin, end
            begin = index
        elif end < 0:
            begin = index
        end = index
    if end >= 0:
        yield begin, end
