"""Which clients have been silent, or have left a command half sent, for too long.  Pure: the clock
is an argument.

Silence (``timeout_s``, as Redis' ``timeout``) does not count while a command of the client is under
way, nor for who waits for what is pushed (``Session.may_be_silent``: subscribers, MONITOR).
A half command (``half_command_s``) is timed from the look that first sees it, and only while the
slave reads from that client; another half command of the same client is timed anew.
"""

from collections.abc import Iterable
from typing import Protocol

from distrodb.config import LimitsConfig
from distrodb.slave.client_input import ClientInput
from distrodb.slave.replies import Replies

# Between two looks.  When a client was heard is known as finely as that, so it gets so much longer:
# nobody is closed too early.
LOOK_S = 1.0


class Client(Protocol):
    heard_at: float

    @property
    def id(self) -> int: ...

    @property
    def may_be_silent(self) -> bool: ...

    @property
    def input(self) -> ClientInput: ...

    @property
    def replies(self) -> Replies: ...


class Overdue:
    def __init__(self) -> None:
        self._half: dict[int, tuple[int, float]] = {}  # by client: which one, and seen since

    def look(
        self, now: float, clients: Iterable[Client], limits: LimitsConfig
    ) -> list[tuple[int, str]]:
        """The ids of those that are to be closed, and why."""
        timeout_s, half_s = limits.timeout_s, limits.half_command_s
        found: list[tuple[int, str]] = []
        before, self._half = self._half, {}
        for client in clients:
            number = client.input.half_command
            if number:
                known = before.get(client.id)
                since = known[1] if known is not None and known[0] == number else now
                self._half[client.id] = number, since
                if half_s and now - since > half_s:
                    found.append((client.id, f"half a command for {half_s} s (half_command_s)"))
                    continue
            if timeout_s and now - client.heard_at > timeout_s + LOOK_S:
                if not (client.replies.unanswered or client.may_be_silent):
                    found.append((client.id, f"silent for {timeout_s} s (timeout_s)"))
        return found
