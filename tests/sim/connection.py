"""A client's connection to a simulated slave: the product's ``Session``, without a socket.

Commands go in as bytes that are cut anywhere, replies come out as bytes and are read back.  What
the session has to send is taken as soon as it says so, as if the loop turned then.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from distrodb.resp.reply import Reply
from distrodb.slave.gateway import Gateway
from distrodb.slave.service import Service
from tests.support.resp import pack, read_reply

if TYPE_CHECKING:
    from tests.sim.process import Slave

TAKEN_BYTES = 4096  # at a time


class _Process:
    """Of a simulated slave; it is stopped by other means."""

    id = 1

    def __init__(self, slave: "Slave"):
        self._slave = slave
        self._numbers = 0

    def now(self) -> float:
        return self._slave.now

    def wall_us(self) -> int:
        return int(self._slave.now * 1e6)

    def uptime_s(self) -> int:
        return 0

    def memory_bytes(self) -> int:
        return 0

    memory_peak_bytes = memory_of_machine_bytes = memory_bytes

    def cpu_s(self) -> tuple[float, float]:
        return 0.0, 0.0

    def random_bytes(self, count: int) -> bytes:
        """Another number each time: the same in each run of a seed."""
        self._numbers += 1
        return self._numbers.to_bytes(count, "big")

    def later(self, delay_s: float, what: Callable[[], None]) -> None:
        self._slave.later(delay_s, what)

    def stop(self) -> None:
        raise AssertionError("a client stops the slave")

    kill = stop


def _served(slave: "Slave") -> tuple[Service, Gateway]:
    """What stands behind the sessions of this life of a slave; made once: it has a table of some
    two hundred rows."""
    if slave.served is None:
        service = Service(slave.core, slave.config.limits, _Process(slave))
        slave.served = service, Gateway(service)
    return slave.served


class Connection:
    def __init__(self, slave: "Slave", generator: random.Random, is_to_gateway: bool = False):
        self._slave, self._random = slave, generator
        self._service, gateway = _served(slave)
        behind = gateway if is_to_gateway else None
        self._session = self._service.open_session(self._woken, behind=behind)
        self._goes_on = False
        self._waiting: deque[Callable[[Reply], None]] = deque()
        self._received = b""

    def ask(self, args: Sequence[bytes], done: Callable[[Reply], None]) -> None:
        """Send a command; ``done`` is called once, or never if the slave dies."""
        self.ask_all([args], lambda _, reply: done(reply))

    def ask_all(
        self, commands: Sequence[Sequence[bytes]], done: Callable[[int, Reply], None]
    ) -> None:
        """Send commands in one write; ``done`` is called for each, with its number."""
        self._waiting += [partial(done, number) for number in range(len(commands))]
        data = b"".join(pack(*args) for args in commands)
        place = self._random.randrange(len(data))
        for part in (data[:place], data[place:]):
            self._session.receive(part)
        self._slave.turn_soon()

    def close(self) -> None:
        """As when the socket breaks."""
        self._service.close_session(self._session)

    def _woken(self) -> None:
        while pieces := self._session.take(TAKEN_BYTES):
            self._received += b"".join(pieces)
        while found := read_reply(self._received):
            reply, self._received = found
            assert self._waiting, f"nobody waits for {reply!r}"
            self._waiting.popleft()(reply)
        if not self._session.wants_input and not self._goes_on:
            self._goes_on = True
            self._slave.later(0.0, self._go_on)

    def _go_on(self) -> None:
        self._goes_on = False
        self._session.go_on()
        self._slave.turn_soon()
