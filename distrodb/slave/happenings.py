"""What has happened in the cluster, as this slave sees it: for its log, and for its page.

Found by comparing what is with what was when it was last looked at, some times a second: so
nothing reports to here, and what came and went in between is not seen.  Pure: clocks are arguments.

What always holds: while nothing changes next to nothing is done, however many partitions there are;
else it takes a bounded share of the time, as a ``Document`` does.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from distrodb.events import Said, said
from distrodb.ranges import of_groups
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.http.document import SHARE
from distrodb.slave.status_reply import status_of
from distrodb.slave.view import View

EVENTS_MAX = 100
NAMED_MAX = 8  # partitions that one event names
GOOD, BAD, NOTE = "good", "bad", "note"
# On the page.  What is not here is for the log alone.
KINDS = {
    "slave_up": GOOD,
    "slave_not_heard": BAD,
    "slave_down": BAD,
    "slave_leaving": NOTE,
    "slave_joined": GOOD,
    "slave_left": NOTE,
    "slave_disk_slow": BAD,
    "slave_disk_fast": GOOD,
    "lead_moved": NOTE,
    "lead_gone": BAD,
    "map_led": NOTE,
    "map_leaderless": BAD,
    "ring_changed": NOTE,
    "heal_begun": NOTE,
    "heal_ended": GOOD,
    "gap_closed": GOOD,
    "gap_left": BAD,
}
# What a slave that has come to a status does.
_STATUSES = {
    "up": "slave_up",
    "suspect": "slave_not_heard",
    "down": "slave_down",
    "leaving": "slave_leaving",
}


@dataclass(frozen=True, slots=True)
class Event:
    at_ms: int  # since 1970
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is compared."""

    statuses: dict[str, str]
    slow: frozenset[str]
    ring: tuple[str, ...]
    leaders: tuple[str | None, ...]  # of the partitions
    controller: str | None
    is_healed: bool
    moving: frozenset[int]
    lacking: frozenset[int]  # partitions with a copy on a slave that is down


def _see(view: View, slow: frozenset[str]) -> _Seen:
    plan = view.healing()
    statuses = {node: status_of(view, node) for node in view.map.nodes}
    down = {node for node, status in statuses.items() if status == "down"}
    return _Seen(
        statuses,
        slow,
        tuple(view.map.ring),
        tuple(view.routing.leader_of(partition.id) for partition in view.map.partitions),
        view.routing.leader_of(MAP_GROUP),
        plan is None or plan.is_done,
        frozenset() if plan is None else frozenset(plan.moving),
        frozenset(each.id for each in view.map.partitions if not down.isdisjoint(each.group)),
    )


class Happenings:
    def __init__(self, view: View, clock: Callable[[], float], wall_ms: Callable[[], int]):
        self._view, self._clock, self._wall_ms = view, clock, wall_ms
        self._events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self._seen: _Seen | None = None
        self._version: object = None  # of what was seen
        self._look_at = 0.0  # seconds: not before

    def newest_first(self) -> list[Event]:
        """For the page."""
        return list(reversed(self._events))

    def look(self) -> list[Said]:
        """What has happened since, for the log."""
        view, began = self._view, self._clock()
        if began < self._look_at or view.map.epoch == 0:
            return []
        slow = frozenset(node for node in view.map.nodes if view.has_slow_disk(node))
        if (version := (view.version, slow)) == self._version:
            return []
        self._version = version
        before, self._seen = self._seen, _see(view, slow)
        found: list[Said] = []
        if before is not None and before != self._seen:
            at_ms = self._wall_ms()
            found = list(_changes(before, self._seen))
            for each in found:
                if each.event.name in KINDS:
                    self._events.append(Event(at_ms, KINDS[each.event.name], str(each)))
        now = self._clock()
        self._look_at = now + SHARE * (now - began)
        return found


def _changes(before: _Seen, now: _Seen) -> Iterable[Said]:
    for node in [*before.statuses, *(node for node in now.statuses if node not in before.statuses)]:
        was, is_ = before.statuses.get(node), now.statuses.get(node)
        if is_ is None:
            yield said("slave_left", slave=node)
        elif was is None:
            yield said("slave_joined", slave=node)
        elif was != is_:
            yield said(_STATUSES[is_], slave=node)
    for node in sorted(now.slow - before.slow):
        yield said("slave_disk_slow", slave=node)
    for node in sorted(before.slow - now.slow):
        yield said("slave_disk_fast", slave=node)
    yield from _leads(before, now)
    if now.controller != before.controller:
        who = now.controller
        yield said("map_led", slave=who) if who else said("map_leaderless")
    if now.ring != before.ring:
        yield said("ring_changed", ring=" ".join(now.ring))
    yield from _healing(before, now)


def _healing(before: _Seen, now: _Seen) -> Iterable[Said]:
    if come := now.moving - before.moving:
        yield said("moves_begun", partitions=of_groups(come))
    if gone := before.moving - now.moving:
        yield said("moves_ended", partitions=of_groups(gone))
    if now.is_healed == before.is_healed:
        return
    down = [node for node, status in now.statuses.items() if status == "down"]
    if not now.is_healed:
        yield said("heal_begun")
    elif now.lacking:
        yield said("gap_left", partitions=of_groups(now.lacking), slaves=" ".join(down))
    elif down:
        yield said("gap_closed", slaves=" ".join(down))
    else:
        yield said("heal_ended")


def _leads(before: _Seen, now: _Seen) -> Iterable[Said]:
    """Those that went the same way are one event."""
    ways: dict[tuple[str | None, str | None], list[int]] = {}
    for number, (was, is_) in enumerate(zip(before.leaders, now.leaders, strict=False)):
        if was != is_:
            ways.setdefault((was, is_), []).append(number)
    for (was, is_), numbers in ways.items():
        named = ", ".join(map(str, numbers[:NAMED_MAX]))
        more = f" and {len(numbers) - NAMED_MAX} more" if len(numbers) > NAMED_MAX else ""
        which = f"partition{'s' if len(numbers) > 1 else ''} {named}{more}"
        had = f" ({was} did)" if was else ""
        if is_ is None:
            yield said("lead_gone", partitions=which, before=had)
        else:
            yield said("lead_moved", slave=is_, partitions=which, before=had)
