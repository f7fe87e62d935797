"""The controller: what the ring needs next, decided beside the cluster map's leader.  Pure.

``commands`` is asked by whoever leads the map's own group, when no change of the map is under way;
what it returns is submitted to that group as one batch.  From one call to the next it keeps
only what saves time; what it reads, every slave has (failure_detector.py, membership_reports.py).
So a controller that dies in the middle of anything is followed by another one that goes on: the map
and what the groups have reached are all there is to know.

In this order: who is up or down, under which incarnation and where, and who wants to join; then the
features that all of them know (ring/levels.py); when all of that is in the map, the plan
(``ring/plan.py``).
A slave that was down and is heard again is ``up``; one that dies while it leaves is ``down``, and
its leaving is forgotten.  One that leaves is forgotten only when all its groups have let it go, so
that none of them can take it in again meanwhile.

``asked`` is what a person asks for: it says no where the ring could not follow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from distrodb.config import SlaveConfig
from distrodb.resp.reply import ErrorReply, error
from distrodb.ring.clustermap import ClusterMap, NodeInfo
from distrodb.ring.levels import OF_MOVES, OF_REPLICAS, level_of
from distrodb.ring.map_commands import may_be_at
from distrodb.ring.moves import Observed
from distrodb.ring.placement import REPLICAS
from distrodb.ring.plan import Command, Plan, counts_in, plan
from distrodb.slave.failure_detector import FailureDetector
from distrodb.slave.gossip import Joiner
from distrodb.slave.links.place import Place
from distrodb.slave.map_machine import UNCHANGED
from distrodb.slave.membership_reports import Reports

PLAN_INTERVAL_S = 1.0  # though nothing seems to have changed


@dataclass(frozen=True, slots=True)
class Situation:
    """What a controller sees."""

    map: ClusterMap
    map_voters: Sequence[str]
    joiners: Mapping[str, Joiner]
    empty: frozenset[str]  # slaves that have said that they hold no group
    levels: Mapping[str, int]  # of features, that slaves have said to know (ring/levels.py)
    # Slaves that we are linked with elsewhere than the map says: where clients and peers find them.
    moved: Mapping[str, Place] = field(default_factory=dict)


class Controller:
    def __init__(self, config: SlaveConfig, detector: FailureDetector, reports: Reports):
        self._detector, self._reports = detector, reports
        self._replicas_of_file = config.replicas
        self._moves_at_once = config.healing.moves_at_once
        self._dead_after_s = config.raft.dead_after_s
        self._planned: object = None  # for what the last plan was made
        self._planned_at = 0.0
        self._last: tuple[object, Plan] | None = None  # for what it was made, and the plan

    def commands(self, now: float, situation: Situation) -> list[Command]:
        commands = self._rows(now, situation) or _level(situation) or self._of_file(situation.map)
        if commands:
            return commands
        seen = self._seen(situation.map)
        planned = self._inputs(situation, seen), situation.empty
        if planned == self._planned and now < self._planned_at + PLAN_INTERVAL_S:
            return []
        self._planned, self._planned_at = planned, now
        commands = list(self._plan(situation, seen).commands)
        return [c for c in commands if c[0] != "remove_node" or c[1] in situation.empty]

    def plan(self, situation: Situation) -> Plan:
        """What is under way and what waits, as far as is seen from here."""
        return self._plan(situation, self._seen(situation.map))

    def _plan(self, situation: Situation, suspects: frozenset[str]) -> Plan:
        """The planner is pure, and in a large ring too slow to be asked by each who looks on."""
        inputs = self._inputs(situation, suspects)
        if self._last is None or self._last[0] != inputs:
            self._last = inputs, self._make_plan(situation, suspects)
        return self._last[1]

    def _inputs(self, situation: Situation, suspects: frozenset[str]) -> object:
        return situation.map, suspects, self._reports.version, tuple(situation.map_voters)

    def _make_plan(self, situation: Situation, suspects: frozenset[str]) -> Plan:
        nodes = {
            id_: replace(info, status="suspect") if id_ in suspects else info
            for id_, info in situation.map.nodes.items()
        }
        observed = Observed(self._reports.voters(), situation.map_voters)
        seen = replace(situation.map, nodes=nodes)
        return plan(seen, observed, self._replicas(seen), self._moves_at_once)

    def _replicas(self, cluster_map: ClusterMap) -> int:
        return cluster_map.replicas or self._replicas_of_file

    def _of_file(self, cluster_map: ClusterMap) -> list[Command]:
        """What only the files have said until all slaves know that the map may."""
        if cluster_map.replicas or cluster_map.level < OF_REPLICAS:
            return []
        return [("set_replicas", str(self._replicas_of_file))]

    def _seen(self, cluster_map: ClusterMap) -> frozenset[str]:
        """Those that are up by the map and not heard: nothing is moved there."""
        return frozenset(
            node.id
            for node in cluster_map.nodes.values()
            if node.status == "up" and not self._detector.is_heard(node.id, cluster_map.ring)
        )

    def next_down(self, now: float) -> float:
        """Seconds: when somebody may be found to be down next, if nothing is heard."""
        return self._detector.next_down(now, self._dead_after_s)

    # -- rows of the map -------------------------------------------------------------------------

    def _rows(self, now: float, situation: Situation) -> list[Command]:
        self._detector.watch(now, situation.map.nodes)
        commands: list[Command] = []
        for node in situation.map.nodes.values():
            commands += self._row(now, node, situation)
        for id_, joiner in situation.joiners.items():
            is_new = id_ not in situation.map.nodes
            if is_new and _knows_enough(situation, id_, joiner.incarnation):
                commands.append(("add_node", id_, joiner.client, joiner.peer, joiner.incarnation))
        return commands

    def _row(self, now: float, node: NodeInfo, situation: Situation) -> list[Command]:
        commands: list[Command] = []
        cluster_map = situation.map
        incarnation = self._detector.incarnation(node.id)
        if incarnation is not None and incarnation != node.incarnation:
            if _knows_enough(situation, node.id, incarnation):
                commands.append(("incarnate", node.id, incarnation))
        is_heard = self._detector.is_heard(node.id, cluster_map.ring)
        moved = situation.moved.get(node.id)
        if moved and is_heard and cluster_map.level >= OF_MOVES:
            if may_be_at(cluster_map, node.id, node.incarnation, *moved):
                commands.append(("set_addresses", node.id, node.incarnation, *moved))
        if node.status == "down":
            if is_heard:
                commands.append(("set_status", node.id, "up"))
        elif self._detector.is_down(now, node.id, cluster_map.ring, self._dead_after_s):
            commands.append(("set_status", node.id, "down"))
        return commands

    # -- what a person asks for ------------------------------------------------------------------

    def asked(self, situation: Situation, args: Sequence[str]) -> Command | ErrorReply | None:
        """DISTRODB REMOVE node, KEEP node, MOVE partition node, BALANCE, REPLICAS number: the map's
        command, None if there is nothing to do, or why not."""
        match [args[0].upper(), *args[1:]]:
            case ["REMOVE", str(node)]:
                return self._remove(situation, node)
            case ["KEEP", str(node)]:
                return self._keep(situation.map, node)
            case ["MOVE", str(number), str(node)]:
                return self._move(situation.map, number, node)
            case ["BALANCE"]:
                return ("balance",)
            case ["REPLICAS", str(number)]:
                return self._set_replicas(situation.map, number)
        return error(
            "ERR",
            "use DISTRODB REMOVE node, KEEP node, MOVE partition node, BALANCE, or REPLICAS number",
        )

    def _remove(self, situation: Situation, node: str) -> Command | ErrorReply | None:
        cluster_map = situation.map
        row = cluster_map.nodes.get(node)
        if row is None:
            return _no_such(cluster_map, node)
        if row.status == "leaving":
            return None
        if row.status == "down":
            observed = Observed(self._reports.voters(), situation.map_voters)
            if found := counts_in(cluster_map, observed, node):
                return error(
                    "ERR",
                    f"{node} is down and still a member of {', '.join(found)} (partitions, ring,"
                    " map): wait until it is replaced there, or start it again",
                )
            return ("remove_node", node)
        staying = [id_ for id_ in _staying(cluster_map) if id_ != node]
        replicas = self._replicas(cluster_map)
        if len(staying) < replicas:
            return error(
                "ERR",
                f"{node} cannot leave: {len(staying)} slaves would stay up, and each partition has"
                f" {replicas} copies; add a slave first, ask for fewer copies (REPLICAS), or KILL"
                " it",
            )
        return ("set_status", node, "leaving")

    def _keep(self, cluster_map: ClusterMap, node: str) -> Command | ErrorReply:
        row = cluster_map.nodes.get(node)
        if row is None:
            return _no_such(cluster_map, node)
        if row.status == "down":
            return error("ERR", f"{node} is down; it is in the ring again when it is started")
        return ("set_status", node, "up") if row.status == "leaving" else UNCHANGED

    def _move(self, cluster_map: ClusterMap, number: str, node: str) -> Command | ErrorReply:
        if node not in cluster_map.nodes:
            return _no_such(cluster_map, node)
        if not (number.isascii() and number.isdecimal()) or len(number) > 5:
            return error("ERR", f"{number[:40]!r} is not the number of a partition")
        if int(number) >= len(cluster_map.partitions):
            return error("ERR", f"partitions are 0 to {len(cluster_map.partitions) - 1}")
        status = cluster_map.nodes[node].status
        if node not in cluster_map.ring or status in ("down", "leaving"):
            return error("ERR", f"{node} is {status} and owns nothing")
        return ("move", str(int(number)), node)

    def _set_replicas(self, cluster_map: ClusterMap, number: str) -> Command | ErrorReply:
        if number not in map(str, REPLICAS):
            return error("ERR", f"replicas cannot be {number[:40]!r}; use one of 1, 3, 5")
        if cluster_map.level < OF_REPLICAS:
            return error(
                "ERR",
                "replicas cannot be changed while a slave of this cluster may run 0.6.0 or before:"
                " upgrade all of them, and start those that are down",
            )
        if not cluster_map.replicas:  # what the cluster was born with comes first
            return error("TRYAGAIN", "the cluster map does not say yet how many copies there are")
        staying = len(_staying(cluster_map))
        if cluster_map.replicas < int(number) and staying < int(number):
            return error(
                "ERR",
                f"{number} copies of each partition need {number} slaves, and {staying} are up and"
                " stay; let others join first",
            )
        return ("set_replicas", number) if int(number) != cluster_map.replicas else UNCHANGED


def _level(situation: Situation) -> list[Command]:
    """Once all slaves of the map, also those that are down, have said that they know more."""
    told = [situation.levels.get(node) for node in situation.map.nodes]
    known = [level for level in told if level is not None]
    if len(known) < len(told) or min(known) <= situation.map.level:
        return []
    return [("set_level", str(min(known)))]


def _knows_enough(situation: Situation, node: str, incarnation: str) -> bool:
    """To be let in.  Of one that is not linked with us only its directory tells."""
    told = situation.levels.get(node, 0)
    return max(told, level_of(incarnation)) >= situation.map.level


def _staying(cluster_map: ClusterMap) -> list[str]:
    return [n.id for n in cluster_map.nodes.values() if n.status in ("up", "joining")]


def _no_such(cluster_map: ClusterMap, node: str) -> ErrorReply:
    return error(
        "ERR", f"no slave is called {node[:40]!r}; there are {', '.join(cluster_map.nodes)}"
    )
