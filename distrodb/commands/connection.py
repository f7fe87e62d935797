"""Commands about the connection: PING ECHO HELLO CLIENT RESET QUIT.

CLIENT REPLY OFF and SKIP are refused, and an error alone would not do: the client would take
replies that it does not expect for others.  So the connection ends.
"""

from collections.abc import Sequence

from distrodb.commands.api import SessionApi
from distrodb.commands.command import session_row
from distrodb.commands.error_replies import SYNTAX, shown, unknown_subcommand, wrong_arity
from distrodb.commands.tracking import SUBCOMMANDS as TRACKING
from distrodb.resp.reply import OK, Reply, Status, error

BAD_NAME = error("ERR", "Client names cannot contain spaces, newlines or special characters.")
NAME_BYTES_MAX = 1024  # it is kept for as long as the connection lasts, and listed

_TRACKING = {row.name.partition("|")[2].upper().encode(): row for row in TRACKING}


def is_name(text: bytes) -> bool:
    return len(text) <= NAME_BYTES_MAX and all(33 <= byte <= 126 for byte in text)


def ping(session: SessionApi, args: Sequence[bytes]) -> Reply:
    if len(args) > 2:
        return error("ERR", "wrong number of arguments for 'ping' command")
    if session.is_confined:
        return [b"pong", args[1] if len(args) == 2 else b""]
    return args[1] if len(args) == 2 else Status(b"PONG")


def echo(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return args[1]


def hello(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """https://redis.io/docs/latest/commands/hello/; there are no users yet, so AUTH is refused."""
    protocol, rest = session.protocol, list(args[2:])
    if len(args) > 1:
        if args[1] not in (b"2", b"3"):
            return error("NOPROTO", "unsupported protocol version")
        protocol = int(args[1])
    name = session.name
    while rest:
        option = rest.pop(0).upper()
        if option == b"SETNAME" and rest:
            name = rest.pop(0)
            if not is_name(name):
                return BAD_NAME
        elif option == b"AUTH" and len(rest) >= 2:
            return error("ERR", "AUTH called without any password configured")
        else:
            return SYNTAX
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


def describe(session: SessionApi) -> bytes:
    flags = "r" if session.is_readonly else "N"
    name = session.name.decode(errors="replace")
    library = session.library.get(b"LIB-NAME", b"").decode(errors="replace")
    version = session.library.get(b"LIB-VER", b"").decode(errors="replace")
    return (
        f"id={session.id} addr={session.address} name={name} flags={flags} db={session.database}"
        f" resp={session.protocol} lib-name={library} lib-ver={version}\n"
    ).encode()


def client(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """CLIENT ID | INFO | LIST | GETNAME | SETNAME name | SETINFO attribute value | REPLY ON."""
    verb = args[1].upper()
    found = _TRACKING.get(verb)
    if found is not None:
        return found.handler(session, args) if found.arity_ok(args) else wrong_arity(found.name)
    if verb == b"ID" and len(args) == 2:
        return session.id
    if verb == b"INFO" and len(args) == 2:
        return describe(session)
    if verb == b"LIST" and len(args) == 2:
        return b"".join(map(describe, sorted(session.slave.sessions, key=lambda other: other.id)))
    if verb == b"GETNAME" and len(args) == 2:
        return session.name or None
    if verb == b"SETNAME" and len(args) == 3:
        if not is_name(args[2]):
            return BAD_NAME
        session.name = args[2]
        return OK
    if verb == b"SETINFO" and len(args) == 4:
        attribute = args[2].upper()
        if attribute not in (b"LIB-NAME", b"LIB-VER"):
            return error("ERR", f"Unrecognized option '{shown(args[2])}'")
        if not is_name(args[3]):
            return error("ERR", f"{attribute.decode().lower()} cannot contain spaces or newlines")
        session.library[attribute] = args[3]
        return OK
    if verb == b"REPLY" and len(args) == 3:
        return _reply(session, args[2].upper())
    return unknown_subcommand(args)


def _reply(session: SessionApi, mode: bytes) -> Reply:
    if mode == b"ON":
        return OK
    if mode not in (b"OFF", b"SKIP"):
        return SYNTAX
    session.close()
    return error("ERR", f"CLIENT REPLY {mode.decode()} is not supported; the connection ends")


def reset(session: SessionApi, args: Sequence[bytes]) -> Reply:
    session.slave.subscriptions.leave(session)
    session.transactions.drop()
    session.slave.track_nothing(session)
    session.protocol, session.name, session.is_readonly = 2, b"", False
    session.database = 0
    return Status(b"RESET")


def quit_(session: SessionApi, args: Sequence[bytes]) -> Reply:
    session.close()
    return OK


COMMANDS = (
    session_row("ping", ping, -1, "fast", "connection", "Answers PONG."),
    session_row("echo", echo, 2, "fast", "connection", "Answers its argument."),
    session_row("hello", hello, -1, "fast", "connection", "Chooses RESP2 or RESP3.", "6.0.0"),
    session_row("client", client, -2, "", "connection", "About connections.", "2.4.0"),
    session_row("reset", reset, 1, "fast", "connection", "Resets the connection.", "6.2.0"),
    session_row("quit", quit_, -1, "fast", "connection", "Closes the connection."),
)
