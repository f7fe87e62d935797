"""Commands that go on until the ring is where it should be: WATCH-RING and REMOVE.

Each looks at the status a few times a second, at a terminal draws it, and ends by itself. They only
look: the slaves go on whoever watches, so Ctrl-C ends nothing but the drawing.

Invariants:
  - Done is what is so for `DONE_S_MIN`, since the slave that is asked may not have heard yet of a
    change that the controller has just made.
  - A cluster that does not answer is asked again for `RETRY_S_MAX`; then its error is shown.
  - What nobody can heal for `STUCK_S_MAX` is named, with the slaves that it takes, and ends it.

Caveat: a slave whose link to the asked one alone is broken stays `suspect`; after `SUSPECT_S_MAX`
that is said and no longer waited for.
"""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple

from rich.console import Console
from rich.live import Live

from distrodb.clock import monotonic, sleep
from distrodb.errors import DistrodbError, UnavailableError
from distrodb.master.client import RETRY_S_MAX, Cluster
from distrodb.master.healing_status import Healing, changes, held_by, unborn
from distrodb.master.render import followed_view, is_live
from distrodb.ranges import of_groups

LOOK_PAUSE_S = 0.25  # a bar seems to move, and the asked slave has next to nothing to do
DONE_S_MIN = 0.5
# Some times the `dead_after_s` of any sensible cluster: by then it is known to be down.
SUSPECT_S_MAX = 60.0
# Without a majority in the map's group nobody will act: only for as long as a restart takes.
STUCK_S_MAX = 10.0
# A slave is leaving, and nothing is left to do: not for a moment only.
STALLED_S_MIN = 5.0

Status = dict[str, Any]


class Look(NamedTuple):
    status: Status
    remark: str  # beside the drawing
    line: str  # in its place, where nothing can be drawn


def looks(cluster: Cluster) -> Iterator[tuple[Status, str]]:
    """Without end: a status, and why it is still the one before. Raises UnavailableError when
    nobody answers the first, or for `RETRY_S_MAX`."""
    status = cluster.status()
    yield status, ""
    answered_at = monotonic()
    while True:
        sleep(LOOK_PAUSE_S)
        problem = ""
        try:
            status = cluster.status()
            answered_at = monotonic()
        except UnavailableError:
            if monotonic() - answered_at >= RETRY_S_MAX:
                raise
            problem = "no slave answers; trying again"
        yield status, problem


class _Steady:
    """For how long something has been the same."""

    def __init__(self) -> None:
        self._value: object = None
        self._since = 0.0

    def seconds(self, value: object) -> float:
        if value != self._value:
            self._value, self._since = value, monotonic()
        return monotonic() - self._since


def _draw(shown: Iterator[Look], console: Console, transient: bool = False) -> Status:
    """All of them, at a terminal over each other, else a line for each that is another; the last
    status."""
    told = ""
    status: Status = {}
    # Drawn only when there is something new: between two looks nothing moves.
    live = Live(console=console, auto_refresh=False, transient=transient)
    with live if is_live(console) else nullcontext():
        for status, remark, line in shown:
            if is_live(console):
                live.update(followed_view(status, remark), refresh=True)
            elif line and line != told:
                told = line
                console.print(line, soft_wrap=True)
    return status


# -- the ring ------------------------------------------------------------------------------------


def watch_ring(cluster: Cluster, console: Console) -> str:
    """Shows the ring until it is healed; what to say then. Without a terminal: a line for each
    change. Raises DistrodbError: some partitions are stuck until a slave comes back, or it stays
    unknown whether one is down.
    """
    status = _draw(_until_healed(cluster), console)
    healing = Healing(status)
    if why := unborn(status) or _unhealed(status, healing):
        raise DistrodbError(why)
    copies = f"{healing.copies} {'copy' if healing.copies == 1 else 'copies'}"
    if healing.copies < healing.replicas:
        return (
            f"every partition has {copies} on live slaves, which are too few for {healing.replicas}"
        )
    return f"healed: every partition has its {copies}"


def _until_healed(cluster: Cluster) -> Iterator[Look]:
    state = _Steady()
    for status, problem in looks(cluster):
        yield Look(status, problem, problem or changes(status))
        if not problem and state.seconds(patience := _patience(status)) > patience:
            return


def _patience(status: Status) -> float:
    """For how many seconds on end this is looked at before it is the outcome."""
    healing = Healing(status)
    if unborn(status) or healing.is_map_lost:
        return STUCK_S_MAX
    if healing.electing:
        return SUSPECT_S_MAX
    if healing.suspects and (healing.is_done or not healing.has_controller):
        return SUSPECT_S_MAX
    return DONE_S_MIN if healing.is_done else math.inf


def _unhealed(status: Status, healing: Healing) -> str | None:
    if healing.absent:
        absent = " ".join(healing.absent)
        return f"{of_groups(healing.stuck)} cannot go on without a majority: start {absent} again"
    if healing.stuck:
        return (
            f"{of_groups(healing.stuck)} cannot be healed before a slave comes back;"
            " every other partition has its copies"
        )
    if healing.electing:
        return f"{of_groups(healing.electing)} without a leader; try again"
    if healing.suspects:
        asked = status.get("asked", {}).get("node", "the asked slave")
        why = f"only {asked} does not hear it"
        if not healing.has_controller:
            why = "nobody leads the cluster map: bring slaves back"
        return f"{' '.join(healing.suspects)} suspect for {SUSPECT_S_MAX:g} s; {why}"
    return None


# -- a slave that leaves -------------------------------------------------------------------------


def wait_removed(cluster: Cluster, node_id: str, console: Console) -> None:
    """Returns when the cluster map has forgotten the slave, which it was asked to.

    Raises DistrodbError: the slave is not leaving any more, or cannot leave now.
    """
    _draw(_until_forgotten(cluster, node_id, console.is_terminal), console, transient=True)


def _until_forgotten(cluster: Cluster, node_id: str, tells: bool) -> Iterator[Look]:
    asked_at = monotonic()
    was_leaving = False
    stalled = _Steady()
    for status, problem in looks(cluster):
        if node_id not in status["nodes"]:
            return
        held = held_by(status, node_id)
        remark = problem or f"{node_id} holds {of_groups(held)}"
        yield Look(status, remark, remark if tells else "")
        if problem:
            continue
        known = status["nodes"][node_id]["status"]
        if known != "leaving" and (was_leaving or monotonic() - asked_at >= RETRY_S_MAX):
            why = f"{node_id} is {known} and not leaving; REMOVE it again"
            if known == "down":
                why = (
                    f"{node_id} went down on the way: the others restore its copies from their own;"
                    f" then REMOVE {node_id} again"
                )
            raise DistrodbError(why)
        was_leaving = known == "leaving"
        healing = Healing(status)
        is_stalled = was_leaving and healing.is_done
        if stalled.seconds(is_stalled) >= STALLED_S_MIN and is_stalled:
            stuck = healing.stuck & held
            why = f"{of_groups(stuck)} cannot move" if stuck else "too few others live"
            raise DistrodbError(
                f"{node_id} waits: {why}; it goes on when other slaves come back;"
                f" KEEP {node_id} calls it back"
            )
