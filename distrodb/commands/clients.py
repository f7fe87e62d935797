"""CLIENT: the connections of this slave, each of which is a session.

What changes how replies are sent (REPLY), or when commands begin (PAUSE), is the session's and the
slave's matter; here it is asked for.
"""

from collections.abc import Callable, Iterable, Sequence

from distrodb.commands import tracking
from distrodb.commands.api import SessionApi
from distrodb.commands.command import Command, container, session_row
from distrodb.commands.error_replies import SYNTAX, shown
from distrodb.commands.numbers import (
    BAD_TIMEOUT,
    NEGATIVE_TIMEOUT,
    NOT_AN_INTEGER,
    parse_integer,
)
from distrodb.commands.pubsub import CHANNEL, PATTERN, SHARD
from distrodb.resp.reply import OK, Encoded, ErrorReply, Reply, Verbatim, error

BAD_NAME = error("ERR", "Client names cannot contain spaces, newlines or special characters.")
NAME_BYTES_MAX = 1024  # it is kept for as long as the connection lasts, and listed
NO_SUCH_CLIENT = error("ERR", "No such client")
TYPES = {b"normal", b"master", b"replica", b"slave", b"pubsub"}
PAUSE_MS_MAX = 1 << 53


def is_name(text: bytes) -> bool:
    return len(text) <= NAME_BYTES_MAX and all(33 <= byte <= 126 for byte in text)


# -- what they are -----------------------------------------------------------------------------


def kind_of(session: SessionApi) -> bytes:
    return b"pubsub" if session.is_subscribed else b"normal"


def _subscriptions(session: SessionApi) -> list[int]:
    """To channels, patterns and shards' channels."""
    names = session.slave.subscriptions.names
    return [len(names(session, kind)) for kind in (CHANNEL, PATTERN, SHARD)]


def _flags(session: SessionApi) -> str:
    found = "O" if session.id in session.slave.monitors else ""
    found += "P" if session.is_subscribed else ""
    found += "t" if session.tracker is not None else ""
    found += "x" if session.transactions.is_open else ""
    found += "b" if session.is_waiting else ""
    found += "r" if session.is_readonly else ""
    found += "e" if session.is_spared else ""
    found += "T" if session.client.touches_nothing else ""
    found += "c" if session.is_closing else ""
    return found or "N"


def describe(session: SessionApi) -> bytes:
    """The line of CLIENT LIST, with all fields of Redis 7.  There are no argument or query buffers
    of Redis' kind: what is parsed and waits counts as ``qbuf``, replies as ``obl`` and ``omem``."""
    now = session.slave.process.now()
    channels, patterns, shards = _subscriptions(session)
    came, waits, client = session.input.memory, session.replies.output_bytes, session.client
    fields = {
        "id": session.id,
        "addr": session.address,
        "laddr": client.local_address,
        "fd": client.descriptor,
        "name": session.name.decode(errors="replace"),
        "age": max(0, int(now - client.opened_at)),
        "idle": max(0, int(now - session.heard_at)),
        "flags": _flags(session),
        "db": session.database,
        "sub": channels,
        "psub": patterns,
        "ssub": shards,
        "multi": session.transactions.queued,
        "qbuf": came,
        "qbuf-free": 0,
        "argv-mem": 0,
        "multi-mem": 0,
        "rbs": 0,
        "rbp": 0,
        "obl": waits,
        "oll": 0,
        "omem": waits,
        "tot-mem": came + waits,
        "events": "rw" if waits else "r",
        "cmd": "NULL" if client.last_row is None else client.last_row.name,
        "user": session.user.decode(errors="replace"),
        "redir": -1 if session.tracker is None else session.tracker.redirect_id,
        "resp": session.protocol,
        "lib-name": session.library.get(b"lib-name", b"").decode(errors="replace"),
        "lib-ver": session.library.get(b"lib-ver", b"").decode(errors="replace"),
    }
    return (" ".join(f"{key}={value}" for key, value in fields.items()) + "\n").encode()


def _listed(sessions: Iterable[SessionApi]) -> Reply:
    ordered = sorted(sessions, key=lambda session: session.id)
    return Verbatim(b"".join(map(describe, ordered)))


