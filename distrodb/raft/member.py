"""pysyncobj made safe: one Raft member.  The only module that imports pysyncobj.

pysyncobj 0.3.17 keeps the state (term, vote, log, commit index, match indexes) and runs the
elections, the commit rule, the apply loop and leadership transfer.  This subclass replaces, under
their mangled names, the parts of it that lose acknowledged writes (elections.py, replication.py and
membership.py hold most of them); each says which fault it cures (the list is docs/pysyncobj.md).

It does no I/O and reads no clock: ``now`` (monotonic seconds) comes in with each call; messages
leave through ``send``, changes of the log through the journal.

The contract with whoever drives it (compare etcd/raft's ``Ready``):

    A message handed to ``send`` with a gate g > 0 must not leave the process before the write
    set g is on disk.  An APPEND has gate 0: a leader's entries may travel while its own commit
    runs, because it commits only up to ``journal.durable_index``.
    ``tick`` must be called after ``receive`` before the results of the call can be seen.
"""

import random
import zlib
from collections import deque
from collections.abc import Callable, Iterable

from pysyncobj import syncobj
from pysyncobj.config import FAIL_REASON, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from distrodb.errors import invariant
from distrodb.raft import messages as m
from distrodb.raft.elections import FOLLOWER, LEADER, Elections
from distrodb.raft.journal import Configuration, Journal
from distrodb.raft.membership import Membership
from distrodb.raft.replication import Replication

_REGULAR = b"\x00"  # pysyncobj's command type of an entry for the state machine

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


class Peer(Node):
    """A member of a group.  Its hash does not depend on PYTHONHASHSEED, so that the order in which
    pysyncobj walks its sets of nodes is the same in every run."""

    def __init__(self, name: str):
        super().__init__(name)
        self._hash = zlib.crc32(name.encode())

    def __hash__(self) -> int:
        return self._hash


class _Outbox(Transport):
    """Takes what pysyncobj itself sends (votes and leadership transfers) into our messages."""

    def __init__(self, member: "Member"):
        super().__init__(None, None, None)
        self._member = member

    def send(self, node: Node, message: dict) -> bool:
        self._member.send_library_message(node, message)
        return True


