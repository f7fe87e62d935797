"""One Raft member: what a group is told by time, by its peers and by its proposer.

It owns pysyncobj's state (library.py) and three parts that stand beside it: elections.py,
replication.py and membership.py.  This file routes: what comes in goes to the part that it
concerns, and what the library asks of its owner (``Hooks``) too.

It does no I/O and reads no clock: ``now`` (monotonic seconds) comes in with each call; messages
leave through the outbox, changes of the log through the log.

The contract with whoever drives it (compare etcd/raft's ``Ready``):

    A message with a gate g > 0 must not leave the process before the write set g is on disk.  An
    APPEND has gate 0: a leader's entries may travel while its own commit runs, because it commits
    only up to ``log.durable_index``.
    ``tick`` must be called after ``receive`` before the results of the call can be seen, and when
    ``next_due`` has passed.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from distrodb.errors import invariant
from distrodb.keyspace.entry import Payload
from distrodb.raft import messages as m
from distrodb.raft.elections import Elections, why_it_stands
from distrodb.raft.lease import Lease
from distrodb.raft.library import Fate, Library
from distrodb.raft.log import Configuration
from distrodb.raft.membership import Membership
from distrodb.raft.progress import State
from distrodb.raft.replication import Replication
from distrodb.raft.state import MemberState

COMMIT_TOLD_S = 0.02  # until followers of an idle group learn what is committed: their copies' age


class Member:
    """One member of one Raft group.  Its log is begun, or loaded; its members are in there.

    ``apply`` is called with (index, payload) for each committed entry, in order, exactly once
    a process lifetime.
    """

    def __init__(
        self,
        state: MemberState,
        heartbeat_s: float,
        election_timeout_s: float,
        apply: Callable[[int, Payload], object],
    ):
        self._state, self.apply = state, apply
        self._timeout_s = election_timeout_s
        state.library = self._library = Library(state.name, state.log, self)
        self._elections = Elections(state, election_timeout_s)
        self.stood_because = ""  # for people: why it stood for election last
        self._replication = Replication(state, heartbeat_s, election_timeout_s)
        self._lease = Lease(state)
        self._membership = Membership(state, self._replication, election_timeout_s)
        self._membership.use_configuration()

    # -- what is going on --------------------------------------------------------------------

    @property
    def term(self) -> int:
        return self._library.term

    @property
    def leader(self) -> str | None:
        """The leader of the current term as far as this member knows."""
        return self._library.leader

    @property
    def is_leader(self) -> bool:
        return self._library.is_leader

    @property
    def is_ready(self) -> bool:
        """Leads, and an entry of its own term is applied: may read and propose (thesis 6.4)."""
        return self._state.is_ready

    @property
    def leads_in(self) -> int | None:
        """The term in which this member leads; None while it does not."""
        return self._library.term if self._library.is_leader else None

    @property
    def follows(self) -> tuple[str, int] | None:
        """The leader that this member follows, and in which term; None while it knows none, or
        leads itself."""
        leader = self._library.leader
        return None if leader is None or self._library.is_leader else (leader, self._library.term)

    @property
    def applied_index(self) -> int:
        return self._library.applied_index

    @property
    def is_settled(self) -> bool:
        """All commands that are in the log are applied."""
        return self._library.is_settled

    @property
    def commit_index(self) -> int:
        return self._library.commit_index

    @property
    def is_member(self) -> bool:
        return self._state.is_member

    @property
    def voters(self) -> Sequence[str]:
        """The other members."""
        return self._state.voters

    @property
    def members(self) -> tuple[str, ...]:
        return self._state.log.configuration.members

    @property
    def learners(self) -> Sequence[str]:
        """Of a leader: those that are to become members."""
        return self._membership.learners

    @property
    def removed_at(self) -> int | None:
        """Index of a committed configuration without this member, when a leader has let it go."""
        return self._membership.removed_at

    @property
    def needs_snapshot(self) -> list[str]:
        """Followers, whose next entry is not in the log any more."""
        followers = self._state.followers
        needy = [peer for peer, progress in followers.items() if progress.state is State.SNAPSHOT]
        return sorted(needy) if needy else needy

    @property
    def round(self) -> int:
        """The newest round, of appends or of questions, that was begun."""
        return self._replication.round

    def confirmed_round(self) -> int:
        """The newest round that a majority has answered."""
        return self._replication.confirmed_round()

    def backlog(self, peer: str) -> int:
        """How many entries a follower lacks; 0 also when it cannot be reached, or needs a snapshot
        anyway."""
        progress = self._state.followers.get(peer)
        if progress is None or peer not in self._state.connected or progress.needs_snapshot:
            return 0
        return self._state.log.last_index - progress.match

    def match_index(self, peer: str) -> int:
        return self._state.followers[peer].match

    def copies_with(self, index: int) -> int:
        """How many other members have this leader's log up to there, on disk."""
        state = self._state
        known = [state.followers[peer] for peer in state.voters if peer in state.followers]
        return sum(progress.match >= index for progress in known)

    def is_near(self, peer: str) -> bool:
        """A follower has the log of this leader but for its very end."""
        return self._membership.is_near(peer)

    # -- time ----------------------------------------------------------------------------------

    @property
    def next_due(self) -> float:
        """Seconds: when ``tick`` is to be called next though nothing else happens."""
        if self._library.is_leader:
            return self._replication.heartbeat_at
        return self._elections.deadline

    def tick(self, now: float) -> None:
        """Let time pass: elections, the commit rule, the apply loop, heartbeats."""
        state, library = self._at(now), self._library
        wants_to_stand = not library.is_leader and now > self._elections.deadline
        stands = wants_to_stand and self._elections.look()
        if stands:
            self.stood_because = why_it_stands(self._elections)
        if not (library.is_leader or stands):
            self._apply_committed()
            return
        term, commit_index = library.term, library.commit_index
        is_due = now > self._replication.heartbeat_at
        if stands or is_due or library.applied_index < state.log.last_index:
            library.tick(stands, self._replication.answered() if library.is_leader else {})
        if stands:
            self._elections.stood(term)
        if not library.is_leader:
            return
        if library.commit_index > commit_index:
            self._replication.heartbeat_within(COMMIT_TOLD_S)
        if is_due and now > self._replication.heartbeat_at:
            self._replication.heartbeat()

    def _apply_committed(self) -> None:
        """Of the library's tick no more concerns one that neither leads nor stands: what was
        received must be applied."""
        if self._library.applied_index < self._library.commit_index:
            self._library.tick(False, {})

    def stand_at_once(self, now: float) -> None:
        """Stand for election: the owner at boot."""
        self._at(now)
        self._elections.stand_soon(0.0)

    def stand_later(self, delay_s: float) -> None:
        """Wait so much longer for a leader, this once."""
        self._elections.set_deadline(self._elections.deadline + delay_s)

    # -- what the proposer asks ------------------------------------------------------------------

    def propose(
        self, now: float, payload: Payload, settled: Callable[[Fate], None]
    ) -> tuple[int, int]:
        """Append one entry and send it; its (index, term).  Only while ``is_ready``."""
        self._at(now)
        invariant(self.is_leader, "only a leader proposes")
        position = self._library.propose(payload, settled)
        self._replication.append_to_all()
        return position

    def start_round(self, now: float) -> int:
        """Start a round for reads, whose answers prove that we still lead."""
        self._at(now)
        return self._replication.start_read_round()

    def has_lease(self, now: float) -> bool:
        """It is known that nobody else leads now: reads need no round."""
        self._at(now)
        return self._lease.holds()

    def tell_commit_within(self, delay_s: float) -> None:
        """Followers learn soon what is committed; an append that leaves anyway serves too."""
        self._replication.heartbeat_within(delay_s)

    def transfer_leadership(self, now: float, candidates: Iterable[str]) -> bool:
        """Ask a follower that has the whole log to take over (thesis 3.10), if there is one."""
        state = self._at(now)
        for peer in candidates:
            if peer in state.voters and peer in state.followers:
                if state.followers[peer].match == state.log.last_index:
                    self._library.transfer_to(peer)
                    return True
        return False

    # -- what its slave asks ---------------------------------------------------------------------

    def reconcile(self, now: float, epoch: int, wanted: Sequence[str]) -> bool:
        """One step towards these members: see membership.py."""
        self._at(now)
        return self._membership.reconcile(epoch, wanted)

    def ask_to_leave(self, now: float) -> None:
        """The map does not want this member: ask whoever leads to let it go."""
        self._at(now)
        self._membership.ask_to_leave()

    # -- links and messages ----------------------------------------------------------------------

    def link_up(self, now: float, peer: str) -> None:
        state = self._at(now)
        state.connected.add(peer)
        progress = state.followers.get(peer)
        if progress is not None:  # what was under way on the old link is lost
            progress.link_lost(state.log.first_index)
            self._replication.append_to(peer, progress)

    def link_down(self, now: float, peer: str, delay_s: float) -> None:
        """The link broke.  If it led to the leader, an election starts after ``delay_s``."""
        state = self._at(now)
        state.connected.discard(peer)
        progress = state.followers.get(peer)
        if progress is not None:
            progress.link_lost(state.log.first_index)
        if self.leader == peer:
            self._elections.lost_leader(delay_s)
        else:
            self._elections.link_lost(peer, delay_s)

    def receive(self, now: float, peer: str, message: m.Message) -> None:
        """A checked message of this group came from ``peer``."""
        state = self._at(now)
        kind, term = message[1], message[2]
        if kind == m.APPEND:
            self._on_append(peer, *message[2:])
        elif kind == m.ACK:
            if peer in state.followers or peer in state.voters:
                self._replication.on_ack(peer, *message[2:])
        elif kind == m.VOTE_REQUEST:
            self._elections.on_vote_request(peer, *message[2:])
        elif kind == m.PREVOTE_REQUEST:
            self._elections.on_prevote_request(peer, *message[2:])
            if peer in state.followers:  # it does not hear this leader
                self._replication.append_to(peer, state.followers[peer])
        elif kind == m.LEAVE_REQUEST:
            self._membership.on_leave_request(peer, *message[2:])
        elif kind == m.LEAVE:
            self._membership.on_leave(*message[2:])
        elif peer not in state.voters and peer not in state.followers:
            return  # the rest counts from members only
        elif kind == m.VOTE and peer in state.voters:
            self._elections.on_vote(peer, term)
        elif kind == m.PREVOTE and peer in state.voters:
            self._elections.on_prevote(peer, term)
        elif kind == m.TIMEOUT_NOW:
            self._elections.on_order_to_stand(peer, term)
        elif kind == m.STALE:
            state.enter_term(term)

    def follow(self, now: float, peer: str, term: int) -> bool:
        """A message of a leader came; False when it is of an older term (and was told so)."""
        state, library = self._at(now), self._library
        if term < state.term:
            state.tell_newer_term(peer)
            return False
        invariant(term > state.term or not library.is_leader, "two leaders in one term")
        is_news = self.follows != (peer, term)
        if term > state.term:
            state.enter_term(term)
        self._membership.stay()
        self._elections.heard_leader()
        if is_news:
            library.leader = peer
            library.become_follower()
            state.changed()
        return True

    def _on_append(
        self,
        peer: str,
        term: int,
        previous_index: int,
        previous_term: int,
        commit_index: int,
        round_: int,
        entries: list[Any],
    ) -> None:
        if not self.follow(self._state.now, peer, term):
            return
        matches, index, has_changed = self._replication.take(
            previous_index, previous_term, commit_index, entries
        )
        if has_changed:
            self._membership.use_configuration()
        self._replication.acknowledge(peer, matches, index, round_)

    def install(self, now: float, term: int, configuration: Configuration) -> bool:
        """A leader's snapshot at ``configuration.index`` is durable; False if it is no news."""
        state = self._at(now)
        index = configuration.index
        if index <= self.applied_index:
            return False
        if state.log.term_at(index) == term:
            state.log.compact(index, index, term)
        else:
            state.log.reset(index, term, configuration)
        self._membership.use_configuration()
        self._library.install(index)
        if not self.is_leader:  # votes were counted among the members before
            self._library.become_follower()
        return True

    def emit(self, peer: str, kind: int, *fields: object) -> None:
        """A message of the group that speaks of nothing that must be on disk first."""
        self._state.emit(peer, kind, *fields)

    def acknowledge(self, peer: str, index: int) -> None:
        """Tell the leader that our log matches its own up to ``index``."""
        self._replication.acknowledge(peer, True, index, 0)

    # -- what the library asks ------------------------------------------------------------------

    def may_count(self, index: int) -> bool:
        return index <= self._state.log.durable_index

    def role_changed(self) -> None:
        self._membership.role_changed()
        self._elections.role_changed()
        self._state.changed()

    def append_to_all(self) -> None:
        self._replication.append_to_all()

    def request_vote(self, peer: str, last_index: int, last_term: int) -> None:
        self._elections.request_vote(peer, last_index, last_term)

    def grant_vote(self, peer: str, term: int) -> None:
        self._elections.grant_vote(peer, term)

    def tell_to_stand(self, peer: str) -> None:
        """It speaks of our term only, which was on our disk before anybody voted for us; so it does
        not wait for a disk that may be why we hand over."""
        self._lease.forgo()
        self._state.emit(peer, m.TIMEOUT_NOW, self.term)

    def _at(self, now: float) -> MemberState:
        self._state.now = now
        return self._state
