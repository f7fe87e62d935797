"""A command is one row: name, handler, arity, flags, key positions (as in Redis' own table)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from distrodb.commands.combine import Combine
from distrodb.errors import invariant


@dataclass(frozen=True)
class Command:
    """``scope`` says what a handler works on:

    key         ``handler(place, args, context)``: all keys are in one place (keyspace/place.py)
    partition   ``handler(store, args, context)``: whole partitions; ``combine`` says which ones
                are asked, and how their replies become one
    session     ``handler(session, args)``: a command that the slave itself answers (api.py)
    """

    name: str  # lower case
    handler: Callable[..., Any]
    arity: int  # Redis': with the name; negative: at least so many
    flags: frozenset[str]
    first_key: int = 0
    last_key: int = 0  # negative: counted from the end
    key_step: int = 0
    scope: str = "key"
    group: str = "string"
    summary: str = ""
    since: str = "1.0.0"
    categories: frozenset[str] = frozenset()
    tips: tuple[str, ...] = ()  # how cluster clients spread it: redis.io "command tips"
    combine: Combine | None = None  # of a command on whole partitions, and of no other
    is_write: bool = field(init=False)
    is_on_keys: bool = field(init=False)
    has_one_key: bool = field(init=False)
    words_min: int = field(init=False)  # with the name
    words_max: float = field(init=False)  # infinite without a bound

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_write", "write" in self.flags)
        object.__setattr__(self, "is_on_keys", self.scope == "key")
        object.__setattr__(self, "has_one_key", self.first_key == self.last_key)
        object.__setattr__(self, "words_min", abs(self.arity))
        object.__setattr__(self, "words_max", self.arity if self.arity >= 0 else math.inf)
        invariant(
            (self.combine is not None) == (self.scope == "partition"),
            f"{self.name}: how replies of partitions add up is said for commands on partitions",
        )

    def arity_ok(self, args: Sequence[bytes]) -> bool:
        return self.words_min <= len(args) <= self.words_max

    def keys_of(self, args: Sequence[bytes]) -> list[bytes]:
        if self.first_key == 0:
            return []
        last = self.last_key if self.last_key > 0 else len(args) + self.last_key
        return list(args[self.first_key : last + 1 : self.key_step])


READ, WRITE = frozenset({"readonly", "fast"}), frozenset({"write", "denyoom", "fast"})
# Where keys are: first, last (negative: counted from the end), step; as in Redis' own table.
ONE_KEY, ALL_KEYS, PAIRS, NO_KEYS = (1, 1, 1), (1, -1, 1), (1, -1, 2), (0, 0, 0)
# How cluster clients spread a command and add up its replies: redis.io "command tips".
_TYPES = ("string", "hash")  # groups that are ACL categories too
SUM = ("request_policy:multi_shard", "response_policy:agg_sum")


def data_row(
    name: str,
    handler: Callable[..., Any],
    arity: int,
    flags: frozenset[str],
    keys: tuple[int, int, int],
    group: str,
    summary: str,
    since: str = "1.0.0",
    tips: tuple[str, ...] = (),
    combine: Combine | None = None,
) -> Command:
    """The row of a command on data: on keys of one slot, or on whole partitions."""
    kind = "write" if "write" in flags else "read"
    return Command(
        name=name,
        handler=handler,
        arity=arity,
        flags=flags,
        first_key=keys[0],
        last_key=keys[1],
        key_step=keys[2],
        scope="key" if keys[0] else "partition",
        group=group,
        summary=summary,
        since=since,
        categories=frozenset({kind, group if group in _TYPES else "keyspace"}),
        tips=tips,
        combine=combine,
    )


def session_row(
    name: str,
    handler: Callable[..., Any],
    arity: int,
    flags: str,
    group: str,
    summary: str,
    since: str = "1.0.0",
) -> Command:
    """The row of a command that the slave itself answers."""
    return Command(
        name=name,
        handler=handler,
        arity=arity,
        flags=frozenset(flags.split()),
        scope="session",
        group=group,
        summary=summary,
        since=since,
        categories=frozenset({"connection" if group == "connection" else "admin"}),
    )
