"""Clients that record what they asked and were told, for tests/support/history.py to judge.

Each sends a command exactly once: a client that tries again by itself cannot say what happened.
What it gets back is one of three things:
- a reply: recorded with the times of the call and of the reply;
- MOVED, CLUSTERDOWN, TRYAGAIN, or no connection to send it on: it surely did not happen, and is not
  recorded;
- UNKNOWN, no answer in time, or a connection that broke behind it: recorded as unknown.

All clients work on the same few keys at a time (a *chapter*), so that they contend; with the next
chapter they take new ones, since the checker's work grows with the history of a key.  Now and then
they read what an earlier chapter left, and at the end every key of every chapter is read: what was
acknowledged at any time is still asked for after all that happened since.
"""

import contextlib
import itertools
import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ClusterDownError, MovedError, TryAgainError
from redis.retry import Retry

from distrodb import LocalCluster
from distrodb.errors import UnavailableError
from tests.support.history import Operation, check

# Above the slaves' unknown_after_ms, so that their own UNKNOWN comes first; and so short that the
# command lies in the socket of a slave that hangs when its client has gone.  Some clients have the
# one patience, some the other.
ANSWER_S_MAX = (4.0, 1.0)
CHAPTER_OPERATIONS = 2500  # of all clients; a few hundred for each key
CLIENTS = 6
LATE_PROCESS = 1000  # the numbers of clients above it are those of ``LateCommands``
# Between two commands of a client: two cores have to run the slaves, too.
PAUSE_S_MAX = 0.008


# Any would do: a run repeats a test's choices, not what the machine does meanwhile.
SEED = 1


def seeded(is_soak: bool = False) -> random.Random:
    """The choices of a test: those of SEED, or fresh ones in a soak; DISTRODB_SEED repeats them."""
    seed = SEED if not is_soak else random.SystemRandom().randrange(1 << 31)
    seed = int(os.environ.get("DISTRODB_SEED") or seed)
    print(f"\nDISTRODB_SEED={seed}", flush=True)
    return random.Random(seed)


def lasting(seconds: float) -> Iterator[int]:
    """Turns, until the time is over: for soaks.  The gate does so many, however fast it is."""
    until = time.monotonic() + seconds
    yield from itertools.takewhile(lambda _: time.monotonic() < until, itertools.count())


class Wire:
    """One connection to one slave, made when it is needed; no command is ever sent twice."""

    def __init__(self, host: str, port: int, answer_s_max: float):
        self._connection = redis.Connection(
            host=host,
            port=port,
            socket_timeout=answer_s_max,
            socket_connect_timeout=1.0,
            retry=Retry(NoBackoff(), 0),
        )

    def connect(self) -> None:
        """Raises ``redis.ConnectionError`` or ``redis.TimeoutError``: nothing was sent."""
        self._connection.connect()

    def ask(self, *command: str | bytes) -> object:
        """The reply.  Raises ``redis.ResponseError``, or another error after which the connection
        is closed: whether the command arrived is not known."""
        try:
            self.send(*command)
            return self.receive()
        except redis.ResponseError:
            raise
        except BaseException:
            self.close()
            raise

    def send(self, *command: str | bytes) -> None:
        self._connection.send_command(*command)

    def receive(self) -> object:
        return self._connection.read_response()

    def close(self) -> None:
        self._connection.disconnect()


class Wires:
    """A client's connections to all slaves; knows by MOVED who leads a key.  At their gateways it
    stays with one until that is gone."""

    def __init__(self, addresses: list[str], answer_s_max: float):
        self._addresses = addresses
        self._wires = {}
        for address in self._addresses:
            host, _, port = address.rpartition(":")
            self._wires[address] = Wire(host, int(port), answer_s_max)
        self._guess: dict[str, str] = {}  # hash tag or key to address
        self._turn = itertools.cycle(self._addresses)

    def ask(self, *command: str) -> tuple[str, object, float]:
        """("answered", reply, when it was sent), or ("unknown", the error, …), or
        ("refused", the error, …): it surely did not happen."""
        tag = command[1].partition("{")[2] or command[1]
        address = self._guess.setdefault(tag, self._addresses[0])
        wire = self._wires[address]
        called = time.monotonic()
        try:
            wire.connect()
        except (redis.RedisError, OSError) as error:
            self._guess[tag] = next(self._turn)
            return "refused", error, called
        try:
            return "answered", wire.ask(*command), called
        except MovedError as error:
            self._guess[tag] = f"{error.host}:{error.port}"
            return "refused", error, called
        except (ClusterDownError, TryAgainError) as error:
            self._guess[tag] = next(self._turn)
            return "refused", error, called
        except redis.ResponseError as error:
            assert str(error).startswith("UNKNOWN"), f"{command} was answered {error!r}"
            return "unknown", error, called
        except (redis.RedisError, OSError) as error:
            self._guess[tag] = next(self._turn)
            return "unknown", error, called

    def close(self) -> None:
        for wire in self._wires.values():
            wire.close()


