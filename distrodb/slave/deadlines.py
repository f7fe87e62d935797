"""When what is due next: a heap of moments, one a key.  Pure.

So time costs a slave what is due, not what there is: a thousand groups that wait for nothing are
not looked at.

What always holds: a key is taken once its moment has passed, and then only when it is put again.
A moment that moves later, as a busy group's does with every message, costs no place in the heap:
the old one is found there when its time comes, and is exchanged for the new one.
"""

import heapq
import math


class Deadlines:
    def __init__(self) -> None:
        self._due: dict[int, float] = {}  # seconds of the caller's clock
        self._queued: dict[int, float] = {}  # the moment in the heap that stands for a key
        self._heap: list[tuple[float, int]] = []

    def put(self, key: int, due: float) -> None:
        """From now on this key is due then; ``math.inf`` is never."""
        self._due[key] = due
        if due < self._queued.get(key, math.inf):
            self._queue(key, due)

    def remove(self, key: int) -> None:
        self._due.pop(key, None)

    def take(self, now: float) -> list[int]:
        """The keys whose moment has passed."""
        taken = []
        while self.next_due < now:
            _, key = heapq.heappop(self._heap)
            del self._queued[key], self._due[key]
            taken.append(key)
        return taken

    @property
    def next_due(self) -> float:
        """Seconds: when the first one is due; ``math.inf`` if nothing is."""
        heap = self._heap
        while heap:
            at, key = heap[0]
            due = self._due.get(key, math.inf)
            if self._queued.get(key) == at == due:
                return at
            heapq.heappop(heap)
            if self._queued.get(key) == at:
                del self._queued[key]
                if due < math.inf:
                    self._queue(key, due)
        return math.inf

    def _queue(self, key: int, due: float) -> None:
        self._queued[key] = due
        heapq.heappush(self._heap, (due, key))
