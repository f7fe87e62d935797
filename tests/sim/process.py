"""One simulated slave process: the product's ``Core`` with a clock, a disk and links of its own.

What ``slave/process.py`` does with an event loop and two threads is done here with events: a turn
of the loop, a write set that is synced and, a moment later, reported; a snapshot that is begun,
synced and reported.  Between any two of these the process may crash, or be paused, as SIGSTOP does:
all that is addressed to it waits then, in order.

Its clocks are its own: the monotonic one runs faster or slower, the wall clock may jump.
"""

import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgpack

from distrodb.config import SlaveConfig
from distrodb.errors import CorruptionError, PeerError, StorageError
from distrodb.raft.interfaces import SnapshotRun
from distrodb.ring.clustermap import member
from distrodb.slave.core import Core
from distrodb.slave.gateway import Gateway
from distrodb.slave.links.place import Place, objection
from distrodb.slave.service import Service
from distrodb.storage.records import SealedPut
from tests.support.disk import Disk, PendingSet, PendingSnapshot
from tests.support.network import Link

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

ALARM_S = 0.001  # after its time the core is woken
LARGE_WRITE_S_MAX = 0.1  # of a value in a file of its own: longer than some commits
LINKS_S = 0.025  # between two looks at links that may have gone silent
WALL_EPOCH_MS = 1_700_000_000_000


