"""A command is one row: name, handler, arity, flags, where its keys are; as in Redis' own table.

What COMMAND tells of a row is what Redis tells: https://redis.io/docs/latest/commands/command/.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from distrodb.commands.combine import Combine
from distrodb.commands.costs import Cost
from distrodb.commands.key_specs import NO_KEYS, KeySpec
from distrodb.commands.usage import usage_of
from distrodb.errors import invariant
from distrodb.resp.reply import ErrorReply, Reply, Status

Begin: TypeAlias = tuple[Sequence[bytes], Callable[[Reply], Sequence[bytes]]]


@dataclass(frozen=True)
class Command:
    """``scope`` says what a handler works on:

    key         ``handler(keys, args, context)``: on its keys (keyspace/keys.py)
    partition   ``handler(store, args, context)``: whole partitions; ``combine`` says which ones
                are asked, and how their replies become one
    session     ``handler(session, args)``: a command that the slave itself answers (api.py)

    A command with ``subcommands`` is a name for those: which one runs is said by its second word,
    and each has a row of its own, named ``client|id``.
    """

    name: str  # lower case
    handler: Callable[..., Any]
    arity: int  # Redis': with the name; negative: at least so many
    flags: frozenset[str]
    keys: tuple[KeySpec, ...] = NO_KEYS
    scope: str = "key"
    group: str = "string"
    summary: str = ""
    since: str = "1.0.0"
    level: int = 1  # used when the cluster map has it: all slaves know it then (ring/levels.py)
    categories: frozenset[str] = frozenset()  # of ACL
    tips: tuple[str, ...] = ()  # how cluster clients spread it: redis.io "command tips"
    combine: Combine | None = None  # of a command on whole partitions, and of no other
    # Microseconds that it takes, about (costs.py); None: what its words alone take.
    cost: Cost | None = None
    # Of one that may wait until there is something: seconds (0: for ever), or None if it does not.
    timeout_of: Callable[[Sequence[bytes]], float | ErrorReply | None] | None = None
    is_logged: bool = False  # it goes into the log, though Redis does not call it a write
    # Of one that may wait: what is asked before, and what makes of the reply what is asked then.
    begin_of: Callable[[Sequence[bytes]], Begin | None] | None = None
    # Of one that may wait for entries that a group of consumers gives out: which group.
    group_waited_for: Callable[[Sequence[bytes]], bytes] | None = None
    # Where the keys are if the specs cannot say; positions in the arguments.
    find_keys: Callable[[Sequence[bytes]], list[int]] | None = None
    subcommands: Mapping[bytes, "Command"] = field(default_factory=dict)  # by word in capitals
    is_write: bool = field(init=False)
    is_on_keys: bool = field(init=False)
    has_one_key: bool = field(init=False)  # always, at ``first_key``
    # On one key, and not weighed: its time follows from its own words (costs.py).
    is_plain: bool = field(init=False)
    first_key: int = field(init=False)
    words_min: int = field(init=False)  # with the name
    words_max: int = field(init=False)  # beyond all numbers without a bound

    def __post_init__(self) -> None:
        one = self.keys[0] if len(self.keys) == 1 and self.find_keys is None else None
        has_one_key = one is not None and one.is_one
        for name, value in {
            "is_write": "write" in self.flags or self.is_logged,
            "is_on_keys": self.scope == "key",
            "has_one_key": has_one_key,
            "is_plain": has_one_key
            and self.scope == "key"
            and self.cost is None
            and self.timeout_of is None,
            "first_key": one.at if one is not None and has_one_key else 0,
            "words_min": abs(self.arity),
            "words_max": self.arity if self.arity >= 0 else sys.maxsize,
        }.items():
            object.__setattr__(self, name, value)
        invariant(
            (self.combine is not None) == (self.scope == "partition"),
            f"{self.name}: how replies of partitions add up is said for commands on partitions",
        )

    def arity_ok(self, args: Sequence[bytes]) -> bool:
        return self.words_min <= len(args) <= self.words_max

    def key_positions(self, args: Sequence[bytes]) -> list[int]:
        """In the order of the specs; none if the arguments make no sense."""
        if self.find_keys is not None:
            return self.find_keys(args)
        return [position for spec in self.keys for position in spec.positions(args)]

    def keys_of(self, args: Sequence[bytes]) -> list[bytes]:
        return [args[position] for position in self.key_positions(args)]

    def keys_waited_for(self, args: Sequence[bytes]) -> list[bytes]:
        """Where a command that waits finds something; where it puts that is none of them."""
        found = self.keys_with_flags(args)
        return [args[position] for position, flags in found if "insert" not in flags]

    def keys_with_flags(self, args: Sequence[bytes]) -> list[tuple[int, str]]:
        """The same positions, and what is done with the key there: where options decide, by what
        they say."""
        if self.find_keys is None and not any("variable_flags" in spec.flags for spec in self.keys):
            specs = self.keys
            return [(place, spec.flags) for spec in specs for place in spec.positions(args)]
        return [(place, self._flags(args, place)) for place in self.key_positions(args)]

    def _flags(self, args: Sequence[bytes], position: int) -> str:
        spec = next((spec for spec in self.keys if position in spec.positions(args)), None)
        if spec is None:  # ``find_keys`` has found it: a destination
            return self.keys[-1].flags
        options = {word.upper() for word in args[3 if self.name == "set" else 2 :]}
        if self.name == "set" and b"GET" not in options:
            return "OW update"
        if self.name == "bitfield" and not options & {b"SET", b"INCRBY"}:
            return "RO access"
        return spec.flags.removesuffix(" variable_flags")

    def subcommand(self, args: Sequence[bytes]) -> "Command | None":
        """The row that these arguments ask for; None if there is no such subcommand."""
        if not self.subcommands or len(args) < 2:
            return self
        return self.subcommands.get(args[1]) or self.subcommands.get(args[1].upper())


# What Redis may send to its replicas though it is no write; COMMAND does not show that.
MAY_REPLICATE = frozenset({"publish", "spublish", "pfcount"})
# How cluster clients spread a command and add up its replies: redis.io "command tips".
SUM = ("request_policy:multi_shard", "response_policy:agg_sum")
# The ACL category of a group of commands, where it has another name or none.
_CATEGORIES = {
    "generic": "keyspace",
    "server": "",
    "cluster": "",
    "pubsub": "",  # by their flag
    "transactions": "transaction",
    "scripting": "scripting",
    "sorted-set": "sortedset",
}


def _categories(group: str, flags: frozenset[str], more: str) -> frozenset[str]:
    """As Redis derives them (server.c, setImplicitACLCategories)."""
    found = {*more.split(), _CATEGORIES.get(group, group)} - {""}
    if "write" in flags:
        found.add("write")
    if "readonly" in flags and "scripting" not in found:
        found.add("read")
    if "admin" in flags:
        found |= {"admin", "dangerous"}
    found |= flags & {"pubsub", "blocking"}
    found.add("fast" if "fast" in flags else "slow")
    return frozenset(found)


def data_row(
    name: str,
    handler: Callable[..., Any],
    arity: int,
    flags: str,
    keys: tuple[KeySpec, ...],
    group: str,
    summary: str,
    since: str = "1.0.0",
    *,
    tips: tuple[str, ...] = (),
    acl: str = "",
    combine: Combine | None = None,
    find_keys: Callable[[Sequence[bytes]], list[int]] | None = None,
    cost: Cost | None = None,
    level: int = 1,
    timeout_of: Callable[[Sequence[bytes]], float | ErrorReply | None] | None = None,
    begin_of: Callable[[Sequence[bytes]], Begin | None] | None = None,
    group_waited_for: Callable[[Sequence[bytes]], bytes] | None = None,
    is_logged: bool = False,
) -> Command:
    """The row of a command on data: on keys, or on whole partitions.  ``flags`` as COMMAND shows
    them; ``acl``: its ACL categories beside those that follow from group and flags."""
    words = frozenset(flags.split())
    return Command(
        name=name,
        handler=handler,
        arity=arity,
        flags=words,
        keys=keys,
        scope="key" if keys else "partition",
        group=group,
        summary=summary,
        since=since,
        categories=_categories(group, words, acl),
        tips=tips,
        combine=combine,
        find_keys=find_keys,
        cost=cost,
        level=level,
        timeout_of=timeout_of,
        begin_of=begin_of,
        group_waited_for=group_waited_for,
        is_logged=is_logged,
    )


def session_row(
    name: str,
    handler: Callable[..., Any],
    arity: int,
    flags: str,
    group: str,
    summary: str,
    since: str = "1.0.0",
    *,
    keys: tuple[KeySpec, ...] = NO_KEYS,
    tips: tuple[str, ...] = (),
    acl: str = "",
) -> Command:
    """The row of a command that the slave itself answers."""
    words = frozenset(flags.split())
    return Command(
        name=name,
        handler=handler,
        arity=arity,
        flags=words,
        keys=keys,
        scope="session",
        group=group,
        summary=summary,
        since=since,
        categories=_categories(group, words, acl),
        tips=tips,
    )


def container(
    name: str, group: str, summary: str, since: str, rows: Sequence[Command], *, acl: str = ""
) -> Command:
    """A command that is a name for its subcommands; their rows are named ``name|word``, and HELP
    tells of them."""
    rows = [*rows, _help_row(name, group, since, rows, acl)]
    by_word = {row.name.split("|")[1].upper().encode(): row for row in rows}
    invariant(
        all(row.name.startswith(f"{name}|") for row in rows), f"{name}: a subcommand of another"
    )
    return Command(
        name=name,
        handler=_runs_not,
        arity=-2,
        flags=frozenset(),
        scope="session",
        group=group,
        summary=summary,
        since=since,
        categories=frozenset({*acl.split(), "slow"}),
        subcommands=by_word,
    )


def _help_row(name: str, group: str, since: str, rows: Sequence[Command], acl: str) -> Command:
    lines = [f"{name.upper()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for row in rows:
        word = row.name.split("|")[1].upper()
        lines += [f"{word} {usage_of(row.name)}".rstrip(), f"    {row.summary}"]
    lines += ["HELP", "    Prints this help."]
    reply = [Status(line.encode()) for line in lines]
    summary = "Tells of the subcommands."
    return session_row(
        f"{name}|help", lambda *_: reply, 2, "loading stale", group, summary, since, acl=acl
    )


def _runs_not(*_: object) -> None:
    raise AssertionError("a subcommand is looked up before anything runs")
