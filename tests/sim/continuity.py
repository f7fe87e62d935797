"""What holds from one configuration of a group to the next; checked after every turn of a slave.

- Committed configurations follow each other one member at a time, whoever led and whoever saw them,
  and a leader that may propose has at most one that is not committed.
- No two disjoint majorities serve a group: when a majority has confirmed a leader's read round,
  nobody had led in a newer term and committed before that round began.
- What a slave's heartbeats say of its groups, which confirms reads, is so when they leave.
- Whoever forgets a group is not needed: without it a majority of the newest committed members has
  on disk whatever is committed, or of those that a change under way makes: its leader counts by
  these (thesis 4.1), and each majority of the one meets each of the other.  The same holds for one
  that ends because it was removed.
- A slave that is in no group keeps nothing of it on its disk (``leftovers``, in the end only).

Caveat: a round is begun for reads alone, so a group that nobody reads is not looked at by these.
"""

from collections import deque
from typing import TYPE_CHECKING

from distrodb.errors import CorruptionError
from distrodb.raft.group import Group
from distrodb.raft.log import Configuration
from distrodb.ring.clustermap import member
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.storage.records import LAST_INDEX, entry_key, load_meta

if TYPE_CHECKING:
    from tests.sim.process import Slave
    from tests.sim.simulation import Simulation

_Place = tuple[str, int, int, int]  # slave, its life, group, term


class Continuity:
    def __init__(self, simulation: "Simulation"):
        self._simulation = simulation
        self._held: dict[str, tuple[int, frozenset[int]]] = {}  # by slave: life, groups
        self._newest: dict[int, Configuration] = {}  # committed, by group
        self._ready: dict[int, dict[int, float]] = {}  # by group: since when, by term
        self._begun: dict[_Place, deque[tuple[int, float]]] = {}  # rounds that are not confirmed
        self._round: dict[_Place, int] = {}  # the newest that was seen

    def after_turn(self, slave: "Slave") -> None:
        groups = slave.core.groups
        life, held = self._held.get(slave.id, (0, frozenset()))
        if life != slave.life or held != groups.keys():
            if life == slave.life:
                for group_id in held - groups.keys():
                    self._is_not_needed(slave, group_id)
            self._held[slave.id] = slave.life, frozenset(groups)
        for group_id, group in groups.items():
            self._is_told(slave, group_id, group)
            if group.member.is_ready:
                self._one_at_a_time(group_id, group)
                self._one_serves(slave, group_id, group)

    def ended(self, slave: "Slave") -> None:
        """It was removed."""
        for group_id in slave.core.groups:
            self._is_not_needed(slave, group_id)

    def _is_told(self, slave: "Slave", group_id: int, group: Group) -> None:
        heartbeats, follows = slave.core._heartbeats, group.member.follows
        follows_whom = heartbeats._follows.get(group_id)
        is_so = heartbeats._led.terms.get(group_id) == group.member.leads_in
        if follows is None:
            is_so = is_so and follows_whom is None
        else:
            name, term = follows
            peer = heartbeats._peers.get(name)
            is_told = peer is None or peer.followed.terms.get(group_id) == term
            is_so = is_so and follows_whom == name and is_told
        if not is_so:
            self._claim(False, f"{slave.id} does not say of group {group_id} that {follows=}")

    def _one_at_a_time(self, group_id: int, group: Group) -> None:
        journal, commit_index = group.log, group.member.commit_index
        configurations, known = journal.configurations, self._newest.get(group_id)
        if known is not None and configurations[-1].index <= known.index:
            return
        for configuration in configurations:
            if configuration.index > commit_index:
                claim = configuration is configurations[-1]
                self._claim(claim, f"group {group_id} has two changes under way")
            elif known is None or configuration.index > known.index:
                before = configuration.members if known is None else known.members
                changed = {*before} ^ {*configuration.members}
                self._claim(len(changed) <= 1, f"group {group_id} changed {changed} at once")
                known = self._newest[group_id] = configuration

    def _one_serves(self, slave: "Slave", group_id: int, group: Group) -> None:
        engine, now = group.member, self._simulation.now
        terms = self._ready.setdefault(group_id, {})
        terms.setdefault(engine.term, now)
        place = slave.id, slave.life, group_id, engine.term
        newest = engine.round
        begun = self._begun.setdefault(place, deque())
        if newest > self._round.get(place, 0):
            self._round[place] = newest
            begun.append((newest, now))
        confirmed, at = engine.confirmed_round(), None
        while begun and begun[0][0] <= confirmed:
            at = begun.popleft()[1]
        if at is not None:
            newer = [term for term, since in terms.items() if term > engine.term and since < at]
            self._claim(
                not newer,
                f"{slave.id} leads group {group_id} in term {engine.term} by a majority"
                f" though {newer} had one already",
            )

    def _is_not_needed(self, slave: "Slave", group_id: int) -> None:
        checks, configuration = self._simulation.checks, self._newest.get(group_id)
        if configuration is None:
            return
        index = checks.newest(group_id)
        term, _ = checks.committed.get((group_id, index), (None, 0))
        found = []
        for members in (configuration.members, *self._under_way(group_id, configuration.index)):
            others = [name for name in members if name != self._name(slave)]
            holders = [name for name in others if checks.holds(name, group_id, index, term)]
            if 2 * len(holders) > len(members):
                return
            found.append(f"{holders} of {members}")
        self._claim(False, f"{slave.id} forgets group {group_id}, and {index} is on {found} only")

    def _under_way(self, group_id: int, index: int) -> list[tuple[str, ...]]:
        """The members of a change behind that index which a leader has begun."""
        cores = (slave.core for slave in self._simulation.slaves.values() if slave.core)
        groups = (core.groups[group_id] for core in cores if group_id in core.groups)
        newest = (each.log.configurations[-1] for each in groups if each.member.is_ready)
        return [each.members for each in newest if each.index > index]

    @staticmethod
    def _name(slave: "Slave") -> str:
        return member(slave.id, slave.core.incarnation)

    def _claim(self, holds: bool, what: str) -> None:
        assert holds, f"seed {self._simulation.seed} at {self._simulation.now:.3f} s: {what}"


def leftovers(simulation: "Simulation") -> list[str]:
    """What lies on the disks of running slaves of groups that are not open there."""
    found = []
    for slave in simulation.slaves.values():
        if slave.core is None:
            continue
        closed = {*range(len(slave.core.map.partitions)), MAP_GROUP} - slave.core.groups.keys()
        for group_id in sorted(closed):
            try:
                is_there = load_meta(slave.disk, group_id) is not None
            except CorruptionError:
                is_there = True
            keys = entry_key(group_id, 0), entry_key(group_id, LAST_INDEX)
            entries = sum(1 for _ in slave.disk.scan(*keys))
            files = [name for name in slave.disk.files if name[0] == group_id]
            if is_there or entries or files:
                found.append(f"{slave.id} keeps {entries} entries and {files} of group {group_id}")
    return found
