"""One slave process: the only place where everything is wired together.

The event loop turns in one order: what came in has been given to the core; ``_turn`` flushes it
and carries out what comes out, in the order of the core's contract: messages leave, the write set
goes to the journal thread, replies leave.  When the thread is done the core is told, which frees
the messages that waited for it.

Errors that are not an answer to somebody's bad input stop the slave: it says why in one line and
exits; the journal holds all that was acknowledged.
"""

import asyncio
import dataclasses
import gc
import math
import os
import random
import resource
import signal
from collections.abc import Callable
from typing import Any

import uvloop

from distrodb import ready_token
from distrodb.clock import monotonic, wall_ms, wall_us
from distrodb.commands.table import MACHINE_COMMANDS
from distrodb.config import LimitsConfig, SlaveConfig, check_directory
from distrodb.errors import CorruptionError, DistrodbError, StorageError
from distrodb.events import said
from distrodb.private import close_to_others, is_open_to_others
from distrodb.ring.clustermap import ClusterMap, member
from distrodb.ring.levels import OF_MOVES
from distrodb.slave import log_output
from distrodb.slave.client_server import ClientServer
from distrodb.slave.core import Core
from distrodb.slave.disk_threads import DiskThreads
from distrodb.slave.http.serving import http_of
from distrodb.slave.links import framing as links
from distrodb.slave.links.arrival import is_elsewhere
from distrodb.slave.links.dialling import OwnFile
from distrodb.slave.links.introduction import Introduction
from distrodb.slave.links.links import Links
from distrodb.slave.links.place import objection
from distrodb.slave.logging_limit import LimitedLog, about
from distrodb.slave.machine_memory import memory_bytes
from distrodb.slave.map_keeper import map_of
from distrodb.slave.own_ports import check_ports, port_problem, wait_for_ports
from distrodb.slave.runtime_settings import RuntimeSettings
from distrodb.slave.self_report import SelfReport
from distrodb.slave.service_manager import ServiceManager
from distrodb.slave.startup import (
    CLIENTS_SHARE,
    check_against_map,
    check_protected,
    remedy,
    room_for_connections,
    warnings,
)
from distrodb.slave.timing import Timing
from distrodb.slave.tls import Tls
from distrodb.storage.directory import Directory

ALARM_S = 0.01  # after its time the core is woken: much is due at almost the same moment
LINKS_S = 0.25  # between two looks at links that may have gone silent
HAND_OVER_S_MAX = 3.0  # a slave that cannot hand over ends all the same: the others elect

limited = LimitedLog("distrodb")


