"""Client connections: commands in, replies out in each connection's own order.

A command is looked up in the table, its keys give the slot, the slot the partition; from there it
is the core's.  Its place in the connection's queue is taken when it comes, so replies leave in
order whenever the partitions answer.  Replies of one turn of the event loop leave in one write.

Limits, beside those of the parser: of one connection ``input_pending_max`` commands are under way,
and it is not read while more are parsed; a read whose reply would make ``output_bytes_max`` bytes
wait is answered with an error instead; beyond ``connections_max`` a connection is told so and
closed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from distrodb.commands.command import Command
from distrodb.config import LimitsConfig
from distrodb.resp.encode import encode
from distrodb.resp.parse import CommandParser, ParserLimits, ProtocolError
from distrodb.resp.reply import ErrorReply, Reply, error
from distrodb.ring.slots import slot_of
from distrodb.slave.core import Core

log = logging.getLogger("distrodb.clients")

CROSSSLOT = error("CROSSSLOT", "Keys in request don't hash to the same slot")
DEFERRED = object()  # what a connection command returns when its call is resolved later


TOO_MUCH_OUTPUT = error(
    "ERR", "replies of this connection exceed output_bytes_max; read some, or ask for less at once"
)
WRITE_BYTES = 1 << 20  # handed to the socket at a time; the rest waits here, where it is counted


def _size(reply: Reply) -> int:
    """About the bytes that a reply will have, seen before it is encoded."""
    if type(reply) is bytes:
        return len(reply)
    if isinstance(reply, list):
        return sum(len(item) if type(item) is bytes else 16 for item in reply)
    return 0


class Call:
    """One command of one connection; the core's ``Request``."""

    __slots__ = ("args", "client", "is_write", "protocol", "reply", "size", "slot")

    def __init__(self, client: "Client", args: Sequence[bytes], slot: int, is_write: bool):
        self.client = client
        self.protocol = client.protocol  # that of the moment: a later HELLO changes later replies
        self.args = args
        self.slot = slot
        self.is_write = is_write
        self.size = 32 + sum(map(len, args))
        self.reply: bytes | None = None

    def resolve(self, reply: Reply) -> None:
        client = self.client
        if client.is_lost:
            return
        if client.output_bytes + _size(reply) > client.server.limits.output_bytes_max:
            if self.is_write:  # an error in its place would say that it did not happen
                client.abort("it does not read the replies of its writes")
                return
            reply = TOO_MUCH_OUTPUT
        self.reply = encode(reply, self.protocol)
        client.output_bytes += len(self.reply)
        client.server.touched.add(client)


class Part:
    """One partition's share of a command that concerns all partitions led here."""

    __slots__ = ("_resolved", "args", "is_write", "size", "slot")

    def __init__(
        self, args: Sequence[bytes], is_write: bool, slot: int, resolved: Callable[[Reply], None]
    ):
        self.args = args
        self.slot = slot
        self.is_write = is_write
        self.size = 32 + sum(map(len, args))
        self._resolved = resolved

    def resolve(self, reply: Reply) -> None:
        self._resolved(reply)


