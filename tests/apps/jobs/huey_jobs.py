"""Huey: queue, schedule, results and locks in Redis."""

from tests.apps.jobs import book
from tests.apps.page import set_up

huey = set_up("from huey import", book.URL)["huey"]


@huey.task()
def square(number: int) -> int:
    book.write(number)
    return number * number


@huey.task(retries=2, retry_delay=1)
def fail_once(path: str) -> str:
    book.write("try")
    with open(path, "a+") as tries:
        tries.write("x")
        tries.seek(0)
        if tries.read() == "x":
            raise ValueError("the first time")
    return "done"
