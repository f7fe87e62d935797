"""What the shell prints, from values alone (pure); the ring and its healing are in ringview.py.

`status` is the answer of `DISTRODB STATUS`: epoch, ring, nodes, partitions.
"""

from collections.abc import Collection, Mapping
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from distrodb.master.quoting import escape

Status = Mapping[str, Any]

STATUS_STYLES = {
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


def empty_table(*columns: str) -> Table:
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


def state(status: str) -> Text:
    return Text(status, style=STATUS_STYLES.get(status, ""))


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
    table = empty_table(*headings)
    partitions = status["partitions"]
    for node_id, node in sorted(status["nodes"].items()):
        cells: list[Text | str] = [
            node_id,
            state(node["status"]),
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


def partitions_table(status: Status) -> RenderableType:
    table = empty_table("partition", "slots", "owner", "group", "leader", "term")
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
    table = empty_table("key", "slot", "partition", "slots", "group", "leader")
    table.add_row(
        Text(escape(key)),
        str(slot),
        str(partition["id"]),
        _slots(partition),
        " ".join(partition["group"]),
        _leader(partition),
    )
    return table
