"""Set commands (https://redis.io/docs/latest/commands/?group=set); those on several sets are in
set_algebra.py.

Caveat: where Redis chooses by chance among all members, so does this, by numbers that all replicas
share (keyspace/chance.py).
"""

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
from distrodb.commands.costs import Sizes
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.key_specs import DELETES, INSERTS, LOOKS, READS, KeySpec, one
from distrodb.commands.numbers import NOT_POSITIVE, parse_integer
from distrodb.commands.strings import over_limits
from distrodb.commands.taken_away import taken_away
from distrodb.commands.walking import Opened, fitting, opened
from distrodb.keyspace.containers.set import Set
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import GENERIC, SET, Keys
from distrodb.resp.reply import ErrorReply, Reply, SetReply

EMPTY = SetReply([])
INTEGERS_MAX = 512  # set-max-intset-entries
SMALL_MAX, SMALL_BYTES_MAX = 128, 64  # set-max-listpack-entries and -value
# Microseconds.
MEMBER_US = 0.1  # of a member that becomes a reply
BYTE_US = 0.001  # and of its bytes, those included that it costs beside itself
TAKEN_US = 5.0  # of one that is taken by chance


def is_of_integers(value: Set) -> bool:
    """Redis keeps such a set as numbers."""
    return len(value) <= INTEGERS_MAX and all(parse_integer(m) is not None for m in value.members)


def is_small(value: Set) -> bool:
    """Redis keeps it in one piece."""
    if len(value) > SMALL_MAX:
        return is_of_integers(value)
    return max(map(len, value.members)) <= SMALL_BYTES_MAX


# -- members that are named ------------------------------------------------------------------------


