"""The cluster map's commands: ``apply`` makes the next map from one.

They are what the map's own Raft group replicates.  ``apply`` is deterministic and takes any input:
what makes no sense changes nothing.  Its choices (a place in the ring, owners) are a part of the
replicated state: another choice is another command, not a change of an old one.

Invariants, whoever sends a command and however late it comes:

- at most one member of a group is another than before;
- no data group is made smaller than the map's ``replicas``, nor loses a live member without a live
  one in its place unless all who stay live: so the dead go first;
- the map's group loses only who is out of the ring;
- whoever comes in is not down.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from distrodb.ring.clustermap import STATUSES, ClusterMap, NodeInfo, Partition, are_bytes
from distrodb.ring.levels import read_level
from distrodb.ring.owners import balanced_owners
from distrodb.ring.placement import MAP_GROUP_MAX, REPLICAS

_OF_SLAVES = {
    "set_status",
    "incarnate",
    "set_addresses",
    "add_node",
    "remove_node",
    "change_ring",
}
_OF_PARTITIONS = {"balance", "move", "set_replicas", "set_group", "set_map_group"}
_OF_USERS = {"set_user", "delete_users"}
_OF_VERSIONS = {"set_level"}
# Of the commands that ``apply`` knows.
NAMES = frozenset(_OF_SLAVES | _OF_PARTITIONS | _OF_USERS | _OF_VERSIONS)
USERS_MAX = 1000
# Of all names and rules together, in characters: the map is sent and written as a whole.
USERS_CHARACTERS_MAX = 1 << 18
PARTITION_DIGITS_MAX = 5  # there are 16384 at most; Python refuses to read very long numbers


def apply(cluster_map: ClusterMap, command: Sequence[object]) -> ClusterMap:
    """The next map; the same object when the command changes nothing.

    ``["set_status", node, status]``: as the controller sees it.
    ``["incarnate", node, incarnation]``: its directory is another one than the map knows, so it is
    another member of its groups; their leaders put it in the place of the old one.
    ``["set_addresses", node, incarnation, client, peer]``: with that directory it is found there
    from now on; nothing, if the map knows it by another one, or another slave is there.
    ``["add_node", node, client, peer, incarnation]``: a new slave, ``joining``, not in the ring.
    ``["remove_node", node]``: forget one that is in nothing, and leaves or is down.
    ``["change_ring", "-node4", "+node6", …]``: these leave the ring if they are down or leaving,
    and those stand in it again if they live; owners are balanced in the same step.
    ``["balance"]``: balance owners, also where ``move`` has put them otherwise.
    ``["move", partition, node]``: that slave owns the partition, until owners are balanced again.
    ``["set_replicas", number]``: so many copies each partition should have.  The first one says
    what the cluster was born with (level 2).
    ``["set_group", partition, node, …]`` and ``["set_map_group", node, …]``: the members that a
    group should have; at most one of them is another than before.
    ``["set_user", name, rules]`` and ``["delete_users", name, …]``: whoever asks has checked the
    rules; those of a name that is there are replaced as a whole.
    ``["set_level", level]``: all slaves of the map know the features up to it (levels.py).
    """
    match command:
        case ["set_status", str(node), str(status)] if status in STATUSES:
            return _with_node(cluster_map, node, status=status)
        case ["incarnate", str(node), str(incarnation)] if incarnation and "/" not in incarnation:
            return _with_node(cluster_map, node, incarnation=incarnation)
        case ["set_addresses", str(node), str(incarnation), str(client), str(peer)]:
            if may_be_at(cluster_map, node, incarnation, client, peer):
                return _with_node(cluster_map, node, client=client, peer=peer)
        case ["add_node", str(node), str(client), str(peer), str(incarnation)]:
            return _add_node(cluster_map, NodeInfo(node, "joining", client, peer, incarnation))
        case ["remove_node", str(node)]:
            return _remove_node(cluster_map, node)
        case ["change_ring", *changes]:
            return _change_ring(cluster_map, _texts(changes))
        case ["balance"]:
            return _balance(cluster_map, cluster_map.ring)
        case ["move", str(number), str(node)]:
            return _move(cluster_map, number, node)
        case ["set_user", str(name), str(rules)]:
            return _with_users(cluster_map, {**cluster_map.users, name: rules})
        case ["delete_users", *names]:
            gone = set(_texts(names))
            left = {name: each for name, each in cluster_map.users.items() if name not in gone}
            return _with_users(cluster_map, left)
        case ["set_level", str(text)] if (level := read_level(text)) > cluster_map.level:
            return _next(cluster_map, level=level)
        case ["set_replicas", str(text)] if text in map(str, REPLICAS):
            return _set_replicas(cluster_map, int(text))
        case ["set_group", str(number), *nodes]:
            return _set_group(cluster_map, number, _texts(nodes))
        case ["set_map_group", *nodes]:
            return _set_map_group(cluster_map, _texts(nodes))
    return cluster_map


def _texts(values: Iterable[object]) -> tuple[str, ...]:
    """The map's commands come as texts; anything else names nobody."""
    return tuple(value if isinstance(value, str) else "" for value in values)


