"""The sockets of the HTTP port: bounds, time limits, and that nothing in there ends the loop."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from distrodb import certs, local
from distrodb.clock import wall_ms
from distrodb.config import Address
from distrodb.slave.http import server as module
from distrodb.slave.http.conversation import Answer, Asked, Later
from distrodb.slave.http.document import Document
from distrodb.slave.http.limits import REQUESTS_AT_ONCE
from distrodb.slave.http.server import HttpServer
from distrodb.slave.logging_limit import RateLimit

GET = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = 16 << 20


Certificates = tuple[ssl.SSLContext, ssl.SSLContext]


class World:
    """A server, and what its loop was told of."""

    def __init__(self, tls: Certificates | None = None) -> None:
        """``tls``: the server's context, and a client's."""
        [(port, *_)] = local._ports(1, None)
        self.tls = tls
        context = None if tls is None else lambda: tls[0]
        self.address = Address("127.0.0.1", port)
        self.slices = 0
        self.document = Document(self._pieces, "text/plain")
        self.server = HttpServer(self.address, self.answer, context)
        self.errors: list[dict] = []

        self.loaded = Document(None, "text/plain", load=self._load)
        self.loads, self.load_fails = 0, False

    def _load(self):
        assert threading.current_thread() is not threading.main_thread()
        self.loads += 1
        if self.load_fails:
            raise KeyError("load")
        return self._pieces

    def _pieces(self):
        for _ in range(5):
            self.slices += 1
            yield b"x"

    def answer(self, asked: Asked) -> Answer | Document:
        if asked.path == "/fails":
            raise KeyError("x")
        if asked.path == "/fails-later":
            return Document(lambda: iter([1]), "text/plain")  # type: ignore[list-item]
        if asked.path == "/loaded":
            return self.loaded
        if asked.path == "/document":
            return self.document
        return Answer(200, b"x" * LARGE if asked.path == "/large" else b"ok\n")

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = None if self.tls is None else self.tls[1]
        return await asyncio.open_connection(self.address.host, self.address.port, ssl=context)

    async def ask(self, path: str = "/") -> tuple[int, bytes]:
        reader, writer = await self.connect()
        writer.write(GET % path.encode())
        answer = await read(reader)
        writer.close()
        return answer


async def read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    return int(head.split(b" ")[1]), await reader.readexactly(length)


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What still comes, until the server ends the connection."""
    with contextlib.suppress(ConnectionError):
        return await reader.read()
    return b""


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> Certificates:
    folder = tmp_path_factory.mktemp("certs")
    files = certs.Authority(folder, wall_ms()).sign("n", ["127.0.0.1"], 1, is_slave=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*files)
    return server, ssl.create_default_context(cafile=str(folder / "ca.crt"))


@pytest.fixture
def run(monkeypatch) -> Callable[[Callable[[World], Awaitable[None]]], World]:
    monkeypatch.setattr(module, "limited", module.LimitedLog("distrodb"))
    monkeypatch.setattr(module.limited, "_limit", RateLimit())
    monkeypatch.setattr(module, "TICK_S", 0.01)

    def run(story: Callable[[World], Awaitable[None]], tls: Certificates | None = None) -> World:
        async def main() -> World:
            world = World(tls)
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: world.errors.append(context))
            await world.server.start()
            try:
                await asyncio.wait_for(story(world), 30)
            finally:
                world.server.close()
            await asyncio.sleep(0)
            return world

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            world = runner.run(main())
        assert world.errors == []
        return world

    return run


def test_requests_of_one_connection_are_answered_in_their_order(run):
    async def story(world):
        reader, writer = await world.connect()
        writer.write(GET % b"/" + GET % b"/document" + GET % b"/")
        assert [await read(reader) for _ in range(3)] == [
            (200, b"ok\n"),
            (200, b"xxxxx"),
            (200, b"ok\n"),
        ]
        writer.write_eof()
        assert await ended(reader) == b""

    run(story)


def test_a_document_is_made_once_for_all_who_ask_meanwhile(run):
    async def story(world):
        answers = await asyncio.gather(*(world.ask("/document") for _ in range(20)))
        assert answers == [(200, b"xxxxx")] * 20

    assert run(story).slices == 5


def test_what_must_be_loaded_is_loaded_once_in_a_thread(run):
    async def story(world):
        answers = await asyncio.gather(*(world.ask("/loaded") for _ in range(5)))
        assert answers == [(200, b"xxxxx")] * 5 and world.loads == 1
        assert await world.ask("/loaded") == (200, b"xxxxx") and world.loads == 1

    run(story)
    assert not [thread for thread in threading.enumerate() if thread.name == "http"]


def test_what_cannot_be_loaded_is_tried_again_when_it_is_asked_for(run):
    async def story(world):
        world.load_fails = True
        assert (await world.ask("/loaded"))[0] == 500
        assert await world.ask() == (200, b"ok\n")
        world.load_fails = False
        assert await world.ask("/loaded") == (200, b"xxxxx")

    run(story)
    assert not [thread for thread in threading.enumerate() if thread.name == "http"]


