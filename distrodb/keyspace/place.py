"""The keys of one place (a database and a slot), as the handlers of commands see them.

What is decided here, and nowhere else:
- **WRONGTYPE.** A handler asks for a key's value as the kind that it works on, and ``WrongType`` is
  raised if it is another one.  It asks before it changes anything, so a refused command changes
  nothing.
- **Expiry.** A key whose expiry has come is not there for whoever looks.  It is removed when a
  command writes to it, or by an entry that says so (``Store.advance``); a reader never changes
  anything.  A key without an entry since its expiry is *unsettled*: that is noted for the leader.
  The same goes for the fields of a hash (``is_past``; commands/fields.py asks).
- **Copy on write.** A container to write to comes from here, of the newest generation.
- **Who watches.** Whatever changes a key says so to the store's observer, if there is one, and
  notes when that was (``touched``); but for what ``container_to_mark`` is for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, TypeVar

from distrodb.keyspace.chance import Chance
from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.expiry import ExpiryQueue
from distrodb.keyspace.hash_queue import HashQueue
from distrodb.keyspace.keys import EXPIRED, NEW, STRING, Keys
from distrodb.keyspace.partition import Partition
from distrodb.keyspace.place_number import database_of, place_of, slot_at
from distrodb.keyspace.undo import Undo
from distrodb.keyspace.usage import KEY_BYTES, Usage
from distrodb.keyspace.values import Container, Value, kind_of

C = TypeVar("C", bound=Container)


_NONE: Mapping[bytes, int] = {}  # expiries


class WrongType(Exception):
    """The key holds a value of another kind."""


class Observer(Protocol):
    """Whoever wants to know what happens to keys, on this slave alone: it is no part of the state,
    and must change nothing in the store while it is told."""

    def changed(self, place: int, key: bytes) -> None:
        """A key's value or expiry may be another one now, or it may be gone."""

    def flushed(self, database: int | None) -> None:
        """All keys of a database are gone, or of all databases; ``changed`` is not told of each."""

    def event(self, place: int, kind: str, name: bytes, key: bytes) -> None:
        """What a command has done, in Redis' words; see ``Keys.event``."""


class Shared:
    """What all places of a store share."""

    __slots__ = (
        "all_slots",
        "chance",
        "clock_ms",
        "expired_count",
        "expiries",
        "generation",
        "hashes",
        "is_followed",
        "is_unsettled",
        "moment",
        "now_ms",
        "observer",
        "open",
        "partition",
        "touched",
        "undo",
        "usage",
    )

    def __init__(self, open_place: "Callable[[int], Place]"):
        """``open_place``: the place with a number, made if there is none."""
        self.open = open_place
        self.chance = Chance()
        # All keys of a database, to be read only; None where several partitions have them.
        self.all_slots: Callable[[int], Keys | None] = lambda database: None
        self.observer: Observer | None = None
        self.undo: Undo | None = None  # of the script that writes now
        self.is_followed = False  # there is one of the two, who must hear of each change
        self.now_ms = 0  # the newest entry's time
        self.clock_ms = 0  # that of the command that runs: a read may be ahead of the entries
        self.moment = 0  # the newest entry's (watched.py)
        self.touched = 0  # the last moment when what any place has may have been changed
        self.is_unsettled = False  # it has met a key whose expiry lies between the two
        self.generation = 0  # how many snapshots were begun
        self.expiries = ExpiryQueue()
        self.hashes = HashQueue()  # with fields that expire
        self.expired_count = 0  # keys that were removed since their time had come; no state
        self.usage = Usage()
        self.partition: Partition | None = None  # what scripts run their commands in

    def follow(self, observer: Observer | None, undo: Undo | None) -> None:
        """They hear of each change from now on."""
        self.observer, self.undo = observer, undo
        self.is_followed = observer is not None or undo is not None

    def is_past(self, at_ms: int) -> bool:
        """Whether this moment has come, to the command that runs."""
        if at_ms > self.clock_ms:
            return False
        if at_ms > self.now_ms:
            self.is_unsettled = True
        return True

    def replace(self, place: int, key: bytes, before: Value | None, after: Value | None) -> None:
        """A key has another value; None: it is not there."""
        self.usage.replace(key, before, after)
        if isinstance(before, Hash) or isinstance(after, Hash):
            self.hashes.follow(place, key, after)


