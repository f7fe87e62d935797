"""How far it is: a bar on standard error if that is a terminal, nothing otherwise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from distrodb.master.render import is_live


@contextmanager
def bar(title: str, total: float | None) -> Iterator[Callable[[float, str], None]]:
    """``show(done, words)``; ``total`` is None if nobody knows it."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[words]}"),
    )
    with Progress(*columns, console=console, disable=not is_live(console)) as progress:
        task = progress.add_task(title, total=total, words="")

        def show(done: float, words: str) -> None:
            progress.update(task, completed=done, words=words)

        yield show


def plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def bytes_of(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
