"""What a failure says of a write, whom a client asks, and the addresses it is given."""

import pytest
from redis import exceptions

from distrodb.client import operations, wire
from distrodb.client.options import PORT, where
from distrodb.client.request import Request
from distrodb.client.routes import Routes
from distrodb.client.wire import Fate
from distrodb.errors import ConfigError
from distrodb.ring.slots import slot_of

A, B, C = ("a", 1), ("b", 2), ("c", 3)


@pytest.mark.parametrize(
    ("error", "was_sent", "fate"),
    [
        (exceptions.ConnectionError("gone"), True, Fate.PERHAPS),
        (exceptions.TimeoutError("late"), True, Fate.PERHAPS),
        (exceptions.ConnectionError("refused"), False, Fate.NOT_NOW),
        (exceptions.ResponseError("UNKNOWN the leader changed"), True, Fate.PERHAPS),
        (exceptions.MovedError("5 a:1"), True, Fate.NOT_NOW),
        (exceptions.ClusterDownError("no leader"), True, Fate.NOT_NOW),
        (exceptions.TryAgainError("later"), True, Fate.NOT_NOW),
        (exceptions.ResponseError("WRONGTYPE"), True, Fate.REFUSED),
        (exceptions.AuthenticationError("no"), False, Fate.REFUSED),
        (exceptions.NoPermissionError("no"), True, Fate.REFUSED),
        (TypeError("a list is no value"), True, Fate.REFUSED),
    ],
)
def test_fates(error, was_sent, fate):
    assert wire.fate(error, was_sent) is fate


def test_a_transaction_says_what_kept_it_from_running():
    request = Request((("SET", "a", "1"), ("GET", "b")), "a", is_atomic=True)
    assert [words[0] for words in wire.written(request)] == ["MULTI", "SET", "GET", "EXEC"]
    assert wire.understood(request, [b"OK", b"QUEUED", b"QUEUED", [b"OK", None]]) == [b"OK", None]
    assert wire.understood(request, [b"OK", b"QUEUED", b"QUEUED", None]) is None
    moved = exceptions.MovedError("5 a:1")
    with pytest.raises(exceptions.MovedError):
        wire.understood(request, [b"OK", moved, moved, exceptions.ExecAbortError("")])
    with pytest.raises(exceptions.ResponseError, match="WRONGTYPE"):
        replies = [b"OK", b"QUEUED", b"QUEUED", [b"OK", exceptions.ResponseError("WRONGTYPE")]]
        wire.understood(request, replies)


def test_routes_follow_the_leaders():
    routes = Routes([A])
    assert routes.of_key(b"x") == A and routes.all_parts() == [None]
    routes.learn([[0, 8000, [b"a", 1], [b"b", 2]], [8001, 16383, [b"", 2], [b"c", 3]]], A)
    assert routes.all_parts() == [A, ("a", 2)]
    routes.moved(slot_of(b"x"), C)
    assert routes.of_key(b"x") == C
    routes.failed(C)
    assert routes.of_key(b"x") != C
    with pytest.raises(exceptions.ClusterDownError):
        routes.all_parts()


def test_who_has_failed_is_asked_last():
    routes = Routes([A, B, C])
    routes.failed(A)
    assert routes.asked_first == [B, C, A] and routes.anybody() == B


def test_many_keys_go_a_slot_at_a_time():
    steps = operations.get_many(["{a}1", "b", "{a}2"])
    assert next(steps).commands == (("MGET", "{a}1", "{a}2"),)
    assert steps.send([[b"x", None]]).commands == (("MGET", "b"),)
    with pytest.raises(StopIteration) as done:
        steps.send([[b"y"]])
    assert done.value.value == {"{a}1": b"x", "b": b"y"}


def test_addresses():
    assert where("h", None, 1).addresses == [("h", PORT)]
    found = where(["rediss://u:p%40@h:1/3, h2:2", "[::1]:3"], None, 1)
    assert found.addresses == [("h", 1), ("h2", 2), ("::1", 3)] and found.is_tls
    assert found.options["password"] == "p@" and found.options["db"] == 3
    assert "p@" not in repr(found)


@pytest.mark.parametrize("url", ["", "http://u:hush@h", "u:hush@h:x", "h:99999", "h:1/x"])
def test_addresses_that_are_none(url):
    with pytest.raises(ConfigError) as raised:
        where(url, None, 1)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("ttl_s", [0, -1, float("nan")])
def test_a_time_to_live_is_looked_at(ttl_s):
    with pytest.raises(ValueError, match="ttl_s"):
        next(operations.put("a", "b", ttl_s))
