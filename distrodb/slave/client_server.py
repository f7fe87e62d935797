"""The sockets of clients: a thin shell around ``Session``.

What a session has to send leaves at the end of a turn of the loop, ``WRITE_BYTES`` of a connection
and about ``TURN_BYTES`` of all at a time; of what is large no more is read in one turn than one
read gives.  So no client's large values hold the loop for long.

A connection that is ended from here (a limit, a protocol error, QUIT) is ended in order: the last
reply is sent, our side is closed, and what the client still sends is read and dropped until it
closes too.  Closing at once would make the kernel answer its bytes with a reset, and the client
would see that instead of the reply.  The wait is bounded in time and bytes.

Caveat: uvloop raises ``RuntimeError`` for a transport whose handle is gone, which may be before
``connection_lost`` is called; to us that is a lost connection like any other.
"""

import asyncio
import contextlib
import functools
import socket
from collections.abc import Callable
from itertools import islice
from typing import cast

from distrodb.clock import monotonic
from distrodb.config import Address, LimitsConfig
from distrodb.config.address import is_loopback
from distrodb.resp.reply import ErrorReply, error
from distrodb.slave.client_memory import NOTED_BYTES
from distrodb.slave.core import Core
from distrodb.slave.doors import Doors
from distrodb.slave.gateway import Gateway
from distrodb.slave.links.strangers import Strangers
from distrodb.slave.logging_limit import LimitedLog
from distrodb.slave.overdue import LOOK_S, Overdue
from distrodb.slave.own_process import OwnProcess
from distrodb.slave.service import Service
from distrodb.slave.timing import Timing
from distrodb.slave.tls import Tls, present, user_of

log = LimitedLog("distrodb.clients")

WRITE_BYTES = 1 << 20  # of one connection at a time; the rest waits in its session, counted there
TURN_BYTES = 4 << 20  # of all connections in one turn of the loop: some 20 ms
# What a slice that is parsed counts as, among these: it takes up to 20 ms if arguments are tiny.
# So four go into a turn; sixty connections with such bytes held all others for half a second.
SLICE_BYTES = TURN_BYTES // 4
READ_BYTES = 200_000  # a read as large as this is the connection's only one in a turn
LINGER_S = 5.0  # that a connection without progress may take to end; then it is reset
DROPPED_BYTES_MAX = 128 << 20  # of what comes after the end; beyond, the connection is reset
MEASURE_S = 0.1  # between two looks at how much is held, if there is a maxmemory
PROBES = 3  # without an answer, a third of tcp_keepalive_s apart: then the client is gone
REFUSED_MAX = 64  # refused connections that wait for their end at a time; others are just closed
FULL = error("ERR", "max number of clients reached")
DENIED = error(
    "DENIED",
    "this slave is in protected mode: no password is needed here, so it serves its own machine"
    " alone. Write requirepass under [clients] in its file, or make users from that machine (ACL"
    " SETUSER default resetpass >password); or write protected_mode = false under [node] if the"
    " network keeps strangers away.",
)


