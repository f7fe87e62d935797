"""The ring and its healing as the shell draws them, from a status alone (pure).

    node1 → node2 ⇢ (node3 down) ⇢ node4 → node1

A solid arrow joins neighbours; a dashed one leads past a slave that placement does not count on. In
brackets stands who is not plainly up. Five slaves fit into 80 columns.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from distrodb.master.healing import (
    Healing,
    Move,
    byte_count,
    circle_of,
    healing_of,
    of_partitions,
)
from distrodb.master.render import STATUS_STYLES, empty_table, state

Status = Mapping[str, Any]

BAR_COLUMNS = 20
# To a slave that came back empty all its groups copy at once; more lines do not fit on a screen.
MOVES_SHOWN_MAX = 12


def ring_view(status: Status) -> RenderableType:
    """The circle, a row for each slave, and what is under way."""
    return Group(_heading(status), *_ring(status))


def followed_view(status: Status, problem: str | None = None) -> RenderableType:
    """The same, with a bar for the whole; it stands on top, since a screen that is too low shows
    the upper part. `problem`: why this status may be out of date."""
    healing = healing_of(status)
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        "settled",
        ProgressBar(max(1, healing.partitions), healing.settled, width=BAR_COLUMNS),
        f"{healing.settled} of {healing.partitions} partitions",
    )
    trouble = [] if problem is None else [Text(problem, style="red")]
    return Group(_heading(status), grid, *trouble, *_ring(status))


def _heading(status: Status) -> Text:
    controller = status.get("controller")
    return Text(f"epoch {status['epoch']}" + (f", controller {controller}" if controller else ""))


def _ring(status: Status) -> list[RenderableType]:
    return [circle(status), Text(), _ring_table(status), *_below(healing_of(status))]


def circle(status: Status) -> Text:
    nodes = circle_of(status)
    text = Text()
    for node_id, after in pairwise([*nodes, nodes[0]] if nodes else []):
        text.append_text(_on_circle(status, node_id))
        solid = node_id in status["ring"] and after in status["ring"]
        text.append(" → " if solid else " ⇢ ")
    return text.append_text(_on_circle(status, nodes[0])) if nodes else Text("(empty)")


def _on_circle(status: Status, node_id: str) -> Text:
    known = status["nodes"][node_id]["status"]
    if known == "up":
        return Text(node_id)
    return Text(f"({node_id} {known})", style=STATUS_STYLES.get(known, ""))


def _ring_table(status: Status) -> Table:
    ring, partitions = list(status["ring"]), status["partitions"]
    moves = healing_of(status).moves
    table = empty_table("left", "node", "right", "status", "leads", "owns", "holds", "moves")
    for node_id in circle_of(status):
        at = ring.index(node_id) if node_id in ring else None
        table.add_row(
            "" if at is None else ring[at - 1],
            Text(node_id, style="bold"),
            "" if at is None else ring[(at + 1) % len(ring)],
            state(status["nodes"][node_id]["status"]),
            str(sum(node_id == partition["leader"] for partition in partitions)),
            str(sum(node_id == partition["owner"] for partition in partitions)),
            str(sum(node_id in partition["group"] for partition in partitions)),
            " ".join(
                [f"+{move.group}" for move in moves if node_id in move.coming]
                + [f"-{move.group}" for move in moves if node_id in move.going]
            ),
        )
    return table


def healing_view(status: Status) -> RenderableType | None:
    """What is under way, waits or is stuck; None if nothing is."""
    lines = _below(healing_of(status))
    return Group(*lines[1:]) if lines else None


def _below(healing: Healing) -> list[RenderableType]:
    lines: list[RenderableType] = []
    if healing.moves:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        for move in healing.moves[:MOVES_SHOWN_MAX]:
            grid.add_row(f"{move.what}: {_change(move)}", *_copied(move))
        lines.append(grid)
        if len(healing.moves) > MOVES_SHOWN_MAX:
            lines.append(Text(f"and {len(healing.moves) - MOVES_SHOWN_MAX} more"))
    elif healing.is_map_moving:
        lines.append(Text("cluster map: its own group is on its way"))
    if healing.waiting:
        lines.append(Text(f"waiting for their turn: {of_partitions(healing.waiting)}"))
    if healing.stuck:
        text = f"stuck until a slave comes back: {of_partitions(healing.stuck)}"
        lines.append(Text(text, style="red"))
    return [Text(), *lines] if lines else []


def _change(move: Move) -> str:
    coming, going = " ".join(move.coming), " ".join(move.going)
    if coming and going:
        return f"{going} → {coming}"
    if coming:
        return f"→ {coming}"
    return f"{going} →" if going else "on its way"


def _copied(move: Move) -> tuple[RenderableType, RenderableType]:
    if not move.total:
        return "", Text("not copying now", style="dim")
    bar = ProgressBar(move.total, min(move.done, move.total), width=BAR_COLUMNS)
    return bar, byte_count(move.done, move.total)
