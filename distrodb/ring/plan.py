"""How the ring heals: the next commands for the cluster map, from the map and what was observed.

``plan`` is a function of its arguments.  It remembers nothing, so a controller that dies between
two steps, or in one, is followed by another that goes on: plan, submit, and plan again when the map
or a report has changed.  Every command is safe to repeat and safe when late (map_commands.py).

Four layers, each decided by the one before:

1. The ring: slaves that are up or joining are in it, those that are down are not. One that
   leaves is not either, unless fewer than ``replicas`` others remain. All changes are one
   command, and it names the owners.
2. The owners are in the map; they change with the ring, by BALANCE and by MOVE, and nothing else.
   So what MOVE did stays until the ring changes or somebody says BALANCE.
3. The groups go to owner and neighbours, one member a step (moves.py), those with the fewest live
   members first, and at most ``moves_at_once`` on their way.
4. The map's own group: live slaves, at most five, one member a step.  Unlike a data group it gets
   smaller when there is nobody to replace its dead, down to three: else it would not outlive a
   second half of the deaths that it has to heal.

Bounds, for one death or drain in a balanced cluster that keeps ``replicas`` slaves: only partitions
that the slave owned change owner; only groups that it was in change; each gets one new copy, and
those whose new owner held none at most ``replicas - 1`` more.  (With five replicas, also one more
where the new owner was not a neighbour.)  For one join: it is given what balance needs, no more;
groups change only where it is an owner or a neighbour.  The tests assert these.

A slave that leaves is still counted as live, and as a member until its last group has replaced it;
then its row is forgotten, which tells it to end.  ``joining`` becomes ``up`` when nothing is under
way to or from that slave's groups.

Caveats: each step costs time in proportion to the partitions, so call it when something changed,
not each tick.  A slave that leaves and lies in a stuck group is not forgotten before that moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest

from distrodb.ring.clustermap import ClusterMap, member, node_of
from distrodb.ring.moves import Groups, Need, Observed, State
from distrodb.ring.placement import MAP_GROUP_MAX

MAP_GROUP_MIN = 3  # dead members stay when it has no more: they may come back
CHANGES_AT_ONCE = 64  # of groups, where no new move begins; bounds one log entry of the map

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    commands: tuple[Command, ...]
    moving: tuple[int, ...]  # partitions whose groups are on their way to what the map says
    waiting: tuple[int, ...]  # partitions whose groups must change still
    stuck: tuple[int, ...]  # partitions that nothing can be done for until a slave is back
    is_map_moving: bool  # the map's own group is on its way

    @property
    def is_done(self) -> bool:
        """Nothing can be done, nor is waited for, with the slaves that live."""
        return not (self.commands or self.moving or self.waiting or self.is_map_moving)


def plan(cluster_map: ClusterMap, observed: Observed, replicas: int, moves_at_once: int) -> Plan:
    """``replicas`` is odd, ``moves_at_once`` at least 1."""
    groups = Groups(cluster_map, observed, replicas)
    needs = groups.needs()
    commands = _ring_commands(cluster_map, replicas)
    if not commands:
        commands += _map_group_commands(cluster_map, observed)
        commands += _group_commands(groups, needs, moves_at_once)
        commands += _node_commands(cluster_map, observed, groups, needs)
    commands = _rescue_commands(needs) + commands
    return Plan(
        tuple(commands),
        _numbers(needs, State.MOVING),
        _numbers(needs, State.WAITING, State.LOST),
        _numbers(needs, State.STUCK),
        _is_map_group_moving(cluster_map, observed),
    )


def _numbers(needs: Sequence[Need], *states: State) -> tuple[int, ...]:
    return tuple(need.partition.id for need in needs if need.state in states)


# -- the ring and its owners ---------------------------------------------------------------------


def _ring_commands(cluster_map: ClusterMap, replicas: int) -> list[Command]:
    ring = cluster_map.ring
    wanted = _wanted_ring(cluster_map, replicas)
    going = [f"-{node}" for node in ring if node not in wanted]
    coming = [f"+{node}" for node in wanted if node not in ring]
    if going or coming:
        return [("change_ring", *going, *coming)] if wanted else []
    in_ring = set(ring)
    return [] if all(p.owner in in_ring for p in cluster_map.partitions) else [("balance",)]


def _wanted_ring(cluster_map: ClusterMap, replicas: int) -> dict[str, None]:
    """Whoever should stand in the ring, in no order that matters; a dictionary, to look into."""
    nodes, ring = cluster_map.nodes.values(), dict.fromkeys(cluster_map.ring)
    live = [n.id for n in nodes if n.status in ("up", "joining")]
    live += [n.id for n in nodes if n.status == "suspect" and n.id in ring]
    leaving = [n.id for n in nodes if n.status == "leaving"]
    # Who is out already stays out, if there are enough without it.
    leaving.sort(key=lambda node: node not in ring)
    return dict.fromkeys(live + leaving[: max(0, replicas - len(live))])


# -- groups --------------------------------------------------------------------------------------


def _group_commands(groups: Groups, needs: Sequence[Need], moves_at_once: int) -> list[Command]:
    """New moves, and other places for members that stay."""
    waiting = [need for need in needs if need.state is State.WAITING]
    moves = [need for need in waiting if set(need.group) != set(need.partition.group)]
    others = [need for need in waiting if set(need.group) == set(need.partition.group)]
    under_way = sum(need.state in (State.MOVING, State.LOST) for need in needs)

    def urgency(need: Need) -> tuple[int, int]:
        return groups.live(need.partition), need.partition.id

    urgent = nsmallest(max(0, moves_at_once - under_way), moves, key=urgency)
    return [_set_group(need) for need in urgent + others[:CHANGES_AT_ONCE]]


def _rescue_commands(needs: Sequence[Need]) -> list[Command]:
    """Other ways for the moves under way; at once, lest they end where somebody is dead."""
    return [_set_group(need) for need in needs if need.state is State.LOST][:CHANGES_AT_ONCE]


def _set_group(need: Need) -> Command:
    return ("set_group", str(need.partition.id), *need.group)


# -- the map's own group -------------------------------------------------------------------------


def _is_map_group_there(cluster_map: ClusterMap, observed: Observed) -> bool:
    return set(cluster_map.members(cluster_map.map_group)) == set(observed.map_voters)


def _is_map_group_moving(cluster_map: ClusterMap, observed: Observed) -> bool:
    names = dict(
        zip(cluster_map.map_group, cluster_map.members(cluster_map.map_group), strict=True)
    )
    coming = [node for node, name in names.items() if name not in observed.map_voters]
    is_there = _is_map_group_there(cluster_map, observed)
    return not is_there and all(cluster_map.nodes[node].status != "down" for node in coming)


def _map_group_commands(cluster_map: ClusterMap, observed: Observed) -> list[Command]:
    nodes, ring, group = cluster_map.nodes, cluster_map.ring, cluster_map.map_group
    names = dict(zip(group, cluster_map.members(group), strict=True))
    strangers = [node for node in group if node not in ring]
    if not _is_map_group_there(cluster_map, observed):  # on its way, maybe to somebody who died
        dead = [node for node in group if nodes[node].status == "down"]
        going = _live_strangers(cluster_map, observed)
        if dead and going:  # a live member does not go while a dead one stays
            return [("set_map_group", *(going[0] if n == dead[0] else n for n in group))]
        strangers = [node for node in strangers if names[node] not in observed.map_voters]
        if not strangers:
            return []
    strangers.sort(key=lambda node: nodes[node].status != "down")
    able = [n for n in ring if n not in group and nodes[n].status not in ("down", "suspect")]
    after = list(group)
    if strangers and able:
        after[after.index(strangers[0])] = able[0]
    elif able and len(group) < MAP_GROUP_MAX:
        after.append(able[0])
    elif strangers and len(group) > _map_group_min(cluster_map, strangers[0]):
        after.remove(strangers[0])
    return [] if tuple(after) == group else [("set_map_group", *after)]


def _live_strangers(cluster_map: ClusterMap, observed: Observed) -> list[str]:
    """Live voters of the map's group that it was to lose."""
    rows = cluster_map.nodes
    live = {member(row.id, row.incarnation) for row in rows.values() if row.status != "down"}
    going = [node_of(voter) for voter in observed.map_voters if voter in live]
    return [node for node in going if node not in cluster_map.map_group]


