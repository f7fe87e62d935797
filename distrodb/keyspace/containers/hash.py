"""A hash: fields and their values, in the order in which they came, and when which of them expire.

Whether a field's time has come is asked elsewhere (commands/fields.py): here each is there until it
is deleted.

A part in a snapshot is fields and their values, ``[field, value, …]``, or where some of them expire
``[1, field, value, milliseconds since the epoch or 0, …]``.

Two things are made when somebody asks for them, and are no part of the state: a list of the fields,
to choose from by their numbers, and a walk (walk.py).  What adds a field keeps both; what deletes
one drops the list, so choosing costs the whole hash once after that.
"""

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

import msgpack

from distrodb.keyspace.containers.field_expiries import (
    EXPIRY_BYTES,
    MOMENT_MS_MAX,
    FieldExpiries,
)
from distrodb.keyspace.containers.walk import Walk

FIELD_BYTES = 16  # what a field costs beside its name and value, roughly
EXPIRING = 1  # the form of a part
_BYTES, _INT = {bytes}, {int}


class Hash:
    """Fields and their values, in the order in which they came."""

    __slots__ = ("_expiries", "_fields", "_listed", "_walk", "generation", "size")

    kind: ClassVar[bytes] = b"hash"
    tag: ClassVar[int] = 1

    def __init__(self, generation: int):
        self.generation = generation
        self.size = 0
        self._fields: dict[bytes, bytes] = {}
        self._expiries: FieldExpiries | None = None  # mostly none ever expires
        self._listed: list[bytes] | None = None
        self._walk: Walk | None = None

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, field: bytes) -> bool:
        return field in self._fields

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """To be read only."""
        return self._fields

    def get(self, field: bytes) -> bytes | None:
        return self._fields.get(field)

    def set(self, field: bytes, value: bytes) -> bool:
        """True for a field that was not there.  When it expires stays as it was."""
        before = self._fields.get(field)
        self._fields[field] = value
        if before is not None:
            self.size += len(value) - len(before)
            return False
        self.size += len(field) + len(value) + FIELD_BYTES
        if self._listed is not None:
            self._listed.append(field)
        if self._walk is not None:
            self._walk.add(field)
        return True

    def delete(self, field: bytes) -> bool:
        """True for a field that was there."""
        value = self._fields.pop(field, None)
        if value is None:
            return False
        self.size -= len(field) + len(value) + FIELD_BYTES
        self.persist(field)
        self._listed = None
        if self._walk is not None:
            self._walk.remove(field)
        return True

    # -- when fields expire --------------------------------------------------------------------

    @property
    def expiries(self) -> FieldExpiries | None:
        """To be read only; None if no field expires."""
        return self._expiries

    @property
    def soonest_ms(self) -> float:
        """When the first field expires; infinite if none does."""
        return math.inf if self._expiries is None else self._expiries.soonest_ms

    def expiry(self, field: bytes) -> int | None:
        return None if self._expiries is None else self._expiries.get(field)

    def expire_at(self, field: bytes, at_ms: int) -> None:
        """Let a field that is there expire then."""
        self.persist(field)
        if self._expiries is None:
            self._expiries = FieldExpiries()
        self._expiries.set(_held(self._fields, field), at_ms)
        self.size += EXPIRY_BYTES

    def persist(self, field: bytes) -> bool:
        """Let a field stay.  True if it would have expired."""
        if self._expiries is None or not self._expiries.forget(field):
            return False
        self.size -= EXPIRY_BYTES
        if not len(self._expiries):
            self._expiries = None
        return True

    # -- to choose and to walk -----------------------------------------------------------------

    @property
    def listed(self) -> Sequence[bytes]:
        """All fields, to be read only; they are in this order on every replica."""
        if self._listed is None:
            self._listed = list(self._fields)
        return self._listed

    @property
    def is_listed(self) -> bool:
        return self._listed is not None

    @property
    def is_walked(self) -> bool:
        """The next step costs what it gives, and no more."""
        return self._walk is not None and self._walk.fits(len(self._fields))

    def walk(self, position: int, count: int) -> tuple[int, list[bytes]]:
        """See walk.py."""
        if not self.is_walked:
            self._walk = Walk(self._fields)
        following, fields = cast(Walk, self._walk).step(position, count)
        if not following:
            self._walk = None
        return following, fields

    # -- as every container --------------------------------------------------------------------

    def clone(self, generation: int) -> "Hash":
        copy = Hash(generation)
        copy._fields, copy.size = dict(self._fields), self.size
        if self._expiries is not None:
            copy._expiries = FieldExpiries(self._expiries)
        return copy

    def parts(self, bytes_max: int) -> Iterator[tuple[list[Any], int]]:
        expiries = self._expiries
        part: list[Any] = [] if expiries is None else [EXPIRING]
        size = 0
        for field, value in self._fields.items():
            part += (field, value)
            size += len(field) + len(value) + FIELD_BYTES
            if expiries is not None:
                part.append(expiries.get(field) or 0)
            if size >= bytes_max:
                yield part, size
                part, size = [] if expiries is None else [EXPIRING], 0
        if size:
            yield part, size

    def add_part(self, plain: list[Any]) -> None:
        for field, value, at_ms in fields_of_part(plain):
            if not self.set(field, value):
                raise ValueError("a hash with a field twice")
            if at_ms:
                self.expire_at(field, at_ms)

    def canonical(self) -> bytes:
        fields = sorted(self._fields.items())
        if self._expiries is None:
            return cast(bytes, msgpack.packb(fields))
        return cast(bytes, msgpack.packb([fields, sorted(self._expiries.times().items())]))


class _Probe:
    """Equals one field, and remembers the object that it was found equal to."""

    __slots__ = ("field", "found")

    def __init__(self, field: bytes):
        self.field = self.found = field

    def __hash__(self) -> int:
        return hash(self.field)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, bytes) or other != self.field:
            return False
        self.found = other
        return True


def _held(fields: Container[object], field: bytes) -> bytes:
    """The field as a dictionary has it, if it does: so its bytes are in memory once, though a
    command has brought them again."""
    probe = _Probe(field)
    return probe.found if probe in fields else field


def fields_of_part(plain: list[Any]) -> Iterator[tuple[bytes, bytes, int]]:
    """Fields, values and when they expire, 0 if they do not.  Raises ``ValueError``."""
    if plain and plain[0] == EXPIRING and len(plain) > 1 and len(plain) % 3 == 1:
        fields, values, times = plain[1::3], plain[2::3], plain[3::3]
        is_known = set(map(type, fields + values)) == _BYTES and set(map(type, times)) == _INT
        if is_known and min(times) >= 0 and max(times) <= MOMENT_MS_MAX:
            return zip(fields, values, times, strict=True)
    if not plain or len(plain) % 2 or set(map(type, plain)) != _BYTES:
        raise ValueError("a part of a hash that is not fields and values")
    return zip(plain[::2], plain[1::2], [0] * (len(plain) // 2), strict=True)
