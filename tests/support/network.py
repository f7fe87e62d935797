"""The simulated network: links between slaves, and what can go wrong with them.

A link is what a TCP connection is: it comes up after a handshake, each side learns of it at its own
moment; it delivers frames in order, and when it breaks each side notices at its own moment, at once
or only after a silence.  What was under way may still arrive, or not.  With ``loss``,
``duplication`` and ``reordering`` a link is worse than TCP ever is: Raft must stay safe on it, and
it finds faults that a FIFO hides.

A cut pair has no link; with a one-way cut the frames of one direction vanish, so the link falls
silent and is broken off, as in slave/links/links.py.
"""

import itertools
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

HANDSHAKE_S = 0.02  # at most
RETRY_S = 0.2  # between attempts to connect, as in slave/links/links.py
NOTICE_S = 0.03  # at most, when the other side's system still answers
SILENT_AFTER_S = 3.0  # as in slave/process.py: a dead or cut off host is noticed by its silence


@dataclass
class Quality:
    """Of all links: chances are of a frame, delays in seconds."""

    delay_s_min: float = 0.0002
    delay_s_max: float = 0.005
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    late_s_max: float = 0.2  # how much later a frame may come that is overtaken by others


@dataclass(eq=False)
class Link:
    number: int
    incarnations: dict[str, str]
    is_broken: bool = False
    drains: bool = False  # what was under way when it broke still arrives
    arrival: dict[str, float] = field(default_factory=dict)  # of the last frame to each side
    heard_at: dict[str, float] = field(default_factory=dict)  # by each side that has it


class Network:
    def __init__(self, simulation: "Simulation"):
        self._simulation = simulation
        self.quality = Quality()
        self.trace = 0  # a checksum over all that arrived and when, to compare two runs
        self.frames = self.bytes = 0
        self._numbers = itertools.count(1)
        self._links: dict[frozenset[str], Link] = {}
        self._cut: set[tuple[str, str]] = set()  # (from, to)
        self._slow: dict[tuple[str, str], float] = {}  # delays are so many times longer

    # -- faults ------------------------------------------------------------------------------

    def cut(self, a: str, b: str) -> None:
        self._cut |= {(a, b), (b, a)}
        self.break_link(a, b)

    def cut_one_way(self, sender: str, receiver: str) -> None:
        """The link stays until somebody notices the silence."""
        self._cut.add((sender, receiver))

    def slow(self, a: str, b: str, factor: float) -> None:
        self._slow[a, b] = self._slow[b, a] = factor

    def heal(self) -> None:
        self._cut.clear()
        self._slow.clear()
        self.connect_all()

    # -- links -------------------------------------------------------------------------------

    def connect_all(self) -> None:
        for a, b in itertools.combinations(self._simulation.slaves, 2):
            self.connect(a, b)

    def connect(self, a: str, b: str) -> None:
        """Open the link of a pair, if both run and nothing is in the way."""
        simulation, pair = self._simulation, frozenset((a, b))
        if a == b or pair in self._links or {(a, b), (b, a)} & self._cut:
            return
        first, second = simulation.slaves[a], simulation.slaves[b]
        if first.core is None or second.core is None or first.is_paused or second.is_paused:
            return
        incarnations = {a: first.core.incarnation, b: second.core.incarnation}
        link = self._links[pair] = Link(next(self._numbers), incarnations)
        for side, peer in ((a, b), (b, a)):
            delay_s = simulation.random.uniform(0.0, HANDSHAKE_S)
            link.arrival[side] = simulation.now
            simulation.slaves[side].later(delay_s, self._up, link, side, peer)

    def _up(self, link: Link, side: str, peer: str) -> None:
        if link.is_broken or side in link.heard_at:
            return
        link.heard_at[side] = self._simulation.now
        slave = self._simulation.slaves[side]
        if slave.objection(peer, link.incarnations[peer]):
            self.break_link(side, peer)
            return
        if peer in slave.links:  # the peer came back before we saw it go
            slave.link_down(peer)
        slave.link_up(peer, link, link.incarnations[peer])

    def break_link(self, a: str, b: str, is_silent: bool = False) -> None:
        link = self._links.pop(frozenset((a, b)), None)
        if link is None:
            return
        simulation = self._simulation
        link.is_broken = True
        link.drains = simulation.random.random() < 0.5
        for side, peer in ((a, b), (b, a)):
            if side in link.heard_at:
                silent = is_silent or simulation.random.random() < 0.2
                delay_s = simulation.random.uniform(0.0, SILENT_AFTER_S if silent else NOTICE_S)
                simulation.slaves[side].later(delay_s, self._down, link, side, peer)
        simulation.at(RETRY_S, lambda: self.connect(a, b))

    def _down(self, link: Link, side: str, peer: str) -> None:
        slave = self._simulation.slaves[side]
        if slave.links.get(peer) is link:
            slave.link_down(peer)

    def close_silent(self, side: str) -> None:
        """What each slave does with its own links, by its own timer."""
        limit = self._simulation.now - SILENT_AFTER_S
        for peer, link in list(self._simulation.slaves[side].links.items()):
            if link.heard_at[side] < limit:
                self._down(link, side, peer)
                if not link.is_broken:
                    self.break_link(side, peer)

    # -- frames ------------------------------------------------------------------------------

    def transmit(self, sender: str, receiver: str, frame: bytes) -> None:
        simulation, quality = self._simulation, self.quality
        link = simulation.slaves[sender].links.get(receiver)
        random = simulation.random.random
        if link is None or link.is_broken or (sender, receiver) in self._cut:
            return
        if quality.loss and random() < quality.loss:
            return
        copies = 2 if quality.duplication and random() < quality.duplication else 1
        factor = self._slow.get((sender, receiver), 1.0)
        for _ in range(copies):
            delay_s = factor * simulation.random.uniform(quality.delay_s_min, quality.delay_s_max)
            arrival = simulation.now + delay_s
            if quality.reordering and random() < quality.reordering:
                arrival += simulation.random.uniform(0.0, quality.late_s_max)
            else:
                arrival = link.arrival[receiver] = max(link.arrival[receiver], arrival)
            simulation.slaves[receiver].later(
                arrival - simulation.now, self._deliver, link, sender, receiver, frame
            )

    def _deliver(self, link: Link, sender: str, receiver: str, frame: bytes) -> None:
        if link.is_broken and not link.drains:
            return
        slave = self._simulation.slaves[receiver]
        if slave.links.get(sender) is not link:
            if receiver in link.heard_at:
                return  # noticed as broken
            self._up(link, receiver, sender)  # the last part of the handshake came with it
            if slave.links.get(sender) is not link:
                return
        link.heard_at[receiver] = self._simulation.now
        self.frames += 1
        self.bytes += len(frame)
        self.note(b"%s %s %.9f" % (sender.encode(), receiver.encode(), self._simulation.now))
        self.note(frame)
        slave.receive(sender, frame)

    def note(self, what: bytes) -> None:
        self.trace = zlib.crc32(what, self.trace)
