"""The middle of a list (list.py): its elements, packed in blocks.

What always holds: a block has 1 to ``BLOCK_ITEMS`` elements and is never changed, but replaced.
One of several elements is a msgpack array of ``BLOCK_BYTES`` at most, about, which takes two bytes
an element beside the element itself; one of a single element is that element, so a large one is
never copied.

Caveat: an element is found by the counts of the blocks, in 6 µs a thousand blocks, and to change it
packs its block anew (10 µs).
"""

from collections.abc import Iterator
from itertools import compress
from typing import TypeAlias, cast

import msgpack

BLOCK_ITEMS = 128
BLOCK_BYTES = 8192
BLOCK_COST = 42  # bytes of a block beside what is packed
_STRIDE = 256  # counts that are added up at once

Run: TypeAlias = "list[bytes] | bytes"  # elements as they are, or a block


def items_of(count: int, run: Run) -> list[bytes]:
    """The elements of a run; those of a block are the caller's."""
    if isinstance(run, list):
        return run
    return [run] if count == 1 else cast("list[bytes]", msgpack.unpackb(run))


def blocks_of(items: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """Halved until each is small enough: what grows in the middle is not cut at its end again and
    again."""
    count = len(items)
    if count == 1:
        yield 1, items[0]
    elif count <= BLOCK_ITEMS and sum(map(len, items)) <= BLOCK_BYTES:
        if items:
            yield count, msgpack.packb(items)
    else:
        yield from blocks_of(items[: count // 2])
        yield from blocks_of(items[count // 2 :])


def without(items: list[bytes], value: bytes, limit: int, from_right: bool) -> list[bytes]:
    """But for so many that equal a value, from an end."""
    if items.count(value) <= limit:
        return [item for item in items if item != value]
    kept: list[bytes] = []
    for item in reversed(items) if from_right else items:
        if item == value and limit:
            limit -= 1
        else:
            kept.append(item)
    return kept[::-1] if from_right else kept


class Blocks:
    """Positions count from the first element that is in a block."""

    __slots__ = ("_blocks", "_counts", "size")

    def __init__(self) -> None:
        self.size = 0  # bytes
        self._blocks: list[bytes] = []
        self._counts = bytearray()  # of the elements of each block

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def clone(self) -> "Blocks":
        copy = Blocks()
        copy._blocks, copy._counts = self._blocks.copy(), self._counts.copy()
        copy.size = self.size
        return copy

    def runs(self, from_right: bool) -> Iterator[tuple[int, bytes]]:
        if from_right:
            return zip(reversed(self._counts), reversed(self._blocks), strict=True)
        return zip(self._counts, self._blocks, strict=True)

    def get(self, index: int) -> bytes:
        number, within = self._find(index)
        return items_of(self._counts[number], self._blocks[number])[within]

    def part(self, index: int, count: int) -> list[bytes]:
        """So many that are there, one at least."""
        number, within = self._find(index)
        taken: list[bytes] = []
        while len(taken) < within + count:
            taken += items_of(self._counts[number], self._blocks[number])
            number += 1
        return taken[within : within + count]

    def write(self, index: int, replaced: int, value: bytes) -> None:
        """In place of so many elements of one block: none, to insert it, or one."""
        number, within = self._find(index)
        items = items_of(self._counts[number], self._blocks[number])
        items[within : within + replaced] = [value]
        self._splice(number, 1, list(blocks_of(items)))

    def pack(self, items: list[bytes], at_left: bool) -> None:
        """More elements, at an end."""
        full = (items[at : at + BLOCK_ITEMS] for at in range(0, len(items), BLOCK_ITEMS))
        made = [block for each in full for block in blocks_of(each)]
        self._splice(0 if at_left else len(self._blocks), 0, made)

    def unpack(self, from_left: bool) -> list[bytes]:
        """Those at an end, taken from here: some hundred, unless they are large; none if there are
        none."""
        number = taken = 0
        for each in self._counts if from_left else reversed(self._counts):
            number += 1
            taken += each
            if taken >= BLOCK_ITEMS:
                break
        first = 0 if from_left else len(self._blocks) - number
        items: list[bytes] = []
        for at in range(first, first + number):
            items += items_of(self._counts[at], self._blocks[at])
        self._splice(first, number, [])
        return items

    def drop(self, count: int, from_left: bool) -> int:
        """Take the blocks away that are wholly among so many elements from an end; how many of
        those are not in them."""
        number = 0
        for each in self._counts if from_left else reversed(self._counts):
            if each > count:
                break
            count -= each
            number += 1
        self._splice(0 if from_left else len(self._blocks) - number, number, [])
        return count

    def remove(self, value: bytes, limit: int, from_right: bool) -> int:
        """Take away up to so many that equal a value, from an end; how many those were."""
        left, numbers = limit, range(len(self._blocks))
        for number in reversed(numbers) if from_right else numbers:
            if not left:
                break
            count, block = self._counts[number], self._blocks[number]
            if value not in block:  # mostly
                continue
            kept = without(items_of(count, block), value, left, from_right)
            if len(kept) < count:
                left -= count - len(kept)
                made = next(blocks_of(kept), (0, b""))[1]  # of fewer: one block, or none
                self.size += len(made) - len(block) - (0 if kept else BLOCK_COST)
                self._counts[number], self._blocks[number] = len(kept), made
        if 0 in self._counts:
            self._blocks = list(compress(self._blocks, self._counts))
            self._counts = bytearray(filter(None, self._counts))
        return limit - left

    def _find(self, index: int) -> tuple[int, int]:
        """The block of an element that is there, and where it is in that."""
        counts, number = self._counts, 0
        while (some := sum(counts[number : number + _STRIDE])) <= index:
            index -= some
            number += _STRIDE
        while counts[number] <= index:
            index -= counts[number]
            number += 1
        return number, index

    def _splice(self, number: int, count: int, made: list[tuple[int, bytes]]) -> None:
        """These blocks in place of so many from one on."""
        end = number + count
        before, after = self._blocks[number:end], [block for _, block in made]
        self.size += sum(map(len, after)) - sum(map(len, before))
        self.size += (len(after) - count) * BLOCK_COST
        self._blocks[number:end] = after
        self._counts[number:end] = bytes([each for each, _ in made])