class Chapters:
    """The keys in use; the same for all clients."""

    def __init__(self) -> None:
        self.number = 0
        self._left = CHAPTER_OPERATIONS
        self._lock = threading.Lock()

    def turn(self) -> int:
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                self._left, self.number = CHAPTER_OPERATIONS, self.number + 1
            return self.number


@dataclass
class Record:
    """What all clients saw, and what was done to the cluster meanwhile."""

    cluster: LocalCluster
    chapters: Chapters = field(default_factory=Chapters)
    operations: list[Operation] = field(default_factory=list)
    answered: int = 0
    refused: int = 0
    done: Counter[str] = field(default_factory=Counter)  # kills, pauses, …
    last: str = "nothing was asked yet"  # what was not answered, for who waits in vain
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, operation: Operation) -> None:
        with self._lock:
            self.operations.append(operation)
            self.answered += operation.returned is not None

    def add_refused(self, command: tuple[str, ...], reply: object) -> None:
        with self._lock:
            self.refused += 1
            self.last = f"{command}: {reply!r}"

    def progress(self, operations: int = 100) -> None:
        """Wait until that many more operations were answered."""
        goal = self.answered + operations
        try:
            self.cluster.wait_until(
                lambda: self.answered >= goal, "clients are answered again", 60.0
            )
        except UnavailableError as problem:
            raise UnavailableError(f"{problem}; the last that was refused: {self.last}") from None

    def kill(self, node: str) -> None:
        self.done["kills"] += 1
        self.cluster.kill(node)

    def pause(self, node: str) -> None:
        self.done["pauses"] += 1
        self.cluster.pause(node)

    def break_link(self, dialled: str, dialler: str) -> None:
        self.done["broken links"] += break_link(self.cluster, dialled, dialler)

    def figures(self) -> str:
        unknown = sum(operation.returned is None for operation in self.operations)
        done = ", ".join(f"{count} {what}" for what, count in self.done.items())
        return (
            f"{done or 'no faults'}; {len(self.operations)} operations,"
            f" {unknown} of them unknown, {self.refused} refused"
        )


def break_link(cluster: LocalCluster, dialled: str, dialler: str) -> int:
    """Abort the connection between two slaves at both ends; how many there were.

    ``dialler`` is the later one in the ring.  Nothing is lost on the way but what was on the way.
    """
    here = cluster.peer_address(dialled)
    rows = subprocess.run(
        ["ss", "-tnpH", "state", "established", "dst", here], capture_output=True, text=True
    )
    broken = 0
    for row in rows.stdout.splitlines():
        if f"pid={cluster.pids[dialler]}," in row:
            source = row.split()[2]
            subprocess.run(["ss", "-K", "-tn", "src", source, "dst", here], capture_output=True)
            broken += 1
    return broken


def can_break_connections() -> bool:
    if os.geteuid() != 0 or shutil.which("ss") is None:
        return False
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            address = f"127.0.0.1:{port}"
            subprocess.run(["ss", "-K", "-tn", "dst", address], capture_output=True)
            try:
                client.send(b"?")
            except OSError:
                return True
    return False


def commands(chance: random.Random, chapter: int, value: str) -> tuple[str, ...]:
    """One command on the keys of a chapter, or a look at those of an earlier one."""
    if chapter and chance.random() < 0.05:
        return chance.choice(last_look(chance.randrange(chapter)))
    n = chapter
    return chance.choice(
        [
            ("SET", f"register{n}", value),
            ("GET", f"register{n}"),
            ("SET", f"register{n}", value, "GET"),
            ("INCR", f"counter{n}"),
            ("INCR", f"counter{n}"),
            ("GET", f"counter{n}"),
            ("SET", f"lock{n}", value, "NX"),
            ("SETNX", f"lock{n}", value),
            ("DEL", f"lock{n}"),
            ("GET", f"lock{n}"),
            ("APPEND", f"text{n}", f"{value};"),
            ("GET", f"text{n}"),
            ("MSET", f"left{{{n}}}", value, f"right{{{n}}}", value),
            ("MGET", f"left{{{n}}}", f"right{{{n}}}"),
            ("SET", f"left{{{n}}}", value),
        ]
    )


