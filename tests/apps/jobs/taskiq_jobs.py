"""Taskiq: one broker over a list, one over a stream, results in Redis."""

from tests.apps.jobs import book
from tests.apps.page import set_up

settings = set_up("from taskiq_redis import", book.URL)
broker, stream_broker = settings["broker"], settings["stream_broker"]


@broker.task
async def square(number: int) -> int:
    book.write(number)
    return number * number


@stream_broker.task
async def square_of_stream(number: int) -> int:
    book.write(number)
    return number * number
