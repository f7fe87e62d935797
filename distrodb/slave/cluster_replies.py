"""Who leads what, as Redis Cluster clients and the shell ask for it.  Pure: view in, values out.

A slave that is not reachable from here leaves these answers at once, also as the leader of a
partition whose election still runs: a client that goes to a dead address gives up within
milliseconds, one that gets CLUSTERDOWN from a live one waits and asks again.  All 16384 slots are
always listed, since clients refuse a map with holes: a partition without a leader is listed at a
live member of its group, which answers CLUSTERDOWN.

Addresses are those that slaves announce.  A host name is the endpoint that clients are told, as
with ``cluster-preferred-endpoint-type hostname`` in Redis; no slave knows the IP address behind it,
so where Redis writes that one there is the name too.

What is large is made once and given to everybody who asks, until something in it may have changed
(``View.version``): all clients of a slave ask again at the same moment.
"""

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

from distrodb.config.address import Address, parse
from distrodb.resp.reply import ErrorReply, Reply, Verbatim, error
from distrodb.ring.clustermap import Partition
from distrodb.slave.view import View

Answer = TypeVar("Answer")


def wire_id(node: str) -> str:
    """A slave's id in Redis' form: 40 hexadecimal digits."""
    return hashlib.sha1(node.encode(), usedforsecurity=False).hexdigest()


class Once:
    """Answers that are made once for each version of what they are made of."""

    def __init__(self, view: View):
        self._view = view
        self._made: dict[str, tuple[object, Any]] = {}  # name: the view's version, the answer

    def __call__(self, make: Callable[[], Answer]) -> Answer:
        version, made = self._view.version, self._made.get(make.__name__)
        if made is None or made[0] != version:
            made = self._made[make.__name__] = version, make()
        answer: Answer = made[1]
        return answer