def test_what_fails_is_answered_so_and_ends_nothing(run, caplog):
    async def story(world):
        assert (await world.ask("/fails"))[0] == 500
        assert (await world.ask("/fails-later"))[0] == 500
        assert await world.ask() == (200, b"ok\n")

    run(story)
    said = [record.getMessage() for record in caplog.records]
    assert "HTTP: /fails failed: KeyError('x')" in said
    assert any("a document failed: TypeError" in line for line in said)


@pytest.mark.parametrize(
    "callback", ["connection_made", "data_received", "connection_lost", "_turn", "_serve", "_make"]
)
def test_an_error_in_any_callback_is_not_told_to_the_loop(run, callback, monkeypatch):
    """There it would end the slave: the loop's handler sees what asyncio finds in a callback."""
    is_of_server = callback.startswith("_")
    owner = HttpServer if is_of_server else module.Connection
    inner = {"connection_made": "opened", "connection_lost": "closed", "data_received": "ask"}
    target = owner if is_of_server else HttpServer
    name = callback if is_of_server else inner[callback]
    real = getattr(target, name)

    def broken(*args):
        raise KeyError(name)

    async def story(world):
        patch = module._guarded(broken) if name == "_turn" else broken
        with monkeypatch.context() as patched:
            patched.setattr(target, name, patch)
            reader, writer = await world.connect()
            writer.write(GET % b"/document")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended(reader), 0.2)
            writer.close()
        assert getattr(target, name) is real
        for _ in range(100):
            with contextlib.suppress(TimeoutError, ConnectionError, asyncio.IncompleteReadError):
                if await asyncio.wait_for(world.ask(), 0.2) == (200, b"ok\n"):
                    return
        raise AssertionError("it answers no more")

    run(story)


def test_a_connection_that_says_nothing_or_half_a_request_is_ended(run, monkeypatch):
    monkeypatch.setattr(module, "HEAD_S", 0.05)

    async def story(world):
        for said in (b"", b"GET / HTTP/1.1\r\nHo"):
            reader, writer = await world.connect()
            writer.write(said)
            assert await ended(reader) == b""
            writer.close()
        reader, writer = await world.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n")
        for _ in range(1000):  # a byte now and then gives it no more time
            writer.write(b"x")
            await asyncio.sleep(0.01)
            if reader.at_eof() or reader.exception():
                break
        assert await ended(reader) == b""

    run(story)


def test_a_connection_that_asks_no_more_is_ended(run, monkeypatch):
    monkeypatch.setattr(module, "IDLE_S", 0.05)

    async def story(world):
        reader, writer = await world.connect()
        writer.write(GET % b"/")
        assert await read(reader) == (200, b"ok\n")
        assert await ended(reader) == b""
        writer.close()

    run(story)


def test_a_client_that_does_not_take_its_answer_is_ended(run, monkeypatch):
    monkeypatch.setattr(module, "TAKE_S", 0.1)

    async def story(world):
        with socket.create_connection((world.address.host, world.address.port)) as client:
            client.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(client, GET % b"/large")
            while not world.server._connections:
                await asyncio.sleep(0.01)
            while world.server._connections:
                await asyncio.sleep(0.01)

    run(story)


def test_a_large_answer_comes_whole_and_another_one_behind_it(run):
    async def story(world):
        reader, writer = await world.connect()
        writer.write(GET % b"/large" + GET % b"/")
        status, body = await read(reader)
        assert (status, len(body)) == (200, LARGE)
        assert await read(reader) == (200, b"ok\n")
        writer.close()

    run(story)


def test_whoever_is_refused_hears_why_though_its_body_is_still_on_its_way(run):
    async def story(world):
        reader, writer = await world.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
        writer.write(b"x" * 300_000)
        assert (await read(reader))[0] == 405
        assert await ended(reader) == b""
        writer.close()

    run(story)


def test_a_stream_that_does_not_end_is_ended(run, monkeypatch):
    monkeypatch.setattr(module, "DROPPED_BYTES_MAX", 1 << 16)

    async def story(world):
        _, writer = await world.connect()
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n" * 99)
                await writer.drain()
        writer.close()

    run(story)


def test_beyond_its_connections_one_that_is_idle_goes(run, monkeypatch):
    monkeypatch.setattr(module, "CONNECTIONS_MAX", 3)

    async def story(world):
        kept = [await world.connect() for _ in range(3)]
        for reader, writer in kept:
            writer.write(GET % b"/")
            await read(reader)
        assert await world.ask() == (200, b"ok\n")
        assert await ended(kept[0][0]) == b""
        for _, writer in kept[1:]:
            writer.write(b"GET")  # not idle any more
        await asyncio.sleep(0.05)
        busy = await world.connect()
        busy[1].write(b"GET")
        await asyncio.sleep(0.05)
        assert len(world.server._connections) == 3
        refused, _ = await world.connect()
        assert await ended(refused) == b""
        assert len(world.server._connections) == 3
        for _, writer in [*kept, busy]:
            writer.close()

    run(story)


