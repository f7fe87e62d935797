"""Sync connections: one request to one slave, and who is asked again after a failure."""

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from distrodb.client import wire
from distrodb.client.options import Where
from distrodb.client.request import OutcomeUnknown, Pause, Request, Steps
from distrodb.client.routes import Address, Routes
from distrodb.client.wire import Fate
from distrodb.clock import monotonic, sleep

T = TypeVar("T")
AGAIN_S = 0.02
GREETING = Request((("PING",),), is_repeatable=True)
SLAVES = Request((("CLUSTER", "SLOTS"),), is_repeatable=True)


def raise_unless_again(request: Request, was_sent: bool, error: Exception, is_late: bool) -> None:
    """Returns if the request is to be sent again."""
    fate = wire.fate(error, was_sent)
    if fate is Fate.PERHAPS and not request.is_repeatable:
        raise OutcomeUnknown(f"{request.commands[0][0]!s}: {error}") from error
    if fate is Fate.REFUSED or request.address is not None or is_late:
        raise error


def learned(routes: Routes, at: Address, error: Exception) -> bool:
    """Whether the error itself says who is asked next."""
    if isinstance(error, redis.exceptions.MovedError):
        routes.moved(error.slot_id, (error.host or at[0], error.port))
        return True
    if not isinstance(error, redis.ResponseError):
        routes.failed(at)
    return False


class Link:
    """``patience_s``: how long a request that certainly did not happen is tried again."""

    def __init__(self, where: Where, patience_s: float):
        self.routes = Routes(where.addresses)
        self._where, self._patience_s = where, patience_s
        self._pools: dict[Address, redis.ConnectionPool] = {}

    def close(self) -> None:
        for pool in self._pools.values():
            pool.disconnect()

    def run(self, steps: Steps[T]) -> T:
        try:
            asked = next(steps)
            while True:
                if isinstance(asked, Pause):
                    sleep(asked.seconds)
                try:
                    answer = None if isinstance(asked, Pause) else self.ask(asked)
                except Exception as error:
                    asked = steps.throw(error)
                else:
                    asked = steps.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    def ask(self, request: Request) -> list[Any] | None:
        """Raises redis-py's errors, and ``OutcomeUnknown``."""
        answer: list[Any] | None = self._patiently(request, lambda at: self._ask_at(at, request))
        return answer

    def replies(self, request: Request) -> list[Any]:
        """``ask``, for what is no transaction with watched keys."""
        replies = self.ask(request)
        return [] if replies is None else replies

    def _patiently(self, request: Request, attempt: Callable[[Address], tuple[bool, Any]]) -> Any:
        until = monotonic() + self._patience_s
        while True:
            at = self.routes.of(request)
            was_sent, result = attempt(at)
            if not isinstance(result, Exception):
                return result
            raise_unless_again(request, was_sent, result, monotonic() > until)
            if not learned(self.routes, at, result):
                sleep(AGAIN_S)
                self.refresh()

    def greet(self) -> None:
        """Each slave is tried once.  Raises when none answers, or none lets us in."""
        result: Any = None
        for at in self.routes.addresses:
            _, result = self._ask_at(at, GREETING)
            if not isinstance(result, Exception):
                self.refresh(at)
                return
            self.routes.failed(at)
        raise result

    def hold(self, request: Request) -> tuple[Address, Any]:
        """A connection on which ``request`` was answered, until ``let_go``."""

        def attempt(at: Address) -> tuple[bool, Any]:
            try:
                connection = self.take(at)
            except Exception as error:
                return False, error
            was_sent, result = self.exchange(connection, request)
            if isinstance(result, Exception):
                self.give_back(at, connection)
                return was_sent, result
            return was_sent, (at, connection)

        held: tuple[Address, Any] = self._patiently(request, attempt)
        return held

    def let_go(self, held: tuple[Address, Any]) -> None:
        held[1].disconnect()  # and with it what it watches
        self.give_back(*held)

    def refresh(self, first: Address | None = None) -> list[list[Any]] | None:
        """The slaves and leaders, from whoever answers first; None from a gateway, or if none
        answers: then what was known stays."""
        for at in [first] if first else self.routes.asked_first:
            _, result = self._ask_at(at, SLAVES)
            if not isinstance(result, Exception):
                self.routes.learn(result[0], at)
                rows: list[list[Any]] = result[0]
                return rows
        return None

    def _ask_at(self, at: Address, request: Request) -> tuple[bool, Any]:
        """Whether it was sent, and the answer or the exception."""
        try:
            connection = self.take(at)
        except Exception as error:
            return False, error
        try:
            return self.exchange(connection, request)
        finally:
            self.give_back(at, connection)

    def exchange(self, connection: Any, request: Request) -> tuple[bool, Any]:
        commands = wire.written(request)
        replies: list[Any] = []
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            for _ in commands:
                try:
                    replies.append(connection.read_response())
                except redis.ResponseError as error:
                    replies.append(error)
        except BaseException as error:
            connection.disconnect()  # what is still to come is nobody's answer
            if not isinstance(error, Exception):
                raise
            return True, error
        try:
            return True, wire.understood(request, replies)
        except Exception as error:
            return True, error

    def take(self, at: Address) -> Any:
        if at not in self._pools:
            kind = redis.SSLConnection if self._where.is_tls else redis.Connection
            self._pools[at] = redis.ConnectionPool(
                connection_class=kind,
                host=at[0],
                port=at[1],
                retry=Retry(NoBackoff(), 0),
                **self._where.options,
            )
        return self._pools[at].get_connection()

    def give_back(self, at: Address, connection: Any) -> None:
        with contextlib.suppress(redis.RedisError, OSError):
            self._pools[at].release(connection)
