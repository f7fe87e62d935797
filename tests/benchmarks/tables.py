"""Figures of several rounds as text: medians with least and most, tables in markdown.  Pure."""

from collections.abc import Iterable, Sequence
from statistics import median


def spread(values: Sequence[float], form: str = "{:,.0f}") -> str:
    """``12 (10 15)``: the median, the least and the most; one round has no spread."""
    if not values:
        return "–"
    middle = form.format(median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({form.format(min(values))} {form.format(max(values))})"


def shares(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Round by round: what the machine did meanwhile concerns both."""
    return [our / their for our, their in zip(ours, theirs, strict=True)]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
