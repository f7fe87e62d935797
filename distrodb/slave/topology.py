"""Who leads what, as Redis Cluster clients and the shell ask for it.  Pure: core in, values out.

A slave that is not reachable from here leaves these answers at once, also as the leader of a
partition whose election still runs: a client that goes to a dead address gives up within
milliseconds, one that gets CLUSTERDOWN from a live one waits and asks again.  All 16384 slots are
always listed, since clients refuse a map with holes: a partition without a leader is listed at a
live member of its group, which answers CLUSTERDOWN.
"""

import hashlib

from distrodb.config.address import parse
from distrodb.resp.reply import Reply
from distrodb.ring.clustermap import Partition, node_of
from distrodb.slave.core import Core
from distrodb.slave.holding import MAP_GROUP, nodes_of


def wire_id(node: str) -> str:
    """A slave's id in Redis' form: 40 hexadecimal digits."""
    return hashlib.sha1(node.encode(), usedforsecurity=False).hexdigest()


def address(core: Core, node: str) -> tuple[str, int]:
    row = core.map.nodes.get(node)
    if row is None:  # ourselves, when the cluster has just gone on without us
        return next((n.client.host, n.client.port) for n in core.config.nodes if n.id == node)
    client = parse(row.client)
    return client.host, client.port


def serving(core: Core) -> list[tuple[Partition, str, list[str]]]:
    """For each partition the slave to ask, and the live ones that hold a copy and lead nothing.

    A slave that leads a partition and holds a copy of another one is listed as a leader only: to
    Redis Cluster clients a node is a master or a replica (redis-py forgets the first role of one
    that is listed in both).
    """
    leaders = []
    for partition in core.map.partitions:
        leader = core.leader_of(partition.id)
        if leader is None or not core.is_alive(leader):
            alive = [node for node in partition.group if core.is_alive(node)]
            leader = alive[0] if alive else core.id
        leaders.append(leader)
    masters = set(leaders)

    def may_be_asked(node: str, partition: Partition) -> bool:
        if node == core.id and core.copy_of(partition.id) is None:
            return False  # still empty
        return core.is_alive(node) and node not in masters

    return [
        (partition, leader, [node for node in partition.group if may_be_asked(node, partition)])
        for partition, leader in zip(core.map.partitions, leaders, strict=True)
    ]


def slots(core: Core) -> Reply:
    """CLUSTER SLOTS (https://redis.io/docs/latest/commands/cluster-slots/)."""

    def entry(node: str) -> Reply:
        host, port = address(core, node)
        return [host.encode(), port, wire_id(node).encode(), []]

    rows: list[Reply] = []
    for partition, leader, replicas in serving(core):
        rows.append([partition.first, partition.last, *map(entry, [leader, *replicas])])
    return rows


def shards(core: Core) -> Reply:
    """CLUSTER SHARDS: one shard a partition."""

    def entry(node: str, role: bytes) -> Reply:
        host, port = address(core, node)
        return {
            b"id": wire_id(node).encode(),
            b"port": port,
            b"ip": host.encode(),
            b"endpoint": host.encode(),
            b"role": role,
            b"replication-offset": 0,
            b"health": b"online",
        }

    rows: list[Reply] = []
    for partition, leader, replicas in serving(core):
        nodes: list[Reply] = [
            entry(leader, b"master"),
            *(entry(node, b"replica") for node in replicas),
        ]
        rows.append({b"slots": [partition.first, partition.last], b"nodes": nodes})
    return rows


def nodes(core: Core) -> bytes:
    """CLUSTER NODES.  A slave that leads is shown as a master with the slots it leads, another one
    as a replica of a leader that it holds a copy of."""
    led: dict[str, list[Partition]] = {}
    follows: dict[str, str] = {}
    for partition, leader, replicas in serving(core):
        led.setdefault(leader, []).append(partition)
        for node in replicas:
            follows.setdefault(node, leader)
    lines = []
    for node in core.map.nodes:  # also those that are not in the ring at the moment
        host, port = address(core, node)
        bus = parse(core.map.nodes[node].peer).port
        flags = "myself," if node == core.id else ""
        link = "connected" if core.is_alive(node) else "disconnected"
        ranges = " ".join(
            str(p.first) if p.first == p.last else f"{p.first}-{p.last}" for p in led.get(node, [])
        )
        if not core.is_alive(node):
            flags, master = flags + "master,fail", "-"
        elif node in led or node not in follows:
            flags, master = flags + "master", "-"
        else:
            flags, master = flags + "slave", wire_id(follows[node])
        epoch = max((core.term_of(p.id) for p in led.get(node, [])), default=core.map.epoch)
        line = f"{wire_id(node)} {host}:{port}@{bus} {flags} {master} 0 0 {epoch} {link} {ranges}"
        lines.append(line.rstrip() + "\n")
    return "".join(lines).encode()


