"""Entries of a stream that are deleted together with what groups still know of them: XDELEX and
XACKDEL, as since Redis 8.2.

KEEPREF deletes whatever references an entry; DELREF takes it out of all groups too; ACKED deletes
what no group references (containers/stream_trimming.py says when one does).
"""

from collections.abc import Iterable, Sequence
from functools import partial

from distrodb.commands.command import data_row
from distrodb.commands.costs import Sizes
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.key_specs import one
from distrodb.commands.stream_arguments import REFERENCES, Wrong, integer, strict_id
from distrodb.commands.stream_groups import group_to_write
from distrodb.commands.streams import OPENED_US, refusing
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.containers.stream_group import GROUP_BYTES
from distrodb.keyspace.containers.stream_trimming import References, forget, is_referenced
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import STREAM, Keys
from distrodb.resp.reply import Reply, error

NOT_THERE, DELETED, REFERENCED = -1, 1, 2
NO_COUNT = error("ERR", "Number of IDs must be a positive integer")
NO_MATCH = error("ERR", "The `numids` parameter must match the number of arguments")

ASKED_US = 0.2  # of a group that is asked for an entry
_GROUPS_MAX = 100  # that are reckoned with: a large stream seldom has more


def _parse(args: Sequence[bytes]) -> tuple[References, list[int]]:
    """[KEEPREF | DELREF | ACKED] IDS count id [id ...], in any order.  Raises ``Wrong``."""
    how: References | None = None
    texts, place = args[:0], 0
    while place < len(args):
        word = args[place].upper()
        if word in REFERENCES and how is None:
            how = REFERENCES[word]
            place += 1
        elif word == b"IDS" and place + 1 < len(args):
            count = integer(args[place + 1], NO_COUNT)
            if count < 1:
                raise Wrong(NO_COUNT)
            if count > len(args) - place - 2:
                raise Wrong(NO_MATCH)
            texts = args[place + 2 : place + 2 + count]
            place += 2 + count
        else:
            raise Wrong(SYNTAX)
    if not texts:
        raise Wrong(SYNTAX)
    return how or References.KEEP, list(map(strict_id, texts))


def _delete(keys: Keys, key: bytes, numbers: Iterable[int]) -> None:
    if numbers and keys.container_to_write(key, Stream).delete(numbers):
        keys.event(STREAM, b"xdel", key)


def _forget(keys: Keys, key: bytes, numbers: Iterable[int]) -> None:
    """No group has them pending any more."""
    for number in numbers:
        forget(keys.container_to_mark(key, Stream), number)


@refusing
def xdelex(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key = args[1]
    how, numbers = _parse(args[2:])
    stream = keys.container(key, Stream)
    if stream is None:
        return [NOT_THERE] * len(numbers)
    finder = stream.finder()
    there = {number for number in numbers if finder.find(number) is not None}
    reply: list[Reply] = []
    deleted: set[int] = set()
    for number in numbers:
        if number not in there or number in deleted:
            reply.append(NOT_THERE)
        elif how is References.ACKED and is_referenced(stream, number):
            reply.append(REFERENCED)
        else:
            deleted.add(number)
            reply.append(DELETED)
    if how is References.DELETE:
        _forget(keys, key, numbers)
    _delete(keys, key, deleted)
    return reply


@refusing
def xackdel(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, name = args[1], args[2]
    how, numbers = _parse(args[3:])
    stream = keys.container(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if stream is None or group is None:
        return [NOT_THERE] * len(numbers)
    reply: list[Reply] = []
    acknowledged: set[int] = set()
    kept: set[int] = set()
    for number in numbers:
        if number not in group.pending or number in acknowledged:
            reply.append(NOT_THERE)
            continue
        acknowledged.add(number)
        if how is References.ACKED and is_referenced(stream, number, but=name):
            kept.add(number)
        reply.append(REFERENCED if number in kept else DELETED)
    if how is References.DELETE:
        _forget(keys, key, sorted(acknowledged))
    elif acknowledged:
        group = group_to_write(keys, key, name)
        for number in sorted(acknowledged):
            group.acknowledge(number)
    _delete(keys, key, acknowledged - kept)
    return reply


# -- rows ------------------------------------------------------------------------------------------


def _us(sizes: Sizes, args: Sequence[bytes]) -> float:
    groups = min(sizes.size(args[1]) / GROUP_BYTES, _GROUPS_MAX)
    return len(args) * (OPENED_US + groups * ASKED_US)


_row = partial(data_row, level=2)

COMMANDS = (
    _row(
        "xdelex",
        xdelex,
        -5,
        "write fast",
        one("RW delete"),
        "stream",
        "Deletes entries, and says what becomes of what groups know of them.",
        "8.2.0",
        cost=_us,
    ),
    _row(
        "xackdel",
        xackdel,
        -6,
        "write fast",
        one("RW delete update"),
        "stream",
        "Says that entries need not be pending any more, and deletes them.",
        "8.2.0",
        cost=_us,
    ),
)
