"""This process, as sessions may ask of it: its clocks, its memory, its end."""

import os
import resource
import signal
from collections.abc import Callable

from distrodb.clock import monotonic, wall_us

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class OwnProcess:
    def __init__(
        self, stop: Callable[[], None], later: Callable[[float, Callable[[], None]], None]
    ):
        """``later``: call something after so many seconds."""
        self.id = os.getpid()
        self.stop, self.later = stop, later
        self._started_at = monotonic()

    def now(self) -> float:
        """Seconds, as ``monotonic`` has them."""
        return monotonic()

    def wall_us(self) -> int:
        """Microseconds since the epoch."""
        return wall_us()

    def uptime_s(self) -> int:
        return int(monotonic() - self._started_at)

    def memory_bytes(self) -> int:
        """What the process holds in memory now; 0 where the system does not tell."""
        try:
            with open("/proc/self/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * PAGE_BYTES
        except (OSError, ValueError, IndexError):
            return 0

    def memory_peak_bytes(self) -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def memory_of_machine_bytes(self) -> int:
        return os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES

    def cpu_s(self) -> tuple[float, float]:
        """Seconds of CPU time: the system's for this process, and its own."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_stime, used.ru_utime

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def kill(self) -> None:
        os.kill(self.id, signal.SIGKILL)
