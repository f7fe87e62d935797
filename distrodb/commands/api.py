"""What the handlers of the slave's own commands may ask: of their session, and of the slave.

``handler(session, args)`` returns the reply, or ``PENDING`` when it has taken ``session.later()``
and the reply comes by that.  Such a command runs alone: all commands of its session before it are
answered when it begins, and those behind it begin when it is answered.  So it may change the
session, and what it says of the data is never older than what its session has done.

slave/session.py and slave/service.py are what stands behind these; nothing here knows them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from distrodb.commands.command import Command
from distrodb.resp.reply import ErrorReply, Reply

if TYPE_CHECKING:
    from distrodb.commands.acl_log import AclLog
    from distrodb.commands.acl_user import User
    from distrodb.commands.latency import Latency
    from distrodb.commands.powers import Powers
    from distrodb.commands.slow_log import SlowLog


class Pending:
    """The type of ``PENDING``."""


PENDING = Pending()  # what a handler returns when its reply comes later
Answer: TypeAlias = "Reply | Pending"


class TransactionsApi(Protocol):
    @property
    def is_open(self) -> bool:
        """Commands are queued, behind a MULTI."""

    @property
    def queued(self) -> int:
        """How many are; negative without a MULTI."""

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


@dataclass(slots=True)
class Client:
    """What is known of a client, for CLIENT LIST and its kind."""

    local_address: str = ""  # where it reached this slave
    descriptor: int = -1  # of its socket
    opened_at: float = 0.0  # seconds, by the process' ``now``
    last_row: Command | None = None  # of the command that began last
    touches_nothing: bool = False  # CLIENT NO-TOUCH


class Input(Protocol):
    @property
    def memory(self) -> int:
        """Bytes of commands that wait, or are not whole."""


class Output(Protocol):
    is_mute: bool  # CLIENT REPLY OFF
    output_bytes: int  # of replies that are not taken

    def skip_next(self) -> None:
        """The next command is not answered: CLIENT REPLY SKIP."""


class SessionApi(Protocol):
    protocol: int  # 2 or 3
    name: bytes  # CLIENT SETNAME
    library: dict[bytes, bytes]  # CLIENT SETINFO
    database: int  # SELECT
    is_readonly: bool  # reads may be answered from this slave's copy
    is_subscribed: bool  # to channels, patterns or shard channels
    kept_bytes: int  # for the client beside its input and replies; who keeps them adds them
    is_spared: bool  # CLIENT NO-EVICT: by maxmemory_clients
    # Asked for each command before it begins: whether it has answered it.
    divert: "Callable[[Command | None, list[bytes]], bool] | None"

    @property
    def is_everywhere(self) -> bool:
        """It speaks to a gateway, to which all slots are one."""

    user: bytes  # the name of who it is
    has_logged_in: bool  # or did not need to when it came

    def log_in(self, user: bytes) -> None:
        """Its password was right."""

    def log_out(self) -> None:
        """As a client that has just come."""

    @property
    def may_ask(self) -> bool:
        """It has logged in, or nobody needs to."""

    @property
    def tracker(self) -> TrackerApi | None:
        """None while it does not track."""

    def push_now(self, data: bytes) -> None:
        """Send it an encoded message."""

    client: Client
    heard_at: float  # seconds: when the client last sent or took something
    wake: Callable[[], None]  # it may go on

    @property
    def id(self) -> int: ...

    @property
    def input(self) -> Input: ...

    @property
    def replies(self) -> Output: ...

    @property
    def is_waiting(self) -> bool:
        """In a command, until there is something."""

    def wait_for_copies(
        self,
        timeout_ms: int,
        is_enough: Callable[[bool, int], bool],
        whole: Callable[[bool, int], Reply],
    ) -> "Answer":
        """Until enough copies have what it has written; 0: however long that takes.  Both are told
        whether the leaders' own disks have it, and how many other copies."""

    def unblock(self, reply: Reply) -> bool:
        """If it waits in a command, answer that so; None: as when its time is over."""

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

    def push(self, message: Reply) -> None:
        """Send what no command asked for, behind the replies to what came before it."""

    def kill(self) -> None:
        """End the connection at once."""

    @property
    def wants_input(self) -> bool:
        """More is read from the client."""

    @property
    def is_closing(self) -> bool:
        """No more commands begin."""

    def answer(self, reply: Reply) -> None:
        """The reply to a command that does not begin."""

    def later(self) -> Callable[[Reply], None]:
        """To be called once, with the reply to the command that runs now."""

    def close(self) -> None:
        """No command behind this one runs; the connection ends when its replies are sent."""


