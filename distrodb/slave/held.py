"""Commands for a partition that has no leader at the moment: they wait for the next one.

An election takes some ten milliseconds when a link breaks; a client that is told CLUSTERDOWN waits
longer than that before it asks again.  So its commands are held here, and go on when there is a
leader.  When there is none within ``HOLD_S`` all of them are answered, and from then on each at
once, until there is one.

Invariant: what is held was never proposed, so whoever waits may be answered with a retryable error.
"""

from collections import deque
from collections.abc import Callable

from distrodb.raft.interfaces import Request

HOLD_S = 0.4  # an election after a broken link with a split vote; silence takes longer to notice
HELD_MAX = 10_000  # commands of one partition: they wait in memory


class Held:
    def __init__(self) -> None:
        self._requests: dict[int, deque[Request]] = {}
        self._since: dict[int, float] = {}  # partition: since when it has no leader

    def take(self, now: float, partition: int, request: Request) -> bool:
        """Keep a command that cannot be served; False when it must be answered now."""
        since = self._since.setdefault(partition, now)
        waiting = self._requests.setdefault(partition, deque())
        if now - since >= HOLD_S or len(waiting) >= HELD_MAX:
            return False
        waiting.append(request)
        return True

    def release(
        self, now: float, has_leader: Callable[[int], bool], go_on: Callable[[int, Request], None]
    ) -> None:
        """Let go on what has a leader again, or has waited for too long."""
        for partition, since in list(self._since.items()):
            is_led = has_leader(partition)
            if is_led or now - since >= HOLD_S:
                for request in self._requests.pop(partition, ()):
                    go_on(partition, request)
            if is_led:
                del self._since[partition]

    @property
    def is_empty(self) -> bool:
        return not self._since
