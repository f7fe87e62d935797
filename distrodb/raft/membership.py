"""Who is a member of a group, and how that changes: one member at a time (thesis 4.1 to 4.3).

A part of ``Member`` (member.py), which holds the state.  A member is named by slave and incarnation
(``node1/5f3a09c2``): a slave that lost its directory is another member, and what its old self has
voted and acknowledged is never taken for its own.  Invariants:

- the configuration in force is the newest one in the log; majorities are counted in it alone;
- a change is proposed only when the one before it is committed and an entry of the leader's own
  term is too, so any majority of the old members meets any majority of the new ones;
- a new member is a learner at first: it gets the log, but neither votes nor counts until its copy
  has caught up; then it is added;
- who is unwanted forgets its log only when a leader has let it go (``left_at``): it asks, and the
  leader says so if it is neither a member by a committed configuration nor a learner.  An answer
  counts only while its asker has followed no leader since it asked, and not from an older term;
- a learner's acknowledgements count from an entry on that was added when its teaching began: they
  are not those of a copy that it had before, and forgot.  So nobody is added who forgets; a group
  of three with one dead member would wait for the other one for ever;
- once added it counts from the entry that added it, so whoever was counted knows that it votes:
  what a group of two and its new member hold outlives the old leader.

Requests for votes and appends are taken from anybody (thesis 4.1: the asker may know a newer
configuration); votes and acknowledgements count from members only.

pysyncobj's own membership change is not used: its guard for one change at a time is dead, its
entries are pickled, and what it changed is forgotten at a restart (docs/pysyncobj.md).
"""

from collections.abc import Sequence
from typing import Any

from distrodb.errors import invariant
from distrodb.raft import messages as m
from distrodb.raft.journal import NO_OP, Configuration

CAUGHT_UP_ENTRIES = 16  # a learner no further behind than this is added: it lags like any follower

Node = Any  # pysyncobj's


