"""Bytes of memory that the keys of one store take, about, kept as they change.

A string counts when it is set.  A container counts as it was when a command got it to write to, and
what has become of it since is added when somebody asks (``total``): so no command pays for it.

What always holds: ``total`` is the sum over all keys (``Usage.of``), whatever they went through.
It is no part of the state: what replicas decide on must not depend on it.

Caveat: an estimate.  What the system takes is more, by what was freed and not given back, and while
a snapshot is written by the containers that were written to meanwhile.
"""

from collections.abc import Iterable, Mapping

from distrodb.keyspace.values import Container, Value

# A key costs so much beside itself and its value: two objects, and its place in a dictionary.
KEY_BYTES = 140
EXPIRY_BYTES = 250  # of a key that expires: also in the queue of those
WRITTEN_MAX = 1000  # containers whose growth is not added yet
_STRINGS = {bytes}


def size_of(value: Value) -> int:
    return len(value) if isinstance(value, bytes) else value.size


class Usage:
    __slots__ = ("_written", "bytes")

    def __init__(self) -> None:
        self.bytes = 0  # but for what is in ``_written``
        self._written: dict[Container, int] = {}  # with the size that is counted of each

    @staticmethod
    def of(values: Mapping[bytes, Value]) -> int:
        count = KEY_BYTES * len(values) + sum(map(len, values))
        if set(map(type, values.values())) <= _STRINGS:  # mostly: a million are counted at a start
            return count + sum(map(len, values.values()))
        return count + sum(map(size_of, values.values()))

    def replace(self, key: bytes, before: Value | None, after: Value | None) -> None:
        """A key has another value; None: it is not there."""
        if self._written:
            self._add_written()
        if before is not None:
            self.bytes -= KEY_BYTES + len(key) + size_of(before)
        if after is not None:
            self.bytes += KEY_BYTES + len(key) + size_of(after)

    def write_to(self, container: Container, counted: Container) -> None:
        """A command may change it; ``counted`` is what it was cloned from, or itself."""
        written = self._written
        if len(written) > WRITTEN_MAX:
            self._add_written()
        size = written.pop(counted, counted.size)
        written[container] = size

    def _add_written(self) -> None:
        self.bytes += sum(container.size - size for container, size in self._written.items())
        self._written.clear()

    @property
    def total(self) -> int:
        self._add_written()
        return self.bytes

    def drop(self, values: Iterable[Mapping[bytes, Value]]) -> None:
        """These are gone at once."""
        self._add_written()
        self.bytes -= sum(map(self.of, values))

    def count(self, values: Iterable[Mapping[bytes, Value]]) -> None:
        """These are all that there are."""
        self._written.clear()
        self.bytes = sum(map(self.of, values))

    def put_back(self, used: int) -> None:
        """So much it was, and all is as it was."""
        self._written.clear()
        self.bytes = used
