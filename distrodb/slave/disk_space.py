"""How much room there is where a slave's directory is.

It is asked of the system by one of the slave's threads, since a disk that hangs may not answer;
``begin`` is called often, and asks again only when the last answer has come and is old.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from distrodb.clock import monotonic

EVERY_S = 10.0


class DiskSpace:
    def __init__(self, directory: Path, give: Callable[[Callable[[], Callable[[], None]]], None]):
        """``give``: have it run by a thread, and what it returns by the loop."""
        self._directory, self._give = directory, give
        self.free_and_total = 0, 0  # bytes; 0: not known yet
        self._due: float | None = 0.0  # seconds; None: it is asked for

    def begin(self) -> None:
        if self._due is not None and monotonic() >= self._due:
            self._due = None
            self._give(self._ask)

    def _ask(self) -> Callable[[], None]:
        try:
            usage = shutil.disk_usage(self._directory)
            found = usage.free, usage.used + usage.free  # without what only root may use
        except OSError:
            found = 0, 0
        return lambda: self._have(found)

    def _have(self, found: tuple[int, int]) -> None:
        self.free_and_total, self._due = found, monotonic() + EVERY_S
