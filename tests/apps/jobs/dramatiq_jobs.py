"""Dramatiq: broker and results in Redis."""

import dramatiq

from tests.apps.jobs import book
from tests.apps.page import set_up

broker = set_up("import dramatiq", book.URL)["broker"]


@dramatiq.actor(store_results=True)
def square(number: int) -> int:
    book.write(number)
    return number * number


@dramatiq.actor(max_retries=3, min_backoff=100, max_backoff=200)
def fail_once(path: str) -> None:
    book.write("try")
    with open(path, "a+") as tries:
        tries.write("x")
        tries.seek(0)
        if tries.read() == "x":
            raise ValueError("the first time")
