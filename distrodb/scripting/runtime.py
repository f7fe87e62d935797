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

from distrodb.resp.doubles import show_double
from distrodb.resp.reply import (
    ErrorReply,
    Named,
    NullArray,
    NumberText,
    Pairs,
    Reply,
    SetReply,
    Status,
    Verbatim,
)
from distrodb.scripting import rewrite
from distrodb.scripting.bytecode import PARAMETERS_MAX, prepared
from distrodb.scripting.errors import CompileError
from distrodb.scripting.native import FUNCTIONS, Table
from distrodb.scripting.numbers import Random, whole

# Steps: an instruction of Lua is one, some 10 ns.  Beyond, a script ends.
WORK_MAX = 10_000_000
DEPTH_MAX = 1000  # calls within each other
MEMORY_MAX = 1 << 30  # bytes of the whole runtime
RECYCLE_BYTES = 64 << 20  # a runtime that has so many after a script is thrown away
COMPILED_MAX = 500  # texts that are kept compiled
TEXT_BYTES_MAX = 1 << 20  # of a script: it is read by the slave, a microsecond a token
VALUE, ERROR, END = 0, 1, 2  # what a call gives: see lua/redis.lua
SCRIPT, FUNCTION = b"user_script", b"user_function"  # as errors call what they are in
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
        self._random, self._protocol = Random(), 2
        self._functions: dict[bytes, Any] = dict(FUNCTIONS)
        self._functions |= {
            b"rewrite": _rewritten,
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
            self._python, WORK_MAX, DEPTH_MAX, PARAMETERS_MAX
        )
        self._reset_cjson = load(_source("cjson"))(kit)
        self._of_script, self._of_library, self._of_function = load(_source("redis"))(kit)
        self._compile, self._run = compile_, run
        self._compiled: OrderedDict[tuple[bytes, bytes], Any] = OrderedDict()

    # -- texts ---------------------------------------------------------------------------------

    def compile(self, text: bytes, name: bytes = SCRIPT) -> Any:
        """A Lua function; ``name`` is how errors call the text.  Raises ``CompileError``."""
        found = self._compiled.get((name, text))
        if found is not None:
            self._compiled.move_to_end((name, text))
            return found
        if len(text) > TEXT_BYTES_MAX:
            raise CompileError(f"the script is longer than {TEXT_BYTES_MAX} bytes")
        changed, problem = rewrite.rewrite(_without_shebang(text), name.decode())
        found = self._compile(changed, b"@" + name)
        if isinstance(found, tuple):
            raise CompileError(_readable(found[1]))
        if problem is not None:
            raise problem
        self._compiled[name, text] = found
        if len(self._compiled) > COMPILED_MAX:
            self._compiled.popitem(last=False)
        return found

    # -- runs ----------------------------------------------------------------------------------

    def script(
        self, text: bytes, keys: Sequence[bytes], args: Sequence[bytes], calls: Calls
    ) -> Outcome:
        return self._ran(self._of_script(self.compile(text)), keys, args, calls)

    def library(self, text: bytes, calls: Calls) -> Outcome:
        """The reply is [[name, [flag, …], description], …]."""
        return self._ran(self._of_library(self.compile(text, FUNCTION)), (), (), calls)

    def function(
        self, text: bytes, name: bytes, keys: Sequence[bytes], args: Sequence[bytes], calls: Calls
    ) -> Outcome:
        return self._ran(self._of_function(self.compile(text, FUNCTION), name), keys, args, calls)

    def _ran(self, f: Any, keys: Sequence[bytes], args: Sequence[bytes], calls: Calls) -> Outcome:
        self._calls, self._protocol = calls, 2
        self._random.seed(calls.seed())
        self._reset_cjson()
        try:
            is_good, found, line, is_over = self._run(
                f, self._table_from(keys), self._table_from(args)
            )
            if not is_good:
                return Outcome(None, _bytes(found), int(line), bool(is_over))
            return Outcome(self._reply(list(found.values())), None, 0, False)
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
        except Exception as problem:
            if name.startswith((b"bit.", b"struct.", b"cmsgpack.")):
                return (f"{name.decode()}: {type(problem).__name__}".encode(),)
            return END, f"internal error: {type(problem).__name__}".encode(), 0
        if isinstance(found, tuple):
            return tuple([self._table(item) if type(item) is Table else item for item in found])
        return found

    def _call(self, words: Sequence[bytes]) -> tuple[int, Any, int]:
        if self._calls is None:
            return END, b"no script runs", 0
        state, value, work = self._calls.call(words)
        if state == VALUE:
            if isinstance(value, ErrorReply):
                return ERROR, value.text, work
            size = _Size()
            value = self._pushed(value, size)
            work += size.steps
        return state, value, work

    def _may(self, *words: bytes) -> tuple[int, Any, int]:
        found = self._calls.may(words) if self._calls is not None else False
        return (ERROR if isinstance(found, bytes) else VALUE), found, 300

    def _set_protocol(self, protocol: int) -> None:
        self._protocol = protocol

    # -- replies to Lua ------------------------------------------------------------------------

    def _pushed(self, reply: Any, size: "_Size") -> Any:
        """As Redis makes Lua's values of replies."""
        kind, is_new = type(reply), self._protocol == 3
        size.steps += 20
        if kind is bytes:
            size.steps += len(reply) // 8
            return reply
        if kind is bool:
            return reply if is_new else int(reply)
        if kind is int:
            return reply if -(1 << 53) <= reply <= 1 << 53 else float(reply)
        if reply is None:
            return None if is_new else False
        if kind in (list, tuple):
            return self._list(reply, size)
        if kind is Status:
            return self._table_from({b"ok": reply.text})
        if kind is ErrorReply:
            return self._table_from({b"err": reply.text})
        if kind is dict:
            if not is_new:
                return self._list([each for pair in reply.items() for each in pair], size)
            items = {self._key(key): self._pushed(item, size) for key, item in reply.items()}
            return self._table_from({b"map": self._table_from(items)})
        if kind is SetReply:
            if not is_new:
                return self._list(reply.items, size)
            members = {self._key(item): True for item in reply.items}
            size.steps += 20 * len(members)
            return self._table_from({b"set": self._table_from(members)})
        if kind is float:
            if is_new:
                return self._table_from({b"double": reply})
            return show_double(reply)
        if kind is NumberText:
            return self._table_from({b"double": float(reply.text)}) if is_new else reply.text
        if kind is Verbatim:
            if not is_new:
                return reply.text
            inner = self._table_from({b"string": reply.text, b"format": b"txt"})
            return self._table_from({b"verbatim_string": inner})
        if kind is NullArray:
            return None if is_new else False
        if kind is Pairs:
            if is_new:
                return self._list(list(reply.items), size)
            return self._list([each for pair in reply.items for each in pair], size)
        if kind is Named:
            return self._pushed(dict(reply.items) if is_new else list(reply.items), size)
        raise TypeError(f"no reply for a script: {kind.__name__}")

    def _list(self, replies: Sequence[Reply], size: "_Size") -> Any:
        if set(map(type, replies)) == {bytes}:
            size.steps += 20 * len(replies) + sum(map(len, replies)) // 8  # type: ignore[arg-type]
            return self._table_from(replies)
        items = [self._pushed(each, size) for each in replies]
        if None in items:
            return self._table_from(
                {n: each for n, each in enumerate(items, 1) if each is not None}
            )
        return self._table_from(items)

    @staticmethod
    def _key(reply: Any) -> Any:
        """Of a map or a set: a table cannot be one."""
        if isinstance(reply, (bytes, int, float)):
            return reply
        return reply.text if isinstance(reply, Status) else repr(reply).encode()

    def _table(self, table: Table) -> Any:
        items = table.items
        pairs = items.items() if isinstance(items, dict) else enumerate(items, 1)
        return self._table_from(
            {key: self._table(each) if type(each) is Table else each for key, each in pairs}
        )

    # -- and back ------------------------------------------------------------------------------

    def _reply(self, pieces: list[Any]) -> Reply:
        at = 0

        def take() -> Any:
            nonlocal at
            kind, value = pieces[at], pieces[at + 1]
            at += 2
            if kind == b"$":
                return value
            if kind == b":":
                return whole(value)
            if kind == b"#":
                return bool(value) if self._protocol == 3 else 1 if value else None
            if kind == b"+":
                return Status(_line(value))
            if kind == b"-":
                return ErrorReply(_line(value))
            if kind == b"*":
                return [take() for _ in range(int(value))]
            if kind == b",":
                return float(value)
            if kind == b"%":
                return {_hashable(take()): take() for _ in range(int(value))}
            if kind == b"~":
                return SetReply([take() for _ in range(int(value))])
            if kind == b"=":
                return Verbatim(value)
            return value if kind == b"(" else None

        reply: Reply = take()
        return reply


class _Size:
    """Steps that it takes to make Lua's values."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = 0


def _source(name: str) -> bytes:
    return resources.files("distrodb.scripting").joinpath(f"lua/{name}.lua").read_bytes()


def _deny(*_: object) -> None:
    raise AttributeError("not for scripts")


def _rewritten(text: bytes) -> tuple[bool, bytes]:
    try:
        changed, problem = rewrite.rewrite(text)
    except CompileError as wrong:
        problem = wrong
    return (True, changed) if problem is None else (False, str(problem).encode())


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


def _line(text: bytes) -> bytes:
    """One line, whatever it was."""
    return text.strip(b"\r\n").replace(b"\r", b" ").replace(b"\n", b" ")


def _hashable(reply: Any) -> Any:
    if isinstance(reply, list):
        return tuple(map(_hashable, reply))
    return repr(reply).encode() if isinstance(reply, (dict, SetReply)) else reply


_runtime: Runtime | None = None


def runtime() -> Runtime:
    global _runtime
    if _runtime is None or _runtime.memory_used > RECYCLE_BYTES:
        _runtime = Runtime()
    return _runtime


def recycle() -> None:
    global _runtime
    _runtime = None
