"""A slave without its sockets, disk and clock: all its groups, and who leads what.

Time, peers' messages, clients' commands and finished disk work go in; journal writes, messages
and snapshots to write come out of ``flush``, in this order of duty:

    1. ``output.journal`` must be durable before ``durable(sequence)`` is called;
    2. ``output.messages`` may leave at once: whatever speaks of state that is not yet durable is
       kept back here until it is;
    3. replies are given (``Request.resolve``) only for what is committed, hence durable on a
       majority.

slave/node.py wraps it in an event loop, tests/sim in a loop of its own; it is the same code.
One write set is under way at a time: the next one gathers meanwhile, and one fsync serves all
groups of the slave.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from distrodb.config import SlaveConfig
from distrodb.raft import messages as m
from distrodb.raft.group import Group, GroupOptions, Request, SnapshotWrite
from distrodb.raft.journal import Journal, JournalStore, Operation, WriteSet, load_meta
from distrodb.reply import ErrorReply, Reply, error
from distrodb.ring.clustermap import ClusterMap, first_map, member, node_of
from distrodb.slave.birth import Birth, Memory
from distrodb.slave.gossip import Gossip, News
from distrodb.slave.machines import AnyMachine, Restore, read_back, restore_store
from distrodb.slave.map_machine import MapMachine
from distrodb.store.command import StoreLimits
from distrodb.store.store import Store

MAP_GROUP = 0xFFFE
GOSSIP_INTERVAL_S = 1.0
RANK_DELAY_S = 0.03  # between the members of a group that lost its leader: avoids split votes


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
    """A change of the map that the controller asks for; nobody waits for its reply."""

    is_write, slot, size = True, -1, 64

    def __init__(self, *args: bytes):
        self.args = args

    def resolve(self, reply: Reply) -> None: ...


class Core:
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
        self._store, self._read_snapshot = store, read_snapshot
        self.writes = WriteSet()
        self._memory = Memory(store, self.writes, generator)
        self.incarnation = self._memory.incarnation
        self.links: dict[str, str] = {}  # peers and their incarnations
        self._generator = generator
        self._gated: dict[int, list[tuple[str, m.Message]]] = {}
        self._messages: dict[str, list[m.Message]] = {}
        self._snapshots: list[SnapshotWrite] = []
        # Snapshots that the journal names: (sequence of the write set that says so, group, index).
        self._named: list[tuple[int, int, int]] = []
        self._obsolete: list[tuple[int, int]] = []
        self._journal_busy = False
        self._dirty: set[int] = set()
        self._link_changed_at = {node.id: now for node in config.nodes}
        self._gossip = Gossip()
        self._gossip_at = now
        self.is_leaving = False
        limits = config.limits
        self._store_limits = StoreLimits(
            key_bytes_max=limits.key_bytes_max, value_bytes_max=limits.value_bytes_max
        )
        self._options = GroupOptions(
            heartbeat_s=config.raft.heartbeat_ms / 1000,
            election_timeout_s=config.raft.election_timeout_ms / 1000,
            unknown_after_s=config.raft.unknown_after_ms / 1000,
            snapshot_log_bytes=config.raft.snapshot_log_bytes,
            batch_bytes_max=limits.batch_bytes_max,
            queue_max=limits.partition_queue_max,
            queue_bytes_max=limits.partition_queue_bytes_max,
        )
        self.groups: dict[int, Group] = {}
        self.data_groups: list[Group] = []
        self._preferred: dict[int, str] = {}  # the owner, who stands first for election
        self._birth: Birth | None = None  # until the cluster is born
        self.map = self._memory.map or map_of(config)
        self._durable_map = self._memory.map  # what others are told of
        self.partition_of_slot = [
            p.id for p in self.map.partitions for _ in range(p.first, p.last + 1)
        ]
        if self._memory.map is None:
            self._birth = Birth(self.id, self.incarnation, [node.id for node in config.nodes])
            self._try_birth(now)
        else:
            self._open_groups(now)

    # -- groups come into being --------------------------------------------------------------

    @property
    def waits_for(self) -> list[str] | None:
        """The slaves that must be met before the cluster is born; None when it is."""
        return None if self._birth is None else self._birth.missing

    def _try_birth(self, now: float) -> None:
        incarnations = self._birth.agreed() if self._birth else None
        if incarnations is not None:
            self._adopt(now, map_of(self.config, incarnations))

    def _adopt(self, now: float, cluster_map: ClusterMap) -> None:
        """A newer map is known.  Its groups are opened in the write set that remembers it."""
        self.map = cluster_map
        self._memory.keep(cluster_map)
        self._birth = None
        self._open_groups(now)

    def _open_groups(self, now: float) -> None:
        """Open the groups whose log is here, whatever the map says by now, since their members may
        count us still; and those that the map gives to this incarnation of the slave."""
        is_known = self.map.nodes[self.id].incarnation == self.incarnation
        rows = [(p.id, p.group, p.owner) for p in self.map.partitions]
        rows.append((MAP_GROUP, self.map.map_group, self.map.map_group[0]))
        for group_id, nodes, preferred in rows:
            if group_id in self.groups:
                continue
            if load_meta(self._store, group_id) or (is_known and self.id in nodes):
                self._open(now, group_id, nodes, preferred)
        self.data_groups = [g for id_, g in sorted(self.groups.items()) if id_ != MAP_GROUP]

    def _open(self, now: float, group_id: int, nodes: Sequence[str], preferred: str) -> None:
        journal = Journal(group_id, self.writes)
        if not journal.load(self._store):
            if self.map.epoch == 1:  # just born, or not heard of it before
                journal.begin(self.map.members(nodes))
            else:
                journal.join()
        machine: AnyMachine
        restore: Restore
        if group_id == MAP_GROUP:
            machine = MapMachine(self._memory.first_map or self.map, self._map_changed)
            restore = machine.restore
        else:
            partition = self.map.partitions[group_id]
            machine = Store(partition.first, partition.last, self._store_limits)
            restore = partial(restore_store, self._store_limits)
        # At index 1 is the state that a group begins with, except for who joined it: the map's log
        # builds on the first map, which that slave has in its snapshot only.
        joined = group_id == MAP_GROUP and self._memory.first_map is None
        if journal.meta.snapshot_index > (0 if joined else 1):
            index = journal.meta.snapshot_index
            chunks = self._read_snapshot(group_id, index)
            machine = read_back(f"snapshot {index} of group {group_id}", chunks, restore, machine)
            if isinstance(machine, MapMachine):
                self._map_changed(machine.map)
        group = self.groups[group_id] = Group(
            now,
            group_id,
            member(self.id, self.incarnation),
            journal,
            machine,
            restore,
            self._options,
            random.Random(self._generator.random()),
            send=self._send,
            write_snapshot=self._snapshots.append,
            hand_back=self._hand_back,
            on_state=self._group_changed,
        )
        self._preferred[group_id] = preferred
        for peer, incarnation in self.links.items():
            group.link_up(now, member(peer, incarnation))
        if preferred == self.id:
            group.engine.stand_at_once(now)
        self._dirty.add(group_id)

    # -- what comes in -----------------------------------------------------------------------

    def tick(self, now: float) -> bool:
        """Time passed: call it every few milliseconds, at least twice a heartbeat.  True when there
        is something to flush."""
        self._dirty.update(id_ for id_, group in self.groups.items() if group.is_due(now))
        self._watch_links(now)
        if self._birth is None and self.map is not self._memory.map:
            self._adopt(now, self.map)
        for group_id, group in self.groups.items():
            if group.engine.is_leader:
                members = self._members_of(group_id)
                must_go = group.engine.reconcile(now, self.map.epoch, members)
                if must_go and not group.is_busy:  # whoever leads then removes us
                    group.engine.transfer_leadership(now, members)
        return self.has_work or now >= self._gossip_at

    def link_up(self, now: float, peer: str, incarnation: str) -> None:
        self.links[peer] = incarnation
        self._link_changed_at[peer] = now
        self._messages.pop(peer, None)
        for group in self.groups.values():
            group.link_up(now, member(peer, incarnation))
        self._gossip_at = now
        if self._birth is not None:
            self._birth.met(peer, incarnation)

    def link_down(self, now: float, peer: str) -> None:
        name = member(peer, self.links.pop(peer))
        if self._birth is not None:
            self._birth.lost(peer)
            self._gossip_at = now
        self._gossip.lost(peer)
        self._link_changed_at[peer] = now
        self._messages.pop(peer, None)
        for group in self.groups.values():
            alive = [node for node in map(node_of, group.engine.members) if self.is_alive(node)]
            alive.sort(key=lambda node: (node != self._preferred[group.id], node))
            rank = alive.index(self.id) if self.id in alive else len(alive)
            delay_s = RANK_DELAY_S * (rank + self._generator.random() / 2)
            group.link_down(now, name, delay_s)
        self._dirty.update(self.groups)

    def receive(self, now: float, peer: str, messages: Sequence[object]) -> None:
        """Raft messages from a peer.  Raises ``PeerError``: the link must be closed then."""
        groups, dirty, name = self.groups, self._dirty, member(peer, self.links[peer])
        for message in messages:
            message = m.check(message)
            group = groups.get(message[0])
            if group is not None:
                group.receive(now, name, message)
                dirty.add(message[0])

    def receive_gossip(self, now: float, peer: str, gossip: dict) -> None:
        """What a peer leads, and its map if ours was older.  Raises ``PeerError``."""
        news = News.from_plain(gossip)
        self._gossip.heard(peer, news)
        if news.map is not None and news.map.epoch > self.map.epoch:
            self._adopt(now, news.map)
        if self._birth is not None:
            self._birth.told(peer, news.sees)
            self._try_birth(now)
        elif self._durable_map is not None and news.epoch < self._durable_map.epoch:
            self._gossip_at = 0.0

    def submit(self, request: Request, partition: int) -> None:
        """A client's command for a partition."""
        group = self.groups.get(partition)
        if group is not None and group.engine.is_leader:
            group.submit(request)
            self._dirty.add(partition)
        else:
            request.resolve(self.redirect(partition, request.slot))

    def durable(self, now: float, sequence: int) -> None:
        """The write set handed out last is on disk."""
        self._journal_busy = False
        self.writes.durable_sequence = sequence
        for group_id, group in self.groups.items():
            journal = group.journal
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

    def snapshot_written(self, now: float, written: SnapshotWrite) -> None:
        group = self.groups[written.group]
        group.snapshot_written(now, written.index, written.term)
        if isinstance(group.machine, MapMachine) and group.machine.map.epoch > self.map.epoch:
            self._map_changed(group.machine.map)
        if group.journal.meta.snapshot_index == written.index:
            named = group.journal.last_sequence, written.group, written.index
            self._named.append(named)
        self._dirty.add(written.group)

    def hand_over(self, now: float) -> bool:
        """Give leadership away; True when nothing is led any more, or nobody could take it."""
        if not self.is_leaving:
            self.is_leaving = True
            self._gossip_at = now
        done = True
        for group_id, group in self.groups.items():
            staying = [
                name
                for name in group.engine.voters
                if (node := node_of(name)) in self.links and node not in self._gossip.leaving
            ]
            if group.engine.is_leader and staying:
                done = False
                if not group.is_busy:
                    group.engine.transfer_leadership(now, staying)
                self._dirty.add(group_id)
        return done

    # -- what comes out ----------------------------------------------------------------------

    @property
    def has_work(self) -> bool:
        """A flush would do something, gossip apart, which ``tick`` sees to."""
        pending = self._dirty or self._messages or self._snapshots or self._obsolete
        return bool(pending or (self.writes.operations and not self._journal_busy))

    def flush(self, now: float, wall_ms: int) -> Output:
        dirty, self._dirty = self._dirty, set()
        for group_id in sorted(dirty):
            group = self.groups[group_id]
            group.tick(now)
            if not self.is_leaving:
                group.pump(now, wall_ms)
                if group.is_waiting:  # its reads were answered at once, and there are more
                    self._dirty.add(group_id)
        output = Output()
        if not self._journal_busy:
            output.journal = self.writes.take()
            self._journal_busy = output.journal is not None
        if now >= self._gossip_at:
            self._gossip_at = now + GOSSIP_INTERVAL_S
            output.gossip = {peer: self._gossip_for(peer) for peer in sorted(self.links)}
        output.messages, self._messages = self._messages, {}
        output.obsolete, self._obsolete = self._obsolete, []
        if self._snapshots:
            output.snapshots = list(self._snapshots)
            self._snapshots.clear()
        return output

    def _gossip_for(self, peer: str) -> dict:
        leads = {
            group_id: group.engine.term
            for group_id, group in self.groups.items()
            if group_id != MAP_GROUP and group.engine.is_leader
        }
        sees = {} if self._birth is None else self._birth.seen
        durable = self._durable_map
        epoch = 0 if durable is None else durable.epoch
        newer = durable if self._gossip.is_behind(peer, epoch) else None
        return News(epoch, leads, self.is_leaving, sees, newer).to_plain()

    def _send(self, name: str, message: m.Message, gate: int) -> None:
        """Send to a member: to that incarnation of the slave and no other."""
        if gate:
            self._gated.setdefault(gate, []).append((name, message))
            return
        peer, _, incarnation = name.partition("/")
        if self.links.get(peer) == incarnation:
            self._messages.setdefault(peer, []).append(message)

    # -- who leads what ----------------------------------------------------------------------

    def leader_of(self, partition: int) -> str | None:
        """The slave that leads a partition, if it is known and (as far as we see) alive."""
        group = self.groups.get(partition)
        if group is not None and group.engine.leader is not None:
            return node_of(group.engine.leader)
        if group is not None and group.engine.is_member:
            return None
        return self._gossip.leader_of(partition)

    def term_of(self, partition: int) -> int:
        group = self.groups.get(partition)
        return self._gossip.term_of(partition) if group is None else group.engine.term

    def members_of(self, partition: int) -> list[str] | None:
        """Who votes in a partition's group, by slave and incarnation; None if it is not held."""
        group = self.groups.get(partition)
        return None if group is None else list(group.engine.members)

    def not_yet_in(self) -> list[int]:
        """The groups that this slave should be in and does not count in, as far as it knows: it
        was started with an empty directory and is still being taken in."""
        rows = [(p.id, p.group) for p in self.map.partitions]
        rows.append((MAP_GROUP, self.map.map_group))
        return [id_ for id_, nodes in rows if self.id in nodes and not self._counts_in(id_)]

    def _counts_in(self, group_id: int) -> bool:
        group = self.groups.get(group_id)
        if group is None:
            return False
        committed = group.journal.configuration_at(group.engine.commit_index)
        return member(self.id, self.incarnation) in committed.members

    def leads(self, partition: int) -> bool:
        group = self.groups.get(partition)
        return group is not None and group.engine.is_leader

    @property
    def led_stores(self) -> list[Store]:
        """What this slave answers for, as far as it knows."""
        machines = [group.machine for group in self.data_groups if group.engine.is_leader]
        return [machine for machine in machines if isinstance(machine, Store)]

    def leaderless(self) -> list[int]:
        """The partitions that should be held here and are not, or that nobody leads, as far as
        this slave knows."""
        mine = [p.id for p in self.map.partitions if self.id in p.group]
        return [id_ for id_ in mine if id_ not in self.groups or self.leader_of(id_) is None]

    def copy_of(self, partition: int) -> Store | None:
        """The copy that is held here; None while it is still empty, on its way from the leader."""
        group = self.groups.get(partition)
        if group is None or not group.engine.applied_index:
            return None
        return group.machine if isinstance(group.machine, Store) else None

    def is_alive(self, node: str) -> bool:
        return node == self.id or node in self.links

    def redirect(self, partition: int, slot: int) -> ErrorReply:
        """Where to go instead: a reply after which a client may safely try again."""
        if self._birth is not None:
            who = ", ".join(self._birth.missing) or "all to agree"
            return error(
                "CLUSTERDOWN", f"this slave is empty and has not met all: waiting for {who}"
            )
        leader = self.leader_of(partition)
        if leader is None or leader == self.id:
            return error("CLUSTERDOWN", f"partition {partition} has no leader")
        if slot < 0:
            slot = self.map.partitions[partition].first
        return error("MOVED", f"{slot} {self.map.nodes[leader].client}")

    def _hand_back(self, group: Group, requests: Sequence[Request]) -> None:
        for request in requests:
            if group.id == MAP_GROUP:  # asked for by the controller; it asks again
                request.resolve(error("CLUSTERDOWN", "the cluster map has no leader"))
            else:
                request.resolve(self.redirect(group.id, request.slot))

    def _group_changed(self, group: Group) -> None:
        self._gossip_at = 0.0
        self._dirty.add(group.id)

    # -- the cluster map ---------------------------------------------------------------------

    def _members_of(self, group_id: int) -> tuple[str, ...]:
        """The members that a group should have."""
        in_map_group = group_id == MAP_GROUP
        nodes = self.map.map_group if in_map_group else self.map.partitions[group_id].group
        return self.map.members(nodes)

    def _map_changed(self, cluster_map: ClusterMap) -> None:
        """The map's own group has applied a change; it is adopted with the next tick."""
        if cluster_map.epoch > self.map.epoch:
            self.map = cluster_map
            self._gossip_at = 0.0

    def _watch_links(self, now: float) -> None:
        """The controller's eyes, beside the map's leader: a slave whose link has been broken for
        ``dead_after_s`` is down, one whose link is back is up."""
        group = self.groups.get(MAP_GROUP)
        if group is None or not group.engine.is_ready or not group.is_idle:
            return
        if not isinstance(group.machine, MapMachine):
            return
        links = {**self.links, self.id: self.incarnation}
        for node in group.machine.map.nodes.values():
            incarnation = links.get(node.id, node.incarnation)
            if incarnation != node.incarnation:
                change = _MapRequest(b"INCARNATE", node.id.encode(), incarnation.encode())
                group.submit(change)
                self._dirty.add(MAP_GROUP)
            if node.id == self.id or node.id in self.links:
                seen = "up"
            elif now - self._link_changed_at[node.id] >= self.config.raft.dead_after_s:
                seen = "down"
            else:
                continue
            if node.status != seen:
                group.submit(_MapRequest(b"SET_STATUS", node.id.encode(), seen.encode()))
                self._dirty.add(MAP_GROUP)
