"""What is judged: how one slave sees the cluster.  Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from distrodb.slave.condition import Condition


@dataclass(frozen=True)
class Facts:
    status: Mapping[str, Any]  # DISTRODB STATUS
    now_s: float  # since 1970, by the asked slave's clock
    # What slaves tell of themselves, the asked one too; of some it may not be known.
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    skews_ms: Mapping[str, int] = field(default_factory=dict)  # others' clocks, ahead of ours

    @property
    def me(self) -> str:
        return str(self.status["asked"]["node"])

    @property
    def nodes(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self.status["nodes"]
        return found

    def by_status(self, *statuses: str) -> list[str]:
        return [node for node, row in self.nodes.items() if row["status"] in statuses]

    @cached_property
    def absent(self) -> frozenset[str]:
        """Not heard by the asked slave, or by a majority."""
        return frozenset(self.by_status("down", "suspect"))

    def has_majority(self, group: list[str]) -> bool:
        return 2 * len(set(group) - self.absent) > len(group)
