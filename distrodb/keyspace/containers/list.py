"""A list: elements in their order, quick at both ends, small in memory.

    head            blocks                                     tail
    [a, b, c, …]    [128 elements packed] [packed] [packed]    […, x, y, z]

The two ends are plain Python lists of up to ``END_ITEMS``.  When one gets longer its inner part is
packed into blocks (blocks.py), and when one is empty the next blocks are unpacked, so a push and a
pop cost the same however long the list is, but for one in some hundred that packs or unpacks.

Caveat: ``size`` follows how the elements are kept, so two lists of the same elements may differ in
it.
"""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, cast

import msgpack

from distrodb.keyspace.containers.blocks import BLOCK_ITEMS, Blocks, Run, items_of, without
from distrodb.keyspace.containers.parts import parts_of

END_ITEMS = 2 * BLOCK_ITEMS
ITEM_BYTES = 41  # what an element of an end costs beside itself: its object, and a pointer
PART_ITEM_BYTES = 16  # and of a part


class List:
    """Positions count from the left, from 0."""

    __slots__ = ("_blocks", "_count", "_end_bytes", "_head", "_tail", "generation")

    kind: ClassVar[bytes] = b"list"
    tag: ClassVar[int] = 2

    def __init__(self, generation: int):
        self.generation = generation
        self._count = 0
        self._end_bytes = 0  # of both ends
        self._head: list[bytes] = []
        self._blocks = Blocks()
        self._tail: list[bytes] = []

    def __len__(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        return self._end_bytes + self._blocks.size

    # -- to read -----------------------------------------------------------------------------

    def __iter__(self) -> Iterator[bytes]:
        for count, run in self._runs():
            yield from items_of(count, run)

    def get(self, position: int) -> bytes:
        """Of an element that is there."""
        index = position - len(self._head)
        if index < 0:
            return self._head[position]
        behind = position - (self._count - len(self._tail))
        return self._tail[behind] if behind >= 0 else self._blocks.get(index)

    def part(self, begin: int, end: int) -> list[bytes]:
        """The elements from ``begin`` up to ``end``, exclusive."""
        end = min(end, self._count)
        if begin >= end:
            return []
        head, middle_end = len(self._head), self._count - len(self._tail)
        found = self._head[begin:end]
        first = max(begin, head)
        if first < min(end, middle_end):
            found += self._blocks.part(first - head, min(end, middle_end) - first)
        if end > middle_end:
            found += self._tail[max(0, begin - middle_end) : end - middle_end]
        return found

    def positions(self, value: bytes, looked_at: int, from_right: bool) -> Iterator[int]:
        """Where an element equals a value, from an end, among the first so many from there."""
        passed = 0
        for count, run in self._runs(from_right):
            if passed >= looked_at:
                return
            if value in run:  # in a block: it may be there
                items = items_of(count, run)
                for index, item in enumerate(reversed(items) if from_right else items, passed):
                    if item == value and index < looked_at:
                        yield self._count - 1 - index if from_right else index
            passed += count

    def _runs(self, from_right: bool = False) -> Iterator[tuple[int, Run]]:
        """All elements: the head, each block, the tail."""
        first, last = (self._tail, self._head) if from_right else (self._head, self._tail)
        yield len(first), first
        yield from self._blocks.runs(from_right)
        yield len(last), last

    # -- to write at the ends ----------------------------------------------------------------

    def push(self, value: bytes, is_left: bool) -> None:
        self._count += 1
        self._end_bytes += len(value) + ITEM_BYTES
        if is_left:
            self._head.insert(0, value)
        else:
            self._tail.append(value)
        self._pack_long()

    def extend(self, values: Iterable[bytes]) -> None:
        """Push many at the right."""
        before = len(self._tail)
        self._tail += values
        added = len(self._tail) - before
        self._count += added
        self._end_bytes += _bytes_of(self._tail[before:])
        self._pack_long()

    def pop(self, is_left: bool) -> bytes:
        """Of a list that is not empty."""
        self._fill(is_left)
        one, other = (self._head, self._tail) if is_left else (self._tail, self._head)
        value = (one or other).pop(0 if is_left else -1)
        self._count -= 1
        self._end_bytes -= len(value) + ITEM_BYTES
        return value

    def drop(self, count: int, is_left: bool) -> None:
        """Take so many away, or all."""
        count = min(count, self._count)
        self._count -= count
        first, last = (self._head, self._tail) if is_left else (self._tail, self._head)
        count = self._drop_of(first, count, is_left)
        if count:
            count = self._blocks.drop(count, is_left)
            self._fill(is_left)  # what is left to drop is in there, or no block is
            count = self._drop_of(first, count, is_left)
            self._drop_of(last, count, is_left)

    def _drop_of(self, items: list[bytes], count: int, is_left: bool) -> int:
        """From one end; how many it has too few."""
        some = min(count, len(items))
        gone = slice(some) if is_left else slice(len(items) - some, None)
        self._end_bytes -= _bytes_of(items[gone])
        del items[gone]
        return count - some

    def _fill(self, is_left: bool) -> None:
        """An end that is empty gets the elements of the next blocks."""
        items = self._head if is_left else self._tail
        if not items and self._blocks:
            items += self._blocks.unpack(is_left)
            self._end_bytes += _bytes_of(items)

    def _pack_long(self) -> None:
        """The inner part of an end that has become too long goes into blocks."""
        if len(self._head) > END_ITEMS:
            self._pack(self._head, slice(BLOCK_ITEMS, None), True)
        if len(self._tail) > END_ITEMS:
            self._pack(self._tail, slice(len(self._tail) - BLOCK_ITEMS), False)

    def _pack(self, items: list[bytes], inner: slice, at_left: bool) -> None:
        self._end_bytes -= _bytes_of(items[inner])
        self._blocks.pack(items[inner], at_left)
        del items[inner]

    # -- to write anywhere -------------------------------------------------------------------

    def set(self, position: int, value: bytes) -> None:
        """Of an element that is there."""
        self._write(position, 1, value)

    def insert(self, position: int, value: bytes) -> None:
        """Before the element that is there, or behind the last one."""
        self._write(position, 0, value)
        self._pack_long()

    def _write(self, position: int, replaced: int, value: bytes) -> None:
        """In place of so many elements from one on: none or one."""
        head, behind = len(self._head), position - (self._count - len(self._tail))
        self._count += 1 - replaced
        if head <= position and behind < 0:
            self._blocks.write(position - head, replaced, value)
            return
        items, at = (self._head, position) if position < head else (self._tail, behind)
        self._end_bytes += len(value) + ITEM_BYTES - _bytes_of(items[at : at + replaced])
        items[at : at + replaced] = [value]

    def remove(self, value: bytes, limit: int, from_right: bool) -> int:
        """Take away up to so many that equal a value, from an end; how many those were."""
        first, last = (self._tail, self._head) if from_right else (self._head, self._tail)
        count = self._remove_of(first, value, limit, from_right)
        count += self._blocks.remove(value, limit - count, from_right)
        count += self._remove_of(last, value, limit - count, from_right)
        self._count -= count
        return count

    def _remove_of(self, items: list[bytes], value: bytes, limit: int, from_right: bool) -> int:
        kept = without(items, value, limit, from_right)
        gone = len(items) - len(kept)
        items[:] = kept
        self._end_bytes -= gone * (len(value) + ITEM_BYTES)
        return gone

    # -- for the store -----------------------------------------------------------------------

    def clone(self, generation: int) -> "List":
        copy = List(generation)
        copy._head, copy._tail = self._head.copy(), self._tail.copy()
        copy._blocks, copy._count = self._blocks.clone(), self._count
        copy._end_bytes = self._end_bytes
        return copy

    def parts(self, bytes_max: int) -> Iterator[tuple[list[Any], int]]:
        return parts_of(self, bytes_max, PART_ITEM_BYTES)

    def add_part(self, plain: list[Any]) -> None:
        if set(map(type, plain)) != {bytes}:
            raise ValueError("a part of a list that is not elements")
        self.extend(plain)

    def canonical(self) -> bytes:
        return cast(bytes, msgpack.packb(list(self)))


def _bytes_of(items: list[bytes]) -> int:
    """Of elements of an end."""
    return sum(map(len, items)) + len(items) * ITEM_BYTES