def info(core: Core) -> bytes:
    """CLUSTER INFO."""
    covered = sum(
        p.last - p.first + 1
        for p in core.map.partitions
        if (leader := core.leader_of(p.id)) is not None and core.is_alive(leader)
    )
    fields = {
        "cluster_enabled": 1,
        "cluster_state": "ok" if covered == 16384 else "fail",
        "cluster_slots_assigned": 16384,
        "cluster_slots_ok": covered,
        "cluster_slots_pfail": 0,
        "cluster_slots_fail": 16384 - covered,
        "cluster_known_nodes": len(core.map.nodes),
        "cluster_size": len({core.leader_of(p.id) for p in core.map.partitions} - {None}),
        "cluster_current_epoch": core.map.epoch,
        "cluster_my_epoch": core.map.epoch,
    }
    return "".join(f"{name}:{value}\r\n" for name, value in fields.items()).encode()


def healing(core: Core) -> dict:
    """How far the ring is from where it wants to be, as this slave sees it: partitions by what
    becomes of them (``ring/plan.py``)."""
    plan = core.healing()
    return {
        "is_done": plan is not None and plan.is_done,
        "moving": list(plan.moving) if plan else [],
        "waiting": list(plan.waiting) if plan else [],
        "stuck": list(plan.stuck) if plan else [],
        "is_map_moving": plan is not None and plan.is_map_moving,
    }


def moves(core: Core) -> list[dict]:
    """Groups whose members are on their way to what the map says.  ``done`` and ``total`` are the
    bytes of the snapshots that are being copied; ``total`` is 0 when none is, as far as known."""
    rows = []
    copies = core.copies()
    for group_id in [*range(len(core.map.partitions)), MAP_GROUP]:
        members = core.members_of(group_id)
        wanted = core.map.members(nodes_of(core.map, group_id))
        if members is None or set(members) == set(wanted):
            continue
        under_way = [copy for copy in copies if copy.group == group_id]
        rows.append(
            {
                "group": "map" if group_id == MAP_GROUP else group_id,
                "from": [node_of(name) for name in members if name not in wanted],
                "to": [node_of(name) for name in wanted if name not in members],
                "done": sum(copy.done for copy in under_way),
                "total": sum(copy.total for copy in under_way),
            }
        )
    return rows


def status(core: Core) -> dict:
    """The cluster map with what this slave sees of it, for ``distrodb status`` and the shell."""

    def node_status(node: str) -> str:
        known = core.map.nodes[node].status
        return "suspect" if known == "up" and not core.is_alive(node) else known

    not_yet_in = ["map" if id_ == MAP_GROUP else id_ for id_ in core.not_yet_in()]
    return {
        "asked": {
            "node": core.id,
            "incarnation": core.incarnation,
            "waits_to_join": core.waits_to_join,  # then the rest says nothing of the cluster
            "not_yet_in": not_yet_in,  # groups that do not count it, since it came back empty
        },
        "epoch": core.map.epoch,
        "ring": list(core.map.ring),
        "map_group": list(core.map.map_group),
        "controller": core.leader_of(MAP_GROUP),
        "replicas": core.config.replicas,
        "healing": healing(core),
        "moves": moves(core),
        "nodes": {
            node.id: {
                "status": node_status(node.id),
                "client": node.client,
                "peer": node.peer,
                "incarnation": node.incarnation,
            }
            for node in core.map.nodes.values()
        },
        "partitions": [
            {
                "id": p.id,
                "slots": [p.first, p.last],
                "owner": p.owner,
                "group": list(p.group),
                "leader": core.leader_of(p.id),
                "term": core.term_of(p.id),
                "members": core.members_of(p.id),
            }
            for p in core.map.partitions
        ],
    }
