"""``distrodb bench`` from its options to its exit status: where, fill, load, and what is shown.

0 it was measured · 1 nothing could be done · 2 the options are wrong · 130 it was broken off, and
what was measured until then is shown all the same.
"""

import asyncio
import contextlib
import gc
import io
import json
import resource
import shutil
import signal
import sys
from argparse import Namespace
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Any

import uvloop

from distrodb.bench.books import Books
from distrodb.bench.load import Load
from distrodb.bench.options import Options, checked
from distrodb.bench.render import charts, described, progress_line, summary
from distrodb.bench.schedule import Schedule
from distrodb.bench.slot_map import SlotMap
from distrodb.bench.slots_reader import SlotsReader
from distrodb.bench.workload import Workload
from distrodb.clock import monotonic
from distrodb.config.address import Address
from distrodb.errors import ConfigError, UnavailableError
from distrodb.patience import patience

if TYPE_CHECKING:
    from rich.progress import Progress

SAMPLE_S = 0.25
_SAMPLES_MAX = 10_000
_SPARE_FILES = 64


def run(given: Namespace) -> int:
    options = checked(given)
    if options.plot is not None:
        from distrodb.bench import plot

        plot.check()
    with patience(lambda: "a server that answers"):
        addresses = _addresses(options)
    measured = uvloop.run(_Run(options, addresses).whole())
    where = ("cluster at " if options.is_cluster else "") + str(addresses[0])
    _show(measured, options, given, described(options, where))
    if measured.is_interrupted:
        return 130
    return 0 if measured.done else 1


def _addresses(options: Options) -> list[Address]:
    if options.at is not None:
        return [options.at]
    if options.config is not None:
        from distrodb.config import load

        return [node.client for node in load(options.config).nodes]
    from distrodb.config.address import parse
    from distrodb.master.client import DEFAULT_ADDRESSES, Cluster

    try:
        nodes = Cluster().status()["nodes"].values()
    except UnavailableError:
        raise UnavailableError(
            f"no slave is reachable at {', '.join(map(str, DEFAULT_ADDRESSES))};"
            " name a slave's file with --config, or a server with --port"
        ) from None
    up = [node for node in nodes if node["status"] == "up"]
    return [parse(node["client"]) for node in up or nodes]


class _Run:
    def __init__(self, options: Options, addresses: list[Address]):
        self._options = options
        self._map = SlotMap(None if options.is_cluster else addresses[0])
        self._reader = SlotsReader(self._map, addresses) if options.is_cluster else None
        self._workload = Workload(options.shape, self._map, Random(options.seed))
        self._load: Load | None = None
        self._is_interrupted = False

    async def whole(self) -> Books:
        options = self._options
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, self._interrupt)
        reading = await self._begin_reading()
        try:
            if options.is_filled:
                filling = self._workload.fill()
                fill = self._made(lambda: next(filling, None))
                filled = await self._filled(fill)
                if self._is_interrupted:
                    return filled
            self._workload.prepare()
            load = self._made(self._workload.next)
            await self._connected(load)
            gc.collect()
            gc.freeze()  # what is kept for the whole run is not looked through again and again
            with _progress(options) as progress:
                schedule = Schedule(
                    monotonic(),
                    options.shape.pipeline,
                    options.rate,
                    options.seconds,
                    options.requests,
                )
                sampling = loop.create_task(self._sample(load.books, schedule, progress))
                if self._is_interrupted:
                    load.stop()
                await load.run(schedule)
                sampling.cancel()
                load.books.last_sample(monotonic() - schedule.began, SAMPLE_S / 2)
            load.close()
            return load.books
        finally:
            if reading is not None:
                reading.cancel()

    async def _begin_reading(self) -> "asyncio.Task[None] | None":
        if self._reader is None:
            return None
        if why := await self._reader.read():
            raise UnavailableError(f"there is no map of the slots: {why}")
        return asyncio.get_running_loop().create_task(self._reader.run())

    def _made(self, source: Any) -> Load:
        self._load = Load(self._options.clients, source, self._options.timeout_s, self._reader)
        return self._load

    async def _connected(self, load: Load) -> None:
        leaders = self._map.all_leaders()
        _allow_files(self._options.clients * max(1, len(leaders)))
        try:
            await load.connect_all(leaders)
        except OSError as error:
            at = ", ".join(map(str, leaders))
            raise UnavailableError(
                f"cannot connect {self._options.clients} clients to {at}: {error}"
            ) from None

    async def _filled(self, fill: Load) -> Books:
        await self._connected(fill)
        await fill.run(Schedule(monotonic(), 1))
        fill.close()
        if fill.books.errors:
            text, times = fill.books.errors.most_common(1)[0]
            print(
                f"distrodb: --fill: {fill.books.failed} of {self._options.shape.keys} keys were"
                f" not written; {times}: {text}",
                file=sys.stderr,
            )
        return fill.books

    def _interrupt(self) -> None:
        self._is_interrupted = True
        if self._load is not None:
            self._load.stop()

    async def _sample(self, books: Books, schedule: Schedule, progress: "Progress | None") -> None:
        length = max(SAMPLE_S, (self._options.seconds or 0.0) / _SAMPLES_MAX)
        while True:
            await asyncio.sleep(length)
            row = books.sample(monotonic() - schedule.began)
            if progress is not None:
                (task,) = progress.task_ids
                at = row.at_s if self._options.requests is None else books.done + books.failed
                progress.update(task, completed=at, figures=progress_line(row, books))
                progress.refresh()


@contextlib.contextmanager
def _progress(options: Options) -> Iterator["Progress | None"]:
    """At a terminal only; on standard error, since the figures are for standard output."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.percentage:>3.0f}%"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as progress:
        total = options.seconds if options.requests is None else options.requests
        progress.add_task("", total=total, figures="")
        yield progress


def _allow_files(connections: int) -> None:
    """A process may have 1,024 open files as a rule, and as many as the hard limit if it asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if wanted <= soft or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise ConfigError(f"{connections} connections: this process may have {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _show(books: Books, options: Options, given: Namespace, title: str) -> None:
    is_plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    if is_plain and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an error's text may be in any script
    if given.json:
        # Line by line: where Python does not buffer (PYTHONUNBUFFERED) it writes once, and loses
        # what a pipe has no room for.  Of a line there is never only a part.
        for line in json.dumps({"load": title, **books.report()}, indent=2).splitlines():
            print(line)
    else:
        print(title)
        print("\n".join(summary(books, options)))
        if given.chart or sys.stdout.isatty():
            width = min(shutil.get_terminal_size().columns, 100)
            print("\n".join(charts(books, width, is_plain)))
    if options.plot is not None:
        from distrodb.bench import plot

        try:
            plot.draw(books, title, options.plot)
        except OSError as error:
            raise UnavailableError(f"--plot {options.plot}: {error.strerror or error}") from None
