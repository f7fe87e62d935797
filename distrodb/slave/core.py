"""A slave without its sockets, disk and clock: all its groups, and who leads what.

Time, peers' messages, clients' commands and finished disk work go in; journal writes, messages
and snapshots to write come out of ``flush``, in this order of duty:

    1. ``output.journal`` must be durable before ``durable(sequence)`` is called;
    2. ``output.messages`` may leave at once: whatever speaks of state that is not yet durable is
       kept back here until it is;
    3. replies are given (``Request.resolve``) only for what is committed, hence durable on a
       majority.

slave/process.py wraps it in an event loop, tests/sim in a loop of its own; it is the same code.
One write set is under way at a time: the next one gathers meanwhile, and one fsync serves all
groups of the slave.

The map flows one way: its group's leader applies a change, all members adopt it with their next
tick, and tell whoever is behind once it is on their disk.  A slave acts on the newest map it knows:
it opens and closes groups (holding.py), and walks those that it leads towards the map's members.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from distrodb.config import SlaveConfig
from distrodb.keyspace.context import StoreLimits
from distrodb.raft import messages as m
from distrodb.raft.group import Group, Surroundings
from distrodb.raft.interfaces import GroupOptions, Request, SnapshotDone, SnapshotWrite
from distrodb.raft.outbox import Outbox
from distrodb.raft.steady_time import SteadyTime
from distrodb.raft.transfer import Budget
from distrodb.raft.write_set import WriteSet
from distrodb.resp.reply import OK, ErrorReply, Reply, error
from distrodb.ring.clustermap import ClusterMap, first_map, member, node_of
from distrodb.slave.birth import Birth, Memory
from distrodb.slave.controller import Controller
from distrodb.slave.gossip import Gossip, News
from distrodb.slave.hearing import Hearing
from distrodb.slave.heartbeats import Heartbeats
from distrodb.slave.held import Held
from distrodb.slave.holding import MAP_GROUP, Holding, nodes_of, preferred_of
from distrodb.slave.map_machine import MapMachine
from distrodb.slave.reports import Report, Reports
from distrodb.slave.standing import Standing
from distrodb.storage.records import JournalStore, Operation

GOSSIP_INTERVAL_S = 1.0
CONTROL_INTERVAL_S = 0.05  # between two looks of the controller at the ring
RANK_DELAY_S = 0.03  # between the members of a group that lost its leader: avoids split votes
RETURN_INTERVAL_S = 0.2  # between two leaderships that a slave gives back to their owners


def map_of(config: SlaveConfig, incarnations: Mapping[str, str] | None = None) -> ClusterMap:
    """The first map: the same on every slave, since it comes from the [cluster] section alone, and
    from the incarnations on which all have agreed (none yet: only the layout counts)."""
    nodes = [(node.id, str(node.client), str(node.peer)) for node in config.nodes]
    return first_map(nodes, config.partitions, config.replicas, incarnations)


@dataclass(slots=True)
class Output:
    journal: tuple[int, list[Operation]] | None = None
    messages: dict[str, list[m.Message]] = field(default_factory=dict)
    gossip: dict[str, dict] = field(default_factory=dict)
    snapshots: list[SnapshotWrite] = field(default_factory=list)
    # (group, index): the durable journal names this snapshot, older ones may be removed
    obsolete: list[tuple[int, int]] = field(default_factory=list)


class _MapRequest:
    """A change of the map; nobody waits for the reply to what the controller itself asks for."""

    is_write, slot, place, size = True, -1, -1, 64

    def __init__(self, command: Sequence[str], resolve: Callable[[Reply], None] = lambda _: None):
        self.args = [command[0].upper().encode(), *(word.encode() for word in command[1:])]
        self.resolve = resolve


class Core(Standing):
    def __init__(
        self,
        now: float,
        config: SlaveConfig,
        store: JournalStore,
        read_snapshot: Callable[[int, int], Iterator[bytes]],
        generator: random.Random,
    ):
        self.id = config.id
        self.config = config
        self._now = now
        self.writes = WriteSet()
        self._memory = Memory(store, self.writes, generator)
        self.incarnation = self._memory.incarnation
        self.links: dict[str, str] = {}  # peers and their incarnations
        self._generator = generator
        self._gated: dict[int, list[tuple[str, m.Message]]] = {}
        self._messages: dict[str, list[m.Message]] = {}
        self.outbox = Outbox()
        # Snapshots that the journal names: (sequence of the write set that says so, group, index).
        self._named: list[tuple[int, int, int]] = []
        self._obsolete: list[tuple[int, int]] = []
        self._journal_busy = False
        self._time = SteadyTime()
        self._dirty: set[int] = set()
        self._gossip, self._gossip_at = Gossip(), now
        self._hearing, self._reports, self._held = Hearing(config.id), Reports(), Held()
        self._heartbeats = Heartbeats(now, config.raft.heartbeat_ms / 1000)
        self._control_at = now
        self._return_at = now
        self.is_leaving = False
        self._budget = Budget(now, config.healing.copy_bytes_per_s)
        self.controller = Controller(
            self._hearing,
            self._reports,
            replicas=config.replicas,
            moves_at_once=config.healing.moves_at_once,
            dead_after_s=config.raft.dead_after_s,
        )
        limits = config.limits
        options = GroupOptions(
            heartbeat_s=config.raft.heartbeat_ms / 1000,
            election_timeout_s=config.raft.election_timeout_ms / 1000,
            unknown_after_s=config.raft.unknown_after_ms / 1000,
            snapshot_log_bytes=config.raft.snapshot_log_bytes,
            batch_bytes_max=limits.batch_bytes_max,
            queue_max=limits.partition_queue_max,
            queue_bytes_max=limits.partition_queue_bytes_max,
        )
        self.holding = Holding(
            config.id,
            self._memory,
            store,
            self.writes,
            read_snapshot,
            StoreLimits(key_bytes_max=limits.key_bytes_max, value_bytes_max=limits.value_bytes_max),
            generator,
            Surroundings(options, self.outbox, self._budget, self._heartbeats),
            self._map_changed,
        )
        self._birth: Birth | None = None  # until the cluster is born, or lets us in
        self.map = self._memory.map or map_of(config)
        self._durable_map = self._memory.map  # what others are told of
        self._use_slots()
        if self._memory.map is None:
            nodes = [node.id for node in config.nodes]
            self._birth = Birth(self.id, self.incarnation, nodes, joins=bool(config.join))
            self._try_birth(now)
        else:
            self._reports.map_changed(self.map)
            self._open_groups(now)

    @property
    def groups(self) -> dict[int, Group]:
        return self.holding.groups

    @property
    def data_groups(self) -> list[Group]:
        return self.holding.data

    # -- the map -----------------------------------------------------------------------------

    def _try_birth(self, now: float) -> None:
        incarnations = self._birth.agreed() if self._birth else None
        if incarnations is not None:
            self._adopt(now, map_of(self.config, incarnations))

    def _adopt(self, now: float, cluster_map: ClusterMap) -> None:
        """A newer map is known.  Its groups are opened in the write set that remembers it."""
        born_into = self._missed_birth(cluster_map)
        self.map = cluster_map
        self._memory.keep(cluster_map)
        self._reports.map_changed(cluster_map)
        self._birth = None
        self._use_slots()
        self._open_groups(now, born_into)

    def _missed_birth(self, cluster_map: ClusterMap) -> ClusterMap | None:
        """The first map, if the others agreed on us and we hear of it only now that it has
        changed."""
        if self._birth is None or self._birth.joins or cluster_map.epoch == 1:
            return None
        founders = cluster_map.founders
        if founders.get(self.id) != self.incarnation:
            return None
        if list(founders) != [node.id for node in self.config.nodes]:
            return None  # the file has changed since
        first = map_of(self.config, founders)
        return first if len(first.partitions) == len(cluster_map.partitions) else None

    def _use_slots(self) -> None:
        self.partition_of_slot = [
            p.id for p in self.map.partitions for _ in range(p.first, p.last + 1)
        ]

    def _open_groups(self, now: float, born_into: ClusterMap | None = None) -> None:
        opened = self.holding.open(now, self.map, self.links, born_into)
        self._dirty.update(group.id for group in opened)
        self._obsolete += self.holding.obsolete()

    def _map_changed(self, cluster_map: ClusterMap) -> None:
        """The map's own group has applied a change; it is adopted with the next tick."""
        if cluster_map.epoch > self.map.epoch:
            self.map = cluster_map
            self._gossip_at = 0.0

    # -- what comes in -----------------------------------------------------------------------

    def tick(self, now: float) -> bool:
        """Time passed: call it every few milliseconds, at least twice a heartbeat.  True when there
        is something to flush."""
        self._now = now
        self._budget.refill(now)
        if now >= self._heartbeats.next_due:
            for name, heartbeat in self._heartbeats.beat(now):
                self._send(name, heartbeat, 0)
        self._dirty.update(id_ for id_, group in self.groups.items() if group.is_due(now))
        self._control(now)
        if self._birth is None and self.map is not self._memory.map:
            self._adopt(now, self.map)
        for group in self.groups.values():
            if group.member.is_leader:
                self._lead(now, group)
        self._close_left(now)
        self._held.release(now, self._is_led, self._go_on)
        self._collect()
        return self.has_work or now >= self._gossip_at

    def link_up(self, now: float, peer: str, incarnation: str) -> None:
        self.links[peer] = incarnation
        self._hearing.heard(now, self.id, self.links)
        self._messages.pop(peer, None)
        self._heartbeats.link_up(member(peer, incarnation))
        for group_id, group in self.groups.items():
            self._tell_heartbeats(group_id, group)
            group.link_up(now, member(peer, incarnation))
        self._gossip_at = now
        self._collect()
        if self._birth is not None:
            self._birth.met(peer, incarnation)

    def link_down(self, now: float, peer: str) -> None:
        name = member(peer, self.links.pop(peer))
        self._hearing.lost(peer)
        self._hearing.heard(now, self.id, self.links)
        if self._birth is not None:
            self._birth.lost(peer)
        self._gossip_at = now
        self._gossip.lost(peer)
        self._heartbeats.link_down(name)
        self._messages.pop(peer, None)
        for group in self.groups.values():
            alive = [node for node in map(node_of, group.member.members) if self.is_alive(node)]
            preferred = preferred_of(self.map, group.id)
            alive.sort(key=lambda node, first=preferred: (node != first, node))  # type: ignore[misc]
            rank = alive.index(self.id) if self.id in alive else len(alive)
            delay_s = RANK_DELAY_S * (rank + self._generator.random() / 2)
            group.link_down(now, name, delay_s)
        self._dirty.update(self.groups)
        self._collect()

    def receive(self, now: float, peer: str, messages: Sequence[object]) -> None:
        """Raft messages from a peer.  Raises ``PeerError``: the link must be closed then."""
        groups, dirty, name = self.groups, self._dirty, member(peer, self.links[peer])
        for message in messages:
            message = m.check(message)
            if message[0] == m.SLAVE:
                self._heartbeats.receive(now, name, message)
                continue
            group = groups.get(message[0])
            if group is not None:
                group.receive(now, name, message)
                dirty.add(message[0])
        self._collect()

    def receive_gossip(self, now: float, peer: str, gossip: dict) -> None:
        """What a peer leads and hears, and its map if ours was older.  Raises ``PeerError``."""
        news = News.from_plain(gossip)
        self._gossip.heard(peer, news)
        self._hearing.heard(now, peer, news.hears)
        for group_id, configuration in news.reports.items():
            report = Report(configuration, news.leads.get(group_id, 0), news.epoch)
            self._reports.heard(group_id, report)
        if news.map is not None and news.map.epoch > self.map.epoch and self._is_in(news.map):
            self._adopt(now, news.map)
        if self._birth is not None:
            self._birth.told(peer, {} if news.is_born else news.hears)
            self._try_birth(now)
        elif self._durable_map is not None and news.epoch < self._durable_map.epoch:
            self._gossip_at = 0.0

    def _is_in(self, cluster_map: ClusterMap) -> bool:
        """The map is for us: it names us, or we do not wait for one that does."""
        is_joining = self._birth is not None and self._birth.joins
        return self.id in cluster_map.nodes or not is_joining

    def submit(self, request: Request, partition: int) -> None:
        """A client's command for a partition."""
        if self._held.has(partition):  # it must not pass those that came before it
            self._held.release(self._now, self._is_led, self._go_on)
        self._go_on(partition, request)

    def _go_on(self, partition: int, request: Request) -> None:
        group = self.groups.get(partition)
        if group is not None and group.member.is_leader:
            group.submit(request)
            self._dirty.add(partition)
        elif not self._hold(partition, request):
            request.resolve(self.redirect(partition, request.slot))

    def _hold(self, partition: int, request: Request) -> bool:
        if self._birth is not None or self._is_led(partition):
            return False
        return self._held.take(self._now, partition, request)

    def _is_led(self, partition: int) -> bool:
        return self.leader_of(partition) is not None

    def change_map(self, args: Sequence[str], resolve: Callable[[Reply], None]) -> None:
        """DISTRODB REMOVE, KEEP, MOVE and BALANCE: what a person asks of the ring."""
        group = self.groups.get(MAP_GROUP)
        if group is None or not group.member.is_ready or not isinstance(group.machine, MapMachine):
            leader = self.leader_of(MAP_GROUP)
            resolve(error("NOTCONTROLLER", f"{leader or 'nobody'} leads the cluster map"))
            return
        if not group.is_idle:  # what is allowed by this map need not be by the next
            resolve(error("TRYAGAIN", "another change of the cluster map is under way"))
            return
        command = self.controller.asked(self._view(group.machine.map), args)
        if command is None or isinstance(command, ErrorReply):
            resolve(OK if command is None else command)
        else:
            group.submit(_MapRequest(command, resolve))
            self._dirty.add(MAP_GROUP)

    def durable(self, now: float, sequence: int) -> None:
        """The write set handed out last is on disk."""
        self._journal_busy = False
        self.writes.durable_sequence = sequence
        for group_id, group in self.groups.items():
            journal = group.log
            if journal.durable_index != journal.last_index:
                journal.on_durable(sequence)
                self._dirty.add(group_id)
        if self._durable_map is not self._memory.map and self._memory.sequence <= sequence:
            self._durable_map = self._memory.map
            self._gossip_at = 0.0
        for named in [named for named in self._named if named[0] <= sequence]:
            self._named.remove(named)
            self._obsolete.append(named[1:])
        for gate in [gate for gate in self._gated if gate <= sequence]:
            for name, message in self._gated.pop(gate):
                self._send(name, message, 0)
        self.holding.durable(sequence)

    def snapshot_written(self, now: float, done: SnapshotDone) -> None:
        written = done.write
        if self.holding.written_in_vain(written):
            return
        group = self.groups[written.group]
        group.snapshot_written(now, done)
        if isinstance(group.machine, MapMachine) and group.machine.map.epoch > self.map.epoch:
            self._map_changed(group.machine.map)
        if group.log.meta.snapshot_index == written.index:
            named = group.log.last_sequence, written.group, written.index
            self._named.append(named)
        self._dirty.add(written.group)
        self._collect()

    def hand_over(self, now: float) -> bool:
        """Give leadership away; True when nothing is led any more, or nobody could take it."""
        if not self.is_leaving:
            self.is_leaving = True
            self._gossip_at = now
        done = True
        for group_id, group in self.groups.items():
            staying = self._able_to_lead(group, group.member.voters)
            if group.member.is_leader and staying:
                done = False
                if not group.is_busy:
                    group.member.transfer_leadership(now, staying)
                self._dirty.add(group_id)
        self._collect()
        return done

    # -- leading -----------------------------------------------------------------------------

    def _lead(self, now: float, group: Group) -> None:
        """Walk a group that is led here towards the members that the map wants; then let its owner
        lead it."""
        wanted = self.map.members(nodes_of(self.map, group.id))
        raft = group.member
        if raft.reconcile(now, self.map.epoch, wanted):
            self._hand_to(now, group, wanted)
        elif group.id != MAP_GROUP and not self.is_leaving:
            owner = self.map.partitions[group.id].owner
            if owner != self.id and set(raft.members) == set(wanted):
                self._give_back(now, group, owner)
        configuration = group.log.configuration
        if raft.is_ready and configuration.index <= raft.commit_index:
            report = Report(configuration, raft.term, self.map.epoch)
            if self._reports.heard(group.id, report):
                self._gossip_at = 0.0

    def _give_back(self, now: float, group: Group, owner: str) -> None:
        row = self.map.nodes[owner]
        name = member(owner, row.incarnation)
        if now < self._return_at or row.status == "down":
            return
        others = {node_of(voter) for voter in group.member.voters} & set(self.links) - {owner}
        if not others <= set(self._hearing.hears(owner)):
            return  # as their leader it would lose them, and we do not
        if self._hand_to(now, group, [name]):
            self._return_at = now + RETURN_INTERVAL_S

    def _hand_to(self, now: float, group: Group, names: Sequence[str]) -> bool:
        """True when a hand-over to one of them begins."""
        begins = group.hand_over(now, self._able_to_lead(group, names))
        if begins:
            self._dirty.add(group.id)
        return begins

    def _able_to_lead(self, group: Group, names: Sequence[str] | Mapping[str, object]) -> list[str]:
        """The members among these that are linked with us and not about to end."""
        return [
            name
            for name in names
            if name in group.member.voters
            and self.links.get(node_of(name)) == name.partition("/")[2]
            and node_of(name) not in self._gossip.leaving
        ]

    def _control(self, now: float) -> None:
        """Beside the map's leader: let the ring heal itself."""
        if now < self._control_at:
            return
        self._control_at = now + CONTROL_INTERVAL_S
        self._hearing.watch(now, self.map.nodes)
        group = self.groups.get(MAP_GROUP)
        if group is None or not group.member.is_ready or not group.is_idle:
            return
        if isinstance(group.machine, MapMachine):
            for command in self.controller.commands(now, self._view(group.machine.map)):
                group.submit(_MapRequest(command))
                self._dirty.add(MAP_GROUP)

    def _close_left(self, now: float) -> None:
        for group_id in self.holding.close_left(now, self.map):
            self._dirty.discard(group_id)
            self._heartbeats.group_changed(group_id, None, None)
            for gate, messages in self._gated.items():
                kept = [(name, message) for name, message in messages if message[0] != group_id]
                self._gated[gate] = kept
            self._named = [named for named in self._named if named[1] != group_id]
            snapshots = self.outbox.snapshots
            snapshots[:] = [write for write in snapshots if write.group != group_id]
            self._gossip_at = 0.0

    def _tell_heartbeats(self, group_id: int, group: Group) -> None:
        raft = group.member
        leads_in = raft.term if raft.is_leader else None
        self._heartbeats.group_changed(group_id, leads_in, raft.follows)

    def _hand_back(self, group_id: int, requests: Sequence[Request]) -> None:
        for request in requests:
            if group_id == MAP_GROUP:  # the controller asks again, and so may a person
                request.resolve(error("NOTCONTROLLER", "the cluster map has changed its leader"))
            elif not self._hold(group_id, request):
                request.resolve(self.redirect(group_id, request.slot))

    def _not_done(self, group_id: int, slot: int) -> Reply:
        """The answer to what surely did not happen, though it was proposed."""
        if group_id == MAP_GROUP:
            return error("NOTCONTROLLER", "the cluster map has changed its leader")
        leader = self.leader_of(group_id)
        if leader is None or leader == self.id:
            return error("TRYAGAIN", "the leader changed before this could be done; it was not")
        return self.redirect(group_id, slot)

    def _collect(self) -> None:
        """Take what the groups want done since they were told of something."""
        outbox = self.outbox
        if outbox.changed:
            self._gossip_at = 0.0
            for group_id in sorted(outbox.changed & self.groups.keys()):
                self._dirty.add(group_id)
                self._tell_heartbeats(group_id, self.groups[group_id])
            outbox.changed.clear()
        if outbox.messages:
            messages, outbox.messages = outbox.messages, []
            for name, message, gate in messages:
                self._send(name, message, gate)
        while outbox.handed_back:
            group_id, requests = outbox.handed_back.pop(0)
            self._hand_back(group_id, requests)
        while outbox.overwritten:
            group_id, requests = outbox.overwritten.pop(0)
            for request in requests:
                request.resolve(self._not_done(group_id, request.slot))

    # -- what comes out ----------------------------------------------------------------------

    @property
    def has_work(self) -> bool:
        """A flush would do something, gossip apart, which ``tick`` sees to."""
        pending = self._dirty or self._messages or self.outbox.snapshots
        removed = self._obsolete or self.holding.has_obsolete
        return bool(pending or removed or (not self.writes.is_empty and not self._journal_busy))

    def flush(self, now: float, wall_ms: int) -> Output:
        self._now = now
        time_ms = self._time.follow(now, wall_ms)
        dirty, self._dirty = self._dirty, set()
        for group_id in sorted(dirty):
            group = self.groups[group_id]
            group.tick(now)
            if not self.is_leaving:
                group.pump(now, time_ms)
                if group.is_waiting:  # its reads were answered at once, and there are more
                    self._dirty.add(group_id)
        self._collect()
        if not self._held.is_empty:
            self._held.release(now, self._is_led, self._go_on)
            self._collect()
        output = Output()
        if not self._journal_busy:
            output.journal = self.writes.take()
            self._journal_busy = output.journal is not None
        if now >= self._gossip_at:
            self._gossip_at = now + GOSSIP_INTERVAL_S
            output.gossip = {peer: self.news_for(peer).to_plain() for peer in sorted(self.links)}
        output.messages, self._messages = self._messages, {}
        output.snapshots, self.outbox.snapshots = self.outbox.snapshots, []
        output.obsolete, self._obsolete = self._obsolete, []
        if self.holding.has_obsolete:
            output.obsolete += self.holding.obsolete()
            self._open_groups(now)  # nothing they write from now on is removed
        return output

    def _send(self, name: str, message: m.Message, gate: int) -> None:
        """Send to a member: to that incarnation of the slave and no other."""
        if gate:
            self._gated.setdefault(gate, []).append((name, message))
            return
        peer, _, incarnation = name.partition("/")
        if self.links.get(peer) == incarnation:
            self._messages.setdefault(peer, []).append(message)


__all__ = ["MAP_GROUP", "Core", "Output", "map_of"]
