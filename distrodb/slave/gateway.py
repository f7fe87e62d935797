"""The gateway: one single Redis server that holds all keys, to whoever connects to it.

Its sessions are those of the client port, with this behind them in place of the slave itself: a
command goes to the leader of its partition, wherever that is (forwarding/), and nobody is told to
ask elsewhere.

A command's keys may lie in any slots of one partition: it is one entry of that partition's log, and
atomic.  A command whose keys lie in several partitions is shared out if it is of those that cluster
clients share out too (commands/spread.py).  Its parts run one by one, so it is not atomic.  What
must be is refused.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence, Set

from distrodb.commands.api import PENDING, Answer, SessionApi
from distrodb.commands.combine import Led
from distrodb.commands.command import Command
from distrodb.commands.error_replies import wrong_arity
from distrodb.commands.spread import Spread, may_be_spread
from distrodb.keyspace.counts import keyspace_lines
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.store import Store
from distrodb.raft.interfaces import Request
from distrodb.resp.reply import ErrorReply, Reply, error
from distrodb.ring.slots import slot_of
from distrodb.slave.features import Features
from distrodb.slave.gathering import Gathering, worst
from distrodb.slave.on_partitions import Part
from distrodb.slave.replies import Call
from distrodb.slave.service import Service
from distrodb.slave.tracking import Followed

NO_CLUSTER = error("ERR", "This instance has cluster support disabled")
CROSSSLOT = error(
    "CROSSSLOT",
    "Keys in request lie in several partitions; what must be atomic needs them in one: give them"
    " the same hash tag, as in {user1}name, or use a cluster with partitions = 1",
)
_OF_CLUSTERS = (b"CLUSTER", b"READONLY", b"READWRITE", b"ASKING")


def _no_cluster(session: SessionApi, args: Sequence[bytes]) -> Reply:
    return NO_CLUSTER


class Gateway(Service):
    mode = "standalone"
    crossslot = CROSSSLOT

    def __init__(self, direct: Service):
        """``direct``: what stands behind the sessions of the client port."""
        core, table = direct._core, direct.features.rows
        disabled = {
            name: dataclasses.replace(table[name], handler=_no_cluster, subcommands={})
            for name in _OF_CLUSTERS
            if name in table
        }
        super().__init__(core, direct.limits, direct.process, {}, direct.timing)
        self._direct, self.features = direct, Features({**table, **disabled}, core)
        self.table, self.commands = self.features.table, self.features.commands
        # A client sees those of both ports, and what is counted is counted together.
        self.by_id, self.statistics, self.calls = direct.by_id, direct.statistics, direct.calls
        self.monitors, self.pausing = direct.monitors, direct.pausing
        self.pictures = direct.pictures  # of what this slave leads itself
        self.access = direct.access
        self._tracking, self.blocking = core.gateway_tracking, core.gateway_blocking

    # -- commands on data --------------------------------------------------------------------

    def submit(self, request: Request) -> None:
        self.submit_to(self.partition_of(request.slot), request)

    def submit_to(self, partition: int, request: Request) -> None:
        call = request.request if isinstance(request, Followed) else request
        sender = call.replies if isinstance(call, Call) else None
        self._core.forward(request, partition, sender)

    partition_of_slot = None  # a command is forwarded by itself: it may be asked again by itself

    def copy_to_read(self, slot: int) -> Store | None:
        return None

    def may_share(self, slots: Set[int]) -> bool:
        return len(set(map(self.partition_of, slots))) <= 1

    def elsewhere(self, slot: int) -> ErrorReply | None:
        return None

    def shard_elsewhere(self, slot: int) -> ErrorReply | None:
        return None

    # -- messages between clients ------------------------------------------------------------

    def publish(self, session: SessionApi, kind: int, channel: bytes, message: bytes) -> Answer:
        core = self._core
        core.pubsub.publish_counted(core.now, kind, channel, message, session.later())
        return PENDING

    def count_subscribers(
        self,
        session: SessionApi,
        kind: int,
        names: Sequence[bytes],
        whole: Callable[[Sequence[int]], Reply],
    ) -> Answer:
        core, resolve = self._core, session.later()
        core.pubsub.count_subscribers(core.now, kind, names, lambda counts: resolve(whole(counts)))
        return PENDING

    def list_active(
        self, session: SessionApi, kind: int, whole: Callable[[Sequence[bytes]], Reply]
    ) -> Answer:
        core, resolve = self._core, session.later()
        core.pubsub.list_active(core.now, kind, lambda names: resolve(whole(names)))
        return PENDING

    # -- where keys are ----------------------------------------------------------------------

    def holder_of(self, row: Command, keys: Sequence[bytes]) -> int | ErrorReply | None:
        partition_of = self._partition_of
        partition = partition_of(keys[0])
        if all(partition_of(key) == partition for key in keys):
            return partition
        return None if may_be_spread(row) else CROSSSLOT

    def _partition_of(self, key: bytes) -> int:
        return self.partition_of(slot_of(key))

    def run_on_partitions(
        self,
        row: Command,
        args: Sequence[bytes],
        database: int,
        resolve: Callable[[Reply], None],
    ) -> None:
        combine = row.combine
        if combine is None:
            spread = Spread(row, args, self._partition_of)
            if spread.makes_sense:
                self._gather(row, spread.parts, database, spread.whole, resolve)
            else:
                resolve(wrong_arity(row.name))
            return
        all_ = [Led(p.id, p.first, p.last) for p in self._core.map.partitions]
        parts = combine.parts(args, all_)
        self._gather(row, parts, database, lambda each: combine.whole(args, all_, each), resolve)

    def _gather(
        self,
        row: Command,
        parts: Sequence[tuple[int, Sequence[bytes]]],
        database: int,
        whole: Callable[[Sequence[Reply]], Reply],
        resolve: Callable[[Reply], None],
    ) -> None:
        """Run the parts of a command, and make one reply of theirs."""
        if not parts:
            resolve(whole([]))
            return

        def finish(replies: Sequence[Reply]) -> None:
            resolve(worst(replies, row.is_write) or whole(replies))

        gathering = Gathering(len(parts), finish)
        place = place_of(database, -1)
        for number, (partition, words) in enumerate(parts):
            part = Part(words, row.is_write, place, gathering.taker(number))
            self._core.forward(part, partition)

    # -- what handlers ask (commands/api.py) ---------------------------------------------------

    def info(self) -> Mapping[str, Callable[[], Mapping[str, object]]]:
        sections = self._direct.info()

        def server() -> Mapping[str, object]:
            return {**sections["server"](), "redis_mode": self.mode}

        def keyspace() -> Mapping[str, object]:
            """As far as this slave has copies, which may lag: all where it has all partitions."""
            copies = [group.machine for group in self._core.view.partitions]
            return keyspace_lines(each.counts() for each in copies if isinstance(each, Store))

        own = {"server": server, "keyspace": keyspace, "cluster": lambda: {"cluster_enabled": 0}}
        return {**sections, **own}
