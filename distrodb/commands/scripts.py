"""Scripts: EVAL EVALSHA and theirs that only read, and SCRIPT
(https://redis.io/docs/latest/develop/programmability/eval-intro/).

A script runs when its entry is applied, on every replica, in the partition of its keys (without
keys: that of slot 0); what makes it run alike everywhere, and end, is in scripting/.  It is one
command of its entry, so nothing comes in between.  What it does stays if it fails by itself, as in
Redis; if it is ended because it does more than it may, all of that is undone.

``EVAL_AS`` is what a session makes of the command of a client that may not do everything: its first
word is that user's rules, by which each command of the script is judged.  ``EVAL_FULL`` is what a
leader makes of either while it holds more than ``maxmemory``: what a script may do then is decided
before it is proposed, and stands in the entry.  No client can send them.

Caveats: EVAL_RO is no entry, so no partition remembers its script; redis.log is not written.
"""

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

from distrodb.commands.acl_guard import Guard
from distrodb.commands.acl_user import read
from distrodb.commands.combine import ALL_OK, Led, Part, does_not_add_up
from distrodb.commands.command import Command, container, data_row, session_row
from distrodb.commands.costs import Sizes
from distrodb.commands.error_replies import TOO_MANY_KEYS, shown
from distrodb.commands.key_specs import NO_KEYS, KeySpec
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.commands.script_calls import ScriptCalls
from distrodb.keyspace.context import Context, Table
from distrodb.keyspace.keys import Keys
from distrodb.keyspace.scripts import sha_of
from distrodb.keyspace.store import Store
from distrodb.resp.reply import OK, ErrorReply, Reply, error
from distrodb.scripting.errors import CompileError
from distrodb.scripting.runtime import SCRIPT, Calls, Outcome, Runtime, runtime

_row = partial(data_row, level=2)
SCRIPTING = "scripting"  # the group
SHA_CHARACTERS = 40
NOSCRIPT = error("NOSCRIPT", "No matching script. Please use EVAL.")
NOT_BUSY = error("NOTBUSY", "No scripts in execution right now.")
FULL_MEMORY = error(
    "OOM",
    "allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
)
NO_CLUSTER = error("ERR", "Can not run script on cluster, 'no-cluster' flag is set.")
NO_RO_WITH_WRITES = error("ERR", "Can not execute a script with write flag using *_ro command.")
UNDONE = b"; nothing of it was done"
# Microseconds that a script takes, about, before it is known what it does: a batch of entries holds
# no more of them than may run at once.
SCRIPT_US, BYTE_US = 300.0, 0.3
_FLAGS = frozenset(
    (b"no-writes", b"allow-oom", b"allow-stale", b"no-cluster", b"allow-cross-slot-keys")
)

# The handler of a command, with its caller's rights and whether memory is full behind what all
# handlers get.
As = Callable[..., Reply]


class Caller(NamedTuple):
    """What a script's entry says beside the client's words."""

    rights: bytes = b""  # rules; empty: all
    is_full: bool = False


ANYBODY = Caller()
Start = Callable[[Runtime, Sequence[bytes], Sequence[bytes], Calls], Outcome]


def _commands() -> Table:
    """All that there are; imported late, since the table is made of this module too."""
    from distrodb.commands.table import COMMANDS

    return COMMANDS


# -- EVAL ------------------------------------------------------------------------------------------


def key_words(args: Sequence[bytes]) -> tuple[Sequence[bytes], Sequence[bytes]] | ErrorReply:
    """KEYS and ARGV of ``name script numkeys key … argument …``."""
    count = parse_integer(args[2])
    if count is None:
        return NOT_AN_INTEGER
    if count > len(args) - 3:
        return TOO_MANY_KEYS
    if count < 0:
        return error("ERR", "Number of keys can't be negative")
    return args[3 : 3 + count], args[3 + count :]


