"""A consumer group of a stream: up to where it has read, and what its consumers have not
acknowledged yet.

What always holds: an entry is pending for one consumer, which is there; the numbers of what is
pending are kept in order, for the group and for each consumer; what all groups of a stream take is
added up in a ``Tally`` that they share, so no command pays for asking.

Who has the ``owner`` may write to it, nobody else: streams that were copied share groups.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sortedcontainers import SortedList

from distrodb.keyspace.containers.sorted_copy import copy_of

UNKNOWN = -1  # in place of how many entries a group has read
NEVER = -1  # in place of a time
# Bytes, about.
GROUP_BYTES, CONSUMER_BYTES = 900, 500
PENDING_BYTES = 290  # of an entry that is pending


class Pending(NamedTuple):
    consumer: bytes
    at_ms: int  # when it was delivered last
    deliveries: int  # how often it was


@dataclass(slots=True)
class Consumer:
    name: bytes
    seen_ms: int  # when it asked for something
    active_ms: int = NEVER  # when it got something
    pending: SortedList = field(default_factory=SortedList)


@dataclass(slots=True)
class Tally:
    bytes: int = 0


class Group:
    __slots__ = (
        "_consumers",
        "_order",
        "_pending",
        "_tally",
        "last_id",
        "name",
        "owner",
        "read_count",
    )

    def __init__(self, name: bytes, last_id: int, read_count: int, owner: object, tally: Tally):
        """``read_count``: of all entries that there ever were; ``UNKNOWN``, too."""
        self.name, self.last_id, self.read_count = name, last_id, read_count
        self.owner, self._tally = owner, tally
        self._consumers: dict[bytes, Consumer] = {}
        self._pending: dict[int, Pending] = {}
        self._order = SortedList()
        tally.bytes += self.size

    def copy(self, owner: object, tally: Tally) -> "Group":
        """``tally`` counts it already."""
        copy = Group(self.name, self.last_id, self.read_count, owner, Tally())
        copy._tally = tally
        copy._consumers = {
            name: replace(each, pending=copy_of(each.pending))
            for name, each in self._consumers.items()
        }
        copy._pending, copy._order = dict(self._pending), copy_of(self._order)
        return copy

    @property
    def size(self) -> int:
        """Bytes, about."""
        own = GROUP_BYTES + len(self.name) + len(self._pending) * PENDING_BYTES
        return own + sum(CONSUMER_BYTES + len(name) for name in self._consumers)

    # -- to read -----------------------------------------------------------------------------

    @property
    def consumers(self) -> Mapping[bytes, Consumer]:
        """To be read only."""
        return self._consumers

    def in_order(self) -> list[Consumer]:
        """All consumers, by name."""
        return [self._consumers[name] for name in sorted(self._consumers)]

    @property
    def pending(self) -> Mapping[int, Pending]:
        """To be read only; not in order."""
        return self._pending

    def __len__(self) -> int:
        """How many entries are pending."""
        return len(self._pending)

    def numbers(
        self, first: int, last: int, consumer: Consumer | None = None, reverse: bool = False
    ) -> Iterator[int]:
        """Of what is pending, in order, of all consumers or of one; must not change meanwhile."""
        order = self._order if consumer is None else consumer.pending
        found: Iterator[int] = order.irange(first, last, reverse=reverse)
        return found

    # -- to write ----------------------------------------------------------------------------

    def add_consumer(self, name: bytes, now_ms: int, active_ms: int = NEVER) -> Consumer:
        made = self._consumers[name] = Consumer(name, now_ms, active_ms)
        self._tally.bytes += CONSUMER_BYTES + len(name)
        return made

    def remove_consumer(self, name: bytes) -> int:
        """And what is pending for it: how much was."""
        consumer = self._consumers.pop(name)
        for number in consumer.pending:
            del self._pending[number]
            self._order.remove(number)
        count = len(consumer.pending)
        self._tally.bytes -= CONSUMER_BYTES + len(name) + count * PENDING_BYTES
        return count

    def deliver(self, number: int, consumer: Consumer, at_ms: int, count: int) -> None:
        """It is pending for this consumer from now on."""
        before = self._pending.get(number)
        self._pending[number] = Pending(consumer.name, at_ms, count)
        if before is None:
            self._order.add(number)
            self._tally.bytes += PENDING_BYTES
        elif before.consumer == consumer.name:
            return
        else:
            self._consumers[before.consumer].pending.remove(number)
        consumer.pending.add(number)

    def acknowledge(self, number: int) -> bool:
        """True if it was pending."""
        before = self._pending.pop(number, None)
        if before is None:
            return False
        self._order.remove(number)
        self._consumers[before.consumer].pending.remove(number)
        self._tally.bytes -= PENDING_BYTES
        return True
