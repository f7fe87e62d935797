"""pysyncobj made safe: one Raft member.  The only module that imports pysyncobj.

pysyncobj 0.3.17 keeps the state (term, vote, log, commit index, match indexes) and runs the
elections, the commit rule, the apply loop and leadership transfer.  This subclass replaces, under
their mangled names, the parts of it that lose acknowledged writes; each replaced part says which
fault it cures (the list with its evidence is docs/pysyncobj.md).

It does no I/O and reads no clock: ``now`` (monotonic seconds) comes in with each call; messages
leave through ``send``, changes of the log through the journal.

The contract with whoever drives it (compare etcd/raft's ``Ready``):

    A message handed to ``send`` with a gate g > 0 must not leave the process before the write
    set g is on disk.  An APPEND has gate 0: a leader's entries may travel while its own commit
    runs, because acknowledgements count only up to ``journal.durable_index``.
    ``tick`` must be called after ``receive`` before the results of the call can be seen, and a
    group that is its own majority must not be ticked while its journal has undurable writes.
"""

import random
import zlib
from collections.abc import Callable, Iterable

from pysyncobj import syncobj
from pysyncobj.config import FAIL_REASON, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from distrodb.errors import invariant
from distrodb.raft import messages as m
from distrodb.raft.journal import NO_OP, Journal

APPEND_BYTES_MAX = 1 << 20  # of commands in one append: bounds a frame; a larger entry goes alone
APPENDS_UNACKNOWLEDGED_MAX = 16  # per follower: bounds what a slow one makes the leader send

_REGULAR = b"\x00"  # pysyncobj's command type of an entry for the state machine
_FOLLOWER, _LEADER = 0, 2

_now = 0.0


class _Silent:
    """Stands in for pysyncobj's poller: our sockets belong to the slave's event loop."""

    def poll(self, timeout: float) -> None: ...

    def subscribe(self, *_: object) -> None: ...

    def unsubscribe(self, *_: object) -> None: ...


# The three seams of pysyncobj, replaced once for the process.
syncobj.monotonicTime = lambda: _now
syncobj.createPoller = lambda kind: _Silent()
syncobj.createJournal = lambda journal: journal


class Member(Node):
    """A member of a group.  Its hash does not depend on PYTHONHASHSEED, so that the order in which
    pysyncobj walks its sets of nodes is the same in every run."""

    def __hash__(self) -> int:
        return zlib.crc32(self.id.encode())


class _Outbox(Transport):
    """Takes what pysyncobj itself sends (votes and leadership transfers) into our messages."""

    def __init__(self, engine: "Engine"):
        super().__init__(None, None, None)
        self._engine = engine

    def send(self, node: Node, message: dict) -> bool:
        self._engine.send_library_message(node, message)
        return True


