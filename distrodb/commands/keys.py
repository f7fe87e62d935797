"""Commands on keys of any type: there, gone, of what type, under another name, in another database.

https://redis.io/docs/latest/commands/?group=generic; those on whole partitions are in keyspaces.py,
when keys expire in expiry.py.
"""

from collections import deque
from collections.abc import Sequence

from distrodb.commands.command import SUM, data_row
from distrodb.commands.costs import COPIED_NS, Sizes, carried
from distrodb.commands.databases import database_index
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.key_specs import LOOKS, many, one
from distrodb.commands.strings import over_limits
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import GENERIC, Keys
from distrodb.resp.reply import OK, ErrorReply, Reply, Status, error

NO_SUCH_KEY = error("ERR", "no such key")
SAME_OBJECT = error("ERR", "source and destination objects are the same")


def del_(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """DEL and UNLINK: here both give the memory back at once."""
    count = 0
    for key in args[1:]:
        if keys.delete(key):
            keys.event(GENERIC, b"del", key)
            count += 1
    return count


def exists(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """EXISTS and TOUCH: when a key was asked for last is not kept."""
    return sum(key in keys for key in args[1:])


def type_(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return Status(keys.kind(args[1]) or b"none")


# -- another name ----------------------------------------------------------------------------------


def _carry(source: Keys, key: bytes, target: Keys, name: bytes) -> None:
    """A key that is there gets another place or name, its expiry too; what was there is gone."""
    value, at_ms = source.value(key), source.expiry(key)
    assert value is not None
    source.delete(key)
    target.put_value(name, value)
    if at_ms is not None:
        target.expire_at(name, at_ms)


def _rename(keys: Keys, args: Sequence[bytes], context: Context, may_replace: bool) -> bool | None:
    """None: there is no such key."""
    key, name = args[1:]
    if key not in keys:
        return None
    if key == name:
        return may_replace
    if not may_replace and name in keys:
        return False
    _carry(keys, key, keys, name)
    keys.event(GENERIC, b"rename_from", key)
    keys.event(GENERIC, b"rename_to", name)
    return True


def rename(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    if problem := over_limits(context, args[2], b""):
        return problem
    return NO_SUCH_KEY if _rename(keys, args, context, True) is None else OK


def renamenx(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    if problem := over_limits(context, args[2], b""):
        return problem
    is_renamed = _rename(keys, args, context, False)
    return NO_SUCH_KEY if is_renamed is None else int(is_renamed)


def copy(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """COPY source destination [DB number] [REPLACE]"""
    key, name = args[1:3]
    target: int | None = None
    may_replace = False
    words = deque(args[3:])
    while words:
        option = words.popleft().upper()
        if option == b"REPLACE":
            may_replace = True
        elif option == b"DB" and words:
            number = database_index(words.popleft(), context.limits.databases)
            if isinstance(number, ErrorReply):
                return number
            target = number
        else:
            return SYNTAX
    to = keys if target in (None, keys.database) else keys.in_database(target or 0)
    if to is keys and key == name:
        return SAME_OBJECT
    if problem := over_limits(context, name, b""):
        return problem
    value = keys.value(key)
    if value is None or (name in to and not may_replace):
        return 0
    to.put_value(name, value if isinstance(value, bytes) else value.clone(value.generation))
    at_ms = keys.expiry(key)
    if at_ms is not None:
        to.expire_at(name, at_ms)
    to.event(GENERIC, b"copy_to", name)
    return 1


def move(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, number = args[1], database_index(args[2], context.limits.databases)
    if isinstance(number, ErrorReply):
        return number
    if number == keys.database:
        return SAME_OBJECT
    target = keys.in_database(number)
    if key not in keys or key in target:
        return 0
    _carry(keys, key, target, key)
    keys.event(GENERIC, b"move_from", key)
    target.event(GENERIC, b"move_to", key)
    return 1


def _copied_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    """Bytes are not copied, containers are."""
    is_container = not isinstance(sizes.value(args[1]), bytes | None)
    return carried(sizes, args) + (sizes.size(args[1]) * COPIED_NS / 1000 if is_container else 0.0)


def _moved_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    sizes.grow(args[1], sizes.size(args[1]))
    return 0.0


_MANY, _GONE = many("RO"), many("RM delete")
_SOURCE = one("RW access delete")

COMMANDS = (
    data_row("del", del_, -2, "write", _GONE, "generic", "Deletes keys.", tips=SUM),
    data_row(
        "unlink", del_, -2, "write fast", _GONE, "generic", "Deletes keys.", "4.0.0", tips=SUM
    ),
    data_row(
        "exists", exists, -2, "readonly fast", _MANY, "generic", "Counts keys that exist.", tips=SUM
    ),
    data_row(
        "touch", exists, -2, "readonly fast", _MANY, "generic", "Counts keys.", "3.2.1", tips=SUM
    ),
    data_row("type", type_, 2, "readonly fast", LOOKS, "generic", "The type of a key's value."),
    data_row(
        "rename",
        rename,
        3,
        "write",
        (*_SOURCE, *one("OW update", 2)),
        "generic",
        "Gives a key another name; what had that name is gone.",
        cost=carried,
    ),
    data_row(
        "renamenx",
        renamenx,
        3,
        "write fast",
        (*_SOURCE, *one("OW insert", 2)),
        "generic",
        "Gives a key another name that no key has.",
        cost=carried,
    ),
    data_row(
        "copy",
        copy,
        -3,
        "write denyoom",
        (*one("RO access"), *one("OW update", 2)),
        "generic",
        "Copies a key.",
        "6.2.0",
        cost=_copied_us,
    ),
    data_row(
        "move",
        move,
        3,
        "write fast",
        one("RW access update"),
        "generic",
        "Moves a key to another database.",
        cost=_moved_us,
    ),
)
