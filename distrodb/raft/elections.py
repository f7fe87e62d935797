"""Who may stand for election, when, and who gets a vote.

pysyncobj counts the votes, grants them, and makes the leader (library.py); here it is decided when
it may do so:

- PreVote (thesis 9.6): a member stands only after a majority said that it would vote for it;
- stickiness: a member that hears a live leader ignores requests for votes, unless that leader
  asked for the election (leadership transfer).  A quiet group's leader is heard by its slave's
  heartbeat (pulse.py);
- terms: whoever speaks in an old term is told the newer one;
- whoever grants a pre-vote stands aside for a moment, once a term: else both stand, and the votes
  are split;
- a member whose own disk has not yet what it would have to say does not stand, nor does one whose
  candidacy or vote has only just left the disk; and each candidacy, or vote, leaves more time for
  the other votes than the one before: else disks that take longer than an election timeout, also
  if they are others' disks, would elect nobody for ever;
- who has promised its leader to elect no other (``has_promised``) neither stands nor
  votes before that time is over, unless that leader asked for the election;
- whoever waits for a candidate does so while their slaves are linked;
- who was removed, has forgotten its log and is taken in again stands aside until the log has come
  past its removal (``Log.may_vote``).
"""

from dataclasses import dataclass
from typing import NamedTuple

from distrodb.raft import messages as m
from distrodb.raft.pulse import NEVER
from distrodb.raft.state import MemberState

DISK_LOOK_S = 0.02  # until one looks again whether its own disk is ready for an election
DISKS_MAX = 10  # timeouts that the disks of others are given at most
PROMISED_S = 0.02  # and up to twice, until one looks again whether its promise is over
ASIDE = 0.1  # timeouts, and up to twice, for whom we would vote to stand: ample on quick disks
IN_VAIN_MAX = 5  # doublings of the time between two candidacies: 6 to 16 timeouts


class _Spoken(NamedTuple):
    """That this member stood, or voted."""

    at: float  # seconds
    term: int
    sequence: int  # of the write set that has it


@dataclass(slots=True)
class _Leaderless:
    """What a member has learned since it heard no leader, and that long only."""

    in_vain: int = 0  # candidacies and votes
    disks_s: float = 0.0  # what others' disks may take
    spoken: _Spoken | None = None  # until it is on disk
    disk_is_late: bool = False  # it wanted to stand before that
    voted_for: str | None = None  # the candidate for whom it waits
    aside_for: str | None = None  # to whom it has granted a pre-vote
    aside_term: int = 0  # the term that was proposed then
    before_aside: float = 0.0  # the deadline until then


