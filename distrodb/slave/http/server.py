"""The sockets of the HTTP port: connections, their time limits, and whose turn it is.

What always holds:

- what fails in here ends a connection at most.  asyncio tells an error that it finds in a callback
  to the loop's handler, and there one ends the slave; so each callback is ``_guarded``;
- a port that cannot be had is tried again, and the slave does its work meanwhile;
- a connection has one request under way, and is not read until that is answered;
- documents are made one slice a turn of the loop, so clients' commands come between.
"""

import asyncio
import contextlib
import errno
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial, wraps
from importlib.resources import files
from typing import Concatenate, ParamSpec, TypeVar, cast

from distrodb.clock import monotonic
from distrodb.config import Address
from distrodb.ports import holder
from distrodb.slave.doors import Doors, Guest
from distrodb.slave.http.conversation import Answer, Asked, Conversation, Later, RefusedError
from distrodb.slave.http.document import Document, Make
from distrodb.slave.http.limits import (
    CONNECTIONS_MAX,
    HEAD_S,
    IDLE_S,
    REQUESTS_A_TURN,
    REQUESTS_AT_ONCE,
    REQUESTS_PER_S,
    TAKE_S,
)
from distrodb.slave.links.strangers import Strangers
from distrodb.slave.logging_limit import LimitedLog
from distrodb.slave.rate import Rate
from distrodb.slave.worker import Worker

TICK_S = 0.25
LINGER_S = 2.0  # for whom is refused to close its side
DROPPED_BYTES_MAX = 1 << 20  # of it
# Of an answer at a time.  uvloop does not tell how much of what was written by TLS is not taken,
# only whether more may be written.
PIECE_BYTES = 1 << 17
AGAIN_S = 10.0  # until a port that could not be had is tried again
FAILED = Answer(500, b"this failed; the slave's log says how\n")
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

limited = LimitedLog("distrodb")

P = ParamSpec("P")
S = TypeVar("S", bound="HttpServer | Connection")


