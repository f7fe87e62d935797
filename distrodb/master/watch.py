"""Commands that go on until the ring is where it should be: WATCH-RING and REMOVE.

Each looks at the status a few times a second, at a terminal draws it, and ends by itself. They only
look: the slaves go on whoever watches, so Ctrl-C ends nothing but the drawing.

Invariants:
  - Done is what `LOOKS_MIN` looks in a row say, since the slave that is asked may not have heard
    yet of a change that the controller has just made.
  - A cluster that does not answer is asked again for `RETRY_S_MAX`; then its error is shown.
  - What nobody can heal for `STUCK_S_MAX` is named, with the slaves that it takes, and ends it.

Caveat: a slave whose link to the asked one alone is broken stays `suspect`; after `SUSPECT_S_MAX`
that is said and no longer waited for.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.live import Live

from distrodb.clock import monotonic, sleep
from distrodb.errors import DistrodbError, UnavailableError
from distrodb.master.client import RETRY_S_MAX, Cluster
from distrodb.master.healing_status import (
    changes,
    healing_of,
    held_by,
    of_partitions,
    of_stuck,
    unborn,
)
from distrodb.master.render import followed_view, is_live

LOOK_PAUSE_S = 0.25  # a bar seems to move, and the asked slave has next to nothing to do
LOOKS_MIN = 3
# Some times the `dead_after_s` of any sensible cluster: by then it is known to be down.
SUSPECT_S_MAX = 60.0
# Without a majority in the map's group nobody will act: only for as long as a restart takes.
STUCK_S_MAX = 10.0
# A slave is leaving, and nothing is left to do: not for a moment only, but for some 5 s.
STALLED_LOOKS = 20

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    status: Status
    problem: str | None = None  # why the status is still the one before


def looks(cluster: Cluster) -> Iterator[Look]:
    """Without end. Raises UnavailableError when nobody answers the first, or for `RETRY_S_MAX`."""
    status = cluster.status()
    yield Look(status)
    answered_at = monotonic()
    while True:
        sleep(LOOK_PAUSE_S)
        problem = None
        try:
            status = cluster.status()
            answered_at = monotonic()
        except UnavailableError:
            if monotonic() - answered_at >= RETRY_S_MAX:
                raise
            problem = "no slave answers; trying again"
        yield Look(status, problem)


class _Since:
    """For how long something has been so without a break."""

    def __init__(self) -> None:
        self._at: float | None = None

    def __call__(self, holds: bool) -> float:
        self._at = (self._at or monotonic()) if holds else None
        return 0.0 if self._at is None else monotonic() - self._at


def _live(console: Console, transient: bool = False) -> AbstractContextManager[Live | None]:
    if not is_live(console):
        return nullcontext()
    # Drawn only when there is something new: between two looks nothing moves.
    return Live(console=console, auto_refresh=False, transient=transient)


# -- the ring ------------------------------------------------------------------------------------


def watch_ring(cluster: Cluster, console: Console) -> str:
    """Shows the ring until it is healed; what to say then. Without a terminal: a line for each
    change. Raises DistrodbError: some partitions are stuck until a slave comes back, or it stays
    unknown whether one is down.
    """
    told = ""
    status: Status = {}
    with _live(console) as live:
        for look in _until_healed(cluster):
            status = look.status
            if live is not None:
                live.update(followed_view(status, look.problem), refresh=True)
            elif told != (told := look.problem or changes(status)):
                console.print(told, soft_wrap=True)
    return _outcome(status)


def _until_healed(cluster: Cluster) -> Iterator[Look]:
    done = 0
    suspected, lost, unmet, elected = _Since(), _Since(), _Since(), _Since()
    for look in looks(cluster):
        yield look
        if look.problem is not None:
            continue
        healing = healing_of(look.status)
        suspected_s = suspected(bool(healing.suspects))
        is_unborn = unborn(look.status) is not None
        is_electing = bool(set(healing.leaderless) - set(healing.stuck))
        if lost(healing.is_map_lost) > STUCK_S_MAX or unmet(is_unborn) > STUCK_S_MAX:
            return
        if elected(is_electing) > SUSPECT_S_MAX:
            return
        is_unsure = bool(healing.suspects) and suspected_s < SUSPECT_S_MAX
        has_nobody = bool(healing.suspects) and not look.status.get("controller")  # who would act
        is_done = healing.is_done and not is_electing and not is_unborn
        done = done + 1 if (is_done or has_nobody) and not is_unsure else 0
        if done >= LOOKS_MIN:
            return


def _outcome(status: Status) -> str:
    healing = healing_of(status)
    if why := unborn(status):
        raise DistrodbError(why)
    if healing.absent:
        raise DistrodbError(
            f"{of_stuck(healing)} cannot go on without a majority: start"
            f" {' '.join(healing.absent)} again"
        )
    if healing.stuck:
        raise DistrodbError(
            f"{of_stuck(healing)} cannot be healed before a slave comes back;"
            " every other partition has its copies"
        )
    if healing.leaderless:
        raise DistrodbError(f"{of_partitions(healing.leaderless)} without a leader; try again")
    if healing.suspects:
        asked = status.get("asked", {}).get("node", "the asked slave")
        why = (
            f"only {asked} does not hear it"
            if status.get("controller")
            else "nobody leads the cluster map: bring slaves back"
        )
        raise DistrodbError(f"{' '.join(healing.suspects)} suspect for {SUSPECT_S_MAX:g} s; {why}")
    copies = f"{healing.copies} {'copy' if healing.copies == 1 else 'copies'}"
    if healing.copies < healing.replicas:
        return (
            f"every partition has {copies} on live slaves, which are too few for {healing.replicas}"
        )
    return f"healed: every partition has its {copies}"


# -- a slave that leaves -------------------------------------------------------------------------


def wait_removed(cluster: Cluster, node_id: str, console: Console) -> None:
    """Returns when the cluster map has forgotten the slave, which it was asked to.

    Raises DistrodbError: the slave is not leaving any more, or cannot leave now.
    """
    told = ""
    with _live(console, transient=True) as live:
        for look in _until_forgotten(cluster, node_id):
            held = of_partitions(held_by(look.status, node_id))
            remark = look.problem or f"{node_id} holds {held}"
            if live is not None:
                live.update(followed_view(look.status, remark), refresh=True)
            elif console.is_terminal and told != (told := remark):
                console.print(told)


def _until_forgotten(cluster: Cluster, node_id: str) -> Iterator[Look]:
    asked_at = monotonic()
    was_leaving = False
    stalled = 0
    for look in looks(cluster):
        if node_id not in look.status["nodes"]:
            return
        yield look
        if look.problem is not None:
            continue
        known = look.status["nodes"][node_id]["status"]
        if known == "leaving":
            was_leaving = True
        elif was_leaving or monotonic() - asked_at >= RETRY_S_MAX:
            raise DistrodbError(_not_leaving(node_id, known))
        healing = healing_of(look.status)
        stalled = stalled + 1 if was_leaving and healing.is_done else 0
        if stalled >= STALLED_LOOKS:
            stuck = set(healing.stuck) & set(held_by(look.status, node_id))
            why = f"{of_partitions(stuck)} cannot move" if stuck else "too few others live"
            raise DistrodbError(
                f"{node_id} waits: {why}; it goes on when other slaves come back;"
                f" KEEP {node_id} calls it back"
            )


def _not_leaving(node_id: str, known: str) -> str:
    if known == "down":
        return (
            f"{node_id} went down on the way: the others restore its copies from their own;"
            f" then REMOVE {node_id} again"
        )
    return f"{node_id} is {known} and not leaving; REMOVE it again"