class Elections:
    def __init__(self, state: MemberState, timeout_s: float):
        self._state, self._timeout_s = state, timeout_s
        self._heard_at = NEVER  # when a leader was last heard
        self._heard_term = 0  # its term
        self._leader_link_broken = False
        self._prevotes: set[str] = set()
        self._prevote_term = 0
        self._votes: set[tuple[int, str]] = set()
        self._was_told_to_stand = False  # the election under way was asked for by the old leader
        self._learned = _Leaderless()
        self.deadline = 0.0  # seconds: without a leader until then this member wants to stand
        self.postpone()

    def set_deadline(self, at: float) -> None:
        self.deadline = at

    def postpone(self, low: float = 1.0, high: float = 2.0) -> None:
        """So many timeouts from now, at random in between, so that few stand at the same time."""
        state = self._state
        self.set_deadline(state.now + self._timeout_s * state.between(low, high))

    def _postpone_s(self, seconds: float) -> None:
        """So long, and up to twice: at random, as above."""
        self.set_deadline(self._state.now + seconds * self._state.between(1.0, 2.0))

    def stand_soon(self, delay_s: float) -> None:
        self.set_deadline(min(self.deadline, self._state.now + delay_s))

    # -- standing ----------------------------------------------------------------------------

    def look(self) -> bool:
        """The deadline may be over: whether to stand now.  Asks for pre-votes when that must be
        done first."""
        state = self._state
        if state.is_leader or state.now <= self.deadline:
            return False
        if self._hear_pulse():
            return False
        if not state.is_member:
            self.set_deadline(state.now + self._timeout_s)
            return False
        if state.has_promised and not state.library.is_told_to_stand:
            self._postpone_s(PROMISED_S)
            return False
        if self._waits_for_disk():
            return False
        if state.voters and not self._may_stand():
            self._ask_for_prevotes()
            return False
        self._was_told_to_stand = state.library.is_told_to_stand
        state.outbox.counts.elections += 1
        return True

    def stood(self, term_before: int) -> None:
        """A tick is over, in which this member may have stood."""
        self._was_told_to_stand = False
        if self._state.term != term_before and not self._state.is_leader:
            self._wait_for_votes(0.0, 0.0)  # a split vote is settled sooner than a death noticed
            self._learned.voted_for = None

    def _wait_for_votes(self, low: float, high: float) -> None:
        """For so many timeouts at least, and longer each time: where votes take longer, since disks
        are slow, whoever stands or has voted must leave more time for the others'."""
        state, learned = self._state, self._learned
        times = 2.0**learned.in_vain
        learned.in_vain = min(learned.in_vain + 1, IN_VAIN_MAX)
        self.postpone(max(low, 0.2 * times), max(high, 0.5 * times))
        learned.spoken = _Spoken(state.now, state.term, state.log.last_sequence)
        learned.disk_is_late = False

    def _waits_for_disk(self) -> bool:
        """A request would wait for this member's own disk, while another's need not.  And what it
        has asked for, or given, leaves when that is on disk: the time for an answer begins then."""
        state, log, learned = self._state, self._state.log, self._learned
        spoken = learned.spoken
        if spoken is not None and log.is_on_disk(spoken.sequence):
            is_late = learned.disk_is_late and spoken.term == state.term  # else it is over
            learned.spoken, learned.disk_is_late = None, False
            if is_late:
                # Another's write may first wait for the sync that is under way there.
                learned.disks_s = min(2.0 * (state.now - spoken.at), DISKS_MAX * self._timeout_s)
                self._postpone_s(self._timeout_s + learned.disks_s)
                return True
        if not log.gate():
            return False
        learned.disk_is_late = learned.spoken is not None
        self.set_deadline(state.now + DISK_LOOK_S)
        return True

    def _hear_pulse(self) -> bool:
        """The leader's slave has said since that it leads this group: the deadline is later."""
        state = self._state
        leader = state.library.leader
        if state.pulse is None or leader is None or self._leader_link_broken:
            return False
        if state.library.is_told_to_stand:
            return False
        heard_at = state.pulse.heard_at(leader, state.group, state.term)
        if heard_at <= self._heard_at:
            return False
        self._heard_at = heard_at
        self.set_deadline(heard_at + self._timeout_s * state.between(1.0, 2.0))
        return state.now <= self.deadline

    def _may_stand(self) -> bool:
        """pysyncobj stands as soon as the deadline is over; with PreVote that must wait for a
        majority that would vote for us."""
        state = self._state
        if state.library.is_told_to_stand:
            return True
        granted = self._prevotes & state.connected & set(state.voters)
        return self._prevote_term == state.term + 1 and len(granted) + 1 >= state.majority

    def _ask_for_prevotes(self) -> None:
        state = self._state
        self._prevote_term = state.term + 1
        self._prevotes = set()
        if state.library.leader is not None:  # silent for too long
            state.library.leader = None
            state.changed()
        # A round of pre-votes changes nothing, so a lost one is repeated soon.
        self.postpone(0.05, 0.15)
        log = state.log
        for peer in state.voters:
            fields = self._prevote_term, log.last_index, log.last_term
            state.emit(peer, m.PREVOTE_REQUEST, *fields)

    def _forget_prevotes(self) -> None:
        self._prevotes, self._prevote_term = set(), 0

    def request_vote(self, peer: str, last_index: int, last_term: int) -> None:
        """pysyncobj stands."""
        state, told = self._state, self._was_told_to_stand
        state.emit_gated(peer, m.VOTE_REQUEST, state.term, last_index, last_term, told)

    # -- what others ask and answer -------------------------------------------------------------

    def on_prevote_request(self, peer: str, term: int, last_index: int, last_term: int) -> None:
        state, log, spoken = self._state, self._state.log, self._learned.spoken
        if term <= state.term:
            state.tell_newer_term(peer)
        elif not log.may_vote or self._is_loyal():
            return
        elif spoken is not None and not log.is_on_disk(spoken.sequence):
            return  # a vote could not come soon either, and what it has said would be void
        elif (last_term, last_index) >= (log.last_term, log.last_index):
            self._stand_aside(peer, term)
            state.emit(peer, m.PREVOTE, term)

    def _stand_aside(self, peer: str, term: int) -> None:
        """Once a term: whom we would vote for may be dead, or others would not vote for it."""
        learned, before = self._learned, self.deadline
        if term <= learned.aside_term:
            return
        learned.aside_term, learned.aside_for, learned.before_aside = term, peer, before
        self._forget_prevotes()
        self._postpone_s(ASIDE * self._timeout_s + learned.disks_s)
        self.set_deadline(max(self.deadline, before))

    def on_prevote(self, peer: str, term: int) -> None:
        state = self._state
        if term == self._prevote_term == state.term + 1 and not state.is_leader:
            self._prevotes.add(peer)
            if self._may_stand():
                self.set_deadline(0.0)

    def on_vote_request(
        self, peer: str, term: int, last_index: int, last_term: int, is_transfer: bool
    ) -> None:
        """Cures: no stickiness (a member that was cut off unseats a healthy leader); an order to
        stand outlives its term (who had it stood against a later leader that never gave it)."""
        state = self._state
        if term < state.term:
            state.tell_newer_term(peer)
        elif state.log.may_vote and (is_transfer or not self._is_loyal()):
            state.enter_term(term)
            state.library.take_vote_request(peer, term, last_index, last_term)
            state.changed()

    def grant_vote(self, peer: str, term: int) -> None:
        """pysyncobj gives its vote."""
        self._wait_for_votes(1.0, 2.0)
        self._learned.voted_for, self._learned.aside_for = peer, None
        self._state.emit_gated(peer, m.VOTE, term)

    def on_vote(self, peer: str, term: int) -> None:
        """Cures: a vote that is repeated counts twice."""
        if term == self._state.term and (term, peer) not in self._votes:
            self._votes = {vote for vote in self._votes if vote[0] == term} | {(term, peer)}
            self._state.library.take_vote(peer, term)

    def on_order_to_stand(self, peer: str, term: int) -> None:
        state = self._state
        if term == state.term and state.library.leader == peer:
            state.library.take_order_to_stand(peer, term)
            self.set_deadline(0.0)

    # -- leaders ---------------------------------------------------------------------------------

    def heard_leader(self) -> None:
        """A message of the current term's leader came."""
        self._forget_prevotes()
        self._learned = _Leaderless()
        if not self._state.library.is_told_to_stand:
            self.postpone()
        self._heard_at, self._heard_term = self._state.now, self._state.term
        self._leader_link_broken = False

    def lost_leader(self, delay_s: float) -> None:
        """The link to the leader's slave broke."""
        self._leader_link_broken = True
        self._state.library.leader = None
        self.stand_soon(delay_s)
        self._state.changed()

    def link_lost(self, peer: str, delay_s: float) -> None:
        """The link to one that does not lead broke: whoever waits for it does so no more, but still
        for the one that it has voted for."""
        learned = self._learned
        if peer == learned.voted_for:
            learned.spoken, learned.disk_is_late, learned.voted_for = None, False, None
            self.stand_soon(delay_s)
        elif peer == learned.aside_for:
            learned.aside_for = None
            if learned.voted_for is None:
                self.stand_soon(delay_s)
            else:
                self.set_deadline(min(self.deadline, learned.before_aside))

    def hears_leader(self) -> bool:
        """As this member sees it.  A leader steps down by itself once it hears no majority."""
        state = self._state
        if state.is_leader:
            return True
        if self._leader_link_broken or self._heard_term != state.term:
            return False
        if state.now - self._heard_at >= self._timeout_s:
            self._hear_pulse()
        return state.now - self._heard_at < self._timeout_s

    def _is_loyal(self) -> bool:
        """It helps to elect nobody else, as long as its leader does not ask for that."""
        return self.hears_leader() or self._state.has_promised

    def role_changed(self) -> None:
        self._prevotes = set()
        if self._state.is_leader:
            self._learned = _Leaderless()


def why_it_stands(elections: Elections) -> str:
    """For people; to be asked when ``look`` has said so."""
    if elections._was_told_to_stand:
        return "its leader handed it over"
    if elections._heard_at == NEVER:
        return "it had no leader yet"
    if elections._leader_link_broken:
        return "the link with its leader broke"
    return "its leader was silent"
