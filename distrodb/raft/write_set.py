"""The changes of one slave's journal that are not yet handed to its disk, of all groups.

Each group notes what it changes; the process commits it off the event loop, one commit at a time,
and tells the groups when it is on disk.  All groups wait for each commit, so it is bounded:

- what is small goes into the set that is being filled, and all of that with the next commit;
- what is large (``LARGE_BYTES``) is written first, in a file of its own, beside the commits
  (storage/large_files.py); the commit that follows has only where it is.  Until then the group is
  *apart*: what it notes behind that waits in sets of its own, and the others go on;
- what is between and would make the set that is being filled too large (``COMMIT_BYTES``) goes
  apart too; of these one commit takes some, one group after the other.

Each set has a number, its sequence.  A group's own are in the order in which it noted things; those
of different groups may become durable in another order than that of their numbers.

Invariants:
- the operations of one group reach the disk in the order in which they were noted, whole sets at a
  time; those that belong to no group, in one order too;
- only an entry begins a set that is apart (``begins``): what was noted together, a log that begins
  and its record, or a log's end that goes and what takes its place, is in one set;
- a commit index is written along with other operations and never causes a write set;
- entries that no log needs any more (``cut``) are deleted a bounded number at a time.  The rest is
  deleted with later sets, and is reason enough to begin one.  Until then nobody reads them, also
  after a crash in between: the group's record says where its log begins (``Meta.first_index``), and
  is on disk before the first of them goes, or with it: of a group that is apart none goes before
  the set in which that record is.

Pure.
"""

from collections import deque
from collections.abc import Callable

from distrodb.storage import records
from distrodb.storage.records import Operation, SealedPut

# Entries that are deleted in one commit; more take longer to go, and the others wait less.
DELETED_ENTRIES_MAX = 1000
LARGE_BYTES = 1 << 18  # of one entry: beyond, a file of its own costs less than the others' waiting
COMMIT_BYTES = 1 << 20  # in one commit, about: some milliseconds
_PARTS = 16  # what is less than this part of a commit always goes into the next one


class _Apart:
    """A set of one group."""

    __slots__ = ("is_ready", "number", "operations", "place", "size")

    def __init__(self, number: int, is_ready: bool):
        self.number, self.is_ready = number, is_ready
        self.operations: list[Operation] = []
        self.place = 0  # of the large one among them, if it is not ready
        self.size = 0  # bytes that its commit will have of it, about


