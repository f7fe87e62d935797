"""How often something may happen.  Pure: the clock is an argument."""


class Rate:
    """So many a second; ``at_once`` are saved up at most."""

    def __init__(self, now: float, per_s: float, at_once: float):
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
