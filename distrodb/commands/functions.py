"""Libraries of functions: FUNCTION, FCALL and FCALL_RO
(https://redis.io/docs/latest/develop/programmability/functions-intro/).

A library is a text that registers functions.  All partitions have all libraries, in their state.
For each FCALL the text runs again and registers anew, so nothing that a function leaves in its
variables is there the next time: one copy of a partition would have it, and another one not.  What
a text registers follows from it alone, so that is found once.

Caveat: in Redis next to nothing is there while a library is loaded; here all is but commands.
"""

import re
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from distrodb.commands.combine import ALL_OK, Led, Part
from distrodb.commands.command import container, data_row, session_row
from distrodb.commands.costs import Sizes
from distrodb.commands.dump import BAD_FORMAT, DAMAGED
from distrodb.commands.error_replies import shown, wrong_subcommand
from distrodb.commands.key_specs import NO_KEYS, KeySpec
from distrodb.commands.numbers import parse_integer
from distrodb.commands.scripts import (
    ANYBODY,
    BY_NAME,
    BYTE_US,
    NO_RO_WITH_WRITES,
    NOT_BUSY,
    SCRIPT_US,
    SCRIPTING,
    As,
    Caller,
    key_words,
    run,
)
from distrodb.keyspace.context import Context
from distrodb.keyspace.dump import BadFormat, TooLarge, dump_libraries, is_intact, load_libraries
from distrodb.keyspace.glob import LONG_PATTERN, PATTERN_BYTES_MAX, glob
from distrodb.keyspace.keys import Keys
from distrodb.keyspace.scripts import LIBRARY_BYTES_MAX
from distrodb.keyspace.store import Store
from distrodb.resp.reply import OK, ErrorReply, Reply, SetReply, Status, error
from distrodb.scripting.errors import CompileError
from distrodb.scripting.runtime import ERROR, FUNCTION, runtime

_row = partial(data_row, level=2)
OPTION_BYTES_MAX = (
    4096  # of what is no option, in an error: usually the text that was meant to be last
)
NOT_FOUND = error("ERR", "Function not found")
NO_LIBRARY = error("ERR", "Library not found")
_FLAGS = frozenset(
    (b"no-writes", b"allow-oom", b"allow-stale", b"no-cluster", b"allow-cross-slot-keys")
)
_NAME = re.compile(rb"[A-Za-z0-9_]+")
_BAD_NAME = (
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one"
    " character long"
)


class Function(NamedTuple):
    name: bytes
    flags: tuple[bytes, ...]
    description: bytes


class Library(NamedTuple):
    name: bytes
    functions: tuple[Function, ...]


class _NoCalls:
    """What a library may ask for while it is loaded: nothing."""

    def call(self, words: Sequence[bytes]) -> "tuple[int, Reply | bytes, int]":
        return ERROR, b"ERR no command while a library is loaded", 0

    def may(self, words: Sequence[bytes]) -> bool | bytes:
        return False

    def log(self, level: int, text: bytes) -> None: ...

    def seed(self) -> int:
        return 0


# -- texts -----------------------------------------------------------------------------------------


@lru_cache(200)
def library_of(text: bytes) -> Library | ErrorReply:
    """What a text is: it follows from the text alone."""
    name = _name_of(text)
    if isinstance(name, ErrorReply):
        return name
    lua = runtime()
    try:
        lua.compile(text, FUNCTION)
    except CompileError as problem:
        return error("ERR", f"Error compiling function: {problem}")
    outcome = lua.library(text, _NoCalls())
    if outcome.error is not None:
        why = outcome.error.decode(errors="surrogateescape")
        return error("ERR", f"Error registering functions: {why}")
    rows: Any = outcome.reply
    functions = [Function(name, tuple(flags), about) for name, flags, about in rows]
    if any(not _FLAGS.issuperset(function.flags) for function in functions):
        return error("ERR", "Error registering functions: ERR unknown flag given")
    return Library(name, tuple(functions)) if functions else error("ERR", "No functions registered")


def _name_of(text: bytes) -> bytes | ErrorReply:
    """By its first line: ``#!lua name=…``."""
    if not text.startswith(b"#!"):
        return error("ERR", "Missing library metadata")
    line, has_more, _ = text.partition(b"\n")
    if not has_more:
        return error("ERR", "Invalid library metadata")
    engine, *options = line[2:].split() or [b""]
    name: bytes | None = None
    for option in options:
        if not option.lower().startswith(b"name="):
            return error("ERR", f"Invalid metadata value given: {shown(option)}")
        if name is not None:
            return error("ERR", "Invalid metadata value, name argument was given multiple times")
        name = option[5:]
    if name is None:
        return error("ERR", "Library name was not given")
    if _NAME.fullmatch(name) is None:
        return error("ERR", _BAD_NAME)
    if engine.lower() != b"lua":
        return error("ERR", f"Engine '{shown(engine)}' not found")
    return name


def _known(text: bytes) -> Library:
    """Of a library that is there."""
    found = library_of(text)
    assert isinstance(found, Library)
    return found


