"""What a slave does in the groups that it leads, beside serving them.

It walks a group's members towards those that the map wants (raft/membership.py), says in what it
has reached (membership_reports.py), and sees to it that the right slave leads: the partition's
owner if it can, nobody who is about to end, nobody whose disk takes seconds if another one's does
not.

A group is looked at when something has happened that may matter (``mark``), or when a look has said
when the next one is due; a group that is as it should be costs nothing.

What always holds: a lead is handed on only, to a member that is linked with us and has the log but
for its very end; those that go back to their owners go in shares of at most ``RETURN_SHARE`` of all
partitions (or one), and no share begins within ``RETURN_INTERVAL_S`` of when the one before began.
Its last may go late, so almost two shares may leave within less, one after the other.

Leads that cannot go back yet wait for their turn and are not looked at meanwhile: each of hundreds
looked at with each one that goes cost more than the slave's work.  Some go together since what a
change costs (a sync, a gossip, the table of a heartbeat) is then paid once, and since one at a time
took minutes with a thousand partitions; few, since commands of their partitions wait meanwhile.
"""

import math
from collections.abc import Iterable, Sequence

from distrodb.raft.group import Group
from distrodb.ring.clustermap import member, node_of
from distrodb.slave.deadlines import Deadlines
from distrodb.slave.disk_speed import DiskSpeed
from distrodb.slave.group_ids import MAP_GROUP, nodes_of, preferred_of
from distrodb.slave.membership_reports import Report
from distrodb.slave.open_groups import OpenGroups
from distrodb.slave.peers import Peers
from distrodb.slave.schedule import Schedule

STEP_S = 0.025  # until a group that is on its way is looked at again
RETRY_S = 0.2  # until one is that could not go on
RETURN_INTERVAL_S = 0.2  # from when a slave gives the first lead of a share back, until the next
RETURN_SHARE = 1 / 128  # of all partitions, that it gives back at a time; but one at least
# Seconds after our disk became slow, until what others say of theirs is believed: by then they
# would have noticed the same trouble.
TRUST_S = 3.0
MUCH_FASTER = 4  # times: a disk that is worth a change of leaders


