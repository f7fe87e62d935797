"""What a single Redis answers about containers and scripts: the part of history.py's model that is
not of strings.  Written anew, on purpose: it shares nothing with ``distrodb``.

A command is a function of the values of its keys to their values afterwards and its reply.  A value
is None, bytes, a tuple of elements (a list; a set, sorted) or of pairs (a hash, by field; a sorted
set, by member).  A field that expires has an ``Expiring`` as its value: at any moment from then on
it may be gone.

What chance decides is not known here: ``with_choice`` makes one command of what was answered, or,
of an unknown outcome, one for each that it can have been.

Caveat: only what the workloads ask is modelled; all else raises ``ValueError``.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

Step = Callable[[Sequence[Any]], tuple[Sequence[Any], object]]  # values; new values, reply

NEVER = object()  # no reply: at that moment it cannot have happened
ERROR = object()  # any error reply that a command deserves by itself
EACH_ANY = object()  # a time to live, of each field that has one


class Expiring(NamedTuple):
    """A value whose key, or field, expires, whenever that is."""

    value: Any


class OneOf(frozenset[Any]):
    """Any of these; null where there are none."""


def plain(value: Any) -> Any:
    return value.value if isinstance(value, Expiring) else value


# -- scripts: their first line, and what they do --------------------------------------------------

COMPARE_AND_SET = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 1"
    " end return 0"
)
TRANSFER = (
    "local v = redis.call('LPOP', KEYS[1]) if v then redis.call('RPUSH', KEYS[2], v) end return v"
)
FAILS = "redis.call('RPUSH', KEYS[1], ARGV[1]) return redis.call('INCR', KEYS[1])"
# Each round costs some steps, so the limit ends it; nothing of it may be left.
ENDLESS = (
    "local v = redis.call('RPOP', KEYS[1]) redis.call('DEL', KEYS[2])"
    " while true do redis.call('RPUSH', KEYS[2], ARGV[1]) end"
)
ROLLS = "local n = math.random(4) redis.call('SADD', KEYS[1], n) return n"
ROLLED = ("1", "2", "3", "4")
LIBRARY = (
    "#!lua name={name}\nredis.register_function('{name}', function(keys, args)"
    " redis.call('SET', keys[1], args[1]) return '{version}' end)"
)


def _script(text: str, values: Sequence[Any], args: list[bytes]) -> tuple[Sequence[Any], object]:
    first = values[0]
    if text == COMPARE_AND_SET:
        return ([args[1]], 1) if first == args[0] else (values, 0)
    if text == TRANSFER:
        if not first:
            return values, None
        return [first[1:], (*(values[1] or ()), first[0])], first[0]
    if text == FAILS:  # what it has done stays, as in Redis
        return [(*(first or ()), args[0])], ERROR
    if text == ENDLESS:
        return values, ERROR
    if text == ROLLS:
        return [_sorted({*(first or ()), args[0]})], int(args[0])
    raise ValueError(f"{text}: not in the model")


# -- which keys, and what may have been chosen ---------------------------------------------------

_LISTS = {"LPUSH", "RPUSH", "LPOP", "RPOP", "LRANGE", "LLEN", "LREM", "LINSERT", "LTRIM", "LSET"}
_LISTS |= {"LPUSHX", "LINDEX", "LMOVE", "RPOPLPUSH", "LMPOP"}
_LISTS |= {"BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP"}
_SETS = {"SADD", "SREM", "SPOP", "SMEMBERS", "SISMEMBER", "SCARD", "SRANDMEMBER", "SMOVE"}
_SETS |= {"SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"}
_STORES = {"SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"}
_SCRIPTS = {"EVAL", "FCALL", "FUNCTION"}
READS = {"HGET", "HGETALL", "HLEN", "HPTTL", "HRANDFIELD", "HKEYS", "ZRANGE", "ZSCORE", "ZRANK"}
READS |= {"LRANGE", "LLEN", "LINDEX", "SMEMBERS", "SISMEMBER", "SCARD", "SRANDMEMBER"}
# They change nothing when they answer null, nothing or 0.
_TAKES = {"LPOP", "RPOP", "LREM", "LPUSHX", "LMOVE", "RPOPLPUSH", "LMPOP", "BLPOP", "BRPOP"}
_TAKES |= {"BLMOVE", "BRPOPLPUSH", "BLMPOP", "SADD", "SREM", "SPOP", "SMOVE", "HDEL", "HSETEX"}
_TAKES |= {"ZREM", "ZPOPMIN", "BZPOPMIN", "BZPOPMAX", "BZMPOP"}


def is_modelled(name: str) -> bool:
    return name in _LISTS or name in _SETS or name in _SCRIPTS or name[0] == "H" or "Z" in name[:2]


def keeps_expiry(name: str) -> bool:
    """A key that is written to still expires."""
    return name not in _STORES


def changes_nothing(name: str, reply: object) -> bool:
    return name in _TAKES and reply in (None, 0, [])


def keys_of(command: tuple[str, ...]) -> tuple[str, ...] | None:
    """None: the first word behind the name."""
    name = command[0].upper()
    if name in ("BLPOP", "BRPOP", "BZPOPMIN", "BZPOPMAX"):
        return command[1:-1]
    if name in ("LMOVE", "BLMOVE", "RPOPLPUSH", "BRPOPLPUSH", "SMOVE"):
        return command[1:3]
    if name in ("BLMPOP", "BZMPOP"):
        return command[3 : 3 + int(command[2])]
    if name == "LMPOP":
        return command[2 : 2 + int(command[1])]
    if name in _STORES:
        return command[1:]
    if name == "EVAL":
        return command[3 : 3 + int(command[2])]
    if name == "FCALL":  # a library is known by the name of its one function
        return (command[3], f"(library) {command[1]}")
    if name == "FUNCTION":  # LOAD REPLACE text
        return (f"(library) {command[3].split()[1].removeprefix('name=')}",)
    return None


def mentioned(command: tuple[str, ...]) -> tuple[str, ...]:
    """Words by which elements are found: it matters which ones they are."""
    name = command[0].upper()
    if name in ("LREM", "LINSERT"):
        return command[3:4]
    return command[3 + int(command[2]) :] if name == "EVAL" else ()


def expiring_fields(command: tuple[str, ...]) -> tuple[str, ...]:
    """Those that may be gone from now on."""
    words = [word.upper() for word in command]
    if words[0] not in ("HPEXPIRE", "HGETEX", "HSETEX") or (
        words[0] != "HPEXPIRE" and "PX" not in words
    ):
        return ()
    first = words.index("FIELDS") + 2
    return command[first :: 2 if words[0] == "HSETEX" else 1]


def with_choice(
    command: tuple[str, ...], reply: object, is_known: bool, members: Iterable[str]
) -> list[tuple[str, ...]]:
    """What chance may have made of it; ``members``: that a set can have."""
    name = command[0].upper()
    if name == "SPOP":
        if not is_known:
            return [(*command, member) for member in sorted(members)]
        return [(*command, reply.decode())] if isinstance(reply, bytes) else [command]
    if name == "EVAL" and _first_line(command[1]) == ROLLS:
        return [(*command, n) for n in ([str(reply)] if is_known else ROLLED)]
    return [command]


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _sorted(members: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(sorted(members))


# -- the steps -------------------------------------------------------------------------------------


def step_of(command: tuple[str, ...]) -> Step:
    """Of the values of ``keys_of`` the command."""
    name, words = command[0].upper(), [word.encode() for word in command[1:]]
    if name == "EVAL":
        text, args = _first_line(command[1]), words[2 + int(command[2]) :]
        return lambda values: _script(text, values, args)
    if name == "FUNCTION":
        version = command[3].rpartition("return '")[2].partition("'")[0].encode()
        return lambda values: ([version], command[3].split()[1].removeprefix("name=").encode())
    if name == "FCALL":
        return lambda v: ([words[3], v[1]], v[1]) if v[1] is not None else (v, ERROR)
    if name in _LISTS:
        step = _list_step
    elif name in _SETS:
        step = _set_step
    else:
        step = _hash_step if name.startswith("H") else _sorted_set_step
    keys = tuple(key.encode() for key in keys_of(command) or command[1:2])

    def run(values: Sequence[Any]) -> tuple[Sequence[Any], object]:
        if any(isinstance(value, bytes) for value in values):
            return values, ERROR
        return step(name, keys, words, [value or () for value in values])

    return run


def _take(value: Any, count: int, is_left: bool) -> tuple[list[Any], Any]:
    """The elements, and those that stay."""
    taken = list(value[:count] if is_left else value[::-1][:count])
    return taken, value[count:] if is_left else value[: max(len(value) - count, 0)]


def _list_step(
    name: str, keys: Sequence[bytes], words: list[bytes], values: list[Any]
) -> tuple[Sequence[Any], object]:
    first = values[0]
    if name in ("BLPOP", "BRPOP"):
        for n, value in enumerate(values):
            if value:
                taken, left = _take(value, 1, name == "BLPOP")
                return [*values[:n], left, *values[n + 1 :]], [keys[n], taken[0]]
        return values, None
    if name in ("LMPOP", "BLMPOP"):
        side, *count = words[-1:] if b"COUNT" not in words else (words[-3], words[-1])
        for n, value in enumerate(values):
            if value:
                taken, left = _take(value, int(count[0]) if count else 1, side == b"LEFT")
                return [*values[:n], left, *values[n + 1 :]], [keys[n], taken]
        return values, None
    if name in ("LMOVE", "BLMOVE", "RPOPLPUSH", "BRPOPLPUSH"):
        if not first:
            return values, None
        from_, to = (b"RIGHT", b"LEFT") if "PUSH" in name else (words[2], words[3])
        (moved,), left = _take(first, 1, from_ == b"LEFT")
        target = left if keys[0] == keys[1] else values[1]
        target = (moved, *target) if to == b"LEFT" else (*target, moved)
        return [target if keys[0] == keys[1] else left, target], moved
    if name == "LLEN":
        return values, len(first)
    if name == "LRANGE":  # of all
        return values, list(first)
    if name == "LINDEX":
        at = int(words[1])
        return values, first[at] if -len(first) <= at < len(first) else None
    if name in ("LPUSH", "LPUSHX", "RPUSH"):
        if name == "LPUSHX" and not first:
            return values, 0
        after = (*first, *words[1:]) if name == "RPUSH" else (*words[:0:-1], *first)
        return [after], len(after)
    if name in ("LPOP", "RPOP"):
        taken, left = _take(first, int(words[1]) if words[1:] else 1, name == "LPOP")
        return [left], None if not taken else taken if words[1:] else taken[0]
    if name == "LREM":
        return _removed(first, int(words[1]), words[2])
    if name == "LTRIM":
        begin, end = int(words[1]), int(words[2])
        return [first[begin : end + 1]], "OK"
    if name == "LINSERT":
        if words[2] not in first:
            return values, -1 if first else 0
        at = first.index(words[2]) + (words[1] == b"AFTER")
        after = (*first[:at], words[3], *first[at:])
        return [after], len(after)
    raise ValueError(f"{name}: not in the model")


def _removed(value: Any, count: int, element: bytes) -> tuple[Sequence[Any], object]:
    left, gone = list(value), 0
    while element in left and (count == 0 or gone < abs(count)):
        at = left.index(element) if count >= 0 else len(left) - 1 - left[::-1].index(element)
        del left[at]
        gone += 1
    return [tuple(left)], gone


def _set_step(
    name: str, keys: Sequence[bytes], words: list[bytes], values: list[Any]
) -> tuple[Sequence[Any], object]:
    first = {*values[0]}
    if name == "SADD":
        return [_sorted(first | {*words[1:]})], len({*words[1:]} - first)
    if name == "SREM":
        return [_sorted(first - {*words[1:]})], len({*words[1:]} & first)
    if name == "SPOP":
        if not words[1:]:
            return values, NEVER if first else None
        chosen = words[1]
        return ([_sorted(first - {chosen})], chosen) if chosen in first else (values, NEVER)
    if name == "SMEMBERS":
        return values, frozenset(first)
    if name == "SCARD":
        return values, len(first)
    if name == "SISMEMBER":
        return values, int(words[1] in first)
    if name == "SRANDMEMBER":
        return values, OneOf(first)
    if name == "SMOVE":
        if words[2] not in first:
            return values, 0
        return [_sorted(first - {words[2]}), _sorted({*values[1], words[2]})], 1
    if name not in _STORES:
        raise ValueError(f"{name}: not in the model")
    left, right = ({*value} for value in values[1:])
    if name == "SINTERSTORE":
        result = left & right
    else:
        result = left | right if name == "SUNIONSTORE" else left - right
    return [_sorted(result), *values[1:]], len(result)


def _hash_step(
    name: str, keys: Sequence[bytes], words: list[bytes], values: list[Any]
) -> tuple[Sequence[Any], object]:
    fields = dict(values[0])
    before = len(fields)
    if name == "HGET":
        return values, plain(fields.get(words[1]))
    if name == "HLEN":
        return values, before
    if name == "HGETALL":
        return values, {field: plain(value) for field, value in fields.items()}
    if name == "HKEYS":
        return values, frozenset(fields)
    if name == "HRANDFIELD":
        return values, OneOf(fields)
    reply: object
    if name == "HSET":
        fields.update(zip(words[1::2], words[2::2], strict=True))
        reply = len(fields) - before
    elif name == "HDEL":
        fields = {field: value for field, value in fields.items() if field not in words[1:]}
        reply = before - len(fields)
    elif name == "HINCRBY":
        number = int(plain(fields.get(words[1], b"0"))) + int(words[2])
        new = b"%d" % number
        fields[words[1]] = Expiring(new) if _expires(fields.get(words[1])) else new
        reply = number
    else:
        reply = _expire_fields(name, words, fields)
    return [tuple(sorted(fields.items()))], reply


def _expires(value: object) -> bool:
    return isinstance(value, Expiring)


def _expire_fields(name: str, words: list[bytes], fields: dict[bytes, Any]) -> object:
    """Those of Redis 7.4 and 8: … FIELDS count field …"""
    at = words.index(b"FIELDS")
    options, named = words[1:at], words[at + 2 :]
    there = {field: fields.get(field) for field in named}
    if name == "HGETDEL":
        for field in named:
            fields.pop(field, None)
        return [plain(value) for value in there.values()]
    if name == "HSETEX":
        there = {field: fields.get(field) for field in named[::2]}
        if (b"FNX" in options and any(v is not None for v in there.values())) or (
            b"FXX" in options and any(v is None for v in there.values())
        ):
            return 0
        for field, value in zip(named[::2], named[1::2], strict=True):
            keeps = b"KEEPTTL" in options and _expires(there[field])
            fields[field] = Expiring(value) if b"PX" in options or keeps else value
        return 1
    found = {field: value for field, value in there.items() if value is not None}
    if name == "HGETEX":
        if b"PX" in options or b"PERSIST" in options:
            for field, value in found.items():
                fields[field] = Expiring(plain(value)) if b"PX" in options else plain(value)
        return [plain(value) for value in there.values()]
    if name == "HPEXPIRE":
        for field, value in found.items():
            fields[field] = Expiring(plain(value))
        return [1 if field in found else -2 for field in named]
    if name == "HPERSIST":
        for field, value in found.items():
            fields[field] = plain(value)
        return [1 if _expires(v) else -1 if v is not None else -2 for v in there.values()]
    if name == "HPTTL":
        return [EACH_ANY if _expires(v) else -1 if v is not None else -2 for v in there.values()]
    raise ValueError(f"{name}: not in the model")


def _score(score: float) -> bytes:
    return b"%g" % score


def _sorted_set_step(
    name: str, keys: Sequence[bytes], words: list[bytes], values: list[Any]
) -> tuple[Sequence[Any], object]:
    if name in ("BZPOPMIN", "BZPOPMAX", "BZMPOP"):
        for n, value in enumerate(values):
            if value:
                is_highest = name == "BZPOPMAX" or b"MAX" in words
                member, score = _in_order(value)[-is_highest]
                left = tuple(pair for pair in value if pair[0] != member)
                taken = [member, score]
                reply = [keys[n], [taken]] if name == "BZMPOP" else [keys[n], *taken]
                return [*values[:n], left, *values[n + 1 :]], reply
        return values, None
    scores = {member: float(score) for member, score in values[0]}
    order = [member for member, _ in _in_order(values[0])]
    if name == "ZRANGE":  # of all
        return values, order
    if name == "ZSCORE":
        return values, _score(scores[words[1]]) if words[1] in scores else None
    if name == "ZRANK":
        return values, order.index(words[1]) if words[1] in scores else None
    before, reply = len(scores), object()
    if name == "ZADD":
        scores |= {m: float(s) for s, m in zip(words[1::2], words[2::2], strict=True)}
        reply = len(scores) - before
    elif name == "ZINCRBY":
        scores[words[2]] = scores.get(words[2], 0.0) + float(words[1])
        reply = _score(scores[words[2]])
    elif name == "ZREM":
        scores = {member: score for member, score in scores.items() if member not in words[1:]}
        reply = before - len(scores)
    elif name == "ZPOPMIN":
        reply = [order[0], _score(scores.pop(order[0]))] if order else []
    else:
        raise ValueError(f"{name}: not in the model")
    return [tuple((member, _score(score)) for member, score in sorted(scores.items()))], reply


def _in_order(pairs: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return sorted(pairs, key=lambda pair: (float(pair[1]), pair[0]))
