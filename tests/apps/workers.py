"""A worker of an application beside the test, and the book in which its jobs write."""

import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
GIVEN_UP_S = 90.0
END_S_MAX = 30.0


class Book:
    """What jobs have done: see jobs/book.py."""

    def __init__(self, path: Path):
        self.path = path
        path.touch()

    def lines(self) -> Counter[str]:
        return Counter(self.path.read_text().split())

    def wait_for(self, lines: int, worker: "Worker") -> None:
        until = time.monotonic() + GIVEN_UP_S
        while (seen := self.lines().total()) < lines:
            assert worker.is_alive(), worker.said()
            assert time.monotonic() < until, f"{seen} of {lines} jobs done:\n{worker.said()}"
            time.sleep(0.01)


class Worker:
    def __init__(self, process: "subprocess.Popen[bytes]", output: Path):
        self._process = process
        self._output = output

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def said(self) -> str:
        return self._output.read_text(errors="replace")[-6000:]


@contextlib.contextmanager
def working(words: list[str], url: str, book: Book) -> Iterator[Worker]:
    """The process of a worker: ended in the end as its users end it, by SIGTERM."""
    output = book.path.with_suffix(".log")
    environment = {**os.environ, "APPS_URL": url, "APPS_BOOK": str(book.path)}
    with output.open("ab") as log:
        process = subprocess.Popen(
            words, cwd=HERE.parents[1], env=environment, stdout=log, stderr=log
        )
    try:
        yield Worker(process, output)
    finally:
        process.terminate()
        try:
            process.wait(END_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def program(name: str) -> str:
    """A program of the virtual environment in which the test runs."""
    return str(Path(sys.executable).with_name(name))
