"""List commands (https://redis.io/docs/latest/commands/?group=list).

``take`` and ``move`` are what those that wait for an element do as well.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Any

from distrodb.commands.command import Command, data_row
from distrodb.commands.costs import Sizes
from distrodb.commands.error_replies import SYNTAX, wrong_arity
from distrodb.commands.key_specs import DELETES, INSERTS, LOOKS, READS, KeySpec, counted, one
from distrodb.commands.keys import NO_SUCH_KEY
from distrodb.commands.numbers import (
    BEYOND,
    INT_MAX,
    NO_COUNT,
    NO_KEY_COUNT,
    NOT_AN_INTEGER,
    NOT_POSITIVE,
    parse_integer,
)
from distrodb.commands.strings import over_limits
from distrodb.commands.taken_away import taken_away
from distrodb.keyspace.containers.list import List
from distrodb.keyspace.context import Context
from distrodb.keyspace.keys import LIST, Keys
from distrodb.resp.reply import NULL_ARRAY, OK, ErrorReply, Reply, error

OUT_OF_RANGE = error("ERR", "index out of range")
# Microseconds.
ITEM_US = 0.15  # of an element that is unpacked, and becomes a reply
BYTE_US = 0.004  # and of its bytes
SEEN_US = 0.05  # of one that is compared
PLACE_US = 15.0  # of one in the middle that is found and unpacked; and there are so many blocks:
PLACE_BYTE_US = 3e-6


def side(word: bytes) -> bool | None:
    """True for LEFT; None for what is neither."""
    return {b"LEFT": True, b"RIGHT": False}.get(word.upper())


# -- push and pop ----------------------------------------------------------------------------------


def _push(
    keys: Keys,
    args: Sequence[bytes],
    context: Context,
    *,
    is_left: bool,
    must_be_there: bool = False,
) -> Reply:
    key, values = args[1], args[2:]
    if problem := over_limits(context, key, max(values, key=len)):
        return problem
    if must_be_there and keys.container(key, List) is None:
        return 0
    written = keys.container_to_write(key, List)
    if is_left or len(values) == 1:
        for value in values:
            written.push(value, is_left)
    else:
        written.extend(values)
    keys.event(LIST, b"lpush" if is_left else b"rpush", key)
    return len(written)


def take(keys: Keys, key: bytes, count: int, is_left: bool) -> list[bytes]:
    """So many elements from an end, or all; of a list that is there.  The last one comes first when
    they are taken from the right."""
    written = keys.container_to_write(key, List)
    if count == 1:
        taken = [written.pop(is_left)]
    elif is_left:
        taken = written.part(0, count)
        written.drop(count, True)
    else:
        taken = written.part(max(0, len(written) - count), len(written))[::-1]
        written.drop(count, False)
    taken_away(keys, key, LIST, b"lpop" if is_left else b"rpop")
    return taken


def _pop(keys: Keys, args: Sequence[bytes], context: Context, *, is_left: bool) -> Reply:
    """LPOP and RPOP: key [count]"""
    if len(args) > 3:
        return wrong_arity("lpop" if is_left else "rpop")
    key = args[1]
    if len(args) == 2:
        return None if keys.container(key, List) is None else take(keys, key, 1, is_left)[0]
    count = parse_integer(args[2])
    if count is None or count < 0:
        return NOT_POSITIVE
    if keys.container(key, List) is None:
        return NULL_ARRAY
    return list(take(keys, key, count, is_left)) if count else []


def move(keys: Keys, source: bytes, target: bytes, from_left: bool, to_left: bool) -> bytes | None:
    """An element from a list's end to another one's; None if there is none."""
    if keys.container(source, List) is None:
        return None
    keys.container(target, List)  # it is one, or not there
    value = keys.container_to_write(source, List).pop(from_left)
    keys.container_to_write(target, List).push(value, to_left)
    keys.event(LIST, b"lpush" if to_left else b"rpush", target)
    taken_away(keys, source, LIST, b"lpop" if from_left else b"rpop")
    return value


def lmove(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """LMOVE source destination LEFT|RIGHT LEFT|RIGHT"""
    from_left, to_left = side(args[3]), side(args[4])
    if from_left is None or to_left is None:
        return SYNTAX
    if problem := over_limits(context, args[2], b""):
        return problem
    return move(keys, args[1], args[2], from_left, to_left)


def rpoplpush(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    if problem := over_limits(context, args[2], b""):
        return problem
    return move(keys, args[1], args[2], False, True)


def pop_of_several(args: Sequence[bytes]) -> tuple[Sequence[bytes], bool, int] | ErrorReply:
    """numkeys key [key …] LEFT|RIGHT [COUNT count]: the keys, whether from the left, the count."""
    number = parse_integer(args[0])
    if number is None or number < 1:
        return NO_KEY_COUNT
    words = deque(args[number + 1 :])
    is_left = side(words.popleft()) if words else None
    if is_left is None:
        return SYNTAX
    count: int | None = None
    while words:
        if count is not None or words.popleft().upper() != b"COUNT" or not words:
            return SYNTAX
        count = parse_integer(words.popleft())
        if count is None or count < 1:
            return NO_COUNT
    return args[1 : number + 1], is_left, count or 1


def take_of_several(keys: Keys, names: Sequence[bytes], is_left: bool, count: int) -> Reply:
    """From the first list that is there: its key and the elements."""
    for key in names:
        if keys.container(key, List) is not None:
            return [key, list(take(keys, key, count, is_left))]
    return NULL_ARRAY


def lmpop(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    wanted = pop_of_several(args[1:])
    return wanted if isinstance(wanted, ErrorReply) else take_of_several(keys, *wanted)


# -- read and change in the middle -----------------------------------------------------------------


def llen(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    return len(keys.container(args[1], List) or ())


def _bounds(begin: int, end: int, length: int) -> tuple[int, int]:
    """Redis' range, both ends included and negative from the right, as ours."""
    begin = max(0, begin + length) if begin < 0 else begin
    end = end + length if end < 0 else min(end, length - 1)
    return begin, max(begin, end + 1)