class WriteSet:
    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._bytes = 0  # of these
        self.sequence = self._last = 1  # of the set now being filled; the newest there is
        self._not_on_disk = {1}  # sequences
        self._under_way: dict[int, list[int]] = {}  # sequences that a commit has
        self._groups: set[int] = set()  # that have noted something for the set being filled
        self.taken_groups: set[int] = set()  # and for what was taken last
        self._apart: dict[int, deque[_Apart]] = {}  # by group, of those that are apart
        self._ready: deque[int] = deque()  # groups whose first set apart may be committed
        self._unwritten: dict[int, int] = {}  # sequences whose large value is not written: group
        self._large: list[tuple[int, SealedPut]] = []  # that nobody was told to write yet
        # By group, whose commit index moved since its last record: what makes the next one.
        self._lazy: dict[int, Callable[[], Operation]] = {}
        # (group, first index, last index, number of the set apart that has to go before or 0)
        self._cut: deque[tuple[int, int, int, int]] = deque()
        self._cut_in: dict[int, int] = {}  # group: sequence of the set with its last deletion

    # -- what is noted -----------------------------------------------------------------------

    def add(self, operation: Operation, group: int | None = None, begins: bool = False) -> int:
        """The sequence of the set that it is in.  ``begins``: it may be in another one than what
        its group noted before, which can stand alone on the disk; all else is in one with that."""
        size = operation.size
        if group is not None:
            if group in self._apart or (begins and self._goes_apart(size)):
                return self._add_apart(operation, size, group, begins)
            self._groups.add(group)
        self._operations.append(operation)
        self._bytes += size
        return self.sequence

    def _goes_apart(self, size: int) -> bool:
        if size < COMMIT_BYTES // _PARTS and size < LARGE_BYTES:
            return False
        return size >= LARGE_BYTES or self._bytes + size > COMMIT_BYTES

    def _add_apart(self, operation: Operation, size: int, group: int, begins: bool) -> int:
        sets = self._apart.setdefault(group, deque())
        is_large = begins and size >= LARGE_BYTES and isinstance(operation, SealedPut)
        is_full = begins and bool(sets) and sets[-1].size + size > COMMIT_BYTES // _PARTS
        if not sets or is_large or is_full:
            self._last += 1
            self._not_on_disk.add(self._last)
            sets.append(_Apart(self._last, not is_large))
            if group in self._lazy:  # it speaks of what was noted so far
                sets[-1].operations.append(self._lazy.pop(group)())
            if len(sets) == 1 and not is_large:
                self._ready.append(group)
        newest = sets[-1]
        if is_large and isinstance(operation, SealedPut):
            newest.place = len(newest.operations)
            self._unwritten[newest.number] = group
            self._large.append((newest.number, operation))
        else:
            newest.size += size
        newest.operations.append(operation)
        return newest.number

    def take_large(self) -> list[tuple[int, SealedPut]]:
        """What is to be written before it can be committed, each with its sequence."""
        taken, self._large = self._large, []
        return taken

    def large_written(self, sequence: int, operation: Operation) -> None:
        """``operation`` is to be committed in its place."""
        group = self._unwritten.pop(sequence)
        sets = self._apart[group]
        written = next(each for each in sets if each.number == sequence)
        written.operations[written.place], written.is_ready = operation, True
        if sets[0] is written:
            self._ready.append(group)

    @property
    def has_large(self) -> bool:
        """``take_large`` has something."""
        return bool(self._large)

    def commit_moved(self, group: int, record: Callable[[], Operation]) -> None:
        self._lazy[group] = record

    def forget(self, group: int) -> None:
        """Its commit index is of no interest any more."""
        self._lazy.pop(group, None)

    def cut(self, group: int, first: int, last: int) -> None:
        """Delete the entries with ``first <= index <= last``, sooner or later.  None of them may be
        written again before ``is_cutting`` is over.  The record that says where the group's log
        begins is noted just before or behind this, with no entry in between."""
        if first <= last:
            apart = self._apart.get(group)
            self._cut.append((group, first, last, apart[-1].number if apart else 0))

    def is_cutting(self, group: int) -> bool:
        """Entries of this group wait for their deletion, or it is not on disk yet."""
        if any(waiting[0] == group for waiting in self._cut):
            return True
        if not self.is_on_disk(self._cut_in.get(group, 0)):
            return True
        self._cut_in.pop(group, None)
        return False

    # -- what is committed -------------------------------------------------------------------

    def is_on_disk(self, sequence: int) -> bool:
        """The set of that number, and all that its groups noted before."""
        return sequence not in self._not_on_disk

    @property
    def is_empty(self) -> bool:
        """There is nothing to commit now."""
        if self._operations or self._ready:
            return False
        return all(self._has_to_wait(group, number) for group, *_, number in self._cut)

    def take(self) -> tuple[int, list[Operation]] | None:
        """What the next commit has, with the sequence of the set that was being filled; None when
        there is nothing."""
        if self.is_empty:
            return None
        operations, self._operations = self._operations, []
        size, self._bytes = self._bytes, 0
        self.taken_groups, self._groups = self._groups, set()
        sequences = self._under_way[self.sequence] = [self.sequence]
        while self._ready and (size < COMMIT_BYTES or len(sequences) == 1):
            taken = self._take_apart()
            operations += taken.operations
            size += taken.size
            sequences.append(taken.number)
        for group, record in sorted(self._lazy.items()):
            if group not in self._apart:
                operations.append(record())
                del self._lazy[group]
        operations += self._next_deletions()
        self._last += 1
        self.sequence = self._last
        self._not_on_disk.add(self._last)
        return sequences[0], operations

    def _take_apart(self) -> _Apart:
        """The next set of the group whose turn it is."""
        group = self._ready.popleft()
        sets = self._apart[group]
        taken = sets.popleft()
        self.taken_groups.add(group)
        if not sets:
            del self._apart[group]  # what it notes from now on comes behind this commit
        elif sets[0].is_ready:
            self._ready.append(group)
        return taken

    def on_disk(self, sequence: int) -> None:
        """What was taken up to then with that sequence is on disk."""
        for taken in [taken for taken in self._under_way if taken <= sequence]:
            self._not_on_disk.difference_update(self._under_way.pop(taken))

    def _has_to_wait(self, group: int, number: int) -> bool:
        """That set of the group is not taken yet."""
        apart = self._apart.get(group)
        return apart is not None and apart[0].number <= number

    def _next_deletions(self) -> list[Operation]:
        deletions: list[Operation] = []
        left, kept = DELETED_ENTRIES_MAX, []
        while self._cut and left:
            group, first, last, number = self._cut.popleft()
            if self._has_to_wait(group, number):
                kept.append((group, first, last, number))
                continue
            end = min(last, first + left - 1)
            deletions.append(records.entries(group, first, end))
            left -= end + 1 - first
            if end < last:
                self._cut.appendleft((group, end + 1, last, number))
            else:
                self._cut_in[group] = self.sequence
        self._cut.extendleft(reversed(kept))
        return deletions
