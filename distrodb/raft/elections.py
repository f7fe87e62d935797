"""Who may stand for election, and who gets a vote: what is replaced in pysyncobj's elections.

A part of ``Member`` (member.py), which holds the state.  pysyncobj itself counts the votes, grants
them, and makes the leader; here it is decided when it may do so:

- PreVote (thesis 9.6): a member stands only after a majority said that it would vote for it;
- stickiness: a member that hears a live leader ignores requests for votes, unless that leader
  asked for the election (leadership transfer);
- terms: whoever speaks in an old term is told the newer one;
- who was removed, has forgotten its log and is taken in again stands aside until the log has come
  past its removal (``Journal.may_vote``).
"""

from typing import Any

from distrodb.raft import messages as m

FOLLOWER, LEADER = 0, 2  # pysyncobj's states

Node = Any  # pysyncobj's


class Elections:
    def _may_stand(self) -> bool:
        """pysyncobj starts an election in its tick as soon as the deadline is over; with PreVote
        (thesis 9.6) that must wait for a majority that would vote for us."""
        if self._SyncObj__transferInProgress:
            return True
        return (
            self._prevote_term == self.term + 1
            and len(self._prevotes & self._connected() & set(self.voters)) + 1 >= self.majority
        )

    def _ask_for_prevotes(self, now: float) -> None:
        self._prevote_term = self.term + 1
        self._prevotes = set()
        if self._SyncObj__raftLeader is not None:  # silent for too long
            self._SyncObj__raftLeader = None
            self._on_state()
        # A round of pre-votes changes nothing, so a lost one is repeated soon.
        self._SyncObj__raftElectionDeadline = now + self._timeout * self._between(0.05, 0.15)
        for peer in self.voters:
            self.emit(
                peer,
                m.PREVOTE_REQUEST,
                self._prevote_term,
                self.journal.last_index,
                self.journal.last_term,
            )

    def _on_prevote_request(self, node: Node, term: int, last_index: int, last_term: int) -> None:
        if term <= self.term:
            self.emit(node.id, m.STALE, self.term, gate=self.journal.gate())
        elif not self.journal.may_vote or self._leader_is_alive():
            return
        elif self._is_up_to_date(last_index, last_term):
            self.emit(node.id, m.PREVOTE, term)

    def _on_vote_request(
        self, node: Node, term: int, last_index: int, last_term: int, transfer: bool
    ) -> None:
        """Cures: no stickiness (a member that was cut off unseats a healthy leader)."""
        if term < self.term:
            self.emit(node.id, m.STALE, self.term, gate=self.journal.gate())
        elif self.journal.may_vote and (transfer or not self._leader_is_alive()):
            self._SyncObj__onMessageReceived(
                node,
                {
                    "type": "request_vote",
                    "term": term,
                    "last_log_index": last_index,
                    "last_log_term": last_term,
                },
            )
            self._on_state()

    def _leader_is_alive(self) -> bool:
        """As this member sees it.  A leader steps down by itself once it hears no majority."""
        if self.is_leader:
            return True
        return not self._leader_link_broken and self.now - self._heard_at < self._timeout

    def _is_up_to_date(self, last_index: int, last_term: int) -> bool:
        return (last_term, last_index) >= (self.journal.last_term, self.journal.last_index)

    def _newer_term(self, term: int) -> None:
        """Somebody is in a newer term.  Cures: a leader of an old term is never told."""
        if term > self.term:
            self._SyncObj__setCurrentTerm(term, None)
            self._SyncObj__raftLeader = None
            self._SyncObj__setState(FOLLOWER)
            self._on_state()

    def _state_changed(self, state: int) -> None:
        if state == LEADER:
            self._rounds = {}
            self._unacknowledged = {}
            self._counts_from = {}
        self.needs_snapshot = set()
        self.learners = {}
        self._peers = dict(self.voters)
        self._prevotes = set()
        self._on_state()
