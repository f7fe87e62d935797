"""How much alike the strings of a script are to Lua 5.1, which finds each by a hash that anybody
can compute: of 60,000 strings with one hash each new one is compared with all before.  Pure.

Lua keeps every string once, in a table by its hash, and so do a script's own tables.  Where many
are in one place (a *chain*) the slave would stand for seconds, on all replicas, and whoever may
write to a hash could make it so for a script that only reads it.  So the strings that a script
comes to have are counted by their hashes, before Lua gets them where they are many, and what is
done with them costs more the longer a chain may be (``worst``).

A chain of n needs n that agree in the last log2(n) bits of their hashes, since a table has as many
places as entries at least; so they are counted by 6, 8 and 10 bits.  Among strings that were
not chosen so, a few in each are alike by chance: 10,000 have a ``worst`` of 128 at most, and what
costs less than twice as much there may cost a hundred times as much else.

What always holds: all of this follows from the strings alone, in the order in which they come.

Numbers are keys of tables, too, and hashed otherwise, with the same outcome.
"""

import struct
import sys
from collections.abc import Iterable, Sequence
from hashlib import blake2b

_BITS_32, _BITS_30 = b"\xff\xff\xff\xff\0", b"\xff\xff\xff\x3f\0"
# Bits of a hash, and the longest chain that so many bits in common can be the cause of.
_LEVELS = ((6, 128), (8, 512), (10, 1 << 30))
# Steps: an instruction of Lua is one, some 10 ns.  Beyond, a script ends.
WORK_MAX = 10_000_000
PENDING = 32  # strings that may be alike before anybody looks
KEPT_BYTES = 256  # a longer string is known again by its digest
# Steps of a string, and by how many of it a chain is looked through for one.
STEPS, LINKS, BYTES = 40, 8, 1024
# Strings of one length whose hashes are made at once: fewer are faster one by one, and more are not
# any faster.
TOGETHER, TOGETHER_MAX = 8, 1000
LANE = 5  # bytes for each of these in one number: 32 bits, and what a shift and two sums add


def lua_hash(string: bytes) -> int:
    """Of 32 bits, as in lstring.c."""
    size = len(string)
    found, step = size & 0xFFFFFFFF, (size >> 5) + 1
    for byte in string[::-1] if step == 1 else string[: step - 2 : -step]:
        found ^= (found << 5) + (found >> 2) + byte & 0xFFFFFFFF
    return found


def hashes_of(strings: Sequence[bytes]) -> list[int]:
    """``lua_hash`` of each; several times as fast where many have one length."""
    by_size: dict[int, list[int]] = {}
    for at, string in enumerate(strings):
        by_size.setdefault(len(string), []).append(at)
    found = [0] * len(strings)
    for size, places in by_size.items():
        if len(places) < TOGETHER or size > KEPT_BYTES:
            for at in places:
                found[at] = lua_hash(strings[at])
            continue
        for begin in range(0, len(places), TOGETHER_MAX):
            some = places[begin : begin + TOGETHER_MAX]
            each = _hashed_together([strings[at] for at in some], size)
            for at, one in zip(some, each, strict=True):
                found[at] = one
    return found


def _hashed_together(strings: Sequence[bytes], size: int) -> Sequence[int]:
    """Their hashes are lanes of one large number, on which each step is taken once."""
    count, joined, step = len(strings), b"".join(strings), (size >> 5) + 1
    ones, twos = (int.from_bytes(mask * count, "little") for mask in (_BITS_32, _BITS_30))
    found = int.from_bytes(size.to_bytes(LANE, "little") * count, "little")
    lanes = bytearray(LANE * count)
    for at in range(size - 1, step - 2, -step):
        lanes[::LANE] = joined[at::size]
        column = int.from_bytes(lanes, "little")
        found ^= (found << 5) + (found >> 2 & twos) + column & ones
    plain = found.to_bytes(LANE * count, "little")
    spread = bytearray(4 * count)
    for byte in range(4):
        spread[byte::4] = plain[byte::LANE]
    return memoryview(spread).cast("I") if sys.byteorder == "little" else _words(spread)