def info(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return Verbatim(describe(session))


def list_(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """CLIENT LIST [TYPE type | ID id ...]"""
    sessions = session.slave.sessions
    if len(args) == 2:
        return _listed(sessions)
    option = args[2].upper()
    if option == b"TYPE" and len(args) == 4:
        kind = args[3].lower()
        if kind not in TYPES:
            return _unknown_type(args[3])
        return _listed(each for each in sessions if kind_of(each) == kind)
    if option == b"ID" and len(args) > 3:
        ids = [parse_integer(word) for word in args[3:]]
        if None in ids:
            return error("ERR", "Invalid client ID")
        wanted = set(ids)
        return _listed(each for each in sessions if each.id in wanted)
    return SYNTAX


def _unknown_type(word: bytes) -> ErrorReply:
    return error("ERR", f"Unknown client type '{shown(word)}'")


# -- oneself -----------------------------------------------------------------------------------


def id_(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return session.id


def getname(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return session.name or None


def setname(session: SessionApi, args: Sequence[bytes]) -> Reply:
    if not is_name(args[2]):
        return BAD_NAME
    session.name = args[2]
    return OK


def setinfo(session: SessionApi, args: Sequence[bytes]) -> Reply:
    attribute = args[2].lower()
    if attribute not in (b"lib-name", b"lib-ver"):
        return error("ERR", f"Unrecognized option '{shown(args[2])}'")
    if not is_name(args[3]):
        what = shown(args[2])
        return error("ERR", f"{what} cannot contain spaces, newlines or special characters.")
    session.library[attribute] = args[3]
    return OK


_REPLIES_TO: dict[bytes, Reply] = {b"ON": OK, b"OFF": Encoded(b""), b"SKIP": Encoded(b"")}


def reply(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """CLIENT REPLY ON | OFF | SKIP; the last two are not answered themselves."""
    mode = args[2].upper()
    if mode not in _REPLIES_TO:
        return SYNTAX
    if mode == b"SKIP":
        session.replies.skip_next()
    else:
        session.replies.is_mute = mode == b"OFF"
    return _REPLIES_TO[mode]


def _switch(word: bytes) -> bool | None:
    return {b"ON": True, b"OFF": False}.get(word.upper())


def no_evict(session: SessionApi, args: Sequence[bytes]) -> Reply:
    is_on = _switch(args[2])
    if is_on is None:
        return SYNTAX
    session.is_spared = is_on
    return OK


def no_touch(session: SessionApi, args: Sequence[bytes]) -> Reply:
    is_on = _switch(args[2])
    if is_on is None:
        return SYNTAX
    session.client.touches_nothing = is_on
    return OK


# -- others ------------------------------------------------------------------------------------

Filter = Callable[[SessionApi], bool]


def kill(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """CLIENT KILL address | option value ...; a client that ends itself is answered first."""
    if len(args) == 3:
        address = shown(args[2])
        found = [each for each in session.slave.sessions if each.address == address]
        _end(session, found)
        return OK if found else NO_SUCH_CLIENT
    if len(args) % 2:
        return SYNTAX
    filters: list[Filter] = []
    spares_me = True
    for option, value in zip(args[2::2], args[3::2], strict=True):
        if option.upper() == b"SKIPME":
            if value.lower() not in (b"yes", b"no"):
                return SYNTAX
            spares_me = value.lower() == b"yes"
            continue
        made = _filter(session, option.upper(), value)
        if isinstance(made, ErrorReply):
            return made
        filters.append(made)
    found = [
        each
        for each in session.slave.sessions
        if all(accepts(each) for accepts in filters) and not (spares_me and each is session)
    ]
    _end(session, found)
    return len(found)


def _filter(session: SessionApi, option: bytes, value: bytes) -> Filter | ErrorReply:
    text = shown(value)
    if option == b"ID":
        wanted = parse_integer(value)
        if wanted is None or wanted < 1:
            return error("ERR", "client-id should be greater than 0")
        return lambda each: each.id == wanted
    if option == b"TYPE":
        kind = value.lower()
        return (lambda each: kind_of(each) == kind) if kind in TYPES else _unknown_type(value)
    if option == b"ADDR":
        return lambda each: each.address == text
    if option == b"LADDR":
        return lambda each: each.client.local_address == text
    if option == b"USER":
        if value not in session.slave.access.users.all:
            return error("ERR", f"No such user '{text}'")
        return lambda each: each.user == value
    if option == b"MAXAGE":
        oldest = parse_integer(value)
        if oldest is None or oldest < 1:
            return error("ERR", "maxage is not an integer or out of range")
        now = session.slave.process.now()
        return lambda each: now - each.client.opened_at >= oldest
    return SYNTAX


def _end(session: SessionApi, found: Sequence[SessionApi]) -> None:
    for each in found:
        if each is session:
            each.close()
        else:
            each.kill()


def _too_many(args: Sequence[bytes]) -> ErrorReply:
    verb = shown(args[1])
    text = f"unknown subcommand or wrong number of arguments for '{verb}'. Try CLIENT HELP."
    return error("ERR", text)


def pause(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """CLIENT PAUSE milliseconds [WRITE | ALL]"""
    if len(args) > 4:
        return _too_many(args)
    mode = args[3].upper() if len(args) == 4 else b"ALL"
    if mode not in (b"WRITE", b"ALL"):
        return error("ERR", "CLIENT PAUSE mode must be WRITE or ALL")
    timeout = parse_integer(args[2])
    if timeout is None or timeout > PAUSE_MS_MAX:
        return BAD_TIMEOUT
    if timeout < 0:
        return NEGATIVE_TIMEOUT
    session.slave.pausing.begin(timeout / 1000, mode == b"WRITE")
    return OK


def unpause(session: SessionApi, args: Sequence[bytes]) -> Reply:
    session.slave.pausing.end()
    return OK


UNBLOCKED = error("UNBLOCKED", "client unblocked via CLIENT UNBLOCK")


def unblock(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """CLIENT UNBLOCK id [TIMEOUT | ERROR]"""
    if len(args) > 4:
        return _too_many(args)
    if len(args) == 4 and args[3].upper() not in (b"TIMEOUT", b"ERROR"):
        return error("ERR", "CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    number = parse_integer(args[2])
    if number is None:
        return NOT_AN_INTEGER
    is_error = len(args) == 4 and args[3].upper() == b"ERROR"
    found = next((each for each in session.slave.sessions if each.id == number), None)
    return int(found is not None and found.unblock(UNBLOCKED if is_error else None))


# -- rows --------------------------------------------------------------------------------------

_PLAIN = "loading noscript stale"
_ADMIN = f"admin {_PLAIN}"


def _row(
    word: str,
    handler: Callable[[SessionApi, Sequence[bytes]], Reply],
    arity: int,
    flags: str,
    summary: str,
    since: str,
    *tips: str,
) -> Command:
    name = f"client|{word}"
    return session_row(name, handler, arity, flags, "connection", summary, since, tips=tips)


_VARIES = "nondeterministic_output"
SUBCOMMANDS = (
    _row("id", id_, 2, _PLAIN, "Returns the unique client ID of the connection.", "5.0.0"),
    _row("getname", getname, 2, _PLAIN, "Returns the name of the connection.", "2.6.9"),
    _row("setname", setname, 3, _PLAIN, "Sets the connection name.", "2.6.9"),
    _row("setinfo", setinfo, 4, _PLAIN, "Sets information about the client library.", "7.2.0"),
    _row("info", info, 2, _PLAIN, "Returns information about the connection.", "6.2.0", _VARIES),
    _row("list", list_, -2, _ADMIN, "Lists open connections.", "2.4.0", _VARIES),
    _row("kill", kill, -3, _ADMIN, "Terminates open connections.", "2.4.0"),
    _row("no-evict", no_evict, 3, _ADMIN, "Spares the connection where memory lacks.", "7.0.0"),
    _row("no-touch", no_touch, 3, _PLAIN, "Lets commands touch no key's last use.", "7.2.0"),
    _row("reply", reply, 3, _PLAIN, "Instructs the server whether to reply.", "3.2.0"),
    _row("pause", pause, -3, _ADMIN, "Suspends commands processing.", "3.0.0"),
    _row("unpause", unpause, 2, _ADMIN, "Resumes processing commands of paused clients.", "6.2.0"),
    _row("unblock", unblock, -3, _ADMIN, "Unblocks a client that waits in a command.", "5.0.0"),
    *tracking.SUBCOMMANDS,
)

COMMANDS = (
    container(
        "client", "connection", "A container for client connection commands.", "2.4.0", SUBCOMMANDS
    ),
)