class Client(asyncio.Protocol):
    def __init__(self, server: "ClientServer"):
        self.server = server
        self.id = server.next_id()
        self.protocol = 2
        self.name = b""
        self.library: dict[bytes, bytes] = {}
        self.is_readonly = False
        self.is_closing = False  # takes no more commands
        self.is_lost = False  # nobody is there to read
        self._has_ended = False  # sends nothing more, but may read
        self.output_bytes = 0  # of replies that are not yet handed to the socket
        self.pending: deque[Call] = deque()
        self._backlog: deque[list[bytes] | ErrorReply] = deque()  # parsed, not yet under way
        self.transport: asyncio.Transport | None = None
        self._parser = CommandParser(server.parser_limits)
        self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class
        transport.set_write_buffer_limits(high=WRITE_BYTES - 1, low=WRITE_BYTES // 4)
        if len(self.server.clients) >= self.server.limits.connections_max:
            transport.write(b"-ERR max number of clients reached\r\n")
            transport.close()
            self.is_closing = True
        self.server.clients.add(self)

    def connection_lost(self, problem: Exception | None) -> None:
        self.is_closing = self.is_lost = True
        self.pending.clear()
        self._backlog.clear()
        self.server.clients.discard(self)

    def eof_received(self) -> bool:
        """It sends nothing more (``printf … | nc``); what it has asked for is still answered."""
        self._has_ended = True
        self.server.touched.add(self)
        self.server.schedule()
        return True

    def resume_writing(self) -> None:
        self.server.touched.add(self)
        self.server.schedule()

    def abort(self, reason: str) -> None:
        log.warning("client %d closed: %s", self.id, reason)
        self.is_closing = self.is_lost = True
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.is_closing:
            return
        try:
            self._backlog += self._parser.feed(data)
        except ProtocolError as problem:
            self._backlog += problem.commands
            self._backlog.append(error("ERR", str(problem)))
        self._dispatch_backlog()
        if self._backlog and not self._is_paused and self.transport is not None:
            self._is_paused = True
            self.transport.pause_reading()

    def _dispatch_backlog(self) -> None:
        while self._backlog and len(self.pending) < self.server.limits.input_pending_max:
            command = self._backlog.popleft()
            if isinstance(command, ErrorReply):  # the stream cannot be followed behind it
                self._new_call((), -1, False).resolve(command)
                self.is_closing = True
            elif not self.is_closing:
                self._dispatch(command)
        self.server.schedule()

    def write_replies(self) -> None:
        """Send what is answered, up to the first command that is not; as much as is taken."""
        pending, transport = self.pending, self.transport
        if transport is None or transport.is_closing():
            return
        while pending and pending[0].reply is not None:
            if transport.get_write_buffer_size() >= WRITE_BYTES:
                return  # resume_writing goes on
            ready: list[bytes] = []
            size = 0
            while pending and size < WRITE_BYTES and (reply := pending[0].reply) is not None:
                ready.append(reply)
                size += len(reply)
                pending.popleft()
            self.output_bytes -= size
            transport.write(ready[0] if len(ready) == 1 else b"".join(ready))
        if not pending and (self.is_closing or (self._has_ended and not self._backlog)):
            transport.close()
        elif self._backlog and len(pending) <= self.server.limits.input_pending_max // 2:
            self._dispatch_backlog()
        if self._is_paused and not self._backlog:
            self._is_paused = False
            transport.resume_reading()

    def _new_call(self, args: Sequence[bytes], slot: int, is_write: bool) -> Call:
        call = Call(self, args, slot, is_write)
        self.pending.append(call)
        return call

    def _dispatch(self, args: list[bytes]) -> None:
        table = self.server.table
        row = table.get(args[0]) or table.get(args[0].upper())
        if row is None:
            self._new_call((), -1, False).resolve(unknown_command(args))
        elif not row.arity_ok(args):
            wrong = error("ERR", f"wrong number of arguments for '{row.name}' command")
            self._new_call((), -1, False).resolve(wrong)
        elif row.scope == "key":
            self._dispatch_to_partition(row, args)
        else:
            call = self._new_call(args, -1, row.is_write)
            if row.scope == "partition":
                self.server.spread(self, row, call)
                return
            reply = row.handler(self, args)
            call.protocol = self.protocol  # HELLO answers in the protocol that it chose
            if reply is not DEFERRED:
                call.resolve(reply)

    def _dispatch_to_partition(self, row: Command, args: list[bytes]) -> None:
        if row.first_key == row.last_key:
            slot = slot_of(args[row.first_key])
        else:
            keys = row.keys_of(args)
            slot = slot_of(keys[0])
            for key in keys:
                if slot_of(key) != slot:
                    self._new_call((), -1, False).resolve(CROSSSLOT)
                    return
        is_write = row.is_write
        call = Call(self, args, slot, is_write)
        self.pending.append(call)
        core = self.server.core
        partition = core.partition_of_slot[slot]
        copy = core.copy_of(partition) if self.is_readonly and not is_write else None
        if copy is not None:
            call.resolve(copy.execute(slot, args, copy.now_ms))
        else:
            core.submit(call, partition)


class ClientServer:
    """All client connections of one slave."""

    def __init__(
        self,
        core: Core,
        table: dict[bytes, Command],
        limits: LimitsConfig,
        schedule: Callable[[], None],
        stop: Callable[[], None],
        spread: "Callable[[Client, Command, Call], None]",
    ):
        self.core, self.table, self.limits = core, table, limits
        self.schedule, self.stop, self.spread = schedule, stop, spread
        self.clients: set[Client] = set()
        self.touched: set[Client] = set()
        self.commands_processed = 0
        self.connections_received = 0
        self.parser_limits = ParserLimits(
            inline_bytes_max=limits.inline_bytes_max,
            bulk_bytes_max=max(limits.value_bytes_max, limits.key_bytes_max),
            arguments_max=limits.arguments_max,
            command_bytes_max=limits.command_bytes_max,
        )
        self._server: asyncio.Server | None = None

    def next_id(self) -> int:
        self.connections_received += 1
        return self.connections_received

    async def start(self, host: str, port: int) -> None:
        """Raises ``OSError`` if the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Client(self), host, port, backlog=512)

    def write_replies(self) -> None:
        while self.touched:
            self.touched.pop().write_replies()

    def stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()

    def close(self) -> None:
        self.stop_listening()
        for client in list(self.clients):
            if client.transport is not None:
                client.transport.close()


def unknown_command(args: Sequence[bytes]) -> ErrorReply:
    """Redis' own wording, cut to 128 characters."""
    name = args[0][:128].decode(errors="replace")
    rest = " ".join(f"'{arg[:128].decode(errors='replace')}'" for arg in args[1:20])[:128]
    return error("ERR", f"unknown command '{name}', with args beginning with: {rest}")
