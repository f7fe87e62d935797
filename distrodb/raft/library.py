"""The door to pysyncobj: the only file that names it, or any private part of it.

pysyncobj 0.3.17 keeps a member's term, vote, role, leader, commit index and applied index, and runs
candidacy, the counting of votes, the commit rule, the apply loop and leadership transfer.  The rest
of Raft is ours (member.py and what stands beside it), since pysyncobj's loses acknowledged writes:
docs/pysyncobj.md lists each fault with the test that shows it.

``Library`` is a thin subclass with typed properties and a few hooks.  What always holds:

- It reads no clock that matters.  pysyncobj compares its times with the machine's own clock, so it
  is given times for which any clock gives the same answer: the election deadline is minus or plus
  infinity (stand now, or not), and so is the moment at which a follower was heard last (it is
  counted, or not).  Whether it is time is decided outside, by ``now`` that comes in with each call.
  So nothing of the library is replaced for the whole process, and tests may use it unmodified.
- It does no I/O.  Votes and transfers leave through ``Hooks``, the log is ours (log.py).
- Its table of match indexes is ours, kept in step with ``Progress`` by ``set_match``.

Caveat: the names ``_SyncObj__…`` are those of one release, so the release is pinned in setup.cfg.
"""

import enum
import math
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from pysyncobj import syncobj
from pysyncobj.config import FAIL_REASON, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from distrodb.errors import VersionError
from distrodb.keyspace.entry import LARGE_BYTES, Payload
from distrodb.raft.log import MEMBERSHIP, NO_OP, Entry, Log

REGULAR = b"\x00"  # pysyncobj's command type of an entry for the state machine
_FOLLOWER, _LEADER = 0, 2  # pysyncobj's roles; 1 is a candidate


class Fate(enum.Enum):
    """What became of a proposed entry."""

    APPLIED = enum.auto()
    OVERWRITTEN = enum.auto()  # another entry took its place: it surely did not happen
    UNKNOWN = enum.auto()  # a snapshot hides it


class Hooks(Protocol):
    """What the library asks of the member that owns it."""

    def apply(self, index: int, payload: Payload) -> object: ...

    def may_count(self, index: int) -> bool:
        """The leader may count its own copy of this entry, and look at it at all."""

    def role_changed(self) -> None: ...

    def append_to_all(self) -> None:
        """Send every follower what it lacks."""

    def request_vote(self, peer: str, last_index: int, last_term: int) -> None: ...

    def grant_vote(self, peer: str, term: int) -> None: ...

    def tell_to_stand(self, peer: str) -> None: ...


class _Peer(Node):
    """A member by its name.  Its hash does not depend on PYTHONHASHSEED, so that pysyncobj walks
    its sets of nodes in the same order in every run."""

    def __init__(self, name: str):
        super().__init__(name)
        self._hash = zlib.crc32(name.encode())

    def __hash__(self) -> int:
        return self._hash


class _NoPoller:
    """In place of pysyncobj's poller: our sockets belong to the slave's event loop."""

    def poll(self, timeout: float) -> None: ...


class _Outlet(Transport):
    """Takes what pysyncobj itself sends, votes and transfers, which it writes as dictionaries."""

    def __init__(self, hooks: Hooks):
        super().__init__(None, None, None)
        self._hooks = hooks

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        kind = message["type"]
        if kind == "request_vote":
            last_index, last_term = message["last_log_index"], message["last_log_term"]
            self._hooks.request_vote(node.id, last_index, last_term)
        elif kind == "response_vote":
            self._hooks.grant_vote(node.id, message["term"])
        elif kind == "timeout_now":
            self._hooks.tell_to_stand(node.id)
        return True


