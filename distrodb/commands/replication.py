"""What Redis says and does about replicas and files, where here it is otherwise.

Every acknowledged write is on the disks of a majority of its partition's copies.  So SAVE and its
like are true at once, and WAIT waits for the others (slave/copies.py).  What would make this slave
another one's replica, or stream its data to one, is refused in Redis' words for a cluster.
"""

from collections.abc import Callable, Sequence

from distrodb.commands.api import Answer, SessionApi
from distrodb.commands.command import Command, session_row
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.numbers import (
    BAD_TIMEOUT,
    NEGATIVE_TIMEOUT,
    NOT_AN_INTEGER,
    NOT_POSITIVE,
    parse_integer,
)
from distrodb.resp.reply import OK, ErrorReply, Reply, Status, error

_NOT_IN_CLUSTER = error("ERR", "REPLICAOF not allowed in cluster mode.")
_NO_FAILOVER = error(
    "ERR", "FAILOVER not allowed in cluster mode. Use CLUSTER FAILOVER command instead."
)
_NO_STREAM = error(
    "ERR", "this is no replication stream: slaves of distrodb copy each other by Raft"
)


def role(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """No other slave is a replica of all that this one leads, so none is named."""
    return [b"master", session.slave.applied_entries(), []]


def _bad_timeout(word: bytes) -> ErrorReply | None:
    timeout = parse_integer(word)
    if timeout is None:
        return BAD_TIMEOUT
    return NEGATIVE_TIMEOUT if timeout < 0 else None


def wait(session: SessionApi, args: Sequence[bytes]) -> Answer:
    """WAIT numreplicas timeout: until so many copies beside the leaders' have what this connection
    has written."""
    wanted = parse_integer(args[1])
    if wanted is None:
        return NOT_AN_INTEGER
    return _bad_timeout(args[2]) or session.wait_for_copies(
        int(args[2]), lambda is_here, copies: copies >= wanted, lambda is_here, copies: copies
    )


def waitaof(session: SessionApi, args: Sequence[bytes]) -> Answer:
    """WAITAOF numlocal numreplicas timeout: the same; all copies are on disks."""
    local, replicas = parse_integer(args[1]), parse_integer(args[2])
    if local is None or replicas is None:
        return NOT_AN_INTEGER
    if not 0 <= local <= 1:
        return error("ERR", "value is out of range, value must between 0 and 1")
    if replicas < 0:
        return NOT_POSITIVE
    return _bad_timeout(args[3]) or session.wait_for_copies(
        int(args[3]),
        lambda is_here, copies: is_here >= local and copies >= replicas,
        lambda is_here, copies: [int(is_here), copies],
    )


def save(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """All is saved already."""
    return OK


def bgsave(session: SessionApi, args: Sequence[bytes]) -> Reply:
    if len(args) > 2 or (len(args) == 2 and args[1].upper() != b"SCHEDULE"):
        return SYNTAX
    return Status(b"Background saving started")


def bgrewriteaof(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """Logs are cut by snapshots of their own accord."""
    return Status(b"Background append only file rewriting started")


def lastsave(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return session.slave.process.wall_us() // 1_000_000


def _refused(reply: Reply) -> Callable[[SessionApi, Sequence[bytes]], Reply]:
    return lambda session, args: reply


def _row(
    name: str,
    handler: Callable[[SessionApi, Sequence[bytes]], Answer],
    arity: int,
    flags: str,
    summary: str,
    since: str = "1.0.0",
    acl: str = "",
    tips: tuple[str, ...] = (),
) -> Command:
    return session_row(name, handler, arity, flags, "server", summary, since, acl=acl, tips=tips)


_OF_REPLICAS = "admin noscript stale no_async_loading"
_OF_FILES = "admin noscript no_async_loading"
_STREAM = "admin noscript no_async_loading no_multi"
_VARIES = ("nondeterministic_output",)

COMMANDS = (
    _row(
        "role",
        role,
        1,
        "noscript loading stale fast",
        "Returns the replication role.",
        "2.8.12",
        "admin dangerous",
    ),
    session_row(
        "wait",
        wait,
        3,
        "noscript",
        "connection",
        "Waits until replicas have the connection's writes.",
        "3.0.0",
        tips=("request_policy:all_shards", "response_policy:agg_min"),
    ),
    session_row(
        "waitaof",
        waitaof,
        4,
        "noscript",
        "connection",
        "Waits until the connection's writes are on disks.",
        "7.2.0",
        tips=("request_policy:all_shards", "response_policy:agg_min"),
    ),
    _row("save", save, 1, _STREAM, "Synchronously saves the database(s) to disk."),
    _row("bgsave", bgsave, -1, _OF_FILES, "Asynchronously saves the database(s) to disk."),
    _row("bgrewriteaof", bgrewriteaof, 1, _OF_FILES, "Asynchronously rewrites the log."),
    _row(
        "lastsave",
        lastsave,
        1,
        "loading stale fast",
        "Returns the Unix timestamp of the last successful save.",
        "1.0.0",
        "admin dangerous",
        _VARIES,
    ),
    _row("replicaof", _refused(_NOT_IN_CLUSTER), 3, _OF_REPLICAS, "Not in a cluster.", "5.0.0"),
    _row("slaveof", _refused(_NOT_IN_CLUSTER), 3, _OF_REPLICAS, "Not in a cluster."),
    _row("failover", _refused(_NO_FAILOVER), -1, "admin noscript stale", "Refused.", "6.2.0"),
    _row("sync", _refused(_NO_STREAM), 1, _STREAM, "Not here: slaves copy by Raft."),
    _row("psync", _refused(_NO_STREAM), -3, _STREAM, "Not here: slaves copy by Raft.", "2.8.0"),
    _row(
        "replconf",
        _refused(_NO_STREAM),
        -1,
        "admin noscript loading stale allow_busy",
        "Not here: slaves copy by Raft.",
        "3.0.0",
    ),
)
