"""The shell's view of a cluster: redis-py, with one exact line for every way it can fail.

Commands go through `RedisCluster`; what concerns one slave (DISTRODB STATUS, SHUTDOWN, a stale
read) goes to that slave over a plain connection.

Invariants:
  - redis-py's own retries are off. A call is tried again here, where it is known whether an earlier
    try may have been carried out; only so can a failed write say truthfully whether "nothing was
    written" or "the outcome is unknown".
  - Every wait is bounded by a constant below.
  - Only DistrodbError leaves this module.

Caveat: a write is sent again after a broken connection (at least once): an old value may come back
over another client's write that fell between the two tries. UNKNOWN from a slave is not retried.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ClusterError,
    RedisClusterException,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
    TryAgainError,
)
from redis.retry import Retry

from distrodb.clock import monotonic, sleep
from distrodb.errors import DistrodbError, UnavailableError
from distrodb.master.links import (
    Address,
    answers,
    host_port,
    is_port_open,
    one_line,
    parse_address,
    printable,
    slave_at,
    tell,
)

DEFAULT_ADDRESSES = tuple(("127.0.0.1", port) for port in range(55551, 55556))

# A slave on the way that does not accept within this is as good as dead for a person who waits.
CONNECT_S_MAX = 1.0
# Above the slaves' `unknown_after_ms`, so that their own UNKNOWN arrives before we give up.
REPLY_S_MAX = 4.0
# Some elections long (1 to 2 s each): with a majority alive the partition has a leader before.
RETRY_S_MAX = 10.0
RETRY_PAUSE_S = 0.1
# A slave that closes cleanly hands its leaderships over first.
SHUTDOWN_S_MAX = 15.0
KILL_S_MAX = 5.0
# Completion is a convenience: it may miss keys, it may not make a person wait.
SCAN_S_MAX = 0.5
SCAN_COUNT = 1000

Pair = tuple[bytes, bytes]

# Answers that say "not carried out, ask again".
_NOT_DONE = (ClusterDownError, TryAgainError, AskError, ClusterError, SlotNotCoveredError)
_BROKEN = (redis.ConnectionError, redis.TimeoutError, OSError, RedisClusterException)
# redis-py's wording when not even the connection came about; nothing was sent then.
_NOT_CONNECTED = re.compile(r"connecting to", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Read:
    value: bytes | None
    stale: str | None = None  # why the value may be old; None: it is not


@dataclass(frozen=True, slots=True)
class Standing:
    """A partition and which of its group do not answer."""

    partition: dict[str, Any]
    down: tuple[str, ...]

    @property
    def lost(self) -> bool:
        size = len(self.partition["group"])
        return size - len(self.down) < size // 2 + 1

    @property
    def reason(self) -> str:
        if self.lost:
            return f"partition {self.partition['id']} has no majority"
        return f"partition {self.partition['id']} has no leader"

    @property
    def group(self) -> str:
        group = ", ".join(self.partition["group"])
        return f"of its group {group} these are down: {', '.join(self.down) or 'none'}"


class Cluster:
    def __init__(self, connect: str | None = None) -> None:
        self._addresses = list(DEFAULT_ADDRESSES) if connect is None else [parse_address(connect)]
        self._redis: RedisCluster | None = None

    # -- the map -------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The cluster map as one live slave sees it; whoever answered is asked first next time."""
        refusal: DistrodbError | None = None
        for address in list(self._addresses):
            try:
                with slave_at(address) as slave:
                    raw = slave.execute_command("DISTRODB", "STATUS")
            except ResponseError as error:
                refusal = DistrodbError(
                    f"{host_port(address)} is not a distrodb slave ({one_line(error)});"
                    " name one with --connect HOST:PORT"
                )
                continue
            except (RedisError, OSError):
                continue
            status = _parse_status(raw, address)
            self._learn(address, status)
            return status
        tried = ", ".join(map(host_port, self._addresses))
        raise refusal or UnavailableError(
            f"no slave is reachable at {tried}; start one with `distrodb slave FILE`"
            " or name one with --connect HOST:PORT"
        )

    def _learn(self, answered: Address, status: dict[str, Any]) -> None:
        listed = [parse_address(node["client"]) for node in status["nodes"].values()]
        self._addresses = list(dict.fromkeys([answered, *listed, *self._addresses]))

    def node_ids(self) -> list[str]:
        return sorted(self.status()["nodes"])

    def answering(self, status: dict[str, Any]) -> set[str]:
        """The ids of the slaves that answer right now, whatever the map says."""
        return {
            node_id
            for node_id, node in status["nodes"].items()
            if answers(parse_address(node["client"]))
        }

    def where(self, key: bytes) -> tuple[int, dict[str, Any]]:
        slot = key_slot(key)
        return slot, _partition_of(self.status(), slot)

    # -- keys ----------------------------------------------------------------------------------

    def get(self, key: bytes) -> Read:
        try:
            return Read(self._call(key, "GET", key))
        except _NoLeader as failure:
            return self._stale(key, failure.standing)

    def set(self, key: bytes, value: bytes) -> None:
        try:
            self._call(key, "SET", key, value)
        except _NoLeader as failure:
            raise failure.of_write("written") from failure

    def delete(self, key: bytes) -> bool:
        try:
            return bool(self._call(key, "DEL", key))
        except _NoLeader as failure:
            raise failure.of_write("deleted") from failure

    def keys(self, prefix: bytes, limit: int) -> list[bytes]:
        """At most `limit` keys that begin with `prefix`; fewer when time or the cluster fails."""
        found: list[bytes] = []
        pattern = re.sub(rb"([*?\[\]\\])", rb"\\\1", prefix) + b"*"
        until = monotonic() + SCAN_S_MAX
        with suppress(RedisError, RedisClusterException, OSError, DistrodbError):
            # One page at a time: scan_iter would look for a first match for as long as it takes.
            client = self._client()
            for node in client.get_primaries():
                cursor = 0
                while len(found) < limit and monotonic() < until:
                    link = client.get_redis_connection(node)
                    cursor, page = link.scan(cursor, match=pattern, count=SCAN_COUNT)
                    found += [bytes(name) for name in page if isinstance(name, bytes)]
                    if cursor in (0, b"0", "0"):
                        break
        return found[:limit]

    def set_many(self, pairs: Sequence[Pair]) -> None:
        """Set all, pipelined per slave. Keys must be distinct: what failed is sent again."""
        until = monotonic() + RETRY_S_MAX
        waiting = list(pairs)
        unsure = False
        while True:
            waiting, sent = self._set_once(waiting)
            unsure = unsure or sent
            if not waiting:
                return
            try:
                self._explain(waiting[0][0], until, unsure)
            except _NoLeader as failure:
                raise UnavailableError(
                    f"{failure.standing.reason}: {failure.standing.group}; some keys were not"
                    " written; bring slaves back and populate again"
                ) from failure

    def _set_once(self, pairs: Sequence[Pair]) -> tuple[list[Pair], bool]:
        """What was not acknowledged, and whether it may have been carried out all the same."""
        failed: list[Pair] = []
        unsure = False
        shares: dict[str, list[Pair]] = {}
        try:
            client = self._client()
            for pair in pairs:
                shares.setdefault(client.get_node_from_key(pair[0]).name, []).append(pair)
        except (*_NOT_DONE, *_BROKEN):
            self._forget()
            return list(pairs), False
        for name, share in shares.items():
            try:
                node = client.get_node(node_name=name)
                pipe = client.get_redis_connection(node).pipeline(transaction=False)
                for key, value in share:
                    pipe.set(key, value)
                answers = pipe.execute(raise_on_error=False)
            except (RedisError, RedisClusterException, OSError) as error:
                failed += share
                unsure = unsure or _may_be_done(error)
                continue
            for pair, answer in zip(share, answers, strict=True):
                if isinstance(answer, _NOT_DONE):
                    failed.append(pair)
                elif isinstance(answer, Exception):
                    raise _refused(answer)
        if failed:
            self._forget()
        return failed, unsure

    # -- slaves --------------------------------------------------------------------------------

    def kill(self, node_id: str) -> None:
        """End that slave at once, as a crash would. Returns when its port is closed."""
        nodes = self.status()["nodes"]
        if node_id not in nodes:
            raise DistrodbError(
                f"unknown node {printable(node_id)}; the nodes are {', '.join(sorted(nodes))}"
            )
        address = parse_address(nodes[node_id]["client"])
        if not is_port_open(address):
            raise UnavailableError(
                f"{node_id} is not running: nothing answers at {host_port(address)}"
            )
        self._end({node_id: address}, ("SHUTDOWN", "NOW"), KILL_S_MAX)

    def quit(self) -> list[str]:
        """End every slave cleanly; returns the ids of those that were running."""
        nodes = self.status()["nodes"]
        addresses = {node_id: parse_address(node["client"]) for node_id, node in nodes.items()}
        running = {node_id: at for node_id, at in sorted(addresses.items()) if is_port_open(at)}
        self._end(running, ("SHUTDOWN",), SHUTDOWN_S_MAX)
        return list(running)

    def _end(self, slaves: dict[str, Address], command: tuple[str, ...], wait_s: float) -> None:
        self._forget()
        # All are told before any is waited for: a slave that closes hands its leaderships over,
        # and need not find a new home for each in turn. The connection stays open meanwhile.
        told = [tell(address, command) for address in slaves.values()]
        until = monotonic() + wait_s
        left = dict(slaves)
        while left and monotonic() < until:
            left = {node_id: at for node_id, at in left.items() if is_port_open(at)}
            if left:
                sleep(0.02)
        for connection in told:
            if connection is not None:
                connection.disconnect()
        if left:
            names = ", ".join(f"{node_id} ({host_port(at)})" for node_id, at in left.items())
            raise UnavailableError(
                f"did not end within {wait_s:g} s: {names}; end the process by its pid"
            )

    # -- the ring ------------------------------------------------------------------------------

    def remove(self, node_id: str) -> None:
        """Ask the ring to drain that slave and forget it; returns when it has begun."""
        self.ask("REMOVE", node_id)

    def keep(self, node_id: str) -> None:
        """Take that slave into the ring again, which is leaving and has not left yet."""
        self.ask("KEEP", node_id)

    def move(self, partition: str, node_id: str) -> bool:
        """Make that slave the partition's owner; False: it is."""
        return self.ask("MOVE", partition, node_id)

    def balance(self) -> bool:
        """Share the owners out evenly; False: they are."""
        return self.ask("BALANCE")

    def ask(self, *words: str) -> bool:
        """DISTRODB REMOVE node, KEEP node, MOVE partition node, or BALANCE, of the controller.
        False when there was nothing to do. Raises DistrodbError: it cannot be done, by the slave's
        own words; UnavailableError: nobody has taken it for `RETRY_S_MAX`."""
        until = monotonic() + RETRY_S_MAX
        unsure = False
        while True:
            problem = "nobody leads the cluster map: too few of its slaves live"
            status = self.status()
            controller = status["nodes"].get(status.get("controller"))
            if controller is not None:
                try:
                    with slave_at(parse_address(controller["client"]), REPLY_S_MAX) as slave:
                        slave.execute_command("DISTRODB", *words)
                        return True
                except TryAgainError as error:
                    problem = one_line(error)
                except ResponseError as error:
                    text = one_line(error)
                    if "did not change" in text:
                        return unsure  # it may have been the try before that changed it
                    if not text.startswith("NOTCONTROLLER"):
                        raise DistrodbError(text.removeprefix("ERR ")) from error
                except (RedisError, OSError) as error:
                    unsure = unsure or _may_be_done(error)
                    problem = f"{status['controller']} does not answer: {one_line(error)}"
            if monotonic() > until:
                raise UnavailableError(f"{problem}; try again")
            sleep(RETRY_PAUSE_S)

    # -- how a command is tried ----------------------------------------------------------------

    def _client(self) -> RedisCluster:
        if self._redis is None:
            self._redis = RedisCluster(
                startup_nodes=[ClusterNode(host, port) for host, port in self._addresses],
                retry=Retry(NoBackoff(), 0),
                socket_connect_timeout=CONNECT_S_MAX,
                socket_timeout=REPLY_S_MAX,
                # Those that were named stay in use when all that the map lists are gone.
                dynamic_startup_nodes=False,
            )
        return self._redis

    def _forget(self) -> None:
        """The next command asks for the slots anew."""
        if self._redis is not None:
            with suppress(RedisError, OSError):
                self._redis.close()
            self._redis = None

    def _call(self, key: bytes, *command: bytes | str) -> Any:
        until = monotonic() + RETRY_S_MAX
        unsure = False
        while True:
            sent = False
            try:
                client = self._client()
                sent = True
                return client.execute_command(*command)
            except _NOT_DONE as error:
                # redis-py asks for the slots anew before it raises; a broken link before this
                # answer would be in the chain.
                unsure = unsure or (sent and _may_be_done(error))
            except _BROKEN as error:
                unsure = unsure or (sent and _may_be_done(error))
                self._forget()
            except RedisError as error:
                raise _refused(error) from error
            self._explain(key, until, unsure)

    def _explain(self, key: bytes, until: float, unsure: bool) -> None:
        """Returns, after a pause, if another try has a chance; raises what to tell otherwise."""
        try:
            status = self.status()
        except UnavailableError as error:
            outcome = "the outcome is unknown: " if unsure else ""
            raise UnavailableError(f"{outcome}{error}") from error
        standing = self._standing(_partition_of(status, key_slot(key)), status)
        if standing.lost or monotonic() > until:
            raise _NoLeader(standing, unsure)
        sleep(RETRY_PAUSE_S)

    def _standing(self, partition: dict[str, Any], status: dict[str, Any]) -> Standing:
        nodes = status["nodes"]
        down = (
            node_id
            for node_id in partition["group"]
            if not answers(parse_address(nodes[node_id]["client"]))
        )
        return Standing(partition, tuple(down))

    def _stale(self, key: bytes, standing: Standing) -> Read:
        nodes = self.status()["nodes"]
        for node_id in standing.partition["group"]:
            if node_id in standing.down:
                continue
            with (
                suppress(RedisError, OSError),
                slave_at(parse_address(nodes[node_id]["client"])) as slave,
            ):
                slave.execute_command("READONLY")
                value = slave.execute_command("GET", key)
                return Read(value, f"{standing.reason}, answered by {node_id}")
        raise UnavailableError(
            f"{standing.reason}: {standing.group}; no surviving copy answers; bring slaves back"
        )


