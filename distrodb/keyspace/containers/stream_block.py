"""Some entries of a stream that follow one another, packed into one string of bytes.

    names, entry, entry, ...            msgpack, one behind the other
    names   [name, ...]                 of the fields of the entry that the block began with
    entry   [ms, sequence, value, ...]  of one with just these names; ms counts from the block's
            [ms, sequence, nil, name, value, ...]   any other one

So an entry takes some bytes beside what it says, and a block is read as a whole.  Snapshots hold
blocks as they are.

What always holds: there is an entry; numbers grow; each is ``base`` at least, with which the block
began.  Who has the ``owner`` may write to it, nobody else: streams that were copied share blocks.
What is in the bytes follows from the commands alone, so replicas have the same ones.
"""

from collections.abc import Sequence, Set
from itertools import pairwise
from typing import Any

import msgpack

from distrodb.keyspace.stream_ids import SEQUENCE_MAX, make_id

ENTRIES_MAX, BYTES_MAX = 100, 4096  # of one block, or one entry; as in Redis
OVERHEAD_BYTES = 300  # of a block beside its data

Entry = tuple[int, list[bytes]]  # its number; names and values in turn


def _pack(plain: list[Any]) -> bytes:
    data: bytes = msgpack.packb(plain, use_bin_type=False)
    return data


class Block:
    __slots__ = ("_names", "base", "count", "data", "first", "last", "owner")

    def __init__(self, owner: object, entry: Entry):
        number, fields = entry
        self.owner = owner
        self.base = self.first = self.last = number
        self._names = fields[::2]
        self.count = 0
        self.data: bytes | bytearray = bytearray(_pack(self._names))
        self._add(entry)

    @classmethod
    def of(cls, owner: object, base: int, data: bytes) -> "Block":
        """The inverse of ``base`` and ``data``.  Raises ``ValueError``."""
        block = cls.__new__(cls)
        block.owner, block.base, block.data = owner, base, data
        block.count = _count_of(data) - 1
        if block.count < 1:
            raise ValueError("a block of a stream that has no entries")
        names, *items = block._items()
        if not _is_of_words(names) or not all(map(_is_entry, items)):
            raise ValueError("a block of a stream that makes no sense")
        block._names = names
        numbers = [number for number, _ in block.entries()]
        is_in_order = all(one < other for one, other in pairwise(numbers))
        if not is_in_order or numbers[0] < base or numbers[-1] >> 128:
            raise ValueError("a block of a stream that is not in order")
        block.first, block.last = numbers[0], numbers[-1]
        return block

    @property
    def size(self) -> int:
        return len(self.data) + OVERHEAD_BYTES

    @property
    def is_full(self) -> bool:
        return self.count >= ENTRIES_MAX or len(self.data) >= BYTES_MAX

    def add(self, entry: Entry) -> None:
        """Behind all others."""
        if type(self.data) is bytes:
            self.data = bytearray(self.data)
        self._add(entry)

    def _add(self, entry: Entry) -> None:
        number, fields = entry
        ms, sequence = (number >> 64) - (self.base >> 64), number & SEQUENCE_MAX
        if fields[::2] == self._names:
            self.data += _pack([ms, sequence, *fields[1::2]])
        else:
            self.data += _pack([ms, sequence, None, *fields])
        self.count += 1
        self.last = number

    def seal(self) -> None:
        """It gets no more: let go of the room for that."""
        self.data = bytes(self.data)

    def copy(self, owner: object) -> "Block":
        copy = Block.__new__(Block)
        copy.owner, copy.base, copy.count = owner, self.base, self.count
        copy.first, copy.last, copy._names = self.first, self.last, self._names
        copy.data = bytes(self.data)
        return copy

    def _items(self) -> list[Any]:
        head = b"\xdd" + (self.count + 1).to_bytes(4, "big")
        items: list[Any] = msgpack.unpackb(head + self.data, raw=True)
        return items

    def entries(self) -> list[Entry]:
        names, *items = self._items()
        base = self.base >> 64
        found: list[Entry] = []
        for ms, sequence, *values in items:
            if values and values[0] is None:
                fields = values[1:]
            else:
                fields = [word for pair in zip(names, values, strict=True) for word in pair]
            found.append((make_id(base + ms, sequence), fields))
        return found

    def drop_first(self, count: int) -> None:
        """Remove so many from the beginning, but not all."""
        unpacker = _unpacker(self.data)
        unpacker.skip()
        head = unpacker.tell()
        for _ in range(count):
            unpacker.skip()
        at = unpacker.tell()
        ms, sequence, *_ = unpacker.unpack()
        self.data = bytes(self.data[:head] + self.data[at:])
        self.count -= count
        self.first = make_id((self.base >> 64) + ms, sequence)

    def drop(self, numbers: Set[int]) -> None:
        """Remove these, but not all."""
        kept = [entry for entry in self.entries() if entry[0] not in numbers]
        self.data = bytearray(_pack(self._names))
        self.count = 0
        for entry in kept:
            self._add(entry)
        self.seal()
        self.first = kept[0][0]


def _is_of_words(plain: Any) -> bool:
    return isinstance(plain, list) and bool(plain) and set(map(type, plain)) == {bytes}


def _is_entry(plain: Any) -> bool:
    """How many values there must be is seen by who puts them together with names."""
    if not isinstance(plain, list) or len(plain) < 3:
        return False
    ms, sequence, *words = plain
    is_of_others = words[0] is None
    if is_of_others:
        words = words[1:]
    is_numbered = type(ms) is int and type(sequence) is int and min(ms, sequence) >= 0
    return is_numbered and _is_of_words(words) and not (is_of_others and len(words) % 2)


def _unpacker(data: bytes | bytearray) -> Any:
    unpacker = msgpack.Unpacker(raw=True, max_buffer_size=max(len(data), 16))
    unpacker.feed(data)
    return unpacker


def _count_of(data: bytes) -> int:
    unpacker = _unpacker(data)
    count = 0
    try:
        while True:
            unpacker.skip()
            count += 1
    except msgpack.OutOfData:
        pass
    except (ValueError, msgpack.UnpackException) as problem:
        raise ValueError("a block of a stream that cannot be read") from problem
    return count  # of whole ones: what is behind them is met when they are read


def block_entries(entries: Sequence[Entry], owner: object) -> list[Block]:
    """Entries in order, as blocks."""
    blocks: list[Block] = []
    for entry in entries:
        if blocks and not blocks[-1].is_full:
            blocks[-1].add(entry)
            continue
        if blocks:
            blocks[-1].seal()
        blocks.append(Block(owner, entry))
    return blocks
