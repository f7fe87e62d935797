"""pysyncobj as it is, between links and under a clock that a test moves by hand.

Of the library only the clock and the randomness are replaced; its journals, poller, serializer and
state machine are its own.  The product reads no clock of the library (raft/library.py), so both can
use the same copy of it.

Private names of the library are read and set in this module only.
"""

import random
from collections.abc import Iterable
from pathlib import Path

from pysyncobj import (  # noqa: F401  # used by the stories
    config,
    journal,
    node,
    serializer,
    syncobj,
    tcp_connection,
    transport,
)

from tests.library.links import Links, Outcome

FAIL_REASON = config.FAIL_REASON

ELECTION_S = 1.5  # more than the library's longest election timeout

_now = 0.0
syncobj.monotonicTime = lambda: _now


class Member(node.Node):
    """The library pickles nodes, so their class must be found under its name."""


class AddressedMember(node.TCPNode):
    """The same for members that have an address."""


class Wire(transport.Transport):
    """What a member sends lies in ``cluster.links[sender, receiver]`` until it is delivered."""

    def __init__(self, cluster: "Cluster", name: str):
        super().__init__(None, None, None)
        self._cluster, self._name = cluster, name
        self.added: list[str] = []

    def send(self, node: Member, message: dict) -> bool:
        self._cluster.sent(self._name, node.id, message)
        return True

    def addNode(self, node: Member) -> None:  # noqa: N802
        self.added.append(node.id)

    def dropNode(self, node: Member) -> None:  # noqa: N802
        if node.id in self._cluster.members:
            self._cluster.cut(self._name, node.id)


class Replica(syncobj.SyncObj):
    """A member whose state is the list of what was written."""

    def __init__(self, name: str, others: Iterable[str], wire: Wire, **options: object):
        self.wire = wire
        super().__init__(
            Member(name),
            [Member(other) for other in others],
            config.SyncObjConf(autoTick=False, useFork=False, **options),
            nodeClass=Member,
            transport=wire,
        )
        self.values: list[object] = []

    @syncobj.replicated
    def put(self, value: object) -> None:
        if value == "raise":
            raise ZeroDivisionError(value)
        self.values.append(value)

    @property
    def term(self) -> int:
        return self.raftCurrentTerm

    @property
    def leads(self) -> bool:
        return self._isLeader()

    @property
    def log(self) -> list[tuple[bytes, int, int]]:
        return self._SyncObj__raftLog[:]

    @property
    def commit_index(self) -> int:
        return self.raftCommitIndex

    @property
    def applied_index(self) -> int:
        return self.raftLastApplied

    @property
    def last_index(self) -> int:
        return self.log[-1][1]

    @property
    def members(self) -> set[str]:
        return {member.id for member in self.otherNodes} | {self.selfNode.id}

    def next_index(self, peer: str) -> int:
        return self._SyncObj__raftNextIndex[Member(peer)]

    def match_index(self, peer: str) -> int:
        return self._SyncObj__raftMatchIndex[Member(peer)]

    def voted_for(self) -> str | None:
        return self._SyncObj__votedForNodeId

    def time_out(self) -> None:
        self._SyncObj__raftElectionDeadline = _now - 1.0


class Cluster(Links):
    """Plain members.  With ``files`` they keep journals and dumps there and can start again."""

    def __init__(self, names: str = "abc", files: Path | None = None, **options: object):
        global _now
        super().__init__()
        _now = 1000.0
        syncobj.random = random.Random(0)
        self._files, self._options = files, options
        self.sending_takes_s = 0.0  # so that a burst may last longer than a heartbeat's period
        for name in names:
            self.start(name, names)

    def start(self, name: str, names: Iterable[str] | None = None) -> Replica:
        """Start a member, or start it again from its files."""
        options = dict(self._options)
        if self._files is not None:
            options["journalFile"] = str(self._files / f"{name}.journal")
            options["fullDumpFile"] = str(self._files / f"{name}.dump")
        others = [other for other in names or self.members if other != name]
        self.members[name] = Replica(name, others, Wire(self, name), **options)
        for other in others:
            if other in self.members:
                self.cuts.discard(frozenset((name, other)))
                self._report_both(name, other, up=True)
        return self.members[name]

    def stop(self, name: str) -> None:
        self.cut(name)
        self.members[name].destroy()

    def sent(self, sender: str, receiver: str, message: dict) -> None:
        self.pass_time(self.sending_takes_s)
        super().sent(sender, receiver, message)

    def hand_over(self, sender: str, receiver: str, message: dict) -> None:
        self[receiver].wire._onMessageReceived(Member(sender), message)

    def report(self, name: str, other: str, up: bool) -> None:
        wire = self[name].wire
        (wire._onNodeConnected if up else wire._onNodeDisconnected)(Member(other))

    def kind(self, message: dict) -> str:
        return message["type"]

    def pass_time(self, seconds: float) -> None:
        global _now
        _now += seconds

    def tick_one(self, name: str) -> None:
        self[name].doTick(0)

    def stand(self, name: str) -> None:
        """Its election timeout is over."""
        self[name].time_out()
        self.tick(name, after_s=0.0)

    def write(self, name: str, value: object) -> Outcome:
        """Ask a member for a write; a leader has sent it on return."""
        outcome = Outcome()
        self[name].put(value, callback=outcome)
        self[name]._checkCommandsToApply()
        self.tick(name)
        return outcome

    def compact(self, name: str) -> None:
        """Make a snapshot of what is applied and forget the log before it."""
        self[name].forceLogCompaction()
        self.tick(name, name, after_s=0.0)
