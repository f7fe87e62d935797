"""What always holds in a simulated cluster; checked after every turn of every slave.

- one leader a term;
- log matching: entries of the same index and term are the same, and so is the term before them;
- an entry that is committed anywhere never changes, nor differs anywhere;
- what a leader counts as committed is on the disks of a majority of its members, synced;
- from one committed configuration to the next at most one member is another, so that any two
  majorities that follow each other have a member in common;
- a leader that removes a member which it hears leaves the group as many live copies as it wants;
- at equal index replicas have equal digests (seen for a part of the turns, it costs time);
- a slave says nothing of a term, a vote or a log before its disk does (support/promises.py);
- a follower commits at least as far as its leader believes to have told it;
- what a slave has applied never goes back while it runs, nor does it drop a committed entry;
- when a turn ends nothing is left that its clients, or other slaves, are to be told.

continuity.py has what holds from one configuration of a group to the next.
"""

import zlib
from typing import TYPE_CHECKING

from distrodb.errors import CorruptionError
from distrodb.keyspace.store import Store
from distrodb.raft.group import Group
from distrodb.raft.log import Log, is_configuration
from distrodb.raft.messages import Message
from distrodb.ring.clustermap import member
from distrodb.slave.core import Core
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.storage.records import entry_key, load_meta
from tests.support.promises import broken_promise

if TYPE_CHECKING:
    from tests.sim.process import Slave
    from tests.sim.simulation import Simulation

DIGEST_CHANCE = 0.05
NEAR_ENTRIES = 64  # a follower that lags no further has a copy


def _is_untold(core: Core) -> bool:
    tracking, notifications = core.tracking.has_pending, core.notifications.has_events
    gateway = core._feed.has_gathered or core.gateway_tracking.has_pending
    return tracking or notifications or gateway or bool(core.pubsub.gathered)


