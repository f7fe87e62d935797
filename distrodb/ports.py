"""Ports of this machine: whether one is free, or can be had at all, and who is likely to hold it.

A port may be held for a moment only: Linux gives those of `ip_local_port_range`, and the default
ones are among them, to outgoing connections; and a slave that is told to end still listens a while.
"""

import contextlib
import errno
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distrodb.clock import monotonic
from distrodb.config.address import Address

HELD_S_MAX = 5.0  # far above what a slave needs to end or a short connection lasts
LOOK_PAUSE_S = 0.1
PERHAPS_A_SLAVE = "perhaps by a slave that still runs"
_LISTENS, _TIME_WAIT = "0A", "06"  # states in /proc/net/tcp


def is_free(address: Address) -> bool:
    """Whether nobody has it; that it cannot be had for other reasons is for who listens to say."""
    error = obstacle(address)
    return error is None or error.errno != errno.EADDRINUSE


def obstacle(address: Address) -> OSError | None:
    """Why nobody of ours could listen there now, at all that the host stands for, as a slave does;
    that somebody has it before all else.  None if one could."""
    try:
        rows = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return error
    tried = (_bind(family, place) for family, _, _, _, place in rows)
    errors = [each for each in tried if each is not None]
    in_use = (each for each in errors if each.errno == errno.EADDRINUSE)
    return next(in_use, errors[0] if errors else None)


def _bind(family: int, place: Any) -> OSError | None:
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # else :: would hold the port of IPv4 too
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(place)
    except OSError as error:
        return error
    return None


def held(addresses: Sequence[Address], idle: Callable[[float], None]) -> Address | None:
    """The first of them that is not free and does not get free in time."""
    until = monotonic() + HELD_S_MAX
    while taken := next((address for address in addresses if not is_free(address)), None):
        if monotonic() >= until:
            return taken
        idle(LOOK_PAUSE_S)
    return None


def holder(port: int) -> str:
    """By whom the port is likely held, to be read after "in use"."""
    states = set[str]()
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            rows = map(str.split, Path(file).read_text().splitlines()[1:])
            states |= {row[3] for row in rows if row[1].endswith(f":{port:04X}")}
    if _LISTENS in states:
        return PERHAPS_A_SLAVE
    if states - {_TIME_WAIT}:
        return "by an outgoing connection of another program, which ends some time"
    if states:
        return "by an outgoing connection that has just ended, for a minute at most"
    return "by another program"
