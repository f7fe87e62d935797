"""Clients' commands that wait in one group, in the order in which they came.  Pure.

What always holds: no more than ``queue_max`` commands and about ``queue_bytes_max`` bytes wait, in
bursts or not; what has no room is answered at once, and surely has not happened.  A burst that has
no room as a whole is taken apart, so that its first commands may have.
"""

from collections import deque
from collections.abc import Iterable

from distrodb.keyspace.origins import NoReply
from distrodb.raft.interfaces import Burst, GroupOptions, Marked, Request
from distrodb.resp.reply import error


class RequestQueue(deque[Request | Burst]):
    """Nobody adds to it or takes from it but by these methods."""

    def __init__(self, group: int, options: GroupOptions):
        super().__init__()
        self._group, self._options = group, options
        self._in_bursts = 0  # commands beyond one for each element
        self._bytes = 0
        self.writes = 0  # commands that write

    def submit(self, request: Request) -> None:
        options, waiting = self._options, len(self) + self._in_bursts
        if waiting >= options.queue_max or self._bytes >= options.queue_bytes_max:
            if isinstance(request, Marked):
                request.fail(NoReply.NOT_DONE)
                return
            request.resolve(
                error("TRYAGAIN", f"partition {self._group} has {waiting} commands waiting")
            )
            return
        self.append(request)
        self._bytes += request.size
        self.writes += request.is_write

    def submit_burst(self, burst: Burst) -> None:
        options, count = self._options, len(burst.commands)
        waiting, size = len(self) + self._in_bursts + count, self._bytes + burst.size
        if waiting > options.queue_max or size > options.queue_bytes_max:
            for request in burst.singles():
                self.submit(request)
            return
        self.append(burst)
        self._in_bursts += count - 1
        self._bytes += burst.size
        self.writes += len(burst.writes)

    def drop_first(self) -> None:
        """It does not wait any more."""
        first = self.popleft()
        self._bytes -= first.size
        if isinstance(first, Burst):
            self._in_bursts -= len(first.commands) - 1
            self.writes -= len(first.writes)
        else:
            self.writes -= first.is_write

    def take_all(self) -> list[Request | Burst]:
        taken = list(self)
        self.clear()
        self._bytes = self._in_bursts = self.writes = 0
        return taken


def singles(requests: Iterable[Request | Burst]) -> list[Request]:
    """Each command by itself."""
    each: list[Request] = []
    for request in requests:
        if isinstance(request, Burst):
            each += request.singles()
        else:
            each.append(request)
    return each
