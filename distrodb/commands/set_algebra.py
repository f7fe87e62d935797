"""What several sets have in common, have together, or one has beside the others."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

from distrodb.commands.command import Command, data_row
from distrodb.commands.costs import Cost, Sizes
from distrodb.commands.error_replies import NEGATIVE_LIMIT, SYNTAX, TOO_MANY_KEYS
from distrodb.commands.key_specs import KeySpec, counted, many
from distrodb.commands.numbers import NO_KEY_COUNT, parse_integer
from distrodb.commands.sets import BYTE_US, length_of
from distrodb.commands.strings import over_limits
from distrodb.keyspace.containers.set import Set
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import GENERIC, SET, Keys
from distrodb.resp.reply import ErrorReply, Reply, SetReply, error

LOOKED_AT_US = 0.3  # of a member that is looked for in another set
LOOKED_AT_MAX = 1 << 22  # members that one command looks at: 3 s of them, about
STORED_US = 0.4  # of one that is put into a new one

Sets: TypeAlias = Sequence[Set | None]  # None: there is none, so it is empty
Combine: TypeAlias = Callable[[Sets], Sequence[bytes]]


TOO_MANY = error("ERR", f"the sets have more than {LOOKED_AT_MAX} members together")


def _sets(keys: Keys, names: Sequence[bytes], least: bool) -> Sets | ErrorReply:
    """All are looked for before anything is said of them: one may be of another kind.  ``least``:
    only the members of the smallest are looked for in the others."""
    sets = [keys.container(name, Set) for name in names]
    lengths = [len(each or ()) for each in sets]
    looked_at = min(lengths) * len(lengths) if least else sum(lengths)
    return TOO_MANY if looked_at > LOOKED_AT_MAX else sets


def inter(sets: Sets) -> Sequence[bytes]:
    there = [each for each in sets if each is not None]
    if len(there) < len(sets):
        return ()
    first, *others = sorted(there, key=len)
    members = first.members
    for other in others:
        places = other.places
        members = [member for member in members if member in places]
    return members


def union(sets: Sets) -> Sequence[bytes]:
    members = (each.members for each in sets if each is not None)
    return list(dict.fromkeys(chain.from_iterable(members)))


def diff(sets: Sets) -> Sequence[bytes]:
    """Of the first one, what no other has."""
    first, *others = sets
    if first is None:
        return ()
    members = first.members
    for other in others:
        if other is not None:
            places = other.places
            members = [member for member in members if member not in places]
    return members


def _combined(keys: Keys, args: Sequence[bytes], context: Context, *, combine: Combine) -> Reply:
    sets = _sets(keys, args[1:], combine is inter)
    return sets if isinstance(sets, ErrorReply) else SetReply(list(combine(sets)))


def _stored(
    keys: Keys, args: Sequence[bytes], context: Context, *, combine: Combine, event: bytes
) -> Reply:
    target = args[1]
    if problem := over_limits(context, target, b""):
        return problem
    sets = _sets(keys, args[2:], combine is inter)
    if isinstance(sets, ErrorReply):
        return sets
    members = combine(sets)
    if members:
        keys.put_value(target, Set.of(members), overwrites=True)
        keys.event(SET, event, target)
    elif keys.delete(target):
        keys.event(GENERIC, b"del", target)
    return len(members)


def _counts(
    keys: Keys, args: Sequence[bytes], context: Context, *, combine: Combine, may_guess: bool
) -> Reply:
    """numkeys key [key …] [LIMIT limit]; a limit of 0 is none.  ``may_guess``: [APPROX] too, by
    which Redis may save time; ours is exact."""
    number, limit = parse_integer(args[1]), 0
    if number is None or number < 1:
        return NO_KEY_COUNT
    if number > len(args) - 2:
        return TOO_MANY_KEYS
    words = deque(args[number + 2 :])
    while words:
        word = words.popleft().upper()
        if word == b"APPROX" and may_guess:
            continue
        if word != b"LIMIT" or not words:
            return SYNTAX
        said = parse_integer(words.popleft())
        if said is None or said < 0:
            return NEGATIVE_LIMIT
        limit = said
    sets = _sets(keys, args[2 : number + 2], combine is inter)
    if isinstance(sets, ErrorReply):
        return sets
    count = len(combine(sets))
    return min(count, limit) if limit else count


def _cost(first: int, is_stored: bool, least: bool = False) -> Cost:
    """All members of all sets, at most; of an intersection those of the least one, with each."""

    def cost(sizes: Sizes, args: Sequence[bytes]) -> float:
        names = args[first:]
        lengths = [length_of(sizes, name) for name in names]
        if not lengths:
            return 0.0
        looked_at = min(lengths) * len(lengths) if least else sum(lengths)
        bytes_ = (min if least else sum)(sizes.size(name) for name in names)
        if is_stored:
            sizes.grow(args[1], bytes_)
        each_us = LOOKED_AT_US + (STORED_US if is_stored else 0.0)
        return looked_at * each_us + bytes_ * BYTE_US

    return cost


def _counted_us(sizes: Sizes, args: Sequence[bytes], least: bool) -> float:
    number = parse_integer(args[1])
    names = args[2 : 2 + number] if number is not None and 0 < number < len(args) else ()
    lengths = [length_of(sizes, name) for name in names]
    looked_at = min(lengths, default=0) * len(lengths) if least else sum(lengths)
    return looked_at * LOOKED_AT_US


_STORES = KeySpec("OW update"), *many("RO access", 2)
_INTER_STORES = KeySpec("RW update"), *many("RO access", 2)  # as Redis has it
_ABOUT: dict[str, tuple[Combine, str, Any]] = {
    "inter": (inter, "What all sets have.", _INTER_STORES),
    "union": (union, "What sets have together.", _STORES),
    "diff": (diff, "What the first set has beside the others.", _STORES),
}
_row = partial(data_row, level=2)


def _both(word: str) -> tuple[Command, Command]:
    """The command that answers, and the one that stores."""
    combine, summary, stores = _ABOUT[word]
    least = combine is inter
    answers = _row(
        f"s{word}",
        partial(_combined, combine=combine),
        -2,
        "readonly",
        many("RO access"),
        "set",
        summary,
        tips=("nondeterministic_output_order",),
        cost=_cost(1, False, least),
    )
    name = f"s{word}store"
    return answers, _row(
        name,
        partial(_stored, combine=combine, event=name.encode()),
        -3,
        "write denyoom",
        stores,
        "set",
        f"{summary[:-1]}, stored as another one.",
        cost=_cost(2, True, least),
    )


def _counting(word: str, summary: str, since: str) -> Command:
    combine = _ABOUT[word][0]
    return _row(
        f"s{word}card",
        partial(_counts, combine=combine, may_guess=combine is union),
        -3,
        "readonly movablekeys",
        counted("RO access"),
        "set",
        summary,
        since,
        cost=partial(_counted_us, least=combine is inter),
    )


COMMANDS = (
    *_both("inter"),
    *_both("union"),
    *_both("diff"),
    _counting("inter", "Counts what all sets have.", "7.0.0"),
    _counting("union", "Counts what sets have together.", "8.10.0"),
    _counting("diff", "Counts what the first set has beside the others.", "8.10.0"),
)
