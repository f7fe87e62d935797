"""What is pending for the consumers of a group: XACK, XPENDING, XCLAIM, XAUTOCLAIM.

Times are those of entries of the log, so all replicas agree on what has been idle for how long; a
read goes by the leader's time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from distrodb.commands.command import data_row
from distrodb.commands.costs import Sizes
from distrodb.commands.error_replies import SYNTAX, shown
from distrodb.commands.key_specs import READS, one
from distrodb.commands.numbers import BAD_COUNT, parse_integer
from distrodb.commands.stream_arguments import (
    Wrong,
    first_of_range,
    integer,
    last_of_range,
    strict_id,
)
from distrodb.commands.stream_groups import (
    DELIVERED_US,
    consumer_of,
    group_of,
    group_to_write,
    no_key_or_group,
    pending_in,
)
from distrodb.commands.streams import OPENED_US, refusing
from distrodb.commands.streams import shown as entry_shown
from distrodb.commands.strings import over_limits
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.containers.stream_group import Consumer, Group
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import Keys
from distrodb.keyspace.stream_ids import ID_MAX, parse_id, show_id
from distrodb.resp.reply import NULL_ARRAY, Reply, error

LOOKED_US = 1.5  # of an entry that is pending and looked at
ATTEMPTS = 10  # that XAUTOCLAIM makes for each entry that it may give
COUNT = 100  # of XAUTOCLAIM where nobody says
_COUNT_MAX = (2**63 - 1) // 16


@refusing
def xack(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, name = args[1], args[2]
    found = group_of(keys, key, name)
    if found is None:
        return 0
    numbers = list(map(strict_id, args[3:]))
    if not any(number in found.pending for number in numbers):
        return 0
    group = group_to_write(keys, key, name)
    return sum(map(group.acknowledge, numbers))


# -- looking ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Look:
    """What XPENDING asks for beside the numbers of all."""

    first: int
    last: int
    count: int
    idle_ms: int = 0
    consumer: bytes | None = None


def _parse_look(args: Sequence[bytes]) -> _Look | None:
    if len(args) == 3:
        return None
    if not 6 <= len(args) <= 9:
        raise Wrong(SYNTAX)
    idle_ms, place = 0, 3
    if args[3].upper() == b"IDLE":
        idle_ms, place = integer(args[4]), 5
        if len(args) < 8:
            raise Wrong(SYNTAX)
    count = max(0, integer(args[place + 2]))
    look = _Look(first_of_range(args[place]), last_of_range(args[place + 1]), count, idle_ms)
    if place + 3 < len(args):
        look.consumer = args[place + 3]
    return look


@refusing
def xpending(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    look = _parse_look(args)
    group = group_of(keys, args[1], args[2])
    if group is None:
        return no_key_or_group(args[1], args[2])
    return _in_short(group) if look is None else _looked(group, look, context.now_ms)


def _in_short(group: Group) -> Reply:
    if not len(group):
        return [0, None, None, NULL_ARRAY]
    first = next(group.numbers(0, ID_MAX))
    last = next(group.numbers(0, ID_MAX, reverse=True))
    consumers: list[Reply] = [
        [each.name, b"%d" % len(each.pending)] for each in group.in_order() if each.pending
    ]
    return [len(group), show_id(first), show_id(last), consumers]


def _looked(group: Group, look: _Look, now_ms: int) -> Reply:
    consumer = None
    if look.consumer is not None:
        consumer = group.consumers.get(look.consumer)
        if consumer is None:
            return []
    told: list[Reply] = []
    if look.count == 0:
        return told
    for number in group.numbers(look.first, look.last, consumer):
        name, at_ms, deliveries = group.pending[number]
        if look.idle_ms and now_ms - at_ms < look.idle_ms:
            continue
        told.append([show_id(number), name, max(0, now_ms - at_ms), deliveries])
        if len(told) == look.count:
            break
    return told


# -- claiming --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Claim:
    """What XCLAIM and XAUTOCLAIM ask for."""

    at_ms: int  # of the delivery
    idle_ms: int = 0
    numbers: Sequence[int] = ()
    count: int = -1  # of deliveries; -1: one more
    is_forced: bool = False
    ids_only: bool = False
    last_id: int = 0


class _Claiming:
    """A consumer takes over what is pending."""

    def __init__(self, group: Group, consumer: Consumer, now_ms: int):
        self._group, self._consumer, self._now_ms = group, consumer, now_ms
        self.told: list[Reply] = []

    def take(self, number: int, claim: _Claim, fields: list[bytes]) -> None:
        before = self._group.pending.get(number)
        count = 1 if before is None else before.deliveries
        if claim.count >= 0:
            count = claim.count
        elif not claim.ids_only:
            count += 1
        self._group.deliver(number, self._consumer, claim.at_ms, count)
        self._consumer.active_ms = self._now_ms
        self.told.append(show_id(number) if claim.ids_only else entry_shown((number, fields)))


def _parse_claim(args: Sequence[bytes], now_ms: int) -> _Claim:
    idle_ms = integer(args[4], error("ERR", "Invalid min-idle-time argument for XCLAIM"))
    numbers: list[int] = []
    place = 5
    while place < len(args) and (number := parse_id(args[place])) is not None:
        numbers.append(number)
        place += 1
    claim, at_ms = _Claim(now_ms, max(0, idle_ms), numbers), -1
    while place < len(args):
        word, has_more = args[place].upper(), place + 1 < len(args)
        if word == b"FORCE":
            claim.is_forced = True
        elif word == b"JUSTID":
            claim.ids_only = True
        elif word in (b"IDLE", b"TIME", b"RETRYCOUNT") and has_more:
            place += 1
            problem = error("ERR", f"Invalid {word.decode()} option argument for XCLAIM")
            number = integer(args[place], problem)
            if word == b"RETRYCOUNT":
                claim.count = number
            else:
                at_ms = number if word == b"TIME" else now_ms - number
        elif word == b"LASTID" and has_more:
            place += 1
            claim.last_id = strict_id(args[place])
        else:
            raise Wrong(error("ERR", f"Unrecognized XCLAIM option '{shown(args[place])}'"))
        place += 1
    if 0 <= at_ms <= now_ms:
        claim.at_ms = at_ms
    return claim


@refusing
def xclaim(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, name = args[1], args[2]
    if group_of(keys, key, name) is None:
        return no_key_or_group(key, name)
    claim = _parse_claim(args, context.now_ms)
    if problem := over_limits(context, key, args[3]):
        return problem
    group = group_to_write(keys, key, name)
    finder = _stream(keys, key).finder()
    group.last_id = max(group.last_id, claim.last_id)
    consumer = consumer_of(keys, key, group, args[3], context.now_ms)
    claiming = _Claiming(group, consumer, context.now_ms)
    for number in claim.numbers:
        fields = finder.find(number)
        if fields is None:
            group.acknowledge(number)  # it has been deleted: nobody can get it
            continue
        pending = group.pending.get(number)
        if pending is None and not claim.is_forced:
            continue
        if pending is not None and _is_too_young(pending.at_ms, claim, context):
            continue
        claiming.take(number, claim, fields)
    return claiming.told


def _is_too_young(at_ms: int, claim: _Claim, context: Context) -> bool:
    return bool(claim.idle_ms) and context.now_ms - at_ms < claim.idle_ms


def _stream(keys: Keys, key: bytes) -> Stream:
    """One that is there."""
    found = keys.container(key, Stream)
    assert found is not None
    return found


@dataclass(slots=True)
class _Walk:
    """What XAUTOCLAIM looks at."""

    first: int
    count: int = COUNT
    claim: _Claim = field(default_factory=lambda: _Claim(0))


def _parse_walk(args: Sequence[bytes], now_ms: int) -> _Walk:
    idle_ms = integer(args[4], error("ERR", "Invalid min-idle-time argument for XAUTOCLAIM"))
    walk = _Walk(first_of_range(args[5]), COUNT, _Claim(now_ms, max(0, idle_ms)))
    place = 6
    while place < len(args):
        word = args[place].upper()
        if word == b"COUNT" and place + 1 < len(args):
            place += 1
            count = parse_integer(args[place])
            if count is None or not 1 <= count <= _COUNT_MAX:
                raise Wrong(BAD_COUNT)
            walk.count = count
        elif word == b"JUSTID":
            walk.claim.ids_only = True
        else:
            raise Wrong(SYNTAX)
        place += 1
    return walk


@refusing
def xautoclaim(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    walk = _parse_walk(args, context.now_ms)
    key, name = args[1], args[2]
    if group_of(keys, key, name) is None:
        return no_key_or_group(key, name)
    if problem := over_limits(context, key, args[3]):
        return problem
    group = group_to_write(keys, key, name)
    finder = _stream(keys, key).finder()
    consumer = consumer_of(keys, key, group, args[3], context.now_ms)
    claiming = _Claiming(group, consumer, context.now_ms)
    gone: list[Reply] = []
    numbers: list[int] = []  # one more than there are attempts: where the next call begins
    for number in group.numbers(walk.first, ID_MAX):
        numbers.append(number)
        if len(numbers) > walk.count * ATTEMPTS:
            break
    at = 0
    while at < len(numbers) and at < walk.count * ATTEMPTS:
        if len(claiming.told) + len(gone) == walk.count:
            break
        number = numbers[at]
        at += 1
        fields = finder.find(number)
        if fields is None:
            group.acknowledge(number)
            gone.append(show_id(number))
        elif not _is_too_young(group.pending[number].at_ms, walk.claim, context):
            claiming.take(number, walk.claim, fields)
    following = numbers[at] if at < len(numbers) else 0
    return [show_id(following), claiming.told, gone]


# -- rows ------------------------------------------------------------------------------------------


def _acked_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return (len(args) - 3) * DELIVERED_US


def _looked_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    try:
        look = _parse_look(args)
    except Wrong:
        return 0.0
    if look is None:
        return 20.0
    found = sizes.value(args[1])
    group = found.groups.get(args[2]) if isinstance(found, Stream) else None
    most = pending_in(sizes, args[1], args[2])
    if group is not None and look.consumer is not None and look.consumer in group.consumers:
        most = min(most, len(group.consumers[look.consumer].pending))
    return (most if look.idle_ms > 0 else min(look.count, most)) * LOOKED_US


def _claimed_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    sizes.grow(args[1], sizes.size(args[1]) + sum(map(len, args)) * 10)
    return (len(args) - 5) * (OPENED_US + DELIVERED_US)


def _walked_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    try:
        walk = _parse_walk(args, 0)
    except Wrong:
        return 0.0
    most = pending_in(sizes, args[1], args[2])
    looked, taken = min(walk.count * ATTEMPTS, most), min(walk.count, most)
    return looked * LOOKED_US + taken * (OPENED_US + DELIVERED_US)


_row = partial(data_row, level=2)
_GROUP = "stream"
_NOT_THE_SAME = ("nondeterministic_output",)

COMMANDS = (
    _row(
        "xack",
        xack,
        -4,
        "write fast",
        one("RW update"),
        _GROUP,
        "Says that entries need not be pending any more.",
        "5.0.0",
        cost=_acked_us,
    ),
    _row(
        "xpending",
        xpending,
        -3,
        "readonly",
        READS,
        _GROUP,
        "Tells what is pending.",
        "5.0.0",
        tips=_NOT_THE_SAME,
        cost=_looked_us,
    ),
    _row(
        "xclaim",
        xclaim,
        -6,
        "write fast",
        one("RW update"),
        _GROUP,
        "Takes over what is pending for another consumer.",
        "5.0.0",
        tips=_NOT_THE_SAME,
        cost=_claimed_us,
    ),
    _row(
        "xautoclaim",
        xautoclaim,
        -6,
        "write fast",
        one("RW delete"),
        _GROUP,
        "Takes over what has been pending for long.",
        "6.2.0",
        tips=_NOT_THE_SAME,
        cost=_walked_us,
    ),
)
