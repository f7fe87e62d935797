"""The time that a leader writes into its entries: near the machine's clock, but steady.

A machine's clock may leap (set by hand, a daemon that corrects it, a guest that was suspended).
Keys would then expire too early or stay too long, and a lock with them.  So the time runs with the
monotonic clock, and follows the machine's at a bounded rate: while it is ahead or behind, it loses
or gains at most a tenth of what passes.  It never goes back.

There is one of these a slave, which follows the machine's clock, and one a lead of a group, which
follows the slave's; that one begins no earlier than the group's newest entry, so where the last
leader's clock was ahead it runs slower until the others have caught up, rather than stand still.

Pure: both clocks come in with each call.

Caveats: where it begins it trusts the clock, so a slave that starts, or one whose clock was always
ahead and that takes the lead, moves a group's time forward at once.  After a leap of an hour that
is right (a suspended guest) it takes ten hours to be right again; a restart of the slave helps.
"""

RATE = 0.1  # of what passes: gained or lost at most.  More would end locks too early, or too late


class SteadyTime:
    def __init__(self) -> None:
        self._now = 0.0
        self._ms: float | None = None

    def follow(self, now: float, target_ms: float) -> int:
        """Milliseconds since the epoch.  ``now``: seconds of a clock that never goes back;
        ``target_ms``: what is followed, as it is now."""
        if self._ms is None:
            self._now, self._ms = now, target_ms
        passed_ms = max(0.0, now - self._now) * 1000
        self._now = max(now, self._now)
        straight_ms, most_ms = self._ms + passed_ms, passed_ms * RATE
        self._ms = straight_ms + max(-most_ms, min(most_ms, target_ms - straight_ms))
        return int(self._ms)
