"""Commands on whole partitions: KEYS SCAN RANDOMKEY DBSIZE FLUSHDB FLUSHALL.

All but FLUSHALL speak of the database that is selected.  How the answers of partitions become one
is in each row (combine.py).
"""

from collections import deque
from collections.abc import Sequence

from distrodb.commands.combine import (
    ALL_OK,
    ANY_KEY,
    CONCATENATED,
    FROM_CURSOR,
    INVALID_CURSOR,
    TOTAL,
    cursor_of,
)
from distrodb.commands.command import data_row
from distrodb.commands.costs import KEY_US, Sizes, of_all_keys, of_all_slots, of_any_key
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.key_specs import NO_KEYS
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.keyspace.context import Context
from distrodb.keyspace.glob import LONG_PATTERN, PATTERN_BYTES_MAX
from distrodb.keyspace.store import Store
from distrodb.resp.reply import OK, Reply


def dbsize(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    return store.key_count(context.database)


def keys_(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    if len(args[1]) > PATTERN_BYTES_MAX:
        return LONG_PATTERN
    return list(store.share(context.database).matching(args[1]))


def randomkey(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    """Of one partition: how many keys it has, the number by which one was chosen, and that one."""
    number = store.any_number()
    key = store.share(context.database).any_key(number)
    return [] if key is None else [store.key_count(context.database), number, key]


def _flushes(args: Sequence[bytes]) -> bool:
    """Both options mean the same here: it is done when it is answered."""
    return len(args) == 1 or (len(args) == 2 and args[1].upper() in (b"SYNC", b"ASYNC"))


def flushdb(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    if not _flushes(args):
        return SYNTAX
    store.clear(context.database)
    return OK


def flushall(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    if not _flushes(args):
        return SYNTAX
    store.clear()
    return OK


def scan(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    """SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]; see ``Share.scan``."""
    position = cursor_of(args[1])
    if position is None:
        return INVALID_CURSOR
    pattern: bytes | None = None
    kind: bytes | None = None
    count = 10
    words = deque(args[2:])
    while words:
        option, value = words.popleft().upper(), words.popleft() if words else None
        if option == b"COUNT" and value is not None:
            number = parse_integer(value)
            if number is None:
                return NOT_AN_INTEGER
            if number < 1:
                return SYNTAX
            count = number
        elif option == b"MATCH" and value is not None:
            pattern = value
        elif option == b"TYPE" and value is not None:
            kind = value.lower()
        else:
            return SYNTAX
    if pattern is not None and len(pattern) > PATTERN_BYTES_MAX:
        return LONG_PATTERN
    following, keys = store.share(context.database).scan(position, count, pattern, kind)
    return [b"%d" % (following or 0), list(keys)]


def _scanned_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    """As many keys as the largest number says."""
    count = max([10, *(parse_integer(word) or 0 for word in args[2:])])
    return min(count, sizes.key_count) * KEY_US


_EACH = "request_policy:all_shards"
_ALL_SUCCEED = (_EACH, "response_policy:all_succeeded")

COMMANDS = (
    data_row(
        "keys",
        keys_,
        2,
        "readonly",
        NO_KEYS,
        "generic",
        "All keys that a pattern fits.",
        tips=(_EACH, "nondeterministic_output_order"),
        acl="dangerous",
        combine=CONCATENATED,
        cost=of_all_keys,
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
        tips=("nondeterministic_output", "request_policy:special"),
        combine=FROM_CURSOR,
        cost=_scanned_us,
    ),
    data_row(
        "randomkey",
        randomkey,
        1,
        "readonly",
        NO_KEYS,
        "generic",
        "Any key.",
        tips=(_EACH, "nondeterministic_output"),
        combine=ANY_KEY,
        cost=of_any_key,
    ),
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
        cost=of_all_slots,
    ),
    data_row(
        "flushdb",
        flushdb,
        -1,
        "write",
        NO_KEYS,
        "server",
        "Deletes all keys of this database.",
        tips=_ALL_SUCCEED,
        acl="keyspace dangerous",
        combine=ALL_OK,
    ),
    data_row(
        "flushall",
        flushall,
        -1,
        "write",
        NO_KEYS,
        "server",
        "Deletes all keys of all databases.",
        tips=_ALL_SUCCEED,
        acl="keyspace dangerous",
        combine=ALL_OK,
    ),
)
