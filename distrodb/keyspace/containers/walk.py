"""A walk over the elements of one container, a few at a time, while it is written to: HSCAN and its
kind.

An element's place is a checksum of its bytes, so it never changes: what is there from the first
step to the last is given, and given once.  A position is a checksum too; those from there on are to
come.  So nothing is kept for whoever walks, and positions outlive this object.

What a step gives follows from the elements alone, and not from when this object was made: a script
may write what it was given, so all copies must be given the same.

Caveats: it is made when a walk begins, from all elements (0.3 µs each), and is no part of the
state; whoever adds to the container or takes from it tells it too.
"""

from collections.abc import Collection
from itertools import islice
from zlib import crc32

PLACES = 1 << 32
_BUCKET = 8  # elements, about
_BUCKETS_BITS_MAX = 22


class Walk:
    __slots__ = ("_buckets", "_shift")

    def __init__(self, elements: Collection[bytes]):
        bits = min((len(elements) // _BUCKET).bit_length(), _BUCKETS_BITS_MAX)
        self._shift = shift = 32 - bits
        self._buckets: list[list[bytes]] = [[] for _ in range(1 << bits)]
        buckets = self._buckets
        for element in elements:
            buckets[crc32(element) >> shift].append(element)

    def fits(self, count: int) -> bool:
        """So many elements are not too many for its buckets."""
        return count <= 8 * _BUCKET * len(self._buckets)

    def add(self, element: bytes) -> None:
        self._buckets[crc32(element) >> self._shift].append(element)

    def remove(self, element: bytes) -> None:
        self._buckets[crc32(element) >> self._shift].remove(element)

    def step(self, position: int, count: int) -> tuple[int, list[bytes]]:
        """So many elements from there on (more where several have one place), and where to go on; 0
        is the end."""
        found: list[bytes] = []
        last = -1  # the place of the last one
        for bucket in islice(self._buckets, position >> self._shift, None):
            if not bucket:
                continue
            # In an order of their own: whatever order they came in, on whatever copy.
            for place, element in sorted((crc32(each), each) for each in bucket):
                if place < position:
                    continue
                if len(found) >= count and place != last:
                    return place, found
                found.append(element)
                last = place
        return 0, found
