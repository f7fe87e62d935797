"""How a cluster is born: who has met whom, until all agree.  Pure.

A slave with an empty directory cannot know whether it is new or has forgotten what it voted for and
acknowledged.  So it takes part in nothing until one of two things happened:

- every slave of the [cluster] section has met every other one, all are empty, and all say that they
  see the same incarnations: then the cluster is born, with these incarnations in its first map;
- a peer knows a map: the cluster is born already.  If the map names our incarnation we were there
  (and had not heard of it yet); if it names another one, we are a new member that its groups'
  leaders take in once the map knows us.  If it does not name us at all we wait, when we were told
  to join, until one does.

One that is told that the cluster has been born (``may_begin`` is False) does only the second, and
says of nobody that it has met it, so that no other can act on a first map either.

Why nothing is lost: who acts on a first map has heard from every other slave that it sees the same
incarnations, and nobody is told of a map that is not yet on the teller's disk.  One that is wiped
later comes with another incarnation; it meets somebody who knows the map, or somebody who does not
yet and cannot go on without those that do.

Caveat: the first start of a cluster needs all its slaves at once; afterwards majorities suffice.
"""

from collections.abc import Mapping, Sequence


class Birth:
    """Who has met whom, until the cluster is born."""

    def __init__(
        self,
        me: str,
        incarnation: str,
        nodes: Sequence[str],
        joins: bool = False,
        may_begin: bool = True,
    ):
        self._me = me
        self.may_begin = may_begin and not joins
        self.joins = joins  # a cluster that is born already
        self._nodes = nodes
        self._seen = {me: incarnation}
        self._said: dict[str, Mapping[str, str]] = {}  # what each peer sees

    def met(self, peer: str, incarnation: str) -> None:
        if peer in self._nodes:  # somebody who wants to join has to wait
            self._seen[peer] = incarnation
            self._said.pop(peer, None)

    def lost(self, peer: str) -> None:
        self._seen.pop(peer, None)
        self._said.pop(peer, None)

    def told(self, peer: str, seen: Mapping[str, str]) -> None:
        self._said[peer] = dict(seen)

    @property
    def says(self) -> dict[str, str]:
        """Whom it has met, as others are told."""
        return dict(self._seen) if self.may_begin else {}

    @property
    def missing(self) -> list[str]:
        return [node for node in self._nodes if node not in self._seen]

    def agreed(self) -> dict[str, str] | None:
        """The incarnations of the first map, once everybody sees the same ones."""
        peers = [node for node in self._nodes if node != self._me]
        if (
            not self.may_begin
            or self.missing
            or any(self._said.get(peer) != self._seen for peer in peers)
        ):
            return None
        return dict(self._seen)