def _map_group_min(cluster_map: ClusterMap, going: str) -> int:
    leaves = cluster_map.nodes[going].status == "leaving"  # others may come back into the ring
    return min(MAP_GROUP_MIN, len(cluster_map.ring)) if leaves else MAP_GROUP_MIN


# -- rows ----------------------------------------------------------------------------------------


def _node_commands(
    cluster_map: ClusterMap, observed: Observed, groups: Groups, needs: Sequence[Need]
) -> list[Command]:
    commands: list[Command] = []
    for node in cluster_map.nodes.values():
        if node.status == "joining" and node.id in cluster_map.ring:
            if not any(_concerns(groups, need, node.id) for need in needs):
                commands.append(("set_status", node.id, "up"))
        elif node.status == "leaving" and not counts_in(cluster_map, observed, node.id):
            commands.append(("remove_node", node.id))
    return commands


def _concerns(groups: Groups, need: Need, node: str) -> bool:
    unfinished = need.state not in (State.SETTLED, State.STUCK)
    return unfinished and node in (*need.partition.group, *groups.target(need.partition))


def counts_in(cluster_map: ClusterMap, observed: Observed, node: str) -> list[str]:
    """What a slave is still needed for, by the map or by a group's own report, in any incarnation:
    the numbers of partitions, ``ring`` and ``map``.  A group without a report counts it."""
    found = ["ring"] if node in cluster_map.ring else []
    if node in cluster_map.map_group or node in map(node_of, observed.map_voters):
        found.append("map")
    for partition in cluster_map.partitions:
        voters = observed.voters.get(partition.id)
        if node in partition.group or voters is None or node in map(node_of, voters):
            found.append(str(partition.id))
    return found
