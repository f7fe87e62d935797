"""CLIENT PAUSE: for how long which commands of this slave's clients do not begin.  Pure.

What was under way goes on.  Commands wait in their connections, in their order, and a connection
from which one waits is not read any further, so what waits is bounded.  As in Redis a second pause
adds to the first: the later end and the larger part of the commands rule, until both are over.

Of a cluster it is this slave's own clients that wait, wherever their keys are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from distrodb.commands.api import SessionApi
from distrodb.commands.command import MAY_REPLICATE, Command


@dataclass(frozen=True, slots=True)
class Pause:
    until: float  # seconds
    is_of_writes: bool  # others go on

    def holds(self, row: Command | None) -> bool:
        """Whether this command waits; None: what is no command is answered."""
        if not self.is_of_writes:
            return True
        if row is None:
            return False
        return row.is_write or row.name in MAY_REPLICATE or row.name == "exec"

    def joined(self, other: "Pause") -> "Pause":
        return Pause(max(self.until, other.until), self.is_of_writes and other.is_of_writes)


class Pausing:
    def __init__(
        self,
        now: Callable[[], float],
        later: Callable[[float, Callable[[], None]], None],
        sessions: Mapping[int, SessionApi],
    ):
        """``later``: call something after so many seconds."""
        self.pause: Pause | None = None
        self._now, self._later, self._sessions = now, later, sessions

    def begin(self, seconds: float, is_of_writes: bool) -> None:
        if seconds <= 0:
            return
        added, pause = Pause(self._now() + seconds, is_of_writes), self.pause
        self.pause = added if pause is None else pause.joined(added)
        self._later(seconds, self._look)

    def end(self) -> None:
        self.pause = None
        for session in self._sessions.values():
            if not session.wants_input:
                session.wake()

    def _look(self) -> None:
        if self.pause is not None and self._now() >= self.pause.until:
            self.end()
