"""COMMAND: what the table says of every command, for clients that find keys and give hints by it.

All of it is read from the rows (command.py), as Redis gives it in the same shapes:
https://redis.io/docs/latest/commands/command/.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from distrodb.commands.api import SessionApi
from distrodb.commands.command import Command, container, session_row
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.key_specs import KeySpec
from distrodb.commands.usage import arguments, cost_of, usage_of
from distrodb.keyspace.glob import LONG_PATTERN, PATTERN_BYTES_MAX, glob
from distrodb.resp.reply import ErrorReply, Reply, SetReply, Status, error

Table = Mapping[bytes, Command]

# -- INFO --------------------------------------------------------------------------------------


def info_of(row: Command) -> Reply:
    return [
        row.name.encode(),
        row.arity,
        _words(sorted(row.flags)),
        *_range(row),
        _words(f"@{category}" for category in sorted(row.categories)),
        SetReply([tip.encode() for tip in row.tips]),
        SetReply([_spec(spec) for spec in row.keys]),
        SetReply([info_of(each) for each in row.subcommands.values()]),
    ]


def _words(words: Iterable[str]) -> SetReply:
    return SetReply([Status(word.encode()) for word in words])


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
    told[b"flags"] = _words(spec.flags.split())
    begin: dict[Reply, Reply]
    if spec.is_unknown:
        begin = {b"type": b"unknown", b"spec": {}}
        return told | {b"begin_search": begin, b"find_keys": begin}
    if spec.word:
        begin = {b"type": b"keyword", b"spec": {b"keyword": spec.word, b"startfrom": spec.at}}
    else:
        begin = {b"type": b"index", b"spec": {b"index": spec.at}}
    return told | {b"begin_search": begin, b"find_keys": _find_keys(spec)}


def _find_keys(spec: KeySpec) -> Reply:
    step: dict[Reply, Reply] = {b"keystep": spec.step}
    if spec.count_at is None:
        return {
            b"type": b"range",
            b"spec": {b"lastkey": spec.last} | step | {b"limit": spec.limit},
        }
    count: dict[Reply, Reply] = {b"keynumidx": spec.count_at, b"firstkey": spec.first}
    return {b"type": b"keynum", b"spec": count | step}


def every(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return [info_of(row) for row in session.slave.commands.values()]


def info(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """COMMAND INFO [command-name ...]; null for a name that is not known."""
    if len(args) == 2:
        return every(session, args)
    found = [_named(session.slave.commands, name) for name in args[2:]]
    return [None if row is None else info_of(row) for row in found]


def _named(table: Table, name: bytes) -> Command | None:
    """Of a command, or of a subcommand as ``client|id``."""
    first, *rest = name.upper().split(b"|")
    row = table.get(first)
    if row is None or not rest:
        return row
    return row.subcommands.get(rest[0]) if len(rest) == 1 else None


# -- COUNT, LIST, DOCS -----------------------------------------------------------------------------


def count(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return len(session.slave.commands)


def list_(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]"""
    accepts: Callable[[Command], bool] = lambda row: True  # noqa: E731
    if len(args) > 2:
        filtered = _filter([args[2].upper(), *args[3:]])
        if isinstance(filtered, ErrorReply):
            return filtered
        accepts = filtered
    rows = _with_subcommands(session.slave.commands)
    return [row.name.encode() for row in rows if accepts(row)]


def _filter(words: Sequence[bytes]) -> Callable[[Command], bool] | ErrorReply:
    if len(words) != 3 or words[0] != b"FILTERBY":
        return SYNTAX
    kind, value = words[1].upper(), words[2]
    if kind == b"MODULE":
        return lambda row: False  # there are none
    if kind == b"ACLCAT":
        category = value.decode(errors="replace").lower()
        return lambda row: category in row.categories
    if kind == b"PATTERN":
        if len(value) > PATTERN_BYTES_MAX:
            return LONG_PATTERN
        matches = glob(value.lower()).match
        return lambda row: matches(row.name.encode()) is not None
    return SYNTAX


def _with_subcommands(table: Table) -> Iterable[Command]:
    for row in table.values():
        yield row
        yield from row.subcommands.values()


def docs(session: SessionApi, args: Sequence[bytes]) -> Reply:
    """COMMAND DOCS [command-name ...]; a name that is not known is left out."""
    table = session.slave.commands
    rows = [_named(table, name) for name in args[2:]] if len(args) > 2 else table.values()
    return {row.name.encode(): docs_of(row) for row in rows if row is not None}


def docs_of(row: Command) -> Reply:
    told: dict[Reply, Reply] = {
        b"summary": row.summary.encode(),
        b"since": row.since.encode(),
        b"group": row.group.encode(),
    }
    if cost := cost_of(row.name):
        told[b"complexity"] = cost.encode()
    if usage := usage_of(row.name):
        told[b"arguments"] = [argument.told() for argument in arguments(usage)]
    if row.subcommands:
        told[b"subcommands"] = {
            each.name.encode(): docs_of(each) for each in row.subcommands.values()
        }
    return told


# -- GETKEYS ---------------------------------------------------------------------------------------


def getkeys(session: SessionApi, args: Sequence[bytes]) -> Reply:
    row = _whole_command(session.slave.commands, args[2:])
    if isinstance(row, ErrorReply):
        return row
    return list(row.keys_of(args[2:])) or _no_keys(row)


def getkeysandflags(session: SessionApi, args: Sequence[bytes]) -> Reply:
    words = args[2:]
    row = _whole_command(session.slave.commands, words)
    if isinstance(row, ErrorReply):
        return row
    told: list[Reply] = [
        [words[position], _words(flags.split())] for position, flags in row.keys_with_flags(words)
    ]
    return told or _no_keys(row)


def _whole_command(table: Table, words: Sequence[bytes]) -> Command | ErrorReply:
    named = table.get(words[0].upper())
    row = named.subcommand(words) if named is not None else None
    if row is None:
        return error("ERR", "Invalid command specified")
    if not row.keys:
        return error("ERR", "The command has no key arguments")
    if not row.arity_ok(words):
        return error("ERR", "Invalid number of arguments specified for command")
    return row


def _no_keys(row: Command) -> Reply:
    if "no_mandatory_keys" in row.flags:
        return []
    return error("ERR", "Invalid arguments specified for command")


def _row(name: str, handler: Callable[..., Reply], arity: int, summary: str, since: str) -> Command:
    is_in_no_order = handler in (every, info, list_, docs)
    tips = ("nondeterministic_output_order",) if is_in_no_order else ()
    return session_row(
        name,
        handler,
        arity,
        "loading stale",
        "server",
        summary,
        since,
        tips=tips,
        acl="connection",
    )


_SUBCOMMANDS = (
    _row("command|count", count, 2, "Counts the commands.", "2.8.13"),
    _row("command|docs", docs, -2, "Summaries of commands.", "7.0.0"),
    _row("command|getkeys", getkeys, -4, "The keys of a command.", "2.8.13"),
    _row("command|getkeysandflags", getkeysandflags, -4, "Its keys and their use.", "7.0.0"),
    _row("command|info", info, -2, "Arity, flags and keys of commands.", "2.8.13"),
    _row("command|list", list_, -2, "Names of commands.", "7.0.0"),
)
_WHOLE = _row("command", every, -1, "Tells of all commands.", "2.8.13")
_CONTAINER = container("command", "server", "", "2.8.13", _SUBCOMMANDS, acl="connection")
COMMANDS = (replace(_WHOLE, subcommands=_CONTAINER.subcommands),)