class Settings(Protocol):
    """What CONFIG tells of, and may change."""

    def names(self) -> Iterable[str]: ...

    def __contains__(self, name: str) -> bool: ...

    def show(self, name: str) -> str: ...

    def change(self, wanted: Sequence[tuple[str, str]]) -> None:
        """All of them or none; raises what configuration.py says."""


class UsersApi(Protocol):
    """Who there is, and what they may do; slave/users.py."""

    @property
    def all(self) -> "Mapping[bytes, User]": ...

    @property
    def needs_no_password(self) -> bool:
        """The default user, whether it is on or not, takes any."""

    @property
    def table(self) -> Mapping[bytes, Command]:
        """The commands that rules may name."""


class AccessApi(Protocol):
    """Who clients may be, and what was refused them of late; slave/access.py."""

    @property
    def users(self) -> UsersApi: ...

    @property
    def change_users(self) -> Callable[[Sequence[bytes], Callable[[Reply], None]], None]:
        """ACL SETUSER and DELUSER: the verb, and what stands behind it."""

    @property
    def log(self) -> "AclLog": ...

    def takes(self, session: SessionApi, user: bytes, password: bytes) -> bool | None:
        """Whether it may log in so; None: too many from its address have failed."""

    def refused(self, session: SessionApi, about: str, what: bytes, user: bytes) -> None:
        """For ACL LOG."""


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

    def no_failover(self) -> ErrorReply:
        """CLUSTER FAILOVER: why it is refused."""


class ProcessApi(Protocol):
    """Time and chance."""

    def now(self) -> float:
        """Seconds; their zero means nothing."""

    def wall_us(self) -> int:
        """Microseconds since the epoch."""

    def random_bytes(self, count: int) -> bytes:
        """As many, that nobody can guess."""

    def later(self, delay_s: float, what: Callable[[], None]) -> None:
        """Call it then."""


class PicturesApi(Protocol):
    """DISTRODB BACKUP; slave/pictures.py."""

    def begin(self, partition: int, resolve: Callable[[Reply], None]) -> None: ...

    def piece(self, token: bytes, number: int) -> Reply: ...

    def end(self, token: bytes) -> None: ...


class PausingApi(Protocol):
    """CLIENT PAUSE."""

    def begin(self, seconds: float, is_of_writes: bool) -> None: ...

    def end(self) -> None: ...


class SlaveApi(Protocol):
    @property
    def version(self) -> str:
        """distrodb's."""

    @property
    def redis_version(self) -> str:
        """The one whose surface is followed."""

    @property
    def mode(self) -> str:
        """``cluster``, or ``standalone`` for a gateway."""

    @property
    def process(self) -> ProcessApi: ...

    @property
    def pausing(self) -> PausingApi: ...

    @property
    def pictures(self) -> PicturesApi: ...

    @property
    def commands(self) -> Mapping[bytes, Command]:
        """What COMMAND tells of, by name in capitals."""

    @property
    def sessions(self) -> Iterable[SessionApi]: ...

    @property
    def databases(self) -> int:
        """How many logical databases there are."""

    @property
    def monitors(self) -> "dict[int, SessionApi]":
        """Who watches all commands, by their ids."""

    @property
    def settings(self) -> Settings: ...

    @property
    def slow_log(self) -> "SlowLog": ...

    @property
    def access(self) -> AccessApi: ...

    @property
    def latency(self) -> "Latency": ...

    @property
    def times(self) -> "Mapping[str, Powers]":
        """How long commands execute, by name."""

    def applied_entries(self) -> int:
        """Of the partitions that are led here."""

    def clear_statistics(self) -> None: ...

    def info(self) -> Mapping[str, Callable[[], Mapping[str, object]]]:
        """INFO: sections, and what makes their fields."""

    @property
    def cluster(self) -> "ClusterApi": ...

    def status(self) -> Mapping[str, object]:
        """DISTRODB STATUS."""

    def doctor(self) -> Sequence[Mapping[str, str]]:
        """DISTRODB DOCTOR."""

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
