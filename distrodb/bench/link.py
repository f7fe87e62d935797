"""One connection of one client, and how its replies are counted.

Most replies are what a command of that kind always gets, so they are compared as a whole with what
is expected; only others are parsed.  That, and commands made before, keep the generator cheap.
"""

import asyncio
from typing import Any, Protocol, cast

import hiredis

from distrodb.bench.workload import Pipeline
from distrodb.config.address import Address

_WAITS = object()


class Owner(Protocol):
    """Whose connection it is."""

    def done(self, link: "Link", count: int) -> None: ...
    def replied(self, link: "Link", replies: list[Any]) -> None: ...
    def lost(self, link: "Link", text: str) -> None: ...


class Link(asyncio.Protocol):
    def __init__(self, owner: Owner, address: Address):
        self.address = address
        self._owner = owner
        self._usual = b""
        self._is_whole = True  # no part of a reply is in the parser
        self._reader = hiredis.Reader(notEnoughData=_WAITS)
        self._transport: asyncio.Transport | None = None
        self._first: asyncio.Future[Any] | None = None  # the reply to what is asked first

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass

    def send(self, pipeline: Pipeline) -> bool:
        """False: the connection has ended, and ``connection_lost`` is only on its way."""
        assert self._transport is not None
        if self._transport.is_closing():
            return False
        self._usual = pipeline.usual
        if len(pipeline.pieces) == 1:
            self._transport.write(pipeline.pieces[0])
        else:
            self._transport.writelines(pipeline.pieces)
        return True

    async def ask(self, command: bytes) -> None:
        """One command, before any pipeline.  Raises ``OSError`` if it is refused."""
        assert self._transport is not None
        self._first = asyncio.get_running_loop().create_future()
        self._transport.write(command)
        reply = await self._first
        self._first = None
        if isinstance(reply, hiredis.ReplyError):
            self.close()
            raise OSError(f"{self.address}: {reply}")

    def data_received(self, data: bytes) -> None:
        usual = self._usual
        if usual and self._is_whole:
            count, rest = divmod(len(data), len(usual))
            if not rest and data == (usual if count == 1 else usual * count):
                self._owner.done(self, count)
                return
        try:
            self._reader.feed(data)
            replies = []
            while (reply := self._reader.gets()) is not _WAITS:
                replies.append(reply)
        except hiredis.HiredisError as error:
            self.close()
            self._owner.lost(self, f"not the Redis protocol: {error}")
            return
        self._is_whole = not self._reader.has_data()
        if replies and self._first is not None:
            self._first.set_result(replies[0])
        elif replies:
            self._owner.replied(self, replies)

    def connection_lost(self, error: Exception | None) -> None:
        if self._first is not None and not self._first.done():
            self._first.set_exception(ConnectionError("connection lost"))
            return
        self._owner.lost(self, "connection lost")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