def _guarded(method: Callable[Concatenate[S, P], object]) -> Callable[Concatenate[S, P], None]:
    """What it raises is logged, and told to ``failed``."""

    @wraps(method)
    def guarded(self: S, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            name = method.__name__
            limited.say("http_failed", name, what=name, problem=repr(error))
            with contextlib.suppress(Exception):
                self.failed()

    return cast(Callable[Concatenate[S, P], None], guarded)


class Connection(asyncio.Protocol):
    def __init__(self, server: "HttpServer"):
        self._server, self._conversation = server, Conversation()
        self._transport: asyncio.Transport | None = None
        self.is_idle = True  # between two requests
        self._is_busy = False  # a request waits for its answer, or the client takes it
        self._is_asked = False  # the former
        self._is_sending = False  # by TLS one may hear that more may be written while one writes
        self._unsent: deque[memoryview] = deque()  # of the answer
        self._is_ending = False  # it has sent what is no request, and what still comes is dropped
        self._dropped = 0  # bytes
        self.deadline = monotonic() + HEAD_S  # seconds

    # -- what the loop calls -----------------------------------------------------------------

    @_guarded
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)  # so one hears when all is sent
        peer = transport.get_extra_info("peername")
        self._conversation = Conversation(Address(peer[0], peer[1]) if peer else None)
        self._server.opened(self)

    @_guarded
    def connection_lost(self, problem: Exception | None) -> None:
        self._transport = None
        self._server.closed(self)

    @_guarded
    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            self._dropped += len(data)
            if self._dropped > DROPPED_BYTES_MAX:
                self.abort()
            return
        if self.is_idle:
            self.is_idle, self.deadline = False, monotonic() + HEAD_S
        self._conversation.receive(data)
        if not self._is_busy:
            self._look()

    def eof_received(self) -> bool:
        """True: our side stays open, for the answer that is still to come."""
        if self._is_ending:
            return False
        self.data_received(b"")
        transport = self._transport
        with contextlib.suppress(RuntimeError, OSError):  # its handle is gone
            return transport is not None and transport.can_write_eof()  # not by TLS
        return False

    @_guarded
    def resume_writing(self) -> None:
        self._look_at_end()

    # -- what the server calls ---------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def answer(self, answer: Answer, is_last: bool = False) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._is_asked = False
        self.deadline = monotonic() + TAKE_S
        self._unsent.extend(map(memoryview, self._conversation.answer(answer, is_last)))
        self._look_at_end()

    def failed(self) -> None:
        self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(RuntimeError, OSError):  # its handle is gone
                self._transport.abort()
        self._server.closed(self)

    # -- one request after the other -----------------------------------------------------------

    def _look_at_end(self) -> None:
        """Whether the client has taken its answer, and may ask again."""
        transport = self._transport
        if transport is None or not self._is_busy or self._is_asked or self._is_sending:
            return
        self._is_sending = True
        try:
            while self._unsent and not transport.get_write_buffer_size():
                piece = self._unsent.popleft()
                if len(piece) > PIECE_BYTES:
                    self._unsent.appendleft(piece[PIECE_BYTES:])
                transport.write(piece[:PIECE_BYTES])
        finally:
            self._is_sending = False
        if self._unsent or transport.get_write_buffer_size():
            return  # resume_writing goes on
        if self._conversation.go_on():
            self._is_busy, self.is_idle, self.deadline = False, True, monotonic() + IDLE_S
            self._look()
        elif self._is_ending:  # to close now, with bytes unread, would take its answer away
            if transport.can_write_eof():
                self.deadline = monotonic() + LINGER_S
                transport.write_eof()
            else:  # TLS: it says its own farewell
                transport.close()
        else:
            transport.close()

    def _look(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        try:
            asked = self._conversation.next()
        except RefusedError as refused:
            self.is_idle, self._is_busy, self._is_ending = False, True, True
            transport.resume_reading()
            self.answer(refused.answer, is_last=True)
            return
        if asked is not None:
            self.is_idle, self._is_busy, self._is_asked = False, True, True
            self.deadline = monotonic() + TAKE_S
            transport.pause_reading()
            self._server.ask(self, asked)
        elif self._conversation.is_over:
            transport.close()
        else:
            transport.resume_reading()


class HttpServer:
    def __init__(
        self,
        address: Address,
        answer: Callable[[Asked], Answer | Document | Later],
        context: Callable[[], ssl.SSLContext] | None = None,
    ):
        """``context``: for the next handshake; None: without TLS."""
        self._address, self._answer = address, answer
        self._context, scheme = context, "https" if context else "http"
        self._url = f"{scheme}://{address}"
        self._rate = Rate(monotonic(), REQUESTS_PER_S, REQUESTS_AT_ONCE)
        self._connections: dict[Connection, None] = {}
        self._asked: deque[tuple[Connection, Asked]] = deque()  # in the order of their turns
        self._wanted: dict[Document, list[Connection]] = {}  # documents that are to be made
        self._loading: set[Document] = set()  # those, in a thread
        self._is_due = self._is_closed = False
        self._server: asyncio.Server | Doors | None = None
        self._loop: asyncio.AbstractEventLoop

    async def start(self) -> None:
        """Listen; when that fails the log says so, and it is tried again later."""
        self._loop = asyncio.get_running_loop()
        self._on_tick()
        await self._listen()

    async def _listen(self) -> None:
        address = self._address
        try:
            self._server = await self._opened(address)
        except Exception as error:
            with contextlib.suppress(Exception):
                self._say_why(error)
            self._loop.call_later(AGAIN_S, self._again)
        else:
            limited.say("http_listening", url=self._url)
            if self._is_closed:
                self._server.close()

    async def _opened(self, address: Address) -> asyncio.Server | Doors:
        def make() -> Connection:
            return Connection(self)

        if self._context is None:
            return await self._loop.create_server(
                make, address.host, address.port, backlog=CONNECTIONS_MAX
            )
        # Handshakes under way are counted by themselves: they drive out each other alone.
        strangers: Strangers[Guest] = Strangers(CONNECTIONS_MAX, CONNECTIONS_MAX // 2)
        doors = Doors(self._context, make, strangers=strangers)
        try:
            await doors.open(address, backlog=CONNECTIONS_MAX)
        except BaseException:
            doors.close()
            raise
        return doors

    def _say_why(self, error: Exception) -> None:
        is_in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        limited.say(
            "http_not_listening",
            str(self._address),
            url=self._url,
            problem=f"it is in use, {holder(self._address.port)}" if is_in_use else error,
            seconds=f"{AGAIN_S:g}",
        )

    @_guarded
    def _again(self) -> None:
        if not self._is_closed:
            self._listening = self._loop.create_task(self._listen())

    def failed(self) -> None:
        """Whoever waits is not to wait for ever."""
        self._is_due = False
        for connections in self._wanted.values():
            for connection in connections:
                connection.abort()
        self._wanted.clear()

    # -- what connections call -----------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        if len(self._connections) >= CONNECTIONS_MAX:
            idle = next((each for each in self._connections if each.is_idle), None)
            if idle is None:
                connection.abort()
                return
            idle.abort()
        self._connections[connection] = None

    def closed(self, connection: Connection) -> None:
        self._connections.pop(connection, None)

    def ask(self, connection: Connection, asked: Asked) -> None:
        self._asked.append((connection, asked))
        self._schedule()

    # -- turns ---------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if not self._is_due and not self._is_closed:
            self._is_due = True
            self._loop.call_soon(self._turn)

    @_guarded
    def _turn(self) -> None:
        self._is_due = False
        for _ in range(REQUESTS_A_TURN):
            if not self._asked or not self._rate.take(monotonic()):
                break
            self._serve(*self._asked.popleft())
        else:
            self._schedule()
        for document in [each for each in self._wanted if each.load is None][:1]:
            self._make(document)
            self._schedule()

    def _serve(self, connection: Connection, asked: Asked) -> None:
        if not connection.is_open:
            return
        try:
            found = self._answer(asked)
            if isinstance(found, Later):
                found.begin(partial(self._give, connection))
                return
            if isinstance(found, Document):
                kept = found.kept(monotonic())
                if kept is None:
                    self._wanted.setdefault(found, []).append(connection)
                    if found.load is not None and found not in self._loading:
                        self._load(found, found.load)
                    return
                found = kept
        except Exception as error:
            path = asked.path[:80]
            limited.say("http_failed", path, what=path, problem=repr(error))
            found = FAILED
        connection.answer(found)

    @_guarded
    def _give(self, connection: Connection, make: Callable[[], Answer]) -> None:
        """What had to be waited for.  Others call it, who are not to fail with it."""
        try:
            answer = make()
        except Exception as error:
            limited.say(
                "http_failed",
                "waited for",
                what="an answer that was waited for",
                problem=repr(error),
            )
            answer = FAILED
        connection.answer(answer)

    def _make(self, document: Document) -> None:
        try:
            answer = document.make_on(monotonic)
        except Exception as error:
            limited.say("http_failed", "a document", what="a document", problem=repr(error))
            answer = FAILED
        if answer is not None:
            for connection in self._wanted.pop(document):
                connection.answer(answer)

    def _load(self, document: Document, load: Callable[[], Make]) -> None:
        """In a thread; when it fails, whoever asks next begins anew."""

        def work() -> Callable[[], None]:
            try:
                return partial(self._loaded, document, worker, load())
            except Exception as error:
                return partial(self._not_loaded, document, worker, error)

        worker = Worker("http", self._loop.call_soon_threadsafe, _log_load)
        self._loading.add(document)
        worker.give(work)

    @_guarded
    def _loaded(self, document: Document, worker: Worker, make: Make) -> None:
        self._loading.discard(document)
        worker.close()
        document.loaded(make)
        self._schedule()

    @_guarded
    def _not_loaded(self, document: Document, worker: Worker, error: Exception) -> None:
        self._loading.discard(document)
        worker.close()
        _log_load(error)
        for connection in self._wanted.pop(document, ()):
            connection.answer(FAILED)

    @_guarded
    def _on_tick(self) -> None:
        if self._is_closed:
            return
        self._loop.call_later(TICK_S, self._on_tick)
        now = monotonic()
        for connection in list(self._connections):
            if now >= connection.deadline:
                connection.abort()
        if self._asked:
            self._schedule()  # there were too many for a while

    def close(self) -> None:
        self._is_closed = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()


def _log_load(error: BaseException) -> None:
    limited.say("http_failed", "loading", what="to load a document", problem=repr(error))


def page_files() -> Mapping[str, Answer]:
    """What the page consists of, by paths."""
    found: dict[str, Answer] = {}
    for file in files("distrodb.slave.http").joinpath("page").iterdir():
        kind = KINDS.get("." + file.name.rpartition(".")[2])
        if kind is not None:
            path = "/" if file.name == "index.html" else f"/{file.name}"
            found[path] = Answer(200, file.read_bytes(), kind)
    return found
