"""The registry of one slave, and what it says as text, a slice at a time.  Pure."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from distrodb.slave.http.metrics import clients, process, raft, ring
from distrodb.slave.http.metrics.sources import Sources


class _Collector(Collector):
    def __init__(self, make: Callable[[Sources], Iterator[Metric]], sources: Sources):
        self._make, self._sources = make, sources

    def collect(self) -> Iterable[Metric]:
        return self._make(self._sources)

    def describe(self) -> Iterable[Metric]:
        return []  # else it would be collected to be registered


class _One(Collector):
    """A family by itself."""

    def __init__(self, family: Metric):
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return [self._family]


class Metrics:
    def __init__(self, sources: Sources):
        self._registry = CollectorRegistry()
        for part in (process, clients, raft, ring):
            self._registry.register(_Collector(part.collect, sources))

    def text(self) -> Iterator[bytes]:
        """Family by family.  One with many partitions comes in several pieces, and all of them must
        stand together."""
        pieces: dict[str, list[bytes]] = {}
        for family in self._registry.collect():
            text = generate_latest(_One(family))
            if family.name in pieces:  # its first two lines are there
                text = text.split(b"\n", 2)[2]
            pieces.setdefault(family.name, []).append(text)
            yield b""
        for of_family in pieces.values():
            yield b"".join(of_family)
