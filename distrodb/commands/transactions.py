"""Transactions, which are refused: MULTI EXEC DISCARD WATCH UNWATCH.

The commands behind a MULTI are meant to run together or not at all.  So after a MULTI that is
refused none of them runs, up to its EXEC or DISCARD: each is answered with an error, and EXEC with
EXECABORT, by which clients know that nothing has happened.  A refused WATCH changes the meaning of
nothing but the MULTI that follows, so its error is enough.

COMMAND does not tell of these rows.
"""

from collections.abc import Sequence

from distrodb.commands.api import SessionApi
from distrodb.commands.command import session_row
from distrodb.resp.reply import OK, Reply, error

NOT_SUPPORTED = "transactions are not supported yet"
NOT_RUN = error("ERR", f"not run: {NOT_SUPPORTED}, and this command is behind a MULTI")
ENDS = frozenset({b"EXEC", b"DISCARD", b"RESET", b"QUIT"})


def multi(session: SessionApi, args: Sequence[bytes]) -> Reply:
    session.refuse(NOT_RUN, until=ENDS)
    return error("ERR", f"{NOT_SUPPORTED}: nothing runs until EXEC or DISCARD")


def exec_(session: SessionApi, args: Sequence[bytes]) -> Reply:
    if session.refusal is not NOT_RUN:
        return error("ERR", "EXEC without MULTI")
    session.accept()
    return error("EXECABORT", f"Transaction discarded: {NOT_SUPPORTED}, and nothing was run")


def discard(session: SessionApi, args: Sequence[bytes]) -> Reply:
    if session.refusal is not NOT_RUN:
        return error("ERR", "DISCARD without MULTI")
    session.accept()
    return OK


def watch(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return error("ERR", NOT_SUPPORTED)


REFUSED = (
    session_row("multi", multi, 1, "fast", "transactions", ""),
    session_row("exec", exec_, 1, "", "transactions", ""),
    session_row("discard", discard, 1, "fast", "transactions", ""),
    session_row("watch", watch, -2, "fast", "transactions", ""),
    session_row("unwatch", watch, 1, "fast", "transactions", ""),
)
