"""Taskiq: one broker over a list, one over a stream, results in Redis."""

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

from tests.apps.jobs import book

broker = ListQueueBroker(url=f"{book.URL}/0").with_result_backend(
    RedisAsyncResultBackend(redis_url=f"{book.URL}/1")
)
stream_broker = RedisStreamBroker(url=f"{book.URL}/2").with_result_backend(
    RedisAsyncResultBackend(redis_url=f"{book.URL}/3")
)


@broker.task
async def square(number: int) -> int:
    book.write(number)
    return number * number


@stream_broker.task
async def square_of_stream(number: int) -> int:
    book.write(number)
    return number * number
