"""Values from Python to Lua, and a script's result back, as Redis makes them.

What always holds: strings that Lua gets are counted before (crowd.py); ``TooMuch`` is raised where
there are more than a script may have, and then Lua has got none of them.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from distrodb.resp.doubles import show_double
from distrodb.resp.reply import (
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
from distrodb.scripting.crowd import Tally
from distrodb.scripting.native import Table
from distrodb.scripting.numbers import whole

TABLE, ITEM = 150, 20  # steps to make one, and for each item of it


class Size:
    """Steps that it takes to make Lua's values."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = 0


class Pushing:
    def __init__(self, table_from: Callable[..., Any]):
        self._table_from = table_from
        self._tally, self.protocol = Tally(0), 2

    def begin(self, tally: Tally) -> None:
        """Another script runs."""
        self._tally, self.protocol = tally, 2

    def pushed(self, reply: Any, size: "Size") -> Any:
        """As Redis makes Lua's values of replies."""
        kind, is_new = type(reply), self.protocol == 3
        size.steps += 20
        if kind is bytes:
            size.steps += len(reply) // 8
            return reply
        if kind is bool:
            return reply if is_new else int(reply)
        if kind is int:
            return reply if -(1 << 53) <= reply <= 1 << 53 else float(reply)
        if reply is None:
            return None if is_new else False
        if kind in (list, tuple):
            return self._list(reply, size)
        if kind is Status:
            return self._table_from({b"ok": reply.text})
        if kind is ErrorReply:
            return self._table_from({b"err": reply.text})
        if kind is dict:
            if not is_new:
                return self._list([each for pair in reply.items() for each in pair], size)
            self._of_mapping(reply, size)
            items = {self._key(key): self.pushed(item, size) for key, item in reply.items()}
            return self._table_from({b"map": self._table_from(items)})
        if kind is SetReply:
            if not is_new:
                return self._list(reply.items, size)
            self._of_mapping(reply.items, size)
            members = {self._key(item): True for item in reply.items}
            size.steps += 20 * len(members)
            return self._table_from({b"set": self._table_from(members)})
        if kind is float:
            if is_new:
                return self._table_from({b"double": reply})
            return show_double(reply)
        if kind is NumberText:
            return self._table_from({b"double": float(reply.text)}) if is_new else reply.text
        if kind is Verbatim:
            if not is_new:
                return reply.text
            inner = self._table_from({b"string": reply.text, b"format": b"txt"})
            return self._table_from({b"verbatim_string": inner})
        if kind is NullArray:
            return None if is_new else False
        if kind is Pairs:
            if is_new:
                return self._list(list(reply.items), size)
            return self._list([each for pair in reply.items for each in pair], size)
        if kind is Named:
            return self.pushed(dict(reply.items) if is_new else list(reply.items), size)
        raise TypeError(f"no reply for a script: {kind.__name__}")

    def _list(self, replies: Sequence[Reply], size: "Size") -> Any:
        if set(map(type, replies)) == {bytes}:
            size.steps += 20 * len(replies) + sum(map(len, replies)) // 8  # type: ignore[arg-type]
            size.steps += self._tally.counted(replies)  # type: ignore[arg-type]
            return self._table_from(replies)
        items = [self.pushed(each, size) for each in replies]
        size.steps += self._tally.counted([each for each in items if type(each) is bytes])
        if None in items:
            return self._table_from(
                {n: each for n, each in enumerate(items, 1) if each is not None}
            )
        return self._table_from(items)

    def _of_mapping(self, replies: Iterable[Reply], size: "Size") -> None:
        """Keys of a map, or members of a set, are about to be made."""
        keys = [self._key(each) for each in replies]
        size.steps += self._tally.counted([key for key in keys if type(key) is bytes])
        numbers = [key for key in keys if type(key) is not bytes]
        size.steps += self._tally.numbers(numbers)
        if isinstance(replies, dict):
            values = replies.values()
            size.steps += self._tally.counted([each for each in values if type(each) is bytes])

    @staticmethod
    def _key(reply: Any) -> Any:
        """Of a map or a set: a table cannot be one."""
        if isinstance(reply, (bytes, int, float)):
            return reply
        return reply.text if isinstance(reply, Status) else repr(reply).encode()

    def table(self, table: Table) -> Any:
        items = table.items
        pairs = list(items.items() if isinstance(items, dict) else enumerate(items, 1))
        self._tally.owed += TABLE + ITEM * len(pairs)
        found = [each for pair in pairs for each in pair]
        self._tally.owed += self._tally.counted([each for each in found if type(each) is bytes])
        if isinstance(items, dict):
            numbers = [key for key in items if type(key) in (int, float)]
            self._tally.owed += self._tally.numbers(numbers)
        return self._table_from(
            {key: self.table(each) if type(each) is Table else each for key, each in pairs}
        )


def reply_of(pieces: list[Any], protocol: int) -> Reply:
    """Of what lua/prelude.lua has made of a script's result."""
    at = 0

    def take() -> Any:
        nonlocal at
        kind, value = pieces[at], pieces[at + 1]
        at += 2
        if kind == b"$":
            return value
        if kind == b":":
            return whole(value)
        if kind == b"#":
            return bool(value) if protocol == 3 else 1 if value else None
        if kind == b"+":
            return Status(_line(value))
        if kind == b"-":
            return ErrorReply(_line(value))
        if kind == b"*":
            return [take() for _ in range(int(value))]
        if kind == b",":
            return float(value)
        if kind == b"%":
            return {_hashable(take()): take() for _ in range(int(value))}
        if kind == b"~":
            return SetReply([take() for _ in range(int(value))])
        if kind == b"=":
            return Verbatim(value)
        return value if kind == b"(" else None

    reply: Reply = take()
    return reply


def _line(text: bytes) -> bytes:
    """One line, whatever it was."""
    return text.strip(b"\r\n").replace(b"\r", b" ").replace(b"\n", b" ")


def _hashable(reply: Any) -> Any:
    if isinstance(reply, list):
        return tuple(map(_hashable, reply))
    return repr(reply).encode() if isinstance(reply, (dict, SetReply)) else reply
