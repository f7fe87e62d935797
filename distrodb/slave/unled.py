"""For how long partitions that this slave holds have had no leader, as it looks a few times a
second.  Pure: the clock is an argument.

Caveat: what lasts less than the time between two looks may be missed, or seem to have lasted none.
"""

from collections.abc import Iterable


class Unled:
    def __init__(self) -> None:
        self._since: dict[int, float] = {}  # partition: when it was first seen without one

    @property
    def is_waiting(self) -> bool:
        """Some have none."""
        return bool(self._since)

    def look(self, now: float, leaderless: Iterable[int]) -> list[float]:
        """Seconds: how long those took that have a leader again."""
        unled = set(leaderless)
        ended = [now - since for id_, since in self._since.items() if id_ not in unled]
        self._since = {id_: self._since.get(id_, now) for id_ in unled}
        return ended
