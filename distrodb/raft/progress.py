"""What a leader knows of one follower: how far its log matches, and what is on its way there.

The three states are those of etcd's raft (tracker/progress.go):

    probe      the leader does not know where the logs meet: one append at a time, a small one,
               until an answer comes; a heartbeat's time later it is sent again
    replicate  they match up to ``match``: appends follow each other without waiting, within a
               window in entries and bytes
    snapshot   what comes next is not in the log any more: nothing but heartbeats until the follower
               has the snapshot

A refused append leads back to probing, so of what was on its way behind it nothing is sent again
before it is known where to begin.  Pure.

Whether acknowledgements count: those of one that is being taught, or was added a moment ago, count
from ``counts_from`` on (membership.py).
"""

import enum
from collections import deque

STUCK_TIMEOUTS = 2  # election timeouts without an answer to what is on its way; then it is lost
STUCK_BYTES_A_S = 1e6  # and a second more for so many bytes: what is large may take its time
WINDOW_APPENDS = 16  # appends on their way to one follower; beyond, it gets them as it answers
WINDOW_BYTES = 4 << 20  # of commands in them; one larger append may still go alone


class State(enum.Enum):
    PROBE = enum.auto()
    REPLICATE = enum.auto()
    SNAPSHOT = enum.auto()


class Progress:
    __slots__ = (
        "_commit_asked",
        "_front",
        "_front_at",
        "_in_flight",
        "_in_flight_bytes",
        "_round_sent",
        "answered_at",
        "answered_round",
        "commit_told",
        "counts_from",
        "following",
        "is_probing",
        "match",
        "state",
    )

    def __init__(self, now: float, following: int, round_: int):
        """``following``: the index of the entry that it is sent first; ``round_``: the newest
        round that was begun, which it may have answered in an earlier life."""
        self.state = State.PROBE
        self.match = 0  # its log is ours up to there, as far as its word counts
        self.following = following  # the index of the entry that it is sent next
        self.counts_from = 0  # the index from which on its acknowledgements count
        self.answered_at = now  # when it answered last; at first it has the benefit of the doubt
        self.answered_round = 0  # the newest round of which it has answered an append
        self.commit_told = 0  # it knows that so much is committed
        self.is_probing = False  # a probe is on its way
        self._commit_asked = (0, 0)  # (commit index, round whose first append has said so)
        self._round_sent = round_  # the newest round that an append to it had
        self._in_flight: deque[tuple[int, int]] = deque()  # (last index, bytes) of each append
        self._in_flight_bytes = 0
        self._front, self._front_at = (0, 0), 0.0  # the first of them, and since when

    @property
    def needs_snapshot(self) -> bool:
        return self.state is State.SNAPSHOT

    @property
    def may_send(self) -> bool:
        """Entries may go now."""
        if self.state is State.PROBE:
            return not self.is_probing
        is_free = len(self._in_flight) < WINDOW_APPENDS and self._in_flight_bytes < WINDOW_BYTES
        return self.state is State.REPLICATE and is_free

    def is_under_way(self, now: float, timeout_s: float) -> bool:
        """Entries are on their way, as far as can be known: links lose no entries and keep their
        order, but it is not for Raft to rely on it.  Ask each time that a heartbeat is sent."""
        if not self._in_flight:
            return False
        if self._front != self._in_flight[0]:
            self._front, self._front_at = self._in_flight[0], now
        patience_s = STUCK_TIMEOUTS * timeout_s + self._in_flight_bytes / STUCK_BYTES_A_S
        if now - self._front_at < patience_s:
            return True
        self._front_at = now
        return False

    def sent(self, last_index: int, size: int) -> None:
        """An append whose last entry is at ``last_index`` has left."""
        if self.state is State.PROBE:
            self.is_probing = True
        elif last_index >= self.following:
            self.following = last_index + 1
            self._in_flight.append((last_index, size))
            self._in_flight_bytes += size

    def probe(self, following: int) -> None:
        """It is not known any more where the logs meet: look from there."""
        self.state = State.PROBE
        self.following = following
        self.is_probing = False
        self._clear()

    def link_lost(self, first_index: int) -> None:
        """What was on its way, and what it was told, may never have arrived.  ``first_index``: of
        the leader's log."""
        self.commit_told, self._commit_asked = 0, (0, 0)
        self.probe(max(self.match, first_index) + 1)

    def wait_for_snapshot(self) -> None:
        self.state = State.SNAPSHOT
        self._clear()

    def acknowledged(self, index: int) -> bool:
        """Its log matches up to ``index``; whether that counts, and is news."""
        if self.state is State.PROBE:
            self.state = State.REPLICATE
            self.following = max(self.match, index) + 1
        self.following = max(self.following, index + 1)
        while self._in_flight and self._in_flight[0][0] <= index:
            self._in_flight_bytes -= self._in_flight.popleft()[1]
        if index < self.counts_from or index <= self.match:
            return False
        self.counts_from = 0
        self.match = index
        return True

    def refused(self, index: int) -> bool:
        """It has no matching entry before those that came; ``index`` is where to try.  False for an
        answer that is out of date."""
        if self.state is State.SNAPSHOT or index >= self.following:
            return False
        self.probe(max(self.match + 1, index))
        return True

    def answered(self, now: float, round_: int, matched: int) -> None:
        """An append of that round was taken, and its log matches up to ``matched`` by that
        append; 0: it was refused, so nothing that it said of the commit index was heard."""
        self.answered_at = now
        self.answered_round = max(self.answered_round, round_)
        commit_index, since = self._commit_asked
        if round_ >= since:
            self.commit_told = max(self.commit_told, min(commit_index, matched))

    def tell_commit(self, commit_index: int, round_: int) -> None:
        """The append that leaves now says so.  If it is the first one of its round, no append
        of that round or a later one says less, and whichever of them is answered was heard."""
        if round_ > self._round_sent:
            self._round_sent = round_
            if commit_index > self._commit_asked[0]:
                self._commit_asked = commit_index, round_

    def lacks(self, last_index: int, commit_index: int) -> bool:
        """There is something that it does not have yet."""
        return self.match < last_index or self.commit_told < commit_index

    def _clear(self) -> None:
        self._in_flight.clear()
        self._in_flight_bytes = 0