def test_too_many_requests_wait_and_are_answered(run, monkeypatch):
    async def story(world):
        reader, writer = await world.connect()
        count = 2 * REQUESTS_AT_ONCE
        writer.write(GET % b"/" * count)
        assert [await read(reader) for _ in range(count)] == [(200, b"ok\n")] * count
        writer.close()

    run(story)


async def serves_once_its_port_is_free(world, monkeypatch):
    """Of a server that has tried in vain at least twice."""
    tried, listen = asyncio.Semaphore(0), HttpServer._listen

    async def counted(server):
        await listen(server)
        tried.release()

    monkeypatch.setattr(module, "AGAIN_S", 0.05)
    monkeypatch.setattr(HttpServer, "_listen", counted)
    world.server.close()
    again = HttpServer(world.address, world.answer)
    with socket.create_server((world.address.host, world.address.port)):
        await again.start()
        for _ in range(2):
            await tried.acquire()
    try:
        while True:
            with contextlib.suppress(ConnectionError):
                return await world.ask() == (200, b"ok\n")
            await asyncio.sleep(0.02)
    finally:
        again.close()


def test_that_it_cannot_be_said_why_ends_nothing_either(run, monkeypatch):
    def broken(port):
        raise KeyError(port)

    monkeypatch.setattr(module, "holder", broken)

    async def story(world):
        assert await serves_once_its_port_is_free(world, monkeypatch)

    run(story)


def test_a_port_that_cannot_be_had_is_tried_again(run, monkeypatch, caplog):
    async def story(world):
        assert await serves_once_its_port_is_free(world, monkeypatch)

    run(story)
    assert any(
        "nothing is served at http://127.0.0.1:" in record.getMessage()
        and "it is tried again each" in record.getMessage()
        for record in caplog.records
    )


# -- by TLS ----------------------------------------------------------------------------------------


def test_by_tls_answers_come_whole_in_their_order_and_refusals_too(run, tls):
    async def story(world):
        reader, writer = await world.connect()
        writer.write(GET % b"/large" + GET % b"/document" + GET % b"/")
        status, body = await read(reader)
        assert (status, len(body)) == (200, LARGE)
        assert [await read(reader), await read(reader)] == [(200, b"xxxxx"), (200, b"ok\n")]
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        assert (await read(reader))[0] == 405
        assert await ended(reader) == b""
        writer.close()

    run(story, tls)


def test_who_says_nothing_or_no_tls_keeps_nobody_out(run, tls, monkeypatch):
    monkeypatch.setattr(module, "CONNECTIONS_MAX", 4)

    async def story(world):
        world.server.close()
        world.server = HttpServer(world.address, world.answer, context=lambda: tls[0])
        await world.server.start()
        idle = [
            await asyncio.open_connection(world.address.host, world.address.port) for _ in range(10)
        ]
        assert await world.ask() == (200, b"ok\n")
        plain_reader, plain = await asyncio.open_connection(world.address.host, world.address.port)
        plain.write(GET % b"/")
        assert b"200" not in await ended(plain_reader)
        for _, writer in [*idle, (plain_reader, plain)]:
            writer.close()
        assert await world.ask() == (200, b"ok\n")

    run(story, tls)


def test_by_tls_a_client_that_does_not_take_its_answer_is_ended(run, tls, monkeypatch):
    monkeypatch.setattr(module, "TAKE_S", 0.1)

    async def story(world):
        def dial() -> ssl.SSLSocket:
            system = socket.create_connection((world.address.host, world.address.port))
            client = tls[1].wrap_socket(system, server_hostname=world.address.host)
            client.sendall(GET % b"/large")
            return client

        with await asyncio.get_running_loop().run_in_executor(None, dial):
            while not world.server._connections:
                await asyncio.sleep(0.01)
            while world.server._connections:
                await asyncio.sleep(0.01)

    run(story, tls)


def test_what_had_to_be_waited_for_is_answered_or_said_to_have_failed(run, caplog):
    async def story(world):
        loop = asyncio.get_running_loop()

        def soon(make):
            return Later(lambda give: loop.call_later(0.01, give, make))

        answers = {
            "/later": soon(lambda: Answer(200, b"late")),
            "/broken": soon(lambda: {}["x"]),
            "/now": Later(lambda give: give(lambda: Answer(200, b"now"))),
        }
        world.server._answer = lambda asked: answers[asked.path]
        reader, writer = await world.connect()
        writer.write(GET % b"/later" + GET % b"/broken" + GET % b"/now")
        assert [(await read(reader)) for _ in range(3)] == [
            (200, b"late"),
            (500, b"this failed; the slave's log says how\n"),
            (200, b"now"),
        ]
        writer.write(GET % b"/later")
        await asyncio.sleep(0)
        writer.transport.abort()  # who asked is gone
        assert await world.ask("/later") == (200, b"late")

    run(story)
    assert "HTTP: an answer that was waited for failed: KeyError('x')" in [
        record.getMessage() for record in caplog.records
    ]
