"""What a host's name means now: asked of the system anew for each dial.

The system's call blocks, for half a minute and more if a name server is silent.  In the loop's own
few threads it would keep the lookups of all other names waiting; so each runs in a thread of its
own.

What always holds: of one name there is one lookup at a time.  Who asks meanwhile waits for it, so a
name server that is slower than a dial's patience is heard all the same, at a later dial; and a name
that hangs takes one thread.  Those threads do not keep the process alive.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from threading import Thread
from typing import Any

Rows = list[tuple[Any, ...]]  # as of ``socket.getaddrinfo``


class Lookups:
    def __init__(self, ask: Callable[..., Rows] = socket.getaddrinfo):
        self._ask = ask
        self._under_way: dict[tuple[str, int], asyncio.Future[Rows]] = {}

    async def find(self, host: str, port: int) -> Rows:
        """Raises ``OSError``, and what else the system's call does for what is no name."""
        with contextlib.suppress(OSError):  # else it is a name
            flags = socket.AI_NUMERICHOST
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
        found = self._under_way.get((host, port)) or self._begin(host, port)
        return await asyncio.shield(found)

    def _begin(self, host: str, port: int) -> "asyncio.Future[Rows]":
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Rows] = loop.create_future()
        self._under_way[host, port] = found

        def ended(rows: Rows | None, problem: Exception | None) -> None:
            del self._under_way[host, port]
            if problem is None:
                found.set_result(rows or [])
            else:
                found.set_exception(problem)
                found.exception()  # nobody may be waiting for it any more

        def run() -> None:
            rows, problem = None, None
            try:
                rows = self._ask(host, port, type=socket.SOCK_STREAM)
            except Exception as error:  # handed on to whoever asked
                problem = error
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(ended, rows, problem)

        Thread(target=run, name="lookup", daemon=True).start()
        return found
