"""What has happened in the cluster, as this slave sees it: a few dozen lines for the page.

Found by comparing what is with what was when it was last looked at, some times a second: so
nothing reports to here, and what came and went in between is not seen.  Pure: clocks are arguments.

What always holds: while nothing changes next to nothing is done, however many partitions there are;
else it takes a bounded share of the time, as a ``Document`` does.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.http.document import SHARE
from distrodb.slave.status_reply import status_of
from distrodb.slave.view import View

EVENTS_MAX = 100
NAMED_MAX = 8  # partitions that one event names
GOOD, BAD, NOTE = "good", "bad", "note"
# What a slave that has come to a status does, and whether that is good.
_STATUSES = {
    "up": ("is up", GOOD),
    "suspect": ("is not heard here", BAD),
    "down": ("is down: a majority does not hear it", BAD),
    "leaving": ("is leaving: others take over what it holds", NOTE),
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


def _see(view: View, slow: frozenset[str]) -> _Seen:
    plan = view.healing()
    return _Seen(
        {node: status_of(view, node) for node in view.map.nodes},
        slow,
        tuple(view.map.ring),
        tuple(view.routing.leader_of(partition.id) for partition in view.map.partitions),
        view.routing.leader_of(MAP_GROUP),
        plan is None or plan.is_done,
    )


class Events:
    def __init__(self, view: View, clock: Callable[[], float], wall_ms: Callable[[], int]):
        self._view, self._clock, self._wall_ms = view, clock, wall_ms
        self._events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self._seen: _Seen | None = None
        self._version: object = None  # of what was seen
        self._look_at = 0.0  # seconds: not before

    def newest_first(self) -> list[Event]:
        return list(reversed(self._events))

    def look(self) -> None:
        view, began = self._view, self._clock()
        if began < self._look_at or view.map.epoch == 0:
            return
        slow = frozenset(node for node in view.map.nodes if view.has_slow_disk(node))
        if (version := (view.version, slow)) == self._version:
            return
        self._version = version
        before, self._seen = self._seen, _see(view, slow)
        if before is not None and before != self._seen:
            at_ms = self._wall_ms()
            for kind, text in _changes(before, self._seen):
                self._events.append(Event(at_ms, kind, text))
        now = self._clock()
        self._look_at = now + SHARE * (now - began)


def _changes(before: _Seen, now: _Seen) -> Iterable[tuple[str, str]]:
    for node in [*before.statuses, *(node for node in now.statuses if node not in before.statuses)]:
        was, is_ = before.statuses.get(node), now.statuses.get(node)
        if is_ is None:
            yield NOTE, f"{node} has left the cluster"
        elif was is None:
            yield GOOD, f"{node} has joined the cluster"
        elif was != is_:
            text, kind = _STATUSES[is_]
            yield kind, f"{node} {text}"
    for node in sorted(now.slow - before.slow):
        yield BAD, f"the disk of {node} is slow: it hands on what it leads"
    for node in sorted(before.slow - now.slow):
        yield GOOD, f"the disk of {node} is fast again"
    yield from _leads(before, now)
    if now.controller != before.controller:
        who = now.controller
        yield (NOTE, f"{who} heals the ring") if who else (BAD, "nobody leads the cluster map")
    if now.ring != before.ring:
        yield NOTE, f"the ring is {' '.join(now.ring)}"
    if now.is_healed != before.is_healed:
        yield (
            (GOOD, "the ring is whole: every copy is where it should be")
            if now.is_healed
            else (NOTE, "the ring heals: copies are on their way")
        )


def _leads(before: _Seen, now: _Seen) -> Iterable[tuple[str, str]]:
    """Those that went the same way are one event."""
    ways: dict[tuple[str | None, str | None], list[int]] = {}
    for number, (was, is_) in enumerate(zip(before.leaders, now.leaders, strict=False)):
        if was != is_:
            ways.setdefault((was, is_), []).append(number)
    for (was, is_), numbers in ways.items():
        named = ", ".join(map(str, numbers[:NAMED_MAX]))
        more = f" and {len(numbers) - NAMED_MAX} more" if len(numbers) > NAMED_MAX else ""
        which = f"partition{'s' if len(numbers) > 1 else ''} {named}{more}"
        if is_ is None:
            yield BAD, f"nobody leads {which} ({was} did)"
        else:
            yield NOTE, f"{is_} leads {which}" + (f" ({was} did)" if was else "")
