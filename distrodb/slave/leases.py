"""Reads without a question (``reads = "lease"``; thesis 6.4.1).  Pure.

Who follows a leader may promise it, with each heartbeat, to help elect no other for ``LEASE_S``
from then on.  A leader that has such promises of enough voters knows that nobody else leads, and
reads from memory; it asks again when half of the time is over, so many reads share one exchange.

    on its own clock a follower keeps its promise from when the heartbeat LEFT;
    on its own clock the leader relies on it from when the question left that the heartbeat ECHOES,
    and for ``TRUSTED`` of the time only.

So what is relied on is over before what was promised is, however long messages travel, if no clock
runs more than a fifth faster than another's: that is the assumption, and the only one.  A process
that stops may stop: a read counts as of the moment when its turn began.  But a clock that stands
still while others' run (a virtual machine that is frozen and goes on) breaks it, and reads may be
stale then; writes never depend on leases.

What always holds:

- A promise outlives what it was made for: the group may follow another by then, the link be gone.
- Who has started promises nothing that an earlier life could have: it helps to elect nobody for
  ``LEASE_S``, since it may have promised just before.
- A leader that has told another to take over (thesis 3.10) reads no more by leases in that term,
  since those who promised vote for that one (raft/lease.py).

Caveats: a slave whose file says "quorum" since its last start does not know that it may have
promised before: it relies on a start taking longer than ``LEASE_S``, as it does by far.  And leases
cost failover up to ``LEASE_S``: a leader whose link breaks may live, and read behind it.
"""

from distrodb.raft.pulse import NEVER

LEASE_S = 0.1
TRUSTED = 0.8  # of it


class Promises:
    """What this slave has promised; leaders are named by slave and incarnation."""

    def __init__(self, now: float, lease_s: float):
        """``lease_s`` 0: it promises nothing."""
        self.lease_s = lease_s
        self._since_start = now + lease_s
        self._until: dict[str, float] = {}  # by leader
        self._left: dict[int, float] = {}  # by group that follows another since

    def promise(self, now: float, leader: str) -> None:
        """For all groups that follow it now, and those that will."""
        if self.lease_s:
            self._until[leader] = now + self.lease_s

    def leaves(self, group: int, leader: str) -> None:
        """The group follows it no more."""
        until = max(self._until.get(leader, NEVER), self._left.get(group, NEVER))
        if until > NEVER:
            self._left[group] = until

    def until(self, group: int, leader: str | None) -> float:
        """Seconds: when it may help to elect another leader of a group that follows this one."""
        if not self.lease_s:
            return NEVER
        current = NEVER if leader is None else self._until.get(leader, NEVER)
        return max(self._since_start, current, self._left.get(group, NEVER))


def relied_on(asked_at: float, promised_s: float) -> float:
    """Until when a leader relies on a promise that echoes what it asked then."""
    return asked_at + TRUSTED * promised_s if promised_s else NEVER
