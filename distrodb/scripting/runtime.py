"""The one Lua runtime of this process, and what runs in it: a text and its words in, a reply out.

A script sees nothing of those before it (lua/prelude.lua), so one runtime serves all stores, and
which one it is, how old, or what it has compiled before makes no difference.  It is made when the
first script comes, and thrown away when it has grown large.

What always holds: nothing of Python can be reached from a script but what ``Calls`` answers; a
Python object never gets there.  ``run`` does not raise for what a script does.

Caveat: ``MEMORY_MAX`` is not what bounds a script (the count of its work does, alike on every
replica): it is far above what that lets a script use, so that a mistake of ours ends a script and
not the slave.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple, Protocol

import lupa.lua51 as lua

from distrodb.resp.reply import ErrorReply, Reply
from distrodb.scripting import rewrite
from distrodb.scripting.bytecode import PARAMETERS_MAX, prepared
from distrodb.scripting.crowd import PENDING, WORK_MAX, Tally, TooMuch, worst_of
from distrodb.scripting.errors import CompileError
from distrodb.scripting.native import FUNCTIONS, Table
from distrodb.scripting.numbers import Random
from distrodb.scripting.values import Pushing, Size, reply_of

DEPTH_MAX = 1000  # calls within each other
MEMORY_MAX = 1 << 30  # bytes of the whole runtime
RECYCLE_BYTES = 64 << 20  # a runtime that has so many after a script is thrown away
COMPILED_MAX = 500  # texts that are kept compiled
ALIKE_MAX = 800  # of the names and strings of a text (crowd.py)
TEXT_BYTES_MAX = 1 << 20  # of a script: it is read by the slave, a microsecond a token
VALUE, ERROR, END = 0, 1, 2  # what a call gives: see lua/redis.lua
SCRIPT, FUNCTION = b"user_script", b"user_function"  # as errors call what they are in
ALIKE = "too many names or strings in it that are alike to Lua"
TOO_MUCH = b"the script does more than it may"
REDIS_VERSION = "7.4.0"


class Answer(NamedTuple):
    state: int
    value: Any
    work: int  # steps that it took


class Calls(Protocol):
    """What a script may ask for."""

    def call(self, words: Sequence[bytes]) -> "tuple[int, Reply | bytes, int]":
        """A command: VALUE and its reply, or ERROR or END and a text; and steps."""

    def may(self, words: Sequence[bytes]) -> bool | bytes:
        """redis.acl_check_cmd; bytes: an error."""

    def log(self, level: int, text: bytes) -> None: ...

    def seed(self) -> int:
        """Of math.random."""


class Outcome(NamedTuple):
    reply: Reply
    error: bytes | None  # in place of a reply
    line: int
    is_over: bool  # it did more than it may


class Runtime:
    def __init__(self) -> None:
        self._lua = lua.LuaRuntime(
            encoding=None,
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_deny,
            max_memory=MEMORY_MAX,
        )
        self._table_from = self._lua.table_from
        self._calls: Calls | None = None
        self._random, self._tally = Random(), Tally(0)
        self._pushing = Pushing(self._table_from)
        self._functions: dict[bytes, Any] = dict(FUNCTIONS)
        self._functions |= {
            b"rewrite": self._rewritten,
            b"strings": lambda *some: (self._tally.crowd.add(some), self._tally.worst),
            b"numbers": lambda *some: (
                self._tally.numbers(some),
                self._tally.worst,
                self._tally.crowd.worst_of_numbers,
            ),
            b"owed": lambda: self._tally.paid(),
            b"bytecode": prepared,
            b"lower": bytes.lower,
            b"upper": bytes.upper,
            b"find": _find,
            b"random": lambda: self._random.next(),
            b"randomseed": lambda seed: self._random.seed(seed),
            b"name": lambda name: {
                b"concat": rewrite.CONCAT,
                b"key": rewrite.KEY,
                b"rest": rewrite.REST,
                b"weight": rewrite.WEIGHT,
                b"len": rewrite.LEN,
            }[name],
            b"sha1": lambda text: hashlib.sha1(text, usedforsecurity=False).hexdigest().encode(),
            b"call": lambda *words: self._call(words),
            b"call_words": lambda words, count: self._call([words[n] for n in range(1, count + 1)]),
            b"may": self._may,
            b"setresp": self._set_protocol,
            b"log": lambda level, text: self._calls.log(level, text) if self._calls else None,
            b"version": lambda: (REDIS_VERSION.encode(), _version_number(REDIS_VERSION)),
        }
        load = self._lua.compile
        kit, compile_, run = load(_source("prelude"))(
            self._python, WORK_MAX, DEPTH_MAX, PARAMETERS_MAX, PENDING
        )
        self._reset_cjson = load(_source("cjson"))(kit)
        self._of_script, self._of_library, self._of_function = load(_source("redis"))(kit)
        self._compile, self._run = compile_, run
        self._compiled: OrderedDict[tuple[bytes, bytes], tuple[Any, int]] = OrderedDict()

    # -- texts ---------------------------------------------------------------------------------

    def compile(self, text: bytes, name: bytes = SCRIPT) -> Any:
        """A Lua function; ``name`` is how errors call the text.  Raises ``CompileError``."""
        return self._found(text, name)[0]

    def _found(self, text: bytes, name: bytes) -> tuple[Any, int]:
        """And how much alike the strings in it are."""
        found = self._compiled.get((name, text))
        if found is not None:
            self._compiled.move_to_end((name, text))
            return found
        if len(text) > TEXT_BYTES_MAX:
            raise CompileError(f"the script is longer than {TEXT_BYTES_MAX} bytes")
        strings: set[bytes] = set()
        changed, problem = rewrite.rewrite(_without_shebang(text), name.decode(), strings)
        # Twice, since no call is needed to look one up.
        alike = 2 * worst_of(strings) if len(strings) > PENDING else 0
        if alike > ALIKE_MAX:
            raise CompileError(ALIKE)
        function = self._compile(changed, b"@" + name)
        if isinstance(function, tuple):
            raise CompileError(_readable(function[1]))
        if problem is not None:
            raise problem
        found = self._compiled[name, text] = function, alike
        if len(self._compiled) > COMPILED_MAX:
            self._compiled.popitem(last=False)
        return found

    # -- runs ----------------------------------------------------------------------------------

    def script(
        self, text: bytes, keys: Sequence[bytes], args: Sequence[bytes], calls: Calls
    ) -> Outcome:
        main, alike = self._found(text, SCRIPT)
        return self._ran(self._of_script(main), keys, args, calls, alike)

    def library(self, text: bytes, calls: Calls) -> Outcome:
        """The reply is [[name, [flag, …], description], …]."""
        main, alike = self._found(text, FUNCTION)
        return self._ran(self._of_library(main), (), (), calls, alike)

    def function(
        self, text: bytes, name: bytes, keys: Sequence[bytes], args: Sequence[bytes], calls: Calls
    ) -> Outcome:
        main, alike = self._found(text, FUNCTION)
        return self._ran(self._of_function(main, name), keys, args, calls, alike)

    def _ran(
        self, f: Any, keys: Sequence[bytes], args: Sequence[bytes], calls: Calls, alike: int
    ) -> Outcome:
        self._calls, self._tally = calls, Tally(alike)
        self._pushing.begin(self._tally)
        self._random.seed(calls.seed())
        self._reset_cjson()
        try:
            steps = self._tally.counted(keys) + self._tally.counted(args)
            is_good, found, line, is_over = self._run(
                f, steps, self._tally.worst, self._table_from(keys), self._table_from(args)
            )
            if not is_good:
                return Outcome(None, _bytes(found), int(line), bool(is_over))
            return Outcome(reply_of(list(found.values()), self._pushing.protocol), None, 0, False)
        except TooMuch:
            return Outcome(None, TOO_MUCH, 0, True)
        except lua.LuaError:  # of memory: what bounds the work did not hold
            recycle()
            return Outcome(None, TOO_MUCH, 0, True)
        finally:
            self._calls = None

    @property
    def memory_used(self) -> int:
        return int(self._lua.get_memory_used())

    # -- what Lua asks -------------------------------------------------------------------------

    def _python(self, name: bytes, *args: Any) -> Any:
        """Never raises: an exception of Python would be an object within Lua."""
        try:
            found = self._functions[name](*args)
            if isinstance(found, tuple):
                return tuple(
                    [self._pushing.table(item) if type(item) is Table else item for item in found]
                )
        except TooMuch:
            return False
        except Exception as problem:
            if name.startswith((b"bit.", b"struct.", b"cmsgpack.")):
                return (f"{name.decode()}: {type(problem).__name__}".encode(),)
            return END, f"internal error: {type(problem).__name__}".encode(), 0, 0
        return found

    def _call(self, words: Sequence[bytes]) -> tuple[int, Any, int, int]:
        if self._calls is None:
            return END, b"no script runs", 0, 0
        state, value, work = self._calls.call(words)
        if state == VALUE:
            if isinstance(value, ErrorReply):
                return ERROR, value.text, work, self._tally.worst
            size = Size()
            try:
                value = self._pushing.pushed(value, size)
            except TooMuch:
                return END, TOO_MUCH, 0, 0
            work += size.steps
        return state, value, work, self._tally.worst

    def _may(self, *words: bytes) -> tuple[int, Any, int, int]:
        found = self._calls.may(words) if self._calls is not None else False
        return (ERROR if isinstance(found, bytes) else VALUE), found, 300, self._tally.worst

    def _rewritten(self, text: bytes) -> tuple[bool, bytes, int, int]:
        strings: set[bytes] = set()
        try:
            changed, problem = rewrite.rewrite(text, strings=strings)
        except CompileError as wrong:
            problem = wrong
        if problem is not None:
            return False, str(problem).encode(), 0, self._tally.worst
        steps = self._tally.counted(sorted(strings))
        if self._tally.crowd.worst > ALIKE_MAX:
            return False, ALIKE.encode(), steps, self._tally.worst
        return True, changed, steps, self._tally.worst

    def _set_protocol(self, protocol: int) -> None:
        self._pushing.protocol = protocol


def _source(name: str) -> bytes:
    return resources.files("distrodb.scripting").joinpath(f"lua/{name}.lua").read_bytes()


def _deny(*_: object) -> None:
    raise AttributeError("not for scripts")


def _find(text: bytes, wanted: bytes, init: int) -> tuple[int, int] | None:
    at = text.find(wanted, init - 1)
    return None if at < 0 else (at + 1, at + len(wanted))


def _version_number(version: str) -> int:
    major, minor, patch = map(int, version.split("."))
    return major << 16 | minor << 8 | patch


def _without_shebang(text: bytes) -> bytes:
    """Its line stays, empty."""
    if not text.startswith(b"#!"):
        return text
    return text[text.find(b"\n") :] if b"\n" in text else b""


def _bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode(errors="replace")


def _readable(text: Any) -> str:
    return _bytes(text).decode(errors="surrogateescape")


_runtime: Runtime | None = None


def runtime() -> Runtime:
    global _runtime
    if _runtime is None or _runtime.memory_used > RECYCLE_BYTES:
        _runtime = Runtime()
    return _runtime


def recycle() -> None:
    global _runtime
    _runtime = None
