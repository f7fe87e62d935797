"""What a key's value can be: bytes (a string), or a container of ours.

A snapshot is a shallow copy, so a container that it refers to must not change under it.  Each
container therefore knows the ``generation`` in which it was made: the number of snapshots that its
store had begun by then.  One of an older generation is cloned before it is written to; the store
sees to that (``Place.container_to_write``), and there is no other way to a container that may be
changed.

Each kind of container is a class of its own in containers/, and a line in containers/kinds.py.

Caveat: the first write to a container after each snapshot copies all of it: 65 ms for a hash of a
million fields.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, Protocol, Self, TypeAlias


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


Value: TypeAlias = bytes | Container

STRING = 0  # the tag of bytes in snapshots


def kind_of(value: Value) -> bytes:
    return b"string" if isinstance(value, bytes) else value.kind
