"""What a member may learn of its group without a message of the group itself.

Two slaves exchange one heartbeat for all the groups that they share; it says for each group, by its
term, that its leader still leads it, and that its followers still follow.  A quiet group sends no
heartbeats of its own then, and the reads of all groups are confirmed by one exchange.  ``Pulse`` is
what a member asks; slave/heartbeats.py answers.
"""

import math
from collections.abc import Iterable
from typing import Protocol

NEVER = -math.inf


class Pulse(Protocol):
    def heard_at(self, leader: str, group: int, term: int) -> float:
        """When this leader was last known to lead the group in this term; ``NEVER`` if it was not.
        Seconds of the clock that comes in with each call."""

    def answered_at(self, voter: str, group: int, term: int) -> float:
        """When the newest heartbeat was sent whose answer shows that this member followed us in
        this term; ``NEVER`` if none does."""

    def ask(self, voters: Iterable[str]) -> int:
        """Ask these at the end of the turn whom they follow; the number of the question.  What is
        lost is asked again with the next heartbeat."""

    @property
    def uses_leases(self) -> bool: ...  # else nothing is promised or relied on

    def leased_until(self, voter: str, group: int, term: int) -> float:
        """Until when it helps to elect no other leader of this group, by our own clock; ``NEVER``
        if it has promised nothing.  Seconds."""

    def promised_until(self, group: int) -> float:
        """Seconds: until when this slave itself helps to elect no other; ``NEVER`` for no
        promise."""

    def confirmed(self, voter: str, group: int, term: int) -> int:
        """The newest question whose answer shows that this member followed us in this term when it
        had come there; 0 if none does."""
