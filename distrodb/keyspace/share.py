"""What a partition holds of one logical database, as a whole: how many keys, all, any, a walk.

It is read here and never changed.  In which order is said in chance.py.

Caveats: DBSIZE counts also the keys that have expired and are not removed yet, as Redis does.  SCAN
of a slot with very many keys (one hash tag) looks at all of them for each of its 64 windows.  KEYS
looks at all keys at once, as in Redis: 150 ms a million.
"""

import zlib
from collections.abc import Iterator, Mapping
from itertools import islice

from distrodb.keyspace.chance import Chance
from distrodb.keyspace.counts import Counts
from distrodb.keyspace.glob import glob
from distrodb.keyspace.place import Place
from distrodb.keyspace.place_number import database_of, place_of

WINDOWS = 64  # of a slot, for SCAN
TTL_SAMPLE = 4  # keys of a slot whose expiries are looked at to estimate the mean


class Share:
    def __init__(
        self,
        places: Mapping[int, Place],
        database: int,
        first_slot: int,
        last_slot: int,
        chance: Chance,
    ):
        self._all, self.database = places, database
        self.first_slot, self.last_slot = first_slot, last_slot
        self._arranged = chance.arranged

    def _places(self) -> Iterator[Place]:
        database, places = self.database, self._all
        return (places[at] for at in self._arranged(places) if database_of(at) == database)

    def counts(self, now_ms: int) -> Counts:
        total = Counts(0, 0, 0)
        for keys in self._places():
            some = [at_ms for at_ms, _, _ in islice(keys.expiring(), TTL_SAMPLE)]
            ttl_ms = max(0, sum(some) // len(some) - now_ms) if some else 0
            total = Counts(len(keys), keys.expiring_count, ttl_ms) + total
        return total

    def count_in(self, slot: int) -> int:
        return len(self._all.get(place_of(self.database, slot), ()))

    def keys_in(self, slot: int, count_max: int) -> list[bytes]:
        """Also those that have expired and are not removed yet, as they count."""
        keys = self._all.get(place_of(self.database, slot), ())
        return list(islice(self._arranged(keys), count_max))

    def matching(self, pattern: bytes) -> list[bytes]:
        """All keys that a pattern fits."""
        accepts = None if pattern == b"*" else glob(pattern).match
        found: list[bytes] = []
        for keys in self._places():
            fitting = self._arranged(keys if accepts is None else filter(accepts, keys))
            found += keys.visible(fitting, None)
        return found

    def any_key(self, number: int) -> bytes | None:
        """The one that a number chooses, each as likely as another.  Where keys have expired and
        are not removed yet, the one behind them is chosen more often."""
        places = list(self._places())
        skip, position = number % max(1, sum(map(len, places))), 0
        while position < len(places) and skip >= len(places[position]):
            skip -= len(places[position])
            position += 1
        for keys in (*places[position:], *places[: position + 1]):
            for key in islice(self._arranged(keys), skip, None):
                if key in keys:
                    return key
            skip = 0
        return None

    def scan(
        self,
        position: int,
        count: int,
        match: bytes | None = None,
        kind: bytes | None = None,
    ) -> tuple[int | None, list[bytes]]:
        """At least ``count`` keys from ``position`` on (before the filters), and where to go on;
        None is the end.

        A position is ``slot * 64 + window``; a key's window comes from a checksum of the key, so
        its position never changes: a key that is there from a scan's beginning to its end is
        returned once.  A slot is returned whole unless it holds many keys (a hash tag).
        """
        accepts = None if match is None else glob(match).match
        found: list[bytes] = []
        seen = 0
        slot, window = max(divmod(position, WINDOWS), (self.first_slot, 0))
        while slot <= self.last_slot and seen < count:
            place = self._all.get(place_of(self.database, slot))
            if place is None:
                slot, window = slot + 1, 0
                continue
            if window or len(place) > max(count, WINDOWS):
                keys = [key for key in place if zlib.crc32(key) >> 26 == window]
                window += 1
            else:
                keys, window = list(place), WINDOWS
            seen += len(keys)
            fitting = self._arranged(keys if accepts is None else filter(accepts, keys))
            found += place.visible(fitting, kind)
            if window == WINDOWS:
                slot, window = slot + 1, 0
        return (None if slot > self.last_slot else slot * WINDOWS + window), found
