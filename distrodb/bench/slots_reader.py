"""Asks for the slot map while the load goes on, one server after another until one knows it."""

import asyncio
from typing import Any

import hiredis

from distrodb.bench.slot_map import SlotMap
from distrodb.config.address import Address
from distrodb.master.connections import own_login

ASK_S_MAX = 1.0  # a slave that hangs does not keep us from the next
PAUSE_S = 0.1  # between two looks: an election takes longer
_ASK = b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n"


class SlotsReader:
    def __init__(self, slot_map: SlotMap, addresses: list[Address]):
        self._map = slot_map
        self._map.known = [*addresses]
        self._doubts = asyncio.Event()

    def doubt(self) -> None:
        self._doubts.set()

    def redirect(self, text: str, asked: Address) -> Address | None:
        return self._map.redirect(text, asked)

    async def run(self) -> None:
        """For ever: looks again after each doubt."""
        while True:
            await self._doubts.wait()
            self._doubts.clear()
            await self.read()
            await asyncio.sleep(PAUSE_S)

    async def read(self) -> str | None:
        """None: the map was read; else why nobody's could."""
        why = "no address is known"
        for address in list(self._map.known):
            try:
                reply = await asyncio.wait_for(_asked(address), ASK_S_MAX)
                if isinstance(reply, hiredis.ReplyError):
                    why = f"{address}: {reply}"
                    continue
                self._map.learn(reply, address)
                return None
            except TimeoutError:
                why = f"{address}: no reply within {ASK_S_MAX:g} s"
            except OSError as error:
                why = f"{address}: {error.strerror or error}"
            except (ValueError, EOFError, hiredis.HiredisError) as error:
                why = f"{address}: {error}"
        return why


async def _asked(address: Address) -> Any:
    login = own_login()
    context = login.context()
    reading, writing = await asyncio.open_connection(address.host, address.port, ssl=context)
    try:
        if login.greeting:
            writing.write(login.greeting)
            reply = await _reply(reading)
            if isinstance(reply, hiredis.ReplyError):
                return reply
        writing.write(_ASK)
        return await _reply(reading)
    finally:
        writing.close()


async def _reply(reading: asyncio.StreamReader) -> Any:
    parser = hiredis.Reader()
    while (reply := parser.gets()) is False:
        data = await reading.read(1 << 16)
        if not data:
            raise EOFError("it closed the connection")
        parser.feed(data)
    return reply
