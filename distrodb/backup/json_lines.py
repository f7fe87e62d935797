"""A key as a line of JSON, for people and for other programs.  Pure.

    {"key": "a", "value": "1"}
    {"key": "b", "value": "2", "expires_at_ms": 1795824000000, "database": 3}
    {"key": "h", "hash": [["field", "text"], ["other", {"base64": "/w=="}, 1795824000000]]}
    {"key": "l", "list": ["first", "second"]}
    {"key": "z", "zset": [["member", 1.5], ["other", "inf"]]}
    {"key": "s", "set": ["one", "another"]}
    {"key": "x", "stream": {"entries": [["1-1", "field", "value"]], …}}     (json_streams.py)

A library of functions, and a script of SCRIPT LOAD, are lines of their own:

    {"function_library": "#!lua name=…"}
    {"script": "return 1"}

A string is UTF-8 text; what is not UTF-8 is an object with its bytes in Base64.  So no string is
ever taken for bytes, nor the other way round, and whatever is exported comes back as it was.
A field of a hash that expires has its time behind its value.
``expires_at_ms`` is a Unix time in milliseconds, and left out where a key stays; ``database`` is
left out where it is 0.  What else a line may have is refused, lest it be lost without a word.

A new kind of value is a line in ``_KINDS``.
"""

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from distrodb.backup.json_streams import stream_from_plain, stream_to_plain
from distrodb.backup.records import Code, Record
from distrodb.commands.numbers import INT_MAX
from distrodb.keyspace.containers.field_expiries import MOMENT_MS_MAX
from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.containers.list import List
from distrodb.keyspace.containers.set import Set
from distrodb.keyspace.containers.sorted_set import SortedSet
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.values import Value

Text: TypeAlias = str | dict[str, str]
LIBRARY, SCRIPT = "function_library", "script"
_DATABASES_MAX = 1024  # that an option allows


def line_of(record: Record | Code) -> str:
    if isinstance(record, Code):
        name = LIBRARY if record.is_library else SCRIPT
        return json.dumps({name: _text(record.text)}, ensure_ascii=False)
    name, (to_plain, _) = _name_of(record.value)
    plain: dict[str, Any] = {"key": _text(record.key), name: to_plain(record.value)}
    if record.expires_at_ms is not None:
        plain["expires_at_ms"] = record.expires_at_ms
    if record.database:
        plain["database"] = record.database
    return json.dumps(plain, ensure_ascii=False, separators=(", ", ": "))


def record_of(line: str) -> Record | Code:
    """Raises ``ValueError`` with what is wrong."""
    try:
        plain = json.loads(line, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except json.JSONDecodeError as problem:
        raise ValueError(f"no JSON: {problem.msg} at column {problem.colno}") from None
    if not isinstance(plain, dict):
        raise ValueError("no JSON object")
    if plain.keys() in ({LIBRARY}, {SCRIPT}):
        return Code(LIBRARY in plain, _bytes(plain.get(LIBRARY, plain.get(SCRIPT))))
    names = [name for name in plain if name in _KINDS]
    if unknown := set(plain) - set(_KINDS) - {"key", "expires_at_ms", "database"}:
        raise ValueError(f"{min(unknown)!a:.40} is not known")
    if "key" not in plain or len(names) != 1:
        raise ValueError(f"it needs a key, and one of {', '.join(_KINDS)}")
    expires_at_ms = plain.get("expires_at_ms")
    if expires_at_ms is not None:
        _check_number("expires_at_ms", expires_at_ms, 1, INT_MAX)
    database = plain.get("database", 0)
    _check_number("database", database, 0, _DATABASES_MAX - 1)
    _, from_plain = _KINDS[names[0]]
    return Record(database, _bytes(plain["key"]), from_plain(plain[names[0]]), expires_at_ms)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice in one object")
    return found


def _check_number(name: str, number: Any, least: int, most: int) -> None:
    if type(number) is not int or not least <= number <= most:
        raise ValueError(f"{name} is no number from {least} to {most}")


def _text(data: bytes) -> Text:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _bytes(plain: Any) -> bytes:
    match plain:
        case str():
            try:
                return plain.encode()
            except UnicodeEncodeError:
                raise ValueError("half a character (a lone surrogate): give its bytes") from None
        case {"base64": str(text), **more} if not more:
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError):
                raise ValueError("what should be Base64 is not") from None
    raise ValueError('keys and values are strings, or {"base64": "…"}')


