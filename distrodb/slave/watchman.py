"""What a person on call needs to know goes into the log when it changes: looked at some times a
second, and told once.  Pure: clocks are arguments, and ``write`` is a log.

What always holds: what is told comes from what is there anyway, so nothing waits for a log; it is
told in few lines, however many partitions change hands.
"""

from collections.abc import Callable
from dataclasses import dataclass

from distrodb.events import Said, said
from distrodb.ranges import of_groups
from distrodb.slave.core import Core
from distrodb.slave.doctor.cluster import size_text
from distrodb.slave.doctor.conditions import DISK_ERROR, DISK_WARNING
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.happenings import Happenings
from distrodb.slave.http.readiness import reasons_against

READY_S = 1.0  # between two looks whether it is ready
ROOM = 1.05  # times a bound of the disk, beyond which it is left again: else it is told each minute
_DISK_EVENTS = ("disk_has_room", "disk_nearly_full", "disk_full")  # better to worse
# Of the whole ring: one slave tells of it, who leads the cluster map.
_TOLD_BY_ONE = ("moves_begun", "moves_ended")


@dataclass(slots=True)
class _Told:
    is_born: bool
    is_ready: bool | None = None  # nothing was told yet
    disk: int = 0  # which of _DISK_EVENTS


class Watchman:
    def __init__(self, core: Core, happenings: Happenings, write: Callable[[Said, str], None]):
        """``write``: a line of the log, and whom it is about."""
        self._core, self._happenings, self._write = core, happenings, write
        self._told = _Told(core.map.epoch > 0)
        self._ready_due = 0.0
        self._ready_version: object = None  # of the view, when it was looked at

    def look(self, now: float) -> None:
        core, told = self._core, self._told
        if not told.is_born and core.map.epoch > 0:
            told.is_born = True
            self._say("born", epoch=core.map.epoch, ring=" ".join(core.map.ring))
        if leapt_ms := core.clocks.take_leap():
            self._say("clock_leapt", seconds=round(leapt_ms / 1000, 1))
        self._look_at_leads()
        self._look_at_ring()
        self._look_at_disk()
        if now >= self._ready_due:
            self._ready_due = now + READY_S
            self._look_whether_ready()

    def _say(self, name: str, who: str = "", **fields: object) -> None:
        self._write(said(name, **fields), who)

    def _look_at_leads(self) -> None:
        for (name, cause), groups in sorted(self._core.take_leads().items()):
            named = {"map" if group == MAP_GROUP else group for group in groups}
            self._write(said(name, partitions=of_groups(named), cause=cause), cause)

    def _look_at_ring(self) -> None:
        core = self._core
        for each in self._happenings.look():
            name, who = each.event.name, str(each.fields.get("slave", ""))
            is_own_disk = name.startswith("slave_disk") and who == core.id  # which tells it itself
            if is_own_disk or (name in _TOLD_BY_ONE and not core.routing.leads(MAP_GROUP)):
                continue
            self._write(each, who)

    def _look_at_disk(self) -> None:
        condition, told = self._core.gossip.condition, self._told
        if condition is None or not condition.disk_total:
            return
        share = condition.disk_free / condition.disk_total
        worse = (share < DISK_WARNING) + (share < DISK_ERROR)
        better = (share < DISK_WARNING * ROOM) + (share < DISK_ERROR * ROOM)
        now = max(worse, min(better, told.disk))
        if now != told.disk:
            told.disk = now
            free, total = size_text(condition.disk_free), size_text(condition.disk_total)
            self._say(_DISK_EVENTS[now], free=free, total=total)

    def _look_whether_ready(self) -> None:
        told, view = self._told, self._core.view
        version = view.version
        if told.is_ready and version == self._ready_version:
            return  # with many partitions it takes a while to see that it still is
        self._ready_version = version
        reasons = reasons_against(view, is_ending=False)
        if told.is_ready is None and reasons:
            return  # it has only just begun
        if told.is_ready == (not reasons):
            return
        told.is_ready = not reasons
        if reasons:
            self._say("not_ready", why="; ".join(reasons))
        else:
            self._say("ready")
