"""Keys of several slots of one partition, as the handler of one command sees them.

A command that came through a gateway may name any keys of a partition; its entry says "the whole of
this database's share" (place_number.py), and here each key is looked for in its own place.  What
holds for a place (place.py) holds for each of them.
"""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

from distrodb.keyspace.chance import Chance
from distrodb.keyspace.keys import Keys
from distrodb.keyspace.partition import Partition
from distrodb.keyspace.place import Shared
from distrodb.keyspace.values import Container, Value
from distrodb.ring.slots import SLOT_COUNT

C = TypeVar("C", bound=Container)
PlaceOfKey: TypeAlias = Callable[[int, bytes], Keys]
# All keys of a database, to be read only; None where several partitions have them.
AllSlots: TypeAlias = Callable[[int], Keys | None]


class Spread:
    def __init__(self, database: int, place_of_key: PlaceOfKey, shared: Shared):
        """``place_of_key``: the place of a key in a database, for whoever may write to it."""
        self.database, self._place_of_key = database, place_of_key
        self._shared = shared

    def _at(self, key: bytes) -> Keys:
        return self._place_of_key(self.database, key)

    def __contains__(self, key: bytes) -> bool:
        return key in self._at(key)

    def string(self, key: bytes) -> bytes | None:
        return self._at(key).string(key)

    def string_if_any(self, key: bytes) -> bytes | None:
        return self._at(key).string_if_any(key)

    def container(self, key: bytes, kind: type[C]) -> C | None:
        return self._at(key).container(key, kind)

    def value(self, key: bytes) -> Value | None:
        return self._at(key).value(key)

    def kind(self, key: bytes) -> bytes | None:
        return self._at(key).kind(key)

    def expiry(self, key: bytes) -> int | None:
        return self._at(key).expiry(key)

    def is_past(self, at_ms: int) -> bool:
        return self._shared.is_past(at_ms)

    @property
    def chance(self) -> Chance:
        return self._shared.chance

    def put(self, key: bytes, value: bytes) -> None:
        self._at(key).put(key, value)

    def update(self, key: bytes, value: bytes) -> None:
        self._at(key).update(key, value)

    def put_value(self, key: bytes, value: Value, overwrites: bool = False) -> None:
        self._at(key).put_value(key, value, overwrites)

    def container_to_write(self, key: bytes, kind: type[C]) -> C:
        return self._at(key).container_to_write(key, kind)

    def container_to_mark(self, key: bytes, kind: type[C]) -> C:
        return self._at(key).container_to_mark(key, kind)

    def drop_if_empty(self, key: bytes) -> None:
        self._at(key).drop_if_empty(key)

    def follow_fields(self, key: bytes) -> None:
        self._at(key).follow_fields(key)

    def delete(self, key: bytes) -> bool:
        return self._at(key).delete(key)

    def expire_at(self, key: bytes, at_ms: int) -> None:
        self._at(key).expire_at(key, at_ms)

    def persist(self, key: bytes) -> None:
        self._at(key).persist(key)

    def event(self, kind: str, name: bytes, key: bytes) -> None:
        self._at(key).event(kind, name, key)

    def in_database(self, database: int) -> "Spread":
        return Spread(database, self._place_of_key, self._shared)

    def of_all_slots(self) -> Keys | None:
        return self._shared.all_slots(self.database)

    @property
    def partition(self) -> Partition | None:
        return self._shared.partition


def all_slots_of(
    first_slot: int, last_slot: int, place_to_read: PlaceOfKey, shared: Shared
) -> AllSlots:
    """For a partition with these slots."""

    def all_slots(database: int) -> Keys | None:
        is_only = last_slot - first_slot + 1 == SLOT_COUNT
        return Spread(database, place_to_read, shared) if is_only else None

    return all_slots
