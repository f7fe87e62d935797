"""Rare courses of events that once went wrong; each says what holds."""

import copy
import random

import msgpack
import pytest

from distrodb.config import HealingConfig
from distrodb.raft.snapshots import COPY_STATES_MAX
from distrodb.resp.reply import OK, ErrorReply
from distrodb.ring.slots import slot_of
from distrodb.slave.core import Core
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.links.framing import MESSAGES, Incoming, Outgoing
from distrodb.storage import records
from distrodb.storage.records import Meta, load_meta
from tests.sim.simulation import Simulation
from tests.support.disk import Disk

# -- birth ---------------------------------------------------------------------------------------


class _World:
    """Three cores whose gossip is delivered by hand."""

    def __init__(self):
        self.config = Simulation(0).slaves  # only for its configurations
        self.disks = {node: Disk(random.Random(7), node) for node in self.config}
        self.cores = {}
        self.lives = 0
        self.sets = {}
        for node in self.config:
            self.start(node)

    def start(self, node):
        self.lives += 1
        self.disks[node].identify("sim")
        generator = random.Random(self.lives)
        self.cores[node] = Core(
            1.0, self.config[node].config, self.disks[node], self.disks[node].read, generator
        )

    def link(self, a, b):
        self.cores[a].link_up(1.0, b, self.cores[b].incarnation)
        self.cores[b].link_up(1.0, a, self.cores[a].incarnation)

    def says(self, node):
        """What it gossips now, and nothing of it is on its disk yet."""
        core = self.cores[node]
        for peer in core.links:
            core.gossip._told.pop(peer, None)  # so it is told at once
        core.gossip.soon()
        output = core.flush(1.0, 1)
        self.sets[node] = output.journal or self.sets.get(node)
        return output.gossip

    def hears(self, node, peer, gossip):
        self.cores[node].receive_gossip(1.0, peer, gossip)


def test_nobody_is_told_of_a_first_map_that_is_not_on_disk():
    """Or its teller dies, forgets it, and agrees to another one: two first maps for ever."""
    world = _World()
    world.link("node1", "node2")
    world.link("node1", "node3")
    world.link("node2", "node3")
    for node in ("node2", "node3"):
        world.hears("node1", node, world.says(node)["node1"])
    assert world.cores["node1"].map.epoch == 1  # it is the first that has heard everybody
    said = world.says("node1")["node3"]
    assert "map" not in said and said["epoch"] == 0
    sequence, operations = world.sets["node1"]
    world.disks["node1"].commit(operations)
    world.cores["node1"].durable(1.0, sequence)
    world.hears("node3", "node1", world.says("node1")["node3"])
    assert world.cores["node3"].map == world.cores["node1"].map


# -- the map's own log on a member that joined ----------------------------------------------------


def _diverged_maps():
    cluster = Simulation(2, dead_after_s=1)
    one, two, three = (cluster.slaves[f"node{n}"] for n in (1, 2, 3))
    # node1 and node2 are born; node3 is gone before it hears of it.
    cluster.at_once(lambda: one.core.map.epoch == 1 or two.core.map.epoch == 1)
    assert three.core.map.epoch == 0
    cluster.crash("node3")
    cluster.run_until(lambda: _both_say("down", one, two))
    leader = next(s for s in (one, two) if s.core.routing.leads(MAP_GROUP))
    other = two if leader is one else one
    # They see node3, node3 hears nothing: up, then down again.
    cluster.start("node3")
    for _ in (one, two):
        cut = [slave for slave in (one, two) if "node3" not in slave.core.links]
        cluster.at_once(lambda cut=cut: any("node3" in slave.core.links for slave in cut))
        linked = next(slave for slave in cut if "node3" in slave.core.links)
        cluster.network.cut_one_way(linked.id, "node3")
    cluster.run_until(lambda: _both_say("up", one, two))
    cluster.run_until(lambda: _both_say("down", one, two))
    cluster.run(1.0)
    assert three.core.map.epoch == 0
    # Power is gone; the leader stays away.  The commit index "may be behind" after a crash.
    for node in cluster.slaves:
        cluster.crash(node)
    _forget_commit_index(other.disk)
    cluster.heal()
    cluster.start(other.id)
    cluster.start("node3")
    cluster.run_until(
        lambda: MAP_GROUP in three.core.groups and other.core.groups[MAP_GROUP].member.is_ready
    )
    cluster.run(5.0)
    assert three.core.groups[MAP_GROUP].log.meta.snapshot_index == 1
    cluster.crash("node3")
    cluster.start("node3")
    cluster.run(5.0)
    return cluster, leader, other, three


def _both_say(status, *slaves):
    return all(slave.core.map.nodes["node3"].status == status for slave in slaves)