def _hash_to_plain(value: Any) -> list[list[Text | int]]:
    pairs: list[list[Text | int]] = []
    for field, text in value.fields.items():
        at_ms = value.expiry(field)
        pairs.append([_text(field), _text(text), *(() if at_ms is None else (at_ms,))])
    return pairs


def _hash_from_plain(plain: Any) -> Hash:
    value = Hash(0)
    if not isinstance(plain, list) or not plain:
        raise ValueError("a hash is a list of pairs, [field, value]")
    for pair in plain:
        if not isinstance(pair, list) or len(pair) not in (2, 3):
            raise ValueError("a hash is a list of pairs, [field, value]")
        field = _bytes(pair[0])
        if not value.set(field, _bytes(pair[1])):
            raise ValueError("a field twice in one hash")
        if len(pair) == 3:
            _check_number("when a field expires", pair[2], 1, MOMENT_MS_MAX)
            value.expire_at(field, pair[2])
    return value


def _list_to_plain(value: Any) -> list[Text]:
    return [_text(item) for item in value]


def _list_from_plain(plain: Any) -> List:
    if not isinstance(plain, list) or not plain:
        raise ValueError("a list is one of strings")
    value = List(0)
    value.extend(map(_bytes, plain))
    return value


def _sorted_set_to_plain(value: Any) -> list[list[Text | float]]:
    """JSON has no infinite number."""
    return [
        [_text(member), "inf" if score == math.inf else "-inf" if score == -math.inf else score]
        for score, member in value
    ]


def _sorted_set_from_plain(plain: Any) -> SortedSet:
    scores: dict[bytes, float] = {}
    if not isinstance(plain, list) or not plain:
        raise ValueError("a sorted set is a list of pairs, [member, score]")
    for pair in plain:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError("a sorted set is a list of pairs, [member, score]")
        member = _bytes(pair[0])
        if member in scores:
            raise ValueError("a member twice in one sorted set")
        scores[member] = _score(pair[1])
    return SortedSet.of(scores)


def _score(plain: Any) -> float:
    if plain in ("inf", "-inf"):
        return float(plain)
    try:
        if type(plain) in (int, float) and math.isfinite(plain):
            return float(plain)
    except OverflowError:
        pass
    raise ValueError('a score is a number, or "inf" or "-inf"')


def _set_to_plain(value: Any) -> list[Text]:
    return [_text(member) for member in value.members]


def _set_from_plain(plain: Any) -> Set:
    if not isinstance(plain, list) or not plain:
        raise ValueError("a set is a list of strings")
    value = Set(0)
    if not all(value.add(_bytes(member)) for member in plain):
        raise ValueError("a member twice in one set")
    return value


_Ways = tuple[Callable[[Any], Any], Callable[[Any], Value]]
# By the name that stands for a kind: to JSON, and back.
_KINDS: Mapping[str, _Ways] = {
    "value": (_text, _bytes),
    Hash.kind.decode(): (_hash_to_plain, _hash_from_plain),
    List.kind.decode(): (_list_to_plain, _list_from_plain),
    SortedSet.kind.decode(): (_sorted_set_to_plain, _sorted_set_from_plain),
    Set.kind.decode(): (_set_to_plain, _set_from_plain),
    Stream.kind.decode(): (
        lambda value: stream_to_plain(value, _text),
        lambda plain: stream_from_plain(plain, _bytes),
    ),
}


def _name_of(value: Value) -> tuple[str, _Ways]:
    name = "value" if isinstance(value, bytes) else value.kind.decode()
    return name, _KINDS[name]
