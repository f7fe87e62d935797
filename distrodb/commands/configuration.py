"""CONFIG: what a slave is set to, and what may be changed until it restarts.

Which settings there are is the slave's matter (slave/runtime_settings.py).
"""

from collections.abc import Sequence

from distrodb.commands.acl_user import DEFAULT
from distrodb.commands.api import PENDING, Answer, SessionApi
from distrodb.commands.command import container, session_row
from distrodb.commands.error_replies import SYNTAX, shown
from distrodb.keyspace.glob import PATTERN_BYTES_MAX, glob
from distrodb.resp.reply import OK, Reply, error

PATTERNS_MAX = 64  # of one CONFIG GET: each is compiled, while everybody else waits
PAIRS_MAX = 256  # of one CONFIG SET: more than there are settings
_NO_REWRITE = error(
    "ERR", "CONFIG REWRITE is not supported: a slave's file is written by hand, and read at start"
)

REQUIREPASS = "requirepass"
_BY_ITSELF = error(
    "ERR",
    "CONFIG SET failed (possibly related to argument 'requirepass') - it is set on all slaves, and"
    " the others on this one: set it by itself",
)


class SettingError(Exception):
    """Why a setting cannot be so; the text is Redis'."""

    def __init__(self, name: str, why: str):
        super().__init__(why)
        self.name = name


class UnknownSetting(Exception):
    """There is none of that name."""


def _text(word: bytes) -> str:
    return word.decode(errors="surrogateescape")


def get(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """A name that is given whole is answered as it was written, as in Redis."""
    settings, patterns = session.slave.settings, args[2:]
    if len(patterns) > PATTERNS_MAX or any(len(p) > PATTERN_BYTES_MAX for p in patterns):
        return error("ERR", f"more than {PATTERNS_MAX} patterns, or one that is too long")
    found: dict[str, bytes] = {}
    for pattern in patterns:
        name = _text(pattern).lower()
        if name in settings:
            found.setdefault(name, pattern)
            continue
        accepts = glob(pattern.lower()).match
        for known in settings.names():
            if accepts(known.encode()):
                found.setdefault(known, known.encode())
    own = {"cluster-enabled": "yes" if session.slave.mode == "cluster" else "no"}  # of the port
    return {asked: (own.get(name) or settings.show(name)).encode() for name, asked in found.items()}


def set_(session: SessionApi, args: Sequence[bytes]) -> Answer:
    words = [_text(word) for word in args[2:]]
    if len(words) % 2 or len(words) > 2 * PAIRS_MAX:
        return SYNTAX
    if REQUIREPASS in [name.lower() for name in words[::2]]:
        if len(words) > 2:  # the others are this slave's alone, and done at once
            return _BY_ITSELF
        return _require(session, args[3])
    try:
        session.slave.settings.change(list(zip(words[::2], words[1::2], strict=True)))
    except UnknownSetting as name:
        what = shown(str(name).encode(errors="surrogateescape"))
        return error("ERR", f"Unknown option or number of arguments for CONFIG SET - '{what}'")
    except SettingError as why:
        which = f"possibly related to argument '{why.name}'"
        return error("ERR", f"CONFIG SET failed ({which}) - {why}")
    return OK


def _require(session: SessionApi, password: bytes) -> Answer:
    """As in Redis it is the password of ``default``; so it goes where users are: all slaves have
    the same."""
    rules = [b"resetpass", b">" + password] if password else [b"nopass"]
    session.slave.access.change_users([b"SETUSER", DEFAULT, *rules], session.later())
    return PENDING


def reset_statistics(session: SessionApi, args: Sequence[bytes]) -> Reply:
    session.slave.clear_statistics()
    return OK


def rewrite(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return _NO_REWRITE


_FLAGS = "admin loading noscript stale"
_ALL_NODES = ("request_policy:all_nodes", "response_policy:all_succeeded")

COMMANDS = (
    container(
        "config",
        "server",
        "A container for server configuration commands.",
        "2.0.0",
        [
            session_row(
                "config|get",
                get,
                -3,
                _FLAGS,
                "server",
                "Returns the effective values of configuration parameters.",
                "2.0.0",
            ),
            session_row(
                "config|set",
                set_,
                -4,
                _FLAGS,
                "server",
                "Sets configuration parameters in-flight.",
                "2.0.0",
                tips=_ALL_NODES,
            ),
            session_row(
                "config|resetstat",
                reset_statistics,
                2,
                _FLAGS,
                "server",
                "Resets the server's statistics.",
                "2.0.0",
            ),
            session_row(
                "config|rewrite",
                rewrite,
                2,
                _FLAGS,
                "server",
                "Persists the effective configuration to file.",
                "2.8.0",
            ),
        ],
    ),
)
