"""Redis' own words for commands that are wrong."""

from collections.abc import Sequence

from distrodb.resp.reply import ErrorReply, error

SYNTAX = error("ERR", "syntax error")
CROSSSLOT = error("CROSSSLOT", "Keys in request don't hash to the same slot")
SHOWN_BYTES_MAX = 128  # of what an error quotes, as in Redis


def shown(text: bytes) -> str:
    return text[:SHOWN_BYTES_MAX].decode(errors="replace")


def unknown_command(args: Sequence[bytes]) -> ErrorReply:
    rest = " ".join(f"'{shown(arg)}'" for arg in args[1:20])[:SHOWN_BYTES_MAX]
    return error("ERR", f"unknown command '{shown(args[0])}', with args beginning with: {rest}")


def unknown_subcommand(args: Sequence[bytes]) -> ErrorReply:
    name, verb = (shown(arg) for arg in args[:2])
    return error(
        "ERR", f"unknown subcommand or wrong number of arguments for '{verb}'. Try {name} HELP."
    )


def wrong_arity(name: str) -> ErrorReply:
    return error("ERR", f"wrong number of arguments for '{name}' command")
