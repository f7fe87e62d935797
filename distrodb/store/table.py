"""The data commands: a row each."""

from distrodb.store import keys, strings
from distrodb.store.command import Command

_READ, _WRITE = frozenset({"readonly", "fast"}), frozenset({"write", "denyoom", "fast"})

# How cluster clients spread a command and add up its replies, as Redis 7 has it.
_SUM = ("request_policy:multi_shard", "response_policy:agg_sum")
_TIPS = {
    "del": _SUM,
    "exists": _SUM,
    "mget": ("request_policy:multi_shard",),
    "mset": ("request_policy:multi_shard", "response_policy:all_succeeded"),
    "dbsize": ("request_policy:all_shards", "response_policy:agg_sum"),
    "flushall": ("request_policy:all_shards", "response_policy:all_succeeded"),
    "scan": ("nondeterministic_output", "request_policy:special", "response_policy:special"),
}


def _row(
    name: str,
    handler: object,
    arity: int,
    flags: frozenset[str],
    position: tuple[int, int, int],
    group: str,
    summary: str,
    since: str = "1.0.0",
) -> Command:
    kind = "write" if "write" in flags else "read"
    return Command(
        name=name,
        handler=handler,  # type: ignore[arg-type]
        arity=arity,
        flags=flags,
        first_key=position[0],
        last_key=position[1],
        key_step=position[2],
        scope="key" if position[0] else "partition",
        group=group,
        summary=summary,
        since=since,
        categories=frozenset({kind, "string" if group == "string" else "keyspace"}),
        tips=_TIPS.get(name, ()),
    )


_ONE, _ALL, _PAIRS, _NONE = (1, 1, 1), (1, -1, 1), (1, -1, 2), (0, 0, 0)

_ROWS = [
    _row("get", strings.get, 2, _READ, _ONE, "string", "Returns the value of a key."),
    _row("set", strings.set_, -3, _WRITE, _ONE, "string", "Sets the value of a key."),
    _row("setnx", strings.setnx, 3, _WRITE, _ONE, "string", "Sets a key that does not exist."),
    _row("mget", strings.mget, -2, _READ, _ALL, "string", "Returns the values of keys."),
    _row("mset", strings.mset, -3, _WRITE, _PAIRS, "string", "Sets the values of keys.", "1.0.1"),
    _row("strlen", strings.strlen, 2, _READ, _ONE, "string", "Length of a value.", "2.2.0"),
    _row("append", strings.append, 3, _WRITE, _ONE, "string", "Appends to a value.", "2.0.0"),
    _row("incr", strings.incr, 2, _WRITE, _ONE, "string", "Increments an integer by one."),
    _row("decr", strings.decr, 2, _WRITE, _ONE, "string", "Decrements an integer by one."),
    _row("incrby", strings.incrby, 3, _WRITE, _ONE, "string", "Increments an integer."),
    _row("decrby", strings.decrby, 3, _WRITE, _ONE, "string", "Decrements an integer."),
    _row("del", keys.del_, -2, frozenset({"write"}), _ALL, "generic", "Deletes keys."),
    _row("exists", keys.exists, -2, _READ, _ALL, "generic", "Counts keys that exist."),
    _row("type", keys.type_, 2, _READ, _ONE, "generic", "The type of a key's value."),
    _row("dbsize", keys.dbsize, 1, _READ, _NONE, "server", "Counts the keys led here."),
    _row("flushall", keys.flushall, -1, frozenset({"write"}), _NONE, "server", "Deletes all."),
    _row("scan", keys.scan, -2, frozenset({"readonly"}), _NONE, "generic", "Walks keys.", "2.8.0"),
]

DATA_COMMANDS: dict[bytes, Command] = {row.name.upper().encode(): row for row in _ROWS}

# What the slave asks a partition on behalf of CLUSTER COUNTKEYSINSLOT; not a client's command.
COUNT_KEYS_IN_SLOT = _row(
    "countkeysinslot", keys.count_keys_in_slot, 2, _READ, _NONE, "cluster", ""
)
