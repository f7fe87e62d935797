"""Whom a slave dials.  Pure.

Whom to dial follows the cluster map.  Rows keep their order for good and a new one is the last, so
a slave that is new to the others dials them, and nobody has to be told of it first.  A slave that
has no links with a majority dials everybody that it knows: it may be one that was removed while it
was down, whom nobody dials any more, and learns of it so.  Two that dial each other at the same
time may break off each other's links once; they try again at their own times.
"""

from collections.abc import Iterable, Sequence

from distrodb.config import Address, NodeAddress
from distrodb.ring.clustermap import ClusterMap


def whom_to_dial(
    me: NodeAddress, cluster_map: ClusterMap, seeds: Sequence[Address], is_lonely: bool = False
) -> dict[str, str]:
    """Addresses, with the id of the slave that is looked for there; empty for anybody.

    Of two slaves the one with the later row dials, and one that is lonely dials all.  A joiner
    dials its seeds until the map names it.
    """
    if seeds and cluster_map.epoch == 0:
        return {str(seed): "" for seed in seeds if seed != me.peer}
    ids = list(cluster_map.nodes)
    if is_lonely:
        dialled = [id_ for id_ in ids if id_ != me.id]
    else:
        dialled = ids[: ids.index(me.id)] if me.id in ids else []
    return {cluster_map.nodes[id_].peer: id_ for id_ in dialled}


def is_in_majority(me: str, linked: Iterable[str], nodes: Iterable[str]) -> bool:
    """With those that it is linked with this slave is more than half of ``nodes``."""
    others = set(nodes) - {me}
    return 2 * (1 + len(others & set(linked))) > 1 + len(others)


def objection(
    me: str, cluster_map: ClusterMap | None, peer: str, client: str, address: str
) -> str | None:
    """Why a slave that says that it is ``peer`` at these addresses is not taken, if so."""
    if peer == me:
        return f"{peer} is our own id: each slave needs its own"
    row = cluster_map.nodes.get(peer) if cluster_map else None
    if row is None or (row.client, row.peer) == (client, address):
        return None
    return (
        f"{peer} is at {row.client} and {row.peer} in the cluster map, not at {client} and"
        f" {address}: give this slave an id of its own, or the addresses that it had"
    )