class Connection(asyncio.Protocol):
    def __init__(self, server: "ClientServer", behind: Service | None = None):
        """``behind``: what its session asks, if not the slave itself."""
        self._server, self._behind = server, behind
        self._statistics = server.service.statistics
        self._wake = functools.partial(server.wake, self)
        self._transport: asyncio.Transport | None = None
        self._is_paused = False  # no bytes are read
        self._is_ending = False  # all is sent, and what comes is dropped
        self._is_watched = False
        self._peer_has_ended = False
        self._may_half_close = True  # a client that sends nothing more may still read; not by TLS
        self._dropped_bytes = 0

    # -- what the loop calls -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self._server
        self._transport = cast(asyncio.Transport, transport)  # uvloop has its own class
        peer, here, descriptor, is_gone = None, None, -1, False
        try:
            client = transport.get_extra_info("socket")
            descriptor = -1 if client is None else client.fileno()
            here = transport.get_extra_info("sockname")
            keep_alive(client, server.service.limits.tcp_keepalive_s)
            self._transport.set_write_buffer_limits(high=WRITE_BYTES - 1, low=WRITE_BYTES // 4)
            peer = transport.get_extra_info("peername")
            self._may_half_close = self._transport.can_write_eof()
        except (RuntimeError, OSError):
            is_gone = True
        self._host = str(peer[0]) if peer else "a client"
        self.session = server.service.open_session(
            self._wake, str(Address(peer[0], peer[1])) if peer else "", self._behind
        )
        if server.knows_users_by_certificates:
            self._know(transport)
        self.session.client.local_address = str(Address(here[0], here[1])) if here else ""
        self.session.client.descriptor, self.session.heard_at = descriptor, server.now
        server.opened(self, self._host)
        if is_gone:
            self.abort("its socket is gone")

    def _know(self, transport: asyncio.BaseTransport) -> None:
        """As the user that its certificate names; like Redis it is ``default`` if there is none."""
        name = user_of(transport.get_extra_info("peercert"))
        user = None if name is None else self.session.slave.access.users.all.get(name)
        if user is not None and user.is_on:
            self.session.log_in(user.name)

    def connection_lost(self, problem: Exception | None) -> None:
        self._transport = None
        self._server.closed(self)

    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            self._dropped_bytes += len(data)
            if self._dropped_bytes > DROPPED_BYTES_MAX:
                self.abort("it sends on after its end")
            return
        session, server = self.session, self._server
        session.heard_at = server.now
        self._statistics.input_bytes += len(data)
        self._statistics.reads += 1
        session.receive(data)
        if len(data) >= NOTED_BYTES or not session.wants_input:
            server.note(self)
            if len(data) >= READ_BYTES or not session.wants_input:
                self._pause_reading()
                self._wake()
        server.schedule()

    def eof_received(self) -> bool:
        self._peer_has_ended = True
        if self._is_ending:
            return False  # the transport closes itself
        self.session.end()
        self._wake()
        return self._may_half_close

    def resume_writing(self) -> None:
        self.session.heard_at = self._server.now
        self._wake()

    # -- what the server calls ---------------------------------------------------------------

    def write(self) -> int:
        """Send what may leave now, and go on with what waited for that; the bytes that it took of
        this turn."""
        session, transport = self.session, self._transport
        if transport is None or session.replies.is_lost or transport.is_closing():
            return 0
        size = self._send(transport)
        if size >= NOTED_BYTES or session.replies.output_bytes >= NOTED_BYTES:
            self._server.note(self)
        if self._is_paused or not session.is_at_rest:
            if session.input.unparsed:
                size += SLICE_BYTES
            session.go_on()
            if self._is_paused:
                self._server.note(self)  # what was read before has become commands
            self._follow(transport)
        return size

    @property
    def memory(self) -> int:
        """Bytes that are kept here for the client, about."""
        unsent = 0
        if self._transport is not None:
            with contextlib.suppress(RuntimeError):  # its handle is gone
                unsent = self._transport.get_write_buffer_size()
        return self.session.memory + unsent

    def give_up(self, reason: str) -> None:
        """End at once what a client's fault has come to; the log says it."""
        log.say("client_given_up", self._host, client=self.session.address, reason=reason)
        self.abort(reason)

    def abort(self, reason: str) -> None:
        """End at once.  What is under way may still happen."""
        log.say("client_ended", self._host, client=self._host, reason=reason)
        if self._transport is not None:
            with contextlib.suppress(RuntimeError, OSError):
                self._transport.abort()
            self.connection_lost(None)  # uvloop does not call it for a handle that is gone

    def close(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(RuntimeError, OSError):
                self._transport.close()

    # -- the transport -----------------------------------------------------------------------

    def _send(self, transport: asyncio.Transport) -> int:
        try:
            if transport.get_write_buffer_size() >= WRITE_BYTES:
                return 0  # resume_writing goes on
            pieces = self.session.take(WRITE_BYTES)
            if not pieces:
                return 0
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            transport.write(data)
            self._statistics.output_bytes += len(data)
            self._statistics.writes += 1
            return len(data)
        except RuntimeError:
            self.abort("its socket is gone")
            return 0

    def _follow(self, transport: asyncio.Transport) -> None:
        """Do to the transport what the session has come to."""
        session = self.session
        if session.is_killed:
            self.abort("another client ended it")
            return
        try:
            if session.replies.has_output and transport.get_write_buffer_size() < WRITE_BYTES:
                self._wake()
            if session.is_finished:
                self._end(transport)
            elif self._is_paused and session.wants_input:
                self._is_paused = False
                transport.resume_reading()
            if session.is_closing and not self._is_watched:
                self._is_watched = True
                if session.fault:
                    who = session.address or self._host
                    log.say("client_closed", self._host, client=who, reason=session.fault)
                self._watch(transport.get_write_buffer_size() + session.replies.output_bytes + 1)
        except (RuntimeError, OSError):
            self.abort("its socket is gone")

    def _pause_reading(self) -> None:
        transport = self._transport
        if transport is None or self._is_paused or transport.is_closing():
            return
        try:
            transport.pause_reading()
            self._is_paused = True
        except RuntimeError:
            self.abort("its socket is gone")

    def _end(self, transport: asyncio.Transport) -> None:
        """All is sent: close our side, and wait until the client closes its own."""
        if self._is_ending:
            return
        self._is_ending = True
        self.session.close()
        if self._peer_has_ended or not self._server.may_linger(self):
            transport.close()
            return
        if not transport.can_write_eof():  # TLS: it says its own farewell
            transport.close()
            return
        transport.write_eof()
        if self._is_paused:
            self._is_paused = False
            transport.resume_reading()

    def _watch(self, unsent_before: int) -> None:
        """From the moment when it is to end: give it time as long as it takes its replies."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        try:
            self._look_at_end(transport, unsent_before)
        except (RuntimeError, OSError):
            self.abort("its socket is gone")

    def _look_at_end(self, transport: asyncio.Transport, unsent_before: int) -> None:
        session = self.session
        unsent = transport.get_write_buffer_size() + session.replies.output_bytes
        waits_for_us = session.replies.unanswered and not session.replies.has_output
        if unsent < unsent_before or waits_for_us:
            self._server.later(LINGER_S, self._watch, unsent)
        elif unsent:
            self.abort("it does not read")
        else:
            transport.close()  # it does not close its side


def keep_alive(client: socket.socket | None, after_s: int) -> None:
    """Let the system ask a silent client whether it is still there; as Redis does (anet.c)."""
    if client is None or not after_s:
        return
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, after_s)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, after_s // PROBES))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)


class ClientServer:
    """All client connections of one slave."""

    def __init__(
        self,
        core: Core,
        limits: LimitsConfig,
        schedule: Callable[[], None],
        stop: Callable[[], None],
        timing: Timing | None = None,
        tls: Tls | None = None,
    ):
        self.service = Service(core, limits, OwnProcess(stop, self._call_later), timing=timing)
        self.timing = self.service.timing
        self.schedule = schedule
        self.now = monotonic()  # as of the last look at all clients
        config = core.config
        self._is_protected = config.is_protected and config.tls.clients != "certificate"
        self.knows_users_by_certificates = config.tls.users == "cn"
        self._overdue = Overdue()
        self._timer: asyncio.TimerHandle | None = None
        self._connections: dict[int, Connection] = {}  # by their sessions' ids
        self._refused: set[Connection] = set()
        self._woken: dict[Connection, None] = {}  # in the order in which they were woken
        self._servers: list[asyncio.Server | Doors] = []
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop

    async def start(self, address: Address, is_gateway: bool = False) -> None:
        """Listen there; as a gateway for clients that know no cluster.  Raises ``OSError`` if the
        port is taken."""
        self._loop = asyncio.get_running_loop()
        behind = Gateway(self.service) if is_gateway else None
        if self._tls is not None and self._tls.clients is not None:
            await self._open_doors(self._tls, address, behind)
        else:
            await self._listen(address, behind)
        if self._timer is None:
            self._on_timer()

    async def _listen(self, address: Address, behind: Gateway | None) -> None:
        server = await self._loop.create_server(
            lambda: Connection(self, behind), address.host, address.port, backlog=512
        )
        self._servers.append(server)

    async def _open_doors(self, tls: Tls, address: Address, behind: Gateway | None) -> None:
        """A handshake under way counts as a connection."""
        most = self.service.limits.connections_max
        doors = Doors(
            lambda: present(tls.clients),
            lambda: Connection(self, behind),
            self._has_room,
            Strangers(most, most),
        )
        self._servers.append(doors)
        await doors.open(address, backlog=512)

    def _has_room(self) -> bool:
        under_way = sum(len(doors) for doors in self._servers if isinstance(doors, Doors))
        has_room = len(self._connections) + under_way < self.service.limits.connections_max
        self.service.statistics.refused += not has_room
        return has_room

    # -- what connections call ---------------------------------------------------------------

    def opened(self, connection: Connection, host: str) -> None:
        """``host``: the client's."""
        if self._is_protected and self.service.access.users.is_open and not is_loopback(host):
            log.say("client_sent_away", host, client=host)
            self._refuse(connection, DENIED)
        elif len(self._connections) < self.service.limits.connections_max:
            self._connections[connection.session.id] = connection
        else:
            log.say("clients_refused", connections=self.service.limits.connections_max)
            self._refuse(connection, FULL)

    def _refuse(self, connection: Connection, why: ErrorReply) -> None:
        self._refused.add(connection)
        self.service.statistics.refused += 1
        connection.session.close_with(why)
        connection.write()

    def closed(self, connection: Connection) -> None:
        self.service.close_session(connection.session)
        self._connections.pop(connection.session.id, None)
        self._refused.discard(connection)
        self._woken.pop(connection, None)

    def may_linger(self, connection: Connection) -> bool:
        return connection not in self._refused or len(self._refused) <= REFUSED_MAX

    def note(self, connection: Connection) -> None:
        """It holds something: input that waits, or output that is not taken."""
        self.service.client_memory.note(connection.session.id, connection.memory)

    def wake(self, connection: Connection) -> None:
        self._woken[connection] = None
        self.schedule()

    def later(self, delay_s: float, what: Callable[[int], None], argument: int) -> None:
        self._loop.call_later(delay_s, what, argument)

    def _call_later(self, delay_s: float, what: Callable[[], None]) -> None:
        self._loop.call_later(delay_s, what)

    # -- what the process calls --------------------------------------------------------------

    @property
    def has_work(self) -> bool:
        return bool(self._woken)

    def write_replies(self) -> None:
        """At the end of a turn: send what was answered in it."""
        woken, self._woken = self._woken, {}
        size = 0
        for served, connection in enumerate(woken):
            if size >= TURN_BYTES:  # the rest before those that go on: they had their turn
                self._woken = dict.fromkeys(islice(woken, served, None)) | self._woken
                break
            size += connection.write()
        if self.service.client_memory.may_exceed(self.service.limits.maxmemory_clients):
            self._bound_memory()

    def look(self, now: float) -> None:
        """Close those that have been silent, or half through a command, for too long."""
        self.now = now
        service = self.service
        for number, reason in self._overdue.look(now, service.sessions, service.limits):
            if number in self._connections:
                service.statistics.overdue += 1
                self._connections[number].give_up(reason)
        self._bound_memory()

    def _bound_memory(self) -> None:
        """Count what all clients hold, and close the largest of them if it is too much."""
        memory, bound = self.service.client_memory, self.service.limits.maxmemory_clients
        connections = self._connections
        memory.count([(number, each.memory) for number, each in connections.items()])
        total = memory.total
        if not 0 < bound < total:
            return
        spared = [number for number, each in connections.items() if each.session.is_spared]
        for number, size in memory.beyond(bound, spared):
            address = connections[number].session.address
            log.say("client_memory", client=address, held=size, total=total, bound=bound)
            self.service.statistics.evicted += 1
            connections[number].abort("maxmemory_clients")

    def _on_timer(self) -> None:
        now, has_bound = monotonic(), self.service.limits.maxmemory > 0
        if not has_bound or now >= self.now + LOOK_S:
            self.look(now)
        self.service.measure_memory()
        self._timer = self._loop.call_later(MEASURE_S if has_bound else LOOK_S, self._on_timer)

    def stop_listening(self) -> None:
        for server in self._servers:
            server.close()

    def close(self) -> None:
        self.stop_listening()
        if self._timer is not None:
            self._timer.cancel()
        for connection in [*self._connections.values(), *self._refused]:
            connection.close()
