"""What the parts of a slave make together when the ring changes: reports, closed groups, commands
that wait.  Whole slaves, their links and disks by hand."""

import random
from collections.abc import Callable
from dataclasses import replace

from distrodb.raft import messages as m
from distrodb.raft.group import HAND_OVER_AGAIN_S
from distrodb.resp.reply import OK, Reply
from distrodb.ring.clustermap import Partition, member, node_of
from distrodb.slave.core import Core
from distrodb.slave.gossip import Gossip
from distrodb.slave.gossip_sender import GOSSIP_INTERVAL_S
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.map_keeper import map_of
from tests.library import ours
from tests.library.slaves import Slaves, config_of


def test_a_leader_that_reports_the_same_members_at_a_lower_index_is_heard_once():
    """The owner that leads again has no snapshot; its predecessor had, and reported its index."""
    slaves = Slaves().settled()
    slaves.crash("a")
    slaves.until(lambda: slaves.leader(0))
    leader = slaves.leader(0)
    assert leader is not None
    for n in range(10):
        slaves.ask(leader, b"SET", b"k", b"%d" % n)
        slaves.tick()
    slaves.compact(leader, 0)
    slaves.run(GOSSIP_INTERVAL_S)
    slaves.start("a")
    slaves.until(lambda: slaves["a"].routing.leads(0))
    slaves.run(0.1)
    report, ours = slaves["c"].peers.reports.of(0), slaves["a"].groups[0].log
    assert report is not None
    assert (report.term, report.configuration) == (
        slaves["a"].routing.term_of(0),
        ours.configuration,
    )
    before = len(slaves.gossips)
    slaves.run(GOSSIP_INTERVAL_S)
    pairs = 4 * 3
    assert len(slaves.gossips) - before <= 2 * pairs


def test_a_command_does_not_pass_those_that_wait_for_the_leader():
    """This slave comes to lead between two commands of one connection."""
    slaves = Slaves().settled()
    slaves.crash("a")
    core = slaves["b"]
    assert core.routing.leader_of(0) is None
    first = slaves.ask("b", b"SET", b"k", b"first")
    core.groups[0].member.stand_at_once(slaves.now)
    slaves.cores.pop("c")  # d's frames are delivered here one by one, without a turn in between
    slaves.cut("b", "c")
    while not core.routing.leads(0):
        slaves.now += 0.01
        for name in "bd":
            output = slaves[name].flush(slaves.now, 0)
            if output.journal is not None:
                slaves.disks[name].commit(output.journal[1])
                slaves[name].durable(slaves.now, output.journal[0])
            other = "d" if name == "b" else "b"
            slaves[other].receive(slaves.now, name, output.messages.get(other, []))
    second = slaves.ask("b", b"SET", b"k", b"second")
    slaves.until(lambda: first.reply and second.reply)
    read = slaves.ask("b", b"GET", b"k")
    slaves.until(lambda: read.reply)
    assert read.reply == b"second"


# Groups that let a slave go: five slaves, of which e holds partitions 0 and 3.


def remove(slaves: Slaves, name: str) -> None:
    """Ask the ring to do without a slave."""
    replies: list[Reply] = []
    slaves[slaves.leader(MAP_GROUP) or "?"].change_map(["REMOVE", name], replies.append)
    slaves.until(lambda: replies)
    assert replies == [OK]


def members(slaves: Slaves, group: int) -> str:
    """As its leader knows them."""
    leader = slaves.leader(group)
    return (
        "".join(sorted(map(node_of, slaves[leader].view.members_of(group) or []))) if leader else ""
    )


def until_let_go(slaves: Slaves, name: str, group: int) -> None:
    """The group goes on without this slave, which has not yet heard of it."""
    remove(slaves, name)
    slaves.until(lambda: name not in (members(slaves, group) or name))
    assert group in slaves[name].groups


def test_ours_a_member_that_is_removed_alive_hears_of_it():
    """Nobody sends it its removal: it would ask for votes, and know of no leader, for ever."""
    slaves = Slaves("abcde").settled()
    until_let_go(slaves, "e", 0)
    slaves.until(lambda: 0 not in slaves["e"].groups)
    assert slaves["e"].routing.leader_of(0) == slaves.leader(0)
    slaves.until(lambda: slaves["e"].maps.is_removed)
    assert not slaves["e"].groups and slaves["e"].map == slaves["a"].map


