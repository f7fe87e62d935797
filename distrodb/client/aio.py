"""``connect_async``: ``sync``, ``transaction`` and ``locks`` for asyncio."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Generic, Literal, TypeVar, cast, overload

import redis
from redis.exceptions import ClusterDownError

from distrodb.client import lease, operations, routes
from distrodb.client.aio_link import AsyncLink
from distrodb.client.lease import Claim, Lease
from distrodb.client.link import AGAIN_S
from distrodb.client.options import ANSWER_S, PATIENCE_S, where
from distrodb.client.request import Command, Key, LeaseLost, OutcomeUnknown, Pause, Request, Word
from distrodb.client.sync import PASSES_MAX
from distrodb.client.transaction import ATTEMPTS
from distrodb.client.wire import Fate, fate
from distrodb.clock import monotonic
from distrodb.login import Login

S = TypeVar("S", str, bytes)
R = TypeVar("R")


@overload
async def connect_async(
    at: str | Iterable[str] = ...,
    *,
    login: Login | None = ...,
    text: Literal[False] = ...,
    patience_s: float = ...,
    answer_s: float = ...,
) -> "AsyncDatabase[bytes]": ...


@overload
async def connect_async(
    at: str | Iterable[str] = ...,
    *,
    login: Login | None = ...,
    text: Literal[True],
    patience_s: float = ...,
    answer_s: float = ...,
) -> "AsyncDatabase[str]": ...


async def connect_async(
    at: str | Iterable[str] = "127.0.0.1:55551",
    *,
    login: Login | None = None,
    text: bool = False,
    patience_s: float = PATIENCE_S,
    answer_s: float = ANSWER_S,
) -> "AsyncDatabase[Any]":
    """As ``distrodb.connect``, for one event loop: ``db = await connect_async(…)``."""
    link = AsyncLink(where(at, login, answer_s), patience_s)
    try:
        await link.greet()
    except BaseException:
        await link.close()
        raise
    return AsyncDatabase(link, text)


class AsyncDatabase(Generic[S]):
    """``Database`` with ``await db.get(key)``, ``await db.set(key, value)`` in place of brackets,
    ``async for key in db.keys()``, and ``await db.size()``; errors are the same.

    When a task is cancelled in a write, that may have happened.
    """

    def __init__(self, link: AsyncLink, text: bool):
        self._link, self._is_text = link, text

    async def __aenter__(self) -> "AsyncDatabase[S]":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._link.close()

    @overload
    async def get(self, key: Key) -> S | None: ...

    @overload
    async def get(self, key: Key, default: R) -> S | R: ...

    async def get(self, key: Key, default: Any = None) -> Any:
        value = await self._link.run(operations.get(key))
        return default if value is None else self._shown(value)

    async def set(
        self, key: Key, value: Word, *, ttl_s: float | None = None, keep_ttl: bool = False
    ) -> None:
        await self._link.run(operations.put(key, value, ttl_s, keep_ttl))

    async def delete(self, key: Key) -> bool:
        return await self._link.run(operations.delete(key))

    async def exists(self, key: Key) -> bool:
        return await self._link.run(operations.exists(key))

    async def ttl_s(self, key: Key) -> float | None:
        """Raises ``KeyError``."""
        return await self._link.run(operations.ttl(key))

    async def expire(self, key: Key, ttl_s: float | None) -> bool:
        return await self._link.run(operations.expire(key, ttl_s))

    async def add(self, key: Key, amount: int = 1) -> int:
        return await self._link.run(operations.add(key, amount))

    async def compare_and_set(
        self, key: Key, old: Word | None, new: Word | None, *, ttl_s: float | None = None
    ) -> bool:
        return await self._link.run(operations.compare_and_set(key, old, new, ttl_s))

    async def get_many(self, keys: Iterable[Key]) -> dict[Key, S]:
        found = await self._link.run(operations.get_many(keys))
        return {key: self._shown(value) for key, value in found.items()}

    async def set_many(self, values: Mapping[Key, Word]) -> None:
        await self._link.run(operations.set_many(values))

    async def delete_many(self, keys: Iterable[Key]) -> int:
        return await self._link.run(operations.delete_many(keys))

    async def keys(self, match: Key | None = None) -> AsyncIterator[S]:
        """What it promises is said at ``Database.keys``."""
        for passes in range(1, PASSES_MAX + 1):
            before = await self._link.refresh()
            try:
                for address in self._link.routes.all_parts():
                    cursor = b"0"
                    while True:
                        request = operations.scan(cursor, match, address)
                        ((next_cursor, keys),) = await self._link.replies(request)
                        for key in keys:
                            yield self._shown(key)
                        cursor = bytes(next_cursor)
                        if cursor == b"0":
                            break
                if await self._is_as_it_was(before):
                    return
            except (redis.ConnectionError, redis.TimeoutError, ClusterDownError):
                if passes == PASSES_MAX:
                    raise
            await self._link.run(_pause(AGAIN_S * passes * passes))
        raise ClusterDownError("the leaders change all the time")

    async def size(self) -> int:
        """``len`` of ``Database``."""
        for passes in range(1, PASSES_MAX + 1):
            before, count = await self._link.refresh(), 0
            try:
                for address in self._link.routes.all_parts():
                    count += (await self._link.replies(operations.size(address)))[0]
                if await self._is_as_it_was(before):
                    return count
            except (redis.ConnectionError, redis.TimeoutError, ClusterDownError):
                if passes == PASSES_MAX:
                    raise
            await self._link.run(_pause(AGAIN_S * passes * passes))
        raise ClusterDownError("the leaders change all the time")

    async def _is_as_it_was(self, before: list[list[Any]] | None) -> bool:
        if not self._link.routes.is_cluster:
            return True
        now = await self._link.refresh()
        return bool(before and now) and routes.leads(before or []) == routes.leads(now or [])

    def transaction(self, *watched: Key) -> "AsyncTransaction[S]":
        """``async with db.transaction("a") as t: t.set("a", int(await t.get("a")) + 1)``"""
        return AsyncTransaction(self._link, watched, self._is_text)

    async def transact(
        self,
        work: Callable[["AsyncTransaction[S]"], Awaitable[R]],
        *watched: Key,
        attempts: int = ATTEMPTS,
    ) -> R:
        """As that of ``Database``; ``work`` is awaited."""
        for left in reversed(range(attempts)):
            try:
                async with self.transaction(*watched) as transaction:
                    result = await work(transaction)
                return result
            except redis.WatchError:
                if not left:
                    raise
        raise ValueError(f"attempts is {attempts}; use 1 or more")

    def lock(self, name: str, ttl_s: float = 10.0) -> "AsyncLock":
        return AsyncLock(self._link, name, ttl_s)

    def election(self, name: str, candidate: str, ttl_s: float = 10.0) -> "AsyncElection":
        return AsyncElection(self._link, name, ttl_s, candidate)

    def _shown(self, value: bytes) -> S:
        return cast(S, value.decode() if self._is_text else value)


class AsyncTransaction(Generic[S]):
    """See ``Transaction``."""

    def __init__(self, link: AsyncLink, watched: tuple[Key, ...], text: bool):
        if not watched:
            raise ValueError("name the keys that are watched; one is enough")
        self._link, self._watched, self._is_text = link, watched, text
        self._queue: list[Command] = []
        self._held: Any = None
        self.results: list[Any] = []

    async def __aenter__(self) -> "AsyncTransaction[S]":
        watch = Request((("WATCH", *self._watched),), self._watched[0], is_repeatable=True)
        self._held = await self._link.hold(watch)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self._queue:
                request = Request(tuple(self._queue), self._watched[0], is_atomic=True)
                result = await self._asked(request)
                if result is None:
                    raise redis.WatchError("a watched key was touched, or its leader has changed")
                self.results = result
        finally:
            await self._link.let_go(self._held)

    async def _asked(self, request: Request) -> list[Any] | None:
        was_sent, result = await self._link.exchange(self._held[1], request)
        if not isinstance(result, Exception):
            answer: list[Any] | None = result
            return answer
        what = fate(result, was_sent)
        if what is Fate.REFUSED:
            raise result
        if what is Fate.PERHAPS and request.is_atomic:
            raise OutcomeUnknown(f"EXEC: {result}") from result
        raise redis.WatchError(f"its leader has changed: {result}") from result

    async def get(self, key: Key) -> S | None:
        (value,) = await self._asked(Request((("GET", key),), key)) or [None]
        if value is None:
            return None
        return cast(S, value.decode() if self._is_text else value)

    def set(self, key: Key, value: Word) -> None:
        self.command("SET", key, value)

    def delete(self, key: Key) -> None:
        self.command("DEL", key)

    def command(self, *words: Word) -> None:
        self._queue.append(words)


class AsyncLock:
    """See ``Lock``; ``async with db.lock("report") as lock: …``"""

    def __init__(self, link: AsyncLink, name: str, ttl_s: float, word: str = ""):
        Claim(name, "-", ttl_s)  # raises ValueError
        self._link, self._name, self._ttl_s, self._word = link, name, ttl_s, word
        self._claim: Claim | None = None
        self._lease: Lease | None = None

    async def acquire(self, timeout_s: float | None = None) -> bool:
        if self.is_held:
            raise RuntimeError(f"lock {self._name}: it is held already")
        self._claim = Claim(self._name, f"{secrets.token_hex(16)} {self._word}", self._ttl_s)
        self._lease = await self._link.run(lease.acquire(self._claim, monotonic, timeout_s))
        return self._lease is not None

    async def renew(self) -> None:
        """Raises ``LeaseLost``."""
        claim, old = self._mine()
        self._lease = await self._link.run(lease.renew(claim, monotonic, old.token))
        if self._lease is None:
            raise LeaseLost(f"lock {self._name}: it ended before it was renewed")

    async def release(self) -> bool:
        claim, _ = self._mine()
        self._lease = None
        return await self._link.run(lease.release(claim))

    def check(self) -> None:
        """Raises ``LeaseLost``."""
        if not self.is_held:
            raise LeaseLost(f"lock {self._name}: its time is over")

    @property
    def is_held(self) -> bool:
        return self.left_s > 0

    @property
    def left_s(self) -> float:
        return 0.0 if self._lease is None else max(0.0, self._lease.until - monotonic())

    @property
    def token(self) -> int:
        """Raises ``LeaseLost``."""
        return self._mine()[1].token

    def _mine(self) -> tuple[Claim, Lease]:
        if self._claim is None or self._lease is None:
            raise LeaseLost(f"lock {self._name}: it is not held")
        return self._claim, self._lease

    async def __aenter__(self) -> "AsyncLock":
        await self.acquire()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Raises ``LeaseLost`` if it had ended before the block did."""
        was_held = self.is_held
        if self._lease is not None:
            with contextlib.suppress(redis.RedisError, OSError):
                was_held = await self.release() and was_held
        if not was_held and kind is None:
            raise LeaseLost(f"lock {self._name}: its time was over before the block was")


