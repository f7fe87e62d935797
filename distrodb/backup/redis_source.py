"""Keys of a running Redis, or of whatever speaks as one does: SCAN, and a read of each key.

A key's expiry is what PEXPIRETIME says; of a server before Redis 7 it is the server's time and
PTTL, asked in one round trip, which may be off by some milliseconds.  SCAN gives whatever was there
all the while; what comes and goes meanwhile may be missed or not.  Of a Redis Cluster each master
is asked; slots that move meanwhile may be missed, so run it again.

A password stands in the URL or, as for redis-cli, in ``REDISCLI_AUTH``, where no list of processes
shows it.

A string is read by GET, a container by its own command: a new kind is a line in ``_READERS``.
Behind that HPEXPIRETIME tells when fields of hashes expire, where the server knows it (Redis 7.4,
Valkey 9): one that was deleted in between is left out.
Kinds that distrodb does not hold are counted, and left out.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.connection import parse_url
from redis.exceptions import RedisError, ResponseError

from distrodb.backup.records import Code, Record
from distrodb.errors import ConfigError, UnavailableError
from distrodb.keyspace.containers.field_expiries import MOMENT_MS_MAX
from distrodb.keyspace.containers.hash import Hash
from distrodb.keyspace.containers.list import List
from distrodb.keyspace.containers.set import Set
from distrodb.keyspace.containers.sorted_set import SortedSet
from distrodb.keyspace.containers.stream import Stream
from distrodb.keyspace.containers.stream_group import UNKNOWN
from distrodb.keyspace.stream_ids import parse_id
from distrodb.keyspace.values import Value
from distrodb.master.connections import one_line

SCAN_COUNT = 500  # keys a round trip, about
FIELDS_MAX = 10_000  # asked for their expiry by one command
REPLY_S_MAX = 30.0  # a server that saves, or has a slow command, may take so long
GONE = -2  # PTTL of a key that is not there
SCHEMES = ("redis://", "rediss://", "unix://")

# RESP2, which every Redis speaks.
_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": 5.0,
    "socket_timeout": REPLY_S_MAX,
    "protocol": 2,
}


def _hash(reply: Any) -> Value | None:
    value = Hash(0)
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    for field, text in pairs:
        value.set(field, text)
    return value if len(value) else None


def _list(reply: Any) -> Value | None:
    value = List(0)
    value.extend(reply)
    return value if len(value) else None


def _sorted_set(reply: Any) -> Value | None:
    pairs = zip(reply[::2], reply[1::2], strict=True)
    return SortedSet.of({member: float(score) for member, score in pairs}) if reply else None


def _set(reply: Any) -> Value | None:
    return Set.of(sorted(reply)) if reply else None


def _stream(reply: Any) -> Value | None:
    """Of XINFO STREAM FULL, which Redis 6 and all since then have; 7 tells more."""
    told = _pairs(reply)
    stream = Stream(0)
    for number, fields in told[b"entries"]:
        stream.add(_id(number), fields)
    stream.last_id = _id(told[b"last-generated-id"])
    stream.deleted_max = _id(told.get(b"max-deleted-entry-id", b"0-0"))
    stream.added_count = told.get(b"entries-added", len(stream))
    for each in map(_pairs, told[b"groups"]):
        read_count = each.get(b"entries-read")
        last_id = _id(each[b"last-delivered-id"])
        group = stream.add_group(
            each[b"name"], last_id, UNKNOWN if read_count is None else read_count
        )
        for consumer in map(_pairs, each[b"consumers"]):
            seen_ms = consumer[b"seen-time"]
            active_ms = consumer.get(b"active-time", seen_ms)
            group.add_consumer(consumer[b"name"], seen_ms, active_ms)
        for number, name, at_ms, count in each[b"pending"]:
            group.deliver(_id(number), group.consumers[name], at_ms, count)
    return stream


def _pairs(flat: list[Any]) -> dict[bytes, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _id(text: bytes) -> int:
    return parse_id(text) or 0


KEY = "(key)"  # where it stands, if not behind the first word
# The command, with what stands behind the key.
_READERS: Mapping[bytes, tuple[Sequence[str | int], Callable[[Any], Value | None]]] = {
    b"string": (["GET"], lambda reply: reply),
    Hash.kind: (["HGETALL"], _hash),
    List.kind: (["LRANGE", 0, -1], _list),
    SortedSet.kind: (["ZRANGE", 0, -1, "WITHSCORES"], _sorted_set),
    Set.kind: (["SMEMBERS"], _set),
    Stream.kind: (["XINFO", "STREAM", KEY, "FULL", "COUNT", 0], _stream),
}


class RedisSource:
    """Raises ``ConfigError`` for an address that is none, ``UnavailableError`` for a server that
    cannot be read."""

    def __init__(self, url: str):
        self._name = name_of(url)
        try:
            self._options = {**parse_url(url), **_OPTIONS}
        except ValueError as error:
            raise ConfigError(f"{self._name}: {one_line(error)}") from None
        self._options.setdefault("password", os.environ.get("REDISCLI_AUTH"))
        self._is_exact = True  # PEXPIRETIME is there
        self._do_fields_expire = True  # as far as is known: HPEXPIRETIME is there
        self.left_out: Counter[bytes] = Counter()  # keys of kinds that are not held here
        self.left_out_first: bytes | None = None

    def key_count(self) -> int:
        """Raises as ``records`` does."""
        with self._told():
            return sum(count for _, _, count in self._shares())

    def records(self) -> Iterator[Record | Code]:
        with self._told():
            for number, (client, database, _) in enumerate(self._shares()):
                with client:
                    if number == 0:
                        yield from _libraries(client)
                    yield from self._scan(client, database)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            raise UnavailableError(f"{self._name}: {one_line(error)}") from error

    def _client(self, **others: Any) -> redis.Redis:
        return redis.Redis(connection_pool=redis.ConnectionPool(**{**self._options, **others}))

    def _shares(self) -> Iterator[tuple[redis.Redis, int, int]]:
        """Where keys are: clients, with the database that each is in, and how many there are."""
        with self._client() as client:
            self._is_exact = has_pexpiretime(client)
            if client.info("cluster").get("cluster_enabled"):
                shares = [(0, where) for where in self._masters(client)]
            else:
                named = self._options.get("db")
                numbers = sorted(int(name[2:]) for name in client.info("keyspace"))
                shares = [(n, {"db": n}) for n in numbers if named in (None, n)]
        for database, others in shares:
            each = self._client(**others)
            yield each, database, each.dbsize()

    def _masters(self, client: redis.Redis) -> list[dict[str, Any]]:
        """How each differs from where was asked; a node at a Unix socket speaks for itself."""
        if "host" not in self._options:
            return [{}]
        found: dict[tuple[str, int], None] = {}
        for _, _, (host, port, *_), *_ in client.execute_command("CLUSTER SLOTS"):
            name = host.decode() if isinstance(host, bytes) else host
            found[name or self._options["host"], int(port)] = None  # none: the one that was asked
        return [{"host": host, "port": port} for host, port in found]

    def _scan(self, client: redis.Redis, database: int) -> Iterator[Record]:
        cursor: int | None = None
        while cursor != 0:
            cursor, keys = client.scan(cursor or 0, count=SCAN_COUNT)
            yield from self._read(client, database, [key for key in keys if type(key) is bytes])

    def _read(self, client: redis.Redis, database: int, keys: list[bytes]) -> Iterator[Record]:
        kinds = self._kinds(client, keys)
        pipe = client.pipeline(transaction=False)
        pipe.execute_command("TIME")
        wanted = [(key, *_READERS[kind]) for key, kind in kinds if kind in _READERS]
        for key, (name, *words), _ in wanted:
            pipe.execute_command("PEXPIRETIME" if self._is_exact else "PTTL", key)
            others = [key if word is KEY else word for word in words]
            pipe.execute_command(name, *(others if KEY in words else [key, *others]))
        (seconds, us), *replies = pipe.execute(raise_on_error=False)
        base_ms = 0 if self._is_exact else int(seconds) * 1000 + int(us) // 1000
        found: list[Record] = []
        for (key, _, make), number, reply in zip(wanted, replies[::2], replies[1::2], strict=True):
            for each in (number, reply):
                if isinstance(each, Exception) and "WRONGTYPE" not in str(each):
                    raise each
            if isinstance(reply, ResponseError):  # another kind of value has come in its place
                yield from self._read(client, database, [key])
                continue
            value = None if reply is None else make(reply)
            if value is not None and number != GONE:
                found.append(Record(database, key, value, None if number < 0 else base_ms + number))
        if self._do_fields_expire:
            self._let_fields_expire(client, found)
        yield from (each for each in found if not isinstance(each.value, Hash) or len(each.value))

    def _let_fields_expire(self, client: redis.Redis, records: list[Record]) -> None:
        asked = [
            (each.key, each.value, some)
            for each in records
            if isinstance(each.value, Hash)
            for some in _some_of(list(each.value.fields))
        ]
        pipe = client.pipeline(transaction=False)
        for key, _, fields in asked:
            pipe.execute_command("HPEXPIRETIME", key, "FIELDS", len(fields), *fields)
        for (_, value, fields), reply in zip(
            asked, pipe.execute(raise_on_error=False), strict=True
        ):
            if isinstance(reply, ResponseError) and "unknown command" in str(reply):
                self._do_fields_expire = False
                return
            if isinstance(reply, Exception):
                if "WRONGTYPE" in str(reply):  # it has come since: the hash was there before
                    continue
                raise reply
            for field, at_ms in zip(fields, reply, strict=True):
                if at_ms == GONE:
                    value.delete(field)
                elif at_ms > 0:
                    value.expire_at(field, min(at_ms, MOMENT_MS_MAX))

    def _kinds(self, client: redis.Redis, keys: list[bytes]) -> list[tuple[bytes, bytes]]:
        pipe = client.pipeline(transaction=False)
        for key in keys:
            pipe.type(key)
        kinds = list(zip(keys, pipe.execute(), strict=True))
        for key, kind in kinds:
            if kind not in _READERS and kind != b"none":
                self.left_out[kind] += 1
                self.left_out_first = self.left_out_first or key
        return kinds


def _some_of(fields: list[bytes]) -> Iterator[list[bytes]]:
    for at in range(0, len(fields), FIELDS_MAX):
        yield fields[at : at + FIELDS_MAX]


def _libraries(client: redis.Redis) -> Iterator[Code]:
    """Of functions, which are there since Redis 7."""
    try:
        rows = client.execute_command("FUNCTION", "LIST", "WITHCODE")
    except ResponseError as error:
        if "unknown command" in str(error).lower():
            return
        raise
    for row in rows:
        yield Code(True, (row if isinstance(row, dict) else _pairs(row))[b"library_code"])


def has_pexpiretime(client: redis.Redis) -> bool:
    version = str(client.info("server").get("redis_version", "7"))
    major = version.split(".")[0]
    return not major.isdecimal() or int(major) >= 7


def name_of(url: str) -> str:
    """Without a password, wherever it stands."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.split('@')[-1].split('?')[0]}"
