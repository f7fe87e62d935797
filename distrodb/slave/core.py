"""A slave without its sockets, disk and clock: events in, effects out.

Time, peers' messages, clients' commands and finished disk work go in.  ``flush`` ends a turn: it
does what is due and returns what is to be done outside (``Output``), in this order of duty:

    1. ``output.journal`` must be durable before ``durable(sequence)`` is called;
    2. ``output.messages`` may leave at once: whatever speaks of state that is not yet durable is
       kept back here until it is;
    3. replies are given (``Request.resolve``) only for what is committed, hence durable on a
       majority.

One commit is under way at a time: the next write set gathers meanwhile, and one fsync serves all
groups of the slave.  Large values (``output.large``) are written beside that, and committed when
``large_written`` says that they are there.  The process wraps this in an event loop, tests/sim in
a loop of its own; it is the same code.

``Core`` decides little itself: it passes each event to the duties that it concerns, and each of
those is a file.  Raft itself is in the groups (open_groups.py), which are ticked when something has
come for them, or their moment has passed (schedule.py), never just because time has.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from distrodb.commands.command import Command
from distrodb.commands.table import DISPATCHED, MACHINE_COMMANDS
from distrodb.config import SlaveConfig
from distrodb.errors import PeerError
from distrodb.keyspace.place_number import place_of
from distrodb.keyspace.store import Store
from distrodb.raft import messages as m
from distrodb.raft.group import Group, Surroundings
from distrodb.raft.interfaces import Request, SnapshotDone
from distrodb.raft.outbox import Outbox
from distrodb.raft.snapshot_transfer import Budget
from distrodb.raft.steady_time import SteadyTime
from distrodb.raft.write_set import WriteSet
from distrodb.resp.reply import Reply
from distrodb.ring.clustermap import ClusterMap, member
from distrodb.ring.slots import slot_of
from distrodb.slave.blocking import ALL, Blocking
from distrodb.slave.burst import Part
from distrodb.slave.change_feed import ChangeFeed
from distrodb.slave.clocks import Clocks
from distrodb.slave.controller import Controller
from distrodb.slave.copies import Copies
from distrodb.slave.disk_speed import DiskSpeed
from distrodb.slave.disk_writes import DiskWrites
from distrodb.slave.dispatch import Dispatch
from distrodb.slave.forwarding.forwarding import Forwarding
from distrodb.slave.gateway_tracking import GatewayTracking, Interest
from distrodb.slave.gossip import Gossip
from distrodb.slave.gossip_sender import GossipSender
from distrodb.slave.group_factory import Disk, GroupFactory, group_options
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.heartbeats import Heartbeats
from distrodb.slave.leadership import Leadership
from distrodb.slave.leases import LEASE_S
from distrodb.slave.links.framing import (
    ANSWERS,
    CHANGES,
    FORWARDS,
    PUBLISHED,
    TRACKED,
    USERS,
    WANTED,
)
from distrodb.slave.links.place import Place
from distrodb.slave.map_changes import MapChanges
from distrodb.slave.map_keeper import MapKeeper
from distrodb.slave.notifications import Notifications
from distrodb.slave.observing import Observing
from distrodb.slave.open_groups import OpenGroups
from distrodb.slave.outgoing import Outgoing, Output
from distrodb.slave.own_records import Records
from distrodb.slave.peers import Peers
from distrodb.slave.pubsub import Pubsub
from distrodb.slave.routing import Routing
from distrodb.slave.schedule import Schedule
from distrodb.slave.script_messages import ScriptMessages
from distrodb.slave.subscriptions import Subscriptions
from distrodb.slave.tracking import Tracking
from distrodb.slave.user_changes import UserChanges
from distrodb.slave.users import Users
from distrodb.slave.view import View
from distrodb.storage.records import JournalStore, Operation

RANK_DELAY_S = 0.03  # between the members of a group that lost its leader: avoids split votes


class Core:
    def __init__(
        self,
        now: float,
        config: SlaveConfig,
        store: JournalStore,
        read_snapshot: Callable[[int, int], Iterator[bytes]],
        generator: random.Random,
        table: Mapping[bytes, Command] = MACHINE_COMMANDS,
    ):
        """``table``: the commands that partitions run."""
        self.id, self.config, self._now, self._generator = config.id, config, now, generator
        writes, self._outbox, self._time = WriteSet(), Outbox(), SteadyTime()
        self.counts = self._outbox.counts
        self.followed: list[Callable[[ClusterMap], None]] = []  # told of each map that is gone by
        options = group_options(config)
        records, self.disk = Records(store, writes, generator), DiskSpeed(now)
        self.budget = Budget(now, config.healing.copy_bytes_per_s)
        self.disk_writes = DiskWrites(writes, records, self.disk)
        self.maps, self.peers = MapKeeper(config, records), Peers(config.id)
        self.incarnation, self.links = records.incarnation, self.peers.links
        lease_s = LEASE_S if config.raft.reads == "lease" else 0.0
        self.outgoing = Outgoing(self.links)
        self._heartbeats = Heartbeats(now, options.heartbeat_s, lease_s)
        subscriptions = Subscriptions(config.limits.subscription_bytes_max)
        self.pubsub = Pubsub(subscriptions, self.outgoing, self.links)
        on_disk = Disk(store, read_snapshot, writes)
        around = Surroundings(options, self._outbox, self.budget, self._heartbeats)
        factory = GroupFactory(config, records, on_disk, around, generator, table)
        self._open = OpenGroups(self.maps, factory, on_disk)
        self.groups = self._open.all
        self.routing = Routing(self._open, self.peers)
        self.copies = Copies(self.groups, self.routing, self.pubsub.questions)
        self.pubsub.count_copies = self.copies.answer
        self._observing = Observing(self._open)
        self._script_messages = ScriptMessages(self.pubsub, self.routing.answers_for)
        self._observing.publish = self._script_messages.publish
        self.notifications = Notifications(self.pubsub, self._observing, self.routing.answers_for)
        self.notifications.flags = config.clients.notify_keyspace_events
        keys_max = config.clients.tracking_table_max_keys
        self.tracking = Tracking(keys_max, self._observing, self.routing)
        self._schedule = Schedule(self.groups)
        wait_s = config.raft.election_wait_ms / 1000
        self._dispatch = Dispatch(self.groups, self.routing, self._schedule, wait_s)
        self._forwarding = Forwarding(config, self.routing, self._dispatch, self.outgoing)
        self._feed = ChangeFeed(self._observing, self.routing, self.outgoing)
        interest = Interest(self._feed, self.outgoing, self.links)
        self.gateway_tracking = GatewayTracking(keys_max, interest, self.routing, self._forwarding)
        self.blocking = Blocking(self.tracking, self.submit, self._takers_of)
        self.gateway_blocking = Blocking(self.gateway_tracking, self.forward)
        self._leadership = Leadership(self._open, self.peers, self.disk, self._schedule)
        self.clocks = Clocks()
        self.gossip = GossipSender(
            self._open, self.peers, self._leadership, self.disk, config, self.clocks
        )
        controller = Controller(config, self.peers.detector, self.peers.reports)
        self.view = View(config, self.routing, self.gossip, controller, self.disk)
        self._changes = MapChanges(self._open, controller, self.view, self._schedule)
        self.users = Users(DISPATCHED, config.clients.requirepass)
        self._user_changes = UserChanges(self.users, self._changes, self.routing, self.outgoing)
        if self.maps.birth is None:
            self._use_map(now)
        else:
            self._follow(now, self.maps.agreed())  # a cluster of one

    @property
    def now(self) -> float:
        """Seconds: the time of the newest event."""
        return self._now

    @property
    def map(self) -> ClusterMap:
        return self.maps.map

    # -- the map -----------------------------------------------------------------------------

    def _follow(self, now: float, cluster_map: ClusterMap | None) -> None:
        """The one way to a newer map.  Its groups are opened in the write set that keeps it."""
        if cluster_map is not None and self.maps.is_newer(cluster_map):
            self._use_map(now, self.maps.adopt(cluster_map))

    def _use_map(self, now: float, born_into: ClusterMap | None = None) -> None:
        self.peers.reports.map_changed(self.map)
        self.peers.detector.watch(now, self.map.nodes)
        self.users.follow(self.map.users)
        self.routing.map_changed()
        self._open_groups(now, born_into)
        self._leadership.mark_all()
        self._changes.mark()
        self.gossip.soon()
        for tell in self.followed:
            tell(self.map)
        self._follow_map_group(now)

    def _follow_map_group(self, now: float) -> None:
        """The map's own group may have applied a change, or have been read back."""
        machine = self._open.map_machine
        if machine is not None and machine.map is not self.map:
            self._follow(now, machine.map)

    def _open_groups(self, now: float, born_into: ClusterMap | None = None) -> None:
        opened = self._open.open(now, self.links, born_into)
        self._schedule.touch_all(opened)
        self._observing.opened(opened)
        self.routing.group_changed()

    # -- what comes in: time and links ---------------------------------------------------------

    def tick(self, now: float) -> bool:
        """Time passed, to ``next_due`` or beyond.  True when there is something to flush."""
        self._now = now
        return self.has_work

    @property
    def next_due(self) -> float:
        """Seconds: when ``flush`` is due though nothing else happens; minus infinity is now."""
        if self.disk_writes.has_work or self._open.has_obsolete or not self.outgoing.is_empty:
            return -math.inf
        if self.pubsub.gathered or (self._observing.is_on and self._has_changes_to_tell):
            return -math.inf
        return min(
            self._schedule.next_due,
            self._heartbeats.next_due,
            self._leadership.next_due,
            self._changes.next_due,
            self._user_changes.next_due,
            self._open.close_at,
            self.gossip.next_due,
            self._dispatch.next_due,
            self._forwarding.next_due if self._forwarding.is_used else math.inf,
            self.disk.next_due,
            self.pubsub.questions.next_due,
            self.blocking.next_due,
            self.gateway_blocking.next_due,
        )

    def link_up(self, now: float, peer: str, incarnation: str, place: Place | None = None) -> None:
        """``place``: where it is found, as it says itself."""
        self._now = now
        self.peers.link_up(now, peer, incarnation, place)
        self.outgoing.link_changed(peer)
        self.notifications.link_up(peer)
        self.gateway_tracking.link_up(peer)
        self._heartbeats.link_up(member(peer, incarnation))
        for group in self.groups.values():
            self._tell_heartbeats(group)
            group.link_up(now, member(peer, incarnation))
        self.maps.link_up(peer, incarnation)
        self._links_changed(now)

    def link_down(self, now: float, peer: str) -> None:
        self._now = now
        name = member(peer, self.peers.link_down(now, peer))
        self.outgoing.link_changed(peer)
        self.pubsub.questions.link_down(peer)
        self.notifications.link_down(peer)
        self._feed.link_down(peer)
        self.gateway_tracking.link_down(peer)
        self._forwarding.link_down(now, peer)
        self._user_changes.link_down(now, peer)
        self.clocks.lost(peer)
        self.maps.link_down(peer)
        self._heartbeats.link_down(name)
        for group in self.groups.values():
            delay_s = RANK_DELAY_S * (self._leadership.rank(group) + self._generator.random() / 2)
            group.link_down(now, name, delay_s)
        self._links_changed(now)

    def _links_changed(self, now: float) -> None:
        self._schedule.touch_all(self.groups.values())
        self._collect(now)
        self._changes.mark()
        self._leadership.mark_all()
        self.gossip.links_changed()

    # -- what comes in: peers --------------------------------------------------------------------

    def receive(self, now: float, peer: str, messages: Sequence[object]) -> None:
        """Raft messages from a peer.  Raises ``PeerError``: the link must be closed then."""
        self._now = now
        groups, touch, name = self.groups, self._schedule.touch, member(peer, self.links[peer])
        for message in messages:
            message = m.check(message)
            group = groups.get(message[0])
            if message[0] == m.SLAVE:
                if self._heartbeats.receive(now, name, message):
                    self._schedule.answered()
            elif group is not None:
                group.receive(now, name, message)
                touch(message[0])
        self._collect(now)

    def receive_gossip(self, now: float, peer: str, plain: dict[str, Any]) -> None:
        """What a peer leads and hears, and its map if ours was older.  Raises ``PeerError``."""
        self._now = now
        gossip = Gossip.from_plain(plain)
        self.clocks.heard(now, peer, gossip.wall_ms)
        if self.peers.heard(now, peer, gossip):
            self._leadership.mark_all()
        self._changes.mark()
        self._follow(now, self.maps.heard(peer, gossip))
        if self.maps.is_behind_us(gossip):
            self.gossip.soon()

    def receive_parcel(self, now: float, peer: str, kind: object, content: object) -> None:
        """A frame that is neither Raft's messages nor gossip.  Raises ``PeerError``."""
        self._now = now
        if kind == PUBLISHED:
            self.pubsub.receive(peer, content)
        elif kind == WANTED:
            self.notifications.heard(peer, content)
        elif kind == TRACKED:
            self._feed.asked(peer, content)
        elif kind == CHANGES:
            self.gateway_tracking.receive(peer, content)
        elif kind in (FORWARDS, ANSWERS):
            self._forwarding.receive(now, peer, kind, content)
        elif kind == USERS:
            self._user_changes.receive(now, peer, content)
        else:
            raise PeerError(f"a frame of the unknown kind {kind!r:.20}")

    # -- what comes in: people ---------------------------------------------------------------------

    def submit(self, request: Request, partition: int) -> None:
        """A client's command for a partition."""
        self._dispatch.submit(self._now, request, partition)

    def submit_burst(self, part: Part, partition: int) -> None:
        """Several of one client's commands for a partition."""
        self._dispatch.submit_burst(self._now, part, partition)

    def wait_for_leaders(self, size: int, go_on: Callable[[], None]) -> bool:
        """For a command on whole partitions; see ``Dispatch``."""
        return self._dispatch.wait_for_leaders(size, go_on)

    def forward(self, request: Request, partition: int, sender: object | None = None) -> None:
        """A command that came to the gateway: for a partition, wherever it is led."""
        self._forwarding.submit(self._now, request, partition, sender)

    def client_gone(self, sender: object) -> None:
        """Of which ``forward`` may have commands under way."""
        self._forwarding.lose(sender)

    def _takers_of(self, database: int, key: bytes) -> int:
        """How many of those who wait for a key could be served, or must be told where to go."""
        slot = slot_of(key)
        partition = self.routing.partition_of_slot[slot]
        group = self.groups.get(partition)
        if group is None or not group.member.is_leader or not isinstance(group.machine, Store):
            return ALL
        return group.machine.element_count(place_of(database, slot), key)

    def change_map(self, args: Sequence[str], resolve: Callable[[Reply], None]) -> None:
        """DISTRODB REMOVE, KEEP, MOVE, BALANCE, REPLICAS: what a person asks of the ring."""
        self._changes.ask(args, resolve)

    def change_users(self, words: Sequence[bytes], resolve: Callable[[Reply], None]) -> None:
        """ACL SETUSER and DELUSER: the verb, and what stands behind it."""
        self._user_changes.ask(self._now, words, resolve)

    def take_leads(self) -> dict[tuple[str, str], set[int]]:
        """Leads that were won and lost since, by which and why: groups."""
        leads, self._outbox.leads = self._outbox.leads, {}
        return leads

    @property
    def is_full(self) -> bool:
        """More is held here than ``maxmemory``: what may need more memory is refused."""
        return self._dispatch.is_full

    @is_full.setter
    def is_full(self, is_full: bool) -> None:
        self._dispatch.is_full = is_full

    def hand_over(self, now: float) -> bool:
        """Give leadership away; True when nothing is led any more, or nobody could take it."""
        self.gossip.soon()
        is_done = self._leadership.leave(now)
        self._collect(now)
        return is_done

    # -- what comes in: the disk -----------------------------------------------------------------

    def durable(self, now: float, sequence: int, took_s: float | None = None) -> None:
        """The write set handed out last is on disk.  ``took_s``: how long that took, if it is known
        better than by when it was handed out."""
        self._now = now
        written = self.disk_writes.write_set_is_durable(now, sequence, took_s)
        for group_id in written & self.groups.keys():
            self.groups[group_id].log.on_durable()
        self._schedule.release(written)
        if self.maps.write_set_is_durable(sequence):
            self.gossip.soon()
        self.outgoing.more_is_on_disk(self.disk_writes.is_on_disk)
        self._open.more_is_on_disk()

    def large_written(self, now: float, sequence: int, operation: Operation) -> None:
        """One of ``output.large`` is on disk; ``operation`` is to be committed in its place."""
        self._now = now
        self.disk_writes.large_written(now, sequence, operation)

    def snapshot_written(self, now: float, done: SnapshotDone) -> None:
        self._now = now
        if self._open.is_written_in_vain(done.write):
            return
        group = self.groups[done.write.group]
        machine = group.machine
        group.snapshot_written(now, done)
        if group.machine is not machine:
            self._observing.replaced(group)
        if group.log.meta.snapshot_index == done.write.index:
            self.outgoing.snapshot_is_named(group.log.last_sequence, group.id, done.write.index)
        self._schedule.touch(group.id)
        self.routing.group_changed()
        self._collect(now)

    # -- a turn ----------------------------------------------------------------------------------

    @property
    def has_work(self) -> bool:
        """A flush would do something now."""
        return self.next_due < self._now

    def flush(self, now: float, wall_ms: int) -> Output:
        self._now = now
        self.clocks.look(now, wall_ms)
        if now >= self.disk.next_due and self.disk.look(now):
            self.outgoing.said.append(self.disk.verdict)
            self._schedule.release()
            self._leadership.mark_all()
            self.gossip.soon()
        for group_id in self._open.close_left(now):
            self._schedule.closed(group_id)
            self._heartbeats.group_changed(group_id, None, None)
            self.outgoing.group_closed(group_id)
            self.routing.group_changed()
            self._partition_left(group_id)
            self.gossip.soon()
        self._changes.look(now)
        self._user_changes.look(now)
        if now > self._leadership.next_due and self._leadership.walk(now):
            self.gossip.soon()
        for blocking in (self.blocking, self.gateway_blocking):
            blocking.look(now)
        if self._forwarding.is_used:
            self._forwarding.send(now)
        time_ms = self._time.follow(now, wall_ms)
        if len(self.links) > len(self.peers.linked_ms):
            self.peers.stamp(wall_ms)
        may_start, may_write = not self._leadership.is_leaving, not self.disk_writes.is_awaited
        if MAP_GROUP in self._schedule.tick(now, time_ms, may_start, may_write):
            self._changes.mark()
            self._follow_map_group(now)
        self._collect(now)
        self._dispatch.release(now)
        self._collect(now)
        if self._forwarding.is_used:
            self._forwarding.deliver(now)
        for name, heartbeat in self._heartbeats.take(now):
            self.outgoing.send(name, heartbeat, 0)
        self._tell_clients()
        output = self.outgoing.take()
        output.large, output.journal = self.disk_writes.take_large(now), self.disk_writes.take(now)
        if now >= self.gossip.next_due:
            output.gossip = self.gossip.take(now)
        if self._open.has_obsolete:
            output.obsolete += self._open.take_obsolete()
            self._open_groups(now)  # nothing they write from now on is removed
        return output

    def _collect(self, now: float) -> None:
        """Take what the groups want done since they were told of something."""
        outbox = self._outbox
        if outbox.changed:
            for group_id in sorted(outbox.changed & self.groups.keys()):
                self._tell_heartbeats(self.groups[group_id])
                self._schedule.touch(group_id)
                self._leadership.mark(group_id)
                if self.tracking.leads(group_id, self.groups[group_id].member.leads_in):
                    self._feed.lost_lead(group_id)
                self._open.changed(now, group_id)
                self.routing.group_changed()
                self.gossip.soon()
            outbox.changed.clear()
        self.outgoing.collect(outbox)
        if outbox.handed_back or outbox.overwritten:
            self._dispatch.collect(outbox)

    def _tell_clients(self) -> None:
        """What has come about in this turn and no command asked for."""
        if self._observing.is_on:  # else there is nothing in all of these
            if self.tracking.has_pending:
                self.tracking.tell()
            if self._feed.has_gathered:
                self.gateway_tracking.take(self._feed.send())
            if self.gateway_tracking.has_pending:
                self.gateway_tracking.tell()
            if self.notifications.has_events:
                self.notifications.publish()
        if self._script_messages.gathered:
            self._script_messages.send()
        if self.pubsub.gathered:
            self.pubsub.send()
        if self._now >= self.pubsub.questions.next_due:
            self.pubsub.questions.give_up(self._now)

    @property
    def _has_changes_to_tell(self) -> bool:
        return self._feed.has_gathered or self.gateway_tracking.has_pending

    def _partition_left(self, group_id: int) -> None:
        """This slave has no copy of it any more."""
        if group_id != MAP_GROUP:
            partition = self.map.partitions[group_id]
            self.pubsub.subscriptions.leave_slots(partition.first, partition.last)
            self.tracking.lost_sight_of(group_id)
            self._feed.lost_lead(group_id)

    def _tell_heartbeats(self, group: Group) -> None:
        self._heartbeats.group_changed(group.id, group.member.leads_in, group.member.follows)
