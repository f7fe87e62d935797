"""The cluster map as a Raft group's state machine; what a command does is ring/'s business.

It only holds the map.  Whoever drives the group looks at ``map`` when the group has moved on, and
takes it to the map's keeper (``Core._follow_map_group``).
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence

from distrodb.errors import VersionError
from distrodb.keyspace.entry import Payload, decode_batch
from distrodb.keyspace.origins import Mark
from distrodb.keyspace.watched import Watched
from distrodb.keyspace.weights import WEIGHTLESS, Weightless
from distrodb.resp.reply import OK, Reply, error
from distrodb.ring.clustermap import ClusterMap
from distrodb.ring.map_commands import NAMES, apply

UNCHANGED = error("ERR", "the map did not change")


class MapMachine:
    """Commands are those of ``commands.apply``, as ``[b"SET_STATUS", node, status]``, slot -1."""

    limits = (0, 0)  # nothing in it is limited

    def __init__(self, cluster_map: ClusterMap):
        self.map = cluster_map
        self.now_ms = 0
        self.watched = Watched()  # there are no transactions

    def execute(self, slot: int, args: Sequence[bytes], now_ms: int) -> Reply:
        before = self.map
        try:
            command = [arg.decode() for arg in args]
        except UnicodeDecodeError:
            return error("ERR", "a map command is not text")
        self.map = apply(before, [command[0].lower(), *command[1:]])
        if self.map is before:
            return UNCHANGED
        return OK

    def execute_all(
        self, commands: Sequence[tuple[int, Sequence[bytes]]], now_ms: int
    ) -> list[Reply]:
        return [self.execute(slot, args, now_ms) for slot, args in commands]

    def execute_once(self, mark: Mark, slot: int, args: Sequence[bytes], now_ms: int) -> Reply:
        return self.execute(slot, args, now_ms)  # no gateway forwards a change of the map

    def read(self, slot: int, args: Sequence[bytes], now_ms: int) -> Reply:
        return error("ERR", "the map is not read by commands")

    def advance(self, now_ms: int, expire_max: int) -> None:
        self.now_ms = now_ms

    light = WEIGHTLESS.light

    def weights(self) -> Weightless:
        return WEIGHTLESS

    @property
    def next_expiry_ms(self) -> float:
        return math.inf

    def apply(self, payload: Payload) -> list[Reply]:
        self.now_ms, _, _, commands, _ = decode_batch(payload)
        for _, args in commands:
            name = args[0].decode(errors="replace")
            if name.lower() not in NAMES:
                raise VersionError(f"the change {name!a} of the cluster map")
        return [self.execute(slot, args, self.now_ms) for slot, args in commands]

    def snapshot(self) -> Iterator[bytes]:
        return iter([json.dumps([self.now_ms, self.map.to_plain()]).encode()])

    def size_estimate(self) -> int:
        return 0  # small beside any partition

    @staticmethod
    def restore(chunks: Iterable[bytes]) -> "MapMachine":
        """Raises ``ValueError`` for a damaged snapshot, ``VersionError`` for a later level's."""
        try:
            now_ms, plain = json.loads(b"".join(chunks))
        except (TypeError, RecursionError):
            raise ValueError("a snapshot of the map that is not two values") from None
        if type(now_ms) is not int:
            raise ValueError("a snapshot of the map whose time is no number")
        machine = MapMachine(ClusterMap.of_own(plain))
        machine.now_ms = now_ms
        return machine
