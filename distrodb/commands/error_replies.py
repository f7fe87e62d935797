"""Redis' own words for commands that are wrong."""

from collections.abc import Sequence

from distrodb.commands.command import Command
from distrodb.resp.reply import ErrorReply, error

SYNTAX = error("ERR", "syntax error")
TOO_MANY_KEYS = error("ERR", "Number of keys can't be greater than number of args")
NEGATIVE_LIMIT = error("ERR", "LIMIT can't be negative")
CROSSSLOT = error("CROSSSLOT", "Keys in request don't hash to the same slot")
SHOWN_BYTES_MAX = 128  # of what an error quotes, as in Redis


def shown(text: bytes, bytes_max: int = SHOWN_BYTES_MAX) -> str:
    """What a client sent, for an error that quotes it: byte by byte, and up to a NUL."""
    return text[:bytes_max].partition(b"\0")[0].decode(errors="surrogateescape")


def unknown_command(args: Sequence[bytes]) -> ErrorReply:
    rest = ""
    for arg in args[1 : SHOWN_BYTES_MAX // 3 + 1]:
        if (left := SHOWN_BYTES_MAX - _size(rest)) > 0:
            rest += f"'{shown(arg, left)}' "
    return error("ERR", f"unknown command '{shown(args[0])}', with args beginning with: {rest}")


def not_yet(args: Sequence[bytes]) -> ErrorReply:
    """It is a command when the cluster map has its level (ring/levels.py)."""
    return error(
        "ERR",
        f"'{shown(args[0])}' is a command when all slaves of the cluster run a version that knows"
        " it; distrodb doctor says which do not",
    )


def _size(text: str) -> int:
    return len(text.encode(errors="surrogateescape"))


def unknown_subcommand(args: Sequence[bytes]) -> ErrorReply:
    name, verb = shown(args[0]).upper(), shown(args[1])
    return error("ERR", f"unknown subcommand '{verb}'. Try {name} HELP.")


def wrong_subcommand(args: Sequence[bytes]) -> ErrorReply:
    """Of one that its handler finds to have a wrong number of words."""
    name, verb = shown(args[0]).upper(), shown(args[1])
    what = f"unknown subcommand or wrong number of arguments for '{verb}'"
    return error("ERR", f"{what}. Try {name} HELP.")


def not_for_subscribers(row: Command, args: Sequence[bytes]) -> ErrorReply:
    found = row.subcommand(args)
    if found is None:
        return unknown_subcommand(args)
    if not found.arity_ok(args):
        return wrong_arity(found.name)
    allowed = "(P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET"
    return _rejected(
        found.name, f"Can't execute '{found.name}': only {allowed} are allowed in this context"
    )


def wrong_arity(name: str) -> ErrorReply:
    return _rejected(name, f"wrong number of arguments for '{name}' command")


def _rejected(name: str, why: str) -> ErrorReply:
    """An EXEC that does not even begin ends its transaction."""
    if name == "exec":
        return error("EXECABORT", f"Transaction discarded because of: {why}")
    return error("ERR", why)
