"""What is told of fields that expire, to who listens by notify-keyspace-events.

https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/ ("HEXPIRE and all its variants
generate hexpire events. Furthermore, hexpired events are generated when fields expire"; HPERSIST;
HDEL), and where that says nothing t_hash.c of Redis 8, which says more.
"""

import pytest

from distrodb.keyspace.store import Store
from tests.support.stores import ask, new_store

NOW_MS = 1000


class Told:
    def __init__(self) -> None:
        self.events: list[str] = []

    def changed(self, place: int, key: bytes) -> None: ...

    def flushed(self, database: int | None) -> None: ...

    def event(self, place: int, kind: str, name: bytes, key: bytes) -> None:
        self.events.append(f"{kind} {name.decode()} {key.decode()}")


def make() -> tuple[Store, Told]:
    """Field a expires at 2000, b at 3000, c stays; of one the only field expires at 2000."""
    store, told = new_store(0, 16383), Told()
    for line in (
        "HSET h a 1 b 2 c 3",
        "HPEXPIREAT h 2000 FIELDS 1 a",
        "HPEXPIREAT h 3000 FIELDS 1 b",
        "HSET one a 1",
        "HPEXPIREAT one 2000 FIELDS 1 a",
    ):
        ask(store, line, NOW_MS)
    store.observe(told)
    return store, told


@pytest.mark.parametrize(
    ("line", "events"),
    [
        ("HEXPIRE h 10 FIELDS 2 a c", ["h hexpire h"]),
        ("HPEXPIRE h 10 FIELDS 1 c", ["h hexpire h"]),
        ("HEXPIREAT h 10 FIELDS 1 c", ["h hexpire h"]),
        ("HPEXPIREAT h 5000 NX FIELDS 2 a c", ["h hexpire h"]),
        ("HPEXPIREAT h 5000 NX FIELDS 1 a", []),  # the condition does not hold
        ("HPEXPIREAT h 5000 FIELDS 1 none", []),
        ("HPEXPIREAT none 5000 FIELDS 1 a", []),
        ("HPEXPIREAT h 500 FIELDS 1 a", ["h hdel h"]),  # it is past
        ("HEXPIRE h 0 FIELDS 2 a none", ["h hdel h"]),
        ("HEXPIRE h 0 FIELDS 3 a b c", ["h hdel h", "g del h"]),
        ("HPERSIST h FIELDS 2 a c", ["h hpersist h"]),
        ("HPERSIST h FIELDS 2 c none", []),
        ("HDEL h a", ["h hdel h"]),
        ("HDEL one a", ["h hdel one", "g del one"]),
        ("HGETDEL h FIELDS 2 a none", ["h hdel h"]),
        ("HGETDEL h FIELDS 1 none", []),
        ("HGETDEL one FIELDS 1 a", ["h hdel one", "g del one"]),
        ("HGETEX h FIELDS 1 a", []),
        ("HGETEX h EX 5 FIELDS 2 a none", ["h hexpire h"]),
        ("HGETEX h PERSIST FIELDS 1 a", ["h hpersist h"]),
        ("HGETEX h PERSIST FIELDS 1 c", []),
        ("HGETEX h PXAT 500 FIELDS 1 a", ["h hdel h"]),
        ("HGETEX one PXAT 500 FIELDS 1 a", ["h hdel one", "g del one"]),
        ("HSETEX h FIELDS 1 a 2", ["h hset h"]),
        ("HSETEX h KEEPTTL FIELDS 1 a 2", ["h hset h"]),
        ("HSETEX h EX 5 FIELDS 2 a 2 d 4", ["h hset h", "h hexpire h"]),
        ("HSETEX h PXAT 500 FIELDS 1 a 2", ["h hset h", "h hdel h"]),
        ("HSETEX one PXAT 500 FIELDS 1 a 2", ["h hset one", "h hdel one", "g del one"]),
        ("HSETEX h FNX FIELDS 1 a 2", []),
        ("HSETEX new EX 5 FIELDS 1 a 2", ["n new new", "h hset new", "h hexpire new"]),
    ],
)
def test_what_a_command_tells(line: str, events: list[str]) -> None:
    store, told = make()
    ask(store, line, NOW_MS)
    assert told.events == events


@pytest.mark.parametrize(
    ("line", "events"),
    [
        ("HGETDEL h FIELDS 2 a b", ["h hexpired h", "h hdel h"]),
        ("HGETEX h EX 5 FIELDS 2 a b", ["h hexpired h", "h hexpire h"]),
        ("HSETEX h FNX FIELDS 1 a 5", ["h hexpired h", "h hset h"]),
        ("HSETEX h FIELDS 1 a 5", ["h hset h"]),  # another value takes its place, as by HSET
        ("HSET h a 5", ["h hset h"]),
        ("HGET h a", []),  # a reader removes nothing: an entry does, and tells it
    ],
)
def test_what_a_command_tells_that_meets_a_field_whose_time_has_come(
    line: str, events: list[str]
) -> None:
    store, told = make()
    store.advance(2500, 0)
    ask(store, line, 2500)
    assert told.events == events


def test_what_expires_is_told_once_for_each_hash() -> None:
    store, told = make()
    ask(store, "HPEXPIREAT h 2000 FIELDS 2 b c", NOW_MS)
    told.events.clear()
    store.advance(2000, 2)
    assert told.events == ["h hexpired h"]
    store.advance(2000, 100)
    assert sorted(told.events) == sorted(
        ["h hexpired h", "h hexpired h", "g del h", "h hexpired one", "g del one"]
    )
