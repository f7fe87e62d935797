"""The shell's view of a cluster: one exact line for every way in which it can fail.

Each command goes to the slave that `DISTRODB STATUS` names for it, the leader of the key's
partition or of the cluster map, over redis-py's plain connection; again and again, by its `Retry`.

Invariants:
  - A connection has no retries of its own: between two tries `Tries` must see whether the one
    before may have been carried out. Only so can a failed write say truthfully whether "nothing was
    written" or "the outcome is unknown".
  - Every wait is bounded by a constant below, and `awaited` says what it is for.
  - Only DistrodbError leaves this module.

Caveat: a write is sent again after a broken connection (at least once): an old value may come back
over another client's write that fell between the two tries. UNKNOWN from a slave is not retried.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from typing import Any, TypeVar

import redis
from redis.backoff import ConstantBackoff
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    NoPermissionError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.retry import Retry

from distrodb.clock import monotonic, sleep
from distrodb.config.address import Address
from distrodb.errors import DistrodbError, UnavailableError
from distrodb.master.connections import (
    answers,
    is_port_open,
    one_line,
    parse_address,
    slave_at,
    why_refused,
    why_silent,
)
from distrodb.master.healing_status import Healing, unborn

DEFAULT_ADDRESSES = tuple(Address("127.0.0.1", port) for port in range(55551, 55556))

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

Status = dict[str, Any]
T = TypeVar("T")

NOBODY = "nobody leads"
_BROKEN = (redis.ConnectionError, redis.TimeoutError)
# Those, and the answers that say "not carried out, ask again"; MOVED is one of AskError.
_RETRIED = (*_BROKEN, ClusterDownError, TryAgainError, AskError)


class BlockedError(UnavailableError):
    """What keeps a command from being carried out just now."""

    def __init__(self, text: str, awaited: str, is_final: bool = False) -> None:
        super().__init__(text)
        self.awaited, self.is_final = awaited, is_final  # final: to wait longer is in vain
        self.unsure = False  # one of the tries may have been carried out


class NoLeaderError(BlockedError):
    def __init__(self, status: Status, partition: dict[str, Any]) -> None:
        nodes = _addresses(status)
        self.group = {node_id: nodes[node_id] for node_id in partition["group"]}
        self.down = [node_id for node_id, address in self.group.items() if not answers(address)]
        is_lost = 2 * len(self.down) >= len(self.group)
        self.reason = f"partition {partition['id']} has no {'majority' if is_lost else 'leader'}"
        self.remedy = "bring slaves back" if is_lost else "try again"
        down = ", ".join(self.down) or "none"
        who = f"of its group {', '.join(self.group)} these are down: {down}"
        awaited = f"a leader of partition {partition['id']}; {who}"
        super().__init__(f"{self.reason}: {who}", awaited, is_lost)


class Tries:
    """One command, tried until it is answered, has no chance, or takes too long. `why` tells, from
    the newest status and how a try ended, what is in its way."""

    def __init__(
        self, cluster: "Cluster", why: Callable[[Status, Exception], BlockedError]
    ) -> None:
        self._cluster, self._why = cluster, why
        self._began = monotonic()
        self.unsure = False  # one of the tries may have been carried out

    def run(self, once: Callable[[], T]) -> T:
        retry = Retry(ConstantBackoff(RETRY_PAUSE_S), -1, _RETRIED)
        try:
            return retry.call_with_retry(once, self._failed)
        except RedisError as error:
            text = one_line(error)
            if text.startswith("UNKNOWN"):
                why = text.removeprefix("UNKNOWN").strip(" :")
                text = f"the outcome is unknown: {why}; GET the key to find out"
                raise UnavailableError(text) from error
            raise DistrodbError(f"refused: {text}") from error

    def _failed(self, error: Exception) -> None:
        """Returns if another try has a chance; raises what to tell otherwise."""
        cluster, waited = self._cluster, monotonic() - self._began
        self.unsure = self.unsure or _may_be_done(error)
        try:
            status = cluster.status()
        except UnavailableError as nobody:
            outcome = "the outcome is unknown: " if self.unsure else ""
            raise UnavailableError(f"{outcome}{nobody}") from nobody
        if reason := unborn(status):
            blocked = BlockedError(reason, f"a cluster: {reason}", is_final=waited > BIRTH_S_MAX)
        else:
            blocked = self._why(status, error)
        blocked.unsure = self.unsure
        if blocked.is_final or waited > RETRY_S_MAX:
            raise blocked
        cluster.awaited = blocked.awaited


class Cluster:
    def __init__(self, connect: str | None = None, database: int = 0) -> None:
        self._addresses = list(DEFAULT_ADDRESSES) if connect is None else [parse_address(connect)]
        self._database = database
        self._slaves: dict[Address, redis.Redis] = {}
        self._known: Status | None = None  # the newest status; each try that fails asks anew
        self.awaited = ""  # what the call under way waits for, for a person who wonders
        self.connected: str | None = None  # the slave that answered last

    # -- the map -------------------------------------------------------------------------------

    def status(self) -> Status:
        """The cluster map as one live slave sees it; whoever answered is asked first next time."""
        refusal: DistrodbError | None = None
        reasons: dict[Address, str] = {}
        for address in self._addresses:
            try:
                with slave_at(address) as slave:
                    status: Status = json.loads(slave.execute_command("DISTRODB", "STATUS"))
                if not {"epoch", "ring", "nodes", "partitions"} <= set(status):
                    raise ValueError("DISTRODB STATUS has no map")
            except (AuthenticationError, NoPermissionError) as error:
                refusal = DistrodbError(f"{address}: {why_refused(error)}")
            except (ResponseError, ValueError, TypeError) as error:
                refusal = DistrodbError(
                    f"{address} is not a distrodb slave of this version ({one_line(error)});"
                    " name one with --connect HOST:PORT"
                )
            except (RedisError, OSError) as error:
                reasons[address] = why_silent(address, error)
            else:
                known = [address, *_addresses(status).values(), *self._addresses]
                self._addresses = list(dict.fromkeys(known))
                self.connected = str(address)
                self._known = status
                return status
        self.connected = None
        for address, why in reasons.items():
            if why and refusal is None:
                refusal = UnavailableError(f"no slave is reachable at {address}: {why}")
        raise refusal or UnavailableError(
            f"no slave is reachable at {', '.join(map(str, self._addresses))};"
            " start one with `distrodb slave FILE` or name one with --connect HOST:PORT"
        )

    def answering(self, status: Status) -> set[str]:
        """The ids of the slaves that answer right now, whatever the map says."""
        return {node_id for node_id, address in _addresses(status).items() if answers(address)}

    def where(self, key: bytes) -> tuple[int, dict[str, Any]]:
        slot = key_slot(key)
        return slot, _partition_of(self.status(), slot)

    # -- keys ----------------------------------------------------------------------------------

    def get(self, key: bytes) -> tuple[bytes | None, str | None]:
        """The value, and why it may be old; None: it is not."""
        try:
            return self._run(("GET", key))[0], None
        except NoLeaderError as failure:
            return _stale(key, failure)

    def set(self, key: bytes, value: bytes) -> None:
        self._write("written", "SET", key, value)

    def delete(self, key: bytes) -> bool:
        return bool(self._write("deleted", "DEL", key))

    def _write(self, participle: str, *command: Any) -> Any:
        try:
            return self._run(command)[0]
        except NoLeaderError as failure:
            outcome = "the outcome is unknown" if failure.unsure else f"nothing was {participle}"
            raise UnavailableError(f"{failure}; {outcome}; {failure.remedy}") from failure

    def set_many(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Keys must be distinct: what failed is sent again."""
        try:
            self._run(*(("SET", key, value) for key, value in pairs))
        except NoLeaderError as failure:
            raise UnavailableError(
                f"{failure}; some keys were not written; bring slaves back and populate again"
            ) from failure

    def run_again_and_again(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        """The replies to commands that may run more than once without harm, of distinct keys: also
        what may have run is sent again, until each is answered."""
        return self._run(*commands, may_repeat=True)

    def _run(self, *commands: tuple[Any, ...], may_repeat: bool = False) -> list[Any]:
        """Their replies. Each names its key behind its name; those of a slave are one pipeline."""
        waiting, replies = dict(enumerate(commands)), dict[int, Any]()

        def once() -> None:
            errors: list[Exception] = []
            shares: dict[str | None, list[int]] = {}
            for number, command in waiting.items():
                shares.setdefault(self._leader_of(command[1]), []).append(number)
            for leader, share in shares.items():
                try:
                    pipe = self._slave(leader).pipeline(transaction=False)
                    for number in share:
                        pipe.execute_command(*commands[number])
                    answers = pipe.execute(raise_on_error=False)
                except _RETRIED as error:
                    answers = [error] * len(share)
                for number, answer in zip(share, answers, strict=True):
                    if isinstance(answer, Exception):
                        is_unknown = may_repeat and one_line(answer).startswith("UNKNOWN")
                        errors.append(TryAgainError(NOBODY) if is_unknown else answer)
                    else:
                        replies[number] = answer
                        del waiting[number]
            if errors:
                # One that nobody can mend, or else the one that leaves most open.
                raise max(errors, key=lambda e: (not isinstance(e, _RETRIED), _may_be_done(e)))

        def why(status: Status, _: Exception) -> BlockedError:
            key = next(iter(waiting.values()))[1]
            return NoLeaderError(status, _partition_of(status, key_slot(key)))

        Tries(self, why).run(once)
        return [reply for _, reply in sorted(replies.items())]

    def ask_leader(self, partition: int, *words: Any) -> tuple[Any, Address]:
        """What the leader of that partition answers, and where it is."""

        def once() -> tuple[Any, Address]:
            status = self._known or self.status()
            leader = status["partitions"][partition]["leader"]
            reply = self._slave(leader).execute_command(*words)
            return reply, _addresses(status)[leader]

        def why(status: Status, _: Exception) -> BlockedError:
            return NoLeaderError(status, status["partitions"][partition])

        return Tries(self, why).run(once)

    def keys(self, prefix: bytes, limit: int) -> list[bytes]:
        """At most `limit` keys that begin with `prefix`; fewer when time or the cluster fails."""
        found: list[bytes] = []
        pattern = re.sub(rb"([*?\[\]\\])", rb"\\\1", prefix) + b"*"
        until = monotonic() + SCAN_S_MAX
        try:
            status = self.status()
        except DistrodbError:
            return []
        leaders = {row["leader"] for row in status["partitions"]}
        for node_id, address in _addresses(status).items():
            # One page at a time: scan_iter would look for a first match as long as it takes. One
            # that hangs takes a part of the time only, and the others' keys are found.
            cursor: int | None = None if node_id in leaders else 0
            with suppress(RedisError), slave_at(address, SCAN_S_MAX / 4) as slave:
                while cursor != 0 and len(found) < limit and monotonic() < until:
                    cursor, page = slave.scan(cursor or 0, match=pattern, count=SCAN_COUNT)
                    found += [name for name in page if isinstance(name, bytes)]
        return found[:limit]

    def _leader_of(self, key: bytes) -> str | None:
        leader: str | None = _partition_of(self._known or self.status(), key_slot(key))["leader"]
        return leader

    def _slave(self, node_id: str | None) -> redis.Redis:
        """Its connection, kept for the next command. Raises TryAgainError: nobody is known."""
        address = _addresses(self._known or self.status()).get(node_id or "")
        if address is None:
            raise TryAgainError(NOBODY)
        if address not in self._slaves:
            self._slaves[address] = slave_at(address, REPLY_S_MAX, self._database)
        return self._slaves[address]

    # -- slaves --------------------------------------------------------------------------------

    def kill(self, node_id: str) -> None:
        """End that slave at once, as a crash would. Returns when its port is closed."""
        nodes = _addresses(self.status())
        if node_id not in nodes:
            raise DistrodbError(f"unknown node {node_id}; the nodes are {', '.join(sorted(nodes))}")
        address = nodes[node_id]
        if not is_port_open(address):
            raise UnavailableError(f"{node_id} is not running: nothing answers at {address}")
        self._end({node_id: address}, ("SHUTDOWN", "NOW"), KILL_S_MAX)
        with suppress(DistrodbError):
            self.status()  # of somebody who lives, for the next command and the prompt

    def running(self) -> dict[str, Address]:
        """The slaves whose port is open."""
        return _still_open(dict(sorted(_addresses(self.status()).items())))

    def quit(self) -> list[str]:
        """End every slave cleanly; returns the ids of those that were running."""
        running = self.running()
        self._end(running, ("SHUTDOWN",), SHUTDOWN_S_MAX)
        return list(running)

    def _end(self, slaves: dict[str, Address], command: tuple[str, ...], wait_s: float) -> None:
        left = slaves
        until = monotonic() + wait_s
        # All are told before any is waited for: a slave that closes hands its leaderships over,
        # and need not find a new home for each in turn. There is no reply, and the connection
        # stays open meanwhile.
        with ExitStack() as told:
            for address in slaves.values():
                with suppress(RedisError, OSError):  # it was gone already
                    slave = told.enter_context(slave_at(address))
                    slave.connection_pool.get_connection().send_command(*command)
            while (left := _still_open(left)) and monotonic() < until:
                self.awaited = f"{' '.join(left)} to end"
                sleep(0.02)
        if left:
            names = ", ".join(f"{node_id} ({address})" for node_id, address in left.items())
            raise UnavailableError(
                f"did not end within {wait_s:g} s: {names}; end the process by its pid"
            )

    def ask(self, *words: str) -> bool:
        """DISTRODB REMOVE node, KEEP node, MOVE partition node, BALANCE, or REPLICAS number, of the
        controller. False when there was nothing to do. Raises DistrodbError: it cannot be done, by
        the slave's own words; UnavailableError: nobody has taken it for `RETRY_S_MAX`."""
        tries = Tries(self, _no_controller)
        self.awaited = "the cluster map's leader"

        def once() -> bool:
            controller = (self._known or self.status()).get("controller")
            try:
                self._slave(controller).execute_command("DISTRODB", *words)
            except ResponseError as error:
                text = one_line(error)
                if text.startswith("NOTCONTROLLER"):
                    raise TryAgainError(NOBODY) from error
                if isinstance(error, TryAgainError):
                    raise
                if "did not change" not in text:
                    raise DistrodbError(text) from error  # the slave's no
                return tries.unsure  # it may have been the try before that changed it
            return True

        return tries.run(once)


def _no_controller(status: Status, error: Exception) -> BlockedError:
    absent = [] if status.get("controller") else Healing(status).absent
    start = f": start {' '.join(absent)}" if absent else ""
    text = one_line(error)
    if text == NOBODY:
        text = f"nobody leads the cluster map: too few of its slaves live{start}"
    elif isinstance(error, _BROKEN):
        text = f"{status.get('controller')} does not answer: {text}"
    return BlockedError(f"{text}; try again", f"the cluster map's leader{start}")


def _stale(key: bytes, failure: NoLeaderError) -> tuple[bytes | None, str]:
    for node_id, address in failure.group.items():
        if node_id not in failure.down:
            with suppress(RedisError, OSError), slave_at(address, REPLY_S_MAX) as slave:
                both = slave.pipeline(transaction=False)  # on one connection
                both.execute_command("READONLY").execute_command("GET", key)
                return both.execute()[1], f"{failure.reason}, answered by {node_id}"
    raise UnavailableError(f"{failure}; no surviving copy answers; bring slaves back")


def _addresses(status: Status) -> dict[str, Address]:
    return {node_id: parse_address(node["client"]) for node_id, node in status["nodes"].items()}


def _still_open(slaves: dict[str, Address]) -> dict[str, Address]:
    return {node_id: address for node_id, address in slaves.items() if is_port_open(address)}


def _partition_of(status: Status, slot: int) -> dict[str, Any]:
    """They stand in the order of their slots, and have all."""
    partitions = status["partitions"]
    return dict(partitions[bisect_right(partitions, slot, key=lambda row: row["slots"][0]) - 1])


def _may_be_done(error: Exception) -> bool:
    """Whether a command that ended so may have been carried out: a link broke after it was made."""
    # redis-py's wording when not even the connection came about; nothing was sent then.
    return isinstance(error, _BROKEN) and "connecting to" not in str(error).lower()
