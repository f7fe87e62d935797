"""What all client sessions of a slave share, and what they may ask of the slave.

The only place where sessions and the handlers of ``commands/`` meet the core: commands on keys go
to the core as they are; a command on whole partitions is shared out (on_partitions.py).  No socket
or clock: what is the process' own comes as ``process``.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Protocol

from distrodb import __version__
from distrodb.commands.api import Answer, SessionApi
from distrodb.commands.combine import Led
from distrodb.commands.command import Command
from distrodb.commands.error_replies import CROSSSLOT
from distrodb.commands.table import COMMANDS, DISPATCHED
from distrodb.config import LimitsConfig
from distrodb.keyspace.counts import keyspace_lines
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.store import Store
from distrodb.raft.interfaces import Request
from distrodb.resp.parse import ParserLimits
from distrodb.resp.reply import ErrorReply, Reply
from distrodb.slave.client_memory import ClientMemory
from distrodb.slave.cluster_replies import Topology, wire_id
from distrodb.slave.core import Core
from distrodb.slave.on_partitions import OnPartitions, Part
from distrodb.slave.session import Session
from distrodb.slave.status_reply import Status
from distrodb.slave.subscriptions import Subscriptions

REDIS_VERSION = "7.4.0"  # the surface that is followed; clients switch features by it


class Process(Protocol):
    """What is known and done of the process as a whole."""

    @property
    def id(self) -> int: ...

    def uptime_s(self) -> int: ...

    def memory_peak_bytes(self) -> int: ...

    def stop(self) -> None:
        """Hand leadership over, then end."""

    def kill(self) -> None:
        """End at once, as a crash would."""


class Service:
    version, redis_version = __version__, REDIS_VERSION
    mode = "cluster"
    crossslot = CROSSSLOT
    commands: Mapping[bytes, Command] = COMMANDS

    def __init__(
        self,
        core: Core,
        limits: LimitsConfig,
        process: Process,
        table: Mapping[bytes, Command] = DISPATCHED,
    ):
        self._core, self.limits, self._process = core, limits, process
        self.cluster, self._status = Topology(core.view), Status(core.view)
        self.table = dict(table)
        self.parser_limits = ParserLimits(
            inline_bytes_max=limits.inline_bytes_max,
            bulk_bytes_max=max(limits.value_bytes_max, limits.key_bytes_max),
            bulk_limit="value_bytes_max"
            if limits.value_bytes_max >= limits.key_bytes_max
            else "key_bytes_max",
            arguments_max=limits.arguments_max,
            command_bytes_max=limits.command_bytes_max,
        )
        self.client_memory = ClientMemory()
        self._sessions: dict[int, Session] = {}
        self._sessions_opened = 0

    # -- sessions ----------------------------------------------------------------------------

    def open_session(
        self, wake: Callable[[], None], address: str = "", behind: "Service | None" = None
    ) -> Session:
        """``behind``: what the session asks, if it is not this slave itself (gateway.py)."""
        self._sessions_opened += 1
        session = Session(behind or self, self._sessions_opened, wake, address)
        self._sessions[session.id] = session
        return session

    def close_session(self, session: Session) -> None:
        session.lose()
        self.subscriptions.leave(session)
        self.track_nothing(session)
        self._sessions.pop(session.id, None)
        self.client_memory.forget(session.id)

    @property
    def sessions(self) -> Iterable[Session]:
        return self._sessions.values()

    @property
    def session_count(self) -> int:
        return len(self._sessions)

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
        core = self._core
        core.submit(request, core.routing.partition_of_slot[request.slot])

    def submit_to(self, partition: int, request: Request) -> None:
        self._core.submit(request, partition)

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
        return id_ in self._sessions

    def track(
        self,
        session: SessionApi,
        flags: frozenset[bytes],
        prefixes: tuple[bytes, ...],
        redirect: int,
    ) -> None:
        client, to = self._sessions[session.id], self._sessions.get(redirect)
        begin = self._core.tracking.begin
        client.tracker = begin(client, client.tracker, flags, prefixes, to)

    def track_nothing(self, session: SessionApi) -> None:
        client = self._sessions.get(session.id)
        if client is not None and client.tracker is not None:
            self._core.tracking.end(client.tracker)
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

    def settings(self) -> Mapping[str, str]:
        config, limits = self._core.config, self.limits
        sections = (config.raft, config.healing, limits)
        ours = {
            name: str(value)
            for section in sections
            for name, value in dataclasses.asdict(section).items()
        }
        return ours | {
            "maxclients": str(limits.connections_max),
            "maxmemory-policy": "noeviction",
            "maxmemory-clients": str(limits.maxmemory_clients),
            "tcp-keepalive": str(limits.tcp_keepalive_s),
            "timeout": str(limits.timeout_s),
        }

    def info(self) -> Mapping[str, Mapping[str, object]]:
        core, process = self._core, self._process
        led = core.view.led_stores
        return {
            "server": {
                "redis_version": REDIS_VERSION,
                "distrodb_version": __version__,
                "redis_mode": "cluster",
                "process_id": process.id,
                "run_id": wire_id(core.id),
                "tcp_port": core.config.me.listens["client"].port,
                "uptime_in_seconds": process.uptime_s(),
            },
            "clients": {
                "connected_clients": self.session_count,
                "maxclients": self.limits.connections_max,
            },
            "memory": {
                "used_memory": core.view.data_bytes + self.client_memory.total,
                "used_memory_dataset": core.view.data_bytes,
                "used_memory_peak": process.memory_peak_bytes(),
                "maxmemory": self.limits.maxmemory,
                "maxmemory_policy": "noeviction",
                "mem_clients_normal": self.client_memory.total,
            },
            "persistence": {"loading": 0, "aof_enabled": 1},
            "stats": {"total_connections_received": self._sessions_opened},
            "replication": {
                "role": "master",
                "connected_slaves": len(core.links),
                "snapshot_bytes_sent": core.budget.spent,  # to members that lag or are new
            },
            "cluster": {
                "cluster_enabled": 1,
                "partitions_led": len(led),
                "partitions_held": len(core.view.partitions),
            },
            "keyspace": keyspace_lines(store.counts() for store in led),
        }

    def status(self) -> Mapping[str, object]:
        return self._status.whole()

    def change_map(self, words: Sequence[str], resolve: Callable[[Reply], None]) -> None:
        self._core.change_map(words, resolve)

    def stop(self) -> None:
        self._process.stop()

    def kill(self) -> None:
        self._process.kill()
