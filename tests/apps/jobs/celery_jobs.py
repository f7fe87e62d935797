"""Celery: broker and results in Redis."""

from tests.apps.jobs import book
from tests.apps.page import set_up

app = set_up("from celery import", book.URL)["app"]


@app.task
def square(number: int) -> int:
    book.write(number)
    return number * number


@app.task
def total(numbers: list[int]) -> int:
    book.write("total")
    return sum(numbers)


@app.task(bind=True, max_retries=3)
def second_time(self) -> str:
    book.write("try")
    if self.request.retries == 0:
        raise self.retry(countdown=1)
    return "done"
