"""Entries of a stream that are deleted together with what groups still know of them: XDELEX and
XACKDEL, as since Redis 8.2.

A group refers to an entry that is pending in it, and to one that it has not read yet.  KEEPREF
deletes whatever refers to it; DELREF takes it out of all groups too; ACKED deletes what no group
refers to, so anything of a stream without groups, as XTRIM does (stream_trimming.py).
"""

from collections.abc import Collection, Sequence
from functools import partial

from distrodb.commands.command import data_row
from distrodb.commands.costs import Sizes
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.key_specs import one
from distrodb.commands.stream_arguments import Wrong, integer, strict_id
from distrodb.commands.stream_groups import group_to_write
from distrodb.commands.streams import OPENED_US, refusing
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.containers.stream_group import GROUP_BYTES
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import STREAM, Keys
from distrodb.keyspace.stream_ids import ID_MAX
from distrodb.resp.reply import Reply, error

KEEP, DROP, ACKED = b"KEEPREF", b"DELREF", b"ACKED"
NOT_THERE, DELETED, REFERRED_TO = -1, 1, 2
NO_COUNT = error("ERR", "Number of IDs must be a positive integer")
NO_MATCH = error("ERR", "The `numids` parameter must match the number of arguments")

ASKED_US = 0.2  # of a group that is asked for an entry
_GROUPS_MAX = 100  # that are reckoned with: a large stream seldom has more


def _parse(args: Sequence[bytes]) -> tuple[bytes, list[int]]:
    """[KEEPREF | DELREF | ACKED] IDS count id [id ...], in any order.  Raises ``Wrong``."""
    how, texts, place = b"", args[:0], 0
    while place < len(args):
        word = args[place].upper()
        if word in (KEEP, DROP, ACKED) and not how:
            how = word
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
    return how or KEEP, list(map(strict_id, texts))


def _referred_to(stream: Stream, numbers: Collection[int], but: bytes | None = None) -> set[int]:
    """Those of these that a group refers to; ``but``: whatever is pending in this one."""
    groups = stream.groups.values()
    least = min((group.last_id for group in groups), default=ID_MAX)
    found = {number for number in numbers if number > least}
    for group in groups:
        if group.name != but:
            found |= group.pending.keys() & set(numbers)
    return found


def _delete(keys: Keys, key: bytes, numbers: set[int], event: bytes) -> None:
    if numbers and keys.container_to_write(key, Stream).delete(numbers):
        keys.event(STREAM, event, key)


def _forget(keys: Keys, key: bytes, stream: Stream, numbers: set[int]) -> None:
    """No group has them pending any more."""
    for name in [group.name for group in stream.groups.values()]:
        there = sorted(stream.groups[name].pending.keys() & numbers)
        if there:
            group = group_to_write(keys, key, name)
            for number in there:
                group.acknowledge(number)


@refusing
def xdelex(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key = args[1]
    how, numbers = _parse(args[2:])
    stream = keys.container(key, Stream)
    if stream is None:
        return [NOT_THERE] * len(numbers)
    finder = stream.finder()
    there = {number for number in numbers if finder.find(number) is not None}
    kept = _referred_to(stream, numbers) if how == ACKED else set()
    reply: list[Reply] = []
    deleted: set[int] = set()
    for number in numbers:
        if number not in there or number in deleted:
            reply.append(NOT_THERE)
        elif number in kept:
            reply.append(REFERRED_TO)
        else:
            deleted.add(number)
            reply.append(DELETED)
    if how == DROP:
        _forget(keys, key, stream, set(numbers))
    _delete(keys, key, deleted, b"xdel")
    return reply


@refusing
def xackdel(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, name = args[1], args[2]
    how, numbers = _parse(args[3:])
    stream = keys.container(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if stream is None or group is None:
        return [NOT_THERE] * len(numbers)
    kept = _referred_to(stream, numbers, name) if how == ACKED else set()
    reply: list[Reply] = []
    acknowledged: set[int] = set()
    for number in numbers:
        if number not in group.pending or number in acknowledged:
            reply.append(NOT_THERE)
        else:
            acknowledged.add(number)
            reply.append(REFERRED_TO if number in kept else DELETED)
    if how == DROP:
        _forget(keys, key, stream, acknowledged)
    elif acknowledged:
        group = group_to_write(keys, key, name)
        for number in sorted(acknowledged):
            group.acknowledge(number)
    _delete(keys, key, acknowledged - kept, b"xdel")
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
