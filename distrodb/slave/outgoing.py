"""What is on its way out of a slave: messages that may leave, or wait for a write set; snapshots
that are to be written, and those that may be removed.

What always holds:

- a message with a gate g > 0 does not leave before the write set g is on disk (the contract of
  raft/member.py);
- a message goes to one incarnation of a slave and to no other;
- a snapshot is removed only when the journal that names a newer one is on disk.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from distrodb.events import Said
from distrodb.raft import messages as m
from distrodb.raft.interfaces import SnapshotWrite
from distrodb.raft.outbox import Outbox
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.links.framing import Parcel
from distrodb.storage.records import Operation, SealedPut


@dataclass(slots=True)
class Output:
    """What is to be done outside at the end of a turn, in the order of the core's contract."""

    journal: tuple[int, list[Operation]] | None = None
    large: list[tuple[int, SealedPut]] = field(default_factory=list)  # see raft/write_set.py
    messages: dict[str, list[m.Message]] = field(default_factory=dict)
    gossip: dict[str, dict[str, Any]] = field(default_factory=dict)
    parcels: dict[str, list[Parcel]] = field(default_factory=dict)  # frames of other kinds
    snapshots: list[SnapshotWrite] = field(default_factory=list)
    # (group, index): the durable journal names this snapshot, older ones may be removed
    obsolete: list[tuple[int, int]] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)  # for the slave's log


class Outgoing:
    def __init__(self, links: Mapping[str, str]):
        self._links = links
        self._gated: dict[int, list[tuple[str, m.Message]]] = {}
        self._messages: dict[str, list[m.Message]] = {}
        self._parcels: dict[str, list[Parcel]] = {}
        # Snapshots that the journal names: (sequence of the write set that says so, group, index).
        self._named: list[tuple[int, int, int]] = []
        self._obsolete: list[tuple[int, int]] = []
        self.snapshots: list[SnapshotWrite] = []
        self.said: list[Said] = []

    # -- what comes in ---------------------------------------------------------------------------

    def send(self, name: str, message: m.Message, gate: int) -> None:
        if gate:
            self._gated.setdefault(gate, []).append((name, message))
            return
        peer, _, incarnation = name.partition("/")
        if self._links.get(peer) == incarnation:
            self._messages.setdefault(peer, []).append(message)

    def send_parcel(self, peer: str, parcel: Parcel) -> None:
        """A frame that is no message of Raft; it waits for no write set."""
        if peer in self._links:
            self._parcels.setdefault(peer, []).append(parcel)

    def collect(self, outbox: Outbox) -> None:
        """What the groups want to send, and to write."""
        if outbox.messages:
            messages, outbox.messages = outbox.messages, []
            for name, message, gate in messages:
                self.send(name, message, gate)
        if outbox.snapshots:
            self.snapshots += outbox.snapshots
            outbox.snapshots.clear()
        if outbox.said:
            self.said += map(_named, outbox.said)
            outbox.said.clear()

    def snapshot_is_named(self, sequence: int, group: int, index: int) -> None:
        """Once that write set is on disk, the group's older snapshots are not needed."""
        self._named.append((sequence, group, index))

    def more_is_on_disk(self, is_on_disk: Callable[[int], bool]) -> None:
        """``is_on_disk``: whether the write set of that number is."""
        for gate in [gate for gate in self._gated if is_on_disk(gate)]:
            for name, message in self._gated.pop(gate):
                self.send(name, message, 0)
        self._obsolete += [named[1:] for named in self._named if is_on_disk(named[0])]
        self._named = [named for named in self._named if not is_on_disk(named[0])]

    def link_changed(self, peer: str) -> None:
        """What waits here was meant for the link that is gone."""
        self._messages.pop(peer, None)
        self._parcels.pop(peer, None)

    def group_closed(self, group_id: int) -> None:
        for gate, messages in self._gated.items():
            self._gated[gate] = [each for each in messages if each[1][0] != group_id]
        self._named = [named for named in self._named if named[1] != group_id]
        self.snapshots = [write for write in self.snapshots if write.group != group_id]

    # -- what goes out ---------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Nothing may leave now."""
        return not (self._messages or self._parcels or self._obsolete or self.snapshots)

    def take(self) -> Output:
        """All that may leave now, for the core to add the rest."""
        output = Output(
            messages=self._messages,
            parcels=self._parcels,
            snapshots=self.snapshots,
            obsolete=self._obsolete,
            said=self.said,
        )
        self._messages, self._parcels = {}, {}
        self.snapshots, self._obsolete, self.said = [], [], []
        return output


def _named(happened: Said) -> Said:
    """The cluster map's own group has a name."""
    fields = happened.fields
    return (
        Said(happened.event, {**fields, "partition": "map"})
        if (fields.get("partition") == MAP_GROUP)
        else happened
    )
