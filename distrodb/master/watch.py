"""Follow the ring until something has come about: live on a terminal, a line a change elsewhere.

Only looks: whoever stops watching stops nothing.
"""

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.live import Live

from distrodb.clock import monotonic, sleep
from distrodb.errors import UnavailableError
from distrodb.master import render

Status = dict[str, Any]
Finished = Callable[[Status], str | None]  # the last line, when it is so far

LOOK_S = 0.25  # between two looks: a person follows no more, and each costs a slave a moment
SILENCE_S_MAX = 10.0  # without an answer of any slave: an election of the asked one lasts less


def follow(look: Callable[[], Status], console: Console, finished: Finished) -> str:
    """Show what ``look`` returns until ``finished`` says so; returns its line.

    Raises ``UnavailableError`` when no slave answers for ``SILENCE_S_MAX``.
    """
    if not console.is_terminal:
        return _follow(look, finished, _Lines(console).show)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        line = _follow(
            look, finished, lambda status: live.update(render.ring_view(status), refresh=True)
        )
    console.print(render.ring_view(look()))
    return line


def _follow(
    look: Callable[[], Status],
    finished: Finished,
    show: Callable[[Status], None],
) -> str:
    heard_at = monotonic()
    while True:
        try:
            status = look()
        except UnavailableError:
            if monotonic() - heard_at > SILENCE_S_MAX:
                raise
        else:
            heard_at = monotonic()
            show(status)
            line = finished(status)
            if line is not None:
                return line
        sleep(LOOK_S)


class _Lines:
    """A line whenever something has changed."""

    def __init__(self, console: Console):
        self._console = console
        self._last = ""

    def show(self, status: Status) -> None:
        line = render.healing_line(status)
        if line != self._last:
            self._last = line
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def healed(status: Status) -> str | None:
    """Nothing is under way and nobody is doubted; what the ring is like then."""
    healing = status.get("healing", {"is_done": True})
    doubted = [id_ for id_, node in status["nodes"].items() if node["status"] == "suspect"]
    if doubted or not healing["is_done"]:
        return None
    if stuck := healing.get("stuck"):
        return (
            f"nothing more can be done: {_partitions(stuck)} waiting for a slave that is down;"
            " start it again"
        )
    copies = min(render.live_copies(status), default=0)
    wanted = status.get("replicas", copies)
    few = f" (of {wanted}: there are too few slaves)" if copies < wanted else ""
    return (
        f"healed: {len(status['ring'])} slaves in the ring, every partition has {copies} live"
        f" {'copy' if copies == 1 else 'copies'}{few}"
    )


def removed(node: str) -> Finished:
    """``node`` is gone from the cluster."""

    def finished(status: Status) -> str | None:
        row = status["nodes"].get(node)
        if row is None:
            return f"Removed {node}"
        if row["status"] in ("leaving", "suspect"):
            return None
        return f"{node} is {row['status']} and does not leave any more; REMOVE it again"

    return finished


def _partitions(numbers: list[int]) -> str:
    many = "partition" if len(numbers) == 1 else "partitions"
    return f"{many} {', '.join(map(str, numbers))} {'is' if len(numbers) == 1 else 'are'}"
