"""Lua texts that are run here and by a twin: another process, of another seed of hashes.  Both must
answer alike, to the state of the keys, and none may break a promise:

- a script ends by itself or at its limit (here a fiftieth of what it is, so that many are tried),
  and what was ended has left nothing;
- no exception of Python's gets into it, and nothing that the next one sees is another thing.

python -m tests.fuzz.scripts is the twin.
"""

import atexit
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from distrodb.commands import script_calls
from distrodb.commands.table import MACHINE_COMMANDS
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.store import Store
from distrodb.resp.reply import ErrorReply
from distrodb.ring.slots import SLOT_COUNT, slot_of
from distrodb.scripting import crowd
from distrodb.scripting import runtime as module

WORDS = [b"{k}1", b"{k}2", b"a1", b"22"]
NOW_MS, VALUE_BYTES_MAX = 1_700_000_000_123, 1 << 16
WORK, COMMANDS = 200_000, 1_000_000
SEEN_EACH = 16  # scripts
SEES = b"""
local names = {}
local all = '_G string table math coroutine redis cjson bit struct cmsgpack'
for of in all:gmatch('%S+') do
  for k, v in pairs(_G[of]) do names[#names + 1] = of .. k .. type(v) end
end
table.sort(names)
local gone = {}
all = 'os io debug require python newproxy setfenv getfenv package'
for name in all:gmatch('%S+') do
  gone[#gone + 1] = tostring(rawget(_G, name)) .. tostring((pcall(function() return _G[name] end)))
end
return {table.concat(names), table.concat(gone), tostring(getmetatable('')), cjson.encode({1.5}),
  math.random(1000), tostring({}), ('x'):rep(3), #KEYS, pcall(string.dump, print)}
"""
_INTERNAL = re.compile(rb"internal error|\w+\.\w+: [A-Z]\w*(Error|Exception)")


@cache
def _own() -> module.Runtime:
    return module.Runtime()


@contextmanager
def _limits() -> Iterator[None]:
    """Of this file, with a runtime of its own."""
    kept = module._runtime, crowd.WORK_MAX, module.WORK_MAX, script_calls.COMMANDS_MAX
    crowd.WORK_MAX = module.WORK_MAX = WORK
    script_calls.COMMANDS_MAX = COMMANDS
    module._runtime = _own()
    try:
        yield
    finally:
        module._runtime, crowd.WORK_MAX, module.WORK_MAX, script_calls.COMMANDS_MAX = kept


def ran(text: bytes) -> bytes:
    """What came of it, in one line."""
    store = Store(0, SLOT_COUNT - 1, MACHINE_COMMANDS, StoreLimits(65536, VALUE_BYTES_MAX, 16))
    store.advance(NOW_MS, 0)
    place = place_of(0, slot_of(WORDS[0]))
    store.execute(place, [b"HSET", WORDS[0], b"f", b"1"], NOW_MS)
    before = store.digest()
    with _limits():
        reply = store.execute(place, [b"EVAL", text, b"2", *WORDS], NOW_MS)
    said = repr(reply).encode(errors="replace")
    if isinstance(reply, ErrorReply) and b"nothing of it was done" in reply.text:
        store.scripts.flush()
        assert store.digest() == before, "it was undone, and not all of it"
    if _INTERNAL.search(said) and not _INTERNAL.search(text):
        raise AssertionError(f"an exception in a script: {said[:100]!r}")
    return b"%b %d %b" % (store.digest().encode(), len(store.scripts), said)


_tried = 0


def read(text: bytes) -> None:
    """Raises ``AssertionError``."""
    global _tried
    _tried += 1
    here = ran(text)
    there = _twin().ask(text)
    if here != there:
        raise AssertionError(f"here {here[:150]!r}, and there {there[:150]!r}")
    if _tried % SEEN_EACH == 0 and ran(SEES) != _first_seen():
        raise AssertionError("what scripts see is another thing now")


@cache
def _first_seen() -> bytes:
    code = "from tests.fuzz.scripts import SEES, ran; print(ran(SEES).hex())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return bytes.fromhex(done.stdout)


class _Twin:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.scripts"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": "7"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        atexit.register(self.end)

    def ask(self, text: bytes) -> bytes:
        assert self._process.stdin is not None and self._process.stdout is not None
        _send(self._process.stdin, text)
        found = _receive(self._process.stdout)
        if found is None:
            raise AssertionError(f"the twin has ended: {self._process.wait()}")
        return found

    def end(self) -> None:
        with suppress(OSError):
            self._process.communicate()


@cache
def _twin() -> _Twin:
    return _Twin()


def _send(out: BinaryIO, data: bytes) -> None:
    out.write(len(data).to_bytes(4, "big") + data)
    out.flush()


def _receive(source: BinaryIO) -> bytes | None:
    head = source.read(4)
    return source.read(int.from_bytes(head, "big")) if len(head) == 4 else None


def main() -> None:
    while (text := _receive(sys.stdin.buffer)) is not None:
        try:
            found = ran(text)
        except AssertionError as problem:
            found = str(problem).encode()
        _send(sys.stdout.buffer, found)


if __name__ == "__main__":
    main()
