"""Commands for a partition that has no leader at the moment: they wait for the next one.

An election takes some ten milliseconds when a link breaks, longer where disks are slow or votes
split.  A client that is told CLUSTERDOWN waits longer than the first before it asks again, and many
do not ask again at all.  So its commands wait here, and go on when there is a leader.  When there
is none in time all of them go on too, to be answered, and from then on each at once, until there is
one.

What always holds: what waits was never proposed, so whoever waits may be answered with a retryable
error; commands of one partition go on in the order in which they came, so a new one must not pass
those that still wait (``commands``).  Time counts from the first ``release`` after a command came.
What waits is bounded in bytes; beyond that a command is answered at once.  That of a connection
that ends meanwhile goes on like all others: its client may have sent it and left.
"""

import math
from collections import deque
from collections.abc import Callable

WAITING_BYTES_MAX = 64 << 20  # of all partitions: values may be large
EACH_BYTES = 512  # that one takes beside its arguments' bytes, about: objects, and its place here
# Stands for all partitions that this slave holds, together: commands on all of them wait for it.
ALL_HELD = -1

GoOn = Callable[[], None]


class Waiting:
    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        # By partitions without a leader, as far as is known: bytes, what then.
        self.commands: dict[int, deque[tuple[int, GoOn]]] = {}
        self._since: dict[int, float] = {}  # partition: since when commands wait for its leader
        self._given_up: set[int] = set()  # partitions without one for too long
        self._bytes = 0
        # Seconds: when ``release`` is to be called next though no leader has changed.
        self.next_due = math.inf

    def take(self, partition: int, size: int, go_on: GoOn) -> bool:
        """Keep a command of so many bytes, which cannot be served now; ``release`` gives ``go_on``.
        False when it must be answered at once."""
        waiting = self.commands.setdefault(partition, deque())
        if partition in self._given_up or self._bytes >= WAITING_BYTES_MAX:
            return False
        if partition not in self._since:
            self.next_due = -math.inf  # it has just come
        waiting.append((size + EACH_BYTES, go_on))
        self._bytes += size + EACH_BYTES
        return True

    def release(self, now: float, has_leader: Callable[[int], bool]) -> list[GoOn]:
        """Let go those that have a leader again, or have waited for too long.  Call it too when
        leaders have changed."""
        released: list[GoOn] = []
        for partition in list(self.commands):
            is_led = has_leader(partition)
            if not is_led and partition in self._given_up:
                continue
            since = self._since.setdefault(partition, now)
            if not is_led and now < since + self._wait_s:
                continue
            waiting = self.commands[partition]
            self._bytes -= sum(size for size, _ in waiting)
            released += [go_on for _, go_on in waiting]
            waiting.clear()
            del self._since[partition]
            if is_led:
                del self.commands[partition]
                self._given_up.discard(partition)
            else:
                self._given_up.add(partition)
        self.next_due = min(self._since.values(), default=math.inf) + self._wait_s
        return released
