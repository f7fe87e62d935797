"""What a person reads of the books: lines of text.  Pure."""

import math
from collections.abc import Sequence

from distrodb.bench.books import Books, Sample
from distrodb.bench.chart import LABEL, bars, columns, short, time_label
from distrodb.bench.histogram import PERCENTILES, Histogram
from distrodb.bench.options import Options

_ROWS_MAX = 14  # of the distribution
_HEIGHT = 8


def described(options: Options, where: str) -> str:
    shape = options.shape
    limit = f"{options.seconds:g} s" if options.requests is None else f"{options.requests} commands"
    rate = f", {options.rate:g} a second" if options.rate is not None else ""
    sizes = ", ".join(map(str, shape.sizes))
    clients = f"{options.clients} client{'' if options.clients == 1 else 's'}"
    return (
        f"{where}: {clients}, pipeline {shape.pipeline}, {shape.get_percent:g} % GET,"
        f" {shape.keys} keys, values of {sizes} bytes, {limit}{rate}"
    )


def summary(books: Books, options: Options) -> list[str]:
    lines = []
    if books.is_interrupted:
        lines.append("interrupted; so far:")
    rate = f"{books.a_second:,.0f} commands a second"
    if options.rate is not None:
        rate += f" of {options.rate:,.0f} asked for"
    lines.append(f"{rate}; {books.done:,} done in {books.window_s:.2f} s")
    lines += _latencies(books)
    lines += _remarks(books)
    return lines


def _latencies(books: Books) -> list[str]:
    kinds = [("GET", books.gets), ("SET", books.sets)]
    rows = [(name, kind) for name, kind in kinds if kind.count]
    if len(rows) > 1:
        rows.append(("all", books.all()))
    if not rows:
        return []
    names = [*(f"p{p:g}" for p in PERCENTILES), "max", "mean"]
    lines = ["", f"{'ms':>5}" + "".join(f"{name:>11}" for name in names) + f"{'count':>13}"]
    for name, kind in rows:
        figures = kind.summary_ms().values()
        cells = "".join(f"{figure:>11.3f}" for figure in figures)
        lines.append(f"{name:>5}{cells}{kind.count:>13,}")
    return lines


def _remarks(books: Books) -> list[str]:
    lines = [""]
    if books.misses:
        lines.append(f"{books.misses:,} GETs found no such key (--fill writes all of them first)")
    if books.redirected:
        lines.append(f"{books.redirected:,} redirections were followed")
    if books.in_flight:
        lines.append(f"{books.in_flight:,} were still under way")
    if books.errors:
        lines.append(f"{books.failed:,} errors:")
        lines += [f"{times:>10,}  {text}" for text, times in books.errors.most_common()]
    return lines if len(lines) > 1 else []


def charts(books: Books, width: int, is_plain: bool) -> list[str]:
    lines = []
    rows = books.shown()
    if len(rows) > 1:
        lines += ["", "commands a second, over time"]
        lines += columns([row.a_second for row in rows], width, _HEIGHT, is_plain)
        lines.append(_time_axis(rows, width))
        if any(row.errors for row in rows):
            lines += ["", "errors, over time"]
            lines += columns([row.errors for row in rows], width, 3, is_plain)
    took = books.all()
    if took.count:
        lines += ["", "how long they took: up to"]
        lines += bars(distribution(took, is_plain), width, is_plain)
    return lines


def _time_axis(rows: Sequence[Sample], width: int) -> str:
    end = f"{rows[-1].at_s:.1f} s"
    room = max(1, width - LABEL - 2)
    drawn = min(room, len(rows)) * max(1, room // len(rows))
    return " " * (LABEL + 2) + "0" + end.rjust(max(drawn - 1, len(end) + 1))


def distribution(took: Histogram, is_plain: bool = False) -> list[tuple[str, float]]:
    """By the steps 1, 2, 5, 10, …, as many as are needed; what is below or above few is joined."""
    counts: dict[float, int] = {}
    for seconds, times in took.buckets():
        counts[step_of(seconds)] = counts.get(step_of(seconds), 0) + times
    rows = [(step, counts.get(step, 0)) for step in _steps(min(counts), max(counts))]
    while len(rows) > _ROWS_MAX:  # join the thinner end
        if rows[0][1] <= rows[-1][1]:
            rows = [(rows[1][0], rows[0][1] + rows[1][1]), *rows[2:]]
        else:
            rows = [*rows[:-2], (rows[-1][0], rows[-2][1] + rows[-1][1])]
    return [(time_label(step, is_plain), float(times)) for step, times in rows]


def step_of(seconds: float) -> float:
    """The next of …, 1, 2, 5, 10, … that is not below."""
    power = 10.0 ** math.floor(math.log10(max(seconds, 1e-7)))
    for factor in (1, 2, 5):
        if seconds <= power * factor * (1 + 1e-9):
            return float(f"{power * factor:.0e}")
    return float(f"{power * 10:.0e}")


def _steps(first: float, last: float) -> list[float]:
    steps = [first]
    while steps[-1] < last * (1 - 1e-9):
        steps.append(step_of(steps[-1] * 1.01))
    return steps


def progress_line(row: Sample, books: Books) -> str:
    line = f"{short(row.a_second)}/s  p50 {row.p50_ms:.2f} ms  p99 {row.p99_ms:.2f} ms"
    return line + (f"  {books.failed:,} errors" if books.failed else "")
