"""Compiled Lua, in which functions of libraries are not tail-called.  Pure.

``return redis.call(…)`` would take the script's own place on the stack, so an error could not say
on which line it came about.  In Redis these functions are C, which has no tail calls; here some are
Lua.  So the instruction is made an ordinary call, which does the same otherwise; a tail call of a
script's own function stays one.

Caveat: the format is Lua 5.1's as this machine has it; any other is left as it is.
"""

import struct

_HEADER = b"\x1bLua\x51\x00\x01\x04\x08\x04\x08\x00"  # little-endian; int 4, size_t 8, number 8
_MOVE, _GETUPVAL, _GETGLOBAL, _GETTABLE, _SELF, _CALL, _TAILCALL = 0, 4, 5, 6, 11, 28, 29
_NO_TARGET = frozenset((7, 8, 9, 22, 23, 24, 25, 26, 30, 34, 35))  # A is not what they write to


def without_tail_calls(code: bytes) -> bytes:
    if not code.startswith(_HEADER):
        return code
    changed = bytearray(code)
    _Walk(changed, len(_HEADER)).function()
    return bytes(changed)


class _Walk:
    def __init__(self, code: bytearray, at: int):
        self._code, self._at = code, at

    def _int(self) -> int:
        (number,) = struct.unpack_from("<i", self._code, self._at)
        self._at += 4
        return int(number)

    def _string(self) -> None:
        (size,) = struct.unpack_from("<Q", self._code, self._at)
        self._at += 8 + int(size)

    def function(self) -> None:
        self._string()  # its source
        self._at += 4 + 4 + 4  # lines; four small numbers
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
            if word & 63 == _TAILCALL and _is_of_library(words, number, word >> 6 & 255):
                struct.pack_into("<I", self._code, self._at + 4 * number, word & ~63 | _CALL)


def _is_of_library(words: tuple[int, ...], number: int, register: int) -> bool:
    """The function there was taken from a table, or is a global one."""
    for word in reversed(words[:number]):
        operation = word & 63
        if operation not in _NO_TARGET and word >> 6 & 255 == register:
            return operation in (_GETGLOBAL, _GETTABLE, _SELF)
    return False
