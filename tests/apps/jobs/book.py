"""What the jobs of a queue write down: a line each time that one is done.

Each application's jobs are a module of their own beside this, which both the worker (a process) and
the test import.  A line is appended with one write, so that lines of several processes stay whole.
"""

import os

URL = os.environ.get("APPS_URL", "redis://127.0.0.1:1")  # given to workers
PATH = os.environ.get("APPS_BOOK", os.devnull)


def write(word: object) -> None:
    with open(PATH, "ab", buffering=0) as book:
        book.write(f"{word}\n".encode())
