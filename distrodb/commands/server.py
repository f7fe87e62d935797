"""Commands about the server: COMMAND CONFIG INFO."""

import fnmatch
from collections.abc import Sequence

from distrodb.commands.api import SessionApi
from distrodb.commands.command import Command, session_row
from distrodb.commands.error_replies import unknown_subcommand
from distrodb.commands.key_specs import KeySpec
from distrodb.resp.reply import Reply, Status, Verbatim, error

PATTERNS_MAX = 64  # of one CONFIG GET: each is compiled, while everybody else waits


def _row(row: Command) -> Reply:
    return [
        row.name.encode(),
        row.arity,
        [Status(flag.encode()) for flag in sorted(row.flags)],
        *_range(row),
        [Status(b"@" + category.encode()) for category in sorted(row.categories)],
        [tip.encode() for tip in row.tips],
        [_spec(spec) for spec in row.keys],
        [_row(each) for each in row.subcommands.values()],
    ]


def _range(row: Command) -> list[Reply]:
    """First key, last key and step, as clients before the key specs know them."""
    ranges = [s for s in row.keys if not (s.word or s.is_unknown) and s.count_at is None]
    if not ranges:
        return [0, 0, 0]
    first, final = ranges[0], ranges[-1]
    last = final.last if final.last < 0 else final.at + final.last
    return [first.at, last, first.step]


def _spec(spec: KeySpec) -> Reply:
    told: dict[Reply, Reply] = {b"notes": spec.notes.encode()} if spec.notes else {}
    told[b"flags"] = [Status(flag.encode()) for flag in spec.flags.split()]
    if spec.is_unknown:
        begin: dict[Reply, Reply] = {b"type": b"unknown", b"spec": {}}
        return told | {b"begin_search": begin, b"find_keys": begin}
    if spec.word:
        begin = {
            b"type": b"keyword",
            b"spec": {b"keyword": spec.word, b"startfrom": spec.at},
        }
    else:
        begin = {b"type": b"index", b"spec": {b"index": spec.at}}
    if spec.count_at is None:
        numbers: dict[Reply, Reply] = {
            b"lastkey": spec.last,
            b"keystep": spec.step,
            b"limit": spec.limit,
        }
        find: dict[Reply, Reply] = {b"type": b"range", b"spec": numbers}
    else:
        numbers = {
            b"keynumidx": spec.count_at,
            b"firstkey": spec.first,
            b"keystep": spec.step,
        }
        find = {b"type": b"keynum", b"spec": numbers}
    return told | {b"begin_search": begin, b"find_keys": find}


def command(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """COMMAND [COUNT | INFO name ... | DOCS [name ...] | LIST | GETKEYS command ...]."""
    table = session.slave.commands
    if len(args) == 1:
        return [_row(row) for row in table.values()]
    verb, names = args[1].upper(), args[2:]
    if verb == b"COUNT" and not names:
        return len(table)
    if verb == b"LIST" and not names:
        return [row.name.encode() for row in table.values()]
    if verb == b"INFO":
        found = [table.get(name.upper()) for name in names] if names else list(table.values())
        return [None if row is None else _row(row) for row in found]
    if verb == b"DOCS":
        rows = [table.get(name.upper()) for name in names] if names else list(table.values())
        return {
            row.name.encode(): {
                b"summary": row.summary.encode(),
                b"since": row.since.encode(),
                b"group": row.group.encode(),
            }
            for row in rows
            if row is not None
        }
    if verb == b"GETKEYS" and names:
        row = table.get(names[0].upper())
        if row is None or not row.arity_ok(names):
            return error("ERR", "Invalid command specified")
        keys = row.keys_of(names)
        return list(keys) or error("ERR", "The command has no key arguments")
    return unknown_subcommand(args)


def config(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """CONFIG GET pattern ...; values are set in the slave's file, not at run time."""
    if args[1].upper() != b"GET" or not 3 <= len(args) <= 2 + PATTERNS_MAX:
        return unknown_subcommand(args)
    known = {
        "save": "",
        "appendonly": "yes",  # each write is in the journal before its reply
        "appendfsync": "always",
        "databases": "1",
        "maxmemory": "0",
        "cluster-enabled": "yes",
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
    session_row("command", command, -1, "loading", "server", "Describes the commands.", "2.8.13"),
    session_row("config", config, -2, "admin", "server", "CONFIG GET shows the configuration."),
    session_row("info", info, -1, "loading", "server", "Describes this slave."),
)