def lrange(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    begin, end = parse_integer(args[2]), parse_integer(args[3])
    if begin is None or end is None:
        return NOT_AN_INTEGER
    found = keys.container(args[1], List)
    return [] if found is None else list(found.part(*_bounds(begin, end, len(found))))


def _position(index: int, length: int) -> int | None:
    """None: there is no such element."""
    position = index + length if index < 0 else index
    return position if 0 <= position < length else None


def lindex(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    found = keys.container(args[1], List)
    if found is None:
        return None
    index = parse_integer(args[2])
    if index is None:
        return NOT_AN_INTEGER
    position = _position(index, len(found))
    return None if position is None else found.get(position)


def lset(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, value = args[1], args[3]
    found = keys.container(key, List)
    if found is None:
        return NO_SUCH_KEY
    index = parse_integer(args[2])
    if index is None:
        return NOT_AN_INTEGER
    if problem := over_limits(context, b"", value):
        return problem
    position = _position(index, len(found))
    if position is None:
        return OUT_OF_RANGE
    keys.container_to_write(key, List).set(position, value)
    keys.event(LIST, b"lset", key)
    return OK


def ltrim(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    key, begin, end = args[1], parse_integer(args[2]), parse_integer(args[3])
    if begin is None or end is None:
        return NOT_AN_INTEGER
    found = keys.container(key, List)
    if found is None:
        return OK
    first, behind = _bounds(begin, end, len(found))
    count = len(found) if first >= behind else len(found) - behind
    written = keys.container_to_write(key, List)
    written.drop(count, False)
    written.drop(first, True)
    taken_away(keys, key, LIST, b"ltrim")
    return OK


def lrem(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """LREM key count element; a negative count: from the right; 0: all."""
    key, count, value = args[1], parse_integer(args[2]), args[3]
    if count is None:
        return NOT_AN_INTEGER
    found = keys.container(key, List)
    if found is None or next(found.positions(value, len(found), count < 0), None) is None:
        return 0
    written = keys.container_to_write(key, List)
    removed = written.remove(value, abs(count) or len(written), count < 0)
    taken_away(keys, key, LIST, b"lrem")
    return removed


def linsert(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """LINSERT key BEFORE|AFTER pivot element"""
    key, word, pivot, value = args[1:]
    after = {b"BEFORE": 0, b"AFTER": 1}.get(word.upper())
    if after is None:
        return SYNTAX
    if problem := over_limits(context, b"", value):
        return problem
    found = keys.container(key, List)
    if found is None:
        return 0
    position = next(found.positions(pivot, len(found), False), None)
    if position is None:
        return -1
    written = keys.container_to_write(key, List)
    written.insert(position + after, value)
    keys.event(LIST, b"linsert", key)
    return len(written)


# -- LPOS ------------------------------------------------------------------------------------------

NO_RANK = error(
    "ERR",
    "RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative"
    " to start from the end of the list",
)


def lpos(keys: Keys, args: Sequence[bytes], context: Context) -> Reply:
    """LPOS key element [RANK rank] [COUNT matches] [MAXLEN length]"""
    options: dict[bytes, int] = {}
    words = deque(args[3:])
    while words:
        word = words.popleft().upper()
        if word not in (b"RANK", b"COUNT", b"MAXLEN") or not words:
            return SYNTAX
        number = parse_integer(words.popleft())
        if number is None and word == b"RANK":
            return NOT_AN_INTEGER
        if word == b"RANK" and number is not None and number < -INT_MAX:
            return BEYOND
        if word == b"RANK" and not number:
            return NO_RANK
        if word != b"RANK" and (number is None or number < 0):
            return error("ERR", f"{word.decode()} can't be negative")
        options[word] = number or 0
    rank, count = options.get(b"RANK", 1), options.get(b"COUNT")
    found = keys.container(args[1], List)
    if found is None:
        return None if count is None else []
    looked_at = options.get(b"MAXLEN") or len(found)
    positions = found.positions(args[2], looked_at, rank < 0)
    fitting = islice(positions, min(abs(rank) - 1, len(found)), None)
    return next(fitting, None) if count is None else list(islice(fitting, count or None))


# -- what they take --------------------------------------------------------------------------------


def _length(sizes: Sizes, key: bytes) -> int:
    """Elements of a list, at most."""
    value = sizes.value(key)
    before, size = (len(value), value.size) if isinstance(value, List) else (0, 0)
    return before + max(0, sizes.size(key) - size)


def _listed_us(sizes: Sizes, key: bytes, count: int) -> float:
    """So many elements become a reply: as large as twice the others, say."""
    length = _length(sizes, key)
    part = min(1.0, 2 * count / max(1, length))
    return min(count, length) * ITEM_US + sizes.size(key) * (part * BYTE_US + PLACE_BYTE_US)


def _number(words: Sequence[bytes], at: int, default: int) -> int:
    number = parse_integer(words[at]) if at < len(words) else None
    return default if number is None else number


def _popped_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    count = _number(args, 2, 1)
    return _listed_us(sizes, args[1], count) if count > 1 else 0.0


def _popped_of_several_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    wanted = pop_of_several(args[1:])
    if isinstance(wanted, ErrorReply) or wanted[2] == 1:
        return 0.0
    return max(_listed_us(sizes, key, wanted[2]) for key in wanted[0])


def _range_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    begin, end = _number(args, 2, 0), _number(args, 3, -1)
    count = end - begin + 1 if (begin < 0) == (end < 0) else _length(sizes, args[1])
    return PLACE_US + _listed_us(sizes, args[1], max(0, count))


def _placed_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    sizes.grow(args[1], sizes.size(args[1]) + sum(map(len, args[3:])))
    return PLACE_US + sizes.size(args[1]) * PLACE_BYTE_US


def _seen_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    sizes.grow(args[1], sizes.size(args[1]) + sum(map(len, args[4:])))  # of LINSERT
    return _length(sizes, args[1]) * SEEN_US + sizes.size(args[1]) * BYTE_US


def _trimmed_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    return PLACE_US + _length(sizes, args[1]) * 0.005


def _moved_us(sizes: Sizes, args: Sequence[bytes]) -> float:
    moved = min(sizes.size(args[1]), sizes.value_bytes_max)
    sizes.grow(args[2], sizes.size(args[2]) + moved)
    return 0.0


# -- the rows --------------------------------------------------------------------------------------

_POPS = one("RW access delete")
_TAKES = (KeySpec("RW access delete"), KeySpec("RW insert", 2))
_row = partial(data_row, level=2)


def _both(
    word: str, handler: Callable[..., Reply], *rest: Any, **more: Any
) -> tuple[Command, Command]:
    """The command for the left end, and the one for the right end."""
    left = _row(f"l{word}", partial(handler, is_left=True), *rest, **more)
    return left, _row(f"r{word}", partial(handler, is_left=False), *rest, **more)


_FAST = "write denyoom fast"

COMMANDS = (
    *_both("push", _push, -3, _FAST, INSERTS, "list", "Puts elements at an end."),
    *_both(
        "pushx",
        partial(_push, must_be_there=True),
        -3,
        _FAST,
        INSERTS,
        "list",
        "Puts elements at an end of a list that is there.",
        "2.2.0",
    ),
    *_both("pop", _pop, -2, "write fast", _POPS, "list", "Takes elements.", cost=_popped_us),
    _row("llen", llen, 2, "readonly fast", LOOKS, "list", "Counts the elements."),
    _row("lrange", lrange, 4, "readonly", READS, "list", "Returns a part.", cost=_range_us),
    _row("lindex", lindex, 3, "readonly", READS, "list", "Returns one element.", cost=_placed_us),
    _row(
        "lset",
        lset,
        4,
        "write denyoom",
        one("RW update"),
        "list",
        "Replaces one element.",
        cost=_placed_us,
    ),
    _row("ltrim", ltrim, 4, "write", DELETES, "list", "Keeps a part.", cost=_trimmed_us),
    _row("lrem", lrem, 4, "write", DELETES, "list", "Takes equal elements away.", cost=_seen_us),
    _row(
        "linsert",
        linsert,
        5,
        "write denyoom",
        INSERTS,
        "list",
        "Puts an element beside another one.",
        "2.2.0",
        cost=_seen_us,
    ),
    _row("lpos", lpos, -3, "readonly", READS, "list", "Finds elements.", "6.0.6", cost=_seen_us),
    _row(
        "lmove",
        lmove,
        5,
        "write denyoom",
        _TAKES,
        "list",
        "Moves an element from a list to another one.",
        "6.2.0",
        cost=_moved_us,
    ),
    _row(
        "rpoplpush",
        rpoplpush,
        3,
        "write denyoom",
        _TAKES,
        "list",
        "Moves the last element to the front of another list.",
        "1.2.0",
        cost=_moved_us,
    ),
    _row(
        "lmpop",
        lmpop,
        -4,
        "write movablekeys",
        counted("RW access delete"),
        "list",
        "Takes elements of the first list that has some.",
        "7.0.0",
        cost=_popped_of_several_us,
    ),
)
