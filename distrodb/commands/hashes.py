"""Hash commands (https://redis.io/docs/latest/commands/?group=hash)."""

from collections.abc import Sequence

from distrodb.commands.command import data_row
from distrodb.commands.costs import LISTED_NS, walked
from distrodb.commands.error_replies import wrong_arity
from distrodb.commands.key_specs import DELETES, LOOKS, READS, one
from distrodb.commands.strings import over_limits
from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import GENERIC, HASH, Keys
from distrodb.resp.reply import Reply, error


def hset(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    if len(args) % 2:
        return wrong_arity("hset")
    key, pairs = args[1], list(zip(args[2::2], args[3::2], strict=True))
    for field, value in pairs:
        if problem := over_limits(context, key, value):
            return problem
        if len(field) > context.limits.value_bytes_max:
            limit = context.limits.value_bytes_max
            return error("ERR", f"field exceeds value_bytes_max ({limit} bytes)")
    written = keys.container_to_write(key, Hash)
    count = sum(written.set(field, value) for field, value in pairs)
    keys.event(HASH, b"hset", key)
    return count


def hget(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    found = keys.container(args[1], Hash)
    return None if found is None else found.get(args[2])


def hdel(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, fields = args[1], args[2:]
    found = keys.container(key, Hash)
    if found is None or not any(field in found for field in fields):
        return 0
    written = keys.container_to_write(key, Hash)
    count = sum(written.delete(field) for field in fields)
    keys.event(HASH, b"hdel", key)
    keys.drop_if_empty(key)
    if key not in keys:
        keys.event(GENERIC, b"del", key)
    return count


def hgetall(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    found = keys.container(args[1], Hash)
    return {} if found is None else dict(found.fields.items())


def hlen(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return len(keys.container(args[1], Hash) or ())


COMMANDS = (
    data_row(
        "hset",
        hset,
        -4,
        "write denyoom fast",
        one("RW update"),
        "hash",
        "Sets fields of a hash.",
        "2.0.0",
    ),
    data_row("hget", hget, 3, "readonly fast", READS, "hash", "Returns a field.", "2.0.0"),
    data_row("hdel", hdel, -3, "write fast", DELETES, "hash", "Deletes fields.", "2.0.0"),
    data_row(
        "hgetall",
        hgetall,
        2,
        "readonly",
        READS,
        "hash",
        "Returns a whole hash.",
        "2.0.0",
        cost=walked(LISTED_NS),
        tips=("nondeterministic_output_order",),
    ),
    data_row("hlen", hlen, 2, "readonly fast", LOOKS, "hash", "Counts the fields.", "2.0.0"),
)