def _next(cluster_map: ClusterMap, **changed: Any) -> ClusterMap:
    return replace(cluster_map, epoch=cluster_map.epoch + 1, **changed)


def fits(users: Mapping[str, str]) -> bool:
    """So many users, with rules of this length, may be in a map."""
    characters = sum(len(name) + len(rules) for name, rules in users.items())
    is_small = len(users) <= USERS_MAX and characters <= USERS_CHARACTERS_MAX
    return is_small and all(are_bytes(text) for row in users.items() for text in row)


def _with_users(cluster_map: ClusterMap, users: Mapping[str, str]) -> ClusterMap:
    if users == cluster_map.users or not fits(users):
        return cluster_map
    return _next(cluster_map, users=users)


def _with_node(cluster_map: ClusterMap, node: str, **changed: str) -> ClusterMap:
    before = cluster_map.nodes.get(node)
    if before is None or before == (after := replace(before, **changed)):
        return cluster_map
    return _next(cluster_map, nodes={**cluster_map.nodes, node: after})


def may_be_at(cluster_map: ClusterMap, node: str, incarnation: str, client: str, peer: str) -> bool:
    """The map knows the slave by that directory, and no other slave is at one of these."""
    row = cluster_map.nodes.get(node)
    if row is None or row.incarnation != incarnation or not (client and peer):
        return False
    others = [other for other in cluster_map.nodes.values() if other.id != node]
    taken = {address for other in others for address in (other.client, other.peer)}
    return taken.isdisjoint((client, peer))


def _add_node(cluster_map: ClusterMap, info: NodeInfo) -> ClusterMap:
    texts = (info.id, info.client, info.peer, info.incarnation)
    if not all(texts) or "/" in info.id + info.incarnation or info.id in cluster_map.nodes:
        return cluster_map
    return _next(cluster_map, nodes={**cluster_map.nodes, info.id: info})


def _remove_node(cluster_map: ClusterMap, node: str) -> ClusterMap:
    held = any(node == p.owner or node in p.group for p in cluster_map.partitions)
    row = cluster_map.nodes.get(node)
    if row is None or row.status not in ("leaving", "down"):  # it was called back meanwhile
        return cluster_map
    if held or node in cluster_map.ring or node in cluster_map.map_group:
        return cluster_map
    nodes = {id_: info for id_, info in cluster_map.nodes.items() if id_ != node}
    return _next(cluster_map, nodes=nodes)


def _change_ring(cluster_map: ClusterMap, changes: Sequence[str]) -> ClusterMap:
    ring = list(cluster_map.ring)
    for change in changes:
        sign, node = change[:1], change[1:]
        info = cluster_map.nodes.get(node)
        if info is None:
            continue
        if sign == "-" and node in ring and info.status in ("down", "leaving"):
            ring.remove(node)
        elif sign == "+" and node not in ring and info.status in ("up", "joining", "leaving"):
            ring.insert(_place(cluster_map, ring, node), node)
    if not ring or tuple(ring) == cluster_map.ring:
        return cluster_map
    return _balance(cluster_map, tuple(ring))