def sadd(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, members = args[1], args[2:]
    if problem := over_limits(context, key, max(members, key=len)):
        return problem
    found = keys.container(key, Set)
    if found is not None and all(member in found for member in members):
        return 0
    written = keys.container_to_write(key, Set)
    count = sum(map(written.add, members))
    keys.event(SET, b"sadd", key)
    return count


def srem(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, members = args[1], args[2:]
    found = keys.container(key, Set)
    if found is None or not any(member in found for member in members):
        return 0
    count = sum(map(keys.container_to_write(key, Set).remove, members))
    taken_away(keys, key, SET, b"srem")
    return count


def smove(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    source, target, member = args[1:]
    if problem := over_limits(context, target, b""):
        return problem
    found = keys.container(source, Set)
    if found is None:
        return 0
    other = keys.container(target, Set)
    if member not in found:
        return 0
    if source == target:
        return 1
    is_new = other is None or member not in other
    keys.container_to_write(source, Set).remove(member)
    taken_away(keys, source, SET, b"srem")
    if is_new:
        keys.container_to_write(target, Set).add(member)
        keys.event(SET, b"sadd", target)
    return 1


def sismember(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    found = keys.container(args[1], Set)
    return int(found is not None and args[2] in found)


def smismember(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    found = keys.container(args[1], Set)
    return [int(found is not None and member in found) for member in args[2:]]


def scard(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return len(keys.container(args[1], Set) or ())


def smembers(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    found = keys.container(args[1], Set)
    return EMPTY if found is None else SetReply(list(found.members))


# -- members by chance, and a walk -----------------------------------------------------------------


def spop(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """SPOP key [count]"""
    if len(args) > 3:
        return SYNTAX
    key, count = args[1], 1
    if len(args) == 3:
        number = parse_integer(args[2])
        if number is None or number < 0:
            return NOT_POSITIVE
        count = number
    found = keys.container(key, Set)
    if found is None or not count:
        return None if len(args) == 2 else EMPTY
    if count >= len(found):
        taken = list(found.members)
        keys.event(SET, b"spop", key)
        keys.delete(key)
        keys.event(GENERIC, b"del", key)
    else:
        written, number_for_all = keys.container_to_write(key, Set), keys.chance.number_for_all
        taken = [written.take(number_for_all() % len(written)) for _ in range(count)]
        keys.event(SET, b"spop", key)
    return taken[0] if len(args) == 2 else SetReply(list(taken))


def srandmember(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """SRANDMEMBER key [count]"""
    if len(args) > 3:
        return SYNTAX
    if len(args) == 2:
        found = keys.container(args[1], Set)
        return None if found is None else found.members[keys.chance.number() % len(found)]
    wanted = parse_wanted(args[2:], b"")
    if isinstance(wanted, ErrorReply):
        return wanted
    found = keys.container(args[1], Set)
    if found is None or not wanted.count:
        return []
    if problem := too_many(wanted):
        return problem
    members = found.members
    return [members[place] for place in chosen(keys.chance, len(found), wanted.count)]


def sscan(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """SSCAN key cursor [MATCH pattern] [COUNT count]"""
    walk = opened(keys, args, Set)
    if not isinstance(walk, Opened):
        return walk
    found, cursor, steps = walk.found, walk.cursor, walk.steps
    if is_small(found):
        following, members = 0, found.members
    else:
        following, members = found.walk(cursor, steps.count)
    return [b"%d" % following, list(fitting(list(members), steps))]


# -- what they take --------------------------------------------------------------------------------


def length_of(sizes: Sizes, key: bytes) -> int:
    """Members of a set, at most."""
    value = sizes.value(key)
    before, size = (len(value), value.size) if isinstance(value, Set) else (0, 0)
    return before + max(0, sizes.size(key) - size)


def listed_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return length_of(sizes, args[1]) * MEMBER_US + sizes.size(args[1]) * BYTE_US


def _popped_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    length = length_of(sizes, args[1])
    count = parse_integer(args[2]) if len(args) > 2 else 1
    return TAKEN_US * min(count or 0, length)


def _chosen_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return CHOSEN_US * (chosen_count(args[2], length_of(sizes, args[1])) if len(args) > 2 else 1)


def _walked_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    """As many as the largest number says."""
    count = max([INTEGERS_MAX, *(parse_integer(word) or 0 for word in args[3:])])
    return min(count, length_of(sizes, args[1])) * (MEMBER_US + 1.0)


def _moved_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    sizes.grow(args[2], sizes.size(args[2]) + len(args[3]))
    return 0.0


_POPS = one("RW access delete")
_TAKES = (KeySpec("RW access delete"), KeySpec("RW insert", 2))
_FAST, _ANY = "write denyoom fast", ("nondeterministic_output",)
_row = partial(data_row, level=2)

COMMANDS = (
    _row("sadd", sadd, -3, _FAST, INSERTS, "set", "Adds members."),
    _row("srem", srem, -3, "write fast", DELETES, "set", "Takes members away."),
    _row(
        "smove",
        smove,
        4,
        "write fast",
        _TAKES,
        "set",
        "Moves a member to another set.",
        cost=_moved_us,
    ),
    _row("sismember", sismember, 3, "readonly fast", LOOKS, "set", "Is it a member?"),
    _row(
        "smismember",
        smismember,
        -3,
        "readonly fast",
        READS,
        "set",
        "Which of these are members?",
        "6.2.0",
    ),
    _row("scard", scard, 2, "readonly fast", LOOKS, "set", "Counts the members."),
    _row(
        "smembers",
        smembers,
        2,
        "readonly",
        READS,
        "set",
        "Returns all members.",
        tips=("nondeterministic_output_order",),
        cost=listed_us,
    ),
    _row(
        "spop",
        spop,
        -2,
        "write fast",
        _POPS,
        "set",
        "Takes members by chance.",
        tips=_ANY,
        cost=_popped_us,
    ),
    _row(
        "srandmember",
        srandmember,
        -2,
        "readonly",
        READS,
        "set",
        "Returns members by chance.",
        tips=_ANY,
        cost=_chosen_us,
    ),
    _row(
        "sscan",
        sscan,
        -3,
        "readonly",
        READS,
        "set",
        "Walks members.",
        "2.8.0",
        tips=_ANY,
        cost=_walked_us,
    ),
)