def test_a_member_that_joined_by_a_snapshot_at_index_one_replays_the_map_rightly():
    _, _, other, three = _diverged_maps()
    a, b = other.core.groups[MAP_GROUP], three.core.groups[MAP_GROUP]
    assert a.member.applied_index == b.member.applied_index
    assert a.machine.map == b.machine.map, (a.machine.map.epoch, b.machine.map.epoch)


def test_a_leader_does_not_fill_the_map_s_log_in_vain():
    """The consequence: everybody has adopted the wrong, higher epoch by gossip; what the map's
    leader applies is "older", so it never sees its own changes and asks for them for ever."""
    cluster, leader, other, _ = _diverged_maps()
    cluster.start(leader.id)
    cluster.run(5.0)
    cluster.crash("node3")
    cluster.run(5.0)
    journal = next(s for s in (leader, other) if s.core.routing.leads(MAP_GROUP)).core.groups[
        MAP_GROUP
    ]
    before = journal.log.last_index
    cluster.run(10.0)
    grown = journal.log.last_index - before
    assert other.core.map.nodes["node3"].status == "down" and grown < 10, (
        f"node3 is {other.core.map.nodes['node3'].status}, {grown} entries in 10 s"
    )


def _forget_commit_index(disk):
    meta = load_meta(disk, MAP_GROUP)
    assert isinstance(meta, Meta)
    meta.commit_index = meta.snapshot_index
    record = records.meta(MAP_GROUP, meta)
    disk.records[record.key] = record.value


# -- snapshots ---------------------------------------------------------------------------------


def test_a_follower_whose_snapshots_take_seconds_to_install_catches_up():
    """Six seconds to decode and to write (a large state, or other groups' in front of it in the
    one snapshot thread), while clients write."""
    cluster = Simulation(1, partitions=1, snapshot_log_bytes=65536)
    assert cluster.ask("SET", "a", "1") == OK
    away = next(node for node in cluster.slaves if node != cluster.leader("a"))
    cluster.crash(away)
    for number in range(60):
        assert cluster.ask("SET", f"key{number}", "x" * 4096) == OK
    cluster.run(1.0)
    slave = cluster.slaves[away]
    original = slave._sync_snapshot
    slave._sync_snapshot = lambda *args: slave.later(6.0, original, *args)
    cluster.start(away)
    lags = []
    for number in range(1200):  # 0.1 s each: 40 KB/s, 120 s
        assert cluster.ask("SET", f"key{number % 60}", "y" * 4096) == OK
        cluster.run(0.07)
        leader = cluster.slaves[cluster.leader("a")].core.groups[0].log
        lags.append(leader.last_index - slave.core.groups[0].log.last_index)
    assert min(lags[600:]) < 10


def test_a_leader_does_not_write_snapshots_without_pause_during_a_transfer():
    cluster = Simulation(1, partitions=1, snapshot_log_bytes=65536)
    assert cluster.ask("SET", "a", "1") == OK
    leader = cluster.leader("a")
    away = next(node for node in cluster.slaves if node != leader)
    cluster.crash(away)
    for number in range(60):
        assert cluster.ask("SET", f"key{number}", "x" * 4096) == OK
    cluster.run(1.0)
    slave = cluster.slaves[away]
    original = slave._sync_snapshot
    slave._sync_snapshot = lambda *args: slave.later(3.9, original, *args)  # < the patience
    written = []
    begin = cluster.slaves[leader].disk.begin_snapshot

    def counted(group, index, chunks):
        written.append((cluster.now, index))
        return begin(group, index, chunks)

    cluster.slaves[leader].disk.begin_snapshot = counted
    cluster.start(away)
    start = cluster.now
    size = 0
    while cluster.now < start + 3.8:
        assert cluster.ask("SET", f"key{size % 60}", "y" * 4096) == OK
        size += 1
    # "A large state is not written again for a small log: at most three bytes for each new one."
    assert len(written) <= size * 4096 / 65536 + 1


def test_a_copy_that_is_slower_than_the_writes_costs_a_bounded_log():
    slow = HealingConfig(copy_bytes_per_s=65536)
    cluster = Simulation(1, partitions=1, healing=slow, snapshot_log_bytes=65536)
    assert cluster.ask("SET", "a", "1") == OK
    leader = cluster.leader("a")
    away = next(node for node in cluster.slaves if node != leader)
    cluster.crash(away)
    for number in range(100):
        assert cluster.ask("SET", f"key{number}", "x" * 20_000) == OK
    cluster.run(1.0)
    cluster.start(away)
    group, most = cluster.slaves[leader].core.groups[0], 0
    for number in range(1000):  # 20 MB while 2 MB are to be copied
        assert cluster.ask("SET", f"key{number % 100}", "y" * 20_000) == OK
        most = max(most, group.log.bytes)
    assert cluster.leader("a") == leader and group.copying()
    assert COPY_STATES_MAX * 2_000_000 < most < (COPY_STATES_MAX + 1.5) * 2_000_000
    cluster.run_until(lambda: not group.copying(), 90.0)
    cluster.run(1.0)
    assert cluster.slaves[away].core.groups[0].member.applied_index == group.member.applied_index


