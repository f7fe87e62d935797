"""Whether a ring is where it wants to be, and if not, what is still in the way.

A claim of what healing means, apart from the planner's own word that it is done: whoever runs
stands in the ring, each partition has as many live copies as there can be, its owner leads it, and
everybody knows the map.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from distrodb.ring.clustermap import ClusterMap, Partition, member, node_of
from distrodb.ring.placement import MAP_GROUP_MAX
from distrodb.ring.plan import MAP_GROUP_MIN
from distrodb.slave.core import Core
from distrodb.slave.group_ids import MAP_GROUP

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation


def obstacles(cluster: "Simulation") -> Iterator[str]:
    running = {slave.id: slave.core for slave in cluster.slaves.values() if slave.core}
    leader = cluster.controller()
    if leader is None:
        yield "nobody leads the cluster map"
        return
    core, map_ = leader.core, leader.core.map
    if {*map_.ring} != {*running}:
        yield f"{[*running]} run, and the ring is {map_.ring}"
        return
    plan = core.view.healing()
    if not plan.is_done or plan.stuck:
        yield f"{leader.id} plans {plan}"
    for id_, each in running.items():
        row = map_.nodes[id_]
        if each.map.epoch != map_.epoch:
            yield f"{id_} knows map {each.map.epoch} and not {map_.epoch}"
        if row.incarnation != each.incarnation or row.status not in ("up", "leaving"):
            yield f"{id_} is {row.status} as {row.incarnation} and runs as {each.incarnation}"
    for partition in map_.partitions:
        yield from _of_partition(running, map_, partition, core.view.replicas)
    yield from _of_map_group(core, running)


def _of_partition(
    running: dict[str, Core], map_: ClusterMap, p: Partition, replicas: int
) -> Iterator[str]:
    held = {id_ for id_, core in running.items() if p.id in core.groups}
    live = held & {*p.group}
    leaders = [id_ for id_ in live if running[id_].groups[p.id].member.is_ready]
    if held - live:
        yield f"partition {p.id} is held by {held - live} too"
    if len(live) < min(replicas, len(running)):
        yield f"partition {p.id} has copies on {live} alone"
    if len(p.group) > replicas:
        yield f"partition {p.id} has {p.group}, more than {replicas}"
    if p.owner not in leaders:
        yield f"partition {p.id} is led by {leaders} and owned by {p.owner}"
    members = [{*running[id_].groups[p.id].member.members} for id_ in leaders]
    if not any(_are_those_wanted(each, running, map_, p) for each in members):
        yield f"partition {p.id} has the members {members} and should have {p.group}"


def _are_those_wanted(
    members: set[str], running: dict[str, Core], map_: ClusterMap, p: Partition
) -> bool:
    """Of one that is dead the group may know an older incarnation than the map, or another one that
    is dead, and was to be replaced by it."""
    live = {member(id_, core.incarnation) for id_, core in running.items()}
    is_same = members & live == {*map_.members(p.group)} & live
    return is_same and len(members) == len(p.group)


def _of_map_group(core: Core, running: dict[str, Core]) -> Iterator[str]:
    members = {*map(node_of, core.groups[MAP_GROUP].member.members)}
    wanted = min(MAP_GROUP_MAX, len(running))
    if len(members & running.keys()) < wanted:
        yield f"the map is held by {members} and {[*running]} run"
    elif wanted >= MAP_GROUP_MIN and members - running.keys():
        yield f"the map is held by {members - running.keys()} too, who do not run"


def is_balanced(map_: ClusterMap) -> bool:
    counts = Counter(dict.fromkeys(map_.ring, 0))
    counts.update(partition.owner for partition in map_.partitions)
    return max(counts.values()) - min(counts.values()) <= 1
