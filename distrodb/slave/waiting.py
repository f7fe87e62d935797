"""Commands for a partition that has no leader at the moment: they wait for the next one.

An election takes some ten milliseconds when a link breaks; a client that is told CLUSTERDOWN waits
longer than that before it asks again.  So its commands wait here, and go on when there is a
leader.  When there is none within ``WAIT_S`` all of them are answered, and from then on each at
once, until there is one.

What always holds: what waits was never proposed, so whoever waits may be answered with a retryable
error; commands of one partition go on in the order in which they came, so a new one must not pass
those that still wait (``has``).  Time counts from the first ``release`` after a command came.
"""

import math
from collections import deque
from collections.abc import Callable

from distrodb.raft.interfaces import Request

WAIT_S = 0.4  # an election after a broken link with a split vote; silence takes longer to notice
WAITING_MAX = 10_000  # commands of one partition: they wait in memory
WAITING_BYTES_MAX = 64 << 20  # of all partitions: values may be large


class Waiting:
    def __init__(self) -> None:
        self._requests: dict[int, deque[Request]] = {}
        self._since: dict[int, float] = {}  # partition: since when commands wait for its leader
        self._given_up: set[int] = set()  # partitions without one for too long
        self._bytes = 0
        # Seconds: when ``release`` is to be called next though no leader has changed.
        self.next_due = math.inf

    def take(self, partition: int, request: Request) -> bool:
        """Keep a command that cannot be served; False when it must be answered now."""
        waiting = self._requests.setdefault(partition, deque())
        is_full = len(waiting) >= WAITING_MAX or self._bytes >= WAITING_BYTES_MAX
        if partition in self._given_up or is_full:
            return False
        if partition not in self._since:
            self.next_due = -math.inf  # it has just come
        waiting.append(request)
        self._bytes += request.size
        return True

    def has(self, partition: int) -> bool:
        """Commands for this partition wait."""
        return bool(self._requests.get(partition))

    def release(self, now: float, has_leader: Callable[[int], bool]) -> list[tuple[int, Request]]:
        """Let go, with their partitions, those that have a leader again, or have waited for too
        long.  Call it too when leaders have changed."""
        released: list[tuple[int, Request]] = []
        for partition in list(self._requests):
            is_led = has_leader(partition)
            if not is_led and partition in self._given_up:
                continue
            since = self._since.setdefault(partition, now)
            if not is_led and now < since + WAIT_S:
                continue
            requests = self._requests[partition]
            self._bytes -= sum(request.size for request in requests)
            released += [(partition, request) for request in requests]
            requests.clear()
            del self._since[partition]
            if is_led:
                del self._requests[partition]
                self._given_up.discard(partition)
            else:
                self._given_up.add(partition)
        self.next_due = min(self._since.values(), default=math.inf) + WAIT_S
        return released

    @property
    def is_empty(self) -> bool:
        """No partition is known to be without a leader."""
        return not self._requests
