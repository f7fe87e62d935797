"""Commands about the connection: PING ECHO HELLO AUTH RESET QUIT.

There is one user, ``default``, who may do everything and has no password: AUTH takes any password
for it, as Redis does where none is set, and knows nobody else.
"""

from collections import deque
from collections.abc import Sequence

from distrodb.commands.api import SessionApi
from distrodb.commands.clients import BAD_NAME, USER, is_name
from distrodb.commands.command import session_row
from distrodb.commands.error_replies import SYNTAX, shown
from distrodb.commands.numbers import parse_integer
from distrodb.resp.reply import OK, ErrorReply, Reply, Status, error

NO_PASSWORD = error(
    "ERR",
    "AUTH <password> called without any password configured for the default user. Are you sure"
    " your configuration is correct?",
)
WRONG_PASSWORD = error("WRONGPASS", "invalid username-password pair or user is disabled.")


def ping(session: SessionApi, args: Sequence[bytes]) -> Reply:
    if len(args) > 2:
        return error("ERR", "wrong number of arguments for 'ping' command")
    if session.is_confined:
        return [b"pong", args[1] if len(args) == 2 else b""]
    return args[1] if len(args) == 2 else Status(b"PONG")


def echo(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return args[1]


def _authenticates(user: bytes) -> ErrorReply | None:
    """Redis' words where nobody has a password."""
    return None if user == USER else WRONG_PASSWORD


def auth(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """AUTH [username] password"""
    if len(args) > 3:
        return SYNTAX
    return NO_PASSWORD if len(args) == 2 else _authenticates(args[1]) or OK


def hello(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """HELLO [protover [AUTH username password] [SETNAME name]]; one that fails changes nothing."""
    protocol, name, rest = session.protocol, session.name, deque(args[2:])
    if len(args) > 1:
        wanted = parse_integer(args[1])
        if wanted is None:
            return error("ERR", "Protocol version is not an integer or out of range")
        if wanted not in (2, 3):
            return error("NOPROTO", "unsupported protocol version")
        protocol = wanted
    while rest:
        option = rest.popleft()
        if option.upper() == b"AUTH" and len(rest) >= 2:
            refused = _authenticates(rest.popleft())
            rest.popleft()
            if refused is not None:
                return refused
        elif option.upper() == b"SETNAME" and rest:
            name = rest.popleft()
            if not is_name(name):
                return BAD_NAME
        else:
            return error("ERR", f"Syntax error in HELLO option '{shown(option)}'")
    session.protocol, session.name = protocol, name
    return {
        b"server": b"redis",
        b"version": session.slave.redis_version.encode(),
        b"proto": protocol,
        b"id": session.id,
        b"mode": session.slave.mode.encode(),
        b"role": b"master",
        b"modules": [],
    }


def reset(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """All that a connection has been told is forgotten, but the name of its library."""
    session.slave.subscriptions.leave(session)
    session.slave.monitors.pop(session.id, None)
    session.transactions.drop()
    session.divert = None
    session.slave.track_nothing(session)
    session.protocol, session.name, session.is_readonly = 2, b"", False
    session.replies.is_mute = session.is_spared = session.client.touches_nothing = False
    session.database = 0
    return Status(b"RESET")


def quit_(session: SessionApi, args: Sequence[bytes]) -> Reply:
    session.close()
    return OK


_ALWAYS = "noscript loading stale fast no_auth allow_busy"
_ALL_SHARDS = ("request_policy:all_shards", "response_policy:all_succeeded")

COMMANDS = (
    session_row(
        "ping", ping, -1, "fast", "connection", "Returns the server's liveliness.", tips=_ALL_SHARDS
    ),
    session_row("echo", echo, 2, "loading stale fast", "connection", "Returns the given string."),
    session_row("hello", hello, -1, _ALWAYS, "connection", "Handshakes with the server.", "6.0.0"),
    session_row("auth", auth, -2, _ALWAYS, "connection", "Authenticates the connection."),
    session_row("reset", reset, 1, _ALWAYS, "connection", "Resets the connection.", "6.2.0"),
    session_row("quit", quit_, -1, _ALWAYS, "connection", "Closes the connection."),
)
