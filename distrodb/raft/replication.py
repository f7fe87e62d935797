"""How a leader's log reaches its followers, both sides.  What always holds:

- a follower removes entries only from the first one whose term differs, never a committed one, and
  commits no further than the message at hand has verified;
- a leader counts an acknowledgement of its own term only, and commits only what is on its own disk;
- what is on its way to one follower is bounded, however far it lags (progress.py);
- a follower is sent a heartbeat only while it lacks something, if the slaves' own heartbeats speak
  for the group (pulse.py); else each ``heartbeat_s``.

Rounds are numbers of what followers are to answer, so that an answer can be told from an older one.
Each append carries the newest, and its ACK says it back.  One that is for reads may begin with a
question to the slaves instead of appends; both kinds of answers confirm it.
"""

from typing import Any

from distrodb.errors import invariant
from distrodb.raft import messages as m
from distrodb.raft.progress import Progress, State
from distrodb.raft.pulse import NEVER
from distrodb.raft.state import MemberState

APPEND_BYTES_MAX = 1 << 20  # of commands in one append: bounds a frame; a larger entry goes alone
APPEND_ENTRIES_MAX = 4096  # entries in one append; more go in the next one
PROBE_BYTES_MAX = 1 << 16  # of commands in a probe, which may be refused; without any if more
QUIET_TIMEOUTS = 0.5  # election timeouts between two looks of a leader whose group is quiet


