"""Commands on keys of any type, and on whole partitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from distrodb.reply import OK, Reply, Status, error
from distrodb.store.command import Context
from distrodb.store.strings import NOT_AN_INTEGER, SYNTAX, Keyspace, parse_integer

if TYPE_CHECKING:
    from distrodb.store.store import Store


def del_(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    return sum(keyspace.pop(key, None) is not None for key in args[1:])


def exists(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    return sum(key in keyspace for key in args[1:])


def type_(keyspace: Keyspace, args: Sequence[bytes], context: Context) -> Reply:
    return Status(b"string" if args[1] in keyspace else b"none")


def dbsize(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    return store.key_count()


def flushall(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    if len(args) > 2 or (len(args) == 2 and args[1].upper() not in (b"SYNC", b"ASYNC")):
        return SYNTAX
    store.clear()
    return OK


def count_keys_in_slot(store: Store, args: Sequence[bytes], context: Context) -> Reply:
    slot = parse_integer(args[1])
    if slot is None or not store.first_slot <= slot <= store.last_slot:
        return error("ERR", "Invalid slot")
    return store.key_count_in_slot(slot)


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
    following, keys = store.scan(position, count, pattern, kind)
    return [b"%d" % (following or 0), list(keys)]