def _place(cluster_map: ClusterMap, ring: Sequence[str], node: str) -> int:
    """Behind the nearest row before its own whose slave is in the ring."""
    rows = list(cluster_map.nodes)
    for before in reversed(rows[: rows.index(node)]):
        if before in ring:
            return ring.index(before) + 1
    return 0


def _balance(cluster_map: ClusterMap, ring: tuple[str, ...]) -> ClusterMap:
    rows = cluster_map.partitions
    if not ring:
        return cluster_map
    owners = balanced_owners(ring, [(p.owner, p.group) for p in rows])
    if ring == cluster_map.ring and owners == [p.owner for p in rows]:
        return cluster_map
    partitions = tuple(
        p if p.owner == owner else replace(p, owner=owner)
        for p, owner in zip(rows, owners, strict=True)
    )
    return _next(cluster_map, ring=ring, partitions=partitions)


def _move(cluster_map: ClusterMap, number: str, node: str) -> ClusterMap:
    partition = _partition(cluster_map, number)
    if partition is None or node not in cluster_map.ring or partition.owner == node:
        return cluster_map
    if cluster_map.nodes[node].status in ("down", "leaving"):
        return cluster_map
    return _with_partition(cluster_map, replace(partition, owner=node))


def _set_replicas(cluster_map: ClusterMap, number: int) -> ClusterMap:
    if number == cluster_map.replicas:
        return cluster_map
    at_birth = cluster_map.replicas_at_birth or number
    return _next(cluster_map, replicas=number, replicas_at_birth=at_birth)


def _set_group(cluster_map: ClusterMap, number: str, group: tuple[str, ...]) -> ClusterMap:
    partition = _partition(cluster_map, number)
    if partition is None or group == partition.group:
        return cluster_map
    before = partition.group
    if not _is_step(cluster_map, before, group):
        return cluster_map
    if len(group) < len(before) and not _may_shrink(cluster_map, before, group):
        return cluster_map
    return _with_partition(cluster_map, replace(partition, group=group))


def _may_shrink(cluster_map: ClusterMap, before: Sequence[str], after: Sequence[str]) -> bool:
    """One goes and nobody comes.  A map that says no ``replicas`` is of a cluster in which a slave
    may not know of this, and all of them must make the same of a command."""
    if not 0 < cluster_map.replicas <= len(after):
        return False
    alive = {node for node in before if cluster_map.nodes[node].status != "down"}
    return alive <= set(after) or alive >= set(after)


def _set_map_group(cluster_map: ClusterMap, group: tuple[str, ...]) -> ClusterMap:
    before = cluster_map.map_group
    lost = [node for node in before if node not in group]
    if not 1 <= len(group) <= MAP_GROUP_MAX or group == before:
        return cluster_map
    if not _is_step(cluster_map, before, group) or any(node in cluster_map.ring for node in lost):
        return cluster_map
    return _next(cluster_map, map_group=group)


def _is_step(cluster_map: ClusterMap, before: Sequence[str], after: Sequence[str]) -> bool:
    """At most one goes and at most one comes, and that one lives."""
    came = [node for node in after if node not in before]
    went = [node for node in before if node not in after]
    if len(set(after)) < len(after) or len(came) > 1 or len(went) > 1:
        return False
    rows = [cluster_map.nodes.get(node) for node in came]
    return all(row is not None and row.status != "down" for row in rows)


def _partition(cluster_map: ClusterMap, number: str) -> Partition | None:
    if not (number.isascii() and number.isdecimal() and len(number) <= PARTITION_DIGITS_MAX):
        return None
    partitions = cluster_map.partitions
    return partitions[int(number)] if int(number) < len(partitions) else None


def _with_partition(cluster_map: ClusterMap, after: Partition) -> ClusterMap:
    rows = cluster_map.partitions
    return _next(cluster_map, partitions=(*rows[: after.id], after, *rows[after.id + 1 :]))
