"""What the Raft groups of one slave want done; the slave's core takes it out and does it.

Each group adds to it while it is told of events, and nothing is called back: so what happens in a
group is over before anybody acts on it.
"""

from collections.abc import Sequence

from distrodb.events import Said, said
from distrodb.raft.counts import Counts
from distrodb.raft.interfaces import Request, SnapshotWrite
from distrodb.raft.messages import Message


class Outbox:
    def __init__(self) -> None:
        # (member it goes to, message, gate): it must not leave before the write set with the number
        # ``gate`` is on disk; gate 0 may leave at once.
        self.messages: list[tuple[str, Message, int]] = []
        self.snapshots: list[SnapshotWrite] = []
        # (group, commands that were surely not proposed): they may go to another leader.
        self.handed_back: list[tuple[int, Sequence[Request]]] = []
        # (group, commands whose entry another one has replaced): surely not done either, but what
        # their connections sent after them may be by now, so they must be answered, never proposed.
        self.overwritten: list[tuple[int, Sequence[Request]]] = []
        self.counts = Counts()
        self.said: list[Said] = []  # for the slave's log
        # The same, gathered: (leads_won or leads_lost, and why): groups.  Bounded by the whys.
        self.leads: dict[tuple[str, str], set[int]] = {}
        self.changed: set[int] = set()  # groups whose role, leader or term may be another one

    def say(self, name: str, group: int, /, **fields: object) -> None:
        """Of one group, for the slave's log."""
        self.said.append(said(name, partition=group, **fields))

    def lead(self, name: str, group: int, cause: str) -> None:
        self.leads.setdefault((name, cause), set()).add(group)
