"""Caches that lean on locks, hashes and scripts, through a gateway, while a leader dies.

Set up by docs/applications.md.
"""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

pytestmark = [pytest.mark.apps, pytest.mark.timeout(180)]


def test_django_redis(place):
    from django.conf import settings

    if not settings.configured:
        settings.configure()
    from django_redis.cache import RedisCache

    said = place.set_up("django_redis.cache")["CACHES"]["default"]
    cache = RedisCache(said["LOCATION"], {"OPTIONS": said["OPTIONS"]})
    cache.set("count", 0, timeout=None)
    for number in place.steps():
        assert cache.incr("count") == number + 1
        assert cache.set(f"value{number}", {"number": number}, timeout=300)
        assert cache.get(f"value{number}") == {"number": number}
        assert bool(cache.add("once", 1)) == (number == 0)
        cache.set_many({"a": number, "b": number})
        assert cache.get_many(["a", "b", "none"]) == {"a": number, "b": number}
        with cache.lock("a lock", timeout=30):
            assert not cache.lock("a lock").acquire(blocking=False)
    assert cache.ttl("value0") > 200 and cache.ttl("count") is None
    assert cache.expire("count", 100) and cache.persist("count") and cache.touch("a", 10)
    assert sorted(cache.keys("value1*")) == sorted({f"value{n}" for n in (1, *range(10, 20))})
    assert len(list(cache.iter_keys("value*"))) == number + 1
    assert cache.delete_pattern("value*") == number + 1
    assert cache.sadd("set", "x", "y") == 2 and cache.smembers("set") == {"x", "y"}
    assert cache.hset("hash", "field", 1) and cache.hexists("hash", "field")
    cache.clear()
    assert cache.get("count") is None


def test_dogpile_cache(place):
    region = place.set_up("from dogpile.cache import")["region"]
    made = []

    @region.cache_on_arguments()
    def square(number):
        made.append(number)
        return number * number

    for number in place.steps():
        threads = [threading.Thread(target=square, args=(number,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert square(number) == number * number
        region.set_multi({"a": number, "b": number})
        assert region.get_multi(["a", "b"]) == [number, number]
    assert made == list(range(number + 1))  # the lock lets one of the threads make it
    square.invalidate(3)
    assert square(3) == 9 and made[-1] == 3


def test_fastapi_cache2(place):
    from fastapi import FastAPI
    from fastapi_cache import FastAPICache
    from fastapi_cache.decorator import cache
    from httpx import ASGITransport, AsyncClient

    app = FastAPI()
    made = []

    @app.get("/square/{number}")
    @cache(expire=300)
    async def square(number: int) -> int:
        made.append(number)
        return number * number

    async def work():
        client = place.set_up("from fastapi_cache import")["client"]
        visitor = AsyncClient(transport=ASGITransport(app=app), base_url="http://a")
        for number in place.steps():
            for word in ("MISS", "HIT"):
                reply = await visitor.get(f"/square/{number}")
                assert (reply.text, reply.headers["x-fastapi-cache"]) == (f"{number**2}", word)
        assert made == list(range(number + 1))
        assert await client.dbsize() == number + 1
        await FastAPICache.clear()  # by a script, which declares none of the keys
        assert await client.dbsize() == 0
        await client.aclose()

    try:
        asyncio.run(work())
    finally:
        FastAPICache.reset()


def test_requests_cache(place):
    asked = []

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.path.encode())

        def log_message(self, *words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever).start()
    try:
        settings = place.set_up("from requests_cache import")
        client, session = settings["client"], settings["session"]
        address = f"http://127.0.0.1:{server.server_port}"
        for number in place.steps():
            for is_kept in (False, True):
                reply = session.get(f"{address}/{number}")
                assert (reply.text, reply.from_cache) == (f"/{number}", is_kept)
        assert len(asked) == len(session.cache.responses) == number + 1
        session.cache.delete(urls=[f"{address}/0"])
        assert not session.get(f"{address}/0").from_cache
        session.cache.clear()
        assert client.dbsize() == 0
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("kind", ["core.RedisChannelLayer", "pubsub.RedisPubSubChannelLayer"])
def test_channels_redis(place, kind):
    """What is sent to a channel or a group comes once to each that listens, in its order."""
    import importlib

    module, name = kind.split(".")
    layer_kind = getattr(importlib.import_module(f"channels_redis.{module}"), name)

    asyncio.run(conversation(place, layer_kind))


async def conversation(place, layer_kind):
    said = place.set_up("channels_redis.core")["CHANNEL_LAYERS"]["default"]
    layers = [layer_kind(**said["CONFIG"]) for _ in range(2)]
    channels = [await layer.new_channel() for layer in layers]

    async def receive(which):
        return await asyncio.wait_for(layers[which].receive(channels[which]), 30)

    for layer, channel in zip(layers, channels, strict=True):
        await layer.group_add("room", channel)
    for number in place.steps():
        await layers[0].send(channels[1], {"type": "word", "number": number})
        assert await receive(1) == {"type": "word", "number": number}
        await layers[1].group_send("room", {"type": "all", "number": number})
        for which in (0, 1):
            assert (await receive(which))["number"] == number
    await layers[0].group_discard("room", channels[0])
    await layers[1].group_send("room", {"type": "all", "number": -1})
    assert (await receive(1))["number"] == -1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(layers[0].receive(channels[0]), 0.5)
    for layer in layers:
        await layer.flush()
        if hasattr(layer, "close_pools"):
            await layer.close_pools()
