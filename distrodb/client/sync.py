"""``connect``: a cluster as a mapping."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar, cast, overload

import redis
from redis.exceptions import ClusterDownError

from distrodb.client import operations, routes
from distrodb.client.link import AGAIN_S, Link
from distrodb.client.locks import Election, Lock
from distrodb.client.options import ANSWER_S, PATIENCE_S, where
from distrodb.client.request import Key, Word
from distrodb.client.routes import Address
from distrodb.client.transaction import ATTEMPTS, Transaction
from distrodb.clock import sleep
from distrodb.login import Login

S = TypeVar("S", str, bytes)
R = TypeVar("R")
PASSES_MAX = 10


@overload
def connect(
    at: str | Iterable[str] = ...,
    *,
    login: Login | None = ...,
    text: Literal[False] = ...,
    patience_s: float = ...,
    answer_s: float = ...,
) -> "Database[bytes]": ...


@overload
def connect(
    at: str | Iterable[str] = ...,
    *,
    login: Login | None = ...,
    text: Literal[True],
    patience_s: float = ...,
    answer_s: float = ...,
) -> "Database[str]": ...


def connect(
    at: str | Iterable[str] = "127.0.0.1:55551",
    *,
    login: Login | None = None,
    text: bool = False,
    patience_s: float = PATIENCE_S,
    answer_s: float = ANSWER_S,
) -> "Database[Any]":
    """A mapping over the cluster that has a slave at ``at``; by its client port or its gateway.

    ``at`` is ``HOST:PORT`` or ``redis://USER:PASSWORD@HOST:PORT/DATABASE`` (``rediss`` for TLS);
    several of them are asked in turn until one answers.  Keys and values come back as ``bytes``,
    or as ``str`` (UTF-8) with ``text``.  ``login`` has the rest: ``distrodb.login.Login(user,
    password, has_tls=True, ca=FILE)``.

    What has certainly not happened is tried again for ``patience_s`` seconds, for instance while
    a partition has no leader.  A slave that says nothing for ``answer_s`` seconds is given up.
    Raises ``ConfigError`` for an address that is none, and ``redis.ConnectionError`` and the like
    when no slave answers.
    """
    link = Link(where(at, login, answer_s), patience_s)
    database: Database[Any] = Database(link, text)
    try:
        link.greet()
    except BaseException:
        database.close()
        raise
    return database


class Database(Generic[S]):
    """``db["key"] = "value"``; keys are str or bytes, values also int and float.

    Methods raise redis-py's errors: ``redis.ResponseError`` for what the cluster refuses,
    ``redis.ConnectionError``, ``redis.TimeoutError`` or ``redis.exceptions.ClusterDownError`` for
    what has certainly not happened, and ``OutcomeUnknown`` for a write that may have happened.
    Threads may share it; after a fork make another one.
    """

    def __init__(self, link: Link, text: bool):
        self._link, self._is_text = link, text

    def __enter__(self) -> "Database[S]":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._link.close()

    # -- one key -----------------------------------------------------------------------------

    def __getitem__(self, key: Key) -> S:
        value = self._link.run(operations.get(key))
        if value is None:
            raise KeyError(key)
        return self._shown(value)

    @overload
    def get(self, key: Key) -> S | None: ...

    @overload
    def get(self, key: Key, default: R) -> S | R: ...

    def get(self, key: Key, default: Any = None) -> Any:
        value = self._link.run(operations.get(key))
        return default if value is None else self._shown(value)

    def __setitem__(self, key: Key, value: Word) -> None:
        self._link.run(operations.put(key, value, None))

    def set(
        self, key: Key, value: Word, *, ttl_s: float | None = None, keep_ttl: bool = False
    ) -> None:
        """``ttl_s``: seconds until it is gone.  Without it it stays, or as long as the value
        before would have with ``keep_ttl``."""
        self._link.run(operations.put(key, value, ttl_s, keep_ttl))

    def __delitem__(self, key: Key) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def delete(self, key: Key) -> bool:
        """Whether it was there."""
        return self._link.run(operations.delete(key))

    def __contains__(self, key: Key) -> bool:
        return self._link.run(operations.exists(key))

    def ttl_s(self, key: Key) -> float | None:
        """Seconds until it is gone; None if it stays.  Raises ``KeyError``."""
        return self._link.run(operations.ttl(key))

    def expire(self, key: Key, ttl_s: float | None) -> bool:
        """None: it stays.  False: it is not there, or stayed anyway."""
        return self._link.run(operations.expire(key, ttl_s))

    def add(self, key: Key, amount: int = 1) -> int:
        """The sum; a key that is not there is 0."""
        return self._link.run(operations.add(key, amount))

    def compare_and_set(
        self, key: Key, old: Word | None, new: Word | None, *, ttl_s: float | None = None
    ) -> bool:
        """Sets ``new`` if the value is ``old``, in one step; whether it did.

        ``old`` is None: if the key is not there.  ``new`` is None: deletes it.  After
        ``OutcomeUnknown`` a read may tell, where nobody else writes ``new``."""
        return self._link.run(operations.compare_and_set(key, old, new, ttl_s))

    # -- several -----------------------------------------------------------------------------

    def get_many(self, keys: Iterable[Key]) -> dict[Key, S]:
        """Of those that are there, by the keys as they were given.

        Those of one slot (one hash tag) are of one moment, others are read one after another."""
        found = self._link.run(operations.get_many(keys))
        return {key: self._shown(value) for key, value in found.items()}

    def set_many(self, values: Mapping[Key, Word]) -> None:
        """All of one slot at one moment; those of different slots one after another, so after an
        error some may be set."""
        self._link.run(operations.set_many(values))

    def delete_many(self, keys: Iterable[Key]) -> int:
        """How many were there; one slot after another."""
        return self._link.run(operations.delete_many(keys))

    # -- all of them -------------------------------------------------------------------------

    def __iter__(self) -> Iterator[S]:
        return self.keys()

    def keys(self, match: Key | None = None) -> Iterator[S]:
        """By ``SCAN``, ``match`` being a pattern of Redis (``user:*``).

        What is there from the first step to the last comes at least once, and may come twice;
        what comes or goes meanwhile may come or not.  When partitions change their leaders
        meanwhile all of it comes again, so that nothing is left out, ten times at most; after
        that ``redis.exceptions.ClusterDownError``.
        """
        for keys in self._of_all(lambda address: self._scanned(match, address)):
            yield from keys or ()

    def _scanned(self, match: Key | None, address: Address | None) -> Iterator[list[S]]:
        cursor = b"0"
        while True:
            ((next_cursor, keys),) = self._link.replies(operations.scan(cursor, match, address))
            yield [self._shown(key) for key in keys]
            cursor = bytes(next_cursor)
            if cursor == b"0":
                return

    def __len__(self) -> int:
        """``DBSIZE`` of all leaders, one after another."""
        count = 0
        for part in self._of_all(lambda address: self._link.replies(operations.size(address))):
            count = 0 if part is None else count + int(part)
        return count

    def _of_all(self, ask: Callable[[Address | None], Iterable[R]]) -> Iterator[R | None]:
        """What each leader answers; None whenever all begin anew, since leaders have changed."""
        for passes in range(1, PASSES_MAX + 1):
            yield None
            before = self._link.refresh()
            try:
                for address in self._link.routes.all_parts():
                    yield from ask(address)
                if not self._link.routes.is_cluster or (
                    before and routes.leads(before) == routes.leads(self._link.refresh() or [])
                ):
                    return
            except (redis.ConnectionError, redis.TimeoutError, ClusterDownError, OSError):
                if passes == PASSES_MAX:
                    raise
            sleep(AGAIN_S * passes * passes)
        raise ClusterDownError("the leaders change all the time")

    # -- more than a command -----------------------------------------------------------------

    def transaction(self, *watched: Key) -> "Transaction[S]":
        """``with db.transaction("{a}x") as t: t["{a}x"] = int(t["{a}x"]) + 1``

        Reads are answered at once, writes happen together when the block ends, if no watched key
        was touched since it began; else ``redis.WatchError``, and nothing has happened.  All keys
        are in one slot (at a gateway: in one partition).  ``OutcomeUnknown`` as for any write."""
        return Transaction(self._link, watched, self._is_text)

    def transact(
        self,
        work: Callable[["Transaction[S]"], R],
        *watched: Key,
        attempts: int = ATTEMPTS,
    ) -> R:
        """``work`` in a transaction, again after each ``WatchError``, ``attempts`` times at most;
        returns what it returns."""
        for left in reversed(range(attempts)):
            try:
                with self.transaction(*watched) as transaction:
                    result = work(transaction)
                return result
            except redis.WatchError:
                if not left:
                    raise
        raise ValueError(f"attempts is {attempts}; use 1 or more")

    def lock(self, name: str, ttl_s: float = 10.0) -> Lock:
        """See ``Lock``; ``ttl_s`` seconds after its last renewal it is free by itself."""
        return Lock(self._link, name, ttl_s)

    def election(self, name: str, candidate: str, ttl_s: float = 10.0) -> Election:
        """See ``Election``; ``candidate`` is what others are told of this one."""
        return Election(self._link, name, ttl_s, candidate)

    def _shown(self, value: bytes) -> S:
        return cast(S, value.decode() if self._is_text else value)
