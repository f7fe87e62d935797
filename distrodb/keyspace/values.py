"""What a key's value can be: bytes (a string), or a container of ours.

A snapshot is a shallow copy, so a container that it refers to must not change under it.  Each
container therefore knows the ``generation`` in which it was made: the number of snapshots that its
store had begun by then.  One of an older generation is cloned before it is written to; the store
sees to that (``Place.container_to_write``), and there is no other way to a container that may be
changed.

A new kind of container is a class here or in a file of its own, and a line in ``CONTAINERS``.

Caveat: the first write to a container after each snapshot copies all of it: 65 ms for a hash of a
million fields.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, Self, TypeAlias, cast

import msgpack

FIELD_BYTES = 16  # what a field costs beside its name and value, roughly


class Container(Protocol):
    kind: ClassVar[bytes]  # what TYPE answers
    tag: ClassVar[int]  # its number in snapshots; never given to another kind

    @property
    def generation(self) -> int: ...

    @property
    def size(self) -> int:
        """Bytes, roughly."""

    def __init__(self, generation: int): ...

    def __len__(self) -> int: ...

    def clone(self, generation: int) -> Self: ...

    def parts(self, bytes_max: int) -> Iterator[tuple[list[Any], int]]:
        """All that it holds as plain lists, of about so many bytes each (an item more), with the
        size of each."""

    def add_part(self, plain: list[Any]) -> None:
        """The inverse, part by part.  Raises ``ValueError`` for what is not a part."""

    def canonical(self) -> bytes:
        """Equal for equal contents, whatever order they were reached in."""


class Hash:
    """Fields and their values, in the order in which they came."""

    __slots__ = ("_fields", "generation", "size")

    kind: ClassVar[bytes] = b"hash"
    tag: ClassVar[int] = 1

    def __init__(self, generation: int):
        self.generation = generation
        self.size = 0
        self._fields: dict[bytes, bytes] = {}

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
        return True

    def delete(self, field: bytes) -> bool:
        """True for a field that was there."""
        value = self._fields.pop(field, None)
        if value is None:
            return False
        self.size -= len(field) + len(value) + FIELD_BYTES
        return True

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


Value: TypeAlias = bytes | Container

STRING = 0  # the tag of bytes in snapshots
CONTAINERS: Mapping[int, type[Container]] = {Hash.tag: Hash}


def kind_of(value: Value) -> bytes:
    return b"string" if isinstance(value, bytes) else value.kind