class Topology:
    def __init__(self, view: View):
        self._view = view
        self._once = Once(view)

    def address(self, node: str) -> Address:
        """Where clients find it, as it announces."""
        view = self._view
        row = view.map.nodes.get(node)
        if row is None:  # ourselves, when the cluster has just gone on without us
            return next(n.client for n in view.config.nodes if n.id == node)
        return parse(row.client)

    # -- what Redis Cluster clients ask ------------------------------------------------------

    def serving(self) -> list[tuple[Partition, str, list[str]]]:
        """For each partition the slave to ask, and the live ones that have a copy and lead nothing.

        A slave that leads a partition and has a copy of another one is listed as a leader only: to
        Redis Cluster clients a node is a master or a replica.  Of one that is listed as both,
        redis-py, node-redis and valkey-glide keep one role, so FLUSHALL, DBSIZE or SCAN on all
        masters passes over it; ioredis is redirected for ever (docs/redis.md has what was tried).
        """
        return self._once(self._serving)

    def _serving(self) -> list[tuple[Partition, str, list[str]]]:
        view = self._view
        is_alive, leaders = view.peers.is_alive, []
        for partition in view.map.partitions:
            leader = view.routing.leader_of(partition.id)
            if leader is None or not is_alive(leader):
                alive = [node for node in partition.group if is_alive(node)]
                leader = alive[0] if alive else view.id
            leaders.append(leader)
        masters = set(leaders)

        def may_be_asked(node: str, partition: Partition) -> bool:
            if node == view.id and view.copy_of(partition.id) is None:
                return False  # still empty
            return is_alive(node) and node not in masters

        return [
            (partition, leader, [node for node in partition.group if may_be_asked(node, partition)])
            for partition, leader in zip(view.map.partitions, leaders, strict=True)
        ]

    def slots(self) -> Reply:
        """CLUSTER SLOTS (https://redis.io/docs/latest/commands/cluster-slots/)."""
        return self._once(self._slots)

    def _slots(self) -> Reply:
        def entry(node: str) -> Reply:
            at = self.address(node)
            return [at.host.encode(), at.port, wire_id(node).encode(), []]

        rows: list[Reply] = []
        for partition, leader, replicas in self.serving():
            rows.append([partition.first, partition.last, *map(entry, [leader, *replicas])])
        return rows

    def shards(self) -> Reply:
        """CLUSTER SHARDS: one shard a leader, with all that it leads, since clients know a shard by
        its master; a slave is in one shard only, as in CLUSTER NODES."""
        return self._once(self._shards)

    def _shards(self) -> Reply:
        has_tls = self._view.config.tls.clients != "off"

        def entry(node: str, role: bytes) -> Reply:
            at = self.address(node)
            host = at.host.encode()
            return {
                b"id": wire_id(node).encode(),
                b"tls-port" if has_tls else b"port": at.port,
                b"ip": host,
                b"endpoint": host,
                **({b"hostname": host} if at.is_named else {}),
                b"role": role,
                b"replication-offset": 0,
                b"health": b"online",
            }

        masters = self._once(self._masters)
        rows: list[Reply] = []
        for leader, ranges in self._once(self._led).items():
            nodes: list[Reply] = [entry(leader, b"master")]
            nodes += [entry(node, b"replica") for node, of in masters.items() if of == leader]
            rows.append({b"slots": [slot for pair in ranges for slot in pair], b"nodes": nodes})
        return rows

    def _led(self) -> dict[str, list[tuple[int, int]]]:
        """Ranges of slots, by the slave to ask; those that touch are one."""
        led: dict[str, list[tuple[int, int]]] = {}
        for partition, leader, _ in self.serving():
            ranges, first = led.setdefault(leader, []), partition.first
            if ranges and ranges[-1][1] == first - 1:
                first = ranges.pop()[0]
            ranges.append((first, partition.last))
        return led

    def nodes(self) -> Verbatim:
        """CLUSTER NODES.  A slave that leads is shown as a master with the slots it leads, another
        one as a replica of a leader that it has a copy of."""
        return self._once(self._nodes)

    def _nodes(self) -> Verbatim:
        return Verbatim("".join(line + "\n" for line in self._once(self._lines).values()).encode())

    def _masters(self) -> dict[str, str]:
        """The live slaves that are replicas to clients, and whose."""
        follows: dict[str, str] = {}
        for _, leader, replicas in self.serving():
            for node in replicas:
                follows.setdefault(node, leader)
        return follows

    def _lines(self) -> dict[str, str]:
        view, follows = self._view, self._once(self._masters)
        led = self._once(self._led)
        terms: dict[str, int] = {}  # the newest that it leads in
        for partition, leader, _ in self.serving():
            terms[leader] = max(terms.get(leader, 0), view.routing.term_of(partition.id))
        lines = {}
        for node in view.map.nodes:  # also those that are not in the ring at the moment
            at = self.address(node)
            bus = parse(view.map.nodes[node].peer).port
            flags = "myself," if node == view.id else ""
            link = "connected" if view.peers.is_alive(node) else "disconnected"
            ranges = " ".join(
                str(first) if first == last else f"{first}-{last}"
                for first, last in led.get(node, [])
            )
            if not view.peers.is_alive(node):
                flags, master = flags + "master,fail", "-"
            elif node in follows:
                flags, master = flags + "slave", wire_id(follows[node])
            else:
                flags, master = flags + "master", "-"
            epoch = terms.get(node, view.map.epoch)
            hostname = f",{at.host}" if at.is_named else ""
            name = f"{wire_id(node)} {at.on_the_wire}@{bus}{hostname}"
            lines[node] = f"{name} {flags} {master} 0 0 {epoch} {link} {ranges}".rstrip()
        return lines

    def node_of(self, wire: bytes) -> str | None:
        """The slave with that id in Redis' form."""
        return next((n for n in self._view.map.nodes if wire_id(n).encode() == wire), None)

    def replicas_of(self, node: str) -> Reply:
        """CLUSTER REPLICAS; None if the slave is a replica itself."""
        lines, masters = self._once(self._lines), self._once(self._masters)
        if node in masters:
            return None
        return [lines[replica].encode() for replica, of in masters.items() if of == node]

    def my_id(self) -> bytes:
        return wire_id(self._view.id).encode()

    def my_shard_id(self) -> bytes:
        """CLUSTER MYSHARDID: the same for a master and its replicas, as CLUSTER NODES has them."""
        me = self._view.id
        return wire_id(f"shard of {self._once(self._masters).get(me, me)}").encode()

    def links(self) -> Reply:
        """CLUSTER LINKS: one a pair of slaves, dialled by the one whose row is the later one.  What
        waits to be sent on it is not known here, and told as nothing."""
        view = self._view
        order = list(view.map.nodes)
        rows: list[Reply] = []
        for peer in view.peers.links:
            if peer in view.map.nodes and view.id in view.map.nodes:
                is_ours = order.index(view.id) > order.index(peer)
                rows.append(
                    {
                        b"direction": b"to" if is_ours else b"from",
                        b"node": wire_id(peer).encode(),
                        b"create-time": view.peers.linked_ms.get(peer, 0),
                        b"events": b"r",
                        b"send-buffer-allocated": 0,
                        b"send-buffer-used": 0,
                    }
                )
        return rows

    def failure_reports(self, node: str) -> int:
        """CLUSTER COUNT-FAILURE-REPORTS: how many of the others that we hear do not hear it."""
        peers = self._view.peers
        return sum(node not in peers.detector.hears(peer) for peer in peers.links if peer != node)

    def no_failover(self) -> ErrorReply:
        """CLUSTER FAILOVER: why it begins nothing.  Owners lead: a lead that another slave takes
        goes home, and one that is elsewhere comes back when that serves the partition."""
        view = self._view
        owned = [p for p in view.map.partitions if p.owner == view.id]
        away = [partition.id for partition in owned if not view.routing.leads(partition.id)]
        if away:
            return error(
                "ERR",
                f"CLUSTER FAILOVER begins nothing: the lead of partition {away[0]} comes back to"
                f" {view.id}, its owner, by itself",
            )
        if owned or not view.partitions:
            return error("ERR", "You should send CLUSTER FAILOVER to a replica")
        held = view.partitions[0].id
        return error(
            "ERR",
            "a partition is led by its owner, and this slave owns none;"
            f" DISTRODB MOVE {held} {view.id} makes it the owner of one",
        )

    def info(self) -> Verbatim:
        """CLUSTER INFO."""
        return self._once(self._info)

    def _info(self) -> Verbatim:
        view = self._view
        leaders = [(p, view.routing.leader_of(p.id)) for p in view.map.partitions]
        covered = sum(
            p.last - p.first + 1
            for p, leader in leaders
            if leader is not None and view.peers.is_alive(leader)
        )
        fields = {
            "cluster_state": "ok" if covered == 16384 else "fail",
            "cluster_slots_assigned": 16384,
            "cluster_slots_ok": covered,
            "cluster_slots_pfail": 0,
            "cluster_slots_fail": 16384 - covered,
            "cluster_known_nodes": len(view.map.nodes),
            "cluster_size": len({leader for _, leader in leaders} - {None}),
            "cluster_current_epoch": view.map.epoch,
            "cluster_my_epoch": view.map.epoch,
        }
        text = "".join(f"{name}:{value}\r\n" for name, value in fields.items())
        return Verbatim(text.encode())
