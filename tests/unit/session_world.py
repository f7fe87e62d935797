"""A session of a slave whose partitions answer when a test says so, in any order."""

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

from distrodb.commands.command import Command
from distrodb.commands.table import DISPATCHED
from distrodb.config import Address, LimitsConfig, NodeAddress, RaftConfig, SlaveConfig
from distrodb.keyspace.place_number import place_of, slot_at
from distrodb.keyspace.store import Store
from distrodb.keyspace.transaction import conditions_of, decided, is_undecided
from distrodb.raft.interfaces import Request
from distrodb.resp.reply import ErrorReply, Reply, error
from distrodb.ring.levels import LEVEL
from distrodb.ring.slots import slot_of, slot_ranges
from distrodb.slave.blocking import Blocking
from distrodb.slave.burst import Part
from distrodb.slave.change_feed import ChangeFeed
from distrodb.slave.copies import Copies
from distrodb.slave.gateway_tracking import GatewayTracking, Interest
from distrodb.slave.machine_factory import new_store
from distrodb.slave.notifications import Notifications
from distrodb.slave.observing import Observing
from distrodb.slave.pubsub import Pubsub
from distrodb.slave.service import Service
from distrodb.slave.subscriptions import Subscriptions
from distrodb.slave.tracking import Tracking
from distrodb.slave.user_changes import change
from distrodb.slave.users import Users

PARTITIONS = 3
KEYS = [b"a", b"b", b"c", b"{c}d", b"f", b"g"]  # of all partitions


class StandIn:
    """For a slave's process, whose clock a test turns."""

    id = 1

    def __init__(self, asked_to: list[str]):
        self.time_s = 1000.0
        self.later_calls: list[tuple[float, Callable[[], None]]] = []
        self.stop = lambda: asked_to.append("stop")
        self.kill = lambda: asked_to.append("kill")

    def now(self) -> float:
        return self.time_s

    def wall_us(self) -> int:
        return 1_700_000_000_000_000 + int(self.time_s * 1e6)

    def uptime_s(self) -> int:
        return int(self.time_s) - 1000

    def memory_bytes(self) -> int:
        return 100 << 20

    def memory_peak_bytes(self) -> int:
        return 200 << 20

    def memory_of_machine_bytes(self) -> int:
        return 8 << 30

    def cpu_s(self) -> tuple[float, float]:
        return 0.5, 1.5

    def random_bytes(self, count: int) -> bytes:
        return b"\x5a" * count

    def later(self, delay_s: float, what: Callable[[], None]) -> None:
        self.later_calls.append((self.time_s + delay_s, what))

    def pass_time(self, seconds: float) -> None:
        self.time_s += seconds
        due = [what for at_s, what in self.later_calls if at_s <= self.time_s]
        self.later_calls = [call for call in self.later_calls if call[0] > self.time_s]
        for what in due:
            what()


