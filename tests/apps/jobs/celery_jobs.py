"""Celery: broker and results in Redis."""

from celery import Celery

from tests.apps.jobs import book

app = Celery("jobs", broker=f"{book.URL}/0", backend=f"{book.URL}/1")
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_prefetch_multiplier = 1


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
