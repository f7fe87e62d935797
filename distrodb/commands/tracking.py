"""CLIENT TRACKING and what belongs to it: clients that keep what they have read.

How they are told of changes is said in slave/tracking.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from distrodb.commands.api import SessionApi
from distrodb.commands.command import session_row
from distrodb.commands.error_replies import SYNTAX, shown
from distrodb.commands.numbers import NOT_AN_INTEGER
from distrodb.resp.reply import OK, ErrorReply, Reply, SetReply, error

PREFIXES_MAX = 256  # of one client: each is compared with every key that changes
_ONE_REDIRECT = error("ERR", "A client can only redirect to a single other client")
_NO_SUCH_CLIENT = error("ERR", "The client ID you want redirect to does not exist")
_NO_BROADCAST = error("ERR", "PREFIX option requires BCAST mode to be enabled")
_OTHER_MODE = (
    "before disabling tracking for this client, and then re-enabling it with a different mode."
)
_BROADCAST_SWITCHED = error("ERR", f"You can't switch BCAST mode on/off {_OTHER_MODE}")
_NOT_WITH_BROADCAST = error("ERR", "OPTIN and OPTOUT are not compatible with BCAST")
_BOTH = error("ERR", "You can't specify both OPTIN mode and OPTOUT mode")
_OPT_SWITCHED = error("ERR", f"You can't switch OPTIN/OPTOUT mode {_OTHER_MODE}")
_TOO_MANY = error("ERR", f"more than {PREFIXES_MAX} prefixes of one client")
_NOT_TRACKING = error(
    "ERR",
    "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT"
    " mode enabled",
)


def _only(answer: bytes, mode: str) -> ErrorReply:
    what = (
        f"CLIENT CACHING {answer.decode()} is only valid when tracking is enabled in {mode} mode."
    )
    return error("ERR", what)


@dataclass(slots=True)
class _Words:
    """The options as they were given."""

    redirect: int = 0
    flags: set[bytes] = field(default_factory=set)
    prefixes: list[bytes] = field(default_factory=list)


def _parse(session: SessionApi, args: Sequence[bytes]) -> _Words | ErrorReply:
    words, at = _Words(), 3
    while at < len(args):
        option, has_more = args[at].upper(), at + 1 < len(args)
        if option == b"REDIRECT" and has_more:
            at += 1
            if words.redirect:
                return _ONE_REDIRECT
            if not args[at].removeprefix(b"-").isdigit() or len(args[at]) > 19:
                return NOT_AN_INTEGER
            words.redirect = int(args[at])
            if not session.slave.has_session(words.redirect):
                return _NO_SUCH_CLIENT
        elif option in (b"BCAST", b"OPTIN", b"OPTOUT", b"NOLOOP"):
            words.flags.add(option)
        elif option == b"PREFIX" and has_more:
            at += 1
            words.prefixes.append(args[at])
        else:
            return SYNTAX
        at += 1
    return words


def _objection(words: _Words, before: "frozenset[bytes] | None") -> ErrorReply | None:
    """``before``: the flags of a client that tracks already."""
    flags, was = words.flags, before or frozenset()
    if b"BCAST" not in flags and words.prefixes:
        return _NO_BROADCAST
    if before is not None and (b"BCAST" in flags) != (b"BCAST" in was):
        return _BROADCAST_SWITCHED
    if b"BCAST" in flags and flags & {b"OPTIN", b"OPTOUT"}:
        return _NOT_WITH_BROADCAST
    if {b"OPTIN", b"OPTOUT"} <= flags:
        return _BOTH
    if (b"OPTIN" in flags and b"OPTOUT" in was) or (b"OPTOUT" in flags and b"OPTIN" in was):
        return _OPT_SWITCHED
    return None


def _overlap(prefixes: Sequence[bytes], before: Sequence[bytes]) -> ErrorReply | None:
    """Prefixes of one client that a key could have both of."""
    for number, prefix in enumerate(prefixes):
        for kind, others in (("an existing", before), ("another provided", prefixes[number + 1 :])):
            for other in others:
                if prefix.startswith(other) or other.startswith(prefix):
                    return error(
                        "ERR",
                        f"Prefix '{shown(prefix)}' overlaps with {kind} prefix '{shown(other)}'."
                        " Prefixes for a single client must not overlap.",
                    )
    return None


def tracking(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """CLIENT TRACKING ON|OFF [REDIRECT id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]"""
    words = _parse(session, args)
    if isinstance(words, ErrorReply):
        return words
    switch = args[2].upper()
    if switch == b"OFF":
        session.slave.track_nothing(session)
        return OK
    if switch != b"ON":
        return SYNTAX
    state = session.tracker
    before = () if state is None else tuple(sorted(state.prefixes))
    objection = _objection(words, None if state is None else state.flags)
    if objection is None and len(words.prefixes) + len(before) > PREFIXES_MAX:
        objection = _TOO_MANY
    if objection is None and b"BCAST" in words.flags:
        objection = _overlap(words.prefixes, before)
    if objection is not None:
        return objection
    prefixes = (*before, *words.prefixes)
    if b"BCAST" in words.flags and not words.prefixes and b"" not in before:
        prefixes = (*before, b"")  # all keys, beside what was named before
    session.slave.track(session, frozenset(words.flags), prefixes, words.redirect)
    return OK


def tracking_info(session: SessionApi, args: Sequence[bytes]) -> Reply:
    state = session.tracker
    if state is None:
        return {b"flags": SetReply([b"off"]), b"redirect": -1, b"prefixes": []}
    flags: list[Reply] = [b"on"]
    flags += [flag.lower() for flag in (b"BCAST", b"OPTIN") if flag in state.flags]
    if b"OPTIN" in state.flags and state.caching:
        flags.append(b"caching-yes")
    if b"OPTOUT" in state.flags:
        flags += [b"optout"] if state.caching is None else [b"optout", b"caching-no"]
    if b"NOLOOP" in state.flags:
        flags.append(b"noloop")
    if state.is_broken:
        flags.append(b"broken_redirect")
    prefixes: list[Reply] = [*sorted(state.prefixes)]
    return {b"flags": SetReply(flags), b"redirect": state.redirect_id, b"prefixes": prefixes}


def caching(session: SessionApi, args: Sequence[bytes]) -> Reply:
    state, answer = session.tracker, args[2].upper()
    if state is None:
        return _NOT_TRACKING
    if answer == b"YES":
        if b"OPTIN" not in state.flags:
            return _only(answer, "OPTIN")
    elif answer == b"NO":
        if b"OPTOUT" not in state.flags:
            return _only(answer, "OPTOUT")
    else:
        return SYNTAX
    state.caching = answer == b"YES"
    return OK


def get_redirect(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return -1 if session.tracker is None else session.tracker.redirect_id


_FLAGS = "noscript loading stale"
SUBCOMMANDS = (
    session_row(
        "client|tracking",
        tracking,
        -3,
        _FLAGS,
        "connection",
        "Controls server-assisted client-side caching for the connection.",
        "6.0.0",
    ),
    session_row(
        "client|trackinginfo",
        tracking_info,
        2,
        _FLAGS,
        "connection",
        "Returns information about server-assisted client-side caching for the connection.",
        "6.2.0",
    ),
    session_row(
        "client|caching",
        caching,
        3,
        _FLAGS,
        "connection",
        "Instructs the server whether to track the keys in the next request.",
        "6.0.0",
    ),
    session_row(
        "client|getredir",
        get_redirect,
        2,
        _FLAGS,
        "connection",
        "Returns the client ID to which the connection's tracking notifications are redirected.",
        "6.0.0",
    ),
)
