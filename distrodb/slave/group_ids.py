"""The numbers of a slave's Raft groups, and whom the cluster map wants in each.  Pure.

A partition's group has the partition's number; the group of the map itself has ``MAP_GROUP``.
"""

from distrodb.ring.clustermap import ClusterMap

MAP_GROUP = 0xFFFE
# What a group's number has room for on disk and in frames; beyond is ``raft.messages.SLAVE``, no
# group's.  It bounds what a peer can make us remember.
GROUP_MAX = MAP_GROUP


def all_groups(cluster_map: ClusterMap) -> list[int]:
    return [*range(len(cluster_map.partitions)), MAP_GROUP]


def nodes_of(cluster_map: ClusterMap, group_id: int) -> tuple[str, ...]:
    """The slaves that the map wants in a group."""
    if group_id == MAP_GROUP:
        return cluster_map.map_group
    return cluster_map.partitions[group_id].group


def preferred_of(cluster_map: ClusterMap, group_id: int) -> str:
    """The slave that should lead a group if it can: a partition's owner."""
    if group_id == MAP_GROUP:
        return cluster_map.map_group[0]
    return cluster_map.partitions[group_id].owner
