"""A slave that starts elsewhere than its map says: when it takes part.  Pure.

Its directory may be a copy, and the slave that it was copied from may run.  So at first it only
links: what comes over its links is dropped, and nothing is sent.  It takes part once all others
that are not down by its map have let it in, since then none of them is linked with the other one,
nor will be while it is linked with this one (place.py).  When some of them do not come back (their
machines are gone) it waits no longer than ``ALONE_S``, unless it is told of another one.

Caveat: those that do not come back may only be cut off, together with the other one; see place.py.

``Refusals``: a slave that is told again and again that another one runs with the data of its
directory ends.  Not at the first time: a machine that went off without a word is taken to run until
its links are silent for long enough.  ``SlaveProcess`` marks the directory, since a copy that was
started again at the right moment, while the other one is restarted, would be let in.
"""

from collections.abc import Collection

from distrodb.ring.clustermap import ClusterMap
from distrodb.slave.links.place import Place

ALONE_S = 30.0
SILENCES = 5  # so many times the silence after which a link is given up
GAP_S = 10.0  # without being told so, after which it counts anew


class Arrival:
    def __init__(self, now: float, me: str, cluster_map: ClusterMap):
        rows = cluster_map.nodes.values()
        self._others = {row.id for row in rows if row.id != me and row.status != "down"}
        self._until = now + ALONE_S

    def is_over(self, now: float, linked: Collection[str], is_refused: bool) -> bool:
        return self._others <= set(linked) or (now >= self._until and not is_refused)


class Refusals:
    def __init__(self, silent_after_s: float):
        self._most_s = SILENCES * silent_after_s
        self._since = self._last = float("-inf")

    def refused(self, now: float) -> None:
        if now - self._last > GAP_S:
            self._since = now
        self._last = now

    def is_recent(self, now: float) -> bool:
        return now - self._last <= GAP_S

    def are_final(self, now: float) -> bool:
        return self.is_recent(now) and self._last - self._since >= self._most_s


def is_elsewhere(me: str, place: Place, cluster_map: ClusterMap) -> bool:
    """The cluster map knows this slave, and says another place."""
    row = cluster_map.nodes.get(me)
    return row is not None and cluster_map.epoch > 0 and (row.client, row.peer) != place
