"""Which groups are ticked in a turn: those for which something came, and those whose moment has
passed.  All others cost nothing.

What always holds: whoever tells a group of something says so here (``touch``), since its deadline
and its results are looked at after its next tick only (the contract of raft/member.py).

Groups write together: while a write set is on its way to the disk, what a group would write waits
for the next one anyway, so its batch starts only when the journal is free.  Until then the batch
grows, and when the time comes the batches of all groups leave in one frame a peer and one sync.
Nothing is held back on a slow disk: followers that have an entry before our disk does are why its
group is handed over at once (leadership.py); nor the tick of a read that has met an expired key
(proposals.py), which waits for it already.
That took a tenth off the CPU of a write, one at a time from 50 clients, six partitions.

Reads wait for what other slaves answer (heartbeats.py): one answer may be for many groups, so those
that wait are ticked when any comes, and no others.
"""

from collections.abc import Iterable, Mapping, Set

from distrodb.raft.group import Group
from distrodb.slave.deadlines import Deadlines

ENDING_LOOK_S = 0.025  # between two looks at a group in which nothing more is started


class Schedule:
    def __init__(self, groups: Mapping[int, Group]):
        self._groups = groups
        self._touched: set[int] = set()
        self.touch = self._touched.add  # a group, by its number; itself, since each command does
        self._held_back: set[int] = set()  # groups that wait until the journal is free
        self._awaits_answers: set[int] = set()  # groups whose reads wait for other slaves
        self._deadlines = Deadlines()

    def touch_all(self, groups: Iterable[Group]) -> None:
        self._touched.update(group.id for group in groups)

    def release(self, written: Set[int] = frozenset()) -> None:
        """Those that were held back may write now.  What the groups in ``written`` had to write is
        on disk."""
        self._touched |= (self._held_back | written) & self._groups.keys()
        self._held_back.clear()

    def answered(self) -> None:
        """A slave that was asked whom it follows has answered."""
        self._touched |= self._awaits_answers & self._groups.keys()
        self._awaits_answers.clear()

    def closed(self, group_id: int) -> None:
        self._touched.discard(group_id)
        self._held_back.discard(group_id)
        self._awaits_answers.discard(group_id)
        self._deadlines.remove(group_id)

    @property
    def next_due(self) -> float:
        """Seconds: when ``tick`` is to be called next; minus infinity is now."""
        return float("-inf") if self._touched else self._deadlines.next_due

    def tick(self, now: float, time_ms: int, may_start: bool, may_write: bool) -> set[int]:
        """Tick them, and start what waits in them if it ``may_start``, also what writes if it
        ``may_write``: the journal is free, or not waited for.  Returns which they were."""
        ticked = (self._touched | set(self._deadlines.take(now))) & self._groups.keys()
        self._touched.clear()
        for group_id in sorted(ticked):
            group = self._groups[group_id]
            group.tick(now)
            if may_start:
                group.pump(now, time_ms, may_write)
                if group.awaits_journal:
                    self._held_back.add(group_id)
                elif group.is_waiting:  # its reads were answered at once, and there are more
                    self._touched.add(group_id)
            if group.awaits_answers:
                self._awaits_answers.add(group_id)
            due = group.next_due
            self._deadlines.put(group_id, due if may_start else max(due, now + ENDING_LOOK_S))
        return ticked
