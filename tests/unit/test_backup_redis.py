"""When the fields of hashes expire, as a Redis of 7.4 and later tells it: read from a server that
is played here, since the one that tests run with is older."""

from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import ResponseError

from distrodb.backup import redis_source
from distrodb.backup.redis_source import RedisSource
from distrodb.keyspace.containers.field_expiries import MOMENT_MS_MAX
from distrodb.keyspace.containers.hash import Hash

HASHES = {b"h": {b"a": b"1", b"b": b"2", b"c": b"3"}, b"gone": {b"x": b"1"}}
TIMES = {b"a": 5000, b"b": -1, b"c": 2**47, b"x": -2}


class Client:
    """As a connection of redis-py, for what a source asks."""

    def __init__(self, of_hpexpiretime: Any = None):
        self.of_hpexpiretime = of_hpexpiretime
        self.asked: list[Sequence[Any]] = []

    def pipeline(self, transaction: bool) -> "Client":
        self.waiting: list[Sequence[Any]] = []
        return self

    def type(self, key: bytes) -> None:
        self.execute_command("TYPE", key)

    def execute_command(self, *words: Any) -> None:
        self.waiting.append(words)

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        self.asked += self.waiting
        return [self.answer(*words) for words in self.waiting]

    def answer(self, name: str, *words: Any) -> Any:
        if name == "TYPE":
            return b"hash" if words[0] in HASHES else b"string"
        if name == "TIME":
            return [b"1", b"0"]
        if name == "PEXPIRETIME":
            return -1
        if name == "GET":
            return b"text"
        if name == "HGETALL":
            return [word for pair in HASHES[words[0]].items() for word in pair]
        assert name == "HPEXPIRETIME" and words[1] == "FIELDS" and words[2] == len(words[3:])
        return self.of_hpexpiretime or [TIMES[field] for field in words[3:]]


def read(client: Client, source: RedisSource | None = None) -> dict[bytes, Any]:
    source = source or RedisSource("redis://localhost")
    keys = [b"s", *HASHES]
    return {each.key: each.value for each in source._read(client, 0, keys)}  # type: ignore[arg-type]


@pytest.mark.parametrize("at_once", [1, 2, 1000])
def test_fields_keep_their_time(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_source, "FIELDS_MAX", at_once)
    found = read(Client())
    assert set(found) == {b"s", b"h"}, "a hash whose last field has gone is none"
    value = found[b"h"]
    assert isinstance(value, Hash) and dict(value.fields) == HASHES[b"h"]
    assert [value.expiry(field) for field in (b"a", b"b", b"c")] == [5000, None, MOMENT_MS_MAX]


def test_a_server_that_has_no_such_command_is_asked_once() -> None:
    client = Client(ResponseError("unknown command 'HPEXPIRETIME', with args beginning with: "))
    source = RedisSource("redis://localhost")
    for _ in range(2):
        found = read(client, source)
        assert set(found) == {b"s", *HASHES} and found[b"h"].expiries is None
    assert sum(words[0] == "HPEXPIRETIME" for words in client.asked) == len(HASHES)


def test_what_took_the_place_of_a_hash_since_changes_nothing() -> None:
    wrong = ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")
    assert set(read(Client(wrong))) == {b"s", *HASHES}
    with pytest.raises(ResponseError, match="NOPERM"):
        read(Client(ResponseError("NOPERM this user has no permissions")))
