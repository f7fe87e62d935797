"""What a slave says of itself and of the others: who leads what, what is held here, what moves.

A part of ``Core`` (core.py), which holds the state; nothing here changes anything.
"""

from collections.abc import Mapping, Sequence

from distrodb.keyspace.store import Store
from distrodb.raft.log import Configuration
from distrodb.raft.transfer import Budget
from distrodb.resp.reply import ErrorReply, error
from distrodb.ring.clustermap import ClusterMap, member, node_of
from distrodb.ring.plan import Plan
from distrodb.slave.birth import Birth
from distrodb.slave.controller import Controller, View
from distrodb.slave.gossip import Copy, Gossip, Joiner, News
from distrodb.slave.holding import MAP_GROUP, Holding, nodes_of
from distrodb.slave.reports import Reports


class Standing:
    id: str
    incarnation: str
    map: ClusterMap
    links: Mapping[str, str]
    holding: Holding
    controller: Controller
    _birth: Birth | None
    _gossip: Gossip
    _reports: Reports
    _durable_map: ClusterMap | None
    is_leaving: bool
    _budget: Budget

    @property
    def is_removed(self) -> bool:
        """The cluster goes on without this slave, and has forgotten it."""
        return self.map.epoch > 0 and self.id not in self.map.nodes

    @property
    def waits_for(self) -> list[str] | None:
        """The slaves that must be met before the cluster is born; None when it is."""
        return None if self._birth is None else self._birth.missing

    @property
    def waits_to_join(self) -> bool:
        """It has not been let into the cluster yet, and knows nothing of it."""
        return self._birth is not None and self._birth.joins

    def is_alive(self, node: str) -> bool:
        return node == self.id or node in self.links

    # -- leaders ---------------------------------------------------------------------------------

    def leader_of(self, group_id: int) -> str | None:
        """The slave that leads a group, if it is known and (as far as we see) alive."""
        group = self.holding.groups.get(group_id)
        if group is not None and group.member.leader is not None:
            leader = node_of(group.member.leader)
        elif group is not None and group.member.is_member:
            return None
        else:
            leader = self._gossip.leader_of(group_id) or ""
        if leader == self.id and not self.leads(group_id):
            return None  # it is just losing the lead
        return leader if leader in self.map.nodes else None

    def term_of(self, group_id: int) -> int:
        group = self.holding.groups.get(group_id)
        return self._gossip.term_of(group_id) if group is None else group.member.term

    def leads(self, group_id: int) -> bool:
        group = self.holding.groups.get(group_id)
        return group is not None and group.member.is_leader

    @property
    def led_stores(self) -> list[Store]:
        """What this slave answers for, as far as it knows."""
        machines = [group.machine for group in self.holding.data if group.member.is_leader]
        return [machine for machine in machines if isinstance(machine, Store)]

    def leaderless(self) -> list[int]:
        """The partitions that should be held here and are not, or that nobody leads, as far as
        this slave knows."""
        mine = [p.id for p in self.map.partitions if self.id in p.group]
        groups = self.holding.groups
        return [id_ for id_ in mine if id_ not in groups or self.leader_of(id_) is None]

    def redirect(self, partition: int, slot: int) -> ErrorReply:
        """Where to go instead: a reply after which a client may safely try again."""
        if self.waits_to_join:
            return error("CLUSTERDOWN", "this slave waits to be let into the cluster")
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

    # -- members and copies ----------------------------------------------------------------------

    def members_of(self, group_id: int) -> list[str] | None:
        """Who votes in a group, by slave and incarnation, as far as is known here."""
        group = self.holding.groups.get(group_id)
        if group is not None and group.member.members:  # else it is still empty
            return list(group.member.members)
        report = self._reports.of(group_id)
        return None if report is None else list(report.configuration.members)

    def not_yet_in(self) -> list[int]:
        """The groups that this slave should be in and does not count in, as far as it knows: it
        was started with an empty directory, or the map has only just given them to it."""
        rows = [*range(len(self.map.partitions)), MAP_GROUP]
        mine = [id_ for id_ in rows if self.id in nodes_of(self.map, id_)]
        return [id_ for id_ in mine if not self._counts_in(id_)]

    def _counts_in(self, group_id: int) -> bool:
        group = self.holding.groups.get(group_id)
        if group is None:
            return False
        committed = group.log.configuration_at(group.member.commit_index)
        return member(self.id, self.incarnation) in committed.members

    def copy_of(self, partition: int) -> Store | None:
        """The copy that is held here; None while it is still empty, on its way from the leader."""
        group = self.holding.groups.get(partition)
        if group is None or not group.member.applied_index:
            return None
        return group.machine if isinstance(group.machine, Store) else None

    # -- healing ---------------------------------------------------------------------------------

    def healing(self) -> Plan | None:
        """What is under way and what waits; None before the cluster is born."""
        return None if self.map.epoch == 0 else self.controller.plan(self._view(self.map))

    def copies(self) -> list[Copy]:
        """The snapshots that are on their way, here and, as far as is known, elsewhere."""
        return [*self._own_copies(), *self._gossip.copies]

    def _own_copies(self) -> list[Copy]:
        return [
            Copy(group.id, node_of(copying.to), copying.done, copying.total)
            for group in self.holding.groups.values()
            for copying in group.copying()
        ]

    @property
    def copied_bytes(self) -> int:
        """Of snapshots that this slave has sent since it was started."""
        return self._budget.spent

    def _view(self, cluster_map: ClusterMap) -> View:
        empty = frozenset(self._gossip.empty)
        return View(cluster_map, self._map_voters(), self._gossip.joiners, empty)

    def _map_voters(self) -> Sequence[str]:
        group = self.holding.groups.get(MAP_GROUP)
        if group is not None and group.member.is_member:
            return group.log.configuration_at(group.member.commit_index).members
        report = self._reports.of(MAP_GROUP)
        return () if report is None else report.configuration.members

    # -- gossip ----------------------------------------------------------------------------------

    def news_for(self, peer: str) -> News:
        """What a peer is told each second."""
        durable = self._durable_map
        epoch = 0 if durable is None else durable.epoch
        is_born = self._birth is None or self._birth.joins
        return News(
            epoch,
            leads={
                id_: g.member.term for id_, g in self.holding.groups.items() if g.member.is_leader
            },
            is_leaving=self.is_leaving,
            is_holding=bool(self.holding.groups),
            hears=self.links if self._birth is None or is_born else self._birth.seen,
            reports=self._own_reports(),
            copies=tuple(self._own_copies()),
            joiners=self._joiners(),
            is_born=is_born,
            map=durable if self._gossip.is_behind(peer, epoch) else None,
        )

    def _own_reports(self) -> dict[int, Configuration]:
        """Of what is led here, what is committed."""
        led = [group for group in self.holding.groups.values() if group.member.is_ready]
        newest = {group.id: group.log.configuration for group in led}
        return {
            group.id: newest[group.id]
            for group in led
            if newest[group.id].index <= group.member.commit_index
        }

    def _joiners(self) -> dict[str, Joiner]:
        """Whoever we have met that wants to be let in, ourselves included."""
        met = {peer: self._gossip.joiner(peer) for peer in self.links}
        joiners = {id_: each for id_, each in met.items() if each and id_ not in self.map.nodes}
        if self._birth is not None and self._birth.joins:
            me = self.map.nodes[self.id]
            joiners[self.id] = Joiner(self.incarnation, me.client, me.peer)
        return joiners
