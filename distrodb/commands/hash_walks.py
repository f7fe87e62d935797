"""HRANDFIELD and HSCAN: some fields of a hash, by chance or one after another."""

from collections.abc import Sequence
from functools import partial

from distrodb.commands.choosing import (
    CHOSEN_US,
    chosen,
    chosen_count,
    parse_wanted,
    too_many,
)
from distrodb.commands.command import data_row
from distrodb.commands.costs import LISTED_NS, Sizes
from distrodb.commands.fields import all_in, count_gone, value_in
from distrodb.commands.key_specs import READS
from distrodb.commands.object import is_small
from distrodb.commands.walking import Opened, fitting, opened, step, step_us
from distrodb.keyspace.containers.hash import FIELD_BYTES, Hash
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import Keys
from distrodb.resp.reply import ErrorReply, Pairs, Reply

LISTED_US = 0.02  # of a field of all, where they are not listed yet


def hrandfield(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """HRANDFIELD key [count [WITHVALUES]]"""
    if len(args) == 2:
        listed = _listed(keys, keys.container(args[1], Hash), context)
        return listed[keys.chance.number() % len(listed)] if listed else None
    wanted = parse_wanted(args[2:], b"WITHVALUES")
    if isinstance(wanted, ErrorReply):
        return wanted
    found = keys.container(args[1], Hash)
    listed = _listed(keys, found, context)
    if found is None or not listed or not wanted.count:
        return []
    if problem := too_many(wanted):
        return problem
    fields = [listed[number] for number in chosen(keys.chance, len(listed), wanted.count)]
    return Pairs(_with_values(found, fields)) if wanted.is_with_values else list(fields)


def _listed(keys: Keys, found: Hash | None, context: Context) -> Sequence[bytes]:
    """The fields that are there, in an order that is the same on every replica."""
    if found is None:
        return ()
    return list(all_in(keys, found, context)) if count_gone(keys, found, context) else found.listed


def hscan(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]"""
    walk = opened(keys, args, Hash, may_leave_values=True)
    if not isinstance(walk, Opened):
        return walk
    found, cursor, steps = walk.found, walk.cursor, walk.steps
    if is_small(found):
        following, fields = b"0", fitting(list(found.fields), steps)
    else:
        following, fields = step(found, cursor, steps)
    fields = [field for field in fields if value_in(keys, found, field) is not None]
    if steps.is_without_values:
        return [following, list(fields)]
    return [following, [word for pair in _with_values(found, fields) for word in pair]]


def _with_values(found: Hash, fields: Sequence[bytes]) -> list[tuple[Reply, Reply]]:
    return [(field, found.fields[field]) for field in fields]


def _chosen_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    """Those that are chosen, the bytes of the reply, and all if they are to be listed."""
    bytes_ = sizes.size(args[1])
    value = sizes.value(args[1])
    size = max(1, bytes_ // FIELD_BYTES)  # fields, at most
    each_bytes = bytes_ / (len(value) if isinstance(value, Hash) else 1)
    count = chosen_count(args[2], size) if len(args) > 2 else 1
    listed_us = 0.0 if isinstance(value, Hash) and value.is_listed else size * LISTED_US
    return listed_us + count * (CHOSEN_US + each_bytes * LISTED_NS / 1000)


_row = partial(data_row, level=2)
_BY_CHANCE = ("nondeterministic_output",)

COMMANDS = (
    _row(
        "hrandfield",
        hrandfield,
        -2,
        "readonly",
        READS,
        "hash",
        "Any fields.",
        "6.2.0",
        tips=_BY_CHANCE,
        cost=_chosen_us,
    ),
    _row(
        "hscan",
        hscan,
        -3,
        "readonly",
        READS,
        "hash",
        "Walks fields.",
        "2.8.0",
        tips=_BY_CHANCE,
        cost=step_us(Hash),
    ),
)
