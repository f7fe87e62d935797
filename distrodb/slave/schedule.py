"""Which groups are ticked in a turn: those for which something came, and those whose moment has
passed.  All others cost nothing.

What always holds: whoever tells a group of something says so here (``touch``), since its deadline
and its results are looked at after its next tick only (the contract of raft/member.py).
"""

from collections.abc import Iterable, Mapping

from distrodb.raft.group import Group
from distrodb.slave.deadlines import Deadlines

ENDING_LOOK_S = 0.025  # between two looks at a group in which nothing more is started


class Schedule:
    def __init__(self, groups: Mapping[int, Group]):
        self._groups = groups
        self._touched: set[int] = set()
        self._deadlines = Deadlines()

    def touch(self, group_id: int) -> None:
        self._touched.add(group_id)

    def touch_all(self, groups: Iterable[Group]) -> None:
        self._touched.update(group.id for group in groups)

    def closed(self, group_id: int) -> None:
        self._touched.discard(group_id)
        self._deadlines.remove(group_id)

    @property
    def next_due(self) -> float:
        """Seconds: when ``tick`` is to be called next; minus infinity is now."""
        return float("-inf") if self._touched else self._deadlines.next_due

    def tick(self, now: float, time_ms: int, may_start: bool) -> set[int]:
        """Tick them, and start what waits in them if it ``may_start``; returns which they were."""
        ticked = (self._touched | set(self._deadlines.take(now))) & self._groups.keys()
        self._touched = set()
        for group_id in sorted(ticked):
            group = self._groups[group_id]
            group.tick(now)
            if may_start:
                group.pump(now, time_ms)
                if group.is_waiting:  # its reads were answered at once, and there are more
                    self._touched.add(group_id)
            due = group.next_due
            self._deadlines.put(group_id, due if may_start else max(due, now + ENDING_LOOK_S))
        return ticked
