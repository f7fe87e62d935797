"""A slave as one looks at it: what is open here, who leads what, what moves.  It changes nothing.

STATUS, INFO, CLUSTER and the controller read from it (status_reply.py, service.py,
cluster_replies.py, controller.py).
``version`` tells whether an answer that was made before may still be given.
"""

from collections.abc import Mapping, Sequence

from distrodb.config import SlaveConfig
from distrodb.keyspace.store import Store
from distrodb.raft.group import Group
from distrodb.ring.clustermap import ClusterMap, member
from distrodb.ring.levels import LEVEL
from distrodb.ring.plan import Plan
from distrodb.slave.condition import Condition
from distrodb.slave.controller import Controller, Situation
from distrodb.slave.disk_speed import DiskSpeed
from distrodb.slave.gossip import Copy
from distrodb.slave.gossip_sender import GossipSender
from distrodb.slave.group_ids import MAP_GROUP, all_groups, nodes_of
from distrodb.slave.links.place import Place
from distrodb.slave.recent import Load
from distrodb.slave.routing import Routing


class View:
    def __init__(
        self,
        config: SlaveConfig,
        routing: Routing,
        gossip: GossipSender,
        controller: Controller,
        disk: DiskSpeed,
    ):
        self.config, self.routing = config, routing
        self.maps, self._groups, self.peers = routing.maps, routing.groups, routing.peers
        self._gossip, self._controller, self._disk = gossip, controller, disk

    @property
    def id(self) -> str:
        return self.maps.me

    @property
    def map(self) -> ClusterMap:
        return self.maps.map

    @property
    def replicas(self) -> int:
        """Copies that each partition should have."""
        return self.map.replicas or self.config.replicas

    @property
    def version(self) -> object:
        """Another one when who leads or holds what may have changed; copies on their way do not
        count, nor does what is led elsewhere and was not gossiped yet."""
        return self.routing.version, self.peers.reports.version

    # -- groups ----------------------------------------------------------------------------------

    @property
    def partitions(self) -> Sequence[Group]:
        """The groups of partitions that are open here."""
        return self._groups.partitions

    @property
    def led_stores(self) -> list[Store]:
        """What this slave answers for, as far as it knows."""
        machines = [group.machine for group in self.partitions if group.member.is_leader]
        return [machine for machine in machines if isinstance(machine, Store)]

    @property
    def data_bytes(self) -> int:
        """Of memory, that what partitions hold here takes, about."""
        machines = [group.machine for group in self.partitions]
        return sum(machine.used_bytes for machine in machines if isinstance(machine, Store))

    @property
    def expired_keys(self) -> int:
        """That were removed from what is held here, led or as copies."""
        machines = [group.machine for group in self.partitions]
        return sum(machine.expired_count for machine in machines if isinstance(machine, Store))

    def members_of(self, group_id: int) -> list[str] | None:
        """Who votes in a group, by slave and incarnation, as far as is known here."""
        group = self._groups.all.get(group_id)
        if group is not None and group.member.members:  # else it is still empty
            return list(group.member.members)
        report = self.peers.reports.of(group_id)
        return None if report is None else list(report.configuration.members)

    def not_yet_in(self) -> list[int]:
        """The groups that this slave should be in and does not count in, as far as it knows: it
        was started with an empty directory, or the map has only just given them to it."""
        mine = [id_ for id_ in all_groups(self.map) if self.id in nodes_of(self.map, id_)]
        return [id_ for id_ in mine if not self._counts_in(id_)]

    def _counts_in(self, group_id: int) -> bool:
        group = self._groups.all.get(group_id)
        if group is None:
            return False
        committed = group.log.configuration_at(group.member.commit_index)
        return member(self.id, self.maps.incarnation) in committed.members

    def copy_of(self, partition: int) -> Store | None:
        """The copy that is here; None while it is still empty, on its way from the leader."""
        group = self._groups.all.get(partition)
        if group is None or not group.member.applied_index:
            return None
        return group.machine if isinstance(group.machine, Store) else None

    # -- healing ---------------------------------------------------------------------------------

    def healing(self) -> Plan | None:
        """What is under way and what waits; None before the cluster is born."""
        if self.map.epoch == 0:
            return None
        return self._controller.plan(self.situation(self.map))

    def situation(self, cluster_map: ClusterMap) -> Situation:
        """What the controller judges by."""
        book = self.peers.gossip
        return Situation(
            cluster_map,
            self._map_voters(),
            book.joiners,
            frozenset(book.empty),
            self._levels(),
            self._moved(cluster_map),
        )

    def _moved(self, cluster_map: ClusterMap) -> Mapping[str, Place]:
        me, row = self.config.me, cluster_map.nodes.get(self.id)
        place = str(me.client), str(me.peer)
        ours = {} if row is None or (row.client, row.peer) == place else {self.id: place}
        return {**self.peers.moved(cluster_map), **ours}

    def _levels(self) -> Mapping[str, int]:
        return {**self.peers.gossip.levels, self.id: LEVEL}

    def level_of(self, node: str) -> int | None:
        """Up to which it knows features; None if that is not known."""
        return self._levels().get(node)

    def _map_voters(self) -> Sequence[str]:
        group = self._groups.all.get(MAP_GROUP)
        if group is not None and group.member.is_member:
            return group.log.configuration_at(group.member.commit_index).members
        report = self.peers.reports.of(MAP_GROUP)
        return () if report is None else report.configuration.members

    def copies(self) -> list[Copy]:
        """The snapshots that are on their way, here and, as far as is known, elsewhere."""
        return [*self._gossip.own_copies(), *self.peers.gossip.copies]

    # -- disks -----------------------------------------------------------------------------------

    def sync_ms(self, node: str) -> int | None:
        """What a sync of a slave's disk has taken at most of late; None if that is not known."""
        if node == self.id:
            return int(1000 * self._disk.worst_s())
        return self.peers.gossip.sync_ms(node)

    def gateway_of(self, node: str) -> str | None:
        """Its address; None if it has none, or was never heard."""
        if node == self.id:
            return None if self.config.me.gateway is None else str(self.config.me.gateway)
        return self.peers.gossip.gateway(node)

    def http_of(self, node: str) -> str | None:
        """The same of its HTTP port, as a URL without a path."""
        if node == self.id:
            return self.config.http_url
        return self.peers.gossip.http(node)

    def load_of(self, node: str) -> Load | None:
        """What it has done of late; None if that is not known."""
        return self._gossip.load if node == self.id else self.peers.gossip.load(node)

    def condition_of(self, node: str) -> Condition | None:
        """What it tells of itself; None if that is not known."""
        return self._gossip.condition if node == self.id else self.peers.gossip.condition(node)

    def has_slow_disk(self, node: str) -> bool:
        """So slow that it hands on what it leads."""
        return self._disk.is_slow if node == self.id else node in self.peers.gossip.slow