class Leadership:
    def __init__(self, groups: OpenGroups, peers: Peers, disk: DiskSpeed, schedule: Schedule):
        self._maps, self._groups, self._peers = groups.maps, groups, peers
        self._disk, self._schedule = disk, schedule
        self._marked: set[int] = set()
        self._deadlines = Deadlines()
        self._homeward: dict[int, None] = {}  # groups whose turn to go back is still to come
        self._returns_left, self._return_at = 0, 0.0  # how many may go back until then
        self.is_leaving = False
        self._reported = 0  # grows when there is something new to report

    # -- when to look ----------------------------------------------------------------------------

    def mark(self, group_id: int) -> None:
        """Its leader, term or members may be others."""
        self._marked.add(group_id)

    def mark_all(self) -> None:
        """The map, a link, or what is known of another slave has changed."""
        self._marked.update(self._groups.all)

    @property
    def next_due(self) -> float:
        """Seconds: when ``walk`` is to be called; minus infinity is now."""
        if self._marked:
            return -math.inf
        return min(self._deadlines.next_due, self._return_at if self._homeward else math.inf)

    def walk(self, now: float) -> bool:
        """Look at what is marked, or due.  True if there is something new to report."""
        due, reported = self._marked.union(self._deadlines.take(now)), self._reported
        self._marked = set()
        for group_id in sorted(due):
            self._look(now, group_id)
        while self._homeward and self._may_return(now):
            self._look(now, next(iter(self._homeward)))
        return self._reported != reported

    def _look(self, now: float, group_id: int) -> None:
        self._homeward.pop(group_id, None)
        group = self._groups.all.get(group_id)
        if group is None or not group.member.is_leader:
            self._deadlines.remove(group_id)
            return
        self._deadlines.put(group_id, self._lead(now, group))
        self._schedule.touch(group_id)

    # -- one group -------------------------------------------------------------------------------

    def _lead(self, now: float, group: Group) -> float:
        """Do what is to be done in a group that is led here; when to look at it again."""
        cluster_map = self._maps.map
        wanted = cluster_map.members(nodes_of(cluster_map, group.id))
        raft = group.member
        if raft.reconcile(now, cluster_map.epoch, wanted):
            self._hand_to(now, group, wanted)
            again_at = now + STEP_S
        elif set(raft.members) != set(wanted):
            coming = [name for name in wanted if name not in raft.members]
            is_stuck = any(not self._is_near_us(name) for name in coming)
            again_at = now + (RETRY_S if is_stuck else STEP_S)
            if is_stuck:  # for as long as that one is gone: its owner need not wait for it
                again_at = min(again_at, self._return(now, group))
        else:
            again_at = self._return(now, group)
        if self._disk.is_slow:
            self._flee(now, group)
            again_at = min(again_at, now + RETRY_S)
        is_reported = self._report(group)
        return again_at if is_reported else min(again_at, now + STEP_S)

    def _is_near_us(self, name: str) -> bool:
        return node_of(name) == self._maps.me or self._peers.is_linked(name)

    def _report(self, group: Group) -> bool:
        """Note who is a member by what is committed; False if that is still to come."""
        configuration, raft = group.log.configuration, group.member
        if not raft.is_ready or configuration.index > raft.commit_index:
            return False
        report = Report(configuration, raft.term, self._maps.map.epoch)
        if self._peers.reports.heard(group.id, report):
            self._reported += 1
        return True

    def _flee(self, now: float, group: Group) -> None:
        """Our disk is slow: let one lead whose disk is much faster.  At once, if it has synced
        already what still waits for our disk; else only when all others have had the time to
        notice, and to say, that their disks are as slow as ours."""
        book, ours = self._peers.gossip, 1000 * self._disk.worst_s()
        faster = [
            name
            for name in self._able_to_lead(group, group.member.voters)
            if node_of(name) not in book.slow
            and MUCH_FASTER * (book.sync_ms(node_of(name)) or 0) <= ours
        ]
        if now < self._disk.changed_at + TRUST_S:
            log, raft = group.log, group.member
            is_waited_for = log.durable_index < log.last_index
            faster = [n for n in faster if is_waited_for and raft.match_index(n) == log.last_index]
        group.hand_over(now, faster, is_urgent=True)

    def _return(self, now: float, group: Group) -> float:
        """Give it back to its owner, if that serves the group as well as we do; when to look
        again."""
        owner = preferred_of(self._maps.map, group.id)
        if group.id == MAP_GROUP or self.is_leaving or owner == self._maps.me:
            return math.inf
        peers, row = self._peers, self._maps.map.nodes[owner]
        name = member(owner, row.incarnation)
        if row.status == "down" or not peers.is_linked(name) or owner in peers.gossip.slow:
            return math.inf  # we are told when that changes
        others = {node_of(voter) for voter in group.member.voters} & set(peers.links) - {owner}
        if not others <= set(peers.detector.hears(owner)):
            return math.inf  # as their leader it would lose them, and we do not
        if not self._may_return(now):
            self._homeward[group.id] = None
            return math.inf  # ``walk`` looks when its turn has come
        if self._hand_to(now, group, [name]):
            if now >= self._return_at:
                self._returns_left, self._return_at = self._share, now + RETURN_INTERVAL_S
            self._returns_left -= 1
        return now + RETRY_S

    def _may_return(self, now: float) -> bool:
        return now >= self._return_at or self._returns_left > 0

    @property
    def _share(self) -> int:
        return max(1, int(RETURN_SHARE * len(self._maps.map.partitions)))

    def _hand_to(self, now: float, group: Group, names: Sequence[str]) -> bool:
        """True when a hand-over to one of them begins."""
        return group.hand_over(now, self._able_to_lead(group, names))

    def _able_to_lead(self, group: Group, names: Iterable[str]) -> list[str]:
        """The members among these that are linked with us and not about to end, those with slow
        disks last."""
        book = self._peers.gossip
        able = [
            name
            for name in names
            if name in group.member.voters
            and self._peers.is_linked(name)
            and node_of(name) not in book.leaving
        ]
        return sorted(able, key=lambda name: node_of(name) in book.slow)

    # -- all groups ------------------------------------------------------------------------------

    def leave(self, now: float) -> bool:
        """This slave ends: give all leads away.  True when nothing is led any more, or nobody
        could take it; until then call it again."""
        self.is_leaving, is_done = True, True
        for group_id, group in self._groups.all.items():
            able = self._able_to_lead(group, group.member.voters)
            if not group.member.is_leader or not able:
                continue
            is_done = False
            self._schedule.touch(group_id)
            if not group.is_busy:
                group.member.transfer_leadership(now, able)
        return is_done

    def rank(self, group: Group) -> int:
        """How many members should stand for election before this slave does, when the leader's
        slave is gone: the owner stands first, slow disks last."""
        me, preferred = self._maps.me, preferred_of(self._maps.map, group.id)
        slow = self._peers.gossip.slow | ({me} if self._disk.is_slow else set())
        alive = [node for node in map(node_of, group.member.members) if self._peers.is_alive(node)]
        alive.sort(key=lambda node: (node in slow, node != preferred, node))
        return alive.index(me) if me in alive else len(alive)