def with_snapshots_of(name: str, group: int) -> Slaves:
    """This slave has one snapshot that its journal names, and another one under way."""
    slaves = Slaves("abcde", snapshot_log_bytes=1000).settled()

    def write_until(what: Callable[[], object]) -> None:
        while not what():
            slaves.ask(slaves.leader(group) or "?", b"SET", b"k", b"v" * 100)
            slaves.tick()

    def snapshots() -> list[int]:
        return [index for group_id, index in slaves.disks[name].files if group_id == group]

    write_until(snapshots)
    slaves.run(0.1)
    slaves.held_snapshots[name] = []
    write_until(lambda: [w for w in slaves.held_snapshots[name] if w.group == group])
    return slaves


def test_what_a_closed_group_holds_is_kept_until_that_is_on_disk():
    """Its last snapshot is written while the deletion of its log is on its way to the disk; then
    the slave crashes.  The log is still there, and needs the snapshot before."""
    slaves = with_snapshots_of("e", 0)
    until_let_go(slaves, "e", 0)
    slaves.held_disks.add("e")
    slaves.until(lambda: 0 not in slaves["e"].groups)
    slaves.release_snapshots("e")
    slaves.flush("e")
    slaves.crash("e")
    assert 0 in slaves.start("e").groups


def test_what_a_closed_group_holds_goes_once_that_is_on_disk():
    slaves = with_snapshots_of("e", 0)
    until_let_go(slaves, "e", 0)
    slaves.until(lambda: slaves["e"].maps.is_removed)
    slaves.release_snapshots("e")
    slaves.flush("e")
    assert not [file for file in slaves.disks["e"].files if file[0] == 0]


def test_a_slave_that_stopped_before_it_removed_a_snapshot_removes_it_when_it_starts():
    slaves = with_snapshots_of("e", 0)
    until_let_go(slaves, "e", 0)
    left = dict(slaves.disks["e"].files)
    slaves.until(lambda: 0 not in slaves["e"].groups and not slaves["e"].has_work)
    slaves.crash("e")
    slaves.disks["e"].files.update(left)
    slaves.start("e")
    slaves.tick()
    assert left and not [file for file in slaves.disks["e"].files if file[0] == 0]


def test_a_closed_group_is_opened_again_when_what_it_held_is_gone():
    """The map wants the slave back before the deletion is on disk."""
    slaves = with_snapshots_of("e", 0)
    until_let_go(slaves, "e", 0)
    slaves.held_disks.add("e")
    slaves.until(lambda: 0 not in slaves["e"].groups)
    core, term = slaves["e"], slaves["a"].routing.term_of(0)
    wanted = replace(slaves["e"].map, epoch=1_000_000, partitions=with_group(core, "eab"))
    core.receive_gossip(slaves.now, "a", Gossip(wanted.epoch, map=wanted).to_plain())
    slaves.flush("e")
    assert 0 not in core.groups
    slaves.release_disk("e")
    slaves.flush("e")
    slaves.tick()
    journal = core.groups[0].log
    assert not core.groups[0].member.is_member and not journal.may_vote
    assert journal.last_index == 0 and journal.meta.term >= term > 0
    assert not [file for file in slaves.disks["e"].files if file[0] == 0]


def test_a_closed_group_is_opened_again_also_if_the_map_comes_right_after_the_deletion():
    """The deletion is on disk, and in the same turn a peer's gossip brings the map."""
    slaves = with_snapshots_of("e", 0)
    until_let_go(slaves, "e", 0)
    slaves.held_disks.add("e")
    slaves.until(lambda: 0 not in slaves["e"].groups)
    core = slaves["e"]
    wanted = replace(core.map, epoch=1_000_000, partitions=with_group(core, "eab"))
    slaves.release_disk("e")
    core.receive_gossip(slaves.now, "a", Gossip(wanted.epoch, map=wanted).to_plain())
    slaves.flush("e")
    assert 0 in core.groups and core.groups[0].log.last_index == 0
    assert not [file for file in slaves.disks["e"].files if file[0] == 0]


def with_group(core: Core, names: str) -> tuple[Partition, ...]:
    first, *others = core.map.partitions
    return replace(first, group=tuple(names)), *others


# Who leads.


