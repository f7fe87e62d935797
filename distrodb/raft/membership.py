"""Who is a member of a group, and how that changes: one member at a time (thesis 4.1 to 4.3).

A member is named by slave and incarnation
(``node1/5f3a09c2``): a slave that lost its directory is another member, and what its old self has
voted and acknowledged is never taken for its own.  Invariants:

- the configuration in force is the newest one in the log; majorities are counted in it alone;
- a change is proposed only when the one before it is committed and an entry of the leader's own
  term is too, so any majority of the old members meets any majority of the new ones;
- a new member is a learner at first: it gets the log, but neither votes nor counts until its copy
  has caught up; then it is added;
- who is unwanted forgets its log only when a leader has let it go (``removed_at``): it asks, and
  the leader says so if it is neither a member by a committed configuration nor a learner.  An
  answer counts only while its asker has followed no leader since it asked, and not from an older
  term;
- a learner's acknowledgements count from an entry on that was added when its teaching began: they
  are not those of a copy that it had before, and forgot.  Else one that has forgotten its
  log could be added, and a group of three with one dead member would wait for it for ever;
- once added it counts from the entry that added it, so whoever was counted knows that it votes:
  what a group of two and its new member have outlives the old leader.

Requests for votes and appends are taken from anybody (thesis 4.1: the asker may know a newer
configuration); votes and acknowledgements count from members only.

pysyncobj's own membership change is not used: its guard for one change at a time is dead, its
entries are pickled, and what it changed is forgotten at a restart (docs/pysyncobj.md).
"""

from collections.abc import Sequence

from distrodb.errors import invariant
from distrodb.raft import messages as m
from distrodb.raft.log import NO_OP, Configuration
from distrodb.raft.progress import Progress
from distrodb.raft.replication import Replication
from distrodb.raft.state import MemberState

CAUGHT_UP_ENTRIES = 16  # a learner no further behind than this is added: it lags like any follower
NUMBER_BITS = 60  # of a random number that tells questions apart; fits a message's field


