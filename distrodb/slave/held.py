"""Commands for a partition that has no leader at the moment: they wait for the next one.

An election takes some ten milliseconds when a link breaks; a client that is told CLUSTERDOWN waits
longer than that before it asks again.  So its commands are held here, and go on when there is a
leader.  When there is none within ``HOLD_S`` all of them are answered, and from then on each at
once, until there is one.

Invariants: what is held was never proposed, so whoever waits may be answered with a retryable
error; commands of one partition go on in the order in which they came, so a new one must not pass
those that still wait (``has``).
"""

from collections import deque
from collections.abc import Callable

from distrodb.raft.interfaces import Request

HOLD_S = 0.4  # an election after a broken link with a split vote; silence takes longer to notice
HELD_MAX = 10_000  # commands of one partition: they wait in memory
HELD_BYTES_MAX = 64 << 20  # of all partitions: values may be large


class Held:
    def __init__(self) -> None:
        self._requests: dict[int, deque[Request]] = {}
        self._since: dict[int, float] = {}  # partition: since when it has no leader
        self._bytes = 0

    def take(self, now: float, partition: int, request: Request) -> bool:
        """Keep a command that cannot be served; False when it must be answered now."""
        since = self._since.setdefault(partition, now)
        waiting = self._requests.setdefault(partition, deque())
        is_full = len(waiting) >= HELD_MAX or self._bytes >= HELD_BYTES_MAX
        if now - since >= HOLD_S or is_full:
            return False
        waiting.append(request)
        self._bytes += request.size
        return True

    def has(self, partition: int) -> bool:
        """Commands for this partition wait."""
        return bool(self._requests.get(partition))

    def release(
        self, now: float, has_leader: Callable[[int], bool], go_on: Callable[[int, Request], None]
    ) -> None:
        """Let go on what has a leader again, or has waited for too long."""
        for partition, since in list(self._since.items()):
            is_led = has_leader(partition)
            if is_led or now - since >= HOLD_S:
                for request in self._requests.pop(partition, ()):
                    self._bytes -= request.size
                    go_on(partition, request)
            if is_led:
                del self._since[partition]

    @property
    def is_empty(self) -> bool:
        return not self._since
