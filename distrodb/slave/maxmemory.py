"""``maxmemory``: what is refused while this slave holds more than it may.  Pure.

Redis' ``noeviction``: nothing that is there is given up for something new, but what may need more
memory (the flag ``denyoom``) is answered with an error, and so is each command behind a MULTI.  It
is decided before a command is proposed, by its partition's leader, and never when an entry is
applied: slaves hold different partitions, and what one applies all of its copies must.  Of a script
nobody knows before what it will do, so its entry says that there is no room (``where_full``), and
what it may not do then is refused when it runs.

What counts is the data of all partitions that are held here, led or as copies (keyspace/usage.py).
"""

from collections.abc import Sequence

from distrodb.commands import scripts
from distrodb.commands.table import DATA_COMMANDS
from distrodb.keyspace.transaction import (
    EXEC,
    commands_of,
    conditions_of,
    decided,
    is_undecided,
    pack,
)
from distrodb.resp.reply import ErrorReply, error

_WHY = "command not allowed when used memory > 'maxmemory'."
OOM = error("OOM", _WHY)
OOM_ABORT = error("EXECABORT", f"Transaction discarded because of: OOM {_WHY}")


def refusal(args: Sequence[bytes]) -> ErrorReply | None:
    """The answer to a write if it may need memory."""
    if args[0] != EXEC:
        return OOM if _may_grow(args) else None
    whole = decided(args, True) if is_undecided(args) else args
    return OOM_ABORT if any(_may_grow(words) for _, words in commands_of(whole) or ()) else None


def where_full(args: Sequence[bytes]) -> Sequence[bytes]:
    """A write that is not refused, as it is proposed."""
    if args[0] != EXEC:
        return scripts.where_full(args)
    conditions = conditions_of(args) if is_undecided(args) else ()
    commands = commands_of(decided(args, True) if conditions else args)
    if commands is None:
        return args
    changed = [(place, scripts.where_full(words)) for place, words in commands]
    return args if changed == commands else [EXEC, *pack(changed, conditions)]


def _may_grow(args: Sequence[bytes]) -> bool:
    row = DATA_COMMANDS.get(args[0].upper())
    found = None if row is None else row.subcommand(args)
    return found is not None and "denyoom" in found.flags