class SlaveProcess:
    def __init__(self, config: SlaveConfig, directory: Directory, limits: LimitsConfig, tls: Tls):
        """``limits``: as they are on this machine."""
        self._config, self._directory = config, directory
        self._timing = Timing(monotonic, wall_us, RuntimeSettings(config, limits))
        table = self._timing.table(MACHINE_COMMANDS)
        journal, snapshots = directory.journal, directory.snapshots
        self._core = Core(monotonic(), config, journal, snapshots.read, random.Random(), table)
        self._manager = ServiceManager()
        self._tls = tls
        self._timing.settings.tls = self._tls
        check_against_map(config, self._core.map)
        # One that joins learns only then which users there are; until then it serves its own
        # machine alone (client_server.py).
        check_protected(config, self._core.users.is_open and not self._core.maps.waits_to_join)
        self._wakes_at = math.inf  # seconds: when the core is looked at though nothing comes in
        self._alarm: asyncio.TimerHandle | None = None
        self._turn_is_due = False
        self._is_stopping = False
        self._ended: asyncio.Future[DistrodbError | None]
        self._loop: asyncio.AbstractEventLoop
        self._disk = DiskThreads(directory, self._core, self._timing, self._tell)
        self._followed: ClusterMap | None = None  # the map whose slaves are dialled
        self._layout = map_of(config).digest()
        self._links = Links(
            lambda: _introduction(config, self._core, self._layout),
            OwnFile(config.me, config.join, config.nodes),
            lambda *who: objection(config.id, self._core.map, self._core.peers.linked_with, *who),
            silent_after_s=max(3.0, config.raft.election_timeout_ms / 500),
            on_up=lambda *who: self._tell(self._core.link_up, *who),
            on_down=lambda peer: self._tell(self._core.link_down, peer),
            on_frame=self._on_frame,
        )
        self._clients = ClientServer(
            self._core, limits, self._schedule, self.stop, self._timing, self._tls
        )
        sync_us = self._timing.sync_us
        self._report = SelfReport(self._core, self._clients.service, sync_us, self._disk.aside)
        token = "" if config.me.http_bind is None else ready_token.renewed(config.directory)
        self._http = http_of(
            self._core, self._clients, self._report, self._tls, lambda: self._is_stopping, token
        )

    async def run(self) -> None:
        """Serve until ``stop`` is called.  Raises ``DistrodbError`` for what stops a slave."""
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._disk.begin(self._loop.call_soon_threadsafe, self._fail)
        for name in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(name, self.stop)
        self._tls.begin(self._loop)
        self._loop.set_exception_handler(self._on_error)
        for key, address in sorted(self._config.me.listens.items(), reverse=True):
            try:
                if key == "peer":
                    await self._links.start(self._tls)
                else:
                    await self._clients.start(address, is_gateway=key == "gateway")
            except OSError as error:
                raise port_problem(self._config, key, error) from None
        if self._http is not None:
            await self._http.start()
        _tell_where(self._config, self._core)
        self._manager.ready()
        self._on_timer()
        self._schedule()
        try:
            await self._ended
        finally:
            for name in (signal.SIGTERM, signal.SIGINT):
                # A second one, when the loop is gone, would change the exit status.
                self._loop.remove_signal_handler(name)
                signal.signal(name, signal.SIG_IGN)
            self._clients.close()
            if self._http is not None:
                self._http.close()
            self._links.close()
            self._disk.close()
            self._directory.close()

    def stop(self) -> None:
        """Hand leadership over, then end."""
        if not self._is_stopping:
            self._is_stopping = True
            self._manager.stopping()
            self._clients.stop_listening()
            self._loop.create_task(self._leave())

    def _follow_map(self) -> None:
        core = self._core
        if core.map is self._followed:
            return
        self._followed = core.map
        self._links.follow(core.map)
        if core.maps.is_removed:
            self.stop()

    @property
    def is_removed(self) -> bool:
        return self._core.maps.is_removed

    async def _leave(self) -> None:
        until = monotonic() + HAND_OVER_S_MAX
        while monotonic() < until and not self._core.hand_over(monotonic()):
            self._schedule()
            await asyncio.sleep(0.01)
        if not self._ended.done():
            self._ended.set_result(None)

    # -- the turn of the loop ----------------------------------------------------------------

    def _tell(self, what: Callable[..., None], *args: object) -> None:
        what(monotonic(), *args)
        self._schedule()

    def _schedule(self) -> None:
        if not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        if self._ended.done():  # nothing more leaves a slave that has failed
            return
        now = monotonic()
        output = self._core.flush(now, wall_ms())
        messages, gossip, parcels = output.messages, output.gossip, output.parcels
        for peer in {**messages, **gossip, **parcels}:
            self._links.send(peer, messages.get(peer, ()), gossip.get(peer), parcels.get(peer, ()))
        self._disk.give(output)
        self._clients.write_replies()
        self._turn_is_due = False
        for happened in output.said:
            limited.write(happened, about(happened))
        self._follow_map()
        due = self._core.next_due
        if due < now or self._clients.has_work:
            self._schedule()
        else:
            self._set_alarm(due)

    def _set_alarm(self, due: float) -> None:
        """Wake up then.  An alarm that is due earlier does for a later one."""
        if self._wakes_at <= due + ALARM_S:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        now = monotonic()
        self._wakes_at = max(due, now) + ALARM_S
        self._alarm = self._loop.call_later(self._wakes_at - now, self._on_alarm)

    def _on_alarm(self) -> None:
        self._wakes_at = math.inf
        if self._core.tick(monotonic()):
            self._schedule()
        else:
            self._set_alarm(self._core.next_due)

    def _on_timer(self) -> None:
        if self._ended.done():
            return
        self._timing.beat(LINKS_S)
        self._links.tick()
        if self._links.is_twice:
            self._end_as_copy()
        self._manager.beat(monotonic())
        self._report.look(monotonic())
        self._loop.call_later(LINKS_S, self._on_timer)

    def _on_frame(self, peer: str, content: object) -> None:
        """Raises ``PeerError``."""
        kind, body = content if isinstance(content, list) and len(content) == 2 else (None, None)
        if kind == links.MESSAGES and isinstance(body, list):
            self._core.receive(monotonic(), peer, body)
        elif kind == links.GOSSIP and isinstance(body, dict):
            self._core.receive_gossip(monotonic(), peer, body)
        else:
            self._core.receive_parcel(monotonic(), peer, kind, body)
        self._schedule()

    # -- errors ------------------------------------------------------------------------------

    def _on_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The loop tells of something that nobody waited for."""
        error = serious(context)
        if error is not None:
            self._fail(error)

    def _end_as_copy(self) -> None:
        who = self._config.id
        what = f"another slave runs as {who} with the data of {self._config.directory}, so this one"
        try:
            self._directory.mark_as_copy(f"{what} has ended.")
            self._fail(StorageError(f"{what} ends; two of a directory are never to run"))
        except DistrodbError as problem:
            self._fail(problem)

    def _fail(self, error: BaseException) -> None:
        if self._ended.done():
            return
        if not isinstance(error, DistrodbError):
            limited.write(said("internal_error"), trace_of=error)
            error = DistrodbError(f"internal error: {error!r}; the slave stops, its data is kept")
        self._ended.set_exception(error)


def _introduction(config: SlaveConfig, core: Core, layout: str) -> Introduction:
    is_open = core.map.epoch > 0 or config.join
    return Introduction(
        config.cluster_id,
        0 if core.map.replicas else config.replicas,
        "" if is_open else layout,
        config.secret,
        member(config.id, core.incarnation),
        str(config.me.client),
        str(config.me.peer),
        is_told_by_acceptor=core.map.level >= OF_MOVES,
    )


def _tell_where(config: SlaveConfig, core: Core) -> None:
    address = config.me.listens["client"]
    limited.say("listening", slave=config.id, address=address)
    if address != config.me.client:
        limited.say("announced", address=config.me.client)
    here, row = (str(config.me.client), str(config.me.peer)), core.map.nodes.get(config.id)
    if row is not None and is_elsewhere(config.id, here, core.map):
        limited.say("moved", client=here[0], peer=here[1], before=f"{row.client} and {row.peer}")
    if config.join and core.maps.waits_for is not None:
        limited.say("waits_to_join", peers=", ".join(map(str, config.join)))
    elif core.maps.waits_for_cluster:
        limited.say("waits_for_cluster")
    elif core.maps.waits_for is not None:
        limited.say("waits_for_birth")


def serious(context: dict[str, Any]) -> BaseException | None:
    """What an error that the loop tells of means: an exception of ours ends the slave; anything
    else is logged, and None."""
    error: BaseException | None = context.get("exception")
    text = str(context.get("message"))
    if error is not None and not isinstance(error, OSError):
        return error
    limited.say("loop_error", text, what=f"{text}: {error}" if error else text)
    return None


def _limits_here(config: SlaveConfig) -> LimitsConfig:
    """What the machine has decides where the file leaves it open, or wants more than there is."""
    return dataclasses.replace(
        config.limits,
        connections_max=_raise_descriptor_limit(config),
        maxmemory_clients=config.limits.maxmemory_clients or memory_bytes() // CLIENTS_SHARE,
    )


def _raise_descriptor_limit(config: SlaveConfig) -> int:
    """Connections that may be open at once, so that files and peers never lack a descriptor."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_bounded = hard != resource.RLIM_INFINITY
    soft, connections = room_for_connections(
        config.limits.connections_max, hard if is_bounded else None
    )
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if connections < config.limits.connections_max:
        limited.say("few_files", connections=connections, files=soft)
    return connections


