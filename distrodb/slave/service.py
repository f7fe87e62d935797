"""What all client sessions of a slave share, and what they may ask of the slave.

The only place where sessions and the handlers of ``commands/`` meet the core: commands on keys go
to the core as they are; a command on whole partitions is shared out (on_partitions.py).  No socket
or clock: what is the process' own comes as ``process``.
"""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from functools import partial
from typing import Protocol

from distrodb import __version__
from distrodb.commands.api import Answer, SessionApi
from distrodb.commands.combine import Led
from distrodb.commands.command import Command
from distrodb.commands.error_replies import CROSSSLOT
from distrodb.commands.table import DISPATCHED
from distrodb.config import LimitsConfig
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.store import Store
from distrodb.raft.interfaces import Request
from distrodb.resp.parse import ParserLimits
from distrodb.resp.reply import ErrorReply, Reply
from distrodb.slave import info
from distrodb.slave.access import Access
from distrodb.slave.blocking import Blocking
from distrodb.slave.client_memory import ClientMemory
from distrodb.slave.cluster_replies import Topology
from distrodb.slave.copies import Copies
from distrodb.slave.core import Core
from distrodb.slave.doctor.examination import Examination
from distrodb.slave.features import Features
from distrodb.slave.monitors import Monitors
from distrodb.slave.on_partitions import OnPartitions, Part
from distrodb.slave.pause import Pausing
from distrodb.slave.pictures import Pictures
from distrodb.slave.runtime_settings import RuntimeSettings
from distrodb.slave.session import Session
from distrodb.slave.statistics import Statistics
from distrodb.slave.status_reply import Status
from distrodb.slave.subscriptions import Subscriptions
from distrodb.slave.timing import Timing
from distrodb.slave.tracking import Tracking
from distrodb.slave.unled import Unled


class Process(info.Process, Protocol):
    """What is known and done of the process as a whole."""

    def now(self) -> float: ...

    def random_bytes(self, count: int) -> bytes: ...

    def later(self, delay_s: float, what: Callable[[], None]) -> None:
        """Call it then."""

    def stop(self) -> None:
        """Hand leadership over, then end."""

    def kill(self) -> None:
        """End at once, as a crash would."""


def _parser_limits(limits: LimitsConfig) -> ParserLimits:
    is_of_values = limits.value_bytes_max >= limits.key_bytes_max
    return ParserLimits(
        inline_bytes_max=limits.inline_bytes_max,
        bulk_bytes_max=max(limits.value_bytes_max, limits.key_bytes_max),
        bulk_limit="value_bytes_max" if is_of_values else "key_bytes_max",
        arguments_max=limits.arguments_max,
        command_bytes_max=limits.command_bytes_max,
    )


def _who_asked(sessions: Mapping[int, Session], args: Sequence[bytes]) -> tuple[str, bytes]:
    """The client whose command is just this object, if it is one of these."""
    for session in sessions.values():
        if session.replies.holds(args):
            return session.address, session.name
    return "", b""


