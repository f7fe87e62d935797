"""What a group asks of its surroundings, and what it hands out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from distrodb.errors import VersionError
from distrodb.keyspace.context import Unsettled
from distrodb.keyspace.entry import Payload
from distrodb.keyspace.origins import Mark, NoReply
from distrodb.keyspace.watched import Watched
from distrodb.keyspace.weights import Weightless, Weights
from distrodb.resp.reply import Reply


class Machine(Protocol):
    """A replicated state machine; deterministic, never raises for bad input of a client."""

    @property
    def now_ms(self) -> int: ...  # the newest entry's time

    @property
    def limits(self) -> tuple[int, ...]: ...  # this slave's own, for the entries that it proposes

    def execute(self, place: int, args: Sequence[bytes], now_ms: int) -> Reply: ...

    def execute_all(
        self, commands: Sequence[tuple[int, Sequence[bytes]]], now_ms: int
    ) -> list[Reply]:
        """``execute`` for each of these places and words, in their order."""

    def execute_once(
        self, mark: Mark, place: int, args: Sequence[bytes], now_ms: int
    ) -> "Reply | NoReply":
        """A command that may have run before; then it does not run again."""

    def apply(self, payload: Payload) -> "Sequence[Reply | NoReply]":
        """Raises ``VersionError`` for what it does not know: it is not skipped."""

    def advance(self, now_ms: int, expire_max: int) -> None:
        """What ``apply`` does before the commands of an entry."""

    def read(self, place: int, args: Sequence[bytes], now_ms: int) -> "Reply | Unsettled":
        """A command that reads, at a time not before the newest entry's.  UNSETTLED: the reply
        depends on that time, so an entry of it must be applied before it is given."""

    @property
    def light(self) -> Container[bytes]: ...  # names of commands that need not be weighed

    def weights(self) -> Weights | Weightless: ...  # what commands would take, if they ran now

    @property
    def watched(self) -> Watched: ...  # its keys that transactions depend on

    @property
    def next_expiry_ms(self) -> float: ...  # when an entry is due that removes what has expired

    def snapshot(self) -> Iterator[bytes]: ...

    def size_estimate(self) -> int: ...  # bytes that a snapshot would have, about


class Request(Protocol):
    """A client's command on its way through a group."""

    @property
    def slot(self) -> int: ...  # -1: the whole partition

    @property
    def place(self) -> int: ...  # database and slot: see keyspace/place_number.py

    args: Sequence[bytes]  # a transaction's change when its conditions are decided on

    @property
    def is_write(self) -> bool: ...

    @property
    def size(self) -> int: ...  # bytes

    def resolve(self, reply: Reply) -> None: ...


class Burst(ABC):
    """Requests of one connection that came together, on their way through a group as one.  None of
    them has to be weighed, or was forwarded."""

    __slots__ = ("commands", "size", "words", "writes")

    commands: list[tuple[int, Sequence[bytes]]]  # places and words, in their order
    writes: Sequence[tuple[int, Sequence[bytes]]]  # those of them that write
    size: int  # bytes of all of them
    words: int

    @abstractmethod
    def resolve(self, replies: list[Reply]) -> None:
        """All of them are answered, in their order."""

    @abstractmethod
    def singles(self) -> Sequence[Request]:
        """The same as requests of their own, where they may fare differently."""


class Marked(ABC):
    """A ``Request`` that will be asked again, here or elsewhere, if it is not answered with a
    reply.  A write has a mark by which the log tells whether it has run before; a read has none."""

    __slots__ = ("mark",)

    mark: Mark | None

    @abstractmethod
    def fail(self, why: NoReply) -> None:
        """In place of ``resolve``."""


@dataclass(frozen=True, slots=True)
class SnapshotWrite:
    """An effect: make a snapshot durable, off the event loop (``run``), then tell the core what
    came of it (``snapshot_written``).  With ``restore`` it came from a leader and is decoded."""

    group: int
    index: int
    term: int
    chunks: Iterable[bytes]
    restore: Callable[[Iterable[bytes]], "Machine"] | None = None

    def run(self, write: Callable[[Iterable[bytes]], object]) -> "SnapshotDone":
        """``write`` makes the chunks durable."""
        run = SnapshotRun(self)
        if run.chunks is not None:
            write(run.chunks)
        return run.done()


class SnapshotRun:
    """One execution of a ``SnapshotWrite``, in another thread than the group's: what the group
    needs to know comes back by value (``done``), so the group looks at nothing that it changes."""

    def __init__(self, write: SnapshotWrite):
        self._write, self._size = write, 0
        self._machine: Machine | None = None
        self._damage = ""
        self.chunks: Iterator[bytes] | None = None  # None: it came damaged, and is not written
        chunks: Iterable[bytes] = write.chunks
        if write.restore is not None:
            chunks = list(chunks)
            try:
                self._machine = write.restore(chunks)
            except (ValueError, VersionError) as problem:
                self._damage = str(problem)
        if write.restore is None or self._machine is not None:
            self.chunks = self._counted(chunks)

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._size += len(chunk)
            yield chunk

    def done(self) -> "SnapshotDone":
        return SnapshotDone(self._write, self._size, self._machine, self._damage)


@dataclass(frozen=True, slots=True)
class SnapshotDone:
    """A snapshot is durable; or it came damaged, or in a version that is not known, and was not
    written (size 0)."""

    write: SnapshotWrite
    size: int  # bytes
    machine: "Machine | None"  # that it was decoded to, if it came from a leader
    damage: str = ""  # what is wrong with it, if it was not taken


@dataclass(frozen=True, slots=True)
class Copying:
    """A snapshot on its way from here to a member, in bytes; ``total`` is an estimate."""

    to: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class GroupOptions:
    heartbeat_s: float
    election_timeout_s: float
    unknown_after_s: float
    snapshot_log_bytes: int
    batch_bytes_max: int
    transaction_ms_max: int
    queue_max: int
    queue_bytes_max: int
