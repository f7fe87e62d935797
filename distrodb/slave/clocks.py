"""The machine's clock beside the one that never goes back, and how far the others' are from ours.
Pure: both clocks come in.

Each gossip carries what the sender's clock says.  A message that waited somewhere, or a slave that
stood still, makes a clock look slow, and never fast; so of the last few differences the one nearest
to 0 counts, and nothing is said before a few have come.
"""

from collections import deque

KEPT, ENOUGH = 8, 3  # gossips of a peer
LEAP_MS = 2000  # between two looks at both clocks; less is a clock that is being set right


class Clocks:
    def __init__(self) -> None:
        self._ahead_ms: float | None = None  # the machine's clock, of the one that never goes back
        self._skews: dict[str, deque[int]] = {}
        self.leapt_ms = 0  # since it was looked at; taken by ``take_leap``

    def look(self, now: float, wall_ms: int) -> None:
        """What both say."""
        ahead_ms = wall_ms - 1000 * now
        before, self._ahead_ms = self._ahead_ms, ahead_ms
        if before is not None and abs(ahead_ms - before) > LEAP_MS:
            self.leapt_ms += round(ahead_ms - before)
            self._skews.clear()

    def wall_ms(self, now: float) -> int:
        """What the machine's clock says then, about; 0 if that is not known."""
        return 0 if self._ahead_ms is None else max(0, round(self._ahead_ms + 1000 * now))

    def heard(self, now: float, peer: str, wall_ms: int) -> None:
        """A gossip has come, that left when the peer's clock said this; 0: it does not tell."""
        if wall_ms and self._ahead_ms is not None:
            skews = self._skews.setdefault(peer, deque(maxlen=KEPT))
            skews.append(wall_ms - self.wall_ms(now))

    def lost(self, peer: str) -> None:
        self._skews.pop(peer, None)

    def skews_ms(self) -> dict[str, int]:
        """By how much the clock of each peer is ahead of ours."""
        known = {peer: skews for peer, skews in self._skews.items() if len(skews) >= ENOUGH}
        return {peer: min(skews, key=abs) for peer, skews in known.items()}

    def take_leap(self) -> int:
        """Milliseconds by which the machine's clock has leapt; 0: it has not."""
        leapt, self.leapt_ms = self.leapt_ms, 0
        return leapt
