"""Whom a slave dials.  Pure.

Whom to dial follows the cluster map.  Rows keep their order for good and a new one is the last, so
a slave that is new to the others dials them, and nobody has to be told of it first.  A slave that
has no links with a majority dials everybody that it knows: it may be one that was removed while it
was down, whom nobody dials any more, and learns of it so.  Two that dial each other at the same
time may break off each other's links once; they try again at their own times.

A slave that has moved dials everybody too, since nobody else knows where it is.  When all have
moved none is where the map says; then the rows of the slave's own file say where to look, and what
it was told to ``join``.  They never count beside the map: who answers there says who it is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from distrodb.config import Address, NodeAddress
from distrodb.ring.clustermap import ClusterMap
from distrodb.slave.links.arrival import is_elsewhere
from distrodb.slave.links.place import Place


@dataclass(frozen=True, slots=True)
class OwnFile:
    """What a slave's file says of where it is, and where others may be."""

    me: NodeAddress
    seeds: Sequence[Address] = ()
    rows: Sequence[NodeAddress] = ()

    @property
    def place(self) -> Place:
        return str(self.me.client), str(self.me.peer)


def whom_to_dial(file: OwnFile, cluster_map: ClusterMap, is_lonely: bool = False) -> dict[str, str]:
    """Addresses, with the id of the slave that is looked for there; empty for anybody.

    Of two slaves the one with the later row dials, and one that is lonely or has moved dials all,
    also where its file says that they are.  A joiner dials its seeds until the map names it.
    """
    me, seeds = file.me, file.seeds
    if seeds and cluster_map.epoch == 0:
        return {str(seed): "" for seed in seeds if seed != me.peer}
    ids = list(cluster_map.nodes)
    is_searching = is_lonely or is_elsewhere(me.id, file.place, cluster_map)
    if is_searching:
        dialled = [id_ for id_ in ids if id_ != me.id]
    else:
        dialled = ids[: ids.index(me.id)] if me.id in ids else []
    found = {cluster_map.nodes[id_].peer: id_ for id_ in dialled}
    return _with_hints(file, ids, found) if is_searching else found


def _with_hints(file: OwnFile, ids: Sequence[str], found: dict[str, str]) -> dict[str, str]:
    """Anybody is looked for where the map and the file name two."""
    found = dict(found)
    for row in file.rows:
        if row.id in ids and row.id != file.me.id:
            is_other = found.get(str(row.peer), row.id) != row.id
            found[str(row.peer)] = "" if is_other else row.id
    for seed in file.seeds:
        found.setdefault(str(seed), "")
    found.pop(str(file.me.peer), None)  # where we are now another one was
    return found


def is_in_majority(me: str, linked: Iterable[str], nodes: Iterable[str]) -> bool:
    """With those that it is linked with this slave is more than half of ``nodes``."""
    others = set(nodes) - {me}
    return 2 * (1 + len(others & set(linked))) > 1 + len(others)
