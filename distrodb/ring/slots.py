"""Which slot a key is in, and which slots a partition has.

Slots are those of the Redis Cluster specification: CRC16 (XMODEM) of the key modulo 16384, or of
its hash tag, the part between the first ``{`` and the next ``}`` if that is not empty.
"""

from binascii import crc_hqx
from collections.abc import Sequence
from itertools import pairwise

from distrodb.compiled import compiled

SLOT_COUNT = 16384
_OPENS = ord("{")


@compiled
def slot_of(key: bytes) -> int:
    """https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags"""
    if _OPENS in key:  # of a key without a tag, as most are, this is known soonest
        start = key.find(b"{")
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) & 16383


def share_slot(keys: Sequence[bytes]) -> bool:
    """All of them are in the slot of the first one.

    Tens of thousands of keys of one command begin with the same hash tag, as a rule, which is seen
    ten times faster than their slots."""
    first = keys[0]
    end = first.find(b"}")
    if first[:1] == b"{" and end > 1:
        tag = first[: end + 1]
        keys = [key for key in keys if not key.startswith(tag)]
    slot = slot_of(first)
    return all(slot_of(key) == slot for key in keys)


def slot_ranges(partitions: int) -> list[tuple[int, int]]:
    """Contiguous ranges (first, last) that cover all slots; their sizes differ by one at most.

    ``partitions`` is 1 to ``SLOT_COUNT``; ``ValueError`` otherwise.
    """
    if not 1 <= partitions <= SLOT_COUNT:
        raise ValueError(f"partitions must be 1 to {SLOT_COUNT}, not {partitions}")
    bounds = [SLOT_COUNT * number // partitions for number in range(partitions + 1)]
    return [(first, following - 1) for first, following in pairwise(bounds)]
