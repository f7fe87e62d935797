"""A group that was let go is deleted a slice at a time: a power cut at any point of that.

Each state that a cut can leave on the disk is noted while one slave deletes a group: before and
behind each write set, since a set is there whole or not at all, and with the snapshots that were
removed back, since nobody has synced that.  Then the slave is started from each of them, alone, and
its power is cut again behind each of its own write sets.
"""

import copy
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest

from distrodb.raft import messages as m
from distrodb.raft import write_set
from distrodb.raft.log import Entry
from distrodb.ring.clustermap import Partition
from distrodb.slave.core import Core, Output
from distrodb.slave.gossip import Gossip
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.storage import records
from distrodb.storage.records import LAST_INDEX, DeleteRange, entry_key, load_meta, load_tombstone
from tests.library.slaves import WALL_MS, Slaves, config_of
from tests.library.test_slaves import until_let_go
from tests.support.disk import Disk

GONE, OTHER = 0, 3  # what e holds of five partitions: it loses the first
SLICE = 3  # entries
ENTRIES = 14  # at least, in each log


class State(NamedTuple):
    """What a power cut leaves."""

    disk: Disk
    log: list[Entry]  # of the other group, as far as it is on the disk


class Deleting(Slaves):
    """Notes what e has on its disk around each commit, from when it closes the group.  No other
    group lets it go."""

    def __init__(self) -> None:
        self.states: list[State] = []
        super().__init__("abcde", partitions=5)

    def _sync(self, name: str, output: Output) -> None:
        notes = name == "e" and GONE not in self.cores[name].groups and OTHER in self[name].groups
        if notes:
            self.note()
        super()._sync(name, output)
        if notes:
            self.note()

    def _deliver(self, sender: str, receiver: str, output: Output) -> None:
        messages = output.messages.get(receiver, [])
        output.messages[receiver] = [x for x in messages if x[1] != m.LEAVE or x[0] == GONE]
        super()._deliver(sender, receiver, output)

    def note(self) -> None:
        disk = copy.deepcopy(self.disks["e"])
        self.states.append(State(disk, entries_of(disk, OTHER)))


def entries_of(disk: Disk, group: int) -> list[Entry]:
    scan = disk.scan(entry_key(group, 0), entry_key(group, LAST_INDEX))
    return [records.read_entry(group, key, value) for key, value in scan]


@pytest.fixture
def slices(monkeypatch):
    monkeypatch.setattr(write_set, "DELETED_ENTRIES_MAX", SLICE)


@pytest.fixture
def states(slices) -> list[State]:
    slaves = Deleting().settled()
    assert {GONE, OTHER} <= slaves["e"].groups.keys()
    for group in (GONE, OTHER):
        for n in range(ENTRIES):
            written = slaves.ask(slaves.leader(group), b"SET", b"k", b"%d" % n, partition=group)
            slaves.until(lambda written=written: written.reply)
    slaves.run(0.5)
    slaves.compact("e", GONE)
    slaves.compact("e", OTHER)
    snapshots = dict(slaves.disks["e"].files)
    until_let_go(slaves, "e", GONE)
    slaves.until(lambda: GONE not in slaves["e"].groups and not entries_of(slaves.disks["e"], GONE))
    slaves.until(lambda: not [file for file in slaves.disks["e"].files if file[0] == GONE])
    slaves.note()
    states = slaves.states
    for state in list(states):
        if not [file for file in state.disk.files if file[0] == GONE]:
            back = copy.deepcopy(state.disk)
            back.files.update(snapshots)
            states.append(state._replace(disk=back))
    left = {len(entries_of(state.disk, GONE)) for state in states}
    assert len(left) > ENTRIES / SLICE, "each slice is seen"
    return states


def start(disk: Disk) -> Core:
    disk.reopen()
    return Core(2000.0, config_of("e", "abcde", 5), disk, disk.read, random.Random(1))


def turn(core: Core, disk: Disk) -> list[DeleteRange]:
    """One write set and what follows it; what it deletes of the group."""
    output = core.flush(2000.0, WALL_MS)
    operations = output.journal[1] if output.journal else []
    disk.commit(operations)
    if output.journal:
        core.durable(2000.0, output.journal[0])
    for group, index in output.obsolete:
        disk.remove_older(group, index)
    first, last = entry_key(GONE, 0), entry_key(GONE, LAST_INDEX)
    return [o for o in operations if isinstance(o, DeleteRange) and first <= o.first <= last]


def lives(state: State, disk: Disk) -> Iterator[Core]:
    """The slave is started, lives for a write set, and its power is cut, until nothing is left."""
    for _ in range(ENTRIES):
        yield (core := start(disk))
        left = len(entries_of(disk, GONE))
        turn(core, disk)
        assert left - len(entries_of(disk, GONE)) == min(left, SLICE)
        if not left and not [file for file in disk.files if file[0] == GONE]:
            return
    raise AssertionError("it is never gone")


def test_after_a_power_cut_in_a_deletion_the_group_stays_closed_and_the_rest_of_it_goes(states):
    closed = [state for state in states if load_meta(state.disk, GONE) is None]
    assert len(closed) >= 2 * (ENTRIES // SLICE)
    for state in closed:
        disk, tombstone = copy.deepcopy(state.disk), load_tombstone(state.disk, GONE)
        for core in lives(state, disk):
            assert GONE not in core.groups and {OTHER, MAP_GROUP} <= core.groups.keys()
            other = core.groups[OTHER]
            assert other.log.entries == state.log
        assert load_tombstone(disk, GONE) == tombstone is not None
        assert entries_of(disk, OTHER) == state.log
        assert [file for file in disk.files if file[0] == OTHER]


def test_before_its_first_write_set_the_group_is_whole(states):
    whole = [state for state in states if load_meta(state.disk, GONE) is not None]
    assert whole
    for state in whole:
        core = start(state.disk)
        assert core.groups[GONE].log.entries == entries_of(state.disk, GONE)
        assert core.groups[OTHER].log.entries == state.log


@pytest.mark.parametrize("is_cut_again", [False, True])
def test_a_group_that_is_wanted_again_opens_empty_when_all_of_it_is_gone(states, is_cut_again):
    """The map that wants it comes after the start; with a second cut it is there at the start."""
    for state in states:
        if load_meta(state.disk, GONE) is not None:
            continue
        disk = copy.deepcopy(state.disk)
        core = start(disk)
        wanted = replace(core.map, epoch=1_000_000, partitions=with_e(core))
        core.link_up(2000.0, "a", core.map.nodes["a"].incarnation)
        core.receive_gossip(2000.0, "a", Gossip(wanted.epoch, map=wanted).to_plain())
        for _ in range(2 * ENTRIES):
            if GONE in core.groups:
                break
            turn(core, disk)
            if is_cut_again:
                core = start(disk)
        log = core.groups[GONE].log
        assert log.last_index == 0 and not log.may_vote
        while core.disk_writes.has_work:
            turn(core, disk)
        assert [index for _, index, _ in entries_of(disk, GONE)] == [0]
        assert not [file for file in disk.files if file[0] == GONE]


def with_e(core: Core) -> tuple[Partition, ...]:
    first, *others = core.map.partitions
    return replace(first, group=("e", "a", "b")), *others
