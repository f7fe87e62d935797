"""What this slave says of itself to all others: what it has done of late, and how it is."""

from collections.abc import Callable

from distrodb.slave.core import Core
from distrodb.slave.disk_space import DiskSpace
from distrodb.slave.own_condition import own_condition
from distrodb.slave.recent import Recent
from distrodb.slave.service import Service

CONDITION_S = 1.0  # between two looks at how it is


class SelfReport:
    def __init__(
        self,
        core: Core,
        service: Service,
        recent: Recent,
        give: Callable[[Callable[[], Callable[[], None]]], None],
    ):
        """``give``: have something run by a thread that may wait for a disk."""
        self._core, self._service, self._recent = core, service, recent
        self._space = DiskSpace(core.config.directory, give)
        self._due = 0.0  # seconds: when to look how it is

    def look(self, now: float) -> None:
        """A few times a second."""
        gossip, service = self._core.gossip, self._service
        service.sample(now)
        self._recent.sample(now)
        gossip.load = self._recent.load(service.statistics.rates()[0])
        self._space.begin()
        if now >= self._due:
            self._due = now + CONDITION_S
            gossip.condition = own_condition(self._core, service, self._space.free_and_total)
