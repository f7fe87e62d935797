"""What a slave knows of the others: its links, what they gossip, and what follows from both.  Pure.

``links`` are the peers that we are linked with now, by incarnation.  Of a peer whose link is gone
nothing is known any more, but for what leaders have reported of their groups
(membership_reports.py).
"""

from distrodb.slave.failure_detector import FailureDetector
from distrodb.slave.gossip import Gossip, GossipBook
from distrodb.slave.membership_reports import Report, Reports


class Peers:
    def __init__(self, me: str):
        self._me = me
        self.links: dict[str, str] = {}  # peer: incarnation
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

    def link_up(self, now: float, peer: str, incarnation: str) -> None:
        self.links[peer] = incarnation
        self._links_changed(now)

    def link_down(self, now: float, peer: str) -> str:
        """Returns the incarnation that was linked."""
        incarnation = self.links.pop(peer)
        self.linked_ms.pop(peer, None)
        self.detector.lost(peer)
        self.gossip.lost(peer)
        self._links_changed(now)
        return incarnation

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
