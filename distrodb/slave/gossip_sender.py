"""When this slave gossips, and what it says: each second, and soon when there is something new.

What always holds:

- two gossips to one peer are at least ``GOSSIP_LEAST_S`` apart, however often something changes;
- all peers that are told at a time are told the same; only the map is added for those that have
  said that theirs is older, and only one that is on this slave's disk (map_keeper.py).
"""

import math
from typing import Any

from distrodb.config import SlaveConfig
from distrodb.raft.log import Configuration
from distrodb.ring.clustermap import ClusterMap, node_of
from distrodb.slave.clocks import Clocks
from distrodb.slave.condition import Condition
from distrodb.slave.disk_speed import DiskSpeed
from distrodb.slave.gossip import Copy, Gossip, Joiner
from distrodb.slave.leadership import Leadership
from distrodb.slave.open_groups import OpenGroups
from distrodb.slave.peers import Peers
from distrodb.slave.recent import NOTHING

GOSSIP_INTERVAL_S = 1.0  # between two gossips to a peer, if nothing changes
GOSSIP_LEAST_S = 0.05  # between two, however much changes


class GossipSender:
    def __init__(
        self,
        groups: OpenGroups,
        peers: Peers,
        leadership: Leadership,
        disk: DiskSpeed,
        config: SlaveConfig,
        clocks: Clocks,
    ):
        self._maps, self._groups, self._peers = groups.maps, groups, peers
        self._leadership, self._disk, self._clocks = leadership, disk, clocks
        gateway = config.me.gateway
        self._gateway = "" if gateway is None else str(gateway)
        self._http = config.http_url or ""
        self.load = NOTHING  # of late
        self.condition: Condition | None = None  # of this slave; None: it is not known yet
        self._version = 0  # grows when there is something new
        self._told: dict[str, tuple[float, int]] = {}  # peer: when, and what version
        self.next_due = math.inf  # seconds: when ``take`` is to be called next
        self._map_as_plain: tuple[ClusterMap, dict[str, Any]] | None = None

    # -- when --------------------------------------------------------------------------------------

    def soon(self) -> None:
        """There is something new: all are told."""
        self._version += 1
        self._set_due()

    def links_changed(self) -> None:
        """Who is linked anew is told at once."""
        self._told = {peer: told for peer, told in self._told.items() if peer in self._peers.links}
        self.soon()

    def _set_due(self) -> None:
        self.next_due = min(map(self._due_for, self._peers.links), default=math.inf)

    def _due_for(self, peer: str) -> float:
        told_at, version = self._told.get(peer, (-GOSSIP_INTERVAL_S, None))
        is_new = version != self._version
        return told_at + (GOSSIP_LEAST_S if is_new else GOSSIP_INTERVAL_S)

    def take(self, now: float) -> dict[str, dict[str, Any]]:
        """What leaves now, by peer."""
        due = [peer for peer in sorted(self._peers.links) if self._due_for(peer) <= now]
        if not due:
            return {}
        for peer in due:
            self._told[peer] = now, self._version
        self._set_due()
        self._disk.forget(now)
        body, durable = self._body(now).to_plain(), self._maps.durable
        gossip = dict.fromkeys(due, body)
        for peer in due:
            if durable is not None and self._peers.gossip.is_behind(peer, durable.epoch):
                gossip[peer] = {**body, "map": self._as_plain(durable)}
        return gossip

    def _as_plain(self, cluster_map: ClusterMap) -> dict[str, Any]:
        if self._map_as_plain is None or self._map_as_plain[0] is not cluster_map:
            self._map_as_plain = cluster_map, cluster_map.to_plain()
        return self._map_as_plain[1]

    # -- what --------------------------------------------------------------------------------------

    def _body(self, now: float) -> Gossip:
        maps, groups = self._maps, self._groups.all
        birth = maps.birth
        is_born = birth is None or birth.joins
        return Gossip(
            0 if maps.durable is None else maps.durable.epoch,
            leads={id_: g.member.term for id_, g in groups.items() if g.member.is_leader},
            is_leaving=self._leadership.is_leaving,
            has_groups=bool(groups),
            hears=self._peers.links if birth is None or is_born else birth.says,
            reports=self._reports(),
            copies=tuple(self.own_copies()),
            joiners=self._joiners(),
            moved=self._peers.moved(maps.map),
            is_born=is_born,
            sync_ms=int(1000 * self._disk.worst_s()),
            has_slow_disk=self._disk.is_slow,
            gateway=self._gateway,
            http=self._http,
            load=self.load,
            wall_ms=self._clocks.wall_ms(now),
            condition=self.condition,
        )

    def _reports(self) -> dict[int, Configuration]:
        """Of what is led here, what is committed."""
        led = [group for group in self._groups.all.values() if group.member.is_ready]
        newest = {group.id: group.log.configuration for group in led}
        return {
            group.id: newest[group.id]
            for group in led
            if newest[group.id].index <= group.member.commit_index
        }

    def own_copies(self) -> list[Copy]:
        """The snapshots that are on their way from here."""
        return [
            Copy(group.id, node_of(copying.to), copying.done, copying.total)
            for group in self._groups.all.values()
            for copying in group.copying()
        ]

    def _joiners(self) -> dict[str, Joiner]:
        """Whoever we have met that wants to be let in, ourselves included."""
        peers, maps = self._peers, self._maps
        met = {peer: peers.gossip.joiner(peer) for peer in peers.links}
        joiners = {id_: each for id_, each in met.items() if each and id_ not in maps.map.nodes}
        if maps.waits_to_join:
            me = maps.map.nodes[maps.me]
            joiners[maps.me] = Joiner(maps.incarnation, me.client, me.peer)
        return joiners