class Membership:
    def _use_configuration(self) -> None:
        """Count majorities by the newest configuration in the log; call it when the log changed."""
        configuration = self.journal.configuration
        if configuration is self._configuration:
            return
        self._configuration = configuration
        members = configuration.members
        known, self.voters = self.voters, {m: self._node(m) for m in members if m != self.member}
        self.learners = {m: node for m, node in self.learners.items() if m not in self.voters}
        self._is_named = self.member in members
        self._SyncObj__otherNodes = set(self.voters.values())
        if self.is_leader:
            for peer, node in self.voters.items():
                if peer not in self._peers:
                    self._begin_to_follow(node)
                if peer not in known:
                    self._SyncObj__raftMatchIndex[node] = 0
                    self._counts_from[peer] = configuration.index
        self._peers = {**self.voters, **self.learners}
        self.needs_snapshot &= set(self._peers)

    def _begin_to_follow(self, node: Node) -> None:
        self._SyncObj__raftNextIndex[node] = self.journal.last_index + 1
        self._SyncObj__raftMatchIndex[node] = 0
        self._SyncObj__lastResponseTime[node] = self.now

    def ask_to_leave(self, now: float) -> None:
        """The map does not want this member: ask whoever leads to let it go, again and again."""
        if now < self._ask_to_leave_at:
            return
        self._at(now)
        self._ask_to_leave_at = now + self._timeout / 2
        if not self._leave_number:
            self._leave_number = self._generator.getrandbits(60) + 1
        for peer in sorted(self._connected()):
            self.emit(
                peer, m.LEAVE_REQUEST, self.term, self._leave_number, gate=self.journal.gate()
            )

    def _on_leave_request(self, node: Node, term: int, number: int) -> None:
        """A newer term is heard of here too: one that is ahead of its leader could never go."""
        self._newer_term(term)
        configuration = self.journal.configuration
        is_settled = self.is_ready and configuration.index <= self.commit_index
        if is_settled and node.id not in self._peers:
            self.emit(node.id, m.LEAVE, self.term, number, configuration.index)

    def _on_leave(self, term: int, number: int, index: int) -> None:
        if term >= self.term and number == self._leave_number:
            self._newer_term(term)
            self.left_at = index

    def _stay(self) -> None:
        """What was asked before a leader was followed is void: that leader may count on us."""
        self._leave_number, self.left_at = 0, None

    def reconcile(self, now: float, epoch: int, wanted: Sequence[str]) -> bool:
        """Take one step from the members that are towards the ``wanted`` ones (by the cluster map
        of ``epoch``), if this member leads.  Call it again and again.  True when nothing is left
        to do but that this leader, who is not wanted, hands over.

        A dead member goes out first, once a learner is there to take its place; then that one
        comes in.  Without a replacement nobody is removed, nor a live one while a wanted one is
        dead or lags, and no step is taken before most of the members that it leaves answer.
        """
        self._at(now)
        configuration = self.journal.configuration
        if not self.is_ready or epoch < configuration.epoch:
            return False
        if configuration.index > self.commit_index:
            return False  # one change at a time
        coming = [m for m in wanted if m not in configuration.members]
        self._teach([m for m in coming if m in self._connected()])
        ready = [m for m in coming if self._has_caught_up(m)]
        leaving = [m for m in configuration.members if m not in wanted and m != self.member]
        dead = [m for m in leaving if m not in self._connected()]
        lost = [m for m in wanted if m != self.member and not self._has_copy(m)]
        members = set(configuration.members)
        if ready and dead and len(members) >= len(wanted):  # one replacement, one removal
            members.remove(dead[0])
        elif ready:
            members.add(ready[0])
        elif leaving and not coming and (dead or not lost):
            members.remove((dead or leaving)[0])
        else:
            return self.member not in wanted and not (coming or leaving or lost)
        if self._could_commit(now, members):
            self._change(epoch, members)
        return False

    def _could_commit(self, now: float, members: set[str]) -> bool:
        """Most of these have answered since they were asked for this very change.  Else it could
        not commit, nor anything else after it; and whoever has died a moment ago is linked still.
        """
        asked = self._change_asked
        if asked is None or asked[0] != members or now - asked[2] > self._timeout:
            asked = self._change_asked = members, self.start_round(now), now
        answer = [m for m in members if m == self.member or self._rounds.get(m, 0) >= asked[1]]
        return len(answer) > len(members) // 2

    def _teach(self, learners: Sequence[str]) -> None:
        for peer in learners:
            if peer not in self.learners:
                node = self.learners[peer] = self._peers[peer] = self._node(peer)
                self._begin_to_follow(node)
                self.journal.add(NO_OP, self.journal.last_index + 1, self.term)
                self._counts_from[peer] = self.journal.last_index
                self._send_append(node)
        for peer in [peer for peer in self.learners if peer not in learners]:
            del self.learners[peer], self._peers[peer]
            self._counts_from.pop(peer, None)
            self.needs_snapshot.discard(peer)

    def _has_caught_up(self, peer: str) -> bool:
        return peer in self.learners and self.is_near(peer)

    def _has_copy(self, peer: str) -> bool:
        return peer in self._connected() and self.is_near(peer)

    def is_near(self, peer: str) -> bool:
        """A follower has the log of this leader but for its very end."""
        if peer not in self._peers or peer in self.needs_snapshot:
            return False
        journal, matched = self.journal, self._SyncObj__raftMatchIndex[self._peers[peer]]
        is_near = journal.last_index - matched <= CAUGHT_UP_ENTRIES
        return is_near and matched >= journal.configuration.index

    def _change(self, epoch: int, members: set[str]) -> None:
        invariant(
            len(members ^ set(self.journal.configuration.members)) == 1, "one change at a time"
        )
        self._change_asked = None
        index = self.journal.last_index + 1
        configuration = Configuration(index, epoch, tuple(sorted(members)))
        self.journal.add(configuration.pack(), index, self.term)
        self._use_configuration()
        self._SyncObj__sendAppendEntries()
