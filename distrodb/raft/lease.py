"""Whether a leader may read without asking: enough voters have promised to elect nobody else.

What promises are, and the assumption under which they hold, is said in slave/leases.py.  Here they
are counted as votes are: this leader and as many others as make a majority.
"""

from distrodb.raft.state import MemberState

RENEW_S = 0.04  # left of what is relied on when new promises are asked for: half of it


class Lease:
    def __init__(self, state: MemberState):
        self._state = state
        self._forgone_in = 0  # the term in which it is of no use

    def holds(self) -> bool:
        """Nobody else leads now; new promises are asked for in time."""
        state = self._state
        pulse = state.pulse
        if pulse is None or not pulse.uses_leases:
            return False
        if not state.voters or self._forgone_in == state.term:
            return False
        untils = [pulse.leased_until(v, state.group, state.term) for v in state.voters]
        left_s = sorted(untils, reverse=True)[state.majority - 2] - state.now
        if 0.0 < left_s < RENEW_S:
            pulse.ask(state.voters)
        return left_s > 0.0

    def forgo(self) -> None:
        """Another is told to take over: those who have promised vote for it all the same, now or
        when that order reaches it at last."""
        self._forgone_in = self._state.term
