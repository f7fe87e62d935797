"""What a slave knows of the others: its links, what they gossip, and what follows from both.  Pure.

``links`` are the peers that we are linked with now, by incarnation.  Of a peer whose link is gone
nothing is known any more, but for what leaders have reported of their groups
(membership_reports.py).
"""

from collections.abc import Iterator

from distrodb.ring.clustermap import ClusterMap
from distrodb.slave.failure_detector import FailureDetector
from distrodb.slave.gossip import Gossip, GossipBook
from distrodb.slave.links.place import Place
from distrodb.slave.membership_reports import Report, Reports


class Peers:
    def __init__(self, me: str):
        self._me = me
        self.links: dict[str, str] = {}  # peer: incarnation
        self._places: dict[str, Place] = {}  # where they are, if they have said so
        self.linked_ms: dict[str, int] = {}  # since when, by the machine's clock
        self.gossip = GossipBook()
        self.detector = FailureDetector(me)
        self.reports = Reports()
        self.leaders_version = 0  # grows when others lead other groups, or are heard or lost

    def is_alive(self, node: str) -> bool:
        """As it is seen from here."""
        return node == self._me or node in self.links

    def is_linked(self, name: str) -> bool:
        """The member's slave runs, and with the incarnation that is the member."""
        node, _, incarnation = name.partition("/")
        return self.links.get(node) == incarnation

    def link_up(self, now: float, peer: str, incarnation: str, place: Place | None = None) -> None:
        self.links[peer] = incarnation
        if place is not None:
            self._places[peer] = place
        self._links_changed(now)

    def link_down(self, now: float, peer: str) -> str:
        """Returns the incarnation that was linked."""
        incarnation = self.links.pop(peer)
        self.linked_ms.pop(peer, None)
        self._places.pop(peer, None)
        self.detector.lost(peer)
        self.gossip.lost(peer)
        self._links_changed(now)
        return incarnation

    def moved(self, cluster_map: ClusterMap) -> dict[str, Place]:
        """Whom we are linked with elsewhere than this map says, by the directory that it knows."""
        rows = ((peer, cluster_map.nodes.get(peer), place) for peer, place in self._places.items())
        return {
            peer: place
            for peer, row, place in rows
            if row is not None
            and (row.client, row.peer) != place
            and row.incarnation == self.links[peer]
        }

    def linked_with(self, node: str, incarnation: str) -> Iterator[tuple[str, Place | None]]:
        """Who is linked with a slave of this directory, and where; None: where the map says."""
        if self.links.get(node) == incarnation:
            yield self._me, self._places.get(node)
        for observer in self.links:
            if self.detector.hears(observer).get(node) == incarnation:
                yield observer, self.gossip.place(observer, node)

    def stamp(self, wall_ms: int) -> None:
        """What time it is, for the links that are new."""
        for peer in self.links.keys() - self.linked_ms.keys():
            self.linked_ms[peer] = wall_ms

    def _links_changed(self, now: float) -> None:
        self.detector.heard(now, self._me, self.links)
        self.leaders_version += 1

    def heard(self, now: float, peer: str, gossip: Gossip) -> bool:
        """True if the peer may be fit to lead now, or unfit."""
        before = self._fitness(peer)
        if self.gossip.heard(peer, gossip):
            self.leaders_version += 1
        self.detector.heard(now, peer, gossip.hears)
        for group_id, configuration in gossip.reports.items():
            report = Report(configuration, gossip.leads.get(group_id, 0), gossip.epoch)
            self.reports.heard(group_id, report)
        return self._fitness(peer) != before

    def _fitness(self, peer: str) -> object:
        """What of a peer's gossip decides whether a lead is handed to it."""
        book = self.gossip
        return self.detector.hears(peer), peer in book.leaving, peer in book.slow
