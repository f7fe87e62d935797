"""A stream: entries that are added at its end, in the order of their numbers, and groups of
consumers that read them.

Entries lie in blocks (stream_block.py) of up to a hundred; a number is found by halving.  Where a
block ends decides what is trimmed "about", so that is state too, and kept in snapshots: replicas
agree.

A stream stays when its last entry goes.  What always holds: ``last_id`` is that of the last entry
at least, and never goes back by adding.

To clone it copies the list of its blocks, and a block or a group only when that is written to: from
then on neither of the two owns what they share.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, ClassVar, cast

import msgpack

from distrodb.keyspace.containers.stream_block import Block, Entry, block_entries
from distrodb.keyspace.containers.stream_group import Group, Tally
from distrodb.keyspace.containers.stream_parts import add_part, parts_of

STREAM_BYTES = 400  # of one without entries

_first, _last = attrgetter("first"), attrgetter("last")


class Stream:
    __slots__ = (
        "_block_bytes",
        "_blocks",
        "_groups",
        "_length",
        "_owner",
        "_tally",
        "added_count",
        "deleted_max",
        "generation",
        "last_id",
    )

    kind: ClassVar[bytes] = b"stream"
    tag: ClassVar[int] = 5

    def __init__(self, generation: int):
        self.generation = generation
        self._owner = object()
        self._blocks: list[Block] = []
        self._block_bytes = self._length = 0
        self._groups: dict[bytes, Group] = {}
        self._tally = Tally()
        self.last_id = 0
        self.added_count = 0  # entries that there ever were
        self.deleted_max = 0  # the highest number that was deleted, not trimmed

    @classmethod
    def of(cls, entries: list[Entry]) -> "Stream":
        """In their order."""
        stream = cls(0)
        stream._blocks = block_entries(entries, stream._owner)
        stream._length = stream.added_count = len(entries)
        stream.last_id = entries[-1][0] if entries else 0
        stream._block_bytes = sum(block.size for block in stream._blocks)
        return stream

    @property
    def size(self) -> int:
        return STREAM_BYTES + self._block_bytes + self._tally.bytes

    def __len__(self) -> int:
        return self._length

    # -- to read -----------------------------------------------------------------------------

    @property
    def first_id(self) -> int:
        """Of the first entry; 0 without one."""
        return self._blocks[0].first if self._blocks else 0

    @property
    def top_id(self) -> int:
        """Of the last entry that is there; 0 without one."""
        return self._blocks[-1].last if self._blocks else 0

    @property
    def block_count(self) -> int:
        return len(self._blocks)

    @property
    def blocks(self) -> Sequence[Block]:
        """To be read only."""
        return self._blocks

    @property
    def groups(self) -> Mapping[bytes, Group]:
        """To be read only."""
        return self._groups

    def groups_in_order(self) -> list[Group]:
        return [self._groups[name] for name in sorted(self._groups)]

    def range(self, first: int, last: int, reverse: bool = False) -> Iterator[Entry]:
        """Entries with these numbers, both ends included; it must not change meanwhile."""
        begin = bisect_left(self._blocks, first, key=_last)
        end = bisect_right(self._blocks, last, key=_first)
        numbers = range(begin, end)
        for place in reversed(numbers) if reverse else numbers:
            block = self._blocks[place]
            entries = block.entries()
            if reverse:
                entries.reverse()
            if first <= block.first and block.last <= last:
                yield from entries
            else:
                yield from (entry for entry in entries if first <= entry[0] <= last)

    def count_between(self, first: int, last: int) -> int:
        """How many there are, at most: whole blocks are counted."""
        begin = bisect_left(self._blocks, first, key=_last)
        end = bisect_right(self._blocks, last, key=_first)
        if end - begin > len(self._blocks) // 2:
            return self._length
        return sum(block.count for block in self._blocks[begin:end])

    def finder(self) -> "Finder":
        return Finder(self._blocks)

    # -- to write ----------------------------------------------------------------------------

    def add(self, number: int, fields: list[bytes]) -> None:
        """Higher than all there ever were."""
        blocks = self._blocks
        if blocks and not blocks[-1].is_full:
            block = self._block_to_write(-1)
            before = block.size
            block.add((number, fields))
            self._block_bytes += block.size - before
        else:
            if blocks and type(blocks[-1].data) is not bytes:
                self._block_to_write(-1).seal()
            blocks.append(Block(self._owner, (number, fields)))
            self._block_bytes += blocks[-1].size
        self._length += 1
        self.added_count += 1
        self.last_id = number

    def delete(self, numbers: Iterable[int]) -> int:
        """How many of these were there."""
        by_block: dict[int, set[int]] = {}
        for number in numbers:
            place = bisect_left(self._blocks, number, key=_last)
            if place < len(self._blocks) and self._blocks[place].first <= number:
                by_block.setdefault(place, set()).add(number)
        count = 0
        for place in sorted(by_block, reverse=True):  # so that places before them stay
            block, wanted = self._blocks[place], by_block[place]
            there = {number for number, _ in block.entries()} & wanted
            if not there:
                continue
            count += len(there)
            self.deleted_max = max(self.deleted_max, *there)
            if len(there) == block.count:
                self._block_bytes -= self._blocks.pop(place).size
            else:
                block = self._block_to_write(place)
                self._block_bytes -= block.size
                block.drop(there)
                self._block_bytes += block.size
            self._length -= len(there)
        return count

    def trim(self, length: int, first: int, whole_blocks: bool, limit: int) -> int:
        """Remove from the beginning what is more than ``length`` or before ``first``; how many.
        ``whole_blocks``: and nothing else; ``limit``: at most so many, if not 0."""
        places, count, more = self._cut(length, first, whole_blocks, limit)
        self._block_bytes -= sum(block.size for block in self._blocks[:places])
        del self._blocks[:places]
        self._length -= count
        if more:
            block = self._block_to_write(0)
            self._block_bytes -= block.size
            block.drop_first(more)
            self._block_bytes += block.size
            self._length -= more
        return count + more

    def count_to_trim(self, length: int, first: int, whole_blocks: bool, limit: int) -> int:
        """How many entries ``trim`` would remove."""
        _, count, more = self._cut(length, first, whole_blocks, limit)
        return count + more

    def _cut(self, length: int, first: int, whole_blocks: bool, limit: int) -> tuple[int, int, int]:
        """How many blocks go whole, how many entries are in them, and how many more go of the next
        one, which stays."""
        count = places = 0
        for block in self._blocks:
            if self._length - count <= length and block.first >= first:
                break
            if limit and count + block.count > limit:
                break
            if self._length - count - block.count < length and block.last >= first:
                break
            count += block.count
            places += 1
        if whole_blocks or places == len(self._blocks):
            return places, count, 0
        more = max(0, self._length - count - length)
        block = self._blocks[places]
        if block.first < first:
            more = max(more, sum(number < first for number, _ in block.entries()))
        return places, count, more

    def add_blocks(self, blocks: list[Block]) -> None:
        """Behind all others, in their order; they are the stream's own from now on."""
        for block in blocks:
            block.owner = self._owner
        self._blocks += blocks
        self._block_bytes += sum(block.size for block in blocks)
        self._length += sum(block.count for block in blocks)

    def _block_to_write(self, place: int) -> Block:
        block = self._blocks[place]
        if block.owner is not self._owner:
            block = self._blocks[place] = block.copy(self._owner)
        return block

    def add_group(self, name: bytes, last_id: int, read_count: int) -> Group:
        group = Group(name, last_id, read_count, self._owner, self._tally)
        self._groups[name] = group
        return group

    def group_to_write(self, name: bytes) -> Group:
        """One that is there."""
        group = self._groups[name]
        if group.owner is not self._owner:
            group = self._groups[name] = group.copy(self._owner, self._tally)
        return group

    def remove_group(self, name: bytes) -> None:
        self._tally.bytes -= self._groups.pop(name).size

    # -- copies ------------------------------------------------------------------------------

    def clone(self, generation: int) -> "Stream":
        copy, self._owner = Stream(generation), object()
        copy._blocks, copy._groups = self._blocks.copy(), self._groups.copy()
        copy._block_bytes, copy._length = self._block_bytes, self._length
        copy._tally = Tally(self._tally.bytes)
        copy.last_id, copy.added_count = self.last_id, self.added_count
        copy.deleted_max = self.deleted_max
        return copy

    def parts(self, bytes_max: int) -> Iterator[tuple[list[Any], int]]:
        return parts_of(self, bytes_max)

    def add_part(self, plain: list[Any]) -> None:
        add_part(self, plain, is_again=False)

    def canonical(self) -> bytes:
        """Of the same entries in the same blocks."""
        return cast(bytes, msgpack.packb([part for part, _ in self.parts(1 << 62)]))


class Finder:
    """Finds one entry after another, faster where they are close to one another; the stream must
    not change meanwhile, but for its groups."""

    def __init__(self, blocks: list[Block]):
        self._blocks = blocks
        self._open: Block | None = None
        self._entries: dict[int, list[bytes]] = {}

    def find(self, number: int) -> list[bytes] | None:
        """Its fields; None if it is not there."""
        block = self._open
        if block is None or not block.first <= number <= block.last:
            place = bisect_left(self._blocks, number, key=_last)
            if place == len(self._blocks) or number < self._blocks[place].first:
                return None
            block = self._open = self._blocks[place]
            self._entries = dict(block.entries())
        return self._entries.get(number)
