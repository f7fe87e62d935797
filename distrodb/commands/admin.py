"""What a person asks of the ring (DISTRODB), and of a slave's life (SHUTDOWN)."""

import json
from collections.abc import Sequence

from distrodb.commands.api import PENDING, Answer, SessionApi
from distrodb.commands.command import session_row
from distrodb.commands.error_replies import SYNTAX, unknown_subcommand

# What may be asked of the ring, with its number of words.
_ASKED = {b"REMOVE": 3, b"KEEP": 3, b"MOVE": 4, b"BALANCE": 2}


def distrodb(session: SessionApi, args: Sequence[bytes]) -> Answer:
    """DISTRODB STATUS: JSON for ``distrodb status`` and the shell.  DISTRODB REMOVE node, KEEP
    node, MOVE partition node and BALANCE: to be sent to the ``controller`` that it names."""
    slave, verb = session.slave, args[1].upper()
    if verb == b"STATUS" and len(args) == 2:
        return json.dumps(slave.status()).encode()
    if len(args) == _ASKED.get(verb):
        slave.change_map([arg.decode(errors="replace") for arg in args[1:]], session.later())
        return PENDING
    return unknown_subcommand(args)


def shutdown(session: SessionApi, args: Sequence[bytes]) -> Answer:
    """SHUTDOWN hands leadership over and ends the slave cleanly; SHUTDOWN NOW ends it at once, as
    a crash would.  Neither replies: the connection closes.  Nothing is lost by either."""
    options = {arg.upper() for arg in args[1:]}
    if not options <= {b"NOW", b"SAVE", b"NOSAVE", b"FORCE"}:
        return SYNTAX
    if b"NOW" in options:
        session.slave.kill()
    session.slave.stop()
    session.later()  # the end of the connection is the reply
    return PENDING


COMMANDS = (
    session_row(
        "shutdown",
        shutdown,
        -1,
        "admin noscript loading stale no_multi allow_busy",
        "server",
        "Ends this slave.",
    ),
    session_row("distrodb", distrodb, -2, "admin", "cluster", "DISTRODB STATUS: the map as JSON."),
)
