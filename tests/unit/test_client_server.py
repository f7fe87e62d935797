"""The shell around a session, with a transport that does as uvloop's do at their worst."""

import dataclasses
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest

from distrodb.config import LimitsConfig
from distrodb.slave import client_server
from distrodb.slave.client_input import PARSED_BYTES
from distrodb.slave.client_server import (
    DROPPED_BYTES_MAX,
    READ_BYTES,
    REFUSED_MAX,
    TURN_BYTES,
    WRITE_BYTES,
    ClientServer,
    Connection,
)
from distrodb.slave.logging_limit import LINES_AT_ONCE, RateLimit
from tests.support.resp import pack, read_replies
from tests.unit.session_world import World

FULL = b"-ERR max number of clients reached\r\n"


class Transport:
    def __init__(self, host: str = "1.2.3.4") -> None:
        self.host = host  # the client's
        self.written: list[bytes] = []
        self.calls: list[str] = []
        self.unsent = 0  # bytes that the client does not take
        self.takes = True
        self.socket: Any = None
        self.is_gone = False  # uvloop: the handle is closed, and connection_lost does not come

    def _call(self, name: str) -> None:
        if self.is_gone:
            raise RuntimeError("unable to perform operation on <TCPTransport closed=True>")
        self.calls.append(name)

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        self._call("limits")

    def get_extra_info(self, name: str) -> Any:
        found = {"peername": (self.host, 5), "sockname": ("1.2.3.4", 6), "socket": self.socket}
        return found[name]

    def get_write_buffer_size(self) -> int:
        if self.is_gone:
            raise RuntimeError("unable to perform operation on <TCPTransport closed=True>")
        return self.unsent

    def write(self, data: bytes) -> None:
        self._call("write")
        self.written.append(bytes(data))
        if not self.takes:
            self.unsent += len(data)

    def is_closing(self) -> bool:
        return "close" in self.calls or "abort" in self.calls

    def pause_reading(self) -> None:
        self._call("pause")

    def resume_reading(self) -> None:
        self._call("resume")

    has_tls = False

    def can_write_eof(self) -> bool:
        return not self.has_tls

    def write_eof(self) -> None:
        self._call("eof")

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")


class Server(ClientServer):
    def __init__(self, requirepass: str = "", is_protected: bool = False, **limits: int) -> None:
        self.scheduled = 0
        self.timers: list[tuple[Callable[[int], None], int]] = []
        world = World(requirepass=requirepass)
        world.config = dataclasses.replace(world.config, is_protected=is_protected)
        super().__init__(
            world,  # type: ignore[arg-type]
            LimitsConfig(**limits),
            self._turn_soon,
            lambda: None,
        )

    def _turn_soon(self) -> None:
        self.scheduled += 1

    def later(self, delay_s: float, what: Callable[[int], None], argument: int) -> None:
        self.timers.append((what, argument))

    def pass_time(self) -> None:
        timers, self.timers = self.timers, []
        for what, argument in timers:
            what(argument)

    def connect(self, socket: Any = None, host: str = "1.2.3.4") -> tuple[Connection, Transport]:
        connection, transport = Connection(self), Transport(host)
        transport.socket = socket
        connection.connection_made(transport)  # type: ignore[arg-type]
        return connection, transport


