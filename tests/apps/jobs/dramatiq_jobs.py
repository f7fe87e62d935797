"""Dramatiq: broker and results in Redis."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from tests.apps.jobs import book

broker = RedisBroker(url=f"{book.URL}/0")
broker.add_middleware(Results(backend=RedisBackend(url=f"{book.URL}/1")))
dramatiq.set_broker(broker)


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
