"""What the handlers of the slave's own commands may ask: of their session, and of the slave.

``handler(session, args)`` returns the reply, or ``PENDING`` when it has taken ``session.later()``
and the reply comes by that.  Such a command runs alone: all commands of its session before it are
answered when it begins, and those behind it begin when it is answered.  So it may change the
session, and what it says of the data is never older than what its session has done.

slave/session.py and slave/service.py are what stands behind these; nothing here knows them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from distrodb.commands.command import Command
from distrodb.resp.reply import ErrorReply, Reply


class Pending:
    """The type of ``PENDING``."""


PENDING = Pending()  # what a handler returns when its reply comes later
Answer: TypeAlias = "Reply | Pending"


class TransactionsApi(Protocol):
    @property
    def is_open(self) -> bool:
        """Commands are queued, behind a MULTI."""

    def open(self) -> None: ...

    def drop(self) -> None:
        """Forget what is queued and watched."""

    def execute(self) -> Answer: ...

    def watch(self, keys: Sequence[bytes]) -> Answer: ...

    def unwatch(self) -> None: ...


class TrackerApi(Protocol):
    """How a client tracks the keys that it reads (slave/tracking.py)."""

    flags: frozenset[bytes]  # BCAST, OPTIN, OPTOUT, NOLOOP
    prefixes: tuple[bytes, ...]
    caching: bool | None  # CLIENT CACHING, for the next command
    is_broken: bool  # whoever was to be told instead is gone

    @property
    def redirect_id(self) -> int:
        """Who is told instead; 0: nobody."""


class SessionApi(Protocol):
    protocol: int  # 2 or 3
    name: bytes  # CLIENT SETNAME
    library: dict[bytes, bytes]  # CLIENT SETINFO
    database: int  # SELECT
    is_readonly: bool  # reads may be answered from this slave's copy
    is_subscribed: bool  # to channels, patterns or shard channels
    kept_bytes: int  # for the client beside its input and replies; who keeps them adds them
    is_spared: bool  # CLIENT NO-EVICT: by maxmemory_clients

    @property
    def is_everywhere(self) -> bool:
        """It speaks to a gateway, to which all slots are one."""

    @property
    def tracker(self) -> TrackerApi | None:
        """None while it does not track."""

    def push_now(self, data: bytes) -> None:
        """Send it an encoded message."""

    @property
    def id(self) -> int: ...

    @property
    def address(self) -> str:
        """The client's host and port."""

    @property
    def slave(self) -> "SlaveApi": ...

    @property
    def transactions(self) -> TransactionsApi: ...

    @property
    def is_confined(self) -> bool:
        """It has subscriptions in RESP2, where it may ask for next to nothing."""

    def later(self) -> Callable[[Reply], None]:
        """To be called once, with the reply to the command that runs now."""

    def close(self) -> None:
        """No command behind this one runs; the connection ends when its replies are sent."""


class SubscriptionsApi(Protocol):
    """Who of the slave's clients has subscribed to what; kinds are channels, patterns and shard
    channels (``commands/pubsub.py``)."""

    def objection(
        self, subscriber: SessionApi, kind: int, names: Sequence[bytes]
    ) -> ErrorReply | None: ...

    def add(self, subscriber: SessionApi, kind: int, name: bytes) -> None: ...

    def remove(self, subscriber: SessionApi, kind: int, name: bytes) -> None: ...

    def leave(self, subscriber: SessionApi) -> None: ...

    def names(self, subscriber: SessionApi, kind: int) -> list[bytes]: ...

    def count(self, subscriber: SessionApi, kind: int) -> int: ...


class ClusterApi(Protocol):
    """What CLUSTER tells; slave/cluster_replies.py."""

    def slots(self) -> Reply: ...

    def shards(self) -> Reply: ...

    def nodes(self) -> Reply: ...

    def info(self) -> Reply: ...

    def links(self) -> Reply: ...

    def my_id(self) -> Reply: ...

    def my_shard_id(self) -> Reply: ...

    def node_of(self, wire_id: bytes) -> str | None:
        """The slave with that id in Redis' form."""

    def replicas_of(self, node: str) -> Reply:
        """None if the node is a replica itself."""

    def failure_reports(self, node: str) -> int: ...

    def take_over(self) -> Reply:
        """CLUSTER FAILOVER."""


class SlaveApi(Protocol):
    @property
    def version(self) -> str:
        """distrodb's."""

    @property
    def mode(self) -> str:
        """``cluster``, or ``standalone`` for a gateway."""

    @property
    def redis_version(self) -> str:
        """Whose surface is followed: clients switch features by it."""

    @property
    def commands(self) -> Mapping[bytes, Command]:
        """What COMMAND tells of, by name in capitals."""

    @property
    def sessions(self) -> Iterable[SessionApi]: ...

    @property
    def databases(self) -> int:
        """How many logical databases there are."""

    def settings(self) -> Mapping[str, str]:
        """The configuration, for CONFIG GET."""

    def info(self) -> Mapping[str, Mapping[str, object]]:
        """INFO: sections and their fields."""

    @property
    def cluster(self) -> "ClusterApi": ...

    def status(self) -> Mapping[str, object]:
        """DISTRODB STATUS."""

    def has_session(self, id_: int) -> bool: ...

    def track(
        self,
        session: SessionApi,
        flags: frozenset[bytes],
        prefixes: tuple[bytes, ...],
        redirect: int,
    ) -> None:
        """A client tracks the keys that it reads.  ``redirect``: the id of the one that is told
        instead; 0: nobody."""

    def track_nothing(self, session: SessionApi) -> None: ...

    @property
    def subscriptions(self) -> SubscriptionsApi: ...

    def publish(self, session: SessionApi, kind: int, channel: bytes, message: bytes) -> "Answer":
        """Answers how many clients have received it: of this slave, or through a gateway of all."""

    def count_subscribers(
        self,
        session: SessionApi,
        kind: int,
        names: Sequence[bytes],
        whole: Callable[[Sequence[int]], Reply],
    ) -> "Answer":
        """Of the same clients; ``whole`` makes the reply of the numbers."""

    def list_active(
        self, session: SessionApi, kind: int, whole: Callable[[Sequence[bytes]], Reply]
    ) -> "Answer":
        """What any of the same clients has subscribed to."""

    def shard_elsewhere(self, slot: int) -> ErrorReply | None:
        """Where to go with a shard channel of this slot, if this slave has no copy of it."""

    def ask_partition(
        self,
        slot: int,
        args: Sequence[bytes],
        database: int,
        resolve: Callable[[Reply], None],
    ) -> None:
        """Read from the partition of a slot, as a client's read would."""

    def run_on_partitions(
        self,
        row: Command,
        args: Sequence[bytes],
        database: int,
        resolve: Callable[[Reply], None],
    ) -> None:
        """A command on all partitions that are led here."""

    def change_map(self, words: Sequence[str], resolve: Callable[[Reply], None]) -> None:
        """Ask the cluster map's leader for a change of the ring."""

    def stop(self) -> None:
        """Hand leadership over, then end."""

    def kill(self) -> None:
        """End at once, as a crash would."""
