"""Huey: queue, schedule, results and locks in Redis."""

from huey import RedisHuey

from tests.apps.jobs import book

# As huey is set by default the error of a try that is repeated stands as the result until the next
# try's does, and who asks in between gets it: with Redis too.
huey = RedisHuey("jobs", url=f"{book.URL}/0", store_intermediate_errors=False)


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
