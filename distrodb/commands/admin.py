"""What a person asks of the ring (DISTRODB), and of a slave's life (SHUTDOWN)."""

import json
from collections.abc import Sequence

from distrodb.commands.api import PENDING, Answer, SessionApi
from distrodb.commands.command import container, session_row
from distrodb.commands.error_replies import SYNTAX, unknown_subcommand
from distrodb.commands.numbers import parse_integer
from distrodb.resp.reply import OK, error

_NO_SHUTDOWN = error("ERR", "No shutdown in progress.")
_NO_DEBUG = error(
    "ERR",
    "DEBUG command not allowed. It is one for Redis' own developers; what a slave is at, DISTRODB"
    " STATUS and INFO tell.",
)
_BAD_PARTITION = error("ERR", "the partition, and a piece, are given by their number")
# What may be asked of the ring, with its number of words.
_ASKED = {b"REMOVE": 3, b"KEEP": 3, b"MOVE": 4, b"BALANCE": 2, b"REPLICAS": 3}


def distrodb(session: SessionApi, args: Sequence[bytes]) -> Answer:
    """DISTRODB STATUS and DOCTOR: JSON for ``distrodb status`` and ``doctor``, and the shell.
    DISTRODB REMOVE node, KEEP node, MOVE partition node, BALANCE and REPLICAS number: to be sent to
    the ``controller`` that it names.  DISTRODB BACKUP: for ``distrodb backup``."""
    slave, verb = session.slave, args[1].upper()
    if verb == b"STATUS" and len(args) == 2:
        return json.dumps(slave.status()).encode()
    if verb == b"DOCTOR" and len(args) == 2:
        return json.dumps(slave.doctor()).encode()
    if len(args) == _ASKED.get(verb):
        slave.change_map([arg.decode(errors="replace") for arg in args[1:]], session.later())
        return PENDING
    if verb == b"BACKUP" and len(args) > 3:
        return _backup(session, args)
    return unknown_subcommand(args)


def _backup(session: SessionApi, args: Sequence[bytes]) -> Answer:
    """DISTRODB BACKUP BEGIN partition, of its leader: a picture of it (slave/pictures.py).  Then
    DISTRODB BACKUP READ token number, from 0 on, of the same slave: its pieces, null behind the
    last one.  DISTRODB BACKUP END token."""
    pictures, verb = session.slave.pictures, args[2].upper()
    if verb == b"BEGIN" and len(args) == 4:
        partition = parse_integer(args[3])
        if partition is None:
            return _BAD_PARTITION
        pictures.begin(partition, session.later())
        return PENDING
    if verb == b"READ" and len(args) == 5:
        number = parse_integer(args[4])
        return _BAD_PARTITION if number is None else pictures.piece(args[3], number)
    if verb == b"END" and len(args) == 4:
        pictures.end(args[3])
        return OK
    return unknown_subcommand(args)


def shutdown(session: SessionApi, args: Sequence[bytes]) -> Answer:
    """SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT] hands leadership over and ends the slave
    cleanly; with NOW it ends at once, as a crash would.  Neither replies: the connection closes.
    Nothing is lost by either, whatever is said of saving.  One under way takes less time than
    somebody needs to abort it, so there is none to abort."""
    options = {arg.upper() for arg in args[1:]}
    if not options <= {b"NOW", b"SAVE", b"NOSAVE", b"FORCE", b"ABORT"}:
        return SYNTAX
    if {b"SAVE", b"NOSAVE"} <= options or (b"ABORT" in options and len(options) > 1):
        return SYNTAX
    if b"ABORT" in options:
        return _NO_SHUTDOWN
    if b"NOW" in options:
        session.slave.kill()
    session.slave.stop()
    session.later()  # the end of the connection is the reply
    return PENDING


def debug(session: SessionApi, args: Sequence[bytes]) -> Answer:
    """Refused, as Redis does by default."""
    return _NO_DEBUG


def module_list(session: SessionApi, args: Sequence[bytes]) -> Answer:
    return []


COMMANDS = (
    session_row(
        "shutdown",
        shutdown,
        -1,
        "admin noscript loading stale no_multi allow_busy",
        "server",
        "Ends this slave.",
    ),
    session_row("debug", debug, -2, "admin noscript loading stale", "server", "Refused."),
    container(
        "module",
        "server",
        "A container for module commands.",
        "4.0.0",
        [
            session_row(
                "module|list",
                module_list,
                2,
                "admin noscript",
                "server",
                "Lists the loaded modules: none.",
                "4.0.0",
                tips=("nondeterministic_output_order",),
            )
        ],
    ),
    session_row("distrodb", distrodb, -2, "admin", "cluster", "DISTRODB STATUS: the map as JSON."),
)
