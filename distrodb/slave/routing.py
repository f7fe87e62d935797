"""Where a command belongs: slot to partition, partition to leader, and what is answered when the
leader is another slave, or nobody.

Who leads is known from the group itself where it is open here, else from gossip.
"""

from distrodb.config.address import parse
from distrodb.keyspace.place_number import slot_at
from distrodb.resp.reply import ErrorReply, error
from distrodb.ring.clustermap import node_of
from distrodb.slave.open_groups import OpenGroups
from distrodb.slave.peers import Peers


class Routing:
    def __init__(self, groups: OpenGroups, peers: Peers):
        self.maps, self.groups, self.peers = groups.maps, groups, peers
        self._changes = 0
        self.partition_of_slot: list[int] = []
        self._client_at: dict[str, str] = {}  # slave: where clients find it
        self.map_changed()

    def map_changed(self) -> None:
        partitions = self.maps.map.partitions
        self.partition_of_slot = [p.id for p in partitions for _ in range(p.first, p.last + 1)]
        nodes = self.maps.map.nodes.values()
        self._client_at = {node.id: parse(node.client).on_the_wire for node in nodes}

    def group_changed(self) -> None:
        """Some group that is open here may have another leader, term or members."""
        self._changes += 1

    @property
    def version(self) -> object:
        """Another one when an answer of this object may be another one."""
        return self._changes, self.peers.leaders_version, self.maps.map.epoch

    def leader_of(self, group_id: int) -> str | None:
        """The slave that leads a group, if it is known and (as far as we see) alive."""
        group = self.groups.all.get(group_id)
        if group is not None and group.member.leader is not None:
            leader = node_of(group.member.leader)
        elif group is not None and group.member.is_member:
            return None
        else:
            leader = self.peers.gossip.leader_of(group_id) or ""
        if leader == self.maps.me and not self.leads(group_id):
            return None  # it is just losing the lead
        return leader if leader in self.maps.map.nodes else None

    def is_led(self, group_id: int) -> bool:
        return self.leads(group_id) or self.leader_of(group_id) is not None

    def leads(self, group_id: int) -> bool:
        """This slave does."""
        group = self.groups.all.get(group_id)
        return group is not None and group.member.is_leader

    def answers_for(self, place: int) -> bool:
        """This slave leads its partition, and has applied an entry of its own term."""
        group = self.groups.all.get(self.partition_of_slot[slot_at(place)])
        return group is not None and group.member.is_ready

    def term_of(self, group_id: int) -> int:
        group = self.groups.all.get(group_id)
        return self.peers.gossip.term_of(group_id) if group is None else group.member.term

    def leaderless(self) -> list[int]:
        """The partitions that should be open here and are not, or that nobody leads, as far as
        this slave knows."""
        me = self.maps.me
        mine = [p.id for p in self.maps.map.partitions if me in p.group]
        return [id_ for id_ in mine if id_ not in self.groups.all or not self.is_led(id_)]

    def redirect(self, partition: int, slot: int) -> ErrorReply:
        """Where to go instead: a reply after which a client may safely try again."""
        maps = self.maps
        leader = self.leader_of(partition) if maps.birth is None else None
        if leader is None or leader == maps.me:
            return self.no_leader(partition)
        return self._moved(partition, slot, leader)

    def redirect_to_copy(self, partition: int, slot: int) -> ErrorReply:
        """The same for what any member of the group serves."""
        reply, group = self.redirect(partition, slot), self.maps.map.partitions[partition].group
        alive = [node for node in group if node in self.peers.links]
        if reply.code == "MOVED" or not alive or self.maps.birth is not None:
            return reply
        return self._moved(partition, slot, alive[0])

    def _moved(self, partition: int, slot: int, node: str) -> ErrorReply:
        if slot < 0:
            slot = self.maps.map.partitions[partition].first
        return error("MOVED", f"{slot} {self._client_at[node]}")

    def no_leader(self, partition: int) -> ErrorReply:
        maps = self.maps
        if maps.waits_to_join:
            return error("CLUSTERDOWN", "this slave waits to be let into the cluster")
        if maps.waits_for_cluster:
            return error(
                "CLUSTERDOWN", "this slave is empty and waits for one that knows the cluster"
            )
        if maps.waits_for is not None:
            who = ", ".join(maps.waits_for) or "all to agree"
            return error(
                "CLUSTERDOWN", f"this slave is empty and has not met all: waiting for {who}"
            )
        return error("CLUSTERDOWN", f"partition {partition} has no leader")