# -- clients -----------------------------------------------------------------------------------


def test_a_flush_before_birth_is_refused():
    """operations.md: "Until then every command is answered CLUSTERDOWN"."""
    cluster = Simulation(0)
    assert cluster.ask("SET", "a", "1") == OK
    for node in cluster.slaves:
        cluster.crash(node)
    cluster.wipe("node1")
    cluster.start("node1")
    cluster.run(3.0)
    replies = []
    cluster.submit("node1", "FLUSHALL", done=replies.append)
    assert isinstance(replies[0], ErrorReply), (
        f"the data is on the others, and it says {replies[0]}"
    )


def test_a_copy_that_has_nothing_yet_answers_no_readonly_reads():
    cluster = Simulation(0, partitions=1)
    assert cluster.ask("SET", "a", "1") == OK
    lost = next(node for node in cluster.slaves if node != cluster.leader("a"))
    cluster.wipe(lost)
    cluster.start(lost)
    core = cluster.slaves[lost].core
    cluster.at_once(lambda: 0 in core.groups)
    assert core.view.copy_of(0) is None
    cluster.run_until(cluster.is_whole)
    store = core.view.copy_of(0)
    assert store.execute(slot_of(b"a"), [b"GET", b"a"], store.now_ms) == b"1"


def test_reads_of_a_group_of_one_do_not_wait_for_heartbeats():
    cluster = Simulation(0, nodes=1, partitions=1)
    assert cluster.ask("SET", "a", "1") == OK
    cluster.run(1.0)
    replies = []
    start = cluster.now
    for _ in range(200):  # about 12 MB of requests in one turn of the loop
        cluster.submit("node1", "GET", "k" * 60000, done=replies.append)
    cluster.run_until(lambda: len(replies) == 200)
    assert cluster.now - start < 0.2, f"{cluster.now - start:.2f} s"


# -- incarnations ------------------------------------------------------------------------------


# Three orders of the same events.
@pytest.mark.parametrize("seed", range(3))
def test_an_old_directory_that_was_brought_back_opens_its_groups(seed):
    """node1 starts with an empty directory; the operator brings the old one back before any group
    was changed.  Its groups still count it, by its old name; it hears what the map says, and
    restarts."""
    cluster = Simulation(seed)
    assert cluster.ask("SET", "a", "1") == OK
    cluster.run(2.0)
    one = cluster.slaves["node1"]
    cluster.crash("node1")
    kept = copy.deepcopy(one.disk)
    cluster.wipe("node1")
    cluster.start("node1")
    new = one.core.incarnation
    others = [cluster.slaves[n] for n in ("node2", "node3")]
    cluster.at_once(lambda: any(s.core.map.nodes["node1"].incarnation == new for s in others))
    cluster.crash("node1")
    cluster.run_until(lambda: all(s.core.map.nodes["node1"].incarnation == new for s in others))
    one.disk = kept
    kept._start()
    judge = next(s for s in others if s.core.routing.leads(MAP_GROUP))
    rest = next(s for s in others if s is not judge)
    cluster.crash(judge.id)  # for good
    cluster.start("node1")
    cluster.at_once(lambda: one.core.map.epoch == 2)
    cluster.at_once(lambda: not one.core.disk_writes.is_busy and not one.core.disk_writes.has_work)
    assert one.core.maps._records.map.epoch == 2
    for group in [*one.core.groups.values(), *rest.core.groups.values()]:
        assert not any(name.endswith(new) for name in group.member.members)
    cluster.crash("node1")
    cluster.start("node1")
    assert cluster.ask("GET", "a") == b"1"


def test_a_snapshot_arrives_over_a_link_that_is_slower_than_the_election_timeout():
    """A megabyte and a half a chunk, a megabyte a second."""
    cluster = Simulation(3, partitions=1, snapshot_log_bytes=65536)
    assert cluster.ask("SET", "a", "1") == OK
    away = next(node for node in cluster.slaves if node != cluster.leader("a"))
    cluster.crash(away)
    for number in range(8):
        assert cluster.ask("SET", f"key{number}", "x" * 1_500_000) == OK
    leader = cluster.leader("a")
    cluster.run(2.0)
    narrow(cluster, leader, away, bytes_a_second=1_000_000)
    cluster.start(away)
    lags, leads = cluster.slaves[away], cluster.slaves[leader]
    cluster.run_until(
        lambda: (
            0 in lags.core.groups
            and lags.core.groups[0].member.applied_index
            >= leads.core.groups[0].member.applied_index - 1
        ),
        60.0,
    )


