"""A transaction that watches keys, on one connection."""

from types import TracebackType
from typing import Any, Generic, TypeVar, cast

import redis

from distrodb.client.link import Link
from distrodb.client.request import Command, Key, OutcomeUnknown, Request, Word
from distrodb.client.wire import Fate, fate

S = TypeVar("S", str, bytes)
ATTEMPTS = 100


class Transaction(Generic[S]):
    """See ``Database.transaction``; for one ``with``."""

    def __init__(self, link: Link, watched: tuple[Key, ...], text: bool):
        if not watched:
            raise ValueError("name the keys that are watched; one is enough")
        self._link, self._watched, self._is_text = link, watched, text
        self._queue: list[Command] = []
        self._held: Any = None
        self.results: list[Any] = []  # after the block: redis-py's raw replies, one a write

    def __enter__(self) -> "Transaction[S]":
        watch = Request((("WATCH", *self._watched),), self._watched[0], is_repeatable=True)
        self._held = self._link.hold(watch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._queue:
                self._execute()
        finally:
            self._link.let_go(self._held)

    def _execute(self) -> None:
        request = Request(tuple(self._queue), self._watched[0], is_atomic=True)
        result = self._asked(request)
        if result is None:
            raise redis.WatchError("a watched key was touched, or its leader has changed")
        self.results = result

    def _asked(self, request: Request) -> list[Any] | None:
        was_sent, result = self._link.exchange(self._held[1], request)
        if not isinstance(result, Exception):
            answer: list[Any] | None = result
            return answer
        what = fate(result, was_sent)
        if what is Fate.REFUSED:
            raise result
        if what is Fate.PERHAPS and request.is_atomic:
            raise OutcomeUnknown(f"EXEC: {result}") from result
        raise redis.WatchError(f"its leader has changed: {result}") from result

    def __getitem__(self, key: Key) -> S:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def get(self, key: Key) -> S | None:
        """As it was before this transaction, whatever is queued."""
        (value,) = self._asked(Request((("GET", key),), key)) or [None]
        if value is None:
            return None
        return cast(S, value.decode() if self._is_text else value)

    def __setitem__(self, key: Key, value: Word) -> None:
        self._queue.append(("SET", key, value))

    def __delitem__(self, key: Key) -> None:
        self._queue.append(("DEL", key))

    def command(self, *words: Word) -> None:
        """Any command, for instance ``t.command("PEXPIRE", key, 1000)``; see ``results``."""
        self._queue.append(words)