class Member(Elections, Replication, Membership, syncobj.SyncObj):
    """One member of one Raft group.  Its log is begun, or loaded; its members are in there.

    ``apply`` is called with (index, payload) for each committed entry, in order, exactly once
    a process lifetime; what it returns is passed to the proposer's callback.
    ``send(peer, message, gate)`` takes what leaves.
    """

    def __init__(
        self,
        now: float,
        group: int,
        member: str,
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
        # Per peer the appends under way: (last index, bytes of commands) of each.
        self._unacknowledged: dict[str, deque[tuple[int, int]]] = {}
        self.needs_snapshot: set[str] = set()  # peers whose next entry is compacted away
        self.voters: dict[str, Peer] = {}  # the other members
        self.learners: dict[str, Peer] = {}  # of the leader: those that are to become members
        self._peers: dict[str, Peer] = {}  # both
        self._is_named = False  # by the configuration in force
        # Per learner, and voter that was one, the index from which on its acknowledgements count
        # (membership.py).
        self._counts_from: dict[str, int] = {}
        self._configuration: Configuration | None = None
        # The members of the next one, the read round by which they were asked for it, and when.
        self._change_asked: tuple[set[str], int, float] | None = None
        # Index of a committed configuration without this member, when a leader has let it go.
        self.left_at: int | None = None
        self._leave_number = 0  # of what was asked last, if that stands
        self._ask_to_leave_at = now
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
        super().__init__(Peer(member), (), conf, nodeClass=Peer, transport=_Outbox(self))
        self._use_configuration()
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
        return self._SyncObj__raftState == LEADER

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
    def is_member(self) -> bool:
        return self._is_named and self.journal.may_vote

    @property
    def members(self) -> tuple[str, ...]:
        return self.journal.configuration.members

    @property
    def majority(self) -> int:
        return (len(self.voters) + 1) // 2 + 1

    # -- what comes in -----------------------------------------------------------------------

    def is_due(self, now: float) -> bool:
        """Something is to be done by the clock: a heartbeat (a leader also looks then whether it
        still has a majority), or an election."""
        if self.is_leader:
            return now > self._SyncObj__newAppendEntriesTime
        return now > self._SyncObj__raftElectionDeadline

    def tick(self, now: float) -> None:
        """Let time pass: elections, the commit rule, the apply loop, heartbeats."""
        self._at(now)
        if not self.is_leader and now > self._SyncObj__raftElectionDeadline:
            if not self.is_member:
                self._SyncObj__raftElectionDeadline = now + self._timeout
            elif self.voters and not self._may_stand():
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

    def heartbeat_within(self, delay_s: float) -> None:
        """Bring the next heartbeat forward; one that is due anyway, or an append, serves too."""
        self._SyncObj__newAppendEntriesTime = min(
            self._SyncObj__newAppendEntriesTime, self.now + delay_s
        )

    def confirmed_round(self) -> int:
        """The newest read round that a majority has answered."""
        if not self.voters:
            return self._round
        answered = sorted((self._rounds.get(p, 0) for p in self.voters), reverse=True)
        return answered[self.majority - 2]

    def link_up(self, now: float, peer: str) -> None:
        self._at(now)
        node = self._node(peer)
        self._SyncObj__onNodeConnected(node)
        if self.is_leader and peer in self._peers:  # what was under way on the old link is lost
            matched = max(self._SyncObj__raftMatchIndex[node], self.journal.first_index)
            self._SyncObj__raftNextIndex[node] = matched + 1
            self._unacknowledged.pop(peer, None)
            self._send_append(node)

    def link_down(self, now: float, peer: str, delay_s: float) -> None:
        """The link broke.  If it led to the leader, an election starts after ``delay_s``."""
        self._at(now)
        self._SyncObj__onNodeDisconnected(self._node(peer))
        self.needs_snapshot.discard(peer)
        if self.leader == peer:
            self._leader_link_broken = True
            self._SyncObj__raftLeader = None
            self.stand_at_once(now, delay_s)
            self._on_state()

    def receive(self, now: float, peer: str, message: m.Message) -> None:
        """A checked message of this group came from ``peer``."""
        self._at(now)
        node = self._node(peer)
        kind, term = message[1], message[2]
        if kind == m.APPEND:
            self._on_append(node, *message[2:])
        elif kind == m.VOTE_REQUEST:
            self._on_vote_request(node, *message[2:])
        elif kind == m.PREVOTE_REQUEST:
            self._on_prevote_request(node, *message[2:])
        elif kind == m.LEAVE_REQUEST:
            self._on_leave_request(node, *message[2:])
        elif kind == m.LEAVE:
            self._on_leave(*message[2:])
        elif peer not in self._peers:
            return  # the rest counts from members only
        elif kind == m.ACK:
            self._on_ack(node, *message[2:])
        elif kind == m.VOTE and peer in self.voters:
            if term == self.term and (term, peer) not in self._votes:  # pysyncobj counts both
                self._votes = {vote for vote in self._votes if vote[0] == term} | {(term, peer)}
                self._SyncObj__onMessageReceived(node, {"type": "response_vote", "term": term})
        elif kind == m.PREVOTE and peer in self.voters:
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

    def transfer_leadership(self, now: float, candidates: Iterable[str]) -> bool:
        """Ask a follower that has the whole log to take over (thesis 3.10), if there is one."""
        self._at(now)
        for peer in candidates:
            node = self.voters.get(peer)
            if node and self._SyncObj__raftMatchIndex[node] == self.journal.last_index:
                self.transferLeadership(node)
                return True
        return False

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
        self._stay()
        self._prevotes, self._prevote_term = set(), 0
        if not self._SyncObj__transferInProgress:
            self._SyncObj__raftElectionDeadline = now + self._SyncObj__generateRaftTimeout()
        self._SyncObj__raftLeader = self._node(peer)
        self._SyncObj__setState(FOLLOWER)
        self._heard_at, self._leader_link_broken = now, False
        if before != peer:
            self._on_state()
        return True

    def install(self, now: float, term: int, configuration: Configuration) -> bool:
        """A leader's snapshot at ``configuration.index`` is durable; False if it is no news."""
        self._at(now)
        index = configuration.index
        if index <= self.applied_index:
            return False
        if self.journal.term_at(index) == term:
            self.journal.compact(index, index, term)
        else:
            self.journal.reset(index, term, configuration)
        self._use_configuration()
        waiting = self._SyncObj__commandsWaitingCommit
        for position in [p for p in waiting if p <= index]:
            for _, callback in waiting.pop(position):
                callback(None, FAIL_REASON.UNKNOWN_OUTCOME)
        self._SyncObj__raftLastApplied = index
        self._set_commit_index(max(index, self.commit_index))
        if not self.is_leader:  # votes were counted among the members before
            self._SyncObj__setState(FOLLOWER)
        return True

    def acknowledge(self, peer: str, index: int, round_: int) -> None:
        """Tell the leader that our log matches its own up to ``index``."""
        self.emit(peer, m.ACK, self.term, True, index, round_, gate=self.journal.gate())

    def emit(self, peer: str, kind: int, *fields: object, gate: int = 0) -> None:
        self._send(peer, [self.group, kind, *fields], gate)

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

    # -- the rest of what is replaced in pysyncobj -------------------------------------------

    def _SyncObj__doApplyCommand(self, command: bytes) -> object:
        """Cures: pickle in the log.  The payload of an entry is the state machine's own."""
        if command[:1] == _REGULAR:
            return self._apply(self.applied_index + 1, command[1:])
        return None

    def _SyncObj__onBecomeLeader(self) -> None:
        """Cures: the index of the no-op is set after everybody was told of the new leader."""
        self._SyncObj__noopIDx = self.journal.last_index + 1
        syncobj.SyncObj._SyncObj__onBecomeLeader(self)

    def _SyncObj__parseChangeClusterRequest(self, command: bytes) -> None:
        """Cures: pickle in membership entries; membership.py has its own."""

    def _SyncObj__tryLogCompaction(self) -> None:
        """Snapshots are the group's business: see group.py."""

    def _SyncObj__generateRaftTimeout(self) -> float:
        return self._timeout * self._between(1.0, 2.0)

    def _node(self, peer: str) -> Peer:
        return self._peers.get(peer) or Peer(peer)

    def _between(self, low: float, high: float) -> float:
        return low + (high - low) * self._generator.random()

    def _connected(self) -> set[str]:
        return {node.id for node in self._SyncObj__connectedNodes}

    def _set_commit_index(self, index: int) -> None:
        self._SyncObj__raftCommitIndex = index
        self.journal.setRaftCommitIndex(index)

    def _at(self, now: float) -> None:
        global _now
        _now = self.now = now


__all__ = ["FAIL_REASON", "Member"]
