"""What a slave counts of its clients and their commands, for INFO.  Pure: the clock is an argument.

A command costs one increment here (``calls``); bytes are counted a read and a write of a socket.
Rates are those between the last few samples (``sample``), which are taken some times a second.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence

from distrodb.commands.command import Command
from distrodb.resp.reply import ErrorReply

SAMPLES = 16  # as in Redis: some seconds
ERROR_CODES_MAX = 128  # of which the number is kept, as in Redis


class Statistics:
    def __init__(self) -> None:
        self.calls: defaultdict[str, int] = defaultdict(int)  # that began, by their rows' names
        self.rejected: Counter[str] = Counter()  # of a wrong number of words
        self.failed: Counter[str] = Counter()  # answered with an error
        self.errors: Counter[str] = Counter()  # by code
        self.clear()

    def clear(self) -> None:
        """CONFIG RESETSTAT."""
        for counter in (self.calls, self.rejected, self.failed, self.errors):
            counter.clear()
        self.connections = self.refused = 0  # clients that came; those beyond connections_max
        self.evicted = 0  # closed since all together held too much
        self.overdue = 0  # closed since they were silent, or half through a command, for too long
        self.input_bytes = self.output_bytes = 0  # of clients
        self.reads = self.writes = 0  # of their sockets
        self.misses = 0  # of connections that are closed
        self._samples: deque[tuple[float, int, int, int]] = deque(maxlen=SAMPLES)

    def count_error(self, row: Command | None, args: Sequence[bytes], reply: ErrorReply) -> None:
        """``row``: of a command that began."""
        if reply.code in self.errors or len(self.errors) < ERROR_CODES_MAX:
            self.errors[reply.code] += 1
        found = None if row is None else row.subcommand(args)
        if found is not None:
            self.failed[found.name] += 1

    @property
    def commands(self) -> int:
        return sum(self.calls.values())

    def sample(self, now: float) -> None:
        self._samples.append((now, self.commands, self.input_bytes, self.output_bytes))

    def rates(self) -> tuple[float, float, float]:
        """Commands, bytes in and bytes out a second."""
        if len(self._samples) < 2:
            return 0.0, 0.0, 0.0
        began, ended = self._samples[0], self._samples[-1]
        seconds = max(ended[0] - began[0], 1e-3)
        commands, came, went = (ended[i] - began[i] for i in (1, 2, 3))
        return commands / seconds, came / seconds, went / seconds