class World:
    """Partitions that are led here answer one command or burst at a time, in their own order."""

    def __init__(
        self,
        led: tuple[int, ...] | None = None,
        has_copies: tuple[int, ...] = (),
        table: dict[bytes, Command] = DISPATCHED,
        partitions: int = PARTITIONS,
        splits_bursts: bool = False,
        requirepass: str = "",
        **limits: int,
    ):
        """``led``: partitions that are led here; all of them unless some are given."""
        self.splits_bursts = splits_bursts  # their commands are answered one by one
        ranges = slot_ranges(partitions)
        self.followed: list[Callable[[object], None]] = []  # told of a newer map
        self.map = SimpleNamespace(
            nodes={},
            level=LEVEL,
            epoch=1,
            partitions=[
                SimpleNamespace(
                    id=number, first=first, last=last, owner="node1", group=("node1", "2", "3")
                )
                for number, (first, last) in enumerate(ranges)
            ],
        )
        self.partition_of_slot = [
            number for number, (first, last) in enumerate(ranges) for _ in range(first, last + 1)
        ]
        self.stores = [new_store(first, last) for first, last in ranges]
        for store in self.stores:
            store.watched.begin(1)
        self.queues: list[deque[Request | Part]] = [deque() for _ in ranges]
        self.led = tuple(range(partitions)) if led is None else led
        self.has_copies = has_copies
        self.asked_to: list[str] = []
        self.wakes = 0
        self.gone: list[object] = []  # connections that had commands under way
        self.is_full = False
        parcels = SimpleNamespace(send_parcel=lambda *parcel: self.parcels.append(parcel))
        self.parcels: list[tuple[object, ...]] = []
        self.pubsub = Pubsub(
            Subscriptions(LimitsConfig(**limits).subscription_bytes_max), parcels, ["peer"]
        )
        self.routing = self.view = self
        groups = [SimpleNamespace(machine=store) for store in self.stores]
        observing = Observing(SimpleNamespace(partitions=groups))  # type: ignore[arg-type]
        self.notifications = Notifications(self.pubsub, observing, self.answers_for)
        self.tracking = Tracking(keys_max=1000, observing=observing, routing=self)  # type: ignore[arg-type]
        self.maps = SimpleNamespace(me="node1", map=self.map)
        self.committed = 10  # entries of each partition; so many the others have of each:
        self.matches = {number: [10, 10] for number in range(partitions)}
        self.disk_has = 10  # and this slave's own disk
        groups_led = {number: self._group(number) for number in self.led}
        self.copies = Copies(groups_led, self, self.pubsub.questions)  # type: ignore[arg-type]
        self.pubsub.count_copies = self.copies.answer
        self.answers_come_from: str | None = "node1"  # what a gateway has forwarded
        self.feed = ChangeFeed(observing, self, parcels)  # type: ignore[arg-type]
        forwarding = SimpleNamespace(
            target_of=lambda partition: self.answers_come_from, answered_again=False
        )
        self.forwarding = forwarding
        interest = Interest(self.feed, parcels, {"node2": "1", "node3": "1"})  # type: ignore[arg-type]
        self.gateway_tracking = GatewayTracking(1000, interest, self, forwarding)  # type: ignore[arg-type]
        self.blocking = Blocking(self.tracking, self.submit, self.takers_of)
        self.gateway_blocking = Blocking(self.gateway_tracking, self.forward)
        self.partitions: list[object] = []  # groups that are open
        self.id, self.links, self.incarnation = "node1", ["node2"], "5f3a09c2"
        self.budget = SimpleNamespace(spent=0)
        node = NodeAddress(self.id, Address("127.0.0.1", 7001), Address("127.0.0.1", 8001))
        bounds = LimitsConfig(**limits)
        self.config = SlaveConfig(
            file=Path("/etc/node1.toml"),
            id=self.id,
            directory=Path("/data/node1"),
            cluster_id="test",
            secret="",
            partitions=partitions,
            replicas=3,
            nodes=(node,),
            raft=RaftConfig(),
            limits=bounds,
            log_level="info",
        )
        self.users = Users(DISPATCHED, requirepass)
        self.user_texts: dict[str, str] = {}  # as the cluster map has them
        self.process = StandIn(self.asked_to)
        service = Service(self, bounds, self.process, table)  # type: ignore[arg-type]
        self.session = service.open_session(self._woken, "client:1")
        self.service = service

    def _woken(self) -> None:
        self.wakes += 1

    def _group(self, number: int) -> SimpleNamespace:
        world = self

        class Member:
            is_ready = True

            @property
            def commit_index(self) -> int:
                return world.committed

            def copies_with(self, index: int) -> int:
                return sum(match >= index for match in world.matches[number])

        class Log:
            @property
            def durable_index(self) -> int:
                return world.disk_has

        return SimpleNamespace(member=Member(), log=Log())

    # -- what the service asks of a core -------------------------------------------------------

    @property
    def now(self) -> float:
        return self.process.time_s

    def takers_of(self, database: int, key: bytes) -> int:
        partition = self.partition_of_slot[slot_of(key)]
        return self.stores[partition].element_count(place_of(database, slot_of(key)), key)

    def leads(self, partition: int) -> bool:
        return partition in self.led

    def answers_for(self, place: int) -> bool:
        return self.leads(self.partition_of_slot[slot_at(place)])

    def redirect(self, partition: int, slot: int) -> ErrorReply:
        return error("MOVED", f"{slot} other:1")

    redirect_to_copy = redirect

    def leaderless(self) -> list[int]:
        return []

    def leader_of(self, partition: int) -> str | None:
        return "us" if partition in self.led else "other"

    @property
    def led_stores(self) -> list[Store]:
        return [self.stores[number] for number in self.led]

    data_bytes = 1000

    @property
    def expired_keys(self) -> int:
        return sum(store.expired_count for store in self.stores)

    def sync_ms(self, node: str) -> int:
        return 3

    def copy_of(self, partition: int) -> Store | None:
        return self.stores[partition] if partition in self.has_copies else None

    def submit(self, request: Request, partition: int) -> None:
        if partition in self.led:
            self.queues[partition].append(request)
        else:
            request.resolve(self.redirect(partition, request.slot))

    def submit_burst(self, part: Part, partition: int) -> None:
        if partition in self.led and not self.splits_bursts:
            self.queues[partition].append(part)
        else:
            for request in part.singles():
                self.submit(request, partition)

    def forward(self, request: Request, partition: int, sender: object | None = None) -> None:
        self.queues[partition].append(request)

    def change_users(self, words: Sequence[bytes], resolve: Callable[[Reply], None]) -> None:
        """As the leader of the cluster map does (slave/user_changes.py), at once."""
        there = SimpleNamespace(users=self.user_texts, level=self.map.level)
        command, reply = change(there, self.users, words)  # type: ignore[arg-type]
        match command:
            case ["set_user", name, text]:
                self.user_texts = {**self.user_texts, name: text}
            case ["delete_users", *names]:
                kept = {n: text for n, text in self.user_texts.items() if n not in names}
                self.user_texts = kept
        self.users.follow(self.user_texts)
        resolve(reply)

    def client_gone(self, sender: object) -> None:
        self.gone.append(sender)

    # -- what a test does ----------------------------------------------------------------------

    def answer(self, partition: int) -> None:
        """The partition's next command, if one waits."""
        if self.queues[partition]:
            self.run(partition, self.queues[partition].popleft(), 0)

    def run(self, partition: int, request: Request | Part, now_ms: int) -> None:
        """As the partition's leader does (raft/proposals.py)."""
        store = self.stores[partition]
        if isinstance(request, Part):
            request.resolve(store.execute_all(request.commands, now_ms))
            return
        if is_undecided(request.args):
            holds = store.watched.holds(conditions_of(request.args), now_ms)
            request.args = decided(request.args, holds)
        request.resolve(store.execute(request.place, request.args, now_ms))

    def tell_clients(self) -> None:
        """The end of a turn, as of ``Core.flush``."""
        for blocking in (self.blocking, self.gateway_blocking):
            blocking.look(self.now)
        self.tracking.tell()
        self.gateway_tracking.take(self.feed.send())
        self.gateway_tracking.tell()
        self.notifications.publish()

    def take(self, bytes_max: int = 1 << 30) -> bytes:
        return b"".join(self.session.take(bytes_max))

    def finish(self) -> bytes:
        """Answer everything; the rest of the output."""
        taken = b""
        while True:
            before = self.wakes
            for partition in range(len(self.stores)):
                self.answer(partition)
            taken += self.take()
            self.session.go_on()
            if (
                self.wakes == before
                and not any(self.queues)
                and not self.session.replies.has_output
            ):
                return taken

    def ask(self, data: bytes) -> bytes:
        """All that is answered to these bytes."""
        self.session.receive(data)
        return self.finish()
