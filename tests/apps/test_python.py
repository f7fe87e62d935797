"""Python's caches and sessions at their ordinary work through a gateway, while a leader dies; set
up by docs/applications.md."""

import asyncio
import uuid

import django
import flask
import pytest
from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore
from django.core.cache import cache as django_cache
from redis import Redis


def test_flask_session(place):
    app = place.set_up("from flask_session import")["app"]

    @app.get("/")
    def count():
        flask.session["visits"] = flask.session.get("visits", 0) + 1
        return str(flask.session["visits"])

    visitors = [app.test_client() for _ in range(3)]
    for number in place.steps():
        for visitor in visitors:
            reply = visitor.get("/")
            assert (reply.status_code, reply.text) == (200, str(number + 1))
    client = Redis(place.host, place.port)
    keys = list(client.scan_iter("session:*"))
    assert len(keys) == 3 and all(client.ttl(key) > 0 for key in keys)


def test_flask_caching(place):
    names = place.set_up("from flask_caching import")
    app, cache = names["app"], names["cache"]
    computed = []

    @cache.memoize(timeout=300)
    def square(number):
        computed.append(number)
        return number * number

    @app.get("/page")
    @cache.cached(timeout=300, key_prefix="page")
    def page():
        computed.append("page")
        return "a page"

    visitor = app.test_client()
    with app.app_context():
        for number in place.steps():
            assert square(number) == number * number == square(number)
            assert visitor.get("/page").text == "a page"
            assert cache.set_many({f"many{n}": n for n in range(5)})
            assert cache.get_many(*(f"many{n}" for n in range(5))) == list(range(5))
            assert cache.cache.inc("hits") == number + 1
        cache.delete_memoized(square, 3)
        assert square(3) == 9
        assert cache.delete_many("many0", "many1") and cache.get("many0") is None
        assert cache.clear() and cache.get("hits") is None
    assert sorted(map(str, computed)) == sorted(["3", "page", *map(str, range(number + 1))])


def test_cachelib(place):
    cache = place.set_up("from cachelib import")["cache"]
    for number in place.steps():
        assert cache.set(f"value{number}", {"number": number}, timeout=300)
        assert cache.get(f"value{number}") == {"number": number}
        assert cache.add("once", number, timeout=300) == (number == 0)
        assert cache.inc("count") == number + 1
        assert cache.has("once")
    assert cache.get_many("value0", "value1", "none") == [{"number": 0}, {"number": 1}, None]
    assert cache.delete("once") and not cache.has("once")
    assert cache.clear() and cache.get("count") is None


@pytest.fixture
def configured(place):
    if not settings.configured:
        said = place.set_up("django.core.cache.backends.redis")
        settings.configure(
            CACHES=said["CACHES"],
            SESSION_ENGINE=said["SESSION_ENGINE"],
            INSTALLED_APPS=["django.contrib.sessions"],
        )
        django.setup()
    return place


def test_django_cache_and_sessions(configured):
    django_cache.set("count", 0, timeout=None)
    key = ""
    for number in configured.steps():
        assert django_cache.incr("count") == number + 1
        assert django_cache.get_or_set(f"value{number}", lambda n=number: n * n) == number * number
        django_cache.set_many({"a": number, "b": number}, timeout=300)
        assert django_cache.get_many(["a", "b"]) == {"a": number, "b": number}
        assert django_cache.add("once", 1) == (number == 0)
        session = SessionStore(session_key=key or None)
        assert session.get("visits", 0) == number
        session["visits"] = number + 1
        session.save()
        key = session.session_key
    session.cycle_key()
    assert session.session_key != key and session["visits"] == number + 1
    assert not SessionStore().exists(key)
    assert django_cache.touch("a", 10) and not django_cache.touch("none", 10)
    django_cache.set("short", 1, timeout=-1)
    assert django_cache.get("short") is None
    django_cache.delete_many(["a", "b"])
    django_cache.clear()
    assert django_cache.get("count") is None


def test_aiocache(place):
    asyncio.run(_aiocache(place))


async def _aiocache(place):
    cache = place.set_up("from aiocache import")["cache"]
    for number in place.steps():
        assert await cache.set(f"value{number}", {"number": number}, ttl=300)
        assert await cache.get(f"value{number}") == {"number": number}
        assert await cache.multi_set([("a", number), ("b", number)], ttl=300)
        assert await cache.multi_get(["a", "b", "none"]) == [number, number, None]
        assert await cache.exists("a") and not await cache.exists("none")
    with pytest.raises(ValueError):
        await cache.add("a", 1)
    assert await cache.expire("a", 100) and await cache.delete("a") == 1
    assert await cache.clear() and not await cache.exists("b")
    await cache.close()


def test_keys_of_an_application_are_left_alone_by_another(place):
    """Databases keep them apart: a `clear` (FLUSHDB) of one is none of the other's."""
    one, other = (Redis(place.host, place.port, db=number) for number in (4, 5))
    name = uuid.UUID(int=7).hex
    one.set(name, 1), other.set(name, 2)
    one.flushdb()
    assert one.get(name) is None and other.get(name) == b"2"
