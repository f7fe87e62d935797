"""A stream in a line of JSON, with its groups.  Pure.

    {"entries": [["1-1", "field", "value"], …], "last": "3-0", "deleted": "0-0", "added": 5,
     "groups": [{"name": "g", "last": "1-1", "read": 1, "consumers": [["c", 1795824000000, -1], …],
                 "pending": [["1-1", "c", 1795824000000, 1], …]}, …]}

``last`` is the highest number there ever was, ``deleted`` the highest one that was deleted; a group
has read so many of all that were ever ``added`` (-1: not known).  A consumer was seen, and got
something (-1: never), at these times in milliseconds; what is pending was delivered last at such a
time, so often.  But for the entries all may be left out.
"""

from collections.abc import Callable
from typing import Any

from distrodb.commands.numbers import INT_MAX
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.containers.stream_group import NEVER, UNKNOWN
from distrodb.keyspace.stream_ids import ID_MAX, parse_id, show_id

ToText = Callable[[bytes], Any]
ToBytes = Callable[[Any], bytes]
_NAMES = {"entries", "last", "deleted", "added", "groups"}
_GROUP_NAMES = {"name", "last", "read", "consumers", "pending"}


def stream_to_plain(stream: Stream, text: ToText) -> dict[str, Any]:
    return {
        "entries": [
            [_show(number), *map(text, fields)] for number, fields in stream.range(0, ID_MAX)
        ],
        "last": _show(stream.last_id),
        "deleted": _show(stream.deleted_max),
        "added": stream.added_count,
        "groups": [
            {
                "name": text(group.name),
                "last": _show(group.last_id),
                "read": group.read_count,
                "consumers": [
                    [text(each.name), each.seen_ms, each.active_ms] for each in group.in_order()
                ],
                "pending": [
                    [_show(number), text(pending.consumer), pending.at_ms, pending.deliveries]
                    for number in group.numbers(0, ID_MAX)
                    for pending in [group.pending[number]]
                ],
            }
            for group in stream.groups_in_order()
        ],
    }


def _show(number: int) -> str:
    return show_id(number).decode()


def stream_from_plain(plain: Any, data: ToBytes) -> Stream:
    """Raises ``ValueError`` with what is wrong."""
    if not isinstance(plain, dict) or "entries" not in plain or set(plain) - _NAMES:
        raise ValueError("a stream is an object with entries, last, deleted, added, groups")
    stream = Stream(0)
    for entry in _rows(plain["entries"], "an entry is [number, field, value, …]"):
        if len(entry) < 3 or len(entry) % 2 == 0:
            raise ValueError("an entry is [number, field, value, …]")
        number = _id(entry[0])
        if number <= stream.last_id:
            raise ValueError("entries of a stream are in the order of their numbers, above 0-0")
        stream.add(number, list(map(data, entry[1:])))
    if "last" in plain:
        stream.last_id = _id(plain["last"])
    if stream.last_id < stream.top_id:
        raise ValueError("the last number of a stream is below that of an entry")
    stream.deleted_max = _id(plain.get("deleted", "0-0"))
    stream.added_count = _number(plain.get("added", len(stream)), len(stream))
    for group in _list(plain.get("groups", []), "groups are a list"):
        _add_group(stream, group, data)
    return stream


def _add_group(stream: Stream, plain: Any, data: ToBytes) -> None:
    if (
        not isinstance(plain, dict)
        or set(plain) - _GROUP_NAMES
        or not {"name", "last"} <= set(plain)
    ):
        raise ValueError("a group is an object with name, last, read, consumers, pending")
    name = data(plain["name"])
    if name in stream.groups:
        raise ValueError("a group twice in one stream")
    group = stream.add_group(name, _id(plain["last"]), _number(plain.get("read", UNKNOWN), UNKNOWN))
    for row in _rows(plain.get("consumers", []), "a consumer is [name, seen, active]", 3):
        consumer = data(row[0])
        if consumer in group.consumers:
            raise ValueError("a consumer twice in one group")
        group.add_consumer(consumer, _number(row[1], 0), _number(row[2], NEVER))
    what = "what is pending is [number, consumer, milliseconds, count]"
    for row in _rows(plain.get("pending", []), what, 4):
        number, found = _id(row[0]), group.consumers.get(data(row[1]))
        if found is None or number in group.pending:
            raise ValueError("what is pending twice, or for a consumer that is not there")
        group.deliver(number, found, _number(row[2], 0), _number(row[3], 0))


def _list(plain: Any, what: str) -> list[Any]:
    if not isinstance(plain, list):
        raise ValueError(what)
    return plain


def _rows(plain: Any, what: str, width: int | None = None) -> list[list[Any]]:
    rows = _list(plain, what)
    for row in rows:
        if not isinstance(row, list) or (width is not None and len(row) != width):
            raise ValueError(what)
    return rows


def _id(plain: Any) -> int:
    number = parse_id(plain.encode(errors="replace")) if isinstance(plain, str) else None
    if number is None:
        raise ValueError("a number in a stream is milliseconds-sequence")
    return number


def _number(plain: Any, least: int) -> int:
    if type(plain) is not int or not least <= plain <= INT_MAX:
        raise ValueError(f"a count or a time in a stream is no number from {least} to {INT_MAX}")
    return plain
