"""What is written for a request, how its replies are understood, and what an error says.

Pure: replies come as redis-py has parsed them, an
error among them as an exception that was not raised.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Any

from redis import exceptions

from distrodb.client.request import Command, Request


class Fate(Enum):
    """Of a request that failed."""

    REFUSED = "it has not happened, and the same request would fail again"
    NOT_NOW = "it has not happened, and may be sent again"
    PERHAPS = "it may have happened"


def written(request: Request) -> list[Command]:
    if not request.is_atomic:
        return list(request.commands)
    return [("MULTI",), *request.commands, ("EXEC",)]


def understood(request: Request, replies: Sequence[Any]) -> list[Any] | None:
    """A reply a command; None for a transaction whose watched keys were touched.

    Raises the first error: of a transaction that which kept it from running, rather than
    ``EXECABORT``."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    if not request.is_atomic:
        return list(replies)
    result: list[Any] | None = replies[-1]
    for reply in result or ():
        if isinstance(reply, Exception):
            raise reply
    return result


def fate(error: BaseException, was_sent: bool) -> Fate:
    """``was_sent``: some of the request's bytes may have reached the slave."""
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
        return Fate.REFUSED
    if isinstance(
        error,
        exceptions.MovedError | exceptions.TryAgainError | exceptions.ClusterDownError,
    ):
        return Fate.NOT_NOW
    if isinstance(error, exceptions.ResponseError):
        return Fate.PERHAPS if str(error).startswith("UNKNOWN") else Fate.REFUSED
    if isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError | OSError):
        return Fate.PERHAPS if was_sent else Fate.NOT_NOW
    return Fate.REFUSED
