"""MONITOR: every command that begins on this slave, as it begins, to those who watch.

Costs nothing while nobody watches.  A long word is cut, and so are many, other than in Redis.  A
watcher that does not read what it is sent is closed, since it would miss what it is there for.

As in Redis, to which it is a kind of replica, a watcher asks nothing of the data.
"""

from collections.abc import Iterator, Sequence

from distrodb.commands.api import SessionApi
from distrodb.commands.command import MAY_REPLICATE, Command, session_row
from distrodb.resp.reply import OK, Reply, error

HIDDEN = b"(redacted)"
SECRET = {b"requirepass", b"masterauth", b"tls-key-file-pass"}  # settings of Redis
NOT_FOR_WATCHERS = error("ERR", "Replica can't interact with the keyspace")
WORD_BYTES_MAX = 4096  # of a word that is shown: of the largest value it takes no time then
LINE_BYTES_MAX = 1 << 16  # of all words, before they are quoted: a millisecond or two
_NAMED = {7: b"\\a", 8: b"\\b", 9: b"\\t", 10: b"\\n", 13: b"\\r", 34: b'\\"', 92: b"\\\\"}
_AS_SHOWN = [
    _NAMED.get(byte) or (bytes([byte]) if 32 <= byte < 127 else b"\\x%02x" % byte)
    for byte in range(256)
]


def quoted(word: bytes) -> bytes:
    """As Redis writes it (``sdscatrepr``): one line, whatever is in it."""
    more = len(word) - WORD_BYTES_MAX
    if more > 0:
        word = b"%b... (%d more bytes)" % (word[:WORD_BYTES_MAX], more)
    return b'"' + b"".join([_AS_SHOWN[byte] for byte in word]) + b'"'


def without_secrets(args: Sequence[bytes]) -> Sequence[bytes]:
    """The same words, without user names and passwords."""
    name = args[0].upper()
    if name == b"AUTH":
        return [args[0], *[HIDDEN] * (len(args) - 1)]
    if name == b"ACL" and len(args) > 3 and args[1].upper() == b"SETUSER":  # passwords, hashes
        return [*args[:3], *[HIDDEN] * (len(args) - 3)]
    if name == b"ACL" and len(args) > 3 and args[1].upper() == b"DRYRUN":  # of a command like these
        return [*args[:3], *without_secrets(args[3:])]
    if name == b"CONFIG":
        pairs = zip(args, [b"", *args], strict=False)
        return [HIDDEN if before.lower() in SECRET else word for word, before in pairs]
    if name != b"HELLO":
        return args
    words = list(args)
    for position, word in enumerate(args):
        if word.upper() == b"AUTH":
            words[position + 1 : position + 3] = [HIDDEN] * len(args[position + 1 : position + 3])
    return words


def is_shown(row: Command) -> bool:
    """What Redis shows: no command of an administrator."""
    return "admin" not in row.flags and row.name != "quit"


def may_ask(row: Command) -> bool:
    """A watcher may run it."""
    return not row.flags & {"write", "readonly"} and row.name not in MAY_REPLICATE


def line(wall_us: int, session: SessionApi, args: Sequence[bytes]) -> bytes:
    words = b" ".join(_shown(without_secrets(args)))
    seconds, rest_us = divmod(wall_us, 1_000_000)
    who = session.database, session.address.encode()
    return b"%d.%06d [%d %b] %b" % (seconds, rest_us, *who, words)


def _shown(words: Sequence[bytes]) -> Iterator[bytes]:
    left = LINE_BYTES_MAX
    for number, word in enumerate(words):
        if left <= 0:
            yield b"... (%d more words)" % (len(words) - number)
            return
        left -= min(len(word), WORD_BYTES_MAX) + len(b' ""')
        yield quoted(word)


def monitor(session: SessionApi, args: Sequence[bytes]) -> Reply:
    session.slave.monitors[session.id] = session

    def refuse(row: Command | None, args: Sequence[bytes]) -> bool:
        found = None if row is None else row.subcommand(args)
        if found is None or not found.arity_ok(args) or may_ask(found) or session.is_confined:
            return False
        session.answer(NOT_FOR_WATCHERS)
        return True

    session.divert = refuse
    return OK


COMMANDS = (
    session_row(
        "monitor",
        monitor,
        1,
        "admin loading noscript stale",
        "server",
        "Listens for all requests received by the server in real-time.",
    ),
)
