"""The same as a picture, PNG or SVG, by matplotlib, which is installed on request only."""

from pathlib import Path
from typing import Any

from distrodb.bench.books import Books
from distrodb.bench.histogram import Histogram
from distrodb.errors import ConfigError

MISSING = "--plot needs matplotlib: pip install 'distrodb[plot]'"


def check() -> None:
    """Before the load, not after it.  Raises ``ConfigError``."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ConfigError(MISSING) from None


def draw(books: Books, title: str, file: Path) -> None:
    import matplotlib

    matplotlib.use("agg")  # no display is needed
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, figsize=(9, 7), layout="constrained")
    figure.suptitle(title, fontsize=9, wrap=True)
    _over_time(above, books)
    _distribution(below, books)
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def _over_time(axes: Any, books: Books) -> None:
    rows = books.shown()
    times = [row.at_s for row in rows]
    axes.plot(times, [row.a_second for row in rows], color="tab:blue", label="commands a second")
    if books.failed:
        lengths = [b - a for a, b in zip([0.0, *times], times, strict=False)]
        errors = [row.errors / max(t, 1e-9) for row, t in zip(rows, lengths, strict=True)]
        axes.plot(times, errors, color="tab:red", label="errors a second")
    axes.set(xlabel="s", ylabel="a second")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    late = axes.twinx()
    late.plot(times, [row.p99_ms for row in rows], color="tab:orange", lw=0.8, label="p99, ms")
    late.set(ylabel="ms")
    late.set_ylim(bottom=0)
    handles = [*axes.get_lines(), *late.get_lines()]
    axes.legend(handles, [line.get_label() for line in handles], loc="lower right", fontsize=8)


def _distribution(axes: Any, books: Books) -> None:
    """Latency by percentile; to the right each step is a tenth of what was left."""
    from matplotlib.ticker import LogLocator

    for name, kind in (("GET", books.gets), ("SET", books.sets)):
        if kind.count:
            left, took = _by_rest(kind)
            axes.plot(left, took, label=f"{name} ({kind.count:,})")
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set_yscale("log")
    marks = [(0.5, "50 %"), (0.1, "90 %"), (0.01, "99 %"), (0.001, "99.9 %"), (0.0001, "99.99 %")]
    axes.set_xticks([at for at, _ in marks], [label for _, label in marks])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set(xlabel="of all commands took at most", ylabel="ms")
    axes.grid(alpha=0.3)
    if axes.get_lines():
        axes.legend(fontsize=8)


def _by_rest(kind: Histogram) -> tuple[list[float], list[float]]:
    """Which share took longer, and than what."""
    left, took, seen = list[float](), list[float](), 0
    for seconds, times in kind.buckets():
        seen += times
        left.append(max((kind.count - seen) / kind.count, 0.5 / kind.count))
        took.append(min(seconds, kind.max_s) * 1000)
    return left, took
