"""Compiled Lua: what of it is changed, what is refused, and how much more than others its
instructions may do.  Pure.

**Functions of libraries are not tail-called.**
``return redis.call(…)`` would take the script's own place on the stack, so an error could not say
on which line it came about.  In Redis these functions are C, which has no tail calls; here some are
Lua.  So the instruction is made an ordinary call, which does the same otherwise; a tail call of a
script's own function stays one.

**A function with ``...`` has few other parameters.**  Lua 5.1 makes no room on its stack for those
that it is called without (CVE-2014-5461): with more than ``PARAMETERS_MAX`` it would write behind
it.

**What one instruction may take** is no small thing of some: many nils at once, a closure with many
upvalues.  A text that has such ones counts each of its instructions as so many more (``weight``).

Caveat: the format is Lua 5.1's as this machine has it; any other is left as it is.
"""

import struct

_HEADER = b"\x1bLua\x51\x00\x01\x04\x08\x04\x08\x00"  # little-endian; int 4, size_t 8, number 8
_MOVE, _GETUPVAL, _GETGLOBAL, _GETTABLE, _SELF, _CALL, _TAILCALL = 0, 4, 5, 6, 11, 28, 29
_LOADNIL = 3
_HAS_DOTS = 2  # of the flags of a function
# Beside ``...``: Lua keeps five more places, of which a metamethod needs two beyond these.
PARAMETERS_MAX = 3
NILS, UPVALUES = 4, 4  # of one instruction, that count as one more
_NO_TARGET = frozenset((7, 8, 9, 22, 23, 24, 25, 26, 30, 34, 35))  # A is not what they write to


def prepared(code: bytes) -> tuple[bytes, int] | tuple[None, int]:
    """The code to be run and its weight; or None, and the line of a function that may not be."""
    if not code.startswith(_HEADER):
        return code, 1
    changed = bytearray(code)
    walk = _Walk(changed, len(_HEADER))
    walk.function()
    return (bytes(changed), walk.weight) if walk.refused is None else (None, walk.refused)


class _Walk:
    def __init__(self, code: bytearray, at: int):
        self._code, self._at = code, at
        self.weight = 1
        self.refused: int | None = None  # the line where that function begins

    def _int(self) -> int:
        (number,) = struct.unpack_from("<i", self._code, self._at)
        self._at += 4
        return int(number)

    def _string(self) -> None:
        (size,) = struct.unpack_from("<Q", self._code, self._at)
        self._at += 8 + int(size)

    def function(self) -> None:
        self._string()  # its source
        line = self._int()
        upvalues, parameters, flags = self._code[self._at + 4 : self._at + 7]
        self._at += 4 + 4  # its last line; four small numbers
        if flags & _HAS_DOTS and parameters > PARAMETERS_MAX:
            self.refused = line
        self.weight = max(self.weight, upvalues // UPVALUES)
        count = self._int()
        self._instructions(count)
        self._at += 4 * count
        self._constants()
        for _ in range(self._int()):
            self.function()
        lines = self._int()  # of instructions
        self._at += 4 * lines
        for _ in range(self._int()):  # local variables
            self._string()
            self._at += 8
        for _ in range(self._int()):  # names of upvalues
            self._string()

    def _constants(self) -> None:
        for _ in range(self._int()):
            kind = self._code[self._at]
            self._at += 1
            if kind == 1:
                self._at += 1
            elif kind == 3:
                self._at += 8
            elif kind == 4:
                self._string()

    def _instructions(self, count: int) -> None:
        words = struct.unpack_from(f"<{count}I", self._code, self._at)
        for number, word in enumerate(words):
            if word & 63 == _LOADNIL:
                self.weight = max(self.weight, ((word >> 23) - (word >> 6 & 255) + 1) // NILS)
            if word & 63 == _TAILCALL and _is_of_library(words, number, word >> 6 & 255):
                struct.pack_into("<I", self._code, self._at + 4 * number, word & ~63 | _CALL)


def _is_of_library(words: tuple[int, ...], number: int, register: int) -> bool:
    """The function there was taken from a table, or is a global one."""
    for word in reversed(words[:number]):
        operation = word & 63
        if operation not in _NO_TARGET and word >> 6 & 255 == register:
            return operation in (_GETGLOBAL, _GETTABLE, _SELF)
    return False
