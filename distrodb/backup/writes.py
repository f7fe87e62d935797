"""Records as commands that make the same key of them, whatever was there before.  Pure.

Each may run again without harm, so a command whose outcome is unknown is sent again.  A key of up
to ``WHOLE_BYTES_MAX`` is one command, hence atomic.  A larger container is several, which must run
in their order, each when the one before it is answered: it is deleted, its parts are added, and it
gets its expiry, as a last one.  What is added to a list twice is cut off before more is added.

A new kind of container is a line in ``_ADD_PART``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

import msgpack

from distrodb.backup.records import Record
from distrodb.keyspace.containers.field_expiries import FieldExpiries
from distrodb.keyspace.containers.hash import Hash, fields_of_part
from distrodb.keyspace.containers.list import List
from distrodb.keyspace.containers.set import Set
from distrodb.keyspace.containers.sorted_set import SortedSet
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.dump import dump
from distrodb.resp.doubles import show_double

Command = tuple[bytes | int, ...]  # words; the second is the key
# Bytes, about, of a container that travels as one: an entry of the log, which is applied at once.
WHOLE_BYTES_MAX = 1 << 20
PART_BYTES = 256 * 1024
FIELDS_MAX = 1000  # of one command that says when they expire

# By the tag of a container: the command, without the key, that adds a part of it.
_ADD_PART: Mapping[int, Callable[[list[Any]], tuple[bytes, list[Any]]]] = {
    Hash.tag: lambda part: (b"HSET", [word for row in fields_of_part(part) for word in row[:2]]),
    List.tag: lambda part: (b"RPUSH", part),
    SortedSet.tag: lambda part: (b"ZADD", _scores_first(part)),
    Set.tag: lambda part: (b"SADD", part),
    Stream.tag: lambda part: (b"XPART", [cast(bytes, msgpack.packb(part))]),
}


def _scores_first(part: list[Any]) -> list[Any]:
    pairs = zip(part[::2], part[1::2], strict=True)
    return [word for member, score in pairs for word in (show_double(score), member)]


def commands_of(record: Record) -> Sequence[Command]:
    key, value, at_ms = record.key, record.value, record.expires_at_ms
    if isinstance(value, bytes):
        return [(b"SET", key, value, *(() if at_ms is None else (b"PXAT", at_ms)))]
    if value.size <= WHOLE_BYTES_MAX:
        return [(b"RESTORE", key, at_ms or 0, dump(value), b"REPLACE", b"ABSTTL")]
    commands: list[Command] = [(b"DEL", key)]
    count = 0
    for part, _ in value.parts(PART_BYTES):
        name, words = _ADD_PART[value.tag](part)
        commands.append((name, key, *words))
        if isinstance(value, List):
            count += len(part)
            commands.append((b"LTRIM", key, 0, count - 1))
    if isinstance(value, Hash) and value.expiries is not None:
        commands += _expiring(key, value.expiries)
    if at_ms is not None:
        commands.append((b"PEXPIREAT", key, at_ms))
    return commands


def _expiring(key: bytes, expiries: FieldExpiries) -> Iterator[Command]:
    """Fields that expire at the same time are said at once."""
    for at_ms, group in groupby(expiries.times().items(), itemgetter(1)):
        fields = [field for field, _ in group]
        while fields:
            some, fields = fields[:FIELDS_MAX], fields[FIELDS_MAX:]
            yield (b"HPEXPIREAT", key, at_ms, b"FIELDS", len(some), *some)
