"""How far a group has read its stream, as Redis reckons it: by how many entries were ever added, up
to where entries were deleted in between.  Pure.
"""

from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.containers.stream_group import UNKNOWN, Group


def distance(stream: Stream, number: int) -> int:
    """How many entries were ever added up to this one; ``UNKNOWN`` where that cannot be told.
    (Redis: streamEstimateDistanceFromFirstEverEntry)"""
    if not stream.added_count:
        return 0
    if not len(stream) and number <= stream.last_id:
        return stream.added_count
    if number and number < stream.deleted_max:
        return UNKNOWN
    if number == stream.last_id:
        return stream.added_count
    if number > stream.last_id:
        return UNKNOWN
    if not stream.deleted_max or stream.deleted_max < stream.first_id:
        if number < stream.first_id:
            return stream.added_count - len(stream)
        if number == stream.first_id:
            return stream.added_count - len(stream) + 1
    return UNKNOWN


def has_gap_from(stream: Stream, number: int) -> bool:
    """Whether one from there on may have been deleted."""
    return bool(len(stream) and stream.deleted_max) and number <= stream.deleted_max


def lag_of(stream: Stream, group: Group) -> int | None:
    """How many entries it has still to read; None where that cannot be told."""
    if not stream.added_count:
        return 0
    if group.read_count != UNKNOWN and not has_gap_from(stream, group.last_id):
        return stream.added_count - group.read_count
    read = distance(stream, group.last_id)
    return None if read == UNKNOWN else stream.added_count - read
