"""What leaders have said of their groups' members: the newest committed configurations.  Pure.

Every slave keeps this book, from its own groups and from gossip, so that a new controller knows as
much as the old one.

A report counts for the planner only if its leader knew, when it spoke, the map's newest word on
that group: an older one may look like the end of a move that has not begun (``ring/moves.py``).

Invariant: of two reports the one of the later term is the newer one, whatever its index.  A leader
that has compacted its log knows the configuration only by the index of its snapshot, its successor
perhaps still by that of the entry: what a leader has in force when it reports is in force for every
leader after it, or replaced since.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from distrodb.raft.log import Configuration
from distrodb.ring.clustermap import ClusterMap


@dataclass(frozen=True, slots=True)
class Report:
    configuration: Configuration  # committed
    term: int  # of the leader that said so
    epoch: int  # of the map that it knew

    @property
    def order(self) -> tuple[int, int, int]:
        return self.term, self.configuration.index, self.epoch


class Reports:
    def __init__(self) -> None:
        self._reports: dict[int, Report] = {}
        self._groups: dict[int, tuple[str, ...]] = {}
        self._changed_at: dict[int, int] = {}  # group: epoch of the map that changed it last
        self.version = 0  # grows with each change of what ``voters`` says

    def heard(self, group: int, report: Report) -> bool:
        """True when it is news."""
        known = self._reports.get(group)
        if known is not None and report.order <= known.order:
            return False
        self._reports[group] = report
        self.version += 1
        return True

    def map_changed(self, cluster_map: ClusterMap) -> None:
        """Call it with each map that comes to be known."""
        for partition in cluster_map.partitions:
            if self._groups.get(partition.id) != partition.group:
                self._groups[partition.id] = partition.group
                self._changed_at[partition.id] = cluster_map.epoch
                self.version += 1

    def of(self, group: int) -> Report | None:
        return self._reports.get(group)

    def voters(self) -> Mapping[int, tuple[str, ...]]:
        """By partition, for the planner."""
        return {
            group: report.configuration.members
            for group, report in self._reports.items()
            if report.epoch >= self._changed_at.get(group, report.epoch + 1)
        }
