"""Two python-socketio servers that share rooms through a gateway, while a leader dies."""

import asyncio
import contextlib

import socketio
from aiohttp import web

GIVEN_UP_S = 30.0


async def serve(place) -> tuple[socketio.AsyncServer, web.AppRunner, str]:
    server = place.set_up("import socketio")["server"]  # of docs/applications.md

    @server.event
    async def say(sid: str, text: str) -> None:
        await server.emit("said", text)

    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    return server, runner, f"http://127.0.0.1:{port}"


class Guest:
    """A browser, connected to one of the servers."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient()
        self.heard: list[str] = []
        self.client.on("said", self.heard.append)

    async def hears(self, text: str) -> None:
        async with asyncio.timeout(GIVEN_UP_S):
            while text not in self.heard:
                await asyncio.sleep(0.005)


async def conversation(place) -> None:
    servers = [await serve(place) for _ in range(2)]
    guests = [Guest(), Guest()]
    try:
        for guest, (_, _, address) in zip(guests, servers, strict=True):
            await guest.client.connect(address)
        async with asyncio.timeout(GIVEN_UP_S):  # until both servers listen to each other
            number = 0
            while not all(f"hello{n}" in g.heard for n in (0, 1) for g in guests):
                for n, guest in enumerate(guests):
                    await guest.client.emit("say", f"hello{n}")
                await asyncio.sleep(0.05)
        for number in place.steps():
            speaker = guests[number % 2]
            await speaker.client.emit("say", f"word{number}")
            for guest in guests:
                await guest.hears(f"word{number}")
        for guest in guests:
            words = [text for text in guest.heard if text.startswith("word")]
            assert words == [f"word{n}" for n in range(number + 1)]
    finally:
        for guest in guests:
            with contextlib.suppress(Exception):
                await guest.client.disconnect()
        for _, runner, _ in servers:
            await runner.cleanup()


def test_guests_of_two_servers_hear_each_other(place) -> None:
    asyncio.run(conversation(place))
