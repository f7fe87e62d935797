"""What this slave says of itself: to all others, what it has done of late and how it is; in its
log, what has changed (watchman.py).
"""

from collections.abc import Callable

from distrodb.commands.powers import Powers
from distrodb.slave.core import Core
from distrodb.slave.disk_space import DiskSpace
from distrodb.slave.happenings import Happenings
from distrodb.slave.logging_limit import LimitedLog
from distrodb.slave.own_condition import own_condition
from distrodb.slave.recent import Recent
from distrodb.slave.service import Service
from distrodb.slave.watchman import Watchman

CONDITION_S = 1.0  # between two looks at how it is

log = LimitedLog("distrodb")


class SelfReport:
    def __init__(
        self,
        core: Core,
        service: Service,
        sync_us: Powers,
        give: Callable[[Callable[[], Callable[[], None]]], None],
    ):
        """``sync_us``: how long syncs of the disk have taken.  ``give``: have something run by a
        thread that may wait for a disk."""
        self._core, self._service = core, service
        process = service.process
        self.recent = Recent(core.counts, sync_us)
        self.happenings = Happenings(core.view, process.now, lambda: process.wall_us() // 1000)
        self._watchman = Watchman(core, self.happenings, log.write)
        wanted = core.config.limits.connections_max
        self._connections_wanted = wanted if service.limits.connections_max < wanted else 0
        self._space = DiskSpace(core.config.directory, give)
        self._due = 0.0  # seconds: when to look how it is

    def look(self, now: float) -> None:
        """A few times a second.  What fails in here must not end a slave that serves."""
        self._service.sample(now)
        self.recent.sample(now)
        try:
            self._tell(now)
        except Exception as error:
            log.say("report_failed", problem=repr(error))

    def _tell(self, now: float) -> None:
        gossip, service = self._core.gossip, self._service
        gossip.load = self.recent.load(service.statistics.rates()[0])
        self._space.begin()
        if now >= self._due:
            self._due = now + CONDITION_S
            space = self._space.free_and_total
            gossip.condition = own_condition(self._core, service, space, self._connections_wanted)
        self._watchman.look(now)
