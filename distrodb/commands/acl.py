"""ACL, as far as there is something to say: one user, ``default``, who may do everything.

What would make or change users is refused.  The categories are those of the rows, so they say what
each command here is.
"""

from collections.abc import Callable, Iterator, Sequence

from distrodb.commands.api import SessionApi
from distrodb.commands.clients import USER
from distrodb.commands.command import Command, container, session_row
from distrodb.commands.error_replies import shown, wrong_arity
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.resp.reply import OK, Reply, SetReply, error

CATEGORIES = (
    *("keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap"),
    *("hyperloglog", "geo", "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous"),
    *("connection", "transaction", "scripting"),
)
BITS_MAX = 4096  # of a password that is made, as in Redis
_NO_USERS = error(
    "ERR", "users cannot be made or changed here yet: default, who may do everything, is the only"
)
_NO_FILE = error("ERR", "This slave is not configured to use an ACL file: there are no users yet.")
_DEFAULT_STAYS = error("ERR", "The 'default' user cannot be removed")


def _every_row(session: SessionApi) -> Iterator[Command]:
    for row in session.slave.commands.values():
        yield row
        yield from row.subcommands.values()


def cat(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """ACL CAT [category]"""
    if len(args) == 2:
        return [category.encode() for category in CATEGORIES]
    category = args[2].decode(errors="replace").lower()
    if len(args) > 3:
        verb = shown(args[1])
        text = f"unknown subcommand or wrong number of arguments for '{verb}'. Try ACL HELP."
        return error("ERR", text)
    if category not in CATEGORIES:
        return error("ERR", f"Unknown category '{shown(args[2])}'")
    return [row.name.encode() for row in _every_row(session) if category in row.categories]


def whoami(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return USER


def users(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return [USER]


def list_(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return [b"user %b on nopass ~* &* +@all" % USER]


def getuser(session: SessionApi, args: Sequence[bytes]) -> Reply:
    if args[2] != USER:
        return None
    return {
        b"flags": SetReply([b"on", b"nopass"]),
        b"passwords": [],
        b"commands": b"+@all",
        b"keys": b"~*",
        b"channels": b"&*",
        b"selectors": [],
    }


def deluser(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return _DEFAULT_STAYS if USER in args[2:] else 0


def dryrun(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """ACL DRYRUN username command [arg ...]"""
    if args[2] != USER:
        return error("ERR", f"User '{shown(args[2])}' not found")
    words = args[3:]
    row = session.slave.commands.get(words[0].upper())
    found = None if row is None else row.subcommand(words)
    if found is None:
        return error("ERR", f"Command '{shown(words[0])}' not found")
    return OK if found.arity_ok(words) else wrong_arity(found.name)


def genpass(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """ACL GENPASS [bits]"""
    bits = parse_integer(args[2]) if len(args) == 3 else 256
    if len(args) > 3 or bits is None:
        return NOT_AN_INTEGER
    if not 0 < bits <= BITS_MAX:
        what = "the number of bits for the output password, a positive number up to"
        return error("ERR", f"ACL GENPASS argument must be {what} {BITS_MAX}")
    digits = -(-bits // 4)
    return session.slave.process.random_bytes(digits // 2 + 1).hex()[:digits].encode()


def log(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """ACL LOG [count | RESET]: nobody is ever refused."""
    if len(args) == 3 and args[2].upper() == b"RESET":
        return OK
    if len(args) > 3 or (len(args) == 3 and parse_integer(args[2]) is None):
        return NOT_AN_INTEGER
    return []


def _refused(reply: Reply) -> Callable[[SessionApi, Sequence[bytes]], Reply]:
    return lambda session, args: reply


_PLAIN = "loading noscript stale"
_ADMIN = f"admin {_PLAIN}"


def _row(
    word: str,
    handler: Callable[[SessionApi, Sequence[bytes]], Reply],
    arity: int,
    flags: str,
    summary: str,
) -> Command:
    since = "7.0.0" if word == "dryrun" else "6.0.0"
    return session_row(f"acl|{word}", handler, arity, flags, "server", summary, since)


COMMANDS = (
    container(
        "acl",
        "server",
        "A container for Access List Control commands.",
        "6.0.0",
        [
            _row("cat", cat, -2, _PLAIN, "Lists the ACL categories, or the commands of one."),
            _row("whoami", whoami, 2, _PLAIN, "Returns the user of the current connection."),
            _row("users", users, 2, _ADMIN, "Lists all users."),
            _row("list", list_, 2, _ADMIN, "Lists the rules of all users."),
            _row("getuser", getuser, 3, _ADMIN, "Lists the rules of a user."),
            _row("setuser", _refused(_NO_USERS), -3, _ADMIN, "Not yet."),
            _row("deluser", deluser, -3, _ADMIN, "Deletes users."),
            _row("dryrun", dryrun, -4, _ADMIN, "Simulates the execution of a command by a user."),
            _row("genpass", genpass, -2, _PLAIN, "Generates a password."),
            _row("log", log, -2, _ADMIN, "Lists what was refused: nothing."),
            _row("save", _refused(_NO_FILE), 2, _ADMIN, "There is no ACL file."),
            _row("load", _refused(_NO_FILE), 2, _ADMIN, "There is no ACL file."),
        ],
    ),
)
