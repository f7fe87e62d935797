"""Commands on keys of any type, and on whole partitions."""

from collections.abc import Sequence

from distrodb.commands.combine import ALL_OK, FROM_CURSOR, TOTAL
from distrodb.commands.command import SUM, data_row
from distrodb.commands.key_specs import LOOKS, NO_KEYS, many
from distrodb.commands.strings import NOT_AN_INTEGER, SYNTAX, parse_integer
from distrodb.keyspace.context import Context
from distrodb.keyspace.glob import PATTERN_BYTES_MAX
from distrodb.keyspace.keys import Keys
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.store import Store
from distrodb.resp.reply import OK, Reply, Status, error


def del_(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return sum(keys.delete(key) for key in args[1:])


def exists(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return sum(key in keys for key in args[1:])


def type_(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return Status(keys.kind(args[1]) or b"none")


def dbsize(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    return store.key_count(context.database)


def flushall(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    if len(args) > 2 or (len(args) == 2 and args[1].upper() not in (b"SYNC", b"ASYNC")):
        return SYNTAX
    store.clear()
    return OK


def count_keys_in_slot(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    slot = parse_integer(args[1])
    if slot is None or not store.first_slot <= slot <= store.last_slot:
        return error("ERR", "Invalid slot")
    return store.key_count_at(place_of(context.database, slot))


def scan(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    """SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]; see ``Store.scan``."""
    position = parse_integer(args[1])
    if position is None or position < 0:
        return error("ERR", "invalid cursor")
    pattern: bytes | None = None
    kind: bytes | None = None
    count = 10
    if len(args) % 2:
        return SYNTAX
    for option, value in zip(args[2::2], args[3::2], strict=True):
        option = option.upper()
        if option == b"MATCH":
            if len(value) > PATTERN_BYTES_MAX:
                return error("ERR", f"a pattern is longer than {PATTERN_BYTES_MAX} bytes")
            pattern = value
        elif option == b"TYPE":
            kind = value.lower()
        elif option == b"COUNT":
            number = parse_integer(value)
            if number is None:
                return NOT_AN_INTEGER
            if number < 1:
                return SYNTAX
            count = number
        else:
            return SYNTAX
    following, keys = store.scan(position, count, pattern, kind, context.database)
    return [b"%d" % (following or 0), list(keys)]


_EACH = "request_policy:all_shards"
_SPECIAL = ("nondeterministic_output", "request_policy:special")

COMMANDS = (
    data_row("del", del_, -2, "write", many("RM delete"), "generic", "Deletes keys.", tips=SUM),
    data_row(
        "exists",
        exists,
        -2,
        "readonly fast",
        many("RO"),
        "generic",
        "Counts keys that exist.",
        tips=SUM,
    ),
    data_row("type", type_, 2, "readonly fast", LOOKS, "generic", "The type of a key's value."),
    data_row(
        "dbsize",
        dbsize,
        1,
        "readonly fast",
        NO_KEYS,
        "server",
        "Counts the keys led here.",
        tips=(_EACH, "response_policy:agg_sum"),
        acl="keyspace",
        combine=TOTAL,
    ),
    data_row(
        "flushall",
        flushall,
        -1,
        "write",
        NO_KEYS,
        "server",
        "Deletes all.",
        tips=(_EACH, "response_policy:all_succeeded"),
        acl="keyspace dangerous",
        combine=ALL_OK,
    ),
    data_row(
        "scan",
        scan,
        -2,
        "readonly",
        NO_KEYS,
        "generic",
        "Walks keys.",
        "2.8.0",
        tips=_SPECIAL,
        combine=FROM_CURSOR,
    ),
)

# What the slave asks a partition on behalf of CLUSTER COUNTKEYSINSLOT; not a client's command.
COUNT_KEYS_IN_SLOT = data_row(
    "countkeysinslot",
    count_keys_in_slot,
    2,
    "readonly fast",
    NO_KEYS,
    "cluster",
    "",
    combine=TOTAL,
)
