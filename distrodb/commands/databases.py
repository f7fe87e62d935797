"""Logical databases: SELECT SWAPDB, and the words of a command that name a database.

Each has the whole key space, and a key is in the same slot in all of them, as in a Valkey 9
cluster.  So MOVE and COPY … DB stay within a partition, while SWAPDB would have to change all
partitions at once.
"""

from collections.abc import Sequence

from distrodb.commands.api import SessionApi
from distrodb.commands.command import session_row
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.resp.reply import OK, ErrorReply, Reply, error

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
OUT_OF_RANGE = error("ERR", "DB index is out of range")


def database_index(text: bytes, count: int) -> int | ErrorReply:
    """The number of a database; there are ``count``."""
    number = parse_integer(text)
    if number is None:
        return NOT_AN_INTEGER
    if not INT32_MIN <= number <= INT32_MAX:
        return error(
            "ERR", f"value is out of range, value must between {INT32_MIN} and {INT32_MAX}"
        )
    return number if 0 <= number < count else OUT_OF_RANGE


def select(session: SessionApi, args: Sequence[bytes]) -> Reply:
    database = database_index(args[1], session.slave.databases)
    if isinstance(database, ErrorReply):
        return database
    session.database = database
    return OK


def swapdb(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return error("ERR", "SWAPDB is not supported: partitions cannot swap at one moment; use MOVE")


COMMANDS = (
    session_row(
        "select", select, 2, "loading stale fast", "connection", "Changes the selected database."
    ),
)
# COMMAND does not tell of it.
REFUSED = (
    session_row(
        "swapdb",
        swapdb,
        3,
        "write fast",
        "server",
        "Is refused.",
        "4.0.0",
        acl="keyspace dangerous",
    ),
)
