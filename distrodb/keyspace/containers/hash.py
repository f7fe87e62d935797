"""A hash: fields and their values, in the order in which they came.

Two things are made when somebody asks for them, and are no part of the state: a list of the fields,
to choose from by their numbers, and a walk (walk.py).  What adds a field keeps both; what deletes
one drops the list, so choosing costs the whole hash once after that.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

import msgpack

from distrodb.keyspace.containers.walk import Walk

FIELD_BYTES = 16  # what a field costs beside its name and value, roughly


class Hash:
    """Fields and their values, in the order in which they came."""

    __slots__ = ("_fields", "_listed", "_walk", "generation", "size")

    kind: ClassVar[bytes] = b"hash"
    tag: ClassVar[int] = 1

    def __init__(self, generation: int):
        self.generation = generation
        self.size = 0
        self._fields: dict[bytes, bytes] = {}
        self._listed: list[bytes] | None = None
        self._walk: Walk | None = None

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, field: bytes) -> bool:
        return field in self._fields

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """To be read only."""
        return self._fields

    def get(self, field: bytes) -> bytes | None:
        return self._fields.get(field)

    def set(self, field: bytes, value: bytes) -> bool:
        """True for a field that was not there."""
        before = self._fields.get(field)
        self._fields[field] = value
        if before is not None:
            self.size += len(value) - len(before)
            return False
        self.size += len(field) + len(value) + FIELD_BYTES
        if self._listed is not None:
            self._listed.append(field)
        if self._walk is not None:
            self._walk.add(field)
        return True

    def delete(self, field: bytes) -> bool:
        """True for a field that was there."""
        value = self._fields.pop(field, None)
        if value is None:
            return False
        self.size -= len(field) + len(value) + FIELD_BYTES
        self._listed = None
        if self._walk is not None:
            self._walk.remove(field)
        return True

    # -- to choose and to walk -----------------------------------------------------------------

    @property
    def listed(self) -> Sequence[bytes]:
        """All fields, to be read only; they are in this order on every replica."""
        if self._listed is None:
            self._listed = list(self._fields)
        return self._listed

    @property
    def is_listed(self) -> bool:
        return self._listed is not None

    @property
    def is_walked(self) -> bool:
        """The next step costs what it gives, and no more."""
        return self._walk is not None and self._walk.fits(len(self._fields))

    def walk(self, position: int, count: int) -> tuple[int, list[bytes]]:
        """See walk.py."""
        if not self.is_walked:
            self._walk = Walk(self._fields)
        following, fields = cast(Walk, self._walk).step(position, count)
        if not following:
            self._walk = None
        return following, fields

    # -- as every container --------------------------------------------------------------------

    def clone(self, generation: int) -> "Hash":
        copy = Hash(generation)
        copy._fields, copy.size = dict(self._fields), self.size
        return copy

    def parts(self, bytes_max: int) -> Iterator[tuple[list[Any], int]]:
        part: list[bytes] = []
        size = 0
        for field, value in self._fields.items():
            part += (field, value)
            size += len(field) + len(value) + FIELD_BYTES
            if size >= bytes_max:
                yield part, size
                part, size = [], 0
        if part:
            yield part, size

    def add_part(self, plain: list[Any]) -> None:
        if not plain or len(plain) % 2 or set(map(type, plain)) != {bytes}:
            raise ValueError("a part of a hash that is not fields and values")
        for field, value in zip(plain[::2], plain[1::2], strict=True):
            if not self.set(field, value):
                raise ValueError("a hash with a field twice")

    def canonical(self) -> bytes:
        return cast(bytes, msgpack.packb(sorted(self._fields.items())))
