"""The elements of a container as the parts of a snapshot (keyspace/values.py)."""

from collections.abc import Iterable, Iterator
from typing import Any


def parts_of(
    elements: Iterable[bytes], bytes_max: int, element_bytes: int
) -> Iterator[tuple[list[Any], int]]:
    """Of about ``bytes_max`` each, an element more, with the size of each; ``element_bytes``: what
    an element costs beside its own bytes."""
    part: list[bytes] = []
    size = 0
    for element in elements:
        part.append(element)
        size += len(element) + element_bytes
        if size >= bytes_max:
            yield part, size
            part, size = [], 0
    if part:
        yield part, size