def test_an_owner_that_cannot_reach_a_member_is_not_given_its_partition_back():
    """b would have no leader, and its copy fall behind, while one leads that reaches both."""
    slaves = Slaves().settled()
    slaves.cut("a", "b")
    slaves["a"].groups[0].hand_over(slaves.now, [member("d", slaves["d"].incarnation)])
    slaves.until(lambda: slaves.leader(0) == "d")
    slaves.run(2 * HAND_OVER_AGAIN_S)
    assert slaves.leader(0) == "d" and slaves["b"].routing.leader_of(0) == "d"
    slaves.join("a", "b")
    slaves.until(lambda: slaves.leader(0) == "a")


# What a slave takes part in: one core, and what it hears.


def a_core(name: str, disk: ours.Disk) -> Core:
    """A slave of four; each partition is held by three."""
    return Core(1000.0, config_of(name, "abcd", 4), disk, disk.read, random.Random(name))


def test_ours_who_missed_the_birth_takes_part_in_what_it_was_born_into():
    """b was met by all and then slept; the others are born without it, take it for dead and move
    its partition on.  Until a leader has removed it, the group may need its vote."""
    disk = ours.Disk(random.Random(0), "b")
    core = a_core("b", disk)
    born = map_of(core.config, dict.fromkeys("abcd", core.incarnation))
    first, *others = born.partitions
    moved = replace(born, epoch=2, partitions=(replace(first, group=("a", "c", "d")), *others))
    core.link_up(1000.0, "a", core.incarnation)
    core.receive_gossip(1000.0, "a", Gossip(2, map=moved).to_plain())
    assert 0 in core.groups
    disk.commit(core.flush(1000.0, ours.WALL_MS).journal[1])
    again = a_core("b", disk)
    again.link_up(1000.0, "a", core.incarnation)
    again.receive(1000.0, "a", [[0, m.PREVOTE_REQUEST, 2, 17, 1]])
    sent = again.flush(1000.0, ours.WALL_MS).messages["a"]
    assert [0, m.PREVOTE, 2] in sent


def test_ours_a_group_that_missed_the_birth_as_a_whole_begins_when_it_hears_of_it():
    """All of partition 0's group were met and slept (simulator, seed 652341130)."""
    slaves = Slaves("abcd")
    born = map_of(slaves["c"].config, {name: slaves[name].incarnation for name in "abcd"})
    slaves.crash("c")
    assert set(born.partitions[0].group) == set("abd")
    for name in "abd":
        news = Gossip(2, map=replace(born, epoch=2)).to_plain()
        slaves[name].receive_gossip(slaves.now, "c", news)
    slaves.until(lambda: slaves.leader(0))
    leader = slaves.leader(0)
    assert leader is not None
    write = slaves.ask(leader, b"SET", b"k", b"v")
    slaves.until(lambda: write.reply == OK)


def test_ours_a_wiped_slave_takes_part_in_what_the_map_says_only():
    core = a_core("b", ours.Disk(random.Random(0), "b"))
    born = map_of(core.config, {**dict.fromkeys("acd", core.incarnation), "b": "before"})
    first, *others = born.partitions
    moved = replace(born, epoch=2, partitions=(replace(first, group=("a", "c", "d")), *others))
    core.receive_gossip(1000.0, "a", Gossip(2, map=moved).to_plain())
    assert 0 not in core.groups


def test_ours_a_member_serves_until_it_is_removed_whatever_the_map_says():
    """The map moves b's partition on, b restarts before the leader has added and removed anybody.
    b counts still; if it does not take part, one dead member more stops the group."""
    disk = ours.Disk(random.Random(0), "b")
    core = a_core("b", disk)
    born = map_of(core.config, dict.fromkeys("abcd", core.incarnation))
    core.receive_gossip(1000.0, "a", Gossip(1, map=born).to_plain())
    assert 0 in core.groups
    first, *others = born.partitions
    first = replace(first, group=("a", "c", "d"))
    moved = replace(born, epoch=2, partitions=(first, *others))
    core.receive_gossip(1000.0, "a", Gossip(2, map=moved).to_plain())
    disk.commit(core.flush(1000.0, ours.WALL_MS).journal[1])
    again = a_core("b", disk)
    assert again.map.epoch == 2 and 1 in again.groups
    assert 0 in again.groups
