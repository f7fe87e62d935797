"""When the fields of one hash expire, soonest first.

The order is total (time, then field), so that replicas that remove some of them remove the same
ones.

A dictionary says of each field when it expires; their order is kept in runs of up to ``RUN_MAX``
fields, with their times as plain numbers beside them.  So an expiry takes some 95 bytes beside the
field, whatever its length, and a change some 3 µs with a million of them.

What always holds: no run is empty; the runs, one behind the other, have the fields of the
dictionary in their order.  Who has the ``owner`` of a run may write to it, nobody else: a copy
shares the runs of what it was made from, until one of both writes to one.
"""

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping

EXPIRY_BYTES = 95  # what the expiry of a field costs beside the field, measured
RUN_MAX = 1024  # fields
MOMENT_MS_MAX = 2**46 - 1  # at which a field expires; Redis takes no later one


class _Run:
    __slots__ = ("fields", "owner", "times")

    def __init__(self, times: "array[int]", fields: list[bytes], owner: object):
        self.times, self.fields, self.owner = times, fields, owner  # milliseconds since the epoch

    def place(self, at_ms: int, field: bytes) -> int:
        """Where it is, or belongs."""
        begin = bisect_left(self.times, at_ms)
        end = bisect_right(self.times, at_ms, begin)
        return bisect_left(self.fields, field, begin, end)

    def cut(self, at: int) -> "_Run":
        """What is behind ``at``, in a run of its own."""
        cut = _Run(self.times[at:], self.fields[at:], self.owner)
        del self.times[at:], self.fields[at:]
        return cut

    def copy(self, owner: object) -> "_Run":
        return _Run(self.times[:], self.fields.copy(), owner)


def _last(run: _Run) -> tuple[int, bytes]:
    return run.times[-1], run.fields[-1]


def _last_ms(run: _Run) -> int:
    return run.times[-1]


class FieldExpiries:
    __slots__ = ("_owner", "_runs", "_times")

    def __init__(self, of: "FieldExpiries | None" = None):
        """Those of another one, or none."""
        self._owner = object()
        self._times: dict[bytes, int] = {} if of is None else of._times.copy()
        self._runs: list[_Run] = [] if of is None else of._runs.copy()
        if of is not None:
            of._owner = object()

    def __len__(self) -> int:
        return len(self._times)

    def get(self, field: bytes) -> int | None:
        return self._times.get(field)

    def set(self, field: bytes, at_ms: int) -> None:
        self.forget(field)
        self._times[field] = at_ms
        runs = self._runs
        if not runs:
            runs.append(_Run(array("q", (at_ms,)), [field], self._owner))
            return
        number = min(bisect_left(runs, (at_ms, field), key=_last), len(runs) - 1)
        run = self._run_to_write(number)
        place = run.place(at_ms, field)
        run.times.insert(place, at_ms)
        run.fields.insert(place, field)
        if len(run.fields) > RUN_MAX:  # one that grows at its end stays full
            is_at_end = number == len(runs) - 1 and place == RUN_MAX
            runs.insert(number + 1, run.cut(RUN_MAX if is_at_end else RUN_MAX // 2))

    def forget(self, field: bytes) -> bool:
        """True if there was one."""
        at_ms = self._times.pop(field, None)
        if at_ms is None:
            return False
        number = bisect_left(self._runs, (at_ms, field), key=_last)
        run = self._run_to_write(number)
        place = run.place(at_ms, field)
        del run.times[place], run.fields[place]
        if len(run.fields) < RUN_MAX // 4:
            self._join(number)
        return True

    def _run_to_write(self, number: int) -> _Run:
        run = self._runs[number]
        if run.owner is not self._owner:
            run = self._runs[number] = run.copy(self._owner)
        return run

    def _join(self, number: int) -> None:
        """A run that has become small goes into the next one, unless that is large."""
        runs, run = self._runs, self._runs[number]
        if not run.fields:
            del runs[number]
        elif number + 1 < len(runs) and len(runs[number + 1].fields) <= RUN_MAX // 2:
            following = runs.pop(number + 1)
            run.times += following.times
            run.fields += following.fields

    @property
    def soonest_ms(self) -> float:
        """Infinite when nothing expires."""
        return self._runs[0].times[0] if self._runs else math.inf

    def due(self, now_ms: int, count_max: int) -> list[bytes]:
        """So many of those whose time has come by then, the soonest."""
        found: list[bytes] = []
        for run in self._runs:
            if run.times[0] > now_ms or len(found) >= count_max:
                break
            found += run.fields[: bisect_right(run.times, now_ms)]
        return found[:count_max]

    def count_due(self, now_ms: int) -> int:
        whole = self._runs_due(now_ms)
        count = sum(len(run.fields) for run in self._runs[:whole])
        if whole < len(self._runs):
            count += bisect_right(self._runs[whole].times, now_ms)
        return count

    def latest_due_ms(self, now_ms: int) -> int | None:
        """The last moment until then at which a field expired; None if none has."""
        whole = self._runs_due(now_ms)
        if whole < len(self._runs):
            times = self._runs[whole].times
            if place := bisect_right(times, now_ms):
                return times[place - 1]
        return self._runs[whole - 1].times[-1] if whole else None

    def _runs_due(self, now_ms: int) -> int:
        """How many runs have none that stays longer."""
        return bisect_right(self._runs, now_ms, key=_last_ms)

    def times(self) -> Mapping[bytes, int]:
        """Soonest first."""
        return {
            field: at_ms
            for run in self._runs
            for field, at_ms in zip(run.fields, run.times, strict=True)
        }