def _words(data: bytearray) -> Sequence[int]:
    return struct.unpack(f"<{len(data) // 4}I", data)


def number_hash(number: float) -> int:
    """As in ltable.c."""
    low, high = struct.unpack("<II", struct.pack("<d", number))
    return int(low + high) & 0xFFFFFFFF


_Row = tuple[list[int], int, int]  # counts, the last of them, and a bound of chains


def _rows() -> list[_Row]:
    return [([0] * (1 << bits), (1 << bits) - 1, most) for bits, most in _LEVELS]


class Crowd:
    def __init__(self) -> None:
        self._rows: list[_Row] = []  # made when they are needed: most scripts have few strings
        self._known: dict[int, bytes | set[bytes]] = {}  # by hash
        self._numbers: set[float] = set()
        self._number_rows: list[_Row] = []
        self.worst = 0  # links, about, of the longest chain that there may be
        self.worst_of_numbers = 0

    def add(self, strings: Sequence[bytes]) -> int:
        """The steps that it takes Lua to have them."""
        known, steps = self._known, 0
        self._rows = self._rows or _rows()
        for string, found in zip(strings, hashes_of(strings), strict=True):
            size = len(string)
            steps += STEPS + self.worst // LINKS + self.worst * size // BYTES
            kept = string
            if size > KEPT_BYTES:
                steps += size // 8
                kept = blake2b(string, digest_size=16).digest()
            same = known.get(found)
            if same is None:
                known[found] = kept
            elif same == kept:
                continue
            else:
                if isinstance(same, bytes):
                    same = known[found] = {same}
                if kept in same:
                    continue
                same.add(kept)
            worst = self.worst
            for row, mask, most in self._rows:
                row[found & mask] = count = row[found & mask] + 1
                if worst < count <= most:
                    worst = count
            self.worst = worst
        return steps

    def add_numbers(self, numbers: Sequence[float]) -> int:
        self._number_rows = self._number_rows or _rows()
        for number in numbers:
            if number not in self._numbers:
                self._numbers.add(number)
                found = number_hash(number)
                for row, places, most in self._number_rows:
                    row[found % places] = count = row[found % places] + 1
                    if self.worst_of_numbers < count <= most:
                        self.worst_of_numbers = count
        return (STEPS + self.worst_of_numbers) * len(numbers)


def worst_of(strings: Iterable[bytes]) -> int:
    crowd = Crowd()
    crowd.add(list(strings))
    return crowd.worst


class TooMuch(Exception):
    """Strings that a script must not get."""


class Tally:
    """The strings of one script: those that Python gives it are counted here, a few together, and
    those that it makes are in ``crowd`` too."""

    def __init__(self, alike: int):
        """``alike``: of its text's own."""
        self.crowd, self._alike = Crowd(), alike
        self._pending: list[bytes] = []
        self._steps = 0  # of all of them
        self.owed = 0  # steps that the script was not told of yet

    @property
    def worst(self) -> int:
        """The longest chain of a table that there may be."""
        return self.crowd.worst + self._alike + self.crowd.worst_of_numbers

    def counted(self, strings: Sequence[bytes]) -> int:
        """Steps that it takes Lua to have these.  Raises ``TooMuch``."""
        self._pending += strings
        if len(self._pending) <= PENDING:
            return 0
        strings, self._pending = self._pending, []
        steps = self.crowd.add(strings)
        self._steps += steps
        if self._steps > WORK_MAX:
            raise TooMuch
        return steps

    def numbers(self, numbers: Sequence[float]) -> int:
        return self.crowd.add_numbers(numbers)

    def paid(self) -> int:
        owed, self.owed = self.owed, 0
        return owed
