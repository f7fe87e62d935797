"""Clients' commands: into their partition's group if it is led here, else they wait for a leader
(waiting.py), or are told where to go (routing.py).

What always holds: commands of one partition go in the order in which they came, also when this
slave comes to lead between two of them; one that a group hands back was never proposed.
"""

from collections.abc import Sequence
from functools import partial

from distrodb.commands.gateway import SKIP
from distrodb.keyspace.origins import NoReply
from distrodb.raft.group import Group
from distrodb.raft.interfaces import Marked, Request
from distrodb.raft.outbox import Outbox
from distrodb.resp.reply import error
from distrodb.slave.burst import Part
from distrodb.slave.forwarding.forwarded import Forwarded
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.maxmemory import refusal, where_full
from distrodb.slave.routing import Routing
from distrodb.slave.schedule import Schedule
from distrodb.slave.waiting import ALL_HELD, GoOn, Waiting

LOST = error("NOTCONTROLLER", "the cluster map has changed its leader")
NOT_DONE = error("TRYAGAIN", "the leader changed before this could be done; it was not")


class Dispatch:
    def __init__(
        self, groups: dict[int, Group], routing: Routing, schedule: Schedule, wait_s: float
    ):
        self._groups, self._routing, self._schedule = groups, routing, schedule
        self._waiting = Waiting(wait_s)
        self.is_full = False  # what may need more memory is refused (maxmemory.py)
        self._seen: object = None  # the leaders for which those that wait were looked at

    def submit(self, now: float, request: Request, partition: int) -> None:
        """A client's command for a partition."""
        if self._waiting.commands.get(partition):  # it must not pass those that came before it
            self._release(now)
        self._go_on(partition, request)

    def submit_burst(self, now: float, part: Part, partition: int) -> None:
        """Several of one client's commands for a partition."""
        group = self._groups.get(partition)
        is_led = group is not None and group.member.is_leader
        is_refused = self.is_full and part.writes  # some of them, maybe
        if group is None or not is_led or is_refused or self._waiting.commands.get(partition):
            for request in part.singles():
                self.submit(now, request, partition)
            return
        group.submit_burst(part)
        self._schedule.touch(partition)

    def wait_for_leaders(self, size: int, go_on: GoOn) -> bool:
        """Call ``go_on`` when every partition that is held here has a leader, or there was none for
        too long.  False: it is not called, and who asks is to be answered at once."""
        return self._routing.maps.birth is None and self._waiting.take(ALL_HELD, size, go_on)

    def submit_marked(self, request: Forwarded, partition: int) -> None:
        """What a gateway has forwarded.  It does not wait here: the gateway knows where to go."""
        group = self._groups.get(partition)
        if group is not None and group.member.is_leader:
            if self.is_full and request.is_write:
                refused = refusal(request.args)
                # If it has run before, the log knows, and its reply stands.
                request.args = [*SKIP, refused.text] if refused else where_full(request.args)
            group.submit_marked(request)
            self._schedule.touch(partition)
        else:
            request.fail(NoReply.NOT_DONE)

    def collect(self, outbox: Outbox) -> None:
        """What groups that lost the lead could not do."""
        while outbox.handed_back:
            self._hand_back(*outbox.handed_back.pop(0))
        while outbox.overwritten:
            self._answer_not_done(*outbox.overwritten.pop(0))

    def _hand_back(self, group_id: int, requests: Sequence[Request]) -> None:
        """These were not proposed."""
        for request in requests:
            if group_id == MAP_GROUP:  # the controller asks again, and so may a person
                request.resolve(LOST)
            elif isinstance(request, Marked):
                request.fail(NoReply.NOT_DONE)
            else:
                self._wait(group_id, request)

    def _answer_not_done(self, group_id: int, requests: Sequence[Request]) -> None:
        """These were proposed, and surely did not happen, since other entries took their place.
        They do not wait here: what their connections sent after them may be done already."""
        routing = self._routing
        leader = routing.leader_of(group_id)
        for request in requests:
            if group_id == MAP_GROUP:
                request.resolve(LOST)
            elif isinstance(request, Marked):
                request.fail(NoReply.NOT_DONE)
            elif leader is None or leader == routing.maps.me:
                request.resolve(NOT_DONE)
            else:
                request.resolve(routing.redirect(group_id, request.slot))

    @property
    def next_due(self) -> float:
        """Seconds: when ``release`` is to be called though no leader has changed."""
        return self._waiting.next_due

    def release(self, now: float) -> None:
        """Let those go on that have a leader again, or have waited for too long."""
        if not self._waiting.commands:
            return
        if now >= self._waiting.next_due or self._seen != self._routing.version:
            self._release(now)

    def _release(self, now: float) -> None:
        self._seen = self._routing.version
        for go_on in self._waiting.release(now, self._has_leader):
            go_on()

    def _has_leader(self, partition: int) -> bool:
        routing = self._routing
        return not routing.leaderless() if partition == ALL_HELD else routing.is_led(partition)

    def _go_on(self, partition: int, request: Request) -> None:
        group = self._groups.get(partition)
        if group is not None and group.member.is_leader:
            if self.is_full and request.is_write:
                refused = refusal(request.args)
                if refused is not None:
                    request.resolve(refused)
                    return
                request.args = where_full(request.args)
            group.submit(request)
            self._schedule.touch(partition)
        else:
            self._wait(partition, request)

    def _wait(self, partition: int, request: Request) -> None:
        routing = self._routing
        may_wait = routing.maps.birth is None and not routing.is_led(partition)
        go_on = partial(self._go_on, partition, request)
        if not may_wait or not self._waiting.take(partition, request.size, go_on):
            request.resolve(routing.redirect(partition, request.slot))
