"""Hash commands (https://redis.io/docs/latest/commands/?group=hash)."""

from collections.abc import Sequence

from distrodb.commands.command import ONE_KEY, READ, WRITE, data_row
from distrodb.commands.error_replies import wrong_arity
from distrodb.commands.strings import over_limits
from distrodb.keyspace.context import Context
from distrodb.keyspace.place import Place
from distrodb.keyspace.values import Hash
from distrodb.resp.reply import Reply, error


def hset(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    if len(args) % 2:
        return wrong_arity("hset")
    key, pairs = args[1], list(zip(args[2::2], args[3::2], strict=True))
    for field, value in pairs:
        if problem := over_limits(context, key, value):
            return problem
        if len(field) > context.limits.value_bytes_max:
            limit = context.limits.value_bytes_max
            return error("ERR", f"field exceeds value_bytes_max ({limit} bytes)")
    written = place.container_to_write(key, Hash)
    return sum(written.set(field, value) for field, value in pairs)


def hget(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    found = place.container(args[1], Hash)
    return None if found is None else found.get(args[2])


def hdel(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    key, fields = args[1], args[2:]
    found = place.container(key, Hash)
    if found is None or not any(field in found for field in fields):
        return 0
    written = place.container_to_write(key, Hash)
    count = sum(written.delete(field) for field in fields)
    place.drop_if_empty(key)
    return count


def hgetall(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    found = place.container(args[1], Hash)
    return {} if found is None else dict(found.fields.items())


def hlen(place: Place, args: Sequence[bytes], context: Context) -> Reply:
    return len(place.container(args[1], Hash) or ())


_SLOW_READ = frozenset({"readonly"})

COMMANDS = (
    data_row("hset", hset, -4, WRITE, ONE_KEY, "hash", "Sets fields of a hash.", "2.0.0"),
    data_row("hget", hget, 3, READ, ONE_KEY, "hash", "Returns a field of a hash.", "2.0.0"),
    data_row(
        "hdel",
        hdel,
        -3,
        frozenset({"write", "fast"}),
        ONE_KEY,
        "hash",
        "Deletes fields of a hash.",
        "2.0.0",
    ),
    data_row("hgetall", hgetall, 2, _SLOW_READ, ONE_KEY, "hash", "Returns a whole hash.", "2.0.0"),
    data_row("hlen", hlen, 2, READ, ONE_KEY, "hash", "Counts the fields of a hash.", "2.0.0"),
)
