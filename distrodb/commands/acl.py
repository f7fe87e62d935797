"""ACL: users, what they may do, and what was refused.

Who there is is the slave's matter, and in the end the cluster map's (slave/users.py); what rules
mean is acl_user.py's and acl_guard.py's.  The categories are those of the rows, so they say what
each command here is.
"""

from collections.abc import Callable, Iterator, Sequence

from distrodb.commands.acl_guard import Guard
from distrodb.commands.acl_user import CATEGORIES, Selector, User
from distrodb.commands.api import PENDING, Answer, SessionApi
from distrodb.commands.command import Command, container, session_row
from distrodb.commands.error_replies import shown, wrong_arity, wrong_subcommand
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.resp.reply import OK, Reply, SetReply, error

BITS_MAX = 4096  # of a password that is made, as in Redis
LOG_SHOWN = 10  # entries, if no number is asked for
_NO_FILE = error(
    "ERR", "This slave is not configured to use an ACL file: users are in the cluster map."
)


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
    return session.user


def _all(session: SessionApi) -> list[User]:
    known = session.slave.access.users.all
    return [known[name] for name in sorted(known)]


def users(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return [user.name for user in _all(session)]


def list_(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return [b"user %b %b" % (user.name, user.text) for user in _all(session)]


def getuser(session: SessionApi, args: Sequence[bytes]) -> Reply:
    user = session.slave.access.users.all.get(args[2])
    if user is None:
        return None
    return {
        b"flags": SetReply(user.flags),
        b"passwords": list(user.passwords),
        **_told(user.root),
        b"selectors": [_told(selector) for selector in user.selectors],
    }


def _told(selector: Selector) -> dict[Reply, Reply]:
    return {
        b"commands": selector.commands_text,
        b"keys": selector.keys_text,
        b"channels": selector.channels_text,
    }


def setuser(session: SessionApi, args: Sequence[bytes]) -> Answer:
    """ACL SETUSER username [rule ...]"""
    session.slave.access.change_users([b"SETUSER", *args[2:]], session.later())
    return PENDING


def deluser(session: SessionApi, args: Sequence[bytes]) -> Answer:
    """ACL DELUSER username [username ...]"""
    session.slave.access.change_users([b"DELUSER", *args[2:]], session.later())
    return PENDING


def dryrun(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """ACL DRYRUN username command [arg ...]"""
    user = session.slave.access.users.all.get(args[2])
    if user is None:
        return error("ERR", f"User '{shown(args[2])}' not found")
    words = args[3:]
    row = session.slave.access.users.table.get(words[0].upper())
    found = None if row is None else row.subcommand(words)
    if found is None:
        return error("ERR", f"Command '{shown(words[0])}' not found")
    if not found.arity_ok(words):
        return wrong_arity(found.name)
    objection = None if user.is_unrestricted else Guard(user).objection(found, words)
    return OK if objection is None or not objection.about else objection.told


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
    """ACL LOG [count | RESET]"""
    slave, count = session.slave, LOG_SHOWN
    if len(args) > 3:
        return wrong_subcommand(args)
    if len(args) == 3:
        if args[2].upper() == b"RESET":
            slave.access.log.clear()
            return OK
        wanted = parse_integer(args[2])
        if wanted is None:
            return NOT_AN_INTEGER
        count = wanted
    return list(slave.access.log.newest(count, slave.process.now()))


def _no_file(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return _NO_FILE


_PLAIN = "loading noscript stale"
_ADMIN = f"admin {_PLAIN}"


def _row(
    word: str,
    handler: Callable[[SessionApi, Sequence[bytes]], Answer],
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
            _row("setuser", setuser, -3, _ADMIN, "Makes a user, or changes its rules."),
            _row("deluser", deluser, -3, _ADMIN, "Deletes users."),
            _row("dryrun", dryrun, -4, _ADMIN, "Simulates the execution of a command by a user."),
            _row("genpass", genpass, -2, _PLAIN, "Generates a password."),
            _row("log", log, -2, _ADMIN, "Lists what was refused of late."),
            _row("save", _no_file, 2, _ADMIN, "There is no ACL file."),
            _row("load", _no_file, 2, _ADMIN, "There is no ACL file."),
        ],
    ),
)
