"""How long commands execute, for SLOWLOG, LATENCY and the times in INFO.

The handlers of rows are wrapped: all that the slave itself answers, and of those on data what Redis
does not call ``fast``, since only that can keep others waiting.  The rest, and SET, which takes
constant time too, is not timed: two looks at the clock would cost it more than they tell.

What always holds: a handler's time is looked at and never used, so what it does is not changed.

Caveat: a command on data is timed on every copy of its partition.  Who asked for it is known where
its client is; elsewhere the log shows no address.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distrodb.commands.command import Command
from distrodb.commands.latency import Latency
from distrodb.commands.monitor import without_secrets
from distrodb.commands.powers import Powers
from distrodb.commands.slow_log import SlowLog
from distrodb.slave.runtime_settings import RuntimeSettings

NOT_TIMED = {"set"}

Clock = Callable[[], float]  # seconds
WhoAsked = Callable[[Sequence[bytes]], tuple[str, bytes]]  # a client's address and name


class Timing:
    def __init__(self, clock: Clock, wall_us: Callable[[], int], settings: RuntimeSettings):
        """``wall_us``: microseconds since the epoch."""
        self._clock, self._wall_us, self.settings = clock, wall_us, settings
        self._beat_is_due = math.inf  # seconds
        self.rows: dict[str, Command] = {}  # all that are known, by their names
        self.slow_log, self.latency = SlowLog(), Latency()
        self.times: dict[str, Powers] = {}  # microseconds, by the command's name
        # Microseconds: of syncs of the disk, and by how much the event loop was late.
        self.sync_us, self.late_us = Powers(), Powers()
        self.who_asked: WhoAsked = lambda args: ("", b"")

    def table(self, table: Mapping[bytes, Command]) -> dict[bytes, Command]:
        """The same commands, timed."""
        return {name: self._timed(row) for name, row in table.items()}

    def note(self, kind: str, took_s: float) -> None:
        """Something that LATENCY tells of took so long."""
        threshold_ms = self.settings.latency_threshold_ms
        if threshold_ms and took_s * 1000 >= threshold_ms:
            self.latency.note(kind, self._wall_us() // 1_000_000, took_s)

    def synced(self, took_s: float) -> None:
        """A write set is on disk."""
        self.sync_us.add(int(took_s * 1e6))
        self.note("disk-sync", took_s)

    def beat(self, next_s: float) -> None:
        """Called regularly by the event loop: what is late was kept from it."""
        now = self._clock()
        late_s = now - self._beat_is_due
        self.note("event-loop", late_s)
        if late_s > -math.inf:
            self.late_us.add(int(max(0.0, late_s) * 1e6))
        self._beat_is_due = now + next_s

    def _timed(self, row: Command) -> Command:
        self.rows[row.name] = row
        if row.subcommands:
            rows = {word: self._timed(each) for word, each in row.subcommands.items()}
            return dataclasses.replace(row, subcommands=rows)
        is_constant = "fast" in row.flags or row.name in NOT_TIMED
        if row.scope != "session" and is_constant:
            return row
        return dataclasses.replace(row, handler=self._timer(row))

    def _timer(self, row: Command) -> Callable[..., Any]:
        is_of_session = row.scope == "session"
        clock, handler, name, settings = self._clock, row.handler, row.name, self.settings

        def timed(state: Any, args: Sequence[bytes], *rest: Any) -> Any:
            began = clock()
            reply = handler(state, args, *rest)
            took_s = clock() - began
            times = self.times.get(name)
            if times is None:
                times = self.times[name] = Powers()
            times.add(int(took_s * 1e6))
            if took_s >= settings.slow_s:
                client = (state.address, state.name) if is_of_session else self.who_asked(args)
                self._note_slow(took_s, args, client)
            return reply

        return timed

    def _note_slow(self, took_s: float, args: Sequence[bytes], client: tuple[str, bytes]) -> None:
        settings, took_us = self.settings, int(took_s * 1e6)
        self.note("command", took_s)
        if 0 <= settings.slow_log_us <= took_us and settings.slow_log_max:
            at_s, words = self._wall_us() // 1_000_000, without_secrets(args)
            self.slow_log.add(at_s, took_us, words, client, settings.slow_log_max)
