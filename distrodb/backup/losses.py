"""What the directories that are left of a cluster have of a partition, and what may be lost.  Pure.

A copy's position is (term, index) of its newest entry.  What always holds, by Raft's own argument
(thesis 3.6.3): among a majority of a group's members the copy with the highest position has every
entry that was ever committed.  So where a majority is left nothing that was acknowledged is
missing.  Who the members are is said by the newest membership in that copy: a later one that was
committed would be in it too.  Where less is left, the highest of what is left is the best there is.

It relies on the directories being whole and the newest of their slaves: one that is an older copy
of itself has forgotten what it acknowledged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from distrodb.ring.clustermap import node_of


@dataclass(frozen=True, slots=True)
class Copy:
    """One directory's, of one partition."""

    holder: str  # the member: slave and incarnation
    position: tuple[int, int]  # of the newest entry: term, index
    members: tuple[str, ...]  # of the group, by the newest membership in the log


@dataclass(frozen=True, slots=True)
class Verdict:
    best: Copy | None  # None: there is no copy
    here: tuple[str, ...] = ()  # slaves, members of the group
    missing: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """A majority of the members is here: nothing that was acknowledged is missing."""
        return len(self.here) > len(self.missing)


def judge(copies: Sequence[Copy]) -> Verdict:
    if not copies:
        return Verdict(None)
    best = max(copies, key=lambda copy: copy.position)
    holders = {copy.holder for copy in copies}
    here = tuple(node_of(each) for each in best.members if each in holders)
    missing = tuple(node_of(each) for each in best.members if each not in holders)
    return Verdict(best, here, missing)
