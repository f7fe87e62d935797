"""Commands about the server: CONFIG INFO."""

import fnmatch
from collections.abc import Sequence

from distrodb.commands.api import SessionApi
from distrodb.commands.command import session_row
from distrodb.commands.error_replies import unknown_subcommand
from distrodb.resp.reply import Reply, Verbatim

PATTERNS_MAX = 64  # of one CONFIG GET: each is compiled, while everybody else waits


def config(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """CONFIG GET pattern ...; values are set in the slave's file, not at run time."""
    if args[1].upper() != b"GET" or not 3 <= len(args) <= 2 + PATTERNS_MAX:
        return unknown_subcommand(args)
    known = {
        "save": "",
        "appendonly": "yes",  # each write is in the journal before its reply
        "appendfsync": "always",
        "maxmemory": "0",
        "cluster-enabled": "yes" if session.slave.mode == "cluster" else "no",
        **session.slave.settings(),
    }
    patterns = [pattern.decode(errors="replace").lower() for pattern in args[2:]]
    return {
        name.encode(): value.encode()
        for name, value in known.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }


def info(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """https://redis.io/docs/latest/commands/info/, as far as its fields mean something here."""
    sections = session.slave.info()
    wanted = {arg.decode(errors="replace").lower() for arg in args[1:]}
    if not wanted or wanted & {"all", "default", "everything"}:
        wanted = set(sections)
    parts = [
        f"# {name.capitalize()}\r\n" + "".join(f"{key}:{value}\r\n" for key, value in rows.items())
        for name, rows in sections.items()
        if name in wanted
    ]
    return Verbatim("\r\n".join(parts).encode())


COMMANDS = (
    session_row("config", config, -2, "admin", "server", "CONFIG GET shows the configuration."),
    session_row("info", info, -1, "loading", "server", "Describes this slave."),
)
