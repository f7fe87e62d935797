"""What the shell prints, from values alone (pure): answers, tables, the ring and its healing.

    node1 → node2 ⇢ (node3 down) ⇢ node4 → node1

A solid arrow joins neighbours; a dashed one leads past a slave that placement does not count on. In
brackets stands who is not plainly up.

Invariant: an id, a leader or an address is never cut or wrapped: a table that is too wide for its
terminal leaves columns out and says which. `status` is the answer of `DISTRODB STATUS`.
"""

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from distrodb.master.healing_status import (
    Healing,
    Move,
    byte_count,
    healing_of,
    of_partitions,
    of_stuck,
)
from distrodb.master.quoting import escape

Status = Mapping[str, Any]

STATUS_STYLES = {
    "up": "green",
    "suspect": "yellow",
    "down": "red",
    "joining": "cyan",
    "leaving": "cyan",
}
BAR_COLUMNS = 20
# To a slave that came back empty all its groups copy at once; more lines do not fit on a screen.
MOVES_SHOWN_MAX = 12
UNLIMITED_COLUMNS = 100_000  # of what is no terminal


def is_live(console: Console) -> bool:
    """Whether what was drawn can be drawn over."""
    return console.is_terminal and not console.is_dumb_terminal


def maybe(value: bytes | None, stale: str | None = None) -> str:
    """A GET's line. `stale` says why the answer may be old; None means that it is not."""
    text = "Nothing" if value is None else f'Just "{escape(value)}"'
    return text if stale is None else f"{text}  (stale: {stale})"


# -- tables --------------------------------------------------------------------------------------


class Fitting:
    """A table that leaves out columns of `spare`, the first at first, until it fits the width."""

    def __init__(self, *columns: str, spare: str = "") -> None:
        self._columns = columns
        self._spare = spare.split()
        self._rows: list[list[str | Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        self._rows.append(list(cells))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width if console.is_terminal else UNLIMITED_COLUMNS
        wide = options.update(width=UNLIMITED_COLUMNS, no_wrap=True)
        left_out: list[str] = []
        needed = 0
        for spare in (*self._spare, None):
            table = self._table(left_out)
            columns = Measurement.get(console, wide, table).maximum
            needed = needed or columns
            if columns <= width or spare is None:
                break
            left_out.append(spare)
        yield from console.render(table, options.update(width=min(columns, width)))
        if left_out:
            yield Text(f"not shown: {', '.join(left_out)} ({needed} columns)", style="dim")

    def _table(self, left_out: Collection[str]) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            show_edge=False,
            collapse_padding=True,
            header_style="bold",
        )
        shown = [n for n, name in enumerate(self._columns) if name not in left_out]
        for n in shown:
            table.add_column(self._columns[n], no_wrap=self._columns[n] != "key", overflow="fold")
        for row in self._rows:
            table.add_row(*(row[n] for n in shown))
        return table


def _state(node: Mapping[str, Any]) -> Text:
    text = Text(node["status"], style=STATUS_STYLES.get(node["status"], ""))
    return text.append(", slow disk", style="yellow") if node.get("slow_disk") else text


def _leader(partition: Mapping[str, Any]) -> Text:
    leader = partition["leader"]
    return Text("none", style="red") if leader is None else Text(leader)


def _slots(partition: Mapping[str, Any]) -> str:
    first, last = partition["slots"]
    return f"{first}-{last}"


def _counts(status: Status, node_id: str) -> tuple[str, str, str]:
    """How many partitions it owns, leads and holds."""
    rows = status["partitions"]
    return (
        str(sum(node_id == row["owner"] for row in rows)),
        str(sum(node_id == row["leader"] for row in rows)),
        str(sum(node_id in row["group"] for row in rows)),
    )


def nodes_table(status: Status, answering: Collection[str] | None = None) -> RenderableType:
    """Every slave. `answering`: the ids that were just asked and answered; None leaves that out.

    The map's status lags a crash by `dead_after_s`, therefore the two columns.
    """
    columns = ["node", "status", "clients", "peers", "owns", "leads", "holds"]
    if answering is not None:
        columns.insert(2, "answers")
    table = Fitting(*columns, spare="peers owns holds leads")
    for node_id, node in sorted(status["nodes"].items()):
        cells = [node_id, _state(node), node["client"], node["peer"], *_counts(status, node_id)]
        if answering is not None:
            answers = node_id in answering
            cells.insert(2, Text("yes" if answers else "no", style="green" if answers else "red"))
        table.add_row(*cells)
    return table


def partitions_table(status: Status) -> RenderableType:
    table = Fitting(
        "partition", "slots", "owner", "group", "leader", "term", spare="term slots owner"
    )
    for row in status["partitions"]:
        group = " ".join(row["group"])
        cells = [str(row["id"]), _slots(row), row["owner"], group, _leader(row), str(row["term"])]
        table.add_row(*cells)
    return table


def where_table(key: bytes, slot: int, row: Mapping[str, Any]) -> RenderableType:
    table = Fitting("key", "slot", "partition", "slots", "group", "leader", spare="slots slot")
    table.add_row(
        Text(escape(key)),
        str(slot),
        str(row["id"]),
        _slots(row),
        " ".join(row["group"]),
        _leader(row),
    )
    return table


# -- the ring ------------------------------------------------------------------------------------


def ring_view(status: Status) -> RenderableType:
    """The circle, a row for each slave, and what is under way."""
    return Group(_heading(status), *_ring(status))


def followed_view(status: Status, remark: str | None = None) -> RenderableType:
    """The same, with a bar for the whole; it stands on top, since a screen that is too low shows
    the upper part. `remark`: what else there is to say, as why this status may be out of date."""
    healing = healing_of(status)
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        "settled",
        ProgressBar(max(1, healing.partitions), healing.settled, width=BAR_COLUMNS),
        f"{healing.settled} of {healing.partitions} partitions",
    )
    remarks = [] if remark is None else [Text(remark, style="yellow")]
    return Group(_heading(status), grid, *remarks, *_ring(status))


