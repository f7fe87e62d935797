"""A cluster that is nothing but its map and its groups' voters: what the planner sees of one.

A group's voters follow the map as its Raft leader would take them there (raft/membership.py): one
member at a time, a dead one out before the new one comes in, and not at all without a majority.
"""

from collections.abc import Sequence
from dataclasses import replace

from distrodb.ring.clustermap import ClusterMap, first_map, node_of
from distrodb.ring.levels import LEVEL
from distrodb.ring.map_commands import apply
from distrodb.ring.moves import Observed
from distrodb.ring.placement import REPLICAS
from distrodb.ring.plan import Plan, plan

MAP = -1  # the map's own group, among the others


class World:
    def __init__(
        self,
        slaves: int,
        partitions: int,
        replicas: int = 3,
        moves_at_once: int = 4,
        reports_are_late: bool = False,
    ):
        rows = [row(f"n{number}") for number in range(slaves)]
        incarnations = {id_: "a" for id_, _, _ in rows}
        born = first_map(rows, partitions, replicas, incarnations)
        self.map = replace(born, level=LEVEL, replicas=replicas, replicas_at_birth=replicas)
        self.moves_at_once = moves_at_once
        self.voters = {p.id: set(self.wanted(p.id)) for p in self.map.partitions}
        self.voters[MAP] = set(self.wanted(MAP))
        self.reports = {group: sorted(voters) for group, voters in self.voters.items()}
        self.reports_are_late = reports_are_late
        self.dead: list[str] = []
        self.copies = 0  # that were asked for
        self.live_before = {group: self.live(group) for group in self.voters}

    # -- what can be asked -----------------------------------------------------------------------

    @property
    def replicas(self) -> int:
        return self.map.replicas

    def wanted(self, group: int) -> tuple[str, ...]:
        nodes = self.map.map_group if group == MAP else self.map.partitions[group].group
        return self.map.members(nodes)

    def is_live(self, member: str) -> bool:
        node = node_of(member)
        row = self.map.nodes.get(node)
        return row is not None and node not in self.dead and member.endswith("/" + row.incarnation)

    def live(self, group: int) -> int:
        return sum(map(self.is_live, self.voters[group]))

    def has_majority(self, group: int) -> bool:
        return 2 * self.live(group) > len(self.voters[group])

    def is_under_way(self, group: int) -> bool:
        wanted, voters = set(self.wanted(group)), self.voters[group]
        coming, leaving = wanted - voters, voters - wanted
        if not coming and all(map(self.is_live, leaving)) and not all(map(self.is_live, wanted)):
            return False  # a live one does not go while a wanted one is dead
        return voters != wanted and self.has_majority(group) and all(map(self.is_live, coming))

    def under_way(self) -> list[int]:
        return [group for group in self.voters if self.is_under_way(group)]

    def unreported(self) -> bool:
        return any(
            sorted(voters) != self.reports.get(group) for group, voters in self.voters.items()
        )

    def plan(self, replay: ClusterMap | None = None) -> Plan:
        reports = {group: voters for group, voters in self.reports.items() if group != MAP}
        # Of its own group the controller knows at once.
        observed = Observed(reports, sorted(self.voters[MAP]))
        return plan(replay or self.map, observed, self.replicas, self.moves_at_once)

    # -- what can happen -------------------------------------------------------------------------

    def submit(self, *command: str) -> None:
        self.map = apply(self.map, command)

    def kill(self, node: str) -> bool:
        """Not done, and false, if the map's group would lose its majority: nothing could heal."""
        self.dead.append(node)
        if not self.has_majority(MAP) or len(self.dead) == len(self.map.nodes):
            self.dead.remove(node)
            return False
        for group in self.voters:
            self.live_before[group] = min(self.live_before[group], self.live(group))
        self.submit("set_status", node, "down")
        return True

    def report(self, group: int) -> None:
        self.reports[group] = sorted(self.voters[group])

    def come_back(self, node: str) -> None:
        self.dead.remove(node)
        self.submit("set_status", node, "up")

    def wipe(self, node: str) -> None:
        """It comes back with an empty directory."""
        if self.kill(node):
            self.submit("incarnate", node, self.map.nodes[node].incarnation + "a")
            self.come_back(node)

    def join(self, node: str) -> None:
        self.submit("add_node", *row(node), "a")

    def leave(self, node: str) -> None:
        self.submit("set_status", node, "leaving")

    def set_replicas(self, number: int) -> None:
        self.submit("set_replicas", str(number))

    def obey(self, after: Plan) -> None:
        """Submit what was planned; what must hold of each command is asserted here."""
        starts = False
        for command in after.commands:
            before = self.map
            self.submit(*command)
            assert self.map is not before, f"{command} changes nothing"
            if command[0] == "set_group":
                number = int(command[1])
                is_new = self.voters[number] == set(before.members(before.partitions[number].group))
                starts |= self._check_group(before, number) and is_new
                if self.reports_are_late:
                    self.reports.pop(number, None)  # it is older than what was asked for now
            if command[0] == "remove_node":
                assert not any(node_of(v) == command[1] for vs in self.voters.values() for v in vs)
        if starts and not self.reports_are_late:
            assert len([g for g in self.under_way() if g != MAP]) <= self.moves_at_once

    def _check_group(self, before: ClusterMap, number: int) -> bool:
        old, new = before.partitions[number].group, self.map.partitions[number].group
        came = [node for node in new if node not in old]
        went = [node for node in old if node not in new]
        assert len(came) <= 1 and len(went) <= 1
        if len(went) > len(came):
            assert len(new) >= before.replicas, "fewer than there should be"
            dead = [node for node in old if not self.is_live(self.map.members([node])[0])]
            assert not dead or went[0] in dead, "a live one goes and a dead one stays"
        assert all(self.is_live(self.map.members([node])[0]) for node in came)
        assert self.has_majority(number) or not came or self.reports_are_late
        names = self.map.members(list(self.map.nodes))  # a lost directory holds nothing
        voters = {node_of(voter) for voter in self.voters[number] if voter in names}
        assert len(voters - set(new)) <= 1, "two of the members that hold data are to go at once"
        self.copies += len(set(came) - voters)
        return bool(came or went)

    def step(self, group: int) -> None:
        """One step of a group towards the members that the map asks for."""
        if not self.is_under_way(group):
            return
        wanted, voters = self.wanted(group), self.voters[group]
        coming = sorted(set(wanted) - voters)
        leaving = sorted(voters - set(wanted), key=lambda voter: (self.is_live(voter), voter))
        if coming and leaving and not self.is_live(leaving[0]) and len(voters) >= len(wanted):
            voters.remove(leaving[0])
        elif coming:
            voters.add(coming[0])
        else:
            voters.remove(leaving[0])
        if not self.reports_are_late:
            self.report(group)
        if group != MAP and not self.reports_are_late:
            left = min(self.live_before[group], len(wanted))
            assert self.live(group) >= left, "a planned move took a live copy"
        assert self.has_majority(group)
        if voters == set(wanted):
            self.live_before[group] = self.live(group)

    def converge(self, choices: Sequence[int] = (0,)) -> int:
        """Plan, and let moves end one by one in any order, until all is done; how many rounds."""
        rounds = 0
        limit = 20 * (len(self.map.partitions) + len(self.map.nodes) + 10) * max(REPLICAS)
        while not (after := self.plan()).is_done or self.under_way() or self.unreported():
            self.obey(after)
            moving = self.under_way()
            if moving:
                self.step(moving[choices[rounds % len(choices)] % len(moving)])
            self.report(choices[-1 - rounds % len(choices)] % len(self.map.partitions))
            if not moving:
                for group in self.voters:
                    self.report(group)
            rounds += 1
            assert rounds < limit, after
        return rounds


def row(node: str) -> tuple[str, str, str]:
    return node, f"{node}:1", f"{node}:2"
