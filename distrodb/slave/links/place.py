"""Where a slave is found, and why one that says where it is may not be let in.  Pure.

A slave may come back at other addresses than the cluster map says: its file was changed.  What
tells it from another one is its directory (the incarnation), which it names once it has proved that
it knows the cluster's secret.  The map follows it (``Controller``).  The same directory started
twice, at two addresses, would vote twice; so nobody takes a slave at one address while he is linked
with it at another one, or hears of somebody who is.  One that is refused for that while the map has
it elsewhere is told so in words that it understands (``TWICE``), and ends (arrival.py).

Caveats: what holds only while the other one is linked with somebody who is heard here holds no
longer once that one is down: then the copy is taken for the slave that has moved, with what it has
forgotten since it was copied.  The same goes, as ever, for an old directory that is brought back at
the address that the slave had; so a directory is moved, never copied.
"""

from collections.abc import Callable, Iterable

from distrodb.config.address import parse
from distrodb.ring.clustermap import ClusterMap
from distrodb.ring.levels import OF_MOVES
from distrodb.ring.map_commands import may_be_at

Place = tuple[str, str]  # where clients and slaves find it, as it announces
# A slave and its incarnation: who is linked with it, and where; None: where the map says.
Heard = Callable[[str, str], Iterable[tuple[str, Place | None]]]

TWICE = "another slave runs with the data of this directory:"


def checked(client: str, peer: str) -> Place:
    """Raises ``ValueError``: what gets a row in the map must be addresses, or others would be sent
    nowhere."""
    for address in (client, peer):
        try:
            is_nowhere = parse(address).is_wildcard
        except ValueError as problem:
            raise ValueError(f"{address!r:.80} is not an address: {problem}") from None
        if is_nowhere:
            raise ValueError(f"{address!r:.80} is a wildcard")
    return client, peer


def objection(
    me: str, cluster_map: ClusterMap | None, heard: Heard, name: str, place: Place
) -> str | None:
    """Why a slave that says that it is this member, found there, is not taken, if so."""
    peer, _, incarnation = name.partition("/")
    if peer == me:
        return f"{peer} is our own id: each slave needs its own"
    row = cluster_map.nodes.get(peer) if cluster_map else None
    if cluster_map is None or row is None:
        return None
    known = row.client, row.peer
    if cluster_map.epoch == 0:
        # Only our file says where they were, and who knows a map has maybe moved since.  Of those
        # that know none the same file is asked for (introduction.py).
        elsewhere = [there for who, there in heard(peer, incarnation) if who == me]
        if elsewhere and (elsewhere[0] or known) != place:
            return f"{me} is linked with another {peer}"
        return None
    if place != known and (problem := _not_there(cluster_map, peer, incarnation, place)):
        return (
            f"{peer} is at {row.client} and {row.peer} in the cluster map, not at {place[0]} and"
            f" {place[1]}: {problem}"
        )
    if cluster_map.level < OF_MOVES:
        return None
    for who, there in heard(peer, incarnation):
        if who not in cluster_map.nodes:
            continue  # one that joins, whose map says nothing: it counts nowhere
        there = there or known
        if there != place:
            what = f"{who} is linked with {peer} at {there[0]} and {there[1]}"
            return what if place == known else f"{TWICE} {what}"
    return None


def _not_there(cluster_map: ClusterMap, peer: str, incarnation: str, place: Place) -> str | None:
    if cluster_map.level < OF_MOVES:
        return "give this slave an id of its own, or the addresses that it had"
    if incarnation != cluster_map.nodes[peer].incarnation:
        return (
            "it may move with the directory that it had, not with another one; give this slave an"
            " id of its own, or that directory"
        )
    try:
        checked(*place)
    except ValueError as problem:
        return str(problem)
    if not may_be_at(cluster_map, peer, incarnation, *place):
        return "another slave is at one of these"
    return None