def test_a_copy_of_a_busy_partition_is_made_once_though_the_log_is_cut_meanwhile():
    """Four megabytes at half a one a second, while a megabyte a second is written: the log is cut
    every two seconds, and the follower needs more than that to get what came since its snapshot."""
    cluster = Simulation(0, partitions=1, snapshot_log_bytes=65536)
    assert cluster.ask("SET", "a", "1") == OK
    leader = cluster.leader("a")
    away = next(node for node in cluster.slaves if node != leader)
    cluster.crash(away)
    for number in range(200):
        assert cluster.ask("SET", f"key{number}", "x" * 20_000) == OK
    cluster.run(2.0)
    leads, lags = cluster.slaves[leader].core, cluster.slaves[away]
    leads.budget._per_s = 500_000
    narrow(cluster, leader, away, bytes_a_second=1_500_000)
    cluster.start(away)
    journal, number, start, write_s = leads.groups[0].log, 0, cluster.now, 0.02

    def lacks():
        return journal.last_index - lags.core.groups[0].log.last_index

    while number == 0 or lacks() > 10:
        assert cluster.now < start + 60.0, f"after {number} writes it lacks {lacks()}"
        began = cluster.now
        assert cluster.ask("SET", f"key{number % 200}", "y" * 20_000) == OK
        number += 1
        cluster.run(max(0.0, began + write_s - cluster.now))
    assert leads.budget.spent < 6_000_000, "it was copied more than once"
    for number in range(300):
        assert cluster.ask("SET", f"key{number}", "z" * 20_000) == OK
    assert journal.bytes < 3_000_000, "the log is cut again afterwards"


def narrow(cluster, sender, receiver, bytes_a_second):
    """What goes from one to the other goes in slices through a slow link, as in slave/links: what
    is small overtakes what is large."""
    transmit, lines = cluster.network.transmit, {}

    def slowly(a, b, frame):
        link = cluster.slaves[a].links.get(b)
        if (a, b) != (sender, receiver) or link is None:
            return transmit(a, b, frame)
        if link not in lines:
            lines[link] = Outgoing(), Incoming()
            lines[link][1].is_trusted = True
        outgoing, incoming = lines[link]
        is_at_rest = not outgoing.bytes
        messages, gossip, _ = msgpack.unpackb(frame)
        outgoing.put_messages(messages)
        if gossip is not None:
            outgoing.put_gossip(gossip)

        def go_on():
            if outgoing.bytes and cluster.slaves[a].links.get(b) is link:
                data = b"".join(outgoing.take(1))
                cluster.at(len(data) / bytes_a_second, lambda: through(data))

        def through(data):
            for kind, content in incoming.feed(data):
                parts = [content, None, []] if kind == MESSAGES else [[], content, []]
                if cluster.slaves[a].links.get(b) is link:
                    transmit(a, b, msgpack.packb(parts))
            go_on()

        if is_at_rest:
            go_on()
        return None

    cluster.network.transmit = slowly


# -- what a slave says of itself -----------------------------------------------------------------


def test_only_who_is_taken_in_says_that_it_does_not_count_yet():
    cluster = Simulation(0)
    cluster.run_until(cluster.is_whole)
    cluster.wipe("node3")
    cluster.start("node3")
    others = [cluster.slaves[node].core for node in ("node1", "node2")]
    assert cluster.slaves["node3"].core.view.not_yet_in()
    for _ in range(200):
        cluster.run(0.02)
        assert not any(core.view.not_yet_in() for core in others)
    assert cluster.slaves["node3"].core.view.not_yet_in() == []


def test_a_whole_slave_that_starts_alone_counts():
    cluster = Simulation(0)
    cluster.run_until(cluster.is_whole)
    for node in cluster.slaves:
        cluster.crash(node)
    cluster.start("node1")
    cluster.run(5.0)
    assert cluster.slaves["node1"].core.view.not_yet_in() == []


def test_slaves_whose_disks_are_slow_do_not_storm_each_other_with_gossip():
    cluster = Simulation(0)
    heard = []
    for slave in cluster.slaves.values():
        original = slave.core.receive_gossip
        slave.core.receive_gossip = lambda *args, original=original: (
            heard.append(args[1]),
            original(*args),
        )
    cluster.fsync_s = lambda: 0.5
    cluster.run(0.5)
    assert len(heard) < 60  # of three slaves
