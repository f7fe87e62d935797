"""What groups of consumers have to do with entries that go (XADD, XTRIM, XDELEX, XACKDEL, as since
Redis 8.2): an entry is referenced by a group that has yet to read it, or for which it is pending.
Without groups none is.  Pure.
"""

from enum import Enum
from itertools import islice

from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.stream_ids import ID_MAX


class References(Enum):
    """What becomes of them, or of the entry."""

    KEEP = b"KEEPREF"
    DELETE = b"DELREF"
    ACKED = b"ACKED"  # an entry that is referenced stays


def is_referenced(stream: Stream, number: int, but: bytes | None = None) -> bool:
    """``but``: whatever is pending for this group."""
    return any(
        number > group.last_id or (group.name != but and number in group.pending)
        for group in stream.groups.values()
    )


def forget(stream: Stream, number: int) -> None:
    """It is pending for no group any more."""
    for name, group in list(stream.groups.items()):
        if number in group.pending:
            stream.group_to_write(name).acknowledge(number)


def trim(
    stream: Stream, length: int, first: int, whole_blocks: bool, limit: int, references: References
) -> int:
    """As ``Stream.trim``; how many."""
    if references is References.KEEP or not stream.groups:
        return stream.trim(length, first, whole_blocks, limit)
    count = stream.count_to_trim(length, first, whole_blocks, limit)
    if references is References.DELETE:
        for number, _ in list(islice(stream.range(0, ID_MAX), count)):
            forget(stream, number)
        return stream.trim(length, first, whole_blocks, limit)
    return stream.delete(_acked(stream, length, first, count if whole_blocks else None))


def _acked(stream: Stream, length: int, first: int, count: int | None) -> list[int]:
    """Of the first entries (None: of all) those that are not referenced, as many as have to go."""
    all_read = min(group.last_id for group in stream.groups.values())
    left, found = len(stream), []
    for number, _ in islice(stream.range(0, all_read), count):
        if left <= length and number >= first:
            break
        if not is_referenced(stream, number):
            found.append(number)
            left -= 1
    return found