def _made(config: SlaveConfig, directory: Directory) -> SlaveProcess:
    """What a file, a port or a certificate has against it is said before a new directory becomes
    this slave's; else whoever mends it finds the directory taken by what never ran."""
    try:
        identity = f"{config.cluster_id} {config.id}"
        is_new = directory.owner() is None
        if not is_new:
            directory.identify(identity)  # another's is not waited for
        wait_for_ports(config)
        check_ports(config)
        tls = Tls(config)
        if is_new and not config.join:
            check_protected(config, needs_no_password=not config.clients.requirepass)
        directory.identify(identity)
        close_to_others(config.directory)  # what a version before has left
        return SlaveProcess(config, directory, _limits_here(config), tls)
    except BaseException:
        directory.close()
        raise


def run(config: SlaveConfig) -> int:
    """Run one slave until it is told to stop.  Raises ``DistrodbError``."""
    log_output.begin(config)
    try:
        return _run(config)
    except DistrodbError as error:
        # As text it is the last line on standard error anyway, which no program reads as an event.
        if config.log_format != "text":
            limited.say("fails", problem=error)
        raise


def _run(config: SlaveConfig) -> int:
    os.umask(0o077)
    for line in warnings(config, is_open_to_others(config.file)):
        limited.say("file_warning", what=line)
    check_directory(config)
    try:
        slave = _made(config, Directory(config.directory))
    except CorruptionError as problem:
        where = "" if str(config.directory) in str(problem) else f"{config.directory}: "
        raise CorruptionError(f"{where}{problem}; {remedy(config)}") from None
    # What is there now stays, so it is not looked through again and again for garbage: a full
    # collection took 20 ms of the loop, once in some 30,000 pipelined writes.
    gc.collect()
    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(slave.run())
    if slave.is_removed:  # the last line of the log
        limited.say("removed", slave=config.id)
    return 0