def _heading(status: Status) -> Text:
    controller = status.get("controller")
    return Text(f"epoch {status['epoch']}" + (f", controller {controller}" if controller else ""))


def _ring(status: Status) -> list[RenderableType]:
    return [circle(status), Text(), _ring_table(status), *_below(healing_of(status))]


def circle_of(status: Status) -> list[str]:
    """Every slave in the order of the ring, those that are not in it at the place they would have:
    behind the row before their own."""
    nodes = list(status["ring"])
    before: str | None = None
    for node_id in status["nodes"]:
        if node_id not in nodes:
            nodes.insert(0 if before is None else nodes.index(before) + 1, node_id)
        before = node_id
    return nodes


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


def _ring_table(status: Status) -> RenderableType:
    ring, moves = list(status["ring"]), healing_of(status).moves
    names = ("left", "node", "right", "status", "leads", "owns", "holds", "moves")
    table = Fitting(*names, spare="owns holds leads left right")
    for node_id in circle_of(status):
        at = ring.index(node_id) if node_id in ring else None
        owns, leads, holds = _counts(status, node_id)
        coming = [f"+{move.group}" for move in moves if node_id in move.coming]
        going = [f"-{move.group}" for move in moves if node_id in move.going]
        table.add_row(
            "" if at is None else ring[at - 1],
            Text(node_id, style="bold"),
            "" if at is None else ring[(at + 1) % len(ring)],
            _state(status["nodes"][node_id]),
            leads,
            owns,
            holds,
            " ".join(coming + going),
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
    if electing := set(healing.leaderless) - set(healing.stuck):
        lines.append(Text(f"without a leader just now: {of_partitions(electing)}", style="yellow"))
    if stuck := of_stuck(healing):
        absent = " ".join(healing.absent)
        why = f"stuck without {absent}" if absent else "stuck until a slave comes back"
        lines.append(Text(f"{why}: {stuck}", style="red"))
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