class Service:
    version, redis_version = __version__, info.REDIS_VERSION
    mode = "cluster"
    crossslot = CROSSSLOT

    def __init__(
        self,
        core: Core,
        limits: LimitsConfig,
        process: Process,
        table: Mapping[bytes, Command] = DISPATCHED,
        timing: Timing | None = None,
    ):
        """``timing`` also times what partitions run, if the core was given its table."""
        self._core, self.process, self.submit_burst = core, process, core.submit_burst
        self._tracking: Tracking = core.tracking
        self.blocking: Blocking = core.blocking
        if timing is None:
            settings = RuntimeSettings(core.config, limits)
            timing = Timing(process.now, process.wall_us, settings)
        self.timing, self.settings, self.statistics = timing, timing.settings, Statistics()
        self.limits = self.settings.limits
        self.slow_log, self.latency, self.times = timing.slow_log, timing.latency, timing.times
        self.calls = self.statistics.calls
        self.cluster, self.status = Topology(core.view), Status(core.view).whole
        self.doctor = Examination(core, self.status, process.wall_us).findings
        self.features = Features(timing.table(table), core)
        self.table, self.commands = self.features.table, self.features.commands
        self._info = info.Info(core, self, process, self.cluster)
        self.client_memory = ClientMemory()
        self.by_id: dict[int, Session] = {}
        self._sessions_opened = 0
        self.monitors = Monitors(process.wall_us, self.settings)
        self.pausing = Pausing(process.now, process.later, self.by_id)
        self.pictures, self._unled = Pictures(core, process), Unled()
        self._seen: object = None  # the leaders for which that was looked at
        timing.who_asked = partial(_who_asked, self.by_id)
        self.settings.changed.append(self._settings_changed)
        self.access = Access(core, process.now, self.settings, self.by_id)

    # -- sessions ----------------------------------------------------------------------------

    def open_session(
        self, wake: Callable[[], None], address: str = "", behind: "Service | None" = None
    ) -> Session:
        """``behind``: what the session asks, if it is not this slave itself (gateway.py)."""
        self._sessions_opened += 1
        self.statistics.connections += 1
        session = Session(behind or self, self._sessions_opened, wake, address)
        session.client.opened_at = self.process.now()
        self.by_id[session.id] = session
        return session

    def close_session(self, session: Session) -> None:
        session.lose()
        session.unblock(None)
        if session.replies.unanswered:
            self._core.client_gone(session.replies)
        self.subscriptions.leave(session)
        self.track_nothing(session)
        self.monitors.pop(session.id, None)
        self.client_memory.forget(session.id)
        if self.by_id.pop(session.id, None) is not None:
            self.statistics.misses += session.replies.misses

    @property
    def sessions(self) -> Collection[Session]:
        return self.by_id.values()

    @property
    def session_count(self) -> int:
        return len(self.by_id)

    @property
    def parser_limits(self) -> ParserLimits:
        return _parser_limits(self.limits)

    def _settings_changed(self) -> None:
        """CONFIG SET: what sessions know of limits, those of the parser only if they are new."""
        settings, core = self.settings, self._core
        self.limits = settings.limits
        self.slow_log.keep(settings.slow_log_max)
        core.tracking.keys_max = core.gateway_tracking.keys_max = settings.tracked_keys_max
        if core.notifications.flags != settings.keyspace_events:
            core.notifications.flags = settings.keyspace_events
        for session in self.sessions:
            session.limit(self.limits)

    def failed(self, args: Sequence[bytes], reply: ErrorReply) -> None:
        row = self.table.get(args[0].upper()) if args else None
        self.statistics.count_error(row, args, reply)

    @property
    def is_full(self) -> bool:
        """More is held here than ``maxmemory``."""
        return self._core.is_full

    def measure_memory(self) -> None:
        """To be called often while there is a ``maxmemory``."""
        bound = self.limits.maxmemory
        self._core.is_full = 0 < bound < self._core.view.data_bytes

    # -- commands on data --------------------------------------------------------------------

    def submit(self, request: Request) -> None:
        self._core.submit(request, self.partition_of(request.slot))

    def submit_to(self, partition: int, request: Request) -> None:
        self._core.submit(request, partition)

    @property
    def partition_of_slot(self) -> list[int] | None:
        return self._core.routing.partition_of_slot

    def holder_of(self, row: Command, keys: Sequence[bytes]) -> int | ErrorReply | None:
        return CROSSSLOT

    def copy_to_read(self, slot: int) -> Store | None:
        """None also for a partition that is led here: its reads go through its queue."""
        core = self._core
        partition = core.routing.partition_of_slot[slot]
        return None if core.routing.leads(partition) else core.view.copy_of(partition)

    def ask_partition(
        self,
        slot: int,
        args: Sequence[bytes],
        database: int,
        resolve: Callable[[Reply], None],
    ) -> None:
        self.ask(place_of(database, slot), args, False, resolve)

    def ask(
        self, place: int, args: Sequence[bytes], is_write: bool, resolve: Callable[[Reply], None]
    ) -> None:
        self.submit(Part(args, is_write, place, resolve))

    def partition_of(self, slot: int) -> int:
        return self._core.routing.partition_of_slot[slot]

    def may_share(self, slots: Set[int]) -> bool:
        return len(slots) <= 1

    def elsewhere(self, slot: int) -> ErrorReply | None:
        routing, partition = self._core.routing, self.partition_of(slot)
        is_elsewhere = not routing.leads(partition) and routing.leader_of(partition) is not None
        return routing.redirect(partition, slot) if is_elsewhere else None

    def only_partition(self) -> Led | None:
        first, *others = self._core.map.partitions
        return None if others else Led(first.id, first.first, first.last)

    def run_on_partitions(
        self,
        row: Command,
        args: Sequence[bytes],
        database: int,
        resolve: Callable[[Reply], None],
    ) -> None:
        OnPartitions(self._core, row, args, database, resolve).begin()

    # -- messages between clients ------------------------------------------------------------

    @property
    def subscriptions(self) -> Subscriptions:
        return self._core.pubsub.subscriptions

    def publish(self, session: SessionApi, kind: int, channel: bytes, message: bytes) -> Answer:
        return self._core.pubsub.publish(channel, message, kind)

    def count_subscribers(
        self,
        session: SessionApi,
        kind: int,
        names: Sequence[bytes],
        whole: Callable[[Sequence[int]], Reply],
    ) -> Answer:
        return whole([self.subscriptions.subscriber_count(kind, name) for name in names])

    def list_active(
        self, session: SessionApi, kind: int, whole: Callable[[Sequence[bytes]], Reply]
    ) -> Answer:
        return whole(list(self.subscriptions.active(kind)))

    def has_session(self, id_: int) -> bool:
        return id_ in self.by_id

    def track(
        self,
        session: SessionApi,
        flags: frozenset[bytes],
        prefixes: tuple[bytes, ...],
        redirect: int,
    ) -> None:
        client, to = self.by_id[session.id], self.by_id.get(redirect)
        client.tracker = self._tracking.begin(client, client.tracker, flags, prefixes, to)

    def track_nothing(self, session: SessionApi) -> None:
        client = self.by_id.get(session.id)
        if client is not None and client.tracker is not None:
            client.tracker.end()
            client.tracker = None

    def shard_elsewhere(self, slot: int) -> ErrorReply | None:
        core = self._core
        partition = core.routing.partition_of_slot[slot]
        is_here = core.routing.leads(partition) or core.view.copy_of(partition) is not None
        return None if is_here else core.routing.redirect_to_copy(partition, slot)

    # -- what handlers ask (commands/api.py) ---------------------------------------------------

    @property
    def databases(self) -> int:
        return self.limits.databases

    def info(self) -> Mapping[str, Callable[[], Mapping[str, object]]]:
        return self._info.sections

    @property
    def copies(self) -> Copies:
        return self._core.copies

    def applied_entries(self) -> int:
        groups = self._core.view.partitions
        return sum(group.member.applied_index for group in groups if group.member.is_leader)

    def sample(self, now: float) -> None:
        """A few times a second: what rates and LATENCY are told from."""
        self.statistics.sample(now)
        routing = self._core.routing
        if routing.version != self._seen or self._unled.is_waiting:
            self._seen = routing.version
            for took_s in self._unled.look(now, routing.leaderless()):
                self.timing.note("no-leader", took_s)

    def clear_statistics(self) -> None:
        self.statistics.clear()
        self.times.clear()
        for session in self.sessions:
            session.replies.misses = 0

    def change_map(self, words: Sequence[str], resolve: Callable[[Reply], None]) -> None:
        self._core.change_map(words, resolve)

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        self.process.kill()