def _with(
    before: dict[bytes, bytes], texts: Sequence[bytes], may_replace: bool
) -> dict[bytes, bytes] | ErrorReply:
    """Libraries by name, with these texts; or why not, and nothing is changed."""
    libraries = dict(before)
    for text in texts:
        library = library_of(text)
        if isinstance(library, ErrorReply):
            return library
        if library.name in libraries and not may_replace:
            return error("ERR", f"Library '{library.name.decode()}' already exists")
        libraries.pop(library.name, None)
        libraries[library.name] = text
    if sum(map(len, libraries.values())) > LIBRARY_BYTES_MAX:
        return error("ERR", f"libraries have more than {LIBRARY_BYTES_MAX} bytes together")
    names: set[bytes] = set()
    for text in libraries.values():
        for function in _known(text).functions:
            if function.name.lower() in names:
                return error("ERR", f"Function {function.name.decode()} already exists")
            names.add(function.name.lower())
    return libraries


def _put(store: Store, libraries: dict[bytes, bytes]) -> None:
    store.scripts.flush_libraries()
    for name, text in libraries.items():
        store.scripts.put_library(name, text)


# -- FUNCTION --------------------------------------------------------------------------------------


def load(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    """FUNCTION LOAD [REPLACE] function-code"""
    options, text = args[2:-1], args[-1]
    for option in options:
        if option.upper() != b"REPLACE":
            return error("ERR", f"Unknown option given: {shown(option, OPTION_BYTES_MAX)}")
    libraries = _with(store.scripts.libraries, [text], bool(options))
    if isinstance(libraries, ErrorReply):
        return libraries
    _put(store, libraries)
    return _known(text).name


def delete(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    return OK if store.scripts.delete_library(args[2]) else NO_LIBRARY


def flush(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    if len(args) > 3:
        return wrong_subcommand(args)
    if len(args) == 3 and args[2].upper() not in (b"SYNC", b"ASYNC"):
        return error("ERR", "FUNCTION FLUSH only supports SYNC|ASYNC option")
    store.scripts.flush_libraries()
    return OK


def list_(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    """FUNCTION LIST [LIBRARYNAME library-name-pattern] [WITHCODE]"""
    pattern, has_code = None, False
    words = iter(args[2:])
    for word in words:
        option = word.upper()
        if option == b"WITHCODE" and not has_code:
            has_code = True
        elif option == b"LIBRARYNAME" and pattern is None:
            pattern = next(words, None)
            if pattern is None:
                return error("ERR", "library name argument was not given")
            if len(pattern) > PATTERN_BYTES_MAX:
                return LONG_PATTERN
        else:
            return error("ERR", f"Unknown argument {shown(word)}")
    matches = glob(pattern.lower()).match if pattern is not None else None
    return [
        _told(name, text, has_code)
        for name, text in store.scripts.libraries.items()
        if matches is None or matches(name.lower())
    ]


def _told(name: bytes, text: bytes, has_code: bool) -> Reply:
    functions: list[Reply] = [
        {
            b"name": function.name,
            b"description": function.description or None,
            b"flags": SetReply([Status(flag) for flag in function.flags]),
        }
        for function in _known(text).functions
    ]
    told: dict[Reply, Reply] = {
        b"library_name": name,
        b"engine": b"LUA",
        b"functions": functions,
    }
    return told | {b"library_code": text} if has_code else told


def stats(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    libraries = store.scripts.libraries.values()
    count = sum(len(_known(text).functions) for text in libraries)
    lua: dict[Reply, Reply] = {b"libraries_count": len(libraries), b"functions_count": count}
    return {b"running_script": None, b"engines": {b"LUA": lua}}


def dump(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    return dump_libraries(store.scripts.libraries.values())


def restore(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    """FUNCTION RESTORE serialized-value [FLUSH | APPEND | REPLACE]"""
    if len(args) > 4:
        return wrong_subcommand(args)
    policy = args[3].upper() if len(args) == 4 else b"APPEND"
    if policy not in (b"FLUSH", b"APPEND", b"REPLACE"):
        return error(
            "ERR", "Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
        )
    if not is_intact(args[2]):
        return DAMAGED
    try:
        texts = load_libraries(args[2], LIBRARY_BYTES_MAX)
    except BadFormat:
        return BAD_FORMAT
    except TooLarge as problem:
        return error("ERR", str(problem))
    before = {} if policy == b"FLUSH" else store.scripts.libraries
    libraries = _with(before, texts, policy == b"REPLACE")
    if isinstance(libraries, ErrorReply):
        return libraries
    _put(store, libraries)
    return OK


class _Alike:
    """All partitions get it, and answer alike: the first one is told."""

    def parts(self, args: Sequence[bytes], led: Sequence[Led]) -> list[Part]:
        return [(each.partition, args) for each in led]

    def whole(self, args: Sequence[bytes], led: Sequence[Led], replies: Sequence[Reply]) -> Reply:
        return replies[0] if replies else error("ERR", "this slave leads no partition")


class _OfOne:
    """One partition is asked for what all have."""

    def parts(self, args: Sequence[bytes], led: Sequence[Led]) -> list[Part]:
        return [(each.partition, args) for each in led[:1]]

    def whole(self, args: Sequence[bytes], led: Sequence[Led], replies: Sequence[Reply]) -> Reply:
        return _ALIKE.whole(args, led, replies)


_ALIKE, _OF_ONE = _Alike(), _OfOne()

# -- FCALL -----------------------------------------------------------------------------------------


def _of(is_read: bool) -> As:
    def call(
        keys: Keys, args: Sequence[bytes], context: Context, caller: Caller = ANYBODY
    ) -> Reply:
        partition = keys.partition
        assert partition is not None
        found = _found(partition.scripts.libraries, args[1])
        if found is None:
            return NOT_FOUND
        text, function = found
        if parse_integer(args[2]) is None:
            return error("ERR", "Bad number of keys provided")
        words = key_words(args)
        if isinstance(words, ErrorReply):
            return words
        is_read_only = b"no-writes" in function.flags
        if is_read and not is_read_only:
            return NO_RO_WITH_WRITES
        return run(
            keys,
            words,
            context,
            lambda lua, names, rest, calls: lua.function(text, function.name, names, rest, calls),
            name=function.name,
            is_read_only=is_read_only,
            flags=function.flags,
            caller=caller,
            source=FUNCTION,
        )

    return call


def _found(libraries: dict[bytes, bytes], name: bytes) -> tuple[bytes, Function] | None:
    for text in libraries.values():
        for function in _known(text).functions:
            if function.name.lower() == name.lower():
                return text, function
    return None


fcall, fcall_ro = _of(False), _of(True)
BY_NAME |= {b"FCALL": fcall, b"FCALL_RO": fcall_ro}


def cost_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return SCRIPT_US


def loaded_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return SCRIPT_US + 2 * BYTE_US * len(args[-1])


_ANY = "We cannot tell how the keys will be used so we assume the worst, "
_EVAL_FLAGS = "noscript stale skip_monitor no_mandatory_keys movablekeys"
_ALL_SHARDS = ("request_policy:all_shards", "response_policy:all_succeeded")
_SINCE = "7.0.0"

COMMANDS = (
    _row(
        "fcall",
        fcall,
        -3,
        _EVAL_FLAGS,
        (KeySpec("RW access update", 2, count_at=0, first=1, notes=f"{_ANY}RW and UPDATE"),),
        SCRIPTING,
        "Invokes a function.",
        _SINCE,
        cost=cost_us,
        is_logged=True,
    ),
    _row(
        "fcall_ro",
        fcall_ro,
        -3,
        f"readonly {_EVAL_FLAGS}",
        (KeySpec("RO access", 2, count_at=0, first=1, notes=f"{_ANY}RO and ACCESS"),),
        SCRIPTING,
        "Invokes a read-only function.",
        _SINCE,
        cost=cost_us,
    ),
    container(
        "function",
        SCRIPTING,
        "Keeps libraries of functions.",
        _SINCE,
        [
            _row(
                "function|delete",
                delete,
                3,
                "write noscript",
                NO_KEYS,
                SCRIPTING,
                "Deletes a library and its functions.",
                _SINCE,
                combine=_ALIKE,
                tips=_ALL_SHARDS,
            ),
            _row(
                "function|dump",
                dump,
                2,
                "noscript",
                NO_KEYS,
                SCRIPTING,
                "Dumps all libraries into a serialized binary payload.",
                _SINCE,
                combine=_OF_ONE,
            ),
            _row(
                "function|flush",
                flush,
                -2,
                "write noscript",
                NO_KEYS,
                SCRIPTING,
                "Deletes all libraries and functions.",
                _SINCE,
                combine=ALL_OK,
                tips=_ALL_SHARDS,
            ),
            session_row(
                "function|kill",
                lambda *_: NOT_BUSY,
                2,
                "noscript allow_busy",
                SCRIPTING,
                "Terminates a function during execution; here none runs for long.",
                _SINCE,
                tips=("request_policy:all_shards", "response_policy:one_succeeded"),
            ),
            _row(
                "function|list",
                list_,
                -2,
                "noscript",
                NO_KEYS,
                SCRIPTING,
                "Returns information about all libraries.",
                _SINCE,
                combine=_OF_ONE,
                tips=("nondeterministic_output_order",),
            ),
            _row(
                "function|load",
                load,
                -3,
                "write denyoom noscript",
                NO_KEYS,
                SCRIPTING,
                "Creates a library.",
                _SINCE,
                combine=_ALIKE,
                cost=loaded_us,
                tips=_ALL_SHARDS,
            ),
            _row(
                "function|restore",
                restore,
                -3,
                "write denyoom noscript",
                NO_KEYS,
                SCRIPTING,
                "Restores all libraries from a payload.",
                _SINCE,
                combine=_ALIKE,
                cost=loaded_us,
                tips=_ALL_SHARDS,
            ),
            _row(
                "function|stats",
                stats,
                2,
                "noscript allow_busy",
                NO_KEYS,
                SCRIPTING,
                "Returns information about a function during execution.",
                _SINCE,
                combine=_OF_ONE,
                tips=(
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ),
            ),
        ],
    ),
)
