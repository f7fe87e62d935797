"""The libraries ``bit``, ``struct`` and ``cmsgpack`` of scripts, as Redis has them.  Pure.

Each function takes what Lua gave (bytes, numbers, booleans, tables) and returns a tuple: the text
of an error or None, then its results.

Caveats: ``struct`` knows the formats of Redis' documentation; a table of ``cmsgpack`` that is
nested deeper than 16 becomes nil, as in Redis.
"""

import struct
from collections.abc import Callable
from typing import Any

from distrodb.scripting.numbers import text_of

Result = tuple[Any, ...]
_WORD, _SIGN = 1 << 32, 1 << 31


class _Wrong(Exception):
    """The text is what a script is told."""


# -- bit -----------------------------------------------------------------------------------------


def _bits(value: Any, at: int, name: str) -> int:
    """As LuaBitOp makes 32 bits of a number."""
    if isinstance(value, bytes):
        value = _number_of(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        got = "no value" if value is None else _type_name(value)
        raise _Wrong(f"bad argument #{at} to '{name}' (number expected, got {got})")
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return 0
        value = round(value)
    return int(value) % _WORD


def _number_of(text: bytes) -> Any:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def _type_name(value: Any) -> str:
    if value is None:
        return "nil"
    names = {bytes: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "table")


def _signed(bits: int) -> int:
    bits %= _WORD
    return bits - _WORD if bits >= _SIGN else bits


def _folded(name: str, fold: Callable[[int, int], int]) -> Callable[..., Result]:
    def run(*args: Any) -> Result:
        found = _bits(args[0] if args else None, 1, name)
        for at, value in enumerate(args[1:], 2):
            found = fold(found, _bits(value, at, name))
        return None, _signed(found)

    return run


def _shifted(name: str, shift: Callable[[int, int], int]) -> Callable[..., Result]:
    def run(*args: Any) -> Result:
        value, by = (*args, None, None)[:2]
        return None, _signed(shift(_bits(value, 1, name), _bits(by, 2, name) & 31))

    return run


def _tohex(*args: Any) -> Result:
    bits = _bits(args[0] if args else None, 1, "tohex")
    digits = _signed(_bits(args[1], 2, "tohex")) if len(args) > 1 and args[1] is not None else 8
    form = "%08X" if digits < 0 else "%08x"
    count = min(8, abs(digits))
    return None, (form % bits)[8 - count :].encode()


def _rotated(bits: int, by: int) -> int:
    return (bits << by | bits >> (32 - by)) % _WORD


_BIT: dict[str, Callable[..., Result]] = {
    "tobit": _folded("tobit", lambda found, _: found),
    "bnot": _folded("bnot", lambda found, _: found),
    "band": _folded("band", lambda a, b: a & b),
    "bor": _folded("bor", lambda a, b: a | b),
    "bxor": _folded("bxor", lambda a, b: a ^ b),
    "lshift": _shifted("lshift", lambda bits, by: bits << by),
    "rshift": _shifted("rshift", lambda bits, by: bits >> by),
    "arshift": _shifted("arshift", lambda bits, by: _signed(bits) >> by),
    "rol": _shifted("rol", _rotated),
    "ror": _shifted("ror", lambda bits, by: _rotated(bits, 32 - by if by else 0)),
    "bswap": _folded("bswap", lambda found, _: found),
    "tohex": _tohex,
}
_BIT["bnot"] = lambda *args: (None, _signed(~_bits(args[0] if args else None, 1, "bnot")))
_BIT["tobit"] = lambda *args: (None, _signed(_bits(args[0] if args else None, 1, "tobit")))
_BIT["bswap"] = lambda *args: (
    None,
    _signed(int.from_bytes(_bits(args[0] if args else None, 1, "bswap").to_bytes(4, "little"))),
)

# -- struct ----------------------------------------------------------------------------------------

_MAX_SIZE = 32  # of an integer
_ALIGN_MAX = 8
_INTEGERS = {"b": 1, "B": 1, "h": 2, "H": 2, "l": 8, "L": 8, "T": 8, "i": 4, "I": 4}


class _Format:
    """A walk over a format's letters."""

    def __init__(self, text: bytes, name: str):
        self._text, self._at, self._name = text.decode("latin-1"), 0, name
        self.order, self.align = "<", 1

    def __iter__(self) -> "_Format":
        return self

    def __next__(self) -> tuple[str, int]:
        """Letter and size."""
        while self._at < len(self._text):
            letter = self._text[self._at]
            self._at += 1
            if letter in _INTEGERS:
                size = self._digits(_INTEGERS[letter]) if letter in "iI" else _INTEGERS[letter]
                if size > _MAX_SIZE:
                    raise _Wrong(f"integral size {size} is larger than limit of {_MAX_SIZE}")
                return letter, size
            if letter in "fd":
                return letter, 4 if letter == "f" else 8
            if letter == "x":
                return letter, 1
            if letter == "s":
                return letter, 0
            if letter == "c":
                return letter, self._digits(1)
            if letter in "<>":
                self.order = letter
            elif letter == "=":
                self.order = "<"
            elif letter == "!":
                self.align = self._digits(_ALIGN_MAX)
                if self.align == 0 or self.align & (self.align - 1):
                    raise _Wrong("alignment is not a power of 2")
            elif letter != " ":
                raise _Wrong(
                    f"bad argument #1 to '{self._name}' (invalid format option '{letter}')"
                )
        raise StopIteration

    def _digits(self, default: int) -> int:
        begin = self._at
        while self._at < len(self._text) and self._text[self._at].isdigit():
            self._at += 1
        text = self._text[begin : self._at]
        if len(text) > 9:
            raise _Wrong("integral size overflow")
        return int(text) if text else default

    def padding(self, letter: str, size: int, position: int) -> int:
        if size == 0 or letter in "csx":
            return 0
        align = min(size, self.align)
        return -position % align if align > 1 else 0


def _integer(value: Any, at: int) -> int:
    if isinstance(value, bytes):
        value = _number_of(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        got = "no value" if value is None else _type_name(value)
        raise _Wrong(f"bad argument #{at} to 'pack' (number expected, got {got})")
    if isinstance(value, float):
        return int(value) if -(2.0**63) <= value < 2.0**64 else -(1 << 63)
    return value


def _pack(*args: Any) -> Result:
    form = _Format(_text(args, 0, "pack"), "pack")
    out, at = bytearray(), 1
    for letter, size in form:
        out += bytes(form.padding(letter, size, len(out)))
        if letter == "x":
            out.append(0)
            continue
        value = args[at] if at < len(args) else None
        at += 1
        if letter in _INTEGERS:
            number = _integer(value, at) % (1 << 64)
            if size > 8:
                out += (number % (1 << 64)).to_bytes(size, "little" if form.order == "<" else "big")
            else:
                number %= 1 << (8 * size)
                out += number.to_bytes(size, "little" if form.order == "<" else "big")
        elif letter in "fd":
            if isinstance(value, bytes):
                value = _number_of(value)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                got = "no value" if value is None else _type_name(value)
                raise _Wrong(f"bad argument #{at} to 'pack' (number expected, got {got})")
            out += _float(form.order + letter, value)
        else:
            text = _text(args, at - 1, "pack")
            if letter == "s":
                out += text + b"\0"
            else:
                count = size or len(text)
                if len(text) < count:
                    raise _Wrong(f"bad argument #{at + 1} to 'pack' (string too short)")
                out += text[:count]
    return None, bytes(out)


def _float(form: str, value: float) -> bytes:
    try:
        return struct.pack(form, value)
    except OverflowError:
        return struct.pack(form, float("inf") if value > 0 else float("-inf"))


def _unpack(*args: Any) -> Result:
    form, data = _Format(_text(args, 0, "unpack"), "unpack"), _text(args, 1, "unpack")
    position = 0
    if len(args) > 2 and args[2] is not None:
        position = _integer(args[2], 3) - 1
        if position < 0:
            raise _Wrong("bad argument #3 to 'unpack' (offset must be 1 or greater)")
    found: list[Any] = []
    for letter, size in form:
        position += form.padding(letter, size, position)
        if size > len(data) or position > len(data) - size:
            raise _Wrong("bad argument #2 to 'unpack' (data string too short)")
        if letter in _INTEGERS:
            order = "little" if form.order == "<" else "big"
            piece = data[position : position + size]
            number = int.from_bytes(piece, order, signed=letter.islower())  # type: ignore[arg-type]
            found.append(float(number) if abs(number) >= 1 << 53 else number)
        elif letter in "fd":
            found.append(struct.unpack_from(form.order + letter, data, position)[0])
        elif letter == "s":
            end = data.find(b"\0", position)
            if end < 0:
                raise _Wrong("unfinished string in data")
            found.append(data[position:end])
            position = end + 1
        elif letter == "c":
            if size == 0:
                if not found or not isinstance(found[-1], (int, float)):
                    raise _Wrong("format 'c0' needs a previous size")
                size = int(found.pop())
                if size < 0 or size > len(data) or position > len(data) - size:
                    raise _Wrong("bad argument #2 to 'unpack' (data string too short)")
            found.append(data[position : position + size])
        position += size
        if len(found) > 200:
            raise _Wrong("too many results to unpack")
    return None, *found, position + 1


def _size(*args: Any) -> Result:
    form, position = _Format(_text(args, 0, "size"), "size"), 0
    for letter, size in form:
        position += form.padding(letter, size, position)
        if letter == "s":
            raise _Wrong("bad argument #1 to 'size' (variable-size format in 'size')")
        if letter == "c" and size == 0:
            raise _Wrong("bad argument #1 to 'size' (variable-length format)")
        position += size
    return None, position


def _text(args: Any, at: int, name: str) -> bytes:
    value = args[at] if at < len(args) else None
    if isinstance(value, bool) or not isinstance(value, (bytes, int, float)):
        got = "no value" if at >= len(args) else _type_name(value)
        raise _Wrong(f"bad argument #{at + 1} to '{name}' (string expected, got {got})")
    return value if isinstance(value, bytes) else text_of(value)


# -- cmsgpack --------------------------------------------------------------------------------------

_NESTING_MAX = 16


class Table:
    """What a Lua table is to be made of: a list, or a dictionary."""

    __slots__ = ("items",)

    def __init__(self, items: list[Any] | dict[Any, Any]):
        self.items = items


def _packed(value: Any, out: bytearray, depth: int) -> None:
    if isinstance(value, bytes):
        _head(out, len(value), 0xA0, 31, (0xD9, 0xDA, 0xDB))
        out += value
    elif isinstance(value, bool):
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, int):
        _packed_integer(value, out)
    elif isinstance(value, float):
        small = _float(">f", value)
        is_small = struct.unpack(">f", small)[0] == value
        out += b"\xca" + small if is_small else b"\xcb" + struct.pack(">d", value)
    elif value is None or not hasattr(value, "items") or depth == _NESTING_MAX:
        out.append(0xC0)
    else:
        pairs = list(value.items())
        keys = [key for key, _ in pairs]
        count = len(pairs)
        is_array = (
            all(type(key) is int and key > 0 for key in keys) and max(keys, default=0) == count
        )
        if is_array:
            _head(out, count, 0x90, 15, (0, 0xDC, 0xDD))
            for _, item in sorted(pairs, key=lambda pair: pair[0]):
                _packed(item, out, depth + 1)
        else:
            _head(out, count, 0x80, 15, (0, 0xDE, 0xDF))
            for key, item in pairs:
                _packed(key, out, depth + 1)
                _packed(item, out, depth + 1)


def _head(out: bytearray, count: int, short: int, short_max: int, codes: tuple[int, ...]) -> None:
    if count <= short_max:
        out.append(short | count)
    elif codes[0] and count <= 0xFF:
        out += bytes((codes[0], count))
    elif count <= 0xFFFF:
        out += struct.pack(">BH", codes[1], count)
    else:
        out += struct.pack(">BI", codes[2], count)


def _packed_integer(value: int, out: bytearray) -> None:
    if 0 <= value <= 127 or -32 <= value < 0:
        out.append(value & 0xFF)
        return
    if value >= 0:
        for code, form, limit in (
            (0xCC, ">B", 8),
            (0xCD, ">H", 16),
            (0xCE, ">I", 32),
            (0xCF, ">Q", 64),
        ):
            if value < 1 << limit:
                out.append(code)
                out += struct.pack(form, value)
                return
    for code, form, limit in (
        (0xD0, ">b", 8),
        (0xD1, ">h", 16),
        (0xD2, ">i", 32),
        (0xD3, ">q", 64),
    ):
        if -(1 << (limit - 1)) <= value:
            out.append(code)
            out += struct.pack(form, value)
            return


def _msg_pack(*args: Any) -> Result:
    if not args:
        raise _Wrong("bad argument #0 to 'pack' (MessagePack pack needs input.)")
    out = bytearray()
    for value in args:
        _packed(value, out, 0)
    return None, bytes(out)


_BAD = _Wrong("Bad data format in input.")
_MISSING = _Wrong("Missing bytes in input.")
_FIXED = {
    0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i",
    0xD3: ">q", 0xCA: ">f", 0xCB: ">d",
}  # fmt: skip
_STRINGS = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}
_ARRAYS, _MAPS = {0xDC: ">H", 0xDD: ">I"}, {0xDE: ">H", 0xDF: ">I"}
_DEEP = 100


