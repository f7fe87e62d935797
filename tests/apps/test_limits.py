"""Locks and limits through a gateway, while a leader dies: nothing is held twice or overrun.

Set up by docs/applications.md.
"""

import threading
import time

import pytest
from redis import Redis
from redis.exceptions import LockError, LockNotOwnedError, WatchError

from tests.apps.conftest import STEPS

pytestmark = [pytest.mark.apps, pytest.mark.timeout(180)]


def test_locks_of_redis_py(place):
    """Four threads want one lock: the count that it guards, read and written apart, is right."""
    client = place.set_up("lock = client.lock")["client"]
    client.set("count", 0)
    inside, most = [], []
    done = threading.Event()

    def work():
        while not done.is_set():
            with client.lock("a lock", timeout=60, sleep=0.005):
                inside.append(1)
                most.append(len(inside))
                count = int(client.get("count"))
                client.set("count", count + 1)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in place.steps():
            until = time.monotonic() + 60
            while len(most) < 3 * number:
                assert time.monotonic() < until, most
                time.sleep(0.005)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert max(most) == 1 and int(client.get("count")) == len(most)
    lock = client.lock("another", timeout=10)
    assert lock.acquire() and lock.locked() and lock.owned()
    assert not client.lock("another").acquire(blocking=False)
    assert lock.extend(10) and client.pttl("another") > 10_000
    assert lock.reacquire() and client.pttl("another") <= 10_000
    client.set("another", "of somebody else")
    with pytest.raises(LockNotOwnedError):
        lock.release()
    with pytest.raises(LockError):
        lock.release()


def test_recipes_of_redis_py(place):
    """A script that is registered, a transaction that watches, a queue, and a pipeline."""
    client = Redis(place.host, place.port, db=12, decode_responses=True)
    multiply = client.register_script(
        "local value = tonumber(redis.call('GET', KEYS[1])) * ARGV[1] "
        "redis.call('SET', KEYS[1], value) return value"
    )

    def add_one(pipe):
        count = int(pipe.get("watched") or 0)
        pipe.multi()
        pipe.set("watched", count + 1)

    for number in place.steps():
        client.set("number", number)
        assert multiply(keys=["number"], args=[3]) == 3 * number
        client.transaction(add_one, "watched")
        with client.pipeline() as pipe:
            pipe.rpush("queue", number).hincrby("counts", "all", 1).zadd("board", {"me": number})
            pipe.expire("queue", 600)
            assert pipe.execute()[1] == number + 1
        assert client.blpop("queue", timeout=10) == ("queue", str(number))
    assert client.get("watched") == str(STEPS)
    with client.pipeline() as pipe, pytest.raises(WatchError):
        pipe.watch("watched")
        client.set("watched", 0)
        pipe.multi()
        pipe.set("watched", 1)
        pipe.execute()
    with client.monitor() as monitor:
        client.ping()
        assert monitor.next_command()["command"]
    assert sorted(client.scan_iter("*", count=2)) == ["board", "counts", "number", "watched"]


@pytest.mark.parametrize(
    "kind", ["FixedWindowRateLimiter", "MovingWindowRateLimiter", "SlidingWindowCounterRateLimiter"]
)
def test_limits(place, kind):
    """Of a hundred times that are asked for, just those below the limit are granted."""
    from limits import RateLimitItemPerHour, strategies

    limiter = getattr(strategies, kind)(place.set_up("from limits import")["counts"])
    limit = RateLimitItemPerHour(STEPS // 2)
    granted = []
    for number in place.steps():
        granted += [limiter.hit(limit, kind, "one")]
        assert limiter.test(limit, kind, "other")
        assert limiter.get_window_stats(limit, kind, "one").remaining == max(
            0, STEPS // 2 - number - 1
        )
    assert granted == [number < STEPS // 2 for number in range(STEPS)]
    limiter.clear(limit, kind, "one")
    assert limiter.hit(limit, kind, "one")


def test_limits_async(place):
    import asyncio

    from limits import RateLimitItemPerHour
    from limits.aio import strategies
    from limits.storage import storage_from_string

    async def work():
        storage = storage_from_string(f"async+{place.url}/4", implementation="redispy")
        limiter = strategies.MovingWindowRateLimiter(storage)
        limit = RateLimitItemPerHour(STEPS // 2)
        granted = 0
        for _ in place.steps():
            granted += sum(
                await asyncio.gather(*(limiter.hit(limit, "many at once") for _ in range(3)))
            )
        assert granted == STEPS // 2

    asyncio.run(work())