class Replication:
    def __init__(self, state: MemberState, heartbeat_s: float, timeout_s: float):
        self._state, self._heartbeat_s, self._timeout_s = state, heartbeat_s, timeout_s
        self.heartbeat_at = 0.0  # when the next heartbeat is due, if this member leads
        self.round = 0  # the newest that was begun
        self._by_append = 0  # the newest that each follower is to answer to an append
        self._question_round = 0  # the newest that began with a question to the slaves
        self._question = 0  # the number of that question, as ``Pulse`` counts them for all groups

    # -- the leader ------------------------------------------------------------------------------

    def append_to_all(self) -> None:
        """Send each follower what it lacks, or at least a heartbeat."""
        state = self._state
        self.heartbeat_at = state.now + self._heartbeat_s
        for peer, progress in state.followers.items():
            if peer in state.connected:
                self.append_to(peer, progress)

    def heartbeat(self) -> None:
        """It is due."""
        state = self._state
        self.heartbeat_at = state.now + self._heartbeat_s
        commit_index = state.library.commit_index
        hears = (p for peer, p in state.followers.items() if peer in state.connected)
        if any(p.commit_told < commit_index and not p.needs_snapshot for p in hears):
            self._by_append = self.round = self.round + 1  # by whose answer we know it was heard
        is_quiet = state.pulse is not None
        for peer, progress in state.followers.items():
            if peer in state.connected and not self._is_up_to_date(peer, progress):
                progress.is_probing = False  # what was on its way is lost, or late
                self.append_to(peer, progress)
                is_quiet = False
        if is_quiet:
            self.heartbeat_at = state.now + self._timeout_s * QUIET_TIMEOUTS

    def _is_up_to_date(self, peer: str, progress: Progress) -> bool:
        """It lacks nothing, has answered what it was asked (either may have been lost), and its
        slave's heartbeats say that it follows."""
        state = self._state
        if state.pulse is None or progress.answered_round < self._by_append:
            return False
        if progress.lacks(state.log.last_index, state.library.commit_index):
            return False
        return state.now - self.answered_at(peer) < self._timeout_s

    def answered_at(self, peer: str) -> float:
        """When this follower is known to have followed us last, in this term."""
        state, at = self._state, NEVER
        if state.pulse is not None:
            at = state.pulse.answered_at(peer, state.group, state.term)
        progress = state.followers.get(peer)
        return at if progress is None else max(at, progress.answered_at)

    def answered(self) -> dict[str, bool]:
        """The voters, and whether each has answered within an election timeout."""
        since = self._state.now - self._timeout_s
        return {peer: self.answered_at(peer) > since for peer in self._state.voters}

    def heartbeat_within(self, delay_s: float) -> None:
        """Bring the next heartbeat forward; one that is due anyway, or an append, serves too."""
        self.heartbeat_at = min(self.heartbeat_at, self._state.now + delay_s)

    def start_round(self) -> int:
        """Start a round of appends, at least heartbeats, which all followers are to answer."""
        self._by_append = self.round = self.round + 1
        self.append_to_all()
        return self.round

    def start_read_round(self) -> int:
        """Start a round whose answers prove that we still lead (thesis 6.4): the slaves' heartbeats
        ask for all groups at once; without them each group asks by an append."""
        state = self._state
        if state.pulse is None:
            return self.start_round()
        self.round += 1
        self._question_round, self._question = self.round, state.pulse.ask(state.voters)
        return self.round

    def confirmed_round(self) -> int:
        """The newest round that a majority has answered."""
        state = self._state
        if not state.voters:
            return self.round
        answered = sorted(map(self._answered_round, state.voters), reverse=True)
        return answered[state.majority - 2]

    def _answered_round(self, voter: str) -> int:
        """The newest that it has answered, to an append, or since its slave has answered the newest
        question."""
        state, progress = self._state, self._state.followers.get(voter)
        answered = 0 if progress is None else progress.answered_round
        if answered >= self._question_round or state.pulse is None:
            return answered
        is_confirmed = state.pulse.confirmed(voter, state.group, state.term) >= self._question
        return self._question_round if is_confirmed else answered

    def append_to(self, peer: str, progress: Progress) -> None:
        """Send what the follower lacks, within its window; a heartbeat if that is nothing."""
        log = self._state.log
        self.heartbeat_within(self._heartbeat_s)
        if progress.following <= log.first_index and not progress.needs_snapshot:
            progress.wait_for_snapshot()
            self._state.changed()
        is_first = True
        while True:
            # A heartbeat to one that needs a snapshot will be refused, but it is one.
            following = max(progress.following, log.first_index + 1)
            entries, size = self._entries_for(progress, following)
            if not entries and not is_first:
                return  # the window is full; what went out is heartbeat enough
            is_first = False
            if not entries and progress.is_under_way(self._state.now, self._timeout_s):
                # On the link it may overtake what is on its way (slave/links/framing.py), so it
                # speaks of what is there already.
                self._emit_append(peer, progress, max(progress.match, log.first_index) + 1, [])
                return
            self._emit_append(peer, progress, following, entries)
            if progress.needs_snapshot or (not entries and progress.state is State.REPLICATE):
                return
            progress.sent(following + len(entries) - 1, size)
            if not entries or progress.following > log.last_index:
                return

    def _entries_for(
        self, progress: Progress, following: int
    ) -> tuple[list[tuple[int, bytes]], int]:
        """(term, command) of what may go in one append, and the bytes of their commands."""
        log, size = self._state.log, 0
        entries: list[tuple[int, bytes]] = []
        if following > log.last_index or not progress.may_send:
            return [], 0
        is_probe = progress.state is State.PROBE
        bytes_max = PROBE_BYTES_MAX if is_probe else APPEND_BYTES_MAX
        for command, _, term in log.between(following, following + APPEND_ENTRIES_MAX - 1):
            if size + len(command) > bytes_max and (entries or is_probe):
                break
            size += len(command)
            entries.append((term, command))
        return entries, size

    def _emit_append(
        self, peer: str, progress: Progress, following: int, entries: list[tuple[int, bytes]]
    ) -> None:
        state = self._state
        commit_index = state.library.commit_index
        progress.tell_commit(commit_index, self.round)
        state.emit(
            peer,
            m.APPEND,
            state.term,
            following - 1,
            state.log.term_at(following - 1),
            commit_index,
            self.round,
            entries,
            # Alone it was elected by its own disk, which must have its term and vote first.
            gate=0 if state.voters else state.log.gate(),
        )

    def on_ack(self, peer: str, term: int, success: bool, index: int, round_: int) -> None:
        """Cures: acks without a term; acks that move the next index back."""
        state = self._state
        state.enter_term(term)
        if term < state.term or not state.is_leader:
            return
        progress = state.followers[peer]
        progress.answered(state.now, round_, index if success else 0)
        log = state.log
        invariant(not success or index <= log.last_index, "an ack beyond the leader's log")
        if not success:
            if progress.refused(index):
                self.append_to(peer, progress)
            return
        if progress.needs_snapshot:
            if index < log.first_index:
                return
            progress.probe(index + 1)  # the snapshot is there
            state.changed()
        if progress.acknowledged(index):
            state.library.set_match(peer, progress.match)
        if progress.following <= log.last_index and progress.may_send:
            self.append_to(peer, progress)

    # -- a follower ------------------------------------------------------------------------------

    def take(
        self,
        previous_index: int,
        previous_term: int,
        commit_index: int,
        entries: list[list[Any]],
    ) -> tuple[bool, int, bool]:
        """Entries of the leader that is followed.  (matches, index, the log has changed): up to
        ``index`` it matches; or that is where the leader should try.

        Cures: matching entries truncated; commit beyond what this message verified."""
        state, log = self._state, self._state.log
        verified = previous_index + len(entries)
        if previous_index < log.first_index:
            # Below our snapshot everything is committed, so it matches (leader completeness).
            if verified <= log.first_index:
                return True, verified, False
            entries = entries[log.first_index - previous_index :]
            previous_index, previous_term = log.first_index, log.entries[0][2]
        ours = log.term_at(previous_index)
        if ours != previous_term:
            hint = log.last_index + 1 if ours is None else self._first_of_term(previous_index)
            return False, hint, False
        has_changed = False
        for position, (entry_term, _) in enumerate(entries):
            index = previous_index + 1 + position
            known = log.term_at(index)
            if known == entry_term:
                continue
            if known is not None:
                log.truncate(index)
            for appended_term, command in entries[position:]:
                log.add(command, index, appended_term)
                index += 1
            has_changed = True
            break
        committed = min(commit_index, verified)
        if committed > state.library.commit_index:
            state.library.commit_index = committed
        return True, verified, has_changed

    def _first_of_term(self, index: int) -> int:
        """The first index of the term at ``index``: the leader skips a whole term at a time."""
        log, commit_index = self._state.log, self._state.library.commit_index
        term = log.term_at(index)
        while index > max(log.first_index, commit_index) + 1:
            if log.term_at(index - 1) != term:
                break
            index -= 1
        return index

    def acknowledge(self, peer: str, success: bool, index: int, round_: int) -> None:
        """Tell the leader how far our log matches its own, or where to try."""
        self._state.emit_gated(peer, m.ACK, self._state.term, success, index, round_)