def flags_of(text: bytes) -> frozenset[bytes] | ErrorReply | None:
    """Of a script's first line; None if it has none that says them."""
    if not text.startswith(b"#!"):
        return None
    line, has_more, _ = text.partition(b"\n")
    if not has_more:
        return error("ERR", "Invalid script shebang")
    engine, *options = line.split() or [b""]
    if engine != b"#!lua":
        return error("ERR", f"Unexpected engine in script shebang: {shown(engine)}")
    flags: set[bytes] = set()
    for option in options:
        if not option.startswith(b"flags="):
            return error("ERR", f"Unknown lua shebang option: {shown(option)}")
        for flag in option[6:].split(b","):
            if flag and flag not in _FLAGS:
                return error("ERR", f"Unexpected flag in script shebang: {shown(flag)}")
            flags.add(flag)
    return frozenset(flags)


def run(
    keys: Keys,
    words: tuple[Sequence[bytes], Sequence[bytes]],
    context: Context,
    start: Start,
    *,
    name: bytes,
    is_read_only: bool,
    flags: Collection[bytes] | None,
    caller: Caller,
    source: bytes = SCRIPT,
) -> Reply:
    """A script or a function; ``name`` is how errors call it, ``source`` where they came about.
    ``flags``: None if it says none."""
    partition = keys.partition
    assert partition is not None
    rights, is_full = caller
    calls = ScriptCalls(partition, _commands(), words[0], keys.database, context.now_ms)
    calls.is_read_only = is_read_only
    if flags is not None:
        if b"no-cluster" in flags and not calls.is_whole:
            return NO_CLUSTER
        is_harmless = b"allow-oom" in flags or b"no-writes" in flags
        if is_full and not is_harmless:
            return FULL_MEMORY
        is_full, calls.is_across = False, b"allow-cross-slot-keys" in flags
    calls.is_full = is_full
    if rights:
        calls.guard = _guard_of(rights)
    chance = partition.chance
    # A leader runs what only reads between the commands of an entry, and the other copies do not.
    was_for_all, chance.is_for_all = chance.is_for_all, not is_read_only
    is_over = True
    try:
        outcome = start(runtime(), *words, calls)
        is_over = outcome.is_over
    finally:
        calls.end(is_over)
        chance.is_for_all = was_for_all
    if outcome.error is None:
        return outcome.reply
    text = b"ERR " + outcome.error + UNDONE if is_over else outcome.error
    shown_name = name.decode(errors="surrogateescape")
    where = f" script: {shown_name}, on @{source.decode()}:{outcome.line}."
    line = text.decode(errors="surrogateescape").strip("\r\n") + where
    return ErrorReply(line.replace("\r", " ").replace("\n", " ").encode(errors="surrogateescape"))


@lru_cache(64)
def _guard_of(rights: bytes) -> Guard:
    return Guard(read(b"caller", rights, _commands()))  # type: ignore[arg-type]


def _evaluate(
    keys: Keys, args: Sequence[bytes], context: Context, sha: bytes, is_read: bool, caller: Caller
) -> Reply:
    if sha and len(sha) != SHA_CHARACTERS:  # before all else, as in Redis
        return NOSCRIPT
    words = key_words(args)
    if isinstance(words, ErrorReply):
        return words
    partition = keys.partition
    assert partition is not None
    scripts = partition.scripts
    if sha:
        found = scripts.text(sha)
        if found is None:
            return NOSCRIPT
        text = found
    else:
        text, sha = args[1], sha_of(args[1])
    flags = flags_of(text)
    if isinstance(flags, ErrorReply):
        return flags
    if is_read and flags is not None and b"no-writes" not in flags:
        return NO_RO_WITH_WRITES
    if problem := _unreadable(text):
        return problem
    if not is_read:
        scripts.evaluate(sha, text)
    return run(
        keys,
        words,
        context,
        lambda lua, names, rest, calls: lua.script(text, names, rest, calls),
        name=sha,
        is_read_only=is_read or (flags is not None and b"no-writes" in flags),
        flags=flags,
        caller=caller,
    )