class Checks:
    def __init__(self, simulation: "Simulation"):
        self._simulation = simulation
        self.leaders: dict[tuple[int, int], str] = {}
        self.entries: dict[tuple[int, int, int], tuple[int, int | None]] = {}
        self.committed: dict[tuple[int, int], tuple[int, int]] = {}
        self._digests: dict[tuple[int, int], str] = {}
        self._peers: dict[tuple[str, int, int], dict[int, int]] = {}  # by life: index -> term
        self._before: dict[tuple[str, int, int], tuple[object, ...]] = {}
        self._applied: dict[tuple[str, int, int], int] = {}
        self._newest: dict[int, int] = {}  # by group: the highest committed index
        self._seen_configurations: dict[tuple[str, int], object] = {}
        self._other_copies = False  # somebody has asked for another number of them
        self._lives: dict[tuple[str, int], list[object]] = {}  # each group that was opened there
        self._held: dict[tuple[str, int, int], int] = {}  # the highest of those that a log reached

    def newest(self, group_id: int) -> int:
        """The highest index of a group that is known to be committed."""
        return self._newest.get(group_id, 1)

    def after_turn(self, slave: "Slave") -> None:
        self._claim(not _is_untold(slave.core), f"{slave.id} keeps to itself what it is to tell")
        map_ = slave.core.map
        self._other_copies |= map_.replicas != map_.replicas_at_birth
        for group_id, group in slave.core.groups.items():
            engine, journal = group.member, group.log
            log = journal.last_sequence, journal.last_index  # which may grow within one write set
            state = log, engine.commit_index, engine.term, engine.is_leader
            place = slave.id, self._life(slave, group_id, group), group_id
            before = self._before.get(place)
            if state == before:
                continue
            self._before[place] = state
            applied = self._applied.get(place, 0)
            self._claim(engine.applied_index >= applied, f"{slave.id}: group {group_id} went back")
            self._applied[place] = engine.applied_index
            if engine.is_leader:
                self._one_leader(slave, group_id, engine.term)
                self._told(slave, group_id, group)
            if engine.is_leader and before is not None and before[0] != state[0]:
                self._copies_stay(slave, group_id, group)
            if before is None or before[0] != state[0]:
                self._log_matching(group_id, group, self._peers.setdefault(place, {}))
                self._still_held(place, group)
            if before is None or before[1] != state[1]:
                self._committed(slave, group_id, group, before[1] if before else 1)
                if self._simulation.random_for_checks.random() < DIGEST_CHANCE:
                    self.digest(group_id, group)

    def leaves(self, slave: "Slave", peer: str, messages: list[Message]) -> None:
        """Called before messages leave."""
        me, receiver = self._name(slave), member(peer, slave.core.links[peer])
        for message in messages:
            broken = broken_promise(slave.disk, me, receiver, message)
            self._claim(not broken, broken)

    @staticmethod
    def _name(slave: "Slave") -> str:
        return member(slave.id, slave.core.incarnation)

    def _life(self, slave: "Slave", group_id: int, group: Group) -> int:
        """Counts how often a group was opened on a slave: what is closed is forgotten."""
        lives = self._lives.setdefault((slave.id, group_id), [])
        if not lives or lives[-1] is not group:
            lives.append(group)
        return len(lives)

    def _one_leader(self, slave: "Slave", group_id: int, term: int) -> None:
        known = self.leaders.setdefault((group_id, term), slave.id)
        self._claim(known == slave.id, f"group {group_id} has two leaders in term {term}")

    def _told(self, slave: "Slave", group_id: int, group: Group) -> None:
        """Else a quiet group leaves it behind for good.  Of a follower on the same link only: one
        that has started again since may have forgotten, and its leader not yet noticed."""
        for name, progress in group.member._state.followers.items():
            node, _, _ = name.partition("/")
            other, link = self._simulation.slaves[node], slave.links.get(node)
            if other.core is None or link is None or other.links.get(slave.id) is not link:
                continue
            theirs = other.core.groups.get(group_id)
            if theirs is not None:
                self._claim(
                    progress.commit_told <= theirs.member.commit_index,
                    f"{slave.id} believes that {name} knows of the commit of {group_id} at"
                    f" {progress.commit_told}, and it knows of {theirs.member.commit_index}",
                )

    def _log_matching(self, group_id: int, group: Group, known: dict[int, int]) -> None:
        journal = group.log
        for index in range(journal.last_index, journal.first_index, -1):
            command, _, term = journal.entries[index - journal.first_index]
            if known.get(index) == term:
                return
            known[index] = term
            entry = zlib.crc32(command), journal.term_at(index - 1)
            same = self.entries.setdefault((group_id, index, term), entry)
            self._claim(same == entry, f"group {group_id}: logs differ at {index} of term {term}")

    def _still_held(self, place: tuple[str, int, int], group: Group) -> None:
        journal, newest = group.log, self._newest.get(place[2], 0)
        self._claim(
            journal.last_index >= self._held.get(place, 0),
            f"{place[0]}: group {place[2]} dropped a committed entry",
        )
        index = min(journal.last_index, newest)
        entry = self.committed.get((place[2], index))
        if entry is not None and journal.term_at(index) == entry[0]:
            self._held[place] = index

    def _committed(self, slave: "Slave", group_id: int, group: Group, before: int) -> None:
        journal, commit_index = group.log, group.member.commit_index
        for index in range(max(before, journal.first_index) + 1, commit_index + 1):
            command, _, term = journal.entries[index - journal.first_index]
            if is_configuration(command) and index - 1 >= journal.meta.snapshot_index:
                self._one_change(group_id, journal, index)
            entry = term, zlib.crc32(command)
            same = self.committed.setdefault((group_id, index), entry)
            self._claim(
                same == entry, f"group {group_id} index {index} was committed as something else"
            )
        self._newest[group_id] = max(self._newest.get(group_id, 0), commit_index)
        if group.member.is_leader and commit_index > before:
            self._on_a_majority(group_id, group, commit_index)

    def _one_change(self, group_id: int, journal: Log, index: int) -> None:
        before, after = journal.configuration_at(index - 1), journal.configuration_at(index)
        changed = set(before.members) ^ set(after.members)
        self._claim(len(changed) <= 1, f"group {group_id} changes {changed} in one step at {index}")

    def _copies_stay(self, slave: "Slave", group_id: int, group: Group) -> None:
        """Called when a leader's log has grown.  What it does not know yet is not held against it:
        alive is whom it hears."""
        newest, *_ = older = group.log.configurations[:-3:-1]
        place = slave.id, group_id
        if len(older) < 2 or self._seen_configurations.get(place) is newest:
            return
        self._seen_configurations[place] = newest
        (gone,) = {*older[1].members} - {*newest.members} or {None}
        is_its_own = group.log.term_at(newest.index) == group.member.term
        if gone is None or not is_its_own or not self._is_linked(slave, gone):
            return
        held = {name: self._has_copy(slave, name, group_id, group) for name in older[1].members}
        left = sum(held[name] for name in newest.members)
        wanted = min(self._copies_wanted(slave, group_id), sum(held.values()))
        self._claim(
            left >= wanted, f"group {group_id} has {left} copies of {wanted} without {gone}"
        )

    def _copies_wanted(self, slave: "Slave", group_id: int) -> int:
        """By the leader's map.  Somebody may have asked for more again while one goes; and where
        one copy is enough all slaves but one may leave, the map's group too."""
        map_ = slave.core.map
        # The map's group gets smaller when there is nobody to come.
        copies: int = 3 if group_id == MAP_GROUP else slave.core.view.replicas
        if not self._other_copies:
            return copies
        there = map_.ring if group_id == MAP_GROUP else map_.partitions[group_id].group
        return min(copies, len(there))

    def _is_linked(self, slave: "Slave", name: str) -> bool:
        node, _, incarnation = name.partition("/")
        return node == slave.id or slave.core.links.get(node) == incarnation

    def _has_copy(self, slave: "Slave", name: str, group_id: int, group: Group) -> bool:
        """It is live, and has the group's log but for its end."""
        if not self._is_linked(slave, name):
            return False
        node, _, incarnation = name.partition("/")
        core = self._simulation.slaves[node].core
        if core is None or core.incarnation != incarnation:  # not noticed yet
            return True
        theirs = core.groups.get(group_id)
        near = group.member.commit_index - NEAR_ENTRIES
        return theirs is not None and theirs.log.last_index >= near

    def _on_a_majority(self, group_id: int, group: Group, index: int) -> None:
        members, term = group.member.members, group.log.term_at(index)
        holders = [name for name in members if self.holds(name, group_id, index, term)]
        self._claim(
            len(holders) > len(members) / 2,
            f"group {group_id} index {index} is committed but on {holders} of {members} only",
        )

    def holds(self, name: str, group_id: int, index: int, term: int | None) -> bool:
        """A member's disk has the entry, or a snapshot with it, synced; also one that is lost."""
        disk = self._simulation.disk_of(name)
        if disk is None:
            return False
        for _, record in disk.scan(entry_key(group_id, index), entry_key(group_id, index)):
            if int.from_bytes(record[4:12], "big") == term:
                return True
        try:
            meta = load_meta(disk, group_id)
        except CorruptionError:
            return True  # a bit was flipped after it was counted
        return meta is not None and meta.snapshot_index >= index

    def digest(self, group_id: int, group: Group) -> None:
        if group_id == MAP_GROUP or not isinstance(group.machine, Store):
            return
        digest = group.machine.digest()
        same = self._digests.setdefault((group_id, group.member.applied_index), digest)
        self._claim(
            same == digest, f"group {group_id} differs at index {group.member.applied_index}"
        )

    def all_digests(self) -> None:
        for slave in self._simulation.slaves.values():
            for group_id, group in slave.core.groups.items() if slave.core else ():
                self.digest(group_id, group)

    def _claim(self, holds: bool, what: str) -> None:
        assert holds, f"seed {self._simulation.seed} at {self._simulation.now:.3f} s: {what}"
