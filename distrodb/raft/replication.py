"""How a leader's log reaches its followers: what is replaced in pysyncobj's replication.

A part of ``Member`` (member.py), which holds the state.  Invariants:

- a follower removes entries only from the first one whose term differs, never a committed one, and
  commits no further than the message at hand has verified;
- a leader counts an acknowledgement of its own term only, and commits only what is on its own disk;
- what is under way to one follower is bounded, however far it lags.
"""

from collections import deque
from collections.abc import Collection
from typing import Any

from distrodb.errors import invariant
from distrodb.raft import messages as m
from distrodb.raft.journal import Entry

APPEND_BYTES_MAX = 1 << 20  # of commands in one append: bounds a frame; a larger entry goes alone
APPEND_ENTRIES_MAX = 4096  # the same for tiny ones
# Per follower and group, what may be under way: bounds what a slow one makes the leader send.
UNACKNOWLEDGED_MAX = 16
UNACKNOWLEDGED_BYTES_MAX = 4 << 20

Node = Any  # pysyncobj's


class Replication:
    def _SyncObj__sendAppendEntries(self) -> None:
        """Cures: chunks cut by the wrong length; an unbounded burst to a follower that lags."""
        self._SyncObj__newAppendEntriesTime = self.now + self.conf.appendEntriesPeriod
        for node in self._peers.values():
            if node in self._SyncObj__connectedNodes:
                self._send_append(node)

    def _send_append(self, node: Node) -> None:
        """Send what the follower lacks, within the window; a heartbeat if that is nothing."""
        journal, peer = self.journal, node.id
        following = self._SyncObj__raftNextIndex[node]
        if following <= journal.first_index:
            self.needs_snapshot.add(peer)
            following = journal.first_index + 1  # a heartbeat it will refuse, but it is one
        unacknowledged = self._unacknowledged.setdefault(peer, deque())
        is_first = True
        while True:
            entries: list[tuple[int, bytes]] = []
            size = 0
            if peer not in self.needs_snapshot and self._has_room(unacknowledged):
                last = min(journal.last_index, following + APPEND_ENTRIES_MAX)
                for command, _, term in journal.between(following, last):
                    size += len(command)
                    if entries and size > APPEND_BYTES_MAX:
                        break
                    entries.append((term, command))
            if not entries and not is_first:
                return  # the window is full; what went out is heartbeat enough
            is_first = False
            self.emit(
                peer,
                m.APPEND,
                self.term,
                following - 1,
                journal.term_at(following - 1),
                self.commit_index,
                self._round,
                entries,
                # Alone it was elected by its own disk, which must have its term and vote first.
                gate=0 if self.voters else journal.gate(),
            )
            if not entries:
                return
            following += len(entries)
            self._SyncObj__raftNextIndex[node] = following
            unacknowledged.append((following - 1, size))
            if following > journal.last_index:
                return

    def backlog(self, peer: str) -> int:
        """How many entries a follower lacks; 0 also when it cannot be reached, or needs a snapshot
        anyway."""
        node = self._peers.get(peer)
        if node not in self._SyncObj__connectedNodes or peer in self.needs_snapshot:
            return 0
        return self.journal.last_index - self._SyncObj__raftMatchIndex[node]

    @staticmethod
    def _has_room(unacknowledged: Collection[tuple[int, int]]) -> bool:
        if len(unacknowledged) >= UNACKNOWLEDGED_MAX:
            return False
        return sum(size for _, size in unacknowledged) < UNACKNOWLEDGED_BYTES_MAX

    def _on_append(
        self,
        node: Node,
        term: int,
        previous_index: int,
        previous_term: int,
        commit_index: int,
        round_: int,
        entries: list,
    ) -> None:
        """Cures: matching entries truncated; commit beyond what this message verified."""
        if not self.follow(self.now, node.id, term):
            return
        journal = self.journal
        verified = previous_index + len(entries)
        if previous_index < journal.first_index:
            # Below our snapshot everything is committed, so it matches (leader completeness).
            if verified <= journal.first_index:
                return self.acknowledge(node.id, verified, round_)
            entries = entries[journal.first_index - previous_index :]
            previous_index, previous_term = journal.first_index, journal.entries[0][2]
        ours = journal.term_at(previous_index)
        if ours != previous_term:
            hint = journal.last_index + 1 if ours is None else self._first_of_term(previous_index)
            self.emit(node.id, m.ACK, self.term, False, hint, round_, gate=journal.gate())
            return
        for position, (entry_term, _) in enumerate(entries):
            index = previous_index + 1 + position
            known = journal.term_at(index)
            if known == entry_term:
                continue
            if known is not None:
                journal.truncate(index)
            for appended_term, command in entries[position:]:
                journal.add(command, index, appended_term)
                index += 1
            self._use_configuration()
            break
        if commit_index > self.commit_index:
            self._set_commit_index(max(self.commit_index, min(commit_index, verified)))
        self.acknowledge(node.id, verified, round_)

    def _first_of_term(self, index: int) -> int:
        """The first index of the term at ``index``: the leader skips a whole term at a time."""
        journal = self.journal
        term = journal.term_at(index)
        while index > max(journal.first_index, self.commit_index) + 1:
            if journal.term_at(index - 1) != term:
                break
            index -= 1
        return index

    def _on_ack(self, node: Node, term: int, success: bool, index: int, round_: int) -> None:
        """Cures: acks without a term; acks that move the next index back."""
        if term > self.term:
            return self._newer_term(term)
        if term < self.term or not self.is_leader:
            return
        peer = node.id
        self._SyncObj__lastResponseTime[node] = self.now
        self._rounds[peer] = max(self._rounds.get(peer, 0), round_)
        invariant(not success or index <= self.journal.last_index, "an ack beyond the leader's log")
        if not success:
            if peer not in self.needs_snapshot:
                matched = self._SyncObj__raftMatchIndex[node]
                following = max(matched + 1, min(index, self.journal.last_index + 1))
                if following < self._SyncObj__raftNextIndex[node]:
                    self._SyncObj__raftNextIndex[node] = following
                    self._unacknowledged.pop(peer, None)
                    self._send_append(node)
            return
        unacknowledged = self._unacknowledged.get(peer)
        while unacknowledged and unacknowledged[0][0] <= index:
            unacknowledged.popleft()
        matched, following = self._SyncObj__raftMatchIndex, self._SyncObj__raftNextIndex
        if index >= self._counts_from.get(peer, 0):
            self._counts_from.pop(peer, None)
            matched[node] = max(matched[node], index)
        following[node] = max(following[node], index + 1)
        if peer in self.needs_snapshot and index >= self.journal.first_index:
            self.needs_snapshot.discard(peer)
            self._SyncObj__raftNextIndex[node] = index + 1
        if index == self._SyncObj__raftNextIndex[node] - 1:
            self._unacknowledged.pop(peer, None)
        if peer in self.needs_snapshot or following[node] > self.journal.last_index:
            return
        if self._has_room(self._unacknowledged.get(peer, ())):
            self._send_append(node)

    def _SyncObj__getEntries(
        self, index: int, count: int | None = None, bytes_max: int | None = None
    ) -> list[Entry]:
        """Cures: a leader counts itself at once.  Its own fsync must come first (thesis 10.2.1), so
        the commit rule, which asks here for each entry above the commit index, does not yet find
        one that is not on our own disk."""
        is_not_yet_ours = index > self.commit_index and index > self.journal.durable_index
        if is_not_yet_ours or index < self.journal.first_index:
            return []
        return self.journal.between(index, index + (count or len(self.journal)) - 1)