class Engine(syncobj.SyncObj):
    """One member of one Raft group.

    ``apply`` is called with (index, payload) for each committed entry, in order, exactly once
    a process lifetime; what it returns is passed to the proposer's callback.
    ``send(peer, message, gate)`` takes what leaves.
    """

    def __init__(
        self,
        now: float,
        group: int,
        member: str,
        members: Iterable[str],
        journal: Journal,
        *,
        heartbeat_s: float,
        election_timeout_s: float,
        generator: random.Random,
        apply: Callable[[int, bytes], object],
        send: Callable[[str, m.Message, int], None],
        on_state: Callable[[], None],
    ):
        self.group, self.member, self.journal = group, member, journal
        self._apply, self._send, self._on_state = apply, send, on_state
        self._generator = generator
        self._timeout = election_timeout_s
        self._heard_at = -1e9  # when a leader of the current term was last heard
        self._leader_link_broken = False
        self._prevotes: set[str] = set()
        self._prevote_term = 0
        self._votes: set[tuple[int, str]] = set()
        self._transferred = False  # the election under way was asked for by the old leader
        self._round = 0
        self._rounds: dict[str, int] = {}
        self._unacknowledged: dict[str, int] = {}
        self._held: dict[str, int] = {}  # acks above our own durable index
        self.needs_snapshot: set[str] = set()  # peers whose next entry is compacted away
        self.alone = set(members) == {member}
        self._peers = {peer: Member(peer) for peer in sorted(members) if peer != member}
        self._at(now)
        conf = SyncObjConf(
            autoTick=False,
            appendEntriesUseBatch=True,  # else pysyncobj opens a pipe for each group
            appendEntriesPeriod=heartbeat_s,
            raftMinTimeout=election_timeout_s,
            raftMaxTimeout=election_timeout_s * 2,
            connectionTimeout=election_timeout_s * 2,
            leaderFallbackTimeout=election_timeout_s,  # step down without a majority
            commandsQueueSize=0,
            journalFile=journal,
            onStateChanged=lambda old, new: self._state_changed(new),
        )
        super().__init__(
            Member(member), self._peers.values(), conf, nodeClass=Member, transport=_Outbox(self)
        )
        self._SyncObj__raftLastApplied = journal.meta.snapshot_index
        self._SyncObj__raftCommitIndex = max(
            journal.meta.snapshot_index, self._SyncObj__raftCommitIndex
        )

    # -- what is going on --------------------------------------------------------------------

    @property
    def term(self) -> int:
        return self._SyncObj__raftCurrentTerm

    @property
    def leader(self) -> str | None:
        """The leader of the current term as far as this member knows."""
        node = self._SyncObj__raftLeader
        return None if node is None else node.id

    @property
    def is_leader(self) -> bool:
        return self._SyncObj__raftState == _LEADER

    @property
    def is_ready(self) -> bool:
        """Leads, and an entry of its own term is applied: may read and propose (thesis 6.4)."""
        return self.is_leader and self.applied_index >= self._SyncObj__noopIDx

    @property
    def applied_index(self) -> int:
        return self._SyncObj__raftLastApplied

    @property
    def commit_index(self) -> int:
        return self._SyncObj__raftCommitIndex

    @property
    def peers(self) -> list[str]:
        return list(self._peers)

    def is_connected(self, peer: str) -> bool:
        return self._peers[peer] in self._SyncObj__connectedNodes

    @property
    def majority(self) -> int:
        return (len(self._peers) + 1) // 2 + 1

    # -- what comes in -----------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Let time pass: elections, the commit rule, the apply loop, heartbeats."""
        self._at(now)
        if self.alone and self.journal.gate():
            return
        if not self.is_leader and now > self._SyncObj__raftElectionDeadline and self._peers:
            if not self._may_stand():
                self._ask_for_prevotes(now)
                return
        before = self.term
        self.doTick(0)
        self._transferred = False
        if self.term != before and not self.is_leader:
            # A split vote is settled sooner than a dead leader is noticed.
            self._SyncObj__raftElectionDeadline = now + self._timeout * self._between(0.2, 0.5)

    def stand_at_once(self, now: float, delay_s: float = 0.0) -> None:
        """Stand for election after ``delay_s``: the owner at boot, or when the leader is gone."""
        self._SyncObj__raftElectionDeadline = min(
            self._SyncObj__raftElectionDeadline, now + delay_s
        )

    def propose(self, now: float, payload: bytes, callback: Callable[[object, int], None]) -> None:
        """Append one entry and send it.  Only while ``is_ready``.

        ``callback(result of apply, 0)`` when it is applied, ``callback(None, reason)`` when
        another entry took its place: then it surely did not happen.
        """
        self._at(now)
        invariant(self.is_leader, "only a leader proposes")
        self._applyCommand(payload, callback, _REGULAR[0])
        self._checkCommandsToApply()
        self._SyncObj__sendAppendEntries()

    def start_round(self, now: float) -> int:
        """Start a read round: a heartbeat whose acknowledgements prove that we still lead."""
        self._at(now)
        self._round += 1
        self._SyncObj__sendAppendEntries()
        return self._round

    def confirmed_round(self) -> int:
        """The newest read round that a majority has answered."""
        if not self._peers:
            return self._round
        answered = sorted((self._rounds.get(p, 0) for p in self._peers), reverse=True)
        return answered[self.majority - 2]

    def on_durable(self, now: float, sequence: int) -> None:
        self._at(now)
        self.journal.on_durable(sequence)
        if self._held and self.is_leader:
            held, self._held = self._held, {}
            for peer, index in held.items():
                self._matched(peer, index)

    def link_up(self, now: float, peer: str) -> None:
        self._at(now)
        node = self._peers[peer]
        self._SyncObj__onNodeConnected(node)
        if self.is_leader:  # what was under way on the old link is lost
            matched = max(self._SyncObj__raftMatchIndex[node], self.journal.first_index)
            self._SyncObj__raftNextIndex[node] = matched + 1
            self._unacknowledged[peer] = 0
            self._send_append(node)

    def link_down(self, now: float, peer: str, delay_s: float) -> None:
        """The link broke.  If it led to the leader, an election starts after ``delay_s``."""
        self._at(now)
        self._SyncObj__onNodeDisconnected(self._peers[peer])
        self.needs_snapshot.discard(peer)
        if self.leader == peer:
            self._leader_link_broken = True
            self._SyncObj__raftLeader = None
            self.stand_at_once(now, delay_s)
            self._on_state()

    def receive(self, now: float, peer: str, message: m.Message) -> None:
        """A checked message of this group came from ``peer``."""
        self._at(now)
        node = self._peers.get(peer)
        if node is None:
            return
        kind, term = message[1], message[2]
        if kind == m.APPEND:
            self._on_append(node, *message[2:])
        elif kind == m.ACK:
            self._on_ack(node, *message[2:])
        elif kind == m.VOTE_REQUEST:
            self._on_vote_request(node, *message[2:])
        elif kind == m.VOTE:
            if term == self.term and (term, peer) not in self._votes:  # pysyncobj counts both
                self._votes = {vote for vote in self._votes if vote[0] == term} | {(term, peer)}
                self._SyncObj__onMessageReceived(node, {"type": "response_vote", "term": term})
        elif kind == m.PREVOTE_REQUEST:
            self._on_prevote_request(node, *message[2:])
        elif kind == m.PREVOTE:
            if term == self._prevote_term == self.term + 1 and not self.is_leader:
                self._prevotes.add(peer)
                if self._may_stand():
                    self._SyncObj__raftElectionDeadline = 0.0
        elif kind == m.TIMEOUT_NOW:
            if term == self.term and self.leader == peer:
                self._transferred = True
                self._SyncObj__onMessageReceived(node, {"type": "timeout_now", "term": term})
        elif kind == m.STALE:
            self._newer_term(term)

    def transfer_leadership(self, now: float) -> bool:
        """Ask the most caught-up follower to take over (thesis 3.10); False when none can."""
        self._at(now)
        if not self.is_leader or not self._peers:
            return False
        reasons: list[int] = []
        self.transferLeadership(None, lambda _, reason: reasons.append(reason))
        return reasons == [FAIL_REASON.SUCCESS]

    def follow(self, now: float, peer: str, term: int) -> bool:
        """A message of a leader came; False when it is of an older term (and was told so)."""
        self._at(now)
        if term < self.term:
            self.emit(peer, m.STALE, self.term, gate=self.journal.gate())
            return False
        invariant(term > self.term or not self.is_leader, "two leaders in one term")
        if term > self.term:
            self._SyncObj__transferInProgress = False
            self._SyncObj__setCurrentTerm(term, None)
        before = self.leader
        if not self._SyncObj__transferInProgress:
            self._SyncObj__raftElectionDeadline = now + self._SyncObj__generateRaftTimeout()
        self._SyncObj__raftLeader = self._peers[peer]
        self._SyncObj__setState(_FOLLOWER)
        self._heard_at, self._leader_link_broken = now, False
        if before != peer:
            self._on_state()
        return True

    def install(self, now: float, index: int, term: int) -> bool:
        """A snapshot at ``index`` from the leader is durable; False if it is no news."""
        self._at(now)
        if index <= self.applied_index:
            return False
        if self.journal.term_at(index) == term:
            self.journal.compact(index, index, term)
        else:
            self.journal.reset(index, term)
        waiting = self._SyncObj__commandsWaitingCommit
        for position in [p for p in waiting if p <= index]:
            for _, callback in waiting.pop(position):
                callback(None, FAIL_REASON.UNKNOWN_OUTCOME)
        self._SyncObj__raftLastApplied = index
        self._set_commit_index(max(index, self.commit_index))
        return True

    def acknowledge(self, peer: str, index: int, round_: int) -> None:
        """Tell the leader that our log matches its own up to ``index``."""
        self.emit(peer, m.ACK, self.term, True, index, round_, gate=self.journal.gate())

    def emit(self, peer: str, kind: int, *fields: object, gate: int = 0) -> None:
        self._send(peer, [self.group, kind, *fields], gate)

    # -- elections ---------------------------------------------------------------------------

    def _may_stand(self) -> bool:
        """pysyncobj starts an election in its tick as soon as the deadline is over; with PreVote
        (thesis 9.6) that must wait for a majority that would vote for us."""
        if self._SyncObj__transferInProgress:
            return True
        return (
            self._prevote_term == self.term + 1
            and len(self._prevotes & self._connected()) + 1 >= self.majority
        )

    def _ask_for_prevotes(self, now: float) -> None:
        self._prevote_term = self.term + 1
        self._prevotes = set()
        if self._SyncObj__raftLeader is not None:  # silent for too long
            self._SyncObj__raftLeader = None
            self._on_state()
        # A round of pre-votes changes nothing, so a lost one is repeated soon.
        self._SyncObj__raftElectionDeadline = now + self._timeout * self._between(0.05, 0.15)
        for peer in self._peers:
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
        elif not self._leader_is_alive() and self._is_up_to_date(last_index, last_term):
            self.emit(node.id, m.PREVOTE, term)

    def _on_vote_request(
        self, node: Node, term: int, last_index: int, last_term: int, transfer: bool
    ) -> None:
        """Cures: no stickiness (a member that was cut off unseats a healthy leader)."""
        if term < self.term:
            self.emit(node.id, m.STALE, self.term, gate=self.journal.gate())
        elif transfer or not self._leader_is_alive():
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
        return not self._leader_link_broken and _now - self._heard_at < self._timeout

    def _is_up_to_date(self, last_index: int, last_term: int) -> bool:
        return (last_term, last_index) >= (self.journal.last_term, self.journal.last_index)

    def _newer_term(self, term: int) -> None:
        """Somebody is in a newer term.  Cures: a leader of an old term is never told."""
        if term > self.term:
            self._SyncObj__setCurrentTerm(term, None)
            self._SyncObj__raftLeader = None
            self._SyncObj__setState(_FOLLOWER)
            self._on_state()

    def _state_changed(self, state: int) -> None:
        if state == _LEADER:
            self._rounds = {}
            self._unacknowledged = {}
            self.needs_snapshot = set()
        self._held = {}
        self._prevotes = set()
        self._on_state()

    def send_library_message(self, node: Node, message: dict) -> None:
        """Votes and transfers, which pysyncobj writes as dictionaries."""
        kind, term = message["type"], message["term"]
        gate = self.journal.gate()
        if kind == "request_vote":
            last_index, last_term = message["last_log_index"], message["last_log_term"]
            fields = (term, last_index, last_term, self._transferred)
            self.emit(node.id, m.VOTE_REQUEST, *fields, gate=gate)
        elif kind == "response_vote":
            self.emit(node.id, m.VOTE, term, gate=gate)
        elif kind == "timeout_now":
            self.emit(node.id, m.TIMEOUT_NOW, term, gate=gate)

    # -- replication -------------------------------------------------------------------------

    def _SyncObj__sendAppendEntries(self) -> None:
        """Cures: chunks cut by the wrong length; an unbounded burst to a follower that lags."""
        self._SyncObj__newAppendEntriesTime = _now + self.conf.appendEntriesPeriod
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
        while True:
            entries: list[tuple[int, bytes]] = []
            if (
                peer not in self.needs_snapshot
                and self._unacknowledged.get(peer, 0) < APPENDS_UNACKNOWLEDGED_MAX
            ):
                size = 0
                for command, _, term in journal.between(following, journal.last_index):
                    size += len(command)
                    if entries and size > APPEND_BYTES_MAX:
                        break
                    entries.append((term, command))
            self.emit(
                peer,
                m.APPEND,
                self.term,
                following - 1,
                journal.term_at(following - 1),
                self.commit_index,
                self._round,
                entries,
            )
            if not entries:
                return
            following += len(entries)
            self._SyncObj__raftNextIndex[node] = following
            self._unacknowledged[peer] = self._unacknowledged.get(peer, 0) + 1
            if following > journal.last_index:
                return

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
        if not self.follow(_now, node.id, term):
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
        self._SyncObj__lastResponseTime[node] = _now
        self._rounds[peer] = max(self._rounds.get(peer, 0), round_)
        invariant(not success or index <= self.journal.last_index, "an ack beyond the leader's log")
        if not success:
            if peer not in self.needs_snapshot:
                matched = self._SyncObj__raftMatchIndex[node]
                following = max(matched + 1, min(index, self.journal.last_index + 1))
                if following < self._SyncObj__raftNextIndex[node]:
                    self._SyncObj__raftNextIndex[node] = following
                    self._unacknowledged[peer] = 0
                    self._send_append(node)
            return
        if self._unacknowledged.get(peer, 0):
            self._unacknowledged[peer] -= 1
        self._matched(peer, index)
        if peer in self.needs_snapshot and index >= self.journal.first_index:
            self.needs_snapshot.discard(peer)
            self._SyncObj__raftNextIndex[node] = index + 1
        if index == self._SyncObj__raftNextIndex[node] - 1:
            self._unacknowledged[peer] = 0
        if self._SyncObj__raftNextIndex[node] <= self.journal.last_index:
            self._send_append(node)

    def _matched(self, peer: str, index: int) -> None:
        """Count an ack, but only up to our own durable index: pysyncobj counts the leader itself
        at once, so its own fsync must come first (thesis 10.2.1)."""
        durable = self.journal.durable_index
        if index > durable:
            self._held[peer] = max(self._held.get(peer, 0), index)
            index = durable
        node = self._peers[peer]
        if index > self._SyncObj__raftMatchIndex[node]:
            self._SyncObj__raftMatchIndex[node] = index
        following = self._SyncObj__raftNextIndex
        following[node] = max(following[node], self._SyncObj__raftMatchIndex[node] + 1)

    # -- the rest of what is replaced in pysyncobj -------------------------------------------

    def _SyncObj__doApplyCommand(self, command: bytes) -> object:
        """Cures: pickle in the log.  The payload of an entry is the state machine's own."""
        if command[:1] == _REGULAR:
            return self._apply(self.applied_index + 1, command[1:])
        return None

    def _SyncObj__parseChangeClusterRequest(self, command: bytes) -> None:
        """Cures: pickle in membership entries.  Groups do not change their members yet."""

    def _SyncObj__tryLogCompaction(self) -> None:
        """Snapshots are the group's business: see group.py."""

    def _SyncObj__generateRaftTimeout(self) -> float:
        return self._timeout * self._between(1.0, 2.0)

    def _between(self, low: float, high: float) -> float:
        return low + (high - low) * self._generator.random()

    def _connected(self) -> set[str]:
        return {node.id for node in self._SyncObj__connectedNodes}

    def _set_commit_index(self, index: int) -> None:
        self._SyncObj__raftCommitIndex = index
        self.journal.setRaftCommitIndex(index)

    def _at(self, now: float) -> None:
        global _now
        _now = now


__all__ = ["FAIL_REASON", "NO_OP", "Engine"]
