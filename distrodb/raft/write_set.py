"""The changes of one slave's journal that are not yet handed to its disk, all groups in order.

Each group notes what it changes; the process commits all of it in one transaction, off the event
loop, and tells the groups when it is on disk.  One write set is under way at a time, the next one
gathers meanwhile.

Invariants:
- operations reach the disk in the order in which they were noted, whole write sets at a time;
- a commit index is written along with other operations and never causes a write set;
- entries that no log needs any more (``cut``) are deleted a bounded number at a time: all groups
  wait for each commit.  The rest is deleted with later sets, and is reason enough to begin one.
  Until then nobody reads them, also after a crash in between: the group's record says where its log
  begins (``Meta.first_index``), and is on disk before the first of them goes.

Pure.
"""

from collections import deque
from collections.abc import Callable

from distrodb.storage import records
from distrodb.storage.records import Operation

# Entries that are deleted in one commit; more take longer to go, and the others wait less.
DELETED_ENTRIES_MAX = 1000


class WriteSet:
    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self.sequence = 1  # of the set now being filled
        self.durable_sequence = 0  # of the newest set known to be on disk
        self._groups: set[int] = set()  # that have noted something for the set being filled
        self.taken_groups: set[int] = set()  # and for the one that was taken last
        # By group, whose commit index moved since its last record: what makes the next one.
        self._lazy: dict[int, Callable[[], Operation]] = {}
        self._cut: deque[tuple[int, int, int]] = deque()  # (group, first index, last index)
        self._cut_in: dict[int, int] = {}  # group: sequence of the set with its last deletion

    def add(self, operation: Operation, group: int | None = None) -> None:
        self._operations.append(operation)
        if group is not None:
            self._groups.add(group)

    def commit_moved(self, group: int, record: Callable[[], Operation]) -> None:
        self._lazy[group] = record

    def forget(self, group: int) -> None:
        """Its commit index is of no interest any more."""
        self._lazy.pop(group, None)

    def cut(self, group: int, first: int, last: int) -> None:
        """Delete the entries with ``first <= index <= last``, sooner or later.  None of them may be
        written again before ``is_cutting`` is over."""
        if first <= last:
            self._cut.append((group, first, last))

    def is_cutting(self, group: int) -> bool:
        """Entries of this group wait for their deletion, or it is not on disk yet."""
        if any(waiting[0] == group for waiting in self._cut):
            return True
        if self._cut_in.get(group, 0) > self.durable_sequence:
            return True
        self._cut_in.pop(group, None)
        return False

    @property
    def is_empty(self) -> bool:
        """There is nothing to write."""
        return not (self._operations or self._cut)

    def take(self) -> tuple[int, list[Operation]] | None:
        """Close the set that is being filled and return it, or None when it is empty."""
        if self.is_empty:
            return None
        for _, record in sorted(self._lazy.items()):
            self._operations.append(record())
        self._lazy.clear()
        self._operations += self._next_deletions()
        taken = self.sequence, self._operations
        self._operations = []
        self.taken_groups, self._groups = self._groups, set()
        self.sequence += 1
        return taken

    def _next_deletions(self) -> list[Operation]:
        deletions: list[Operation] = []
        left = DELETED_ENTRIES_MAX
        while self._cut and left:
            group, first, last = self._cut.popleft()
            end = min(last, first + left - 1)
            deletions.append(records.entries(group, first, end))
            left -= end + 1 - first
            if end < last:
                self._cut.appendleft((group, end + 1, last))
            else:
                self._cut_in[group] = self.sequence
        return deletions
