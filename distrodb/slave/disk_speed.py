"""Whether this slave's own disk is too slow to lead with.  Pure.

A leader counts its own copy only when it is on its own disk, so a disk that takes seconds a sync
makes all writes of its groups take seconds, though the other members are fast.  Such a slave is
*slow*: it says so in its log and to its peers, and hands its groups to others (leadership.py).

- It is slow from the first sync that takes ``SLOW_S``, also one that is still under way.
- What is written beside the commits (large values, a slice of each in turn) has time as for a disk
  of ``BESIDE_BYTES_A_S``; beyond that the same holds of it.
- It is fast again when for ``CALM_S`` no sync has taken ``FAST_S`` and a few have been seen.  If it
  is slow again within ten times as long, it must be calm for twice as long the next time, up to
  ``CALM_S_MAX``: so a disk that comes and goes does not make its groups change hands for ever.
- A slow slave that has nothing to write writes a small record each ``PROBE_S``, or it would never
  learn that its disk is well again; any other one does each ``IDLE_S``, or nobody would learn that
  the disk of an idle cluster is slow, or gone, before the next client has to wait for it.

Caveat: a machine that stands still looks like a disk that does.  A sync that has ended is timed by
the thread that ran it; one that is under way is looked at twice, so that a busy event loop alone is
not taken for it.
"""

import math

from distrodb.events import Said, said

SLOW_S = 1.0  # a sync as long as this: ten heartbeats, where a bad spinning disk needs 0.05
FAST_S = 0.25  # a sync shorter than this is as it should be
CALM_S, CALM_S_MAX = 10.0, 300.0  # seconds without a longer one, until it counts as fast again
FAST_SYNCS = 3  # that have been seen in that time, at least
RELAPSE_TIMES = 10  # times CALM_S after it was fast again: slow by then is the same trouble
PROBE_S = 1.0  # between two syncs of a slow disk
IDLE_S = 30.0  # between two syncs of one that is not slow, as far as is known
AGAIN_S = 0.25  # between two looks at a sync that is under way
BESIDE_BYTES_A_S = 8e6  # less is slow; a bad spinning disk has ten times that
WINDOW_S = 10.0  # what was the worst of the last one to two windows is told to the others


class DiskSpeed:
    def __init__(self, now: float):
        self.is_slow = False
        self._due = now + IDLE_S  # seconds: when to look at commits
        # When what is written beside them is there at the latest, when to look at it, and whether
        # it was found to be late.
        self._beside_until = self._beside_due = math.inf
        self._beside_is_suspected = False
        self.changed_at = now  # when it became slow, or fast
        self._began_at: float | None = None  # of the sync that is under way
        self._suspected_at: float | None = None  # when it was first found to take too long
        self._worst_s = [0.0, 0.0]  # in this window, and in the one before
        self._window_ends_at = now + WINDOW_S
        self._calm_since = now
        self._probe_at = now + IDLE_S  # when to write something, if nothing has been
        self._slow_at = -math.inf  # when a sync took SLOW_S last
        self._fast_syncs = 0
        self._calm_s = CALM_S
        self._well_since = -math.inf  # when it was found to be fast again

    @property
    def next_due(self) -> float:
        """Seconds: when ``look`` may find something new."""
        return min(self._due, self._beside_due)

    def beside_begins(self, now: float, size: int) -> None:
        """So many bytes more are being written beside the commits."""
        since = now if self._beside_until == math.inf else self._beside_until
        self._beside_until = since + size / BESIDE_BYTES_A_S
        self._beside_due = max(self._beside_until + SLOW_S, now)

    def beside(self, now: float, size: int) -> None:
        """One is written; so many bytes are left."""
        self._beside_until = now + size / BESIDE_BYTES_A_S if size else math.inf
        self._beside_due, self._beside_is_suspected = self._beside_until + SLOW_S, False

    def sync_begins(self, now: float) -> None:
        self._began_at, self._suspected_at = now, None
        self._due = now + SLOW_S

    def sync_ended(self, now: float, took_s: float | None = None) -> None:
        """``took_s``: how long it took, if that is known better than by when it began."""
        if took_s is None:
            took_s = 0.0 if self._began_at is None else now - self._began_at
        self._began_at = self._suspected_at = None
        self._note(now, took_s)
        may_change = self.is_slow or took_s >= SLOW_S
        self._probe_at = now + (PROBE_S if may_change else IDLE_S)
        self._due = now if may_change else self._probe_at

    def worst_s(self) -> float:
        """What a sync has taken at most of late, in seconds."""
        return max(self._worst_s)

    @property
    def verdict(self) -> Said:
        """For the slave's log."""
        if not self.is_slow:
            return said("disk_fast", limit=f"{FAST_S:g}", calm=f"{self._calm_s:g}")
        return said("disk_slow", seconds=f"{self.worst_s():.1f}")

    def wants_probe(self, now: float) -> bool:
        """Nothing has been written for a while, so nothing is learnt."""
        is_beside = self._beside_until < math.inf and not self.is_slow
        return self._began_at is None and now >= self._probe_at and not is_beside

    def look(self, now: float) -> bool:
        """Judge; True when it has become slow, or fast."""
        if now >= self._beside_due:
            if self._beside_is_suspected:
                self._note(now, now - self._beside_until)
            self._beside_is_suspected, self._beside_due = True, now + AGAIN_S
        if self._began_at is None:
            has_changed = self._judge(now)
            # What is due now is written now, or waits for what is written beside.
            self._due = self._probe_at if now < self._probe_at else now + PROBE_S
            return has_changed
        if now >= self._began_at + SLOW_S:
            if self._suspected_at is None:
                self._suspected_at = now
            elif now >= self._suspected_at + AGAIN_S:
                self._suspected_at = now
                self._note(now, now - self._began_at)
            self._due = self._suspected_at + AGAIN_S
        return self._judge(now)

    def forget(self, now: float) -> None:
        """What was long ago."""
        if now >= self._window_ends_at:
            is_next = now < self._window_ends_at + WINDOW_S
            self._worst_s = [0.0, self._worst_s[0] if is_next else 0.0]
            self._window_ends_at = now + WINDOW_S

    def _note(self, now: float, took_s: float) -> None:
        self.forget(now)
        self._worst_s[0] = max(self._worst_s[0], took_s)
        if took_s >= SLOW_S:
            self._slow_at = now
        if took_s < FAST_S:
            self._fast_syncs += 1
        else:
            self._calm_since, self._fast_syncs = now, 0

    def _judge(self, now: float) -> bool:
        if not self.is_slow and self._slow_at > self._well_since:
            relapsed = now < self._well_since + RELAPSE_TIMES * self._calm_s
            self._calm_s = min(2 * self._calm_s, CALM_S_MAX) if relapsed else CALM_S
            self.is_slow, self.changed_at = True, now
            return True
        is_calm = now - self._calm_since >= self._calm_s and self._fast_syncs >= FAST_SYNCS
        if self.is_slow and is_calm:
            self.is_slow, self.changed_at = False, now
            self._well_since = now
            return True
        return False
