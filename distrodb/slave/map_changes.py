"""Changes of the cluster map: what the controller wants next, and what a person asks for.

Only the slave that leads the map's group does anything here: it lets the controller look at the
ring when something has happened, and submits what it decides to the group, one change at a time.
"""

import math
from collections.abc import Callable, Sequence

from distrodb.resp.reply import OK, ErrorReply, Reply, error
from distrodb.ring.clustermap import ClusterMap
from distrodb.slave.controller import PLAN_INTERVAL_S, Controller
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.open_groups import OpenGroups
from distrodb.slave.schedule import Schedule
from distrodb.slave.view import View

CONTROL_LEAST_S = 0.05  # between two looks of the controller at the ring


class MapRequest:
    """A change of the map; nobody waits for the reply to what the controller itself asks for."""

    is_write, slot, place, size = True, -1, -1, 64

    def __init__(self, command: Sequence[str], resolve: Callable[[Reply], None] = lambda _: None):
        self.args: Sequence[bytes] = [
            command[0].upper().encode(),
            *(word.encode() for word in command[1:]),
        ]
        self.resolve = resolve


class MapChanges:
    def __init__(self, groups: OpenGroups, controller: Controller, view: View, schedule: Schedule):
        self._groups, self._controller, self._view = groups, controller, view
        self._schedule = schedule
        self._looked_at = 0.0
        self.next_due = math.inf  # seconds: when ``look`` is to be called next

    def mark(self) -> None:
        """Something has happened to the ring, or to the map's group."""
        self.next_due = min(self.next_due, self._looked_at + CONTROL_LEAST_S)

    def look(self, now: float) -> None:
        """If it is due, let the ring heal itself."""
        if now < self.next_due:
            return
        group, machine = self._groups.all.get(MAP_GROUP), self._groups.map_machine
        self._looked_at, self.next_due = now, math.inf
        if group is None or machine is None or not group.member.is_ready:
            return  # the group marks us when it is
        self.next_due = now + PLAN_INTERVAL_S
        if not group.is_idle:
            return  # when what is under way is over we are marked
        for command in self._controller.commands(now, self._view.situation(machine.map)):
            group.submit(MapRequest(command))
            self._schedule.touch(MAP_GROUP)
        self.next_due = min(self.next_due, self._controller.next_down(now))

    @property
    def is_led(self) -> bool:
        """By this slave, which has applied all that was in the map's log when it came to lead."""
        group = self._groups.all.get(MAP_GROUP)
        return group is not None and group.member.is_ready

    def map_if_idle(self) -> ClusterMap | None:
        """The newest map, if no change of it is under way."""
        group, machine = self._groups.all.get(MAP_GROUP), self._groups.map_machine
        return machine.map if group is not None and machine is not None and group.is_idle else None

    def submit(self, command: Sequence[str], resolve: Callable[[Reply], None]) -> None:
        """A change of that map."""
        self._groups.all[MAP_GROUP].submit(MapRequest(command, resolve))
        self._schedule.touch(MAP_GROUP)

    def ask(self, args: Sequence[str], resolve: Callable[[Reply], None]) -> None:
        """DISTRODB REMOVE, KEEP, MOVE, BALANCE, REPLICAS: what a person asks of the ring."""
        group, machine = self._groups.all.get(MAP_GROUP), self._groups.map_machine
        if group is None or machine is None or not group.member.is_ready:
            leader = self._view.routing.leader_of(MAP_GROUP)
            resolve(error("NOTCONTROLLER", f"{leader or 'nobody'} leads the cluster map"))
            return
        if not group.is_idle:  # what is allowed by this map need not be by the next
            resolve(error("TRYAGAIN", "another change of the cluster map is under way"))
            return
        command = self._controller.asked(self._view.situation(machine.map), args)
        if command is None or isinstance(command, ErrorReply):
            resolve(OK if command is None else command)
        else:
            group.submit(MapRequest(command, resolve))
            self._schedule.touch(MAP_GROUP)
