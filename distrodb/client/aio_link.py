"""``link`` for asyncio: the same requests, the same rules of what is sent again."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from distrodb.client import wire
from distrodb.client.link import AGAIN_S, GREETING, SLAVES, learned, raise_unless_again
from distrodb.client.options import Where
from distrodb.client.request import Pause, Request, Steps
from distrodb.client.routes import Address, Routes
from distrodb.clock import monotonic

T = TypeVar("T")


class AsyncLink:
    """For one event loop."""

    def __init__(self, where: Where, patience_s: float):
        self.routes = Routes(where.addresses)
        self._where, self._patience_s = where, patience_s
        self._pools: dict[Address, redis.asyncio.ConnectionPool] = {}

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.disconnect()

    async def run(self, steps: Steps[T]) -> T:
        try:
            asked = next(steps)
            while True:
                if isinstance(asked, Pause):
                    await asyncio.sleep(asked.seconds)
                try:
                    answer = None if isinstance(asked, Pause) else await self.ask(asked)
                except Exception as error:
                    asked = steps.throw(error)
                else:
                    asked = steps.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    async def ask(self, request: Request) -> list[Any] | None:
        """Raises redis-py's errors, and ``OutcomeUnknown``."""
        answer: list[Any] | None = await self._patiently(
            request, lambda at: self._ask_at(at, request)
        )
        return answer

    async def replies(self, request: Request) -> list[Any]:
        """``ask``, for what is no transaction with watched keys."""
        return await self.ask(request) or []

    async def _patiently(
        self, request: Request, attempt: Callable[[Address], Awaitable[tuple[bool, Any]]]
    ) -> Any:
        until = monotonic() + self._patience_s
        while True:
            at = self.routes.of(request)
            was_sent, result = await attempt(at)
            if not isinstance(result, Exception):
                return result
            raise_unless_again(request, was_sent, result, monotonic() > until)
            if not learned(self.routes, at, result):
                await asyncio.sleep(AGAIN_S)
                await self.refresh()

    async def greet(self) -> None:
        """Each slave is tried once.  Raises when none answers, or none lets us in."""
        result: Any = None
        for at in self.routes.addresses:
            _, result = await self._ask_at(at, GREETING)
            if not isinstance(result, Exception):
                await self.refresh(at)
                return
            self.routes.failed(at)
        raise result

    async def hold(self, request: Request) -> tuple[Address, Any]:
        """A connection on which ``request`` was answered, until ``let_go``."""

        async def attempt(at: Address) -> tuple[bool, Any]:
            try:
                connection = await self.take(at)
            except Exception as error:
                return False, error
            was_sent, result = False, None
            try:
                was_sent, result = await self.exchange(connection, request)
            finally:
                if not was_sent or isinstance(result, Exception):
                    await self.give_back(at, connection)
            return was_sent, result if isinstance(result, Exception) else (at, connection)

        held: tuple[Address, Any] = await self._patiently(request, attempt)
        return held

    async def let_go(self, held: tuple[Address, Any]) -> None:
        await held[1].disconnect(nowait=True)  # and with it what it watches
        await self.give_back(*held)

    async def refresh(self, first: Address | None = None) -> list[list[Any]] | None:
        """As that of ``Link``."""
        for at in [first] if first else self.routes.asked_first:
            _, result = await self._ask_at(at, SLAVES)
            if not isinstance(result, Exception):
                self.routes.learn(result[0], at)
                rows: list[list[Any]] = result[0]
                return rows
        return None

    async def _ask_at(self, at: Address, request: Request) -> tuple[bool, Any]:
        """Whether it was sent, and the answer or the exception."""
        try:
            connection = await self.take(at)
        except Exception as error:
            return False, error
        try:
            return await self.exchange(connection, request)
        finally:
            await self.give_back(at, connection)

    async def exchange(self, connection: Any, request: Request) -> tuple[bool, Any]:
        commands = wire.written(request)
        replies: list[Any] = []
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            for _ in commands:
                try:
                    replies.append(await connection.read_response())
                except redis.ResponseError as error:
                    replies.append(error)
        except BaseException as error:
            # What is still to come is nobody's answer; nor is it when a task is cancelled.
            await connection.disconnect(nowait=True)
            if not isinstance(error, Exception):
                raise
            return True, error
        try:
            return True, wire.understood(request, replies)
        except Exception as error:
            return True, error

    async def take(self, at: Address) -> Any:
        if at not in self._pools:
            kind = redis.asyncio.SSLConnection if self._where.is_tls else redis.asyncio.Connection
            self._pools[at] = redis.asyncio.ConnectionPool(
                connection_class=kind,
                host=at[0],
                port=at[1],
                retry=Retry(NoBackoff(), 0),
                **self._where.options,
            )
        return await self._pools[at].get_connection()

    async def give_back(self, at: Address, connection: Any) -> None:
        with contextlib.suppress(redis.RedisError, OSError):
            await self._pools[at].release(connection)
