"""Connections by TLS, from the moment when they are accepted."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import uvloop

from distrodb import certs
from distrodb.config import Address
from distrodb.slave import doors
from distrodb.slave.doors import Doors
from distrodb.slave.links.strangers import Strangers

NOW_MS = 1_800_000_000_000


class Echo(asyncio.Protocol):
    made = 0

    def connection_made(self, transport) -> None:
        Echo.made += 1
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    folder = tmp_path_factory.mktemp("certs")
    return _contexts(folder)


def _contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    from distrodb.clock import wall_ms

    files = certs.Authority(folder, wall_ms()).sign("n", ["localhost", "127.0.0.1"], 1, True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*files)
    return server, ssl.create_default_context(cafile=str(folder / "ca.crt"))


def port_of(opened: Doors) -> int:
    return int(opened._sockets[0].getsockname()[1])


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def idle(port: int) -> socket.socket:
    """A connection that says nothing."""
    system = socket.socket()
    system.setblocking(False)
    await asyncio.get_running_loop().sock_connect(system, ("127.0.0.1", port))
    return system


async def is_closed(system: socket.socket) -> bool:
    try:
        async with asyncio.timeout(10):
            return await asyncio.get_running_loop().sock_recv(system, 100) == b""
    except ConnectionError:
        return True


async def echoes(port: int, context: ssl.SSLContext) -> bool:
    reading, writing = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writing.write(b"hello")
    try:
        return await reading.readexactly(5) == b"hello"
    finally:
        writing.close()


def run(main) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def test_who_says_nothing_keeps_nobody_out(contexts) -> None:
    server, client = contexts

    async def main() -> None:
        opened = Doors(lambda: server, Echo, strangers=Strangers(8, 8))
        await opened.open(Address("127.0.0.1", 0))
        crowd = [await idle(port_of(opened)) for _ in range(30)]
        await until(lambda: len(opened) == 8)
        assert await echoes(port_of(opened), client)
        gone = [await is_closed(system) for system in crowd[:22]]
        assert all(gone) and len(opened) <= 8
        for system in crowd:
            system.close()
        await until(lambda: len(opened) == 0)
        opened.close()

    run(main())


def test_who_says_nothing_for_too_long_is_closed(contexts, monkeypatch) -> None:
    server, _ = contexts
    monkeypatch.setattr(doors, "HANDSHAKE_S", 0.2)

    async def main() -> None:
        opened = Doors(lambda: server, Echo)
        await opened.open(Address("127.0.0.1", 0))
        system, other = await idle(port_of(opened)), await idle(port_of(opened))
        await asyncio.get_running_loop().sock_sendall(other, b"PING\r\n")
        assert await is_closed(system)
        while not await is_closed(other):
            pass  # it is told what is wrong by an alert
        await until(lambda: len(opened) == 0)
        opened.close()

    run(main())


def test_where_there_is_no_room_nobody_enters(contexts) -> None:
    server, client = contexts

    async def main() -> None:
        has_room = False
        opened = Doors(lambda: server, Echo, lambda: has_room)
        await opened.open(Address("localhost", 0))
        assert await is_closed(await idle(port_of(opened)))
        has_room, before = True, Echo.made
        assert await echoes(port_of(opened), client)
        assert Echo.made == before + 1
        opened.close()
        with pytest.raises(OSError):
            await idle(port_of(opened))

    run(main())


def test_a_new_context_counts_from_the_next_handshake_on(contexts, tmp_path) -> None:
    server, client = contexts
    other_server, other_client = _contexts(tmp_path)

    async def main() -> None:
        now = server
        opened = Doors(lambda: now, Echo)
        await opened.open(Address("127.0.0.1", 0))
        reading, writing = await asyncio.open_connection("127.0.0.1", port_of(opened), ssl=client)
        now = other_server
        assert await echoes(port_of(opened), other_client)
        with pytest.raises(ssl.SSLCertVerificationError):
            await echoes(port_of(opened), client)
        writing.write(b"still")
        assert await reading.readexactly(5) == b"still"
        writing.close()
        opened.close()

    run(main())


def test_a_port_that_is_taken_is_an_error(contexts) -> None:
    async def main() -> None:
        opened = Doors(lambda: contexts[0], Echo)
        await opened.open(Address("127.0.0.1", 0))
        with pytest.raises(OSError):
            await Doors(lambda: contexts[0], Echo).open(Address("127.0.0.1", port_of(opened)))
        opened.close()

    run(main())