class _Reader:
    def __init__(self, data: bytes, at: int):
        self.data, self.at = data, at

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise _MISSING
        piece, self.at = self.data[self.at : end], end
        return piece

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self, depth: int = 0) -> Any:
        if depth > _DEEP:
            raise _BAD
        code = self.take(1)[0]
        if code <= 0x7F:
            return code
        if code >= 0xE0:
            return code - 256
        if code in _FIXED:
            number = self.number(_FIXED[code])
            return float(number) if isinstance(number, int) and abs(number) >= 1 << 53 else number
        if code == 0xC0:
            return None
        if code in (0xC2, 0xC3):
            return code == 0xC3
        if code & 0xE0 == 0xA0:
            return self.take(code & 31)
        if code in _STRINGS:
            return self.take(self.number(_STRINGS[code]))
        if code & 0xF0 == 0x90 or code in _ARRAYS:
            count = self.number(_ARRAYS[code]) if code in _ARRAYS else code & 15
            return self._array(count, depth)
        if code & 0xF0 == 0x80 or code in _MAPS:
            count = self.number(_MAPS[code]) if code in _MAPS else code & 15
            return self._map(count, depth)
        raise _BAD

    def _array(self, count: int, depth: int) -> Table:
        if count > len(self.data) - self.at:
            raise _MISSING
        items = [self.value(depth + 1) for _ in range(count)]
        return Table({at: item for at, item in enumerate(items, 1) if item is not None})

    def _map(self, count: int, depth: int) -> Table:
        if count > len(self.data) - self.at:
            raise _MISSING
        found: dict[Any, Any] = {}
        for _ in range(count):
            key, item = self.value(depth + 1), self.value(depth + 1)
            if key is None or isinstance(key, Table) or key != key:
                raise _BAD  # a table is nobody's key here
            found[key] = item
        return Table({key: item for key, item in found.items() if item is not None})


