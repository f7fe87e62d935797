"""Several observers of one store, as one."""

from distrodb.keyspace.place import Observer


class Observers:
    def __init__(self) -> None:
        self._all: list[Observer] = []

    def add(self, observer: Observer) -> None:
        if observer not in self._all:
            self._all.append(observer)

    def remove(self, observer: Observer) -> None:
        if observer in self._all:
            self._all.remove(observer)

    @property
    def one(self) -> Observer | None:
        """Who is to be told; None while nobody is there, which costs a write least."""
        if len(self._all) > 1:
            return self
        return self._all[0] if self._all else None

    def changed(self, place: int, key: bytes) -> None:
        for observer in self._all:
            observer.changed(place, key)

    def flushed(self, database: int | None) -> None:
        for observer in self._all:
            observer.flushed(database)

    def event(self, place: int, kind: str, name: bytes, key: bytes) -> None:
        for observer in self._all:
            observer.event(place, kind, name, key)