class Slave:
    def __init__(self, simulation: "Simulation", config: SlaveConfig):
        self.simulation, self.config, self.id = simulation, config, config.id
        self.disk = Disk(random.Random(simulation.random.random()), config.id)
        self.core: Core | None = None
        self.served: tuple[Service, Gateway] | None = None  # see connection.py
        self.links: dict[str, Link] = {}
        self.life = 0  # counts starts; what belongs to an earlier one is dropped
        self.refused: str | None = None  # why its directory cannot be used any more
        self.stopped: str | None = None  # why it stopped by itself
        self.is_removed = False  # the cluster has forgotten it, and it has ended
        self.rate = 1.0  # of its monotonic clock
        self.wall_jump_ms = 0
        self.warnings: list[str] = []  # that it has written into its log
        self._resumes_at = 0.0
        self._turn_is_due = False
        self._wakes_at = math.inf  # by its own clock
        self.slow_sync_s = 0.0  # so much longer does each sync take

    @property
    def now(self) -> float:
        """Its monotonic clock.  Its zero is another one on each machine."""
        return 1000.0 + self.simulation.now * self.rate

    @property
    def is_paused(self) -> bool:
        return self.simulation.now < self._resumes_at

    # -- life --------------------------------------------------------------------------------

    def start(self) -> None:
        simulation = self.simulation
        self.life += 1
        self.links = {}
        self.refused = self.stopped = None
        self._resumes_at, self._turn_is_due = 0.0, False
        self._wakes_at = math.inf
        generator = random.Random(simulation.random.random())
        try:
            self.disk.identify("sim")
            self.served = None
            self.core = Core(self.now, self.config, self.disk, self.disk.read, generator)
        except CorruptionError as problem:
            self.refused = str(problem)
            return
        except StorageError as problem:
            self.stopped = str(problem)
            if "another slave" in self.stopped:  # a bit of the directory's identity was flipped
                self.refused = self.stopped
            self.disk.crash()
            return
        self._look_at_links()
        self.turn_soon()

    def crash(self) -> None:
        self.core = None
        self.served = None
        self.links = {}
        self.life += 1
        self.disk.crash()

    def pause(self, seconds: float) -> None:
        self._resumes_at = max(self._resumes_at, self.simulation.now + seconds)

    def later(self, delay_s: float, what: Callable[..., None], *args: object) -> None:
        """Do it then, or when the process resumes, if this life lasts that long."""
        life = self.life

        def event() -> None:
            if self.life != life:
                return
            if self.is_paused:
                self.later(self._resumes_at - self.simulation.now, what, *args)
                return
            try:
                what(*args)
            except StorageError as problem:  # a disk that fails stops the slave
                self.stopped = str(problem)
                self.simulation.crash(self.id)

        self.simulation.at(delay_s, event)

    # -- the loop ----------------------------------------------------------------------------

    def turn_soon(self) -> None:
        if not self._turn_is_due:
            self._turn_is_due = True
            self.later(0.0, self._turn)

    def _look_at_links(self) -> None:
        self.simulation.network.close_silent(self.id)
        self.later(LINKS_S / self.rate, self._look_at_links)

    def _set_alarm(self) -> None:
        """Wake up when the core is due."""
        due = self.core.next_due
        if due < self._wakes_at:
            self._wakes_at = due
            self.later(max(due - self.now, 0.0) / self.rate + ALARM_S, self._alarm, due)

    def _alarm(self, due: float) -> None:
        if due != self._wakes_at:
            return  # it was set anew
        self._wakes_at = math.inf
        if self.core.tick(self.now):
            self.turn_soon()
        else:
            self._set_alarm()

    def _turn(self) -> None:
        simulation, core = self.simulation, self.core
        self._turn_is_due = False
        wall_ms = WALL_EPOCH_MS + int(simulation.now * 1000) + self.wall_jump_ms
        output = core.flush(self.now, wall_ms)
        for peer in sorted({*output.messages, *output.gossip, *output.parcels}):
            simulation.checks.leaves(self, peer, output.messages.get(peer, []))
            parcels = [parcel[:2] for parcel in output.parcels.get(peer, [])]
            frame = msgpack.packb([output.messages.get(peer, []), output.gossip.get(peer), parcels])
            simulation.network.transmit(self.id, peer, frame)
        for sequence, put in output.large:
            took_s = simulation.random.uniform(0.0, LARGE_WRITE_S_MAX)
            self.later(took_s, self._write_large, sequence, put)
        if output.journal is not None:
            sequence, operations = output.journal
            pending = self.disk.begin(operations)
            took_s = simulation.fsync_s() + self.slow_sync_s
            self.later(took_s, self._sync, sequence, pending)
        for snapshot in output.snapshots:
            run, pending = SnapshotRun(snapshot), None
            if run.chunks is not None:
                pending = self.disk.begin_snapshot(snapshot.group, snapshot.index, run.chunks)
            self.later(5 * simulation.fsync_s(), self._sync_snapshot, run, pending)
        for group, index in output.obsolete:
            self.disk.remove_older(group, index)
        self.warnings += [str(e) for e in output.said if e.event.level == "warning"]
        simulation.checks.after_turn(self)
        simulation.continuity.after_turn(self)
        if core.maps.is_removed:
            simulation.continuity.ended(self)
            self.is_removed = True
            simulation.crash(self.id)
        elif core.has_work:
            self.turn_soon()
        else:
            self._set_alarm()

    def _sync(self, sequence: int, pending: PendingSet) -> None:
        self.disk.sync(pending)
        self.later(self.simulation.random.uniform(0.0, 0.001), self._durable, sequence)

    def _write_large(self, sequence: int, put: SealedPut) -> None:
        self.core.large_written(self.now, sequence, self.disk.write_large(put))
        self.turn_soon()

    def _durable(self, sequence: int) -> None:
        self.core.durable(self.now, sequence)
        self.turn_soon()

    def _sync_snapshot(self, run: SnapshotRun, pending: PendingSnapshot | None) -> None:
        if pending is not None:
            self.disk.sync_snapshot(pending)
        self.later(self.simulation.random.uniform(0.0, 0.001), self._snapshot_written, run)

    def _snapshot_written(self, run: SnapshotRun) -> None:
        self.core.snapshot_written(self.now, run.done())
        self.turn_soon()

    # -- links -------------------------------------------------------------------------------

    @property
    def place(self) -> Place:
        return str(self.config.me.client), str(self.config.me.peer)

    def objection(self, peer: str, incarnation: str) -> str | None:
        """What it has against a link with another one."""
        core, place = self.core, self.simulation.slaves[peer].place
        heard, name = core.peers.linked_with, member(peer, incarnation)
        return objection(self.id, core.map, heard, name, place)

    def link_up(self, peer: str, link: Link, incarnation: str) -> None:
        self.links[peer] = link
        self.core.link_up(self.now, peer, incarnation, self.simulation.slaves[peer].place)
        self.turn_soon()

    def link_down(self, peer: str) -> None:
        del self.links[peer]
        self.core.link_down(self.now, peer)
        self.turn_soon()

    def receive(self, peer: str, frame: bytes) -> None:
        messages, gossip, parcels = msgpack.unpackb(frame)
        try:
            self.core.receive(self.now, peer, messages)
            if gossip is not None:
                self.core.receive_gossip(self.now, peer, gossip)
            for kind, content in parcels:
                self.core.receive_parcel(self.now, peer, kind, content)
        except PeerError as problem:
            raise AssertionError(f"{self.id} takes {peer} for malicious: {problem}") from problem
        self.turn_soon()