class Membership:
    def __init__(self, state: MemberState, replication: Replication, timeout_s: float):
        self._state, self._replication, self._timeout_s = state, replication, timeout_s
        self._configuration: Configuration | None = None
        # The members of the next one, the round of appends that asked them for it, and when.
        self._change_asked: tuple[set[str], int, float] | None = None
        # Index of a committed configuration without this member, when a leader has let it go.
        self.removed_at: int | None = None
        self._leave_number = 0  # of what was asked last, if that stands
        self._ask_to_leave_at = state.now

    # -- the configuration in force --------------------------------------------------------------

    def use_configuration(self) -> None:
        """Count majorities by the newest configuration in the log; call it when the log changed."""
        state, configuration = self._state, self._state.log.configuration
        if configuration is self._configuration:
            return
        self._configuration = configuration
        known = set(state.voters)
        state.voters = tuple(n for n in configuration.members if n != state.name)
        state.is_named = state.name in configuration.members
        state.library.use_voters(state.voters)
        state.changed()
        if not state.is_leader:
            return
        learners = {n: p for n, p in state.followers.items() if n not in known | set(state.voters)}
        followers = {}
        for peer in state.voters:
            progress = followers[peer] = state.followers.get(peer) or self._progress()
            if peer not in known:
                progress.match = 0
                progress.counts_from = configuration.index
            state.library.set_match(peer, progress.match)
        state.followers = {**followers, **learners}

    def role_changed(self) -> None:
        """A leader knows nothing of its followers at first; others have none."""
        state = self._state
        state.followers = {}
        if state.is_leader:
            state.followers = {peer: self._progress() for peer in state.voters}

    def _progress(self) -> Progress:
        state = self._state
        return Progress(state.now, state.log.last_index + 1, self._replication.round)

    @property
    def learners(self) -> list[str]:
        return [peer for peer in self._state.followers if peer not in self._state.voters]

    @property
    def is_settled(self) -> bool:
        """The configuration in force is committed: only then may the next one be proposed."""
        return self._state.log.configuration.index <= self._state.library.commit_index

    # -- leaving -------------------------------------------------------------------------------

    def ask_to_leave(self) -> None:
        """The map does not want this member: ask whoever leads to let it go, again and again."""
        state = self._state
        if state.now < self._ask_to_leave_at:
            return
        self._ask_to_leave_at = state.now + self._timeout_s / 2
        if not self._leave_number:
            self._leave_number = state.generator.getrandbits(NUMBER_BITS) + 1
        for peer in sorted(state.connected):
            state.emit_gated(peer, m.LEAVE_REQUEST, state.term, self._leave_number)

    def on_leave_request(self, peer: str, term: int, number: int) -> None:
        """A newer term is heard of here too: one that is ahead of its leader could never go."""
        state = self._state
        state.enter_term(term)
        if state.is_ready and self.is_settled and peer not in state.followers:
            state.emit(peer, m.LEAVE, state.term, number, state.log.configuration.index)

    def on_leave(self, term: int, number: int, index: int) -> None:
        if term >= self._state.term and number == self._leave_number:
            self._state.enter_term(term)
            self.removed_at = index
            self._state.changed()

    def stay(self) -> None:
        """What was asked before a leader was followed is void: that leader may count on us."""
        self._leave_number, self.removed_at = 0, None

    # -- changing -------------------------------------------------------------------------------

    def reconcile(self, epoch: int, wanted: Sequence[str]) -> bool:
        """Take one step from the members that are towards the ``wanted`` ones (by the cluster map
        of ``epoch``), if this member leads.  Call it again and again.  True when nothing is left
        to do but that this leader, who is not wanted, hands over.

        A dead member goes out first, once a learner is there to take its place; then that one
        comes in.  Without a replacement nobody is removed, nor a live one while a wanted one is
        dead or lags, and no step is taken before most of the members that it leaves answer.
        """
        state = self._state
        configuration = state.log.configuration
        if not state.is_ready or epoch < configuration.epoch or not self.is_settled:
            return False
        coming = [n for n in wanted if n not in configuration.members]
        self._teach([n for n in coming if n in state.connected])
        ready = [n for n in coming if self._has_caught_up(n)]
        leaving = [n for n in configuration.members if n not in wanted and n != state.name]
        dead = [n for n in leaving if n not in state.connected]
        lost = [n for n in wanted if n != state.name and not self._has_copy(n)]
        members = set(configuration.members)
        if ready and dead and len(members) >= len(wanted):  # one replacement, one removal
            members.remove(dead[0])
        elif ready:
            members.add(ready[0])
        elif leaving and not coming and (dead or not lost):
            members.remove((dead or leaving)[0])
        else:
            return state.name not in wanted and not (coming or leaving or lost)
        if self._could_commit(members):
            self._change(epoch, members)
        return False

    def _could_commit(self, members: set[str]) -> bool:
        """Most of these have answered since they were asked for this very change.  Else it could
        not commit, nor anything else after it; and whoever has died a moment ago is linked still.
        """
        state, asked = self._state, self._change_asked
        if asked is None or asked[0] != members or state.now - asked[2] > self._timeout_s:
            asked = self._change_asked = members, self._replication.start_round(), state.now
        answered = sum(n == state.name or self._round_of(n) >= asked[1] for n in members)
        return answered > len(members) // 2

    def _round_of(self, peer: str) -> int:
        progress = self._state.followers.get(peer)
        return 0 if progress is None else progress.answered_round

    def _teach(self, learners: Sequence[str]) -> None:
        state = self._state
        for peer in learners:
            if peer not in state.followers:
                progress = state.followers[peer] = self._progress()
                state.log.add(NO_OP, state.log.last_index + 1, state.term)
                progress.counts_from = state.log.last_index
                self._replication.append_to(peer, progress)
        for peer in [peer for peer in self.learners if peer not in learners]:
            del state.followers[peer]

    def _has_caught_up(self, peer: str) -> bool:
        return peer not in self._state.voters and self.is_near(peer)

    def _has_copy(self, peer: str) -> bool:
        return peer in self._state.connected and self.is_near(peer)

    def is_near(self, peer: str) -> bool:
        """A follower has the log of this leader but for its very end."""
        progress, log = self._state.followers.get(peer), self._state.log
        if progress is None or progress.needs_snapshot:
            return False
        is_near = log.last_index - progress.match <= CAUGHT_UP_ENTRIES
        return is_near and progress.match >= log.configuration.index

    def _change(self, epoch: int, members: set[str]) -> None:
        log = self._state.log
        invariant(len(members ^ set(log.configuration.members)) == 1, "one change at a time")
        self._change_asked = None
        self._state.outbox.counts.membership_changes += 1
        index = log.last_index + 1
        configuration = Configuration(index, epoch, tuple(sorted(members)))
        log.add(configuration.pack(), index, self._state.term)
        self.use_configuration()
        self._replication.append_to_all()