class _NoLeader(UnavailableError):
    def __init__(self, standing: Standing, unsure: bool) -> None:
        super().__init__(f"{standing.reason}: {standing.group}")
        self.standing = standing
        self.unsure = unsure

    def of_write(self, participle: str) -> UnavailableError:
        outcome = "the outcome is unknown" if self.unsure else f"nothing was {participle}"
        remedy = "bring slaves back" if self.standing.lost else "try again"
        return UnavailableError(f"{self}; {outcome}; {remedy}")


def _parse_status(raw: Any, address: Address) -> dict[str, Any]:
    try:
        status = json.loads(raw)
        if not {"epoch", "ring", "nodes", "partitions"} <= status.keys():
            raise ValueError
    except (TypeError, ValueError, AttributeError) as error:
        raise DistrodbError(
            f"{host_port(address)} answers DISTRODB STATUS with something else;"
            " is its version ours?"
        ) from error
    return dict(status)


def _partition_of(status: dict[str, Any], slot: int) -> dict[str, Any]:
    for partition in status["partitions"]:
        first, last = partition["slots"]
        if first <= slot <= last:
            return dict(partition)
    raise DistrodbError(f"the cluster map has no partition for slot {slot}; run `distrodb status`")


def _refused(error: Exception) -> DistrodbError:
    text = one_line(error)
    if text.startswith("UNKNOWN"):
        detail = text.removeprefix("UNKNOWN").strip(" :")
        return UnavailableError(f"the outcome is unknown: {detail}; GET the key to find out")
    return DistrodbError(f"refused: {text}")


def _may_be_done(error: BaseException | None) -> bool:
    """Whether a command that ended so may have been carried out: a link broke after it was made.

    redis-py raises another error when asking for the slots fails in turn, so the chain counts.
    """
    if error is None:
        return False
    broken = isinstance(error, (redis.ConnectionError, redis.TimeoutError))
    if broken and not _NOT_CONNECTED.search(str(error)):
        return True
    return _may_be_done(error.__cause__) or _may_be_done(error.__context__)
