"""A sign of life at a terminal, when somebody waits for longer than a moment."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

SILENCE_S_MAX = 0.8  # seconds; a person wonders after one


@contextmanager
def patience(awaited: Callable[[], str]) -> Iterator[Timer]:
    """Says once what is awaited, unless the timer is cancelled or the block left before."""
    timer = Timer(SILENCE_S_MAX, lambda: _tell(awaited()))
    timer.daemon = True
    if sys.stderr.isatty():
        timer.start()
    try:
        yield timer
    finally:
        timer.cancel()


def _tell(awaited: str) -> None:
    print(f"waiting for {awaited} …", file=sys.stderr, flush=True)