def _unreadable(text: bytes) -> ErrorReply | None:
    try:
        runtime().compile(text)
    except CompileError as problem:
        return error("ERR", f"Error compiling script (new function): {problem}")
    return None


def _of(is_by_sha: bool, is_read: bool) -> As:
    def evaluate(
        keys: Keys, args: Sequence[bytes], context: Context, caller: Caller = ANYBODY
    ) -> Reply:
        sha = args[1].lower() or b"-" if is_by_sha else b""
        return _evaluate(keys, args, context, sha, is_read, caller)

    return evaluate


eval_, evalsha = _of(False, False), _of(True, False)
eval_ro, evalsha_ro = _of(False, True), _of(True, True)


# -- of a client that may not do everything, and where there is no room ----------------------------

# Functions add theirs (functions.py).
BY_NAME: dict[bytes, As] = {
    b"EVAL": eval_,
    b"EVALSHA": evalsha,
    b"EVAL_RO": eval_ro,
    b"EVALSHA_RO": evalsha_ro,
}
AS, AS_RO, FULL = b"EVAL_AS", b"EVAL_RO_AS", b"EVAL_FULL"


def as_caller(args: Sequence[bytes], rights: bytes) -> tuple[Command, list[bytes]]:
    """The words of a script's command on keys with its caller's rights."""
    is_read = args[0].upper().endswith(b"_RO")
    return MACHINE_COMMANDS[is_read], [AS_RO if is_read else AS, rights, *args]


def where_full(args: Sequence[bytes]) -> Sequence[bytes]:
    """The words of any command, as they are where memory is full."""
    name = args[0].upper()
    if name == AS:
        return [FULL, *args[1:]]
    is_script = name in BY_NAME and not name.endswith(b"_RO")
    return [FULL, b"", *args] if is_script else args