def last_look(chapter: int) -> list[tuple[str, ...]]:
    """A read of everything that a chapter holds."""
    n = chapter
    names = ("register", "counter", "lock", "text")
    return [*(("GET", f"{name}{n}") for name in names), ("MGET", f"left{{{n}}}", f"right{{{n}}}")]


class LateCommands:
    """Commands that lie in the sockets of a slave that hangs, sent when others lead already.

    The connections are made before it hangs; each command has its own, so that all are answered.
    """

    def __init__(self, record: Record, node: str):
        self._record = record
        host, _, port = record.cluster.addresses[node].rpartition(":")
        self._commands = [
            command
            for chapter in {record.chapters.number, max(0, record.chapters.number - 1)}
            for command in (
                *last_look(chapter),
                ("SET", f"register{chapter}", f"late{len(record.operations)}"),
                ("INCR", f"counter{chapter}"),
            )
        ]
        self._wires = [Wire(host, int(port), 10.0) for _ in self._commands]
        self._called: list[float] = []
        for wire in self._wires:
            wire.connect()

    def send(self) -> None:
        for wire, command in zip(self._wires, self._commands, strict=True):
            self._called.append(time.monotonic())
            wire.send(*command)

    def collect(self) -> None:
        """Take the replies.  Those that were refused say that they did not happen."""
        for n, (wire, command) in enumerate(zip(self._wires, self._commands, strict=True)):
            process, called = LATE_PROCESS + n, self._called[n]
            try:
                reply = wire.receive()
                self._record.add(Operation(process, called, time.monotonic(), command, reply))
                self._record.done["late replies"] += 1
            except (MovedError, ClusterDownError, TryAgainError) as error:
                self._record.add_refused(command, error)
            except (redis.RedisError, OSError):
                self._record.add(Operation(process, called, None, command))
            wire.close()


class Client(threading.Thread):
    """Every third one asks at gateways."""

    def __init__(self, number: int, record: Record, seed: int):
        super().__init__(daemon=True)
        self._number, self._record = number, record
        self._chance = random.Random(seed)
        cluster = record.cluster
        addresses = list(cluster.addresses.values())
        if number % 3 == 2:
            nodes = cluster.nodes[number % len(cluster.nodes) :] + cluster.nodes
            addresses = list(dict.fromkeys(map(cluster.gateway_address, nodes)))
        self._wires = Wires(addresses, ANSWER_S_MAX[number % len(ANSWER_S_MAX)])
        self._stop_asked = threading.Event()
        self._problem: BaseException | None = None

    def run(self) -> None:
        try:
            for n in itertools.count():
                if self._stop_asked.wait(self._chance.random() * PAUSE_S_MAX):
                    return
                chapter = self._record.chapters.turn()
                self.ask(*commands(self._chance, chapter, f"{self._number}.{n}"))
        except BaseException as problem:
            self._problem = problem
        finally:
            self._wires.close()

    def ask(self, *command: str) -> bool:
        how, reply, called = self._wires.ask(*command)
        now = time.monotonic()
        if how == "refused":
            self._record.add_refused(command, reply)
            self._stop_asked.wait(0.02)
            return False
        returned = now if how == "answered" else None
        self._record.add(Operation(self._number, called, returned, command, reply))
        return how == "answered"

    def finish(self) -> None:
        self._stop_asked.set()
        self.join(60)
        assert not self.is_alive(), "a command hangs"
        if self._problem is not None:
            raise self._problem


@contextlib.contextmanager
def recording(
    cluster: LocalCluster, chance: random.Random, clients: int = CLIENTS
) -> Iterator[Record]:
    """Clients at work while the body runs; afterwards their history must be linearizable."""
    record = Record(cluster)
    crowd = [Client(n, record, chance.randrange(1 << 31)) for n in range(clients)]
    for client in crowd:
        client.start()
    try:
        record.progress()
        yield record
    finally:
        for client in crowd:
            client.finish()
    cluster.wait_ready()
    reader = Client(clients, record, 0)
    for chapter in range(record.chapters.number + 1):
        for command in last_look(chapter):
            cluster.wait_until(lambda c=command: reader.ask(*c), f"{command} is answered")
    print(record.figures(), end="; ", flush=True)
    started = time.monotonic()
    check(record.operations)
    print(f"no violations (checked in {time.monotonic() - started:.1f} s)", flush=True)