class Place:
    """What ``Keys`` says of its methods is not said here again."""

    __slots__ = ("_expiries", "_number", "_shared", "_values", "chance", "touched")

    def __init__(self, number: int, shared: Shared):
        """``number``: see place_number.py."""
        self._number, self._shared, self.chance = number, shared, shared.chance
        self._values: dict[bytes, Value] = {}
        self._expiries: dict[bytes, int] = {}  # milliseconds since the epoch
        self.touched = 0  # the moment (watched.py) when one of its keys was changed last

    # -- to read -----------------------------------------------------------------------------

    def string(self, key: bytes) -> bytes | None:
        value = self._values.get(key)
        if value is None or (self._expiries and self._is_expired(key)):
            return None
        if type(value) is bytes:
            return value
        raise WrongType

    def string_if_any(self, key: bytes) -> bytes | None:
        value = self._values.get(key)
        if type(value) is not bytes or (self._expiries and self._is_expired(key)):
            return None
        return value

    def container(self, key: bytes, kind: type[C]) -> C | None:
        value = self._values.get(key)
        if value is None or self._is_expired(key):
            return None
        if not isinstance(value, kind):
            raise WrongType
        return value

    def value(self, key: bytes) -> Value | None:
        return None if self._expiries and self._is_expired(key) else self._values.get(key)

    def kind(self, key: bytes) -> bytes | None:
        value = self._values.get(key)
        return None if value is None or self._is_expired(key) else kind_of(value)

    def __contains__(self, key: bytes) -> bool:
        return key in self._values and not self._is_expired(key)

    def expiry(self, key: bytes) -> int | None:
        at_ms = self._expiries.get(key)
        return None if at_ms is None or self._is_expired(key) else at_ms

    def expires_by(self, key: bytes, at_ms: int) -> bool:
        """It is not removed yet, and it or one of its fields will have expired by then."""
        if self._expiries.get(key, at_ms + 1) <= at_ms:
            return True
        return self._shared.hashes.soonest_of(self._number, key) <= at_ms

    def visible(self, keys: Iterable[bytes], kind: bytes | None) -> list[bytes]:
        """Those of these keys that are there, and of that kind if one is given."""
        if kind is not None:
            return [key for key in keys if self.kind(key) == kind]
        if not self._expiries:
            return list(keys)
        return [key for key in keys if not self._is_expired(key)]

    def _is_expired(self, key: bytes) -> bool:
        at_ms = self._expiries.get(key)
        shared = self._shared
        if at_ms is None or at_ms > shared.clock_ms:
            return False
        return shared.is_past(at_ms)

    def is_past(self, at_ms: int) -> bool:
        return self._shared.is_past(at_ms)

    # -- to write ----------------------------------------------------------------------------

    def put(self, key: bytes, value: bytes) -> None:
        """Set a string, and say so as SET does; whatever was there is gone, its expiry too."""
        shared, values = self._shared, self._values
        is_followed = shared.is_followed
        if is_followed:
            self._tell_if_new(key)
            self._keep(key)
        before = values.get(key)
        values[key] = value
        if type(before) is bytes:
            shared.usage.bytes += len(value) - len(before)
        elif before is None:
            shared.usage.bytes += KEY_BYTES + len(key) + len(value)
        else:
            shared.replace(self._number, key, before, value)
        if self._expiries:
            self._forget_expiry(key)
        self.touched = shared.moment
        if is_followed:
            self._changed(key)
            self.event(STRING, b"set", key)

    def put_value(self, key: bytes, value: Value, overwrites: bool = False) -> None:
        """Set a value of whatever kind that no other key has (a snapshot may: it is cloned before
        it is written to); what was there is gone, its expiry too."""
        self._keep(key)
        if overwrites:
            self._tell_if_new(key)
        else:
            self.event(NEW, b"new", key)
        self._shared.replace(self._number, key, self._values.get(key), value)
        self._values[key] = value
        self._forget_expiry(key)
        self._changed(key)

    def update(self, key: bytes, value: bytes) -> None:
        self._keep(key)
        if self._is_expired(key):
            self._expire(key)
        self._tell_if_new(key)
        self._shared.replace(self._number, key, self._values.get(key), value)
        self._values[key] = value
        self._changed(key)

    def container_to_write(self, key: bytes, kind: type[C]) -> C:
        generation = self._shared.generation
        self._keep(key)
        if self._is_expired(key):
            self._expire(key)
        value, usage = self._values.get(key), self._shared.usage
        if value is None:
            self._tell_if_new(key)
            made = self._values[key] = kind(generation)
            usage.replace(key, None, made)
            usage.write_to(made, made)
            self._changed(key)
            return made
        if not isinstance(value, kind):
            raise WrongType
        self._changed(key)
        return self._own(key, value)

    def container_to_mark(self, key: bytes, kind: type[C]) -> C:
        """One that is there, to write to it what does not change its value: nobody is told."""
        found = self.container(key, kind)
        if found is None:
            raise KeyError(key)
        return self._own(key, found)

    def _own(self, key: bytes, value: C) -> C:
        """A container that no snapshot has."""
        counted, generation = value, self._shared.generation
        if value.generation != generation:
            value = self._values[key] = value.clone(generation)
        self._shared.usage.write_to(value, counted)
        return value

    def drop_if_empty(self, key: bytes) -> None:
        if not len(self._values[key]):
            self.delete(key)

    def follow_fields(self, key: bytes) -> None:
        self._shared.hashes.follow(self._number, key, self._values.get(key))

    def delete(self, key: bytes) -> bool:
        self._keep(key)
        if self._expiries and self._is_expired(key):
            self._expire(key)
            return False
        value = self._values.pop(key, None)
        if value is None:
            return False
        self._shared.replace(self._number, key, value, None)
        if self._expiries:
            self._forget_expiry(key)
        self._changed(key)
        return True

    def expire_at(self, key: bytes, at_ms: int) -> None:
        self._keep(key)
        self._forget_expiry(key)
        self._expiries[key] = at_ms
        self._shared.expiries.add(at_ms, self._number, key)
        self._changed(key)

    def persist(self, key: bytes) -> None:
        self._keep(key)
        if self._forget_expiry(key):
            self._changed(key)

    def event(self, kind: str, name: bytes, key: bytes) -> None:
        if self._shared.observer is not None:
            self._shared.observer.event(self._number, kind, name, key)

    @property
    def database(self) -> int:
        return database_of(self._number)

    def in_database(self, database: int) -> Keys:
        return self._shared.open(place_of(database, slot_at(self._number)))

    def of_all_slots(self) -> Keys | None:
        return self._shared.all_slots(self.database)

    def _tell_if_new(self, key: bytes) -> None:
        """A key that will be there, whatever was."""
        if self._shared.observer is None:
            return
        if key not in self._values:
            self.event(NEW, b"new", key)
        elif self._is_expired(key):
            self.event(EXPIRED, b"expired", key)
            self.event(NEW, b"new", key)

    def _changed(self, key: bytes) -> None:
        self.touched = self._shared.moment
        if self._shared.observer is not None:
            self._shared.observer.changed(self._number, key)

    def _forget_expiry(self, key: bytes) -> bool:
        """True if there was one."""
        at_ms = self._expiries.pop(key, None)
        if at_ms is None:
            return False
        self._shared.expiries.remove(at_ms, self._number, key)
        return True

    def _expire(self, key: bytes) -> None:
        """Remove a key whose time has come."""
        self._shared.expired_count += 1
        self._shared.replace(self._number, key, self._values.pop(key), None)
        self._forget_expiry(key)
        self._changed(key)
        self.event(EXPIRED, b"expired", key)

    @property
    def partition(self) -> "Partition | None":
        return self._shared.partition

    def _keep(self, key: bytes) -> None:
        undo = self._shared.undo
        if undo is not None:
            undo.keep(self, key, self._values.get(key), self._expiries.get(key))

    def put_back(self, key: bytes, value: Value | None, at_ms: int | None) -> None:
        """As it was before a script that is undone."""
        self._shared.replace(self._number, key, self._values.get(key), value)
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value
        self._forget_expiry(key)
        if at_ms is not None:
            self._expiries[key] = at_ms
            self._shared.expiries.add(at_ms, self._number, key)
        self._changed(key)

    def put_back_all(self, values: Mapping[bytes, Value], expiries: Mapping[bytes, int]) -> None:
        """The same of all keys; usage and the queue of expiries are the caller's."""
        self._values, self._expiries = dict(values), dict(expiries)

    # -- for the store -----------------------------------------------------------------------

    def __len__(self) -> int:
        """Of all keys, those included that have expired and are not removed yet."""
        return len(self._values)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._values)

    @property
    def expiring_count(self) -> int:
        return len(self._expiries)

    def all(self) -> Mapping[bytes, Value]:
        """To be read only."""
        return self._values

    def copy(self) -> tuple[Mapping[bytes, Value], Mapping[bytes, int]]:
        """Values and expiries, for a snapshot."""
        return dict(self._values), dict(self._expiries) if self._expiries else _NONE

    def restore(self, key: bytes, value: Value, at_ms: int | None) -> None:
        """A key from a snapshot; the queue of expiries is made when all are there."""
        self._values[key] = value
        if at_ms is not None:
            self._expiries[key] = at_ms

    def restore_strings(self, keys: Iterable[bytes], values: Iterable[bytes]) -> None:
        self._values.update(zip(keys, values, strict=True))

    def restored(self, key: bytes) -> Value | None:
        return self._values.get(key)

    def expiring(self) -> Iterator[tuple[int, int, bytes]]:
        return ((at_ms, self._number, key) for key, at_ms in self._expiries.items())
