"""Runs inputs through a target and says which of them break a promise:

- it ends as it should: with a value, or with an error that the target's row names;
- it ends soon: ``SECONDS_MAX`` of processor time;
- it takes memory in proportion to its bytes (measured of each ``MEASURED``-th input).

Caveat: a target that never ends is interrupted only where Python code runs.
"""

import random
import signal
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.mutation import changed, inputs
from tests.fuzz.targets import Target

SECONDS_MAX = 2.0  # far above what any takes, also on a machine that is busy
HANG_S = 60  # of some hundred inputs together
MEASURED = 499
CORPUS = Path(__file__).with_name("corpus")


class Find(NamedTuple):
    data: bytes
    what: str


class _Hang(BaseException):
    pass


def kept(target: Target) -> dict[str, bytes]:
    """What was found before, by the names of files."""
    folder = CORPUS / target.name
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir())} if folder.is_dir() else {}


def run(target: Target, count: int, seed: int) -> Iterator[Find]:
    """So many inputs."""
    generator = random.Random(f"{target.name} {seed}")
    seeds = [*target.seeds, *kept(target).values()]
    made = inputs(seeds, target.words, generator)
    with _watched() as alive:
        for number in range(count):
            if number & 127 == 0:
                alive()
            data = _packed(target, generator) if generator.random() < 0.7 else b""
            data = data or next(made)
            if target.repair is not None and generator.random() < 0.9:
                data = target.repair(data)
            if what := tried(target, data, number % MEASURED == 0):
                yield Find(data, what)


def _packed(target: Target, generator: random.Random) -> bytes:
    """One of the target's values, changed; empty if there is none, or no bytes stand for it."""
    if not target.values:
        return b""
    try:
        return target.pack(changed(generator.choice(target.values), generator))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return b""


def replay(target: Target, found: Iterable[bytes]) -> Iterator[Find]:
    with _watched() as alive:
        for data in found:
            alive()
            if what := tried(target, data, True):
                yield Find(data, what)


def tried(target: Target, data: bytes, is_measured: bool) -> str:
    """What is wrong; empty if nothing is."""
    if is_measured:
        tracemalloc.start()
    started = time.process_time()
    try:
        target.read(data)
    except target.errors:
        pass
    except _Hang:
        return "it does not end"
    except Exception as problem:
        return f"{type(problem).__name__}: {problem!s:.200}"
    finally:
        took = time.process_time() - started
        peak = tracemalloc.get_traced_memory()[1] if is_measured else 0
        if is_measured:
            tracemalloc.stop()
    if took > SECONDS_MAX:
        return f"it took {took:.1f} s"
    bound = target.memory + target.memory_per_byte * len(data)
    return f"it took {peak} bytes of memory, more than {bound}" if peak > bound else ""


@contextmanager
def _watched() -> Iterator[object]:
    def ring(*_: object) -> None:
        raise _Hang

    before = signal.signal(signal.SIGALRM, ring)
    left = signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        yield lambda: signal.setitimer(signal.ITIMER_REAL, HANG_S)
    finally:
        signal.setitimer(signal.ITIMER_REAL, *left)  # pytest-timeout has one, too
        signal.signal(signal.SIGALRM, before)
