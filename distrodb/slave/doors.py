"""Listening where connections come by TLS: the handshake stands before the connection.

asyncio's servers would do it too, but nobody counts a connection there before its handshake is
over, so who opens many and says nothing would take all the files that a slave may open, and the
disk would have none.  Here each is counted when it is accepted: ``may_enter`` says whether there is
room, and where there are too many strangers (of one address, or of all) the oldest goes, so that
those who say nothing drive out each other.

Each handshake takes the context that is there when it begins, so new certificates count from then
on, and connections that stand are left alone.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from distrodb.config import Address
from distrodb.slave.links.strangers import Strangers
from distrodb.slave.logging_limit import LimitedLog
from distrodb.slave.tls import reason

HANDSHAKE_S = 5.0  # a client far away needs some hundred milliseconds
PAUSE_S = 0.1  # until it is tried again when the system gives no file

log = LimitedLog("distrodb.tls")


class Guest:
    """One whose handshake is under way."""

    def __init__(self, system: socket.socket, host: str):
        self.system, self.host = system, host

    def send_away(self) -> None:
        """Its handshake fails at once."""
        with contextlib.suppress(OSError):
            self.system.shutdown(socket.SHUT_RDWR)


class Doors:
    def __init__(
        self,
        context: Callable[[], ssl.SSLContext],
        make: Callable[[], asyncio.Protocol],
        may_enter: Callable[[], bool] = lambda: True,
        strangers: Strangers[Guest] | None = None,
    ):
        """``make``: the protocol of a connection whose handshake is over."""
        self._context, self._make, self._may_enter = context, make, may_enter
        self._guests: Strangers[Guest] = Strangers() if strangers is None else strangers
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._guests)

    async def open(self, address: Address, backlog: int = 128) -> None:
        """Raises ``OSError`` if nobody can listen there."""
        loop = asyncio.get_running_loop()
        for system in await listening(address, backlog):
            self._sockets.append(system)
            self._keep(loop.create_task(self._accept(system)))

    def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        for system in self._sockets:
            system.close()
        for guest in self._guests:
            guest.send_away()

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, system: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, peer = await loop.sock_accept(system)
            except OSError as problem:
                log.say("accept_failed", problem=problem)
                await asyncio.sleep(PAUSE_S)
                continue
            if not self._may_enter():
                accepted.close()
                continue
            guest = Guest(accepted, str(peer[0]))
            victim = self._guests.admit(guest, guest.host)
            if victim is not None:
                log.say("tls_strangers", victim.host, host=victim.host)
                victim.send_away()
            self._keep(loop.create_task(self._welcome(guest)))

    async def _welcome(self, guest: Guest) -> None:
        loop = asyncio.get_running_loop()
        try:
            guest.system.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.connect_accepted_socket(
                self._make,
                guest.system,
                ssl=self._context(),
                ssl_handshake_timeout=HANDSHAKE_S,
            )
        except (OSError, RuntimeError) as problem:  # uvloop's, for a handle that is gone
            guest.system.close()
            log.say("tls_failed", guest.host, host=guest.host, problem=reason(problem))
        finally:
            self._guests.discard(guest)


async def listening(address: Address, backlog: int) -> list[socket.socket]:
    """A socket for each address of that host.  Raises ``OSError``."""
    loop = asyncio.get_running_loop()
    rows = await loop.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, at in dict.fromkeys(rows):
            system = socket.socket(family, kind, protocol)
            sockets.append(system)
            system.setblocking(False)
            system.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                system.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            system.bind(at)
            system.listen(backlog)
    except BaseException:
        for system in sockets:
            system.close()
        raise
    return sockets
