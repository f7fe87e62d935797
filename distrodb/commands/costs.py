"""What commands take to run, about: what rows say of theirs (``cost``).  Pure.

A row without a cost is of a command whose time follows from its own words, a few microseconds.  A
cost is asked of the leader before it proposes (keyspace/weights.py), so it must be cheap itself,
and rather too high: memory that is new to the process takes several times as long to be written.
"""

from collections.abc import Callable, Container, Sequence
from typing import Protocol, TypeAlias

from distrodb.keyspace.values import Value
from distrodb.ring.slots import SLOT_COUNT

# Nanoseconds a byte, measured with 16 MiB on one core.
COPIED_NS = 0.5
COUNTED_NS = 4.0  # bits
COMBINED_NS = 1.3  # of each source
LISTED_NS = 3.0  # of a hash, as a reply
WALKED_NS = 10.0  # of a hash, as a payload
UNPACKED_NS = 60.0  # of a payload that is no plain string
HASHED_NS = 60.0  # of an element of a HyperLogLog
ELEMENT_US = 2.0  # and beside its bytes
# Microseconds.
MERGED_US = 200.0  # of one HyperLogLog
RUN_US = 0.15  # and of a byte of one that is sparse
ENCODED_US = 300.0  # of one that is written
FIELD_US = 3.0  # of a word of a BITFIELD, three or four of which are a field
KEY_US = 0.3  # of a key that is looked at among all
ARRANGED_US = 0.5  # the same where keys are looked at in order (keyspace/chance.py)
LIGHT_US = 3.0  # of a command of a transaction that has no cost


class Sizes(Protocol):
    """See keyspace/weights.py."""

    value_bytes_max: int
    is_logged: bool  # of a command that goes into the log, so that its reply may be kept

    light: Container[bytes]

    def of_command(self, place: int, args: Sequence[bytes]) -> float: ...

    def value(self, key: bytes) -> Value | None: ...

    def size(self, key: bytes) -> int: ...

    def grow(self, key: bytes, size: int) -> None: ...

    @property
    def key_count(self) -> int: ...


Cost: TypeAlias = Callable[[Sizes, Sequence[bytes]], float]


def rewritten_us(sizes: Sizes, key: bytes, end: int) -> float:
    """A string is copied, to be written to up to byte ``end``."""
    if end > sizes.value_bytes_max:
        return 0.0  # it will be refused
    size = min(max(sizes.size(key), end), sizes.value_bytes_max)
    sizes.grow(key, size)
    return size * COPIED_NS / 1000


def walked(ns: float) -> Cost:
    """All bytes of the value of a command's one key are looked at."""
    return lambda sizes, args: sizes.size(args[1]) * ns / 1000


def of_all_keys(sizes: Sizes, args: Sequence[bytes]) -> float:
    """All keys of a partition are looked at."""
    return sizes.key_count * (ARRANGED_US if sizes.is_logged else KEY_US)


def of_any_key(sizes: Sizes, args: Sequence[bytes]) -> float:
    """Where its reply is kept the keys of a slot are looked at in their order: all, at worst."""
    return (of_all_keys if sizes.is_logged else of_all_slots)(sizes, args)


def of_all_slots(sizes: Sizes, args: Sequence[bytes]) -> float:
    """All slots of a partition that have keys are looked at."""
    return min(sizes.key_count, SLOT_COUNT) * KEY_US


def carried(sizes: Sizes, args: Sequence[bytes]) -> float:
    """What the second word names has the third one as its name too: no time to speak of."""
    sizes.grow(args[2], sizes.size(args[1]))
    return 0.0