def _run_as(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    run_it = BY_NAME.get(args[2].upper())
    if run_it is None or len(args) < 5:
        return error("ERR", "no script to be run with rights")
    return run_it(keys, args[2:], context, Caller(args[1], args[0].upper() == FULL))


def _keys_behind(args: Sequence[bytes]) -> list[int]:
    return [2 + position for position in _KEYS[0].positions(args[2:])]


def cost_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return SCRIPT_US + BYTE_US * len(args[1])


# -- SCRIPT ----------------------------------------------------------------------------------------


def load(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    flags = flags_of(args[2])
    if isinstance(flags, ErrorReply):
        return flags
    return _unreadable(args[2]) or store.scripts.load(args[2])


def exists(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    return [int(sha.lower() in store.scripts) for sha in args[2:]]


def flush(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    if len(args) > 3 or (len(args) == 3 and args[2].upper() not in (b"SYNC", b"ASYNC")):
        return error("ERR", "SCRIPT FLUSH only support SYNC|ASYNC option")
    store.scripts.flush()
    return OK


class _Loaded:
    """All partitions get it; the SHA follows from its text."""

    def parts(self, args: Sequence[bytes], led: Sequence[Led]) -> list[Part]:
        return [(each.partition, args) for each in led]

    def whole(self, args: Sequence[bytes], led: Sequence[Led], replies: Sequence[Reply]) -> Reply:
        return sha_of(args[2])


class _InAll:
    """A script is there if all partitions have it."""

    def parts(self, args: Sequence[bytes], led: Sequence[Led]) -> list[Part]:
        return [(each.partition, args) for each in led]

    def whole(self, args: Sequence[bytes], led: Sequence[Led], replies: Sequence[Reply]) -> Reply:
        rows = [reply for reply in replies if isinstance(reply, list)]
        if len(rows) != len(replies):
            return does_not_add_up(replies)
        return [int(bool(rows) and all(column)) for column in zip(*rows, strict=True)] or (
            [0] * (len(args) - 2)
        )


def compiled_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return BYTE_US * len(args[2])


_EVAL_FLAGS = "noscript stale skip_monitor no_mandatory_keys movablekeys"
_ANY = "We cannot tell how the keys will be used so we assume the worst, "
_KEYS = (KeySpec("RW access update", 2, count_at=0, first=1, notes=f"{_ANY}RW and UPDATE"),)
_READ_KEYS = (KeySpec("RO access", 2, count_at=0, first=1, notes=f"{_ANY}RO and ACCESS"),)
_SHA_KEYS = (KeySpec("RW access update", 2, count_at=0, first=1),)
_SHA_READ_KEYS = (KeySpec("RO access", 2, count_at=0, first=1),)


COMMANDS = (
    _row(
        "eval",
        eval_,
        -3,
        _EVAL_FLAGS,
        _KEYS,
        SCRIPTING,
        "Executes a server-side Lua script.",
        "2.6.0",
        cost=cost_us,
        is_logged=True,
    ),
    _row(
        "evalsha",
        evalsha,
        -3,
        _EVAL_FLAGS,
        _SHA_KEYS,
        SCRIPTING,
        "Executes a server-side Lua script by SHA1 digest.",
        "2.6.0",
        cost=cost_us,
        is_logged=True,
    ),
    _row(
        "eval_ro",
        eval_ro,
        -3,
        f"readonly {_EVAL_FLAGS}",
        _READ_KEYS,
        SCRIPTING,
        "Executes a read-only server-side Lua script.",
        "7.0.0",
        cost=cost_us,
    ),
    _row(
        "evalsha_ro",
        evalsha_ro,
        -3,
        f"readonly {_EVAL_FLAGS}",
        _SHA_READ_KEYS,
        SCRIPTING,
        "Executes a read-only server-side Lua script by SHA1 digest.",
        "7.0.0",
        cost=cost_us,
    ),
    container(
        "script",
        SCRIPTING,
        "Keeps scripts that are run by their digests.",
        "2.6.0",
        [
            _row(
                "script|exists",
                exists,
                -3,
                "noscript",
                NO_KEYS,
                SCRIPTING,
                "Determines whether server-side Lua scripts exist in the script cache.",
                "2.6.0",
                combine=_InAll(),
                tips=("request_policy:all_shards", "response_policy:agg_logical_and"),
            ),
            _row(
                "script|flush",
                flush,
                -2,
                "noscript",
                NO_KEYS,
                SCRIPTING,
                "Removes all server-side Lua scripts from the script cache.",
                "2.6.0",
                combine=ALL_OK,
                is_logged=True,
                tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
            ),
            session_row(
                "script|kill",
                lambda *_: NOT_BUSY,
                2,
                "noscript allow_busy",
                SCRIPTING,
                "Terminates a server-side Lua script during execution; here none runs for long.",
                "2.6.0",
                tips=("request_policy:all_shards", "response_policy:one_succeeded"),
            ),
            _row(
                "script|load",
                load,
                3,
                "noscript stale",
                NO_KEYS,
                SCRIPTING,
                "Loads a server-side Lua script to the script cache.",
                "2.6.0",
                combine=_Loaded(),
                is_logged=True,
                cost=compiled_us,
                tips=("request_policy:all_nodes", "response_policy:all_succeeded"),
            ),
        ],
    ),
)

# What no client can send.
MACHINE_COMMANDS = tuple(
    _row(
        name.decode().lower(),
        _run_as,
        -5,
        flags,
        (KeySpec("RW access update", is_unknown=True),),
        SCRIPTING,
        "",
        cost=lambda sizes, args: cost_us(sizes, args[2:]),
        is_logged=is_logged,
        find_keys=_keys_behind,
    )
    for name, flags, is_logged in (
        (AS, "noscript", True),
        (FULL, "noscript", True),
        (AS_RO, "noscript readonly", False),
    )
)
