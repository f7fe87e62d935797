"""What peers say of themselves each second, and at once when it changes: what they lead, how new
their map is, whom they have met before the cluster was born, whether they are leaving.  Pure.

A slave uses it to redirect clients and to know who needs its map; nothing is decided by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distrodb.errors import PeerError
from distrodb.ring.clustermap import ClusterMap


@dataclass(frozen=True, slots=True)
class News:
    """One message; ``map`` only if the sender thinks that ours is older."""

    epoch: int
    leads: dict[int, int]  # partition: term
    is_leaving: bool
    sees: dict[str, str]  # slave: incarnation; before the cluster is born
    map: ClusterMap | None

    def to_plain(self) -> dict[str, Any]:
        plain: dict[str, Any] = {
            "epoch": self.epoch,
            "leads": [list(lead) for lead in self.leads.items()],
            "leaving": self.is_leaving,
            "sees": self.sees,
        }
        if self.map is not None:
            plain["map"] = self.map.to_plain()
        return plain

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> "News":
        """Raises ``PeerError`` for what is not gossip."""
        try:
            return News(
                epoch=int(plain["epoch"]),
                leads={int(partition): int(term) for partition, term in plain["leads"]},
                is_leaving=bool(plain.get("leaving")),
                sees=dict(plain.get("sees", {})),
                map=ClusterMap.from_plain(plain["map"]) if "map" in plain else None,
            )
        except (KeyError, TypeError, ValueError, OverflowError) as problem:
            raise PeerError(f"malformed gossip: {problem!r}") from None


class Gossip:
    """What is known from it."""

    def __init__(self) -> None:
        self._leads: dict[int, tuple[int, str]] = {}  # partition: term, leader
        self._epochs: dict[str, int] = {}
        self.leaving: set[str] = set()  # peers that hand over too and take nothing more

    def heard(self, peer: str, news: News) -> None:
        self._epochs[peer] = news.epoch
        if news.is_leaving:
            self.leaving.add(peer)
        self._forget_leads(peer, but=news.leads)
        for partition, term in news.leads.items():
            if term >= self._leads.get(partition, (0, ""))[0]:
                self._leads[partition] = term, peer

    def lost(self, peer: str) -> None:
        """Its link broke."""
        self.leaving.discard(peer)
        self._epochs.pop(peer, None)
        self._forget_leads(peer, but={})

    def _forget_leads(self, peer: str, but: Mapping[int, int]) -> None:
        for partition, (_, leader) in list(self._leads.items()):
            if leader == peer and partition not in but:
                del self._leads[partition]

    def leader_of(self, partition: int) -> str | None:
        return self._leads.get(partition, (0, None))[1]

    def term_of(self, partition: int) -> int:
        return self._leads.get(partition, (0, ""))[0]

    def is_behind(self, peer: str, epoch: int) -> bool:
        """The peer has said that its map is older than that."""
        return self._epochs.get(peer, epoch) < epoch
