"""What systemd is told by a slave that it has started (``Type=notify``): that it is ready, that it
ends, and, where it asks for that, that the event loop still turns.  Elsewhere nothing is told.

Lines of text in a datagram, by the protocol of sd_notify(3).  Nothing waits for it, and one that
is lost or refused is no fault of the slave.
"""

import contextlib
import os
import socket
from collections.abc import Mapping


class ServiceManager:
    def __init__(self, environment: Mapping[str, str] = os.environ, pid: int = os.getpid()):
        """``pid``: this process, which must be the one that is watched."""
        place = environment.get("NOTIFY_SOCKET", "")
        # "@" stands for the NUL of an abstract name.
        self._place = "\0" + place[1:] if place.startswith("@") else place
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if place else None
        if self._socket is not None:
            self._socket.setblocking(False)
        watched, whom = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        is_asked = watched.isdecimal() and whom in ("", str(pid))
        # Seconds between two signs of life: a third of what is allowed.  0: none are wanted.
        self._every_s = int(watched) / 3e6 if is_asked else 0.0
        self._next_at = 0.0

    def ready(self) -> None:
        """It listens.  Whether its cluster is there is another question: the machines of one start
        one after another."""
        self._tell("READY=1\nSTATUS=serves")

    def stopping(self) -> None:
        self._tell("STOPPING=1\nSTATUS=hands leadership over")

    def beat(self, now: float) -> None:
        """The loop turns; ``now``: in seconds, monotonic."""
        if self._every_s and now >= self._next_at:
            self._next_at = now + self._every_s
            self._tell("WATCHDOG=1")

    def _tell(self, words: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(words.encode(), self._place)
