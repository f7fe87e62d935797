"""The clients, and what each is given to do: pipelines as they are due, until it is over.

Invariant: each client is under way, pauses, or is in ``_idle``; and everything that became due is
in the books at the end: done, failed, or in flight if the end was asked for.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable

from distrodb.bench.books import Books
from distrodb.bench.client import Client
from distrodb.bench.link import Link
from distrodb.bench.metronome import Metronome
from distrodb.bench.schedule import Schedule
from distrodb.bench.slots_reader import SlotsReader
from distrodb.bench.workload import Pipeline
from distrodb.clock import monotonic
from distrodb.config.address import Address
from distrodb.master.connections import own_login

TICK_S_MIN = 0.0001
LOOK_S = 0.05
_CONNECTING_AT_ONCE = 100


class Load:
    def __init__(
        self,
        clients: int,
        source: Callable[[], Pipeline | None],
        timeout_s: float,
        reader: SlotsReader | None = None,
    ):
        """``source`` gives one pipeline after another, None when there are no more; without a
        ``reader`` redirections are errors, as without a cluster."""
        self.books = Books()
        self._source = source
        self._timeout_s = timeout_s
        self._reader = reader
        self._clients = [Client(self) for _ in range(clients)]
        self._idle = deque(self._clients)
        self._connecting: set[asyncio.Task[None]] = set()
        self._schedule = Schedule(0.0, 1, requests=0)
        self._issued = 0  # pipelines
        self._is_over = asyncio.Event()
        self._is_empty = False  # of the source

    async def connect_all(self, leaders: list[Address]) -> None:
        """Before the first command: to connect is not what is measured.  A leader that is gone is
        met again when it is asked; raises ``OSError`` if there is nobody at all."""
        waiting = [(client, leader) for client in self._clients for leader in leaders]
        failed: list[OSError] = []
        for at in range(0, len(waiting), _CONNECTING_AT_ONCE):
            some = waiting[at : at + _CONNECTING_AT_ONCE]
            links = await asyncio.gather(
                *(self._link(*each) for each in some), return_exceptions=True
            )
            for (client, _), link in zip(some, links, strict=True):
                if isinstance(link, OSError):
                    failed.append(link)
                elif isinstance(link, BaseException):
                    raise link
                else:
                    client.add(link)
        if len(failed) == len(waiting):
            raise OSError(why(failed[0]) if failed else "nobody leads")

    async def run(self, schedule: Schedule) -> None:
        """Until all is done, or ``stop``."""
        self._schedule = schedule
        loop = asyncio.get_running_loop()
        looks = loop.create_task(self._look_again_and_again())
        looks.add_done_callback(lambda _: self._is_over.set())  # it ends only by a fault of ours
        timer = None
        try:
            if schedule.rate is not None:
                timer = Metronome(max(TICK_S_MIN, schedule.pipeline / schedule.rate))
                loop.add_reader(timer.fd, self._tick, timer)
            self._issue()
            await self._is_over.wait()
        finally:
            if looks.done():
                looks.result()
            looks.cancel()
            if timer is not None:
                loop.remove_reader(timer.fd)
                timer.close()
        now = monotonic()
        self.books.in_flight = sum(client.under_way for client in self._clients)
        waiting = self._waiting(now)
        self.books.asked += waiting
        self.books.in_flight += waiting
        if not self.books.window_s:
            self.books.close_window(now - schedule.began)

    def stop(self) -> None:
        """End now, whatever is under way."""
        self.books.is_interrupted = True
        self._is_over.set()

    def close(self) -> None:
        for task in self._connecting:
            task.cancel()
        for client in self._clients:
            client.close()

    # -- what is due -------------------------------------------------------------------------------

    def _tick(self, timer: Metronome) -> None:
        timer.clear()
        self._issue()

    def _issue(self) -> None:
        """Give what is due to clients that are free."""
        schedule, idle = self._schedule, self._idle
        now = monotonic()
        due = schedule.due(now)
        while idle and self._issued < due and not self._is_empty:
            pipeline = self._source()
            if pipeline is None:
                self._is_empty = True
                break
            began = now if schedule.rate is None else schedule.due_at(self._issued)
            self._issued += 1
            self.books.asked += len(pipeline.commands)
            idle.popleft().start(pipeline, began)
        self._look_for_end(now)

    def _look_for_end(self, now: float) -> None:
        is_over = self._is_empty or self._schedule.is_over(self._issued, now)
        if is_over and len(self._idle) == len(self._clients):
            self._is_over.set()

    def _waiting(self, now: float) -> int:
        """Commands that were due and found no client free; with a rate only."""
        if self._schedule.rate is None:
            return 0
        return int(self._schedule.due(now) - self._issued) * self._schedule.pipeline

    async def _look_again_and_again(self) -> None:
        """For what does not come by itself: replies that are late, and the end."""
        schedule, books = self._schedule, self.books
        while True:
            now = monotonic()
            left = schedule.ends - now
            await asyncio.sleep(min(LOOK_S, left) if left > 0 else LOOK_S)
            now = monotonic()
            if now >= schedule.ends and not books.window_s:
                books.close_window(now - schedule.began)
            for client in self._clients:
                client.look(now, self._timeout_s)
            if now > schedule.ends + self._timeout_s and (waiting := self._waiting(now)):
                # A rate that is far above what is answered would take for ever to end.
                self._issued += waiting // schedule.pipeline
                books.asked += waiting
                books.fail(f"due, and not sent within {self._timeout_s:g} s after the end", waiting)
            self._issue()

    # -- for clients -------------------------------------------------------------------------------

    def is_free(self, client: Client, pause_s: float) -> None:
        if pause_s:
            asyncio.get_running_loop().call_later(pause_s, self.is_free, client, 0.0)
            return
        self._idle.append(client)
        self._issue()

    def connect(self, client: Client, address: Address) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(client, address))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, client: Client, address: Address) -> None:
        try:
            link = await self._link(client, address)
        except OSError as error:
            client.not_connected(address, f"cannot connect: {why(error)}")
        else:
            client.connected(link)

    async def _link(self, client: Client, address: Address) -> Link:
        loop = asyncio.get_running_loop()
        login = own_login()
        context = login.context()
        connecting = loop.create_connection(
            lambda: Link(client, address), address.host, address.port, ssl=context
        )
        _, link = await asyncio.wait_for(connecting, self._timeout_s)
        if login.greeting:
            await asyncio.wait_for(link.ask(login.greeting), self._timeout_s)
        return link

    def redirected(self, text: str, link: Link) -> Address | None:
        if self._reader is None:
            return None
        self._reader.doubt()
        return self._reader.redirect(text, link.address)

    def doubt(self) -> None:
        if self._reader is not None:
            self._reader.doubt()


def why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
