"""Whether clients may be sent to a slave, and why not.  Pure: view in, words out."""

from distrodb.slave.status_reply import group_name
from distrodb.slave.view import View

SHOWN_MAX = 8  # groups that are named


def reasons_against(view: View, is_ending: bool) -> list[str]:
    """None of them: it has joined, is heard and hears, counts in all groups that it should be in,
    and knows their leaders."""
    maps, ring = view.maps, view.map.ring
    if is_ending:
        return ["it is ending"]
    if maps.waits_to_join:
        return ["it waits to be let into the cluster; if it is refused, its log says why"]
    if maps.waits_for_cluster:
        return ["its directory is empty, and it waits for a slave that knows the cluster"]
    if maps.waits_for is not None:
        who = ", ".join(maps.waits_for)
        what = f"waiting for {who}, not met yet" if who else "its slaves have met, and agree on it"
        return [f"the cluster is not born yet, {what}"]
    found = []
    if view.id not in ring:
        found.append("it is not in the ring")
    heard = [node for node in ring if view.peers.is_alive(node)]
    if 2 * len(heard) <= len(ring):
        found.append(f"it hears {len(heard)} of the {len(ring)} slaves of the ring, no majority")
    found += _named(view.not_yet_in(), "it is being taken in; it does not count yet in")
    found += _named(view.routing.leaderless(), "without a leader:")
    return found


def _named(groups: list[int], what: str) -> list[str]:
    if not groups:
        return []
    names = ", ".join(str(group_name(group)) for group in groups[:SHOWN_MAX])
    more = f" and {len(groups) - SHOWN_MAX} more" if len(groups) > SHOWN_MAX else ""
    return [f"{what} partition {names}{more}"]
