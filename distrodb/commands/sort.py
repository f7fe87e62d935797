"""SORT and SORT_RO (https://redis.io/docs/latest/commands/sort/).

What can be sorted are lists, sets and sorted sets; each has a line in ``_ITEMS``.

A key that BY or GET makes of an element must be where the command runs.  Where one partition has
all keys it always is; elsewhere a pattern with a star needs the hash tag of the sorted key, before
the star, as in Redis 8's cluster mode.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from distrodb.commands.command import data_row
from distrodb.commands.costs import Sizes
from distrodb.commands.error_replies import SYNTAX
from distrodb.commands.fields import value_in
from distrodb.commands.key_specs import KeySpec, one
from distrodb.commands.numbers import NOT_AN_INTEGER, parse_integer
from distrodb.commands.strings import over_limits
from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.containers.list import List
from distrodb.keyspace.containers.set import Set
from distrodb.keyspace.containers.sorted_set import SortedSet
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import GENERIC, LIST, Keys
from distrodb.keyspace.place import WrongType
from distrodb.keyspace.sorting import NotANumber, Order, arranged
from distrodb.keyspace.usage import size_of
from distrodb.keyspace.values import Value
from distrodb.resp.reply import ErrorReply, Reply, error
from distrodb.ring.slots import slot_of

SORTED_MAX = 1 << 20  # elements that one command sorts
SORTED_US, LOOKED_UP_US = 4.0, 2.0  # of each, and of what a pattern names for it
TOO_MANY = error("ERR", f"there are more than {SORTED_MAX} elements to sort")
NOT_NUMBERS = error("ERR", "One or more scores can't be converted into double")
SELF = b"#"  # GET of the element itself
_SKIPPED = {
    b"LIMIT": 2,
    b"GET": 1,
    b"BY": 1,
}  # words behind an option, where no STORE is looked for

# The elements of a container.
_ITEMS: dict[type, Callable[[Any], Sequence[bytes]]] = {
    List: list,
    SortedSet: lambda value: [member for _, member in value],
    Set: lambda value: value.members,
}


@dataclass(slots=True)
class _Options:
    order: Order = field(default_factory=Order)
    by: bytes | None = None
    gets: list[bytes] = field(default_factory=list)
    store: bytes | None = None


def _options(words: deque[bytes], slot: int | None, may_store: bool) -> _Options | ErrorReply:
    """``slot``: that of the keys which a pattern may name; None: any."""
    options = _Options()
    order = options.order
    while words:
        word = words.popleft().upper()
        if word in (b"ASC", b"DESC"):
            order.is_descending = word == b"DESC"
        elif word == b"ALPHA":
            order.is_alpha = True
        elif word == b"LIMIT" and len(words) >= 2:
            offset, count = parse_integer(words.popleft()), parse_integer(words.popleft())
            if offset is None or count is None:
                return NOT_AN_INTEGER
            order.offset, order.count = offset, count
        elif word == b"STORE" and words and may_store:
            options.store = words.popleft()
        elif word in (b"BY", b"GET") and words:
            pattern = words.popleft()
            if b"*" in pattern and slot is not None and _slot_of_all(pattern) != slot:
                return _elsewhere(word.decode())
            if word == b"GET":
                options.gets.append(pattern)
            else:
                options.by, order.is_kept = pattern, b"*" not in pattern
        else:
            return SYNTAX
    return options


def _slot_of_all(pattern: bytes) -> int | None:
    """Of each key that a pattern with a star makes; None if they may be in different slots."""
    fixed = pattern[: pattern.index(b"*")]
    opened = fixed.find(b"{")
    has_tag = opened >= 0 and fixed.find(b"}", opened + 1) > opened + 1
    return slot_of(fixed) if has_tag else None


def _elsewhere(option: str) -> ErrorReply:
    return error(
        "ERR",
        f"{option} option of SORT denied when keys formed by the pattern may be in different slots:"
        " give the pattern the hash tag of the key",
    )


def _looked_up(keys: Keys, pattern: bytes, item: bytes) -> bytes | None:
    """What a pattern names for an element: the element, a string, or a field of a hash (``->``)."""
    if pattern == SELF:
        return item
    before, star, behind = pattern.partition(b"*")
    if not star:
        return None
    behind, arrow, name = behind.partition(b"->")
    if arrow and not name:  # an arrow with nothing behind it is a part of the key
        behind, arrow = behind + arrow, b""
    value = keys.value(before + item + behind)
    if isinstance(value, Hash) and arrow:
        return value_in(keys, value, name)
    return value if isinstance(value, bytes) and not arrow else None


def _sort(keys: Keys, args: Sequence[bytes], context: Context, may_store: bool) -> Reply:
    readable = keys.of_all_slots()
    slot = slot_of(args[1]) if readable is None else None
    options = _options(deque(args[2:]), slot, may_store)
    if isinstance(options, ErrorReply):
        return options
    by, order, named = options.by, options.order, readable or keys
    weigh = None if by is None else lambda item: _looked_up(named, by, item)
    value = keys.value(args[1])
    if value is not None and type(value) in _ITEMS and len(value) > SORTED_MAX:
        return TOO_MANY
    if order.is_kept and options.store is not None and isinstance(value, Set):
        order.is_kept, order.is_alpha, weigh = False, True, None  # a set has no order of its own
    try:
        found = arranged(_items(value, order), order, weigh)
    except NotANumber:
        return NOT_NUMBERS
    gets = options.gets or [SELF]
    results = [_looked_up(named, pattern, item) for item in found for pattern in gets]
    if options.store is None:
        return list(results)
    return _store(keys, options.store, [each or b"" for each in results], context)


def _items(value: Value | None, order: Order) -> Sequence[bytes]:
    if value is None:
        return ()
    if type(value) not in _ITEMS:
        raise WrongType
    items = _ITEMS[type(value)](value)
    # What has an order of its own may be asked for from behind.
    return items[::-1] if order.is_kept and order.is_descending and _is_sorted(value) else items


def _is_sorted(value: Value) -> bool:
    return isinstance(value, (List, SortedSet))


def _store(keys: Keys, name: bytes, results: list[bytes], context: Context) -> Reply:
    if problem := over_limits(context, name, b""):
        return problem
    if results:
        made = List(0)
        made.extend(results)
        keys.put_value(name, made, overwrites=True)
        keys.event(LIST, b"sortstore", name)
    elif keys.delete(name):
        keys.event(GENERIC, b"del", name)
    return len(results)


def sort(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _sort(keys, args, context, True)


def sort_ro(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return _sort(keys, args, context, False)


def _sorted_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    key, value = args[1], sizes.value(args[1])
    before, size = (0, 0) if value is None else (len(value), size_of(value))
    count = min(SORTED_MAX, before + max(0, sizes.size(key) - size))
    patterns = sum(b"*" in word for word in args[2:])
    for position in find_keys(args)[1:]:
        sizes.grow(args[position], sizes.size(key))
    return count * (SORTED_US + patterns * LOOKED_UP_US)


def find_keys(args: Sequence[bytes]) -> list[int]:
    """The key that is sorted, and the one that is written to: the last STORE counts."""
    stored, position = 0, 2
    while position < len(args):
        word = args[position].upper()
        if word == b"STORE" and position + 1 < len(args):
            position += 1
            stored = position
        position += 1 + _SKIPPED.get(word, 0)
    return [1, stored] if stored else [1]


_PATTERNS = KeySpec(
    "RO access",
    is_unknown=True,
    notes="For the optional BY/GET keyword. It is marked 'unknown' because the key names derive"
    " from the content of the key we sort",
)
_STORED = KeySpec(
    "OW update",
    is_unknown=True,
    notes="For the optional STORE keyword. It is marked 'unknown' because the keyword can appear"
    " anywhere in the argument array",
)
_GROUPS = "set sortedset list dangerous"

_ROWS = (
    data_row(
        "sort",
        sort,
        -2,
        "write denyoom movablekeys",
        (*one("RO access"), _PATTERNS, _STORED),
        "generic",
        "Sorts elements.",
        acl=_GROUPS,
        find_keys=find_keys,
        cost=_sorted_us,
    ),
    data_row(
        "sort_ro",
        sort_ro,
        -2,
        "readonly movablekeys",
        (*one("RO access"), _PATTERNS),
        "generic",
        "Sorts elements and stores nothing.",
        "7.0.0",
        acl=_GROUPS,
        cost=_sorted_us,
    ),
)
# As in Redis, they are in the categories of what they sort and not among the keys' own.
COMMANDS = tuple(replace(row, categories=row.categories - {"keyspace"}) for row in _ROWS)
