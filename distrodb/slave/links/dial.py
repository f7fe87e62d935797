"""A connection to another slave, from the name of its host on.

What always holds: a dial that takes too long is given up without a trace.  Until it stands it is a
socket of our own, which we close; uvloop never calls back for a connection whose making was
cancelled (``asyncio.timeout`` around ``create_connection``): its link would count for ever.
"""

import asyncio
import socket
from collections.abc import Callable

from distrodb.config.address import Address
from distrodb.slave.doors import HANDSHAKE_S
from distrodb.slave.links.link import Link
from distrodb.slave.links.lookups import Lookups
from distrodb.slave.tls import Tls

DIAL_S_MAX = 1.0  # a host that is off answers nothing; when it is back it answers soon


async def dial(there: Address, tls: Tls | None, make: Callable[[], Link], lookups: Lookups) -> Link:
    """Raises ``OSError``, and ``ValueError`` or ``OverflowError`` for what is no address."""
    loop = asyncio.get_running_loop()
    connected = await connect(there.host, there.port, DIAL_S_MAX, lookups)
    try:
        if tls is None or tls.dial is None:
            _, link = await loop.create_connection(make, sock=connected)
        else:
            _, link = await loop.create_connection(
                make,
                sock=connected,
                ssl=tls.dial,
                server_hostname=there.host,
                ssl_handshake_timeout=HANDSHAKE_S,
            )
    except OSError:
        connected.close()
        raise
    return link


async def connect(host: str, port: int, seconds: float, lookups: Lookups) -> socket.socket:
    """A connected socket.  Raises ``OSError``; then nothing is left of it."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        rows = await lookups.find(host, port)
    problem = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in rows:
        ours = socket.socket(family, kind, protocol)
        try:
            ours.setblocking(False)
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(seconds):
                await loop.sock_connect(ours, address)
            return ours
        except OSError as error:
            ours.close()
            problem = error
        except BaseException:
            ours.close()
            raise
    raise problem
