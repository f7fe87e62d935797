"""What is asked of the cluster at once, and what may come of it.

A request goes to one slave.  It is sent again by itself only if it certainly did not happen, or if
it may be repeated (``is_repeatable``: a read, or a write that is the same when it runs twice).
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import redis

Word: TypeAlias = str | bytes | int | float
Command: TypeAlias = tuple[Word, ...]
Key: TypeAlias = str | bytes
T = TypeVar("T")


class OutcomeUnknown(redis.RedisError):
    """A write whose answer is lost, or was ``UNKNOWN``: it may have happened, may happen yet for a
    moment, or never will.  Read before you write again, or write what may be written twice."""


class LeaseLost(redis.RedisError):
    """A lock or a leadership has ended, or may have, while it was believed in."""


@dataclass(frozen=True, slots=True)
class Request:
    """``commands`` are one transaction if ``is_atomic``; else they are sent in one write, and are
    answered one by one.  All keys are in ``key``'s slot; without it ``address`` is asked, and if
    that is None too, anybody."""

    commands: tuple[Command, ...]
    key: Key | None = None
    is_repeatable: bool = False
    is_atomic: bool = False
    address: "tuple[str, int] | None" = None


@dataclass(frozen=True, slots=True)
class Pause:
    """``yield`` it to wait."""

    seconds: float


Steps: TypeAlias = Generator[Request | Pause, Any, T]
