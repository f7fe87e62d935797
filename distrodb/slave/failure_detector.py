"""Who is down, by who hears whom.  Pure.

A slave is down when a majority of the others in the ring has not heard it for ``dead_after_s``: so
it is not enough that one cannot reach it, nor that it is slow (a link stands while anything comes
over it).  Every slave keeps this book all the time, from its own links and from the others' gossip,
so that a new controller knows as much as the old one.

Invariants: an observer counts only while we hear it, since what it said before is out of date;
``since`` is our own clock's, from the moment at which we were told.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence


class FailureDetector:
    def __init__(self, me: str) -> None:
        self._me = me
        self._nodes: tuple[str, ...] = ()
        self._hears: dict[str, dict[str, str]] = {me: {}}  # observer: slave: incarnation
        self._silent_since: dict[str, dict[str, float]] = {me: {}}  # observer: slave: since when

    def heard(self, now: float, observer: str, hears: Mapping[str, str]) -> None:
        """An observer, maybe ourselves, says whom it hears at the moment."""
        self._hears[observer] = dict(hears)
        self._note(now, observer)

    def lost(self, observer: str) -> None:
        """We do not hear the observer itself any more."""
        self._hears.pop(observer, None)
        self._silent_since.pop(observer, None)

    def watch(self, now: float, nodes: Collection[str]) -> None:
        """These are all slaves that there are: call it when they change."""
        self._nodes = tuple(nodes)
        for observer in self._hears:
            self._note(now, observer)

    def _note(self, now: float, observer: str) -> None:
        """Since when this observer has not heard whom."""
        hears, before = self._hears[observer], self._silent_since.get(observer, {})
        self._silent_since[observer] = {
            node: before.get(node, now)
            for node in self._nodes
            if node not in hears and node != observer
        }

    def is_down(self, now: float, node: str, ring: Sequence[str], after_s: float) -> bool:
        if node == self._me:
            return False
        others = [observer for observer in ring if observer != node]
        silent = [o for o in others if self._is_silent(o, node, now - after_s)]
        return 2 * len(silent) > len(others)

    def next_down(self, now: float, after_s: float) -> float:
        """Seconds: when somebody may be found to be down next, if nothing is heard."""
        since = (at for silent in self._silent_since.values() for at in silent.values())
        return min((at + after_s for at in since if at + after_s > now), default=math.inf)

    def is_heard(self, node: str, ring: Sequence[str]) -> bool:
        """A majority of the others in the ring hears it now."""
        if node == self._me:
            return True
        others = [observer for observer in ring if observer != node]
        return 2 * sum(node in self._hears.get(o, ()) for o in others) > len(others)

    def hears(self, observer: str) -> Mapping[str, str]:
        """Whom an observer hears, by incarnation, as far as we have been told."""
        return self._hears.get(observer, {})

    def incarnation(self, node: str) -> str | None:
        """Of the directory that a slave runs with, as most of those say who hear it.

        Not as we see it ourselves: a link to its old self may stand for a while after it came back
        empty, and who follows the one that saw that first would turn the map back.
        """
        said = Counter(hears[node] for hears in self._hears.values() if node in hears)
        for incarnation, count in said.most_common(1):
            if 2 * count > said.total():
                return incarnation
        return None

    def _is_silent(self, observer: str, node: str, until: float) -> bool:
        since = self._silent_since.get(observer, {}).get(node)
        return since is not None and since <= until
