"""What the shell prints, from values alone (pure).

`status` is the answer of `DISTRODB STATUS`: epoch, ring, nodes, partitions.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from distrodb.master.quoting import escape

Status = Mapping[str, Any]

_STATUS_STYLES = {
    "up": "green",
    "suspect": "yellow",
    "down": "red",
    "joining": "cyan",
    "leaving": "cyan",
}


def just(value: bytes) -> str:
    return f'Just "{escape(value)}"'


def maybe(value: bytes | None, stale: str | None = None) -> str:
    """A GET's line. `stale` says why the answer may be old; None means that it is not."""
    text = "Nothing" if value is None else just(value)
    return text if stale is None else f"{text}  (stale: {stale})"


def _table(*columns: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,  # so that NODES fits into 80 columns
        header_style="bold",
    )
    for column in columns:
        # A wrapped id or address cannot be copied; a narrow terminal may cut the last columns.
        table.add_column(column, no_wrap=True)
    return table


def _state(status: str) -> Text:
    return Text(status, style=_STATUS_STYLES.get(status, ""))


def _leader(partition: Mapping[str, Any]) -> Text:
    leader = partition["leader"]
    return Text("none", style="red") if leader is None else Text(leader)


def _slots(partition: Mapping[str, Any]) -> str:
    first, last = partition["slots"]
    return f"{first}-{last}"


def nodes_table(status: Status, answering: Collection[str] | None = None) -> RenderableType:
    """Every slave. `answering`: the ids that were just asked and answered; None leaves that out.

    The map's status lags a crash by `dead_after_s`, therefore the two columns.
    """
    headings = ["node", "status", "clients", "peers", "owns", "leads", "holds"]
    if answering is not None:
        headings.insert(2, "answers")
    table = _table(*headings)
    partitions = status["partitions"]
    for node_id, node in sorted(status["nodes"].items()):
        cells: list[Text | str] = [
            node_id,
            _state(node["status"]),
            node["client"],
            node["peer"],
            str(sum(node_id == partition["owner"] for partition in partitions)),
            str(sum(node_id == partition["leader"] for partition in partitions)),
            str(sum(node_id in partition["group"] for partition in partitions)),
        ]
        if answering is not None:
            answers = node_id in answering
            cells.insert(2, Text("yes" if answers else "no", style="green" if answers else "red"))
        table.add_row(*cells)
    return table


def ring_view(status: Status) -> RenderableType:
    """The circle, with gaps where slaves are missing, each slave, and what is on its way."""
    ring: Sequence[str] = status["ring"]
    table = _table("left", "node", "right", "status", "owns partitions")
    for node_id, node in status["nodes"].items():
        left, right = _neighbours(ring, node_id)
        owned = [str(part["id"]) for part in status["partitions"] if part["owner"] == node_id]
        name = Text(node_id, style="bold")
        table.add_row(left, name, right, _state(node["status"]), " ".join(owned))
    parts: list[RenderableType] = [Text(f"epoch {status['epoch']}"), _circle(status), Text(), table]
    if status.get("moves"):
        parts += [Text(), moves_table(status)]
    return Group(*parts, Text(), Text(healing_line(status)))


def _neighbours(ring: Sequence[str], node_id: str) -> tuple[str, str]:
    if node_id not in ring:
        return "", ""
    position = ring.index(node_id)
    return ring[position - 1], ring[(position + 1) % len(ring)]


def _circle(status: Status) -> Text:
    """``node1 → node2 ⇢ (node3 down) ⇢ node4 → node1``: who is in the ring, and who is not."""
    ring = status["ring"]
    text = Text()
    before_was_in = True
    for number, (node_id, node) in enumerate([*status["nodes"].items()]):
        is_in = node_id in ring
        if number:
            text.append(" → " if is_in and before_was_in else " ⇢ ")
        shown = node_id if is_in else f"({node_id} {node['status']})"
        text.append(shown, "" if is_in else _STATUS_STYLES.get(node["status"], ""))
        before_was_in = is_in
    if ring:
        text.append(f" → {ring[0]}" if before_was_in else f" ⇢ {ring[0]}")
    return text or Text("(empty)")


def moves_table(status: Status) -> RenderableType:
    """Groups that are on their way to other slaves, with the bytes that are copied."""
    table = _table("moving", "from", "to", "copied", "")
    for move in status.get("moves", ()):
        done, total = move["done"], move["total"]
        bar = ProgressBar(total or 1, min(done, total or 0), width=20)
        table.add_row(
            "map" if move["group"] == "map" else f"partition {move['group']}",
            " ".join(move["from"]) or "-",
            " ".join(move["to"]) or "-",
            f"{_megabytes(done)} of {_megabytes(total)} MB" if total else "",
            bar if total else "",
        )
    return table


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f}"


def live_copies(status: Status) -> list[int]:
    """For each partition the members of its group that are not down."""
    down = {node_id for node_id, node in status["nodes"].items() if node["status"] == "down"}
    return [len({*partition["group"]} - down) for partition in status["partitions"]]


def healing_line(status: Status) -> str:
    """How far the ring is from where it wants to be."""
    healing = status.get("healing")
    if not healing:
        return "settled"
    moving, waiting, stuck = (len(healing[name]) for name in ("moving", "waiting", "stuck"))
    total = len(status["partitions"])
    parts = [f"{total - moving - waiting - stuck} of {total} partitions settled"]
    for count, what in (
        (moving, "moving"),
        (waiting, "waiting"),
        (stuck, "stuck until a slave is back"),
    ):
        if count:
            parts.append(f"{count} {what}")
    if healing["is_map_moving"]:
        parts.append("the cluster map's own group is moving")
    for word in ("suspect", "joining", "leaving", "down"):
        nodes = [id_ for id_, node in status["nodes"].items() if node["status"] == word]
        if nodes:
            parts.append(f"{word}: {' '.join(nodes)}")
    return ", ".join(parts)


def partitions_table(status: Status) -> RenderableType:
    table = _table("partition", "slots", "owner", "group", "leader", "term")
    for partition in status["partitions"]:
        table.add_row(
            str(partition["id"]),
            _slots(partition),
            partition["owner"],
            " ".join(partition["group"]),
            _leader(partition),
            str(partition["term"]),
        )
    return table


def where_table(key: bytes, slot: int, partition: Mapping[str, Any]) -> RenderableType:
    table = _table("key", "slot", "partition", "slots", "group", "leader")
    table.add_row(
        Text(escape(key)),
        str(slot),
        str(partition["id"]),
        _slots(partition),
        " ".join(partition["group"]),
        _leader(partition),
    )
    return table
