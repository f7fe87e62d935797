"""What a group asks of its surroundings, and what it hands out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from distrodb.resp.reply import Reply


class Machine(Protocol):
    """A replicated state machine; deterministic, never raises for bad input."""

    now_ms: int

    def execute(self, slot: int, args: Sequence[bytes], now_ms: int) -> Reply: ...

    def apply(self, payload: bytes) -> list[Reply]: ...

    def snapshot(self) -> Iterator[bytes]: ...

    def size_estimate(self) -> int: ...  # bytes that a snapshot would have, about


class Request(Protocol):
    """A client's command on its way through a group."""

    @property
    def slot(self) -> int: ...

    @property
    def args(self) -> Sequence[bytes]: ...

    @property
    def is_write(self) -> bool: ...

    @property
    def size(self) -> int: ...  # bytes

    def resolve(self, reply: Reply) -> None: ...


@dataclass(frozen=True, slots=True)
class SnapshotWrite:
    """An effect: make a snapshot durable, off the event loop, then call ``snapshot_written``."""

    group: int
    index: int
    term: int
    chunks: Iterator[bytes]


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
    queue_max: int
    queue_bytes_max: int