def _msg_unpack_from(args: Any, limit: int, offset: int, is_whole: bool, name: str) -> Result:
    data = _text(args, 0, name)
    if limit < 0 or offset < 0:
        raise _Wrong(f"Invalid request to unpack with offset of {offset} and limit of {limit}.")
    if offset > len(data):
        raise _Wrong(f"Start offset {offset} greater than input length {len(data)}.")
    found: list[Any] = []
    reader = _Reader(data, offset)
    while reader.at < len(data) and (is_whole or len(found) < limit):
        found.append(reader.value())
        if len(found) > 200:
            raise _Wrong("Too many values in input.")
    if is_whole:
        return None, *found
    return None, -1 if reader.at >= len(data) else reader.at, *found


def _msg_unpack(*args: Any) -> Result:
    return _msg_unpack_from(args, 0, 0, True, "unpack")


def _msg_unpack_one(*args: Any) -> Result:
    offset = _integer(args[1], 2) if len(args) > 1 and args[1] is not None else 0
    return _msg_unpack_from(args, 1, offset, False, "unpack_one")


def _msg_unpack_limit(*args: Any) -> Result:
    limit = _integer(args[1] if len(args) > 1 else None, 2)
    offset = _integer(args[2], 3) if len(args) > 2 and args[2] is not None else 0
    return _msg_unpack_from(args, limit, offset, False, "unpack_limit")


def _safe(function: Callable[..., Result]) -> Callable[..., Result]:
    def run(*args: Any) -> Result:
        try:
            return function(*args)
        except _Wrong as wrong:
            return (str(wrong).encode(),)

    return run


FUNCTIONS: dict[bytes, Callable[..., Result]] = {
    f"{library}.{name}".encode(): _safe(function)
    for library, functions in {
        "bit": _BIT,
        "struct": {"pack": _pack, "unpack": _unpack, "size": _size},
        "cmsgpack": {
            "pack": _msg_pack,
            "unpack": _msg_unpack,
            "unpack_one": _msg_unpack_one,
            "unpack_limit": _msg_unpack_limit,
        },
    }.items()
    for name, function in functions.items()
}
