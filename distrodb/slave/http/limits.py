"""What all HTTP connections of a slave may take together.  Pure: the clock is an argument."""

CONNECTIONS_MAX = 64  # beyond, one that waits for its next request goes, else the new one does
# Seconds of a connection, then it is closed: between two requests (Prometheus asks each 15 to 60),
# for the rest of a request, and for a client to take its answer.
IDLE_S, HEAD_S, TAKE_S = 75.0, 10.0, 20.0
REQUESTS_PER_S = 200  # each takes a third of a millisecond, about
REQUESTS_AT_ONCE = 50
REQUESTS_A_TURN = 4  # of the loop


class Rate:
    """So many a second, requests unless others are meant; some are saved up."""

    def __init__(
        self, now: float, per_s: float = REQUESTS_PER_S, at_once: float = REQUESTS_AT_ONCE
    ):
        self._per_s, self._at_once = per_s, at_once
        self._at, self._left = now, float(at_once)

    def has(self, now: float) -> bool:
        """One is left for now."""
        saved = self._left + (now - self._at) * self._per_s
        self._left, self._at = min(saved, float(self._at_once)), now
        return self._left >= 1

    def take(self, now: float) -> bool:
        """One of them; False when none is left for now."""
        if not self.has(now):
            return False
        self._left -= 1
        return True
