"""What the parts of one Raft member share: its term and role, its log, whom it knows.

``Elections``, ``Replication`` and ``Membership`` stand beside each other and each get this; what
one of them alone needs it keeps for itself.  Nothing here decides anything.
"""

import random

from distrodb.raft import messages as m
from distrodb.raft.library import Library
from distrodb.raft.log import Log
from distrodb.raft.outbox import Outbox
from distrodb.raft.progress import Progress
from distrodb.raft.pulse import Pulse


class MemberState:
    def __init__(
        self,
        now: float,
        group: int,
        name: str,
        log: Log,
        outbox: Outbox,
        generator: random.Random,
        pulse: Pulse | None,
    ):
        self.now = now  # seconds of the caller's clock, of the call that is under way
        self.group, self.name, self.log = group, name, log
        self.outbox, self.generator, self.pulse = outbox, generator, pulse
        self.library: Library  # set by the member, whose hooks it calls
        self.voters: tuple[str, ...] = ()  # the other members
        self.is_named = False  # this one is a member by the configuration in force
        self.followers: dict[str, Progress] = {}  # of a leader: voters, then learners
        self.connected: set[str] = set()  # members whose slaves are linked with ours

    @property
    def term(self) -> int:
        return self.library.term

    @property
    def is_leader(self) -> bool:
        return self.library.is_leader

    @property
    def is_ready(self) -> bool:
        """Leads, and an entry of its own term is applied: may read and propose (thesis 6.4)."""
        library = self.library
        return library.is_leader and library.applied_index >= library.first_index_of_term

    @property
    def is_member(self) -> bool:
        return self.is_named and self.log.may_vote

    @property
    def majority(self) -> int:
        return (len(self.voters) + 1) // 2 + 1

    @property
    def has_promised(self) -> bool:
        """This slave has promised the group's leader to help elect no other for now (pulse.py)."""
        return self.pulse is not None and self.now <= self.pulse.promised_until(self.group)

    def emit(self, peer: str, kind: int, *fields: object, gate: int = 0) -> None:
        self.outbox.messages.append((peer, [self.group, kind, *fields], gate))

    def emit_gated(self, peer: str, kind: int, *fields: object) -> None:
        """A message that speaks of this member's state: not before that is on disk."""
        self.emit(peer, kind, *fields, gate=self.log.gate())

    def changed(self) -> None:
        self.outbox.changed.add(self.group)

    def tell_newer_term(self, peer: str) -> None:
        """Cures: a leader of an old term is never told."""
        self.emit_gated(peer, m.STALE, self.term)

    def enter_term(self, term: int) -> None:
        """Somebody is in this term; if it is newer than ours, so are we, as a follower."""
        if term > self.term:
            self.library.enter_term(term)
            self.changed()

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.generator.random()