class Library(syncobj.SyncObj):
    """pysyncobj's state of one member of one group.  The log has its entries already."""

    def __init__(self, name: str, log: Log, hooks: Hooks):
        self._log, self._hooks = log, hooks
        self._peers: dict[str, _Peer] = {}
        self.is_leader = False  # in step with pysyncobj's role, and asked for each command
        conf = SyncObjConf(
            autoTick=False,
            appendEntriesUseBatch=True,  # else pysyncobj opens a pipe for each group
            commandsQueueSize=0,  # unbounded: one proposal is under way at a time
            onStateChanged=self._role_changed,
        )
        super().__init__(_Peer(name), (), conf, nodeClass=_Peer, transport=_Outlet(hooks))
        self._poller = _NoPoller()
        self._SyncObj__raftLog = log
        self._SyncObj__raftCurrentTerm = max(log.getCurrentTerm(), log.last_term)
        self._SyncObj__votedForNodeId = log.getVotedForNodeId()
        self._SyncObj__raftLastApplied = log.meta.snapshot_index
        self._SyncObj__raftCommitIndex = max(log.meta.snapshot_index, log.getRaftCommitIndex())
        self._SyncObj__raftElectionDeadline = math.inf
        self._SyncObj__newAppendEntriesTime = math.inf  # heartbeats are ours

    # -- state -------------------------------------------------------------------------------

    @property
    def term(self) -> int:
        return self._SyncObj__raftCurrentTerm

    @property
    def leader(self) -> str | None:
        """The leader of the current term, as far as it is known."""
        node = self._SyncObj__raftLeader
        return None if node is None else node.id

    @leader.setter
    def leader(self, peer: str | None) -> None:
        self._SyncObj__raftLeader = None if peer is None else self._peer(peer)

    @property
    def commit_index(self) -> int:
        return self._SyncObj__raftCommitIndex

    @commit_index.setter
    def commit_index(self, index: int) -> None:
        self._SyncObj__raftCommitIndex = index
        self._log.setRaftCommitIndex(index)

    @property
    def applied_index(self) -> int:
        return self._SyncObj__raftLastApplied

    @property
    def is_settled(self) -> bool:
        """All entries of the state machine that are in the log are applied."""
        log = self._log
        behind = log.between(max(self.applied_index + 1, log.first_index), log.last_index)
        return all(command[:1] != REGULAR for command, _, _ in behind)

    @property
    def first_index_of_term(self) -> int:
        """Of a leader: the index of the entry with which its term began."""
        return self._SyncObj__noopIDx

    @property
    def is_told_to_stand(self) -> bool:
        """The leader has asked this member to take over (thesis 3.10)."""
        return self._SyncObj__transferInProgress

    # -- what comes in -----------------------------------------------------------------------

    def tick(self, stands: bool, answered: Mapping[str, bool]) -> None:
        """Candidacy if it ``stands``; the commit rule, the apply loop, stepping down.
        ``answered``: whether each voter has answered within an election timeout."""
        self._SyncObj__raftElectionDeadline = -math.inf if stands else math.inf
        heard = self._SyncObj__lastResponseTime
        for peer, counts in answered.items():
            heard[self._peer(peer)] = math.inf if counts else -math.inf
        self.doTick(0)

    def propose(self, payload: Payload, settled: Callable[[Fate], None]) -> tuple[int, int]:
        """Append one entry of the state machine; its (index, term).  ``settled`` is called once, or
        never when this process ends before the fate is known.

        Cures: a command waits in pysyncobj's queue when its clock moves while it is put there (the
        process stalled); it comes out of it at another index, or after the lead was lost, when
        nobody is called."""

        def callback(_: object, reason: int) -> None:
            if reason == FAIL_REASON.SUCCESS:
                settled(Fate.APPLIED)
            elif reason == FAIL_REASON.DISCARDED:
                settled(Fate.OVERWRITTEN)
            else:
                settled(Fate.UNKNOWN)

        index, term = self._log.last_index + 1, self.term
        self._log.add(REGULAR + payload, index, term)
        self._SyncObj__commandsWaitingCommit[index].append((term, callback))
        return index, term

    def take_vote_request(self, peer: str, term: int, last_index: int, last_term: int) -> None:
        self._receive(
            peer,
            type="request_vote",
            term=term,
            last_log_index=last_index,
            last_log_term=last_term,
        )

    def take_vote(self, peer: str, term: int) -> None:
        self._receive(peer, type="response_vote", term=term)

    def take_order_to_stand(self, peer: str, term: int) -> None:
        self._receive(peer, type="timeout_now", term=term)

    def _receive(self, peer: str, **message: object) -> None:
        self._SyncObj__onMessageReceived(self._peer(peer), message)

    def transfer_to(self, peer: str) -> None:
        """Ask a follower that has the whole log to take over."""
        self.transferLeadership(self._peer(peer))

    # -- what is decided outside ---------------------------------------------------------------

    def enter_term(self, term: int) -> None:
        """Follow in a newer term, without a leader yet."""
        self._SyncObj__setCurrentTerm(term, None)
        self._SyncObj__transferInProgress = False
        self.leader = None
        self.become_follower()

    def become_follower(self) -> None:
        self._SyncObj__setState(_FOLLOWER)

    def use_voters(self, voters: Iterable[str]) -> None:
        """The other members, by which majorities are counted."""
        self._peers = {name: self._peer(name) for name in voters}
        self._SyncObj__otherNodes = set(self._peers.values())

    def set_match(self, peer: str, index: int) -> None:
        """A follower's log matches ours up to there."""
        self._SyncObj__raftMatchIndex[self._peer(peer)] = index

    def install(self, index: int) -> None:
        """The state machine is now that of a snapshot at ``index``: whoever waits below it learns
        that nobody can tell.  Cures: waiters below a snapshot are never called."""
        waiting = self._SyncObj__commandsWaitingCommit
        for position in [p for p in waiting if p <= index]:
            for _, callback in waiting.pop(position):
                callback(None, FAIL_REASON.UNKNOWN_OUTCOME)
        self._SyncObj__raftLastApplied = index
        self.commit_index = max(index, self.commit_index)

    # -- pysyncobj's own methods, replaced -----------------------------------------------------

    def _SyncObj__doApplyCommand(self, command: bytes) -> object:
        """Cures: pickle in the log; what is not known is skipped.  The payload of an entry is the
        state machine's own."""
        kind = command[:1]
        try:
            if kind == REGULAR:
                payload = memoryview(command)[1:] if len(command) > LARGE_BYTES else command[1:]
                return self._hooks.apply(self.applied_index + 1, payload)
            if kind not in (NO_OP, MEMBERSHIP):
                raise VersionError(f"a change of kind {kind[0]}")
        except VersionError as what:
            raise VersionError(
                f"group {self._log.group}: entry {self.applied_index + 1} of the log holds {what},"
                " which this version of distrodb does not know; upgrade this slave, its data is"
                " kept"
            ) from None
        return None

    def _SyncObj__onBecomeLeader(self) -> None:
        """Cures: the index of the no-op is set after everybody was told of the new leader."""
        self._SyncObj__noopIDx = self._log.last_index + 1
        syncobj.SyncObj._SyncObj__onBecomeLeader(self)

    def _SyncObj__sendAppendEntries(self) -> None:
        """Cures: chunks cut by the wrong length; an unbounded burst to a follower that lags."""
        self._hooks.append_to_all()

    def _SyncObj__getEntries(
        self, index: int, count: int | None = None, bytes_max: int | None = None
    ) -> list[Entry]:
        """Cures: a leader counts itself at once.  Its own fsync must come first (thesis 10.2.1), so
        the commit rule, which asks here for each entry above the commit index, does not yet find
        one that is not on our own disk."""
        log = self._log
        if index < log.first_index or (
            index > self.commit_index and not self._hooks.may_count(index)
        ):
            return []
        return log.between(index, index + (count or len(log)) - 1)

    def _checkCommandsToApply(self) -> None:
        """Nothing is ever in pysyncobj's queue: see ``propose``.  A look at it is dear."""

    def _SyncObj__parseChangeClusterRequest(self, command: bytes) -> None:
        """Cures: pickle in membership entries; membership.py has its own."""

    def _SyncObj__tryLogCompaction(self) -> None:
        """Snapshots are the group's business: see snapshots.py."""

    def _SyncObj__connectedToAnyone(self) -> bool:
        """Whether it makes sense to stand is decided by pre-votes: see elections.py."""
        return True

    def _SyncObj__generateRaftTimeout(self) -> float:
        return math.inf  # see ``tick``

    def _role_changed(self, _: int, role: int) -> None:
        self.is_leader = role == _LEADER
        self._hooks.role_changed()

    def _peer(self, name: str) -> _Peer:
        return self._peers.get(name) or _Peer(name)
