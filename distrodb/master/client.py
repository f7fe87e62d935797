"""The shell's view of a cluster: redis-py, with one exact line for every way it can fail.

Commands go through redis-py's `RedisCluster`, again and again by its `Retry`; what concerns one
slave (DISTRODB STATUS, SHUTDOWN, a stale read) goes to that slave over a plain connection.

Invariants:
  - `RedisCluster` itself has no retries: between two tries `Tries` must see whether the one before
    may have been carried out. Only so can a failed write say truthfully whether "nothing was
    written" or "the outcome is unknown".
  - Every wait is bounded by a constant below, and `awaited` says what it is for.
  - Only DistrodbError leaves this module.

Caveat: a write is sent again after a broken connection (at least once): an old value may come back
over another client's write that fell between the two tries. UNKNOWN from a slave is not retried.
"""

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import redis
from redis.backoff import ConstantBackoff, NoBackoff
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
from distrodb.master.connections import (
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
from distrodb.master.healing_status import Healing, unborn

DEFAULT_ADDRESSES = tuple(("127.0.0.1", port) for port in range(55551, 55556))

# A slave on the way that does not accept within this is as good as dead for a person who waits.
CONNECT_S_MAX = 1.0
# Above the slaves' `unknown_after_ms`, so that their own UNKNOWN arrives before we give up.
REPLY_S_MAX = 4.0
# Some elections long (1 to 2 s each): with a majority alive the partition has a leader before.
RETRY_S_MAX = 10.0
RETRY_PAUSE_S = 0.1
# Slaves that were started together meet within; beyond it one of them is missing.
BIRTH_S_MAX = 2.0
# A slave that closes cleanly hands its leaderships over first.
SHUTDOWN_S_MAX = 15.0
KILL_S_MAX = 5.0
# Completion is a convenience: it may miss keys, it may not make a person wait.
SCAN_S_MAX = 0.5
SCAN_COUNT = 1000

Pair = tuple[bytes, bytes]
T = TypeVar("T")

# Answers that say "not carried out, ask again".
_NOT_DONE = (ClusterDownError, TryAgainError, AskError, ClusterError, SlotNotCoveredError)
_BROKEN = (redis.ConnectionError, redis.TimeoutError, OSError, RedisClusterException)
# redis-py's wording when not even the connection came about; nothing was sent then.
_NOT_CONNECTED = re.compile(r"connecting to", re.IGNORECASE)
_NO_CONTROLLER = "nobody leads the cluster map: too few of its slaves live"


@dataclass(frozen=True, slots=True)
class Read:
    value: bytes | None
    stale: str | None = None  # why the value may be old; None: it is not


class NoLeaderError(UnavailableError):
    """A partition had no leader for as long as it was waited for."""

    def __init__(self, partition: dict[str, Any], down: Sequence[str], unsure: bool) -> None:
        group = partition["group"]
        self.group, self.down, self.unsure = group, down, unsure
        self.lost = len(group) - len(down) < len(group) // 2 + 1
        self.reason = f"partition {partition['id']} has no {'majority' if self.lost else 'leader'}"
        self.who = f"of its group {', '.join(group)} these are down: {', '.join(down) or 'none'}"
        super().__init__(f"{self.reason}: {self.who}")

    def of_write(self, participle: str) -> UnavailableError:
        outcome = "the outcome is unknown" if self.unsure else f"nothing was {participle}"
        remedy = "bring slaves back" if self.lost else "try again"
        return UnavailableError(f"{self}; {outcome}; {remedy}")


class Tries:
    """One command on a key, tried until it is answered, has no chance, or takes too long."""

    def __init__(self, cluster: "Cluster", key: bytes) -> None:
        self._cluster, self.key = cluster, key
        self._began = monotonic()
        self.sent = False  # the try that is under way has a connection
        self.unsure = False  # an earlier try may have been carried out

    def run(self, command: Callable[[RedisCluster], T]) -> T:
        def once() -> T:
            self.sent = False
            client = self._cluster.client()
            self.sent = True
            return command(client)

        retry = Retry(ConstantBackoff(RETRY_PAUSE_S), -1, (*_NOT_DONE, *_BROKEN))
        try:
            return retry.call_with_retry(once, self._failed)
        except RedisError as error:
            raise refused(error) from error

    def _failed(self, error: Exception) -> None:
        """Returns if another try has a chance; raises what to tell otherwise."""
        # redis-py asks for the slots anew before it raises; a broken link before this answer would
        # be in the chain.
        self.unsure = self.unsure or (self.sent and _may_be_done(error))
        cluster, waited = self._cluster, monotonic() - self._began
        if isinstance(error, _BROKEN):
            cluster.forget()
        try:
            status = cluster.status()
        except UnavailableError as nobody:
            outcome = "the outcome is unknown: " if self.unsure else ""
            raise UnavailableError(f"{outcome}{nobody}") from nobody
        if why := unborn(status):
            cluster.awaited = why
            if waited > BIRTH_S_MAX:
                raise UnavailableError(why)
            return
        partition, nodes = _partition_of(status, key_slot(self.key)), status["nodes"]
        down = [id for id in partition["group"] if not answers(parse_address(nodes[id]["client"]))]
        failure = NoLeaderError(partition, down, self.unsure)
        if failure.lost or waited > RETRY_S_MAX:
            raise failure
        cluster.awaited = f"a leader of partition {partition['id']}; {failure.who}"


class Cluster:
    def __init__(self, connect: str | None = None) -> None:
        self._addresses = list(DEFAULT_ADDRESSES) if connect is None else [parse_address(connect)]
        self._redis: RedisCluster | None = None
        self.awaited = ""  # what the call under way waits for, for a person who wonders
        self.connected: str | None = None  # the slave that answered last

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
            listed = [parse_address(node["client"]) for node in status["nodes"].values()]
            self._addresses = list(dict.fromkeys([address, *listed, *self._addresses]))
            self.connected = host_port(address)
            return status
        self.connected = None
        tried = ", ".join(map(host_port, self._addresses))
        raise refusal or UnavailableError(
            f"no slave is reachable at {tried}; start one with `distrodb slave FILE`"
            " or name one with --connect HOST:PORT"
        )

    def answering(self, status: dict[str, Any]) -> set[str]:
        """The ids of the slaves that answer right now, whatever the map says."""
        rows = status["nodes"].items()
        return {id for id, node in rows if answers(parse_address(node["client"]))}

    def where(self, key: bytes) -> tuple[int, dict[str, Any]]:
        slot = key_slot(key)
        return slot, _partition_of(self.status(), slot)

    # -- keys ----------------------------------------------------------------------------------

    def get(self, key: bytes) -> Read:
        try:
            return Read(Tries(self, key).run(lambda client: client.execute_command("GET", key)))
        except NoLeaderError as failure:
            return self._stale(key, failure)

    def set(self, key: bytes, value: bytes) -> None:
        self._write(key, "written", "SET", key, value)

    def delete(self, key: bytes) -> bool:
        return bool(self._write(key, "deleted", "DEL", key))

    def _write(self, key: bytes, participle: str, *command: bytes | str) -> Any:
        try:
            return Tries(self, key).run(lambda client: client.execute_command(*command))
        except NoLeaderError as failure:
            raise failure.of_write(participle) from failure

    def _stale(self, key: bytes, failure: NoLeaderError) -> Read:
        nodes = self.status()["nodes"]
        for node_id in failure.group:
            if node_id in failure.down:
                continue
            address = parse_address(nodes[node_id]["client"])
            with suppress(RedisError, OSError), slave_at(address, REPLY_S_MAX) as slave:
                slave.execute_command("READONLY")
                value = slave.execute_command("GET", key)
                return Read(value, f"{failure.reason}, answered by {node_id}")
        raise UnavailableError(f"{failure}; no surviving copy answers; bring slaves back")

    def keys(self, prefix: bytes, limit: int) -> list[bytes]:
        """At most `limit` keys that begin with `prefix`; fewer when time or the cluster fails."""
        found: list[bytes] = []
        pattern = re.sub(rb"([*?\[\]\\])", rb"\\\1", prefix) + b"*"
        until = monotonic() + SCAN_S_MAX
        with suppress(RedisError, RedisClusterException, OSError, DistrodbError):
            # One page at a time: scan_iter would look for a first match for as long as it takes.
            client = self.client()
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
        waiting = list(pairs)
        tries = Tries(self, b"")

        def send(client: RedisCluster) -> None:
            nonlocal waiting
            waiting, error = _set_once(client, waiting)
            if error is not None:
                self.forget()
                tries.key = waiting[0][0]
                raise error

        try:
            tries.run(send)
        except NoLeaderError as failure:
            raise UnavailableError(
                f"{failure}; some keys were not written; bring slaves back and populate again"
            ) from failure

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
        with suppress(DistrodbError):
            self.status()  # of somebody who lives, for the next command and the prompt

    def running(self) -> list[str]:
        """The ids of the slaves whose port is open."""
        return list(self._running())

    def _running(self) -> dict[str, Address]:
        nodes = sorted(self.status()["nodes"].items())
        addresses = {node_id: parse_address(node["client"]) for node_id, node in nodes}
        return {node_id: at for node_id, at in addresses.items() if is_port_open(at)}

    def quit(self) -> list[str]:
        """End every slave cleanly; returns the ids of those that were running."""
        running = self._running()
        self._end(running, ("SHUTDOWN",), SHUTDOWN_S_MAX)
        return list(running)

    def _end(self, slaves: dict[str, Address], command: tuple[str, ...], wait_s: float) -> None:
        self.forget()
        # All are told before any is waited for: a slave that closes hands its leaderships over,
        # and need not find a new home for each in turn. The connection stays open meanwhile.
        told = [tell(address, command) for address in slaves.values()]
        until = monotonic() + wait_s
        left = dict(slaves)
        while left and monotonic() < until:
            left = {node_id: at for node_id, at in left.items() if is_port_open(at)}
            self.awaited = f"{' '.join(left)} to end"
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

    def ask(self, *words: str) -> bool:
        """DISTRODB REMOVE node, KEEP node, MOVE partition node, or BALANCE, of the controller.
        False when there was nothing to do. Raises DistrodbError: it cannot be done, by the slave's
        own words; UnavailableError: nobody has taken it for `RETRY_S_MAX`."""
        began = monotonic()
        unsure = False

        def once() -> bool:
            status = self.status()
            self.awaited = why = unborn(status) or "the cluster map's leader"
            if unborn(status) and monotonic() - began > BIRTH_S_MAX:
                raise UnavailableError(why)
            asked = status["nodes"].get(status.get("controller"))
            if asked is None:
                absent = " ".join(Healing(status).absent)
                self.awaited = f"{self.awaited}: start {absent}" if absent else self.awaited
                raise TryAgainError(f"{_NO_CONTROLLER}{f': start {absent}' if absent else ''}")
            try:
                with slave_at(parse_address(asked["client"]), REPLY_S_MAX) as slave:
                    slave.execute_command("DISTRODB", *words)
            except (redis.ConnectionError, redis.TimeoutError) as error:
                text = f"{status['controller']} does not answer: {one_line(error)}"
                raise redis.ConnectionError(text) from error
            return True

        def failed(error: Exception) -> None:
            nonlocal unsure
            text = one_line(error)
            if isinstance(error, ResponseError) and not isinstance(error, TryAgainError):
                if not text.startswith("NOTCONTROLLER"):
                    raise error  # the slave's no
                text = _NO_CONTROLLER
            unsure = unsure or _may_be_done(error.__cause__)
            if monotonic() - began > RETRY_S_MAX:
                raise UnavailableError(f"{text}; try again")

        retry = Retry(ConstantBackoff(RETRY_PAUSE_S), -1, (RedisError, OSError))
        try:
            return retry.call_with_retry(once, failed)
        except ResponseError as error:
            text = one_line(error)
            if "did not change" in text:
                return unsure  # it may have been the try before that changed it
            raise DistrodbError(text.removeprefix("ERR ")) from error

    # -- redis-py --------------------------------------------------------------------------------

    def client(self) -> RedisCluster:
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

    def forget(self) -> None:
        """The next command asks for the slots anew."""
        if self._redis is not None:
            with suppress(RedisError, OSError):
                self._redis.close()
            self._redis = None


def _set_once(client: RedisCluster, pairs: list[Pair]) -> tuple[list[Pair], Exception | None]:
    """What was not acknowledged, and why (the error that leaves most open). Raises what refuses."""
    failed: list[Pair] = []
    why: Exception | None = None
    shares: dict[str, list[Pair]] = {}
    for pair in pairs:
        shares.setdefault(client.get_node_from_key(pair[0]).name, []).append(pair)
    for name, share in shares.items():
        try:
            node = client.get_node(node_name=name)
            pipe = client.get_redis_connection(node).pipeline(transaction=False)
            for key, value in share:
                pipe.set(key, value)
            answered = pipe.execute(raise_on_error=False)
        except (*_NOT_DONE, *_BROKEN) as error:
            failed += share
            why = error if why is None or _may_be_done(error) else why
            continue
        for pair, answer in zip(share, answered, strict=True):
            if isinstance(answer, _NOT_DONE):
                failed.append(pair)
                why = why or answer
            elif isinstance(answer, Exception):
                raise answer
    return failed, why


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


def refused(error: Exception) -> DistrodbError:
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
