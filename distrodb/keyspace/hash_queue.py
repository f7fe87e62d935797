"""Which hashes of a partition have fields that expire, by the soonest field of each.

It follows what becomes of the hashes: whoever gives a key another value, or changes when fields
expire, says so (``follow``).  What always holds: a hash is in here by its soonest field, or has no
field that expires.  So a hash comes and goes at once, however many fields of it expire.
"""

import math
from collections.abc import Iterable, Iterator, Mapping

from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.expiry import Expiring, ExpiryQueue
from distrodb.keyspace.keys import GENERIC, HASH, Keys
from distrodb.keyspace.place_number import database_of
from distrodb.keyspace.values import Value

# So many fields are copied in the time that one takes to be removed: the first write to a hash
# after a snapshot copies it.
COPIED_A_FIELD = 32


class HashQueue:
    def __init__(self, hashes: Iterable[Expiring] = ()):
        """Moments, places and keys."""
        self._soonest = {(place, key): at_ms for at_ms, place, key in hashes}
        self._queue = ExpiryQueue((at, place, key) for (place, key), at in self._soonest.items())
        self.soonest_ms = self._queue.soonest_ms  # infinite when no field expires

    def __len__(self) -> int:
        return len(self._queue)

    def follow(self, place: int, key: bytes, value: Value | None) -> None:
        """This is the key's value now; None: it is not there."""
        after_ms = value.soonest_ms if isinstance(value, Hash) else math.inf
        if after_ms == math.inf and not self._soonest:
            return
        name = place, key
        before_ms = self._soonest.get(name, math.inf)
        if before_ms == after_ms:
            return
        if before_ms != math.inf:
            self._queue.remove(self._soonest.pop(name), place, key)
        if after_ms != math.inf:
            at_ms = self._soonest[name] = int(after_ms)
            self._queue.add(at_ms, place, key)
        self.soonest_ms = self._queue.soonest_ms

    def soonest_of(self, place: int, key: bytes) -> float:
        """When the next field of this hash expires; infinite if none does."""
        return self._soonest.get((place, key), math.inf)

    def without(self, database: int) -> "HashQueue":
        """The same but for one database."""
        return HashQueue(
            (at_ms, place, key)
            for (place, key), at_ms in self._soonest.items()
            if database_of(place) != database
        )

    def first(self) -> Expiring:
        """The hash whose field expires next, of those that there are."""
        return self._queue.due(int(self.soonest_ms), 1)[0]


def hashes_of(places: Iterable[tuple[int, Mapping[bytes, Value]]]) -> Iterator[Expiring]:
    """Those of all keys of these places, to begin with."""
    for place, values in places:
        for key, value in values.items():
            if isinstance(value, Hash) and value.expiries is not None:
                yield int(value.soonest_ms), place, key


def expire_fields(keys: Keys, key: bytes, now_ms: int, count_max: int) -> int:
    """Remove so many fields of a hash at most, of those whose time has come the soonest.  What it
    took, in fields: the same whether the hash is copied for that or not, so replicas agree."""
    if key not in keys:  # it has expired itself
        keys.delete(key)
        return 1
    written = keys.container_to_write(key, Hash)
    took = len(written) // COPIED_A_FIELD
    due = [] if written.expiries is None else written.expiries.due(now_ms, count_max)
    for field in due:
        written.delete(field)
    keys.event(HASH, b"hexpired", key)
    if len(written):
        keys.follow_fields(key)
    else:
        keys.delete(key)
        keys.event(GENERIC, b"del", key)
    return took + len(due)