def test_by_tls_nothing_is_closed_by_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its transports cannot, and say so with an error or in the log."""
    monkeypatch.setattr(Transport, "has_tls", True)
    server = Server()
    connection, transport = server.connect()
    connection.data_received(pack(b"PING") + pack(b"QUIT"))
    server.write_replies()
    assert transport.written == [b"+PONG\r\n+OK\r\n"]
    assert "close" in transport.calls and "eof" not in transport.calls
    connection, _ = server.connect()
    assert connection.eof_received() is False
    monkeypatch.setattr(Transport, "has_tls", False)
    connection, _ = server.connect()
    assert connection.eof_received() is True


@pytest.mark.parametrize("host", ["1.2.3.4", "fe80::1", "::ffff:1.2.3.4"])
def test_who_comes_from_elsewhere_is_sent_away_while_no_password_is_needed(host: str) -> None:
    server = Server(is_protected=True)
    _, transport = server.connect(host=host)
    assert b"".join(transport.written).startswith(b"-DENIED this slave is in protected mode")
    for here in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        connection, transport = server.connect(host=here)
        connection.data_received(pack(b"PING"))
        server.write_replies()
        assert transport.written == [b"+PONG\r\n"]
    for open_to_all in (Server(requirepass="x", is_protected=True), Server()):
        _, transport = open_to_all.connect(host=host)
        assert transport.written == []


def test_who_comes_later_is_sent_away_when_the_password_is_gone() -> None:
    server = Server(requirepass="x", is_protected=True)
    first, _ = server.connect()
    server.service.access.users.follow({"default": "on nopass ~* &* +@all"})
    assert not first.session.is_closing  # as in Redis: it is asked when somebody connects
    _, transport = server.connect()
    assert transport.written[0].startswith(b"-DENIED")


def test_replies_leave_at_the_end_of_a_turn_in_one_write() -> None:
    server = Server()
    connection, transport = server.connect()
    connection.data_received(pack(b"PING") * 3)
    assert transport.written == [] and server.has_work and server.scheduled
    server.write_replies()
    assert transport.written == [b"+PONG\r\n" * 3] and not server.has_work


GONE: list[Callable[[Connection], object]] = [
    lambda c: c.data_received(pack(b"PING")),
    lambda c: c.data_received(pack(b"QUIT")),
    lambda c: c.data_received(pack(b"ECHO", b"x" * READ_BYTES)),
    lambda c: c.data_received(b"$"),
    lambda c: c.eof_received(),
    lambda c: c.resume_writing(),
    lambda c: c.abort("test"),
]


@pytest.mark.parametrize("number", range(len(GONE)))
def test_a_transport_that_is_gone_is_a_lost_connection_and_nothing_else(number: int) -> None:
    server = Server()
    connection, transport = server.connect()
    transport.is_gone = True
    GONE[number](connection)
    for _ in range(4):
        server.write_replies()
    server.pass_time()
    assert server.service.session_count == 0
    connection.connection_lost(None)  # late, or never
    server.close()
    assert server.service.session_count == 0 and not server.has_work


def test_a_transport_that_was_gone_before_it_was_told_of_takes_no_place() -> None:
    server = Server()
    connection, transport = Connection(server), Transport()
    transport.is_gone = True
    connection.connection_made(transport)  # type: ignore[arg-type]
    assert server.service.session_count == 0 and not server._connections


def test_a_transport_that_goes_while_its_end_is_awaited_is_a_lost_connection() -> None:
    server = Server()
    connection, transport = server.connect()
    transport.takes = False
    connection.data_received(pack(b"QUIT"))
    server.write_replies()
    assert server.timers
    transport.is_gone = True
    server.pass_time()
    assert server.service.session_count == 0 and not server._connections


def test_who_does_not_read_makes_nobody_wait_and_is_sent_the_rest_later() -> None:
    server = Server()
    (slow, unread), (quick, read) = server.connect(), server.connect()
    unread.takes = False
    value = b"v" * (3 * WRITE_BYTES)
    slow.data_received(pack(b"ECHO", value))
    quick.data_received(pack(b"PING"))
    for _ in range(200):
        if server.has_work:
            server.write_replies()
    assert not server.has_work, "it turns for ever"
    assert WRITE_BYTES <= unread.unsent < 2 * WRITE_BYTES and read.written == [b"+PONG\r\n"]
    while slow.session.replies.has_output:
        unread.unsent = 0
        slow.resume_writing()
        server.write_replies()
    sent = b"".join(unread.written)
    assert len(sent) == len(value) + 12 and sent.endswith(b"v\r\n")


def test_a_turn_sends_so_much_at_most() -> None:
    server = Server()
    pairs = [server.connect() for _ in range(12)]
    value = b"v" * (WRITE_BYTES // 2)
    for connection, _ in pairs:
        connection.session.push(value)
    turns = 0
    sent = 0
    while server.has_work:
        server.write_replies()
        now = sum(len(b"".join(transport.written)) for _, transport in pairs)
        assert now - sent <= TURN_BYTES + WRITE_BYTES + READ_BYTES
        sent, turns = now, turns + 1
    assert turns > 1
    assert all(read_replies(b"".join(t.written)) == [value] for _, t in pairs)


def test_a_turn_parses_so_much_at_most() -> None:
    """Whoever sends tiny arguments in bulk, on many connections, holds nobody for long."""
    server = Server()
    connections = [server.connect()[0] for _ in range(12)]
    for connection in connections:
        connection.data_received(b"*60000\r\n" + b"$1\r\na\r\n" * 50_000)
    left = sum(len(connection.session.input.unparsed) for connection in connections)
    turns = 0
    while server.has_work:
        server.write_replies()
        now = sum(len(connection.session.input.unparsed) for connection in connections)
        assert left - now <= 4 * PARSED_BYTES
        left, turns = now, turns + 1
    assert left == 0 and turns >= 12


def test_who_waited_has_its_turn_before_those_that_go_on() -> None:
    """Six clients that send small commands in bulk kept all others waiting till they were done."""
    server = Server()
    many = [server.connect()[0] for _ in range(6)]
    for connection in many:
        connection.data_received(pack(b"PING") * 100_000)
    connection, transport = server.connect()
    connection.data_received(pack(b"PING"))
    for _ in range(2):
        server.write_replies()
    assert transport.written == [b"+PONG\r\n"]
    assert all(each.session.input.unparsed for each in many)


def test_a_large_read_is_the_only_one_of_its_turn() -> None:
    server = Server()
    connection, transport = server.connect()
    data = pack(b"ECHO", b"x" * READ_BYTES)
    connection.data_received(data)
    assert transport.calls[-1] == "pause"
    while server.has_work:
        server.write_replies()
    assert transport.calls[-1] == "write" and transport.calls.count("resume") == 1


def test_the_end_is_in_order_our_side_first_then_what_comes_is_dropped() -> None:
    server = Server()
    connection, transport = server.connect()
    connection.data_received(pack(b"PING") + b"$")
    server.write_replies()
    assert b"".join(transport.written).startswith(b"+PONG\r\n-ERR Protocol error")
    assert transport.calls[-1] == "eof" and not transport.is_closing()
    connection.data_received(pack(b"PING") * 100)
    server.write_replies()
    assert b"".join(transport.written).count(b"PONG") == 1
    assert connection.eof_received() is False  # by which the transport closes


def test_who_never_closes_is_closed_after_a_while() -> None:
    server = Server()
    connection, transport = server.connect()
    connection.data_received(pack(b"QUIT"))
    server.write_replies()
    assert not transport.is_closing()
    server.pass_time()
    assert transport.calls[-1] == "close"


def test_who_sends_on_for_too_long_is_reset() -> None:
    server = Server()
    connection, transport = server.connect()
    connection.data_received(pack(b"QUIT"))
    server.write_replies()
    for _ in range(DROPPED_BYTES_MAX // READ_BYTES + 1):
        connection.data_received(b"x" * READ_BYTES)
    assert transport.calls[-1] == "abort" and server.service.session_count == 0


def test_who_reads_slowly_gets_all_of_it_and_who_does_not_read_is_reset() -> None:
    server = Server()
    connection, transport = server.connect()
    transport.takes = False
    connection.data_received(pack(b"ECHO", b"v" * 300_000) + pack(b"QUIT"))
    while server.has_work:
        server.write_replies()
    assert transport.calls[-1] == "eof"
    for _ in range(10):
        transport.unsent -= 1000
        server.pass_time()
        assert not transport.is_closing()
    server.pass_time()
    assert transport.calls[-1] == "abort"


def test_connections_beyond_the_limit_are_told_so_and_few_of_them_linger() -> None:
    server = Server(connections_max=2)
    allowed = [server.connect() for _ in range(2)]
    refused = [server.connect() for _ in range(REFUSED_MAX + 3)]
    assert all(transport.written == [FULL] for _, transport in refused)
    assert [t.is_closing() for _, t in refused] == [False] * REFUSED_MAX + [True] * 3
    for connection, _ in refused:
        connection.data_received(pack(b"SET", b"a", b"1"))
    server.write_replies()
    assert all(transport.written == [FULL] for _, transport in refused)
    allowed[0][0].data_received(pack(b"PING"))
    server.write_replies()
    assert allowed[0][1].written == [b"+PONG\r\n"]
    allowed[0][0].connection_lost(None)
    _, transport = server.connect()
    assert transport.written == []


def test_the_system_is_asked_to_look_after_silent_clients() -> None:
    with socket.socket() as client:
        Server(tcp_keepalive_s=0).connect(client)
        assert not client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        Server().connect(client)
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert [client.getsockopt(socket.IPPROTO_TCP, name) for name in names] == [300, 100, 3]


def test_who_is_silent_for_too_long_is_closed_and_its_place_is_free() -> None:
    server = Server(timeout_s=10, connections_max=2)
    server.look(100.0)
    (talks, heard), (_, silent) = server.connect(), server.connect()
    for second in range(101, 121):
        server.look(float(second))
        talks.data_received(pack(b"PING"))
        server.write_replies()
        assert silent.is_closing() == (second > 111)
    assert not heard.is_closing()
    _, transport = server.connect()
    assert transport.written == []


def test_a_client_that_takes_a_long_reply_is_not_silent() -> None:
    server = Server(timeout_s=10)
    server.look(100.0)
    connection, transport = server.connect()
    server.look(109.0)
    connection.resume_writing()
    server.look(118.0)
    assert not transport.is_closing()


def test_half_a_command_is_closed_after_its_time() -> None:
    server = Server(half_command_s=5)
    connection, transport = server.connect()
    connection.data_received(pack(b"GET", b"a")[:-3])
    for second in range(7):
        server.look(100.0 + second)
        assert transport.is_closing() == (second > 5)
    assert server.service.session_count == 0


def test_a_line_of_http_ends_the_connection_and_the_log_says_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_server.log, "_limit", RateLimit())
    server = Server()
    connection, transport = server.connect()
    connection.data_received(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nPING\r\n")
    while server.has_work:
        server.write_replies()
    assert transport.written == [] and transport.calls[-1] == "eof"
    assert [record.getMessage() for record in caplog.records] == [
        "a client at 1.2.3.4:5 is closed: possible SECURITY ATTACK: it speaks HTTP, as a web page's"
        " request would"
    ]


def test_clients_that_are_reset_fill_no_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_server.log, "_limit", RateLimit())
    caplog.set_level(logging.DEBUG, "distrodb.clients")
    server = Server()
    for _ in range(100):
        connection, _ = server.connect()
        connection.abort("it does not read")
    assert len(caplog.records) == LINES_AT_ONCE
