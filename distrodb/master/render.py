"""What the shell prints, from values alone (pure): answers, tables, the ring and its healing.

    node1 → node2 ⇢ (node3 down) ⇢ node4 → node1

A solid arrow joins neighbours; a dashed one leads past a slave that placement does not count on. In
brackets stands who is not plainly up.

Invariant: an id, a leader or an address is never cut or wrapped: a table that is too wide for its
terminal leaves columns out and says which. `status` is the answer of `DISTRODB STATUS`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.filesize import pick_unit_and_suffix
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from distrodb.master.healing_status import Healing, Move, unborn
from distrodb.master.quoting import escape, shown

Status = Mapping[str, Any]
Row = Mapping[str, str | Text]  # by column

STYLES = {
    "up": "green",
    "suspect": "yellow",
    "down": "red",
    "joining": "cyan",
    "leaving": "cyan",
    "yes": "green",
    "no": "red",
    "none": "red",
    "without": "yellow",
    "stuck": "red",
    "error": "red",
    "warning": "yellow",
    "note": "cyan",
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


def findings(found: Sequence[Mapping[str, str]]) -> Group:
    """What DOCTOR says: two lines each."""
    if not found:
        return Group(Text("all is well"))
    lines: list[RenderableType] = []
    for each in found:
        severity = each["severity"]
        head = Text.assemble((severity, STYLES[severity]), f": {shown(each['seen'])}")
        lines += [head, Text(f"  → {shown(each['do'])}")]
    return Group(*lines)


# -- tables --------------------------------------------------------------------------------------


class Fitting:
    """A table of these columns of the rows. It leaves out those of `spare`, the first at first,
    until it fits the width."""

    def __init__(self, columns: str, rows: Iterable[Row], spare: str) -> None:
        self._columns, self._rows, self._spare = columns.split(), list(rows), spare.split()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width if console.is_terminal else UNLIMITED_COLUMNS
        unlimited = options.update(width=UNLIMITED_COLUMNS, no_wrap=True)
        widths: list[int] = []
        for count in range(len(self._spare) + 1):
            table = self._without(self._spare[:count])
            widths.append(Measurement.get(console, unlimited, table).maximum)
            if widths[-1] <= width:
                break
        yield from console.render(table, options.update(width=min(width, widths[-1])))
        if count:
            left_out = ", ".join(self._spare[:count])
            yield Text(f"not shown: {left_out} ({widths[0]} columns)", style="dim")

    def _without(self, left_out: Collection[str]) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            show_edge=False,
            collapse_padding=True,
            header_style="bold",
        )
        shown = [column for column in self._columns if column not in left_out]
        for column in shown:
            table.add_column(column, no_wrap=column != "key", overflow="fold")
        for row in self._rows:
            table.add_row(*(row[column] for column in shown))
        return table


def nodes_table(status: Status, answering: Collection[str] | None = None) -> RenderableType:
    """Every slave. `answering`: the ids that were just asked and answered; None leaves that out.

    The map's status lags a crash by `dead_after_s`, therefore the two columns.
    """
    answers = "" if answering is None else "answers"
    return Fitting(
        f"node status {answers} clients peers owns leads holds",
        (_node(status, node_id, answering or ()) for node_id in sorted(status["nodes"])),
        spare="peers owns holds leads",
    )


def _node(status: Status, node_id: str, answering: Collection[str] = ()) -> Row:
    node, partitions = status["nodes"][node_id], status["partitions"]
    state = _styled(node["status"])
    if node.get("slow_disk"):
        state.append(", slow disk", style="yellow")
    return {
        "node": node_id,
        "status": state,
        "answers": _styled("yes" if node_id in answering else "no"),
        "clients": node["client"],
        "peers": node["peer"],
        "owns": str(sum(node_id == row["owner"] for row in partitions)),
        "leads": str(sum(node_id == row["leader"] for row in partitions)),
        "holds": str(sum(node_id in row["group"] for row in partitions)),
    }


def partitions_table(status: Status) -> RenderableType:
    return Fitting(
        "partition slots owner group leader term",
        map(_partition, status["partitions"]),
        spare="term slots owner",
    )


def _partition(row: Mapping[str, Any]) -> Row:
    return {
        "partition": str(row["id"]),
        "slots": "-".join(map(str, row["slots"])),
        "owner": row["owner"],
        "group": " ".join(row["group"]),
        "leader": _styled("none") if row["leader"] is None else row["leader"],
        "term": str(row["term"]),
    }


def where_table(key: bytes, slot: int, partition: Mapping[str, Any]) -> RenderableType:
    return Fitting(
        "key slot partition slots group leader",
        [{"key": Text(escape(key)), "slot": str(slot), **_partition(partition)}],
        spare="slots slot",
    )


def _styled(word: str, text: str = "") -> Text:
    return Text(text or word, style=STYLES.get(word, ""))


# -- the ring ------------------------------------------------------------------------------------


def ring_view(status: Status, *above: RenderableType) -> RenderableType:
    """The circle, a row for each slave, and what is under way."""
    controller = status.get("controller")
    healing = Healing(status)
    heading = f"epoch {status['epoch']}" + (f", controller {controller}" if controller else "")
    lines = healing.lines()
    if healing.moves:
        lines.pop("moving")  # they have lines of their own
    below = [*moves(healing), *(_styled(name.split()[0], line) for name, line in lines.items())]
    if why := unborn(status):  # then nothing else is to be done
        below = [Text(why, style="yellow")]
    gap = [Text()] if below else []
    return Group(heading, *above, circle(status), "", _ring_table(status, healing), *gap, *below)


def followed_view(status: Status, remark: str = "") -> RenderableType:
    """The same, with a bar for the whole; it stands on top, since a screen that is too low shows
    the upper part. `remark`: what else there is to say, as why this status may be out of date."""
    healing = Healing(status)
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        "settled",
        ProgressBar(max(1, healing.partitions), healing.settled, width=BAR_COLUMNS),
        f"{healing.settled} of {healing.partitions} partitions",
    )
    return ring_view(status, grid, *([Text(remark, style="yellow")] if remark else []))


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
    for node_id, after in pairwise([*nodes, *nodes[:1]]):
        text.append_text(_on_circle(status, node_id))
        text.append(" → " if {node_id, after} <= set(status["ring"]) else " ⇢ ")
    return text.append_text(_on_circle(status, nodes[0])) if nodes else Text("(empty)")


def _on_circle(status: Status, node_id: str) -> Text:
    known = status["nodes"][node_id]["status"]
    return Text(node_id) if known == "up" else _styled(known, f"({node_id} {known})")


def _ring_table(status: Status, healing: Healing) -> RenderableType:
    def row_of(node_id: str) -> Row:
        left, right = neighbours.get(node_id, ("", ""))
        coming = [f"+{move.group}" for move in healing.moves if node_id in move.coming]
        going = [f"-{move.group}" for move in healing.moves if node_id in move.going]
        return {
            **_node(status, node_id),
            "node": Text(node_id, style="bold"),
            "left": left,
            "right": right,
            "moves": " ".join(coming + going),
        }

    ring = list(status["ring"])
    around = zip(ring, ring[-1:] + ring, ring[1:] + ring[:1], strict=False)
    neighbours = {node_id: (left, right) for node_id, left, right in around}
    return Fitting(
        "left node right status leads owns holds moves",
        map(row_of, circle_of(status)),
        spare="owns holds leads left right",
    )


def moves(healing: Healing) -> list[RenderableType]:
    """A line for each group that is under way."""
    if not healing.moves:
        return []
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    for move in healing.moves[:MOVES_SHOWN_MAX]:
        what = "cluster map" if move.group == "map" else f"partition {move.group}"
        change = " ".join([*move.going, "→", *move.coming])
        grid.add_row(
            f"{what}: {change if move.going or move.coming else 'on its way'}", *_copied(move)
        )
    more = len(healing.moves) - MOVES_SHOWN_MAX
    return [grid, *([f"and {more} more"] if more > 0 else [])]


def _copied(move: Move) -> tuple[RenderableType, RenderableType]:
    if not move.total:
        return "", Text("not copying now", style="dim")
    bar = ProgressBar(move.total, min(move.done, move.total), width=BAR_COLUMNS)
    return bar, byte_count(move.done, move.total)


def byte_count(done: int, total: int) -> str:
    """ "12.3 / 40.0 MB" """
    unit, name = pick_unit_and_suffix(total, ["B", "kB", "MB", "GB"], 1000)
    digits = 0 if name == "B" else 1
    return f"{done / unit:.{digits}f} / {total / unit:.{digits}f} {name}"
