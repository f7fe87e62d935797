"""Commands about the connection: PING ECHO HELLO AUTH RESET QUIT.

Who may do what is acl_user.py's; here a connection says who it is.  Where the default user has no
password AUTH takes any for it, as in Redis.
"""

from collections import deque
from collections.abc import Sequence

from distrodb.commands.acl_guard import AUTH
from distrodb.commands.acl_user import DEFAULT
from distrodb.commands.api import SessionApi
from distrodb.commands.clients import BAD_NAME, is_name
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
TOO_OFTEN = error("ERR", "too many failed logins from this address; wait some seconds")


def ping(session: SessionApi, args: Sequence[bytes]) -> Reply:
    if len(args) > 2:
        return error("ERR", "wrong number of arguments for 'ping' command")
    if session.is_confined:
        return [b"pong", args[1] if len(args) == 2 else b""]
    return args[1] if len(args) == 2 else Status(b"PONG")


def echo(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return args[1]


HELLO_NEEDS_AUTH = error(
    "NOAUTH",
    "HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user>"
    " <pass> option can be used to authenticate the client and select the RESP protocol"
    " version at the same time",
)


def _log_in(session: SessionApi, verb: bytes, user: bytes, password: bytes) -> ErrorReply | None:
    """Why not; None: it is that user now."""
    access = session.slave.access
    is_right = access.takes(session, user, password)
    if is_right is None:
        return TOO_OFTEN
    if not is_right:
        access.refused(session, AUTH, verb, user)
        return WRONG_PASSWORD
    session.log_in(user)
    return None


def auth(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """AUTH [username] password"""
    if len(args) > 3:
        return SYNTAX
    if len(args) == 2 and session.slave.access.users.needs_no_password:
        return NO_PASSWORD
    user, password = (DEFAULT, args[1]) if len(args) == 2 else args[1:]
    return _log_in(session, args[0], user, password) or OK


def hello(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """HELLO [protover [AUTH username password] [SETNAME name]]; one that fails changes nothing."""
    protocol, name, rest = session.protocol, session.name, deque(args[2:])
    login: tuple[bytes, bytes] | None = None
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
            login = rest.popleft(), rest.popleft()
        elif option.upper() == b"SETNAME" and rest:
            name = rest.popleft()
            if not is_name(name):
                return BAD_NAME
        else:
            return error("ERR", f"Syntax error in HELLO option '{shown(option)}'")
    if login is not None and (refused := _log_in(session, args[0], *login)) is not None:
        return refused
    if not session.may_ask:
        return HELLO_NEEDS_AUTH
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
    session.log_out()
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