class AsyncElection:
    """See ``Election``; ``async with db.election("jobs", "host1") as me: …``"""

    def __init__(self, link: AsyncLink, name: str, ttl_s: float, candidate: str):
        self._link, self._claim = link, Claim(name, "-", ttl_s)
        self._lock = AsyncLock(link, name, ttl_s, candidate)

    async def campaign(self, timeout_s: float | None = None) -> bool:
        return await self._lock.acquire(timeout_s)

    async def renew(self) -> None:
        """Raises ``LeaseLost``."""
        await self._lock.renew()

    async def resign(self) -> bool:
        return await self._lock.release()

    @property
    def is_leader(self) -> bool:
        return self._lock.is_held

    @property
    def left_s(self) -> float:
        return self._lock.left_s

    @property
    def token(self) -> int:
        """Raises ``LeaseLost``."""
        return self._lock.token

    async def leader(self) -> str | None:
        word = await self._link.run(lease.holder(self._claim))
        return None if word is None else word.decode().partition(" ")[2]

    async def observe(self, every_s: float = 0.5) -> AsyncIterator[str | None]:
        """It never ends."""
        told, last = False, None
        while True:
            now = await self.leader()
            if now != last or not told:
                told, last = True, now
                yield now
            await self._link.run(_pause(every_s))

    async def __aenter__(self) -> "AsyncElection":
        await self.campaign()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        await self._lock.__aexit__(kind, *rest)


def _pause(seconds: float) -> Any:
    yield Pause(seconds)
