"""Replies as what msgpack can write, and back: for peer links and snapshots.

A string, a number and null are themselves; anything else is a list that begins with its kind:

    [0, text]  status          [3, key, item, …]  map             [5, text]  verbatim
    [1, text]  error           [4, flag]          boolean         [6, data]  RESP already
    [2, item, …]  array        [7, digits]        a number beyond 64 bits
    [8, item, …]  set          [9]                null array      [10, a, b, …]  pairs
    [11, text]  number as text                             [12, a, b, …]  named

Only what a partition answers: no push, no several replies in one.

Caveat: a tuple comes back as a list, which is the same to every client.
"""

from collections.abc import Callable, Hashable
from typing import Any

from distrodb.resp.reply import (
    NULL_ARRAY,
    Encoded,
    ErrorReply,
    Named,
    NullArray,
    NumberText,
    Pairs,
    Reply,
    SetReply,
    Status,
    Verbatim,
)

_STATUS, _ERROR, _ARRAY, _MAP, _FLAG, _VERBATIM, _ENCODED, _LARGE, _SET, _NULL_ARRAY = range(10)
_PAIRS, _NUMBER_TEXT, _NAMED = 10, 11, 12
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_TEXTS: dict[int, Callable[[bytes], Reply]] = {
    _STATUS: Status,
    _ERROR: ErrorReply,
    _VERBATIM: Verbatim,
    _ENCODED: Encoded,
    _NUMBER_TEXT: NumberText,
}
DEPTH_MAX = 32  # far above what any command answers


def to_plain(reply: Reply) -> Any:
    """Raises ``TypeError`` for what is not a reply."""
    kind = type(reply)
    if kind is bytes or reply is None or kind is float:  # the most frequent first
        return reply
    if isinstance(reply, Status):
        return [_STATUS, reply.text]
    if isinstance(reply, bool):
        return [_FLAG, reply]
    if isinstance(reply, int):
        return reply if _INT_MIN <= reply <= _INT_MAX else [_LARGE, b"%d" % reply]
    if isinstance(reply, ErrorReply):
        return [_ERROR, reply.text]
    if isinstance(reply, (list, tuple)):
        return [_ARRAY, *map(to_plain, reply)]
    if isinstance(reply, dict):
        return [_MAP, *(to_plain(each) for item in reply.items() for each in item)]
    if isinstance(reply, Verbatim):
        return [_VERBATIM, reply.text]
    if isinstance(reply, Encoded):
        return [_ENCODED, reply.data]
    if isinstance(reply, SetReply):
        return [_SET, *map(to_plain, reply.items)]
    if isinstance(reply, NullArray):
        return [_NULL_ARRAY]
    if isinstance(reply, NumberText):
        return [_NUMBER_TEXT, reply.text]
    if isinstance(reply, Pairs):
        return [_PAIRS, *(to_plain(each) for pair in reply.items for each in pair)]
    if isinstance(reply, Named):
        return [_NAMED, *(to_plain(each) for pair in reply.items for each in pair)]
    raise TypeError(f"not a reply: {reply!r}")


def from_plain(plain: Any, depth: int = 0) -> Reply:
    """Raises ``ValueError`` for what ``to_plain`` does not make."""
    kind = type(plain)
    if kind is bytes or plain is None or kind is int or kind is float:
        value: Reply = plain
        return value
    if kind not in (list, tuple) or not plain or depth > DEPTH_MAX:
        raise ValueError("not a reply")
    kind, *items = plain
    if kind == _ARRAY:
        return [from_plain(item, depth + 1) for item in items]
    if kind == _SET:
        return SetReply([from_plain(item, depth + 1) for item in items])
    if kind == _NULL_ARRAY and not items:
        return NULL_ARRAY
    if kind in (_PAIRS, _NAMED) and len(items) % 2 == 0:
        parts = [from_plain(item, depth + 1) for item in items]
        pairs = list(zip(parts[::2], parts[1::2], strict=True))
        return Pairs(pairs) if kind == _PAIRS else Named(pairs)
    if kind == _MAP and len(items) % 2 == 0:
        parts = [from_plain(item, depth + 1) for item in items]
        if not all(isinstance(name, Hashable) for name in parts[::2]):
            raise ValueError("not a reply")
        return dict(zip(parts[::2], parts[1::2], strict=True))
    if len(items) == 1:
        (item,) = items
        if kind == _FLAG and type(item) is bool:
            return item
        if kind == _LARGE and type(item) is bytes:
            return int(item)
        if type(kind) is int and kind in _TEXTS and type(item) is bytes:
            return _TEXTS[kind](item)
    raise ValueError("not a reply")
