"""Which observers the stores of this slave have: each one that is added is on all of them, those
that are opened later included, and those that take the place of another (a snapshot came).  Pure.

When nobody observes, a store has no observer, and a write pays nothing.
"""

from collections.abc import Callable, Iterable
from functools import partial

from distrodb.keyspace.place import Observer
from distrodb.keyspace.store import Store
from distrodb.raft.group import Group
from distrodb.slave.open_groups import OpenGroups


class Observing:
    def __init__(self, groups: OpenGroups):
        self._groups = groups
        self._observers: list[Observer] = []
        # What scripts publish, of a store with its first slot; each store has it.
        self.publish: Callable[[int, bytes, bytes, bool], None] = lambda *_: None
        self.is_on = False  # somebody observes

    def add(self, observer: Observer) -> None:
        if observer not in self._observers:
            self._observers.append(observer)
            self.is_on = True
            self._attach(self._groups.partitions, observer)

    def remove(self, observer: Observer) -> None:
        if observer in self._observers:
            self._observers.remove(observer)
            self.is_on = bool(self._observers)
            for group in self._groups.partitions:
                if isinstance(group.machine, Store):
                    group.machine.ignore(observer)

    def opened(self, groups: Iterable[Group]) -> None:
        groups = list(groups)
        for observer in self._observers:
            self._attach(groups, observer)
        for group in groups:
            if isinstance(group.machine, Store):
                group.machine.publisher = partial(self._published, group.machine.first_slot)

    def _published(self, first_slot: int, channel: bytes, message: bytes, is_sharded: bool) -> None:
        self.publish(first_slot, channel, message, is_sharded)

    def replaced(self, group: Group) -> None:
        """It has another store than before: every key may be another one."""
        self.opened([group])
        for observer in self._observers:
            observer.flushed(None)

    def _attach(self, groups: Iterable[Group], observer: Observer) -> None:
        for group in groups:
            if isinstance(group.machine, Store):
                group.machine.observe(observer)
