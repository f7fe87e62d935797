"""A set: members, any of which can be taken by its place.

The members stand in a list, and a dictionary knows the place of each.  One that is removed leaves
its place to the last one, so everything takes the same time however large the set is.

What always holds: the order follows from what was added and removed, and snapshots keep it, so a
member that is chosen by a number is the same one on every replica.

Caveat: two sets of the same members may have them in different orders.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

import msgpack

from distrodb.keyspace.containers.parts import parts_of

MEMBER_BYTES = 110  # what a member costs beside itself: its object, a pointer, its place
PART_MEMBER_BYTES = 16  # and in a part


class Set:
    __slots__ = ("_members", "_places", "generation", "size")

    kind: ClassVar[bytes] = b"set"
    tag: ClassVar[int] = 3

    def __init__(self, generation: int):
        self.generation = generation
        self.size = 0
        self._members: list[bytes] = []
        self._places: dict[bytes, int] = {}

    @staticmethod
    def of(members: Iterable[bytes]) -> "Set":
        """Of different ones."""
        made = Set(0)
        made._members = list(members)
        made._places = {member: place for place, member in enumerate(made._members)}
        made.size = sum(map(len, made._members)) + len(made._members) * MEMBER_BYTES
        return made

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member: bytes) -> bool:
        return member in self._places

    @property
    def members(self) -> Sequence[bytes]:
        """In their order, to be read only."""
        return self._members

    @property
    def places(self) -> Mapping[bytes, int]:
        """To be read only."""
        return self._places

    def add(self, member: bytes) -> bool:
        """True for one that was not there."""
        if member in self._places:
            return False
        self._places[member] = len(self._members)
        self._members.append(member)
        self.size += len(member) + MEMBER_BYTES
        return True

    def remove(self, member: bytes) -> bool:
        """True for one that was there."""
        place = self._places.get(member)
        if place is None:
            return False
        self.take(place)
        return True

    def take(self, place: int) -> bytes:
        """The member at a place that there is, removed."""
        last = self._members.pop()
        member = last
        if place < len(self._members):
            member, self._members[place] = self._members[place], last
            self._places[last] = place
        del self._places[member]
        self.size -= len(member) + MEMBER_BYTES
        return member

    def walk(self, cursor: int, count: int) -> tuple[int, Sequence[bytes]]:
        """So many members, and where to go on; a cursor of 0 is the beginning, and the end.

        From the last place to the first: a member that moves does so from the last place, which is
        behind the walk, so one that is there throughout is never missed.  It may come twice."""
        end = min(cursor, len(self._members)) if cursor else len(self._members)
        begin = max(0, end - count)
        return begin, self._members[begin:end]

    def clone(self, generation: int) -> "Set":
        copy = Set(generation)
        copy._members, copy._places = self._members.copy(), self._places.copy()
        copy.size = self.size
        return copy

    def parts(self, bytes_max: int) -> Iterator[tuple[list[Any], int]]:
        return parts_of(self._members, bytes_max, PART_MEMBER_BYTES)

    def add_part(self, plain: list[Any]) -> None:
        if set(map(type, plain)) != {bytes}:
            raise ValueError("a part of a set that is not members")
        for member in plain:
            if not self.add(member):
                raise ValueError("a set with a member twice")

    def canonical(self) -> bytes:
        return cast(bytes, msgpack.packb(sorted(self._members)))
