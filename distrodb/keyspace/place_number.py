"""A place is a logical database and a slot, written as one number.

It is what a log entry and a snapshot say of where a command or a key belongs.  All keys of a
command share a place, and the store has one dictionary of keys for each.

    database * 16384 + slot   keys of one slot
    -1 - database             the whole of this partition's share of a database

So in database 0 the place of a slot is the slot.
"""

SLOT_BITS = 14  # 16384 slots, as in Redis Cluster
_SLOT_MASK = (1 << SLOT_BITS) - 1


def place_of(database: int, slot: int) -> int:
    """``slot`` -1: the whole partition."""
    return -1 - database if slot < 0 else database << SLOT_BITS | slot


def database_of(place: int) -> int:
    return place >> SLOT_BITS if place >= 0 else -1 - place


def slot_at(place: int) -> int:
    """-1 for the whole partition."""
    return place & _SLOT_MASK if place >= 0 else -1
