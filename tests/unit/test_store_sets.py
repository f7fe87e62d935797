"""What the commands on sets answer and leave; the oracle compares them with Redis'."""

from collections import Counter

import pytest

from distrodb.commands import set_algebra
from distrodb.commands.error_replies import NEGATIVE_LIMIT
from distrodb.commands.numbers import NO_KEY_COUNT, NOT_POSITIVE
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.entry import encode_batch
from distrodb.keyspace.store import WRONG_TYPE, Store
from distrodb.resp.reply import Reply, SetReply, error
from tests.support.stores import ask, new_store, restored

SYNTAX = error("ERR", "syntax error")
NOT_AN_INTEGER = error("ERR", "value is not an integer or out of range")
LONG_KEY = error("ERR", "key exceeds key_bytes_max (10 bytes)")
UNCHANGED = None
LIMITS = 65536, 1 << 24, 16


def make() -> Store:
    store = new_store(0, 16383, StoreLimits(key_bytes_max=10, value_bytes_max=20))
    for line in ("SADD a 1 2 3", "SADD b 3 2 4", "SADD one x", "SET s 7"):
        ask(store, line)
    return store


def plain(reply: Reply) -> object:
    return set(reply.items) if isinstance(reply, SetReply) else reply


def of(text: str) -> set[bytes]:
    return set(text.encode().split())


@pytest.mark.parametrize(
    ("line", "reply", "left"),
    [
        ("SADD a 4 4 1", 1, "1 2 3 4"),
        ("SADD a 1 2", 0, UNCHANGED),
        ("SREM a 1 9 3", 2, "2"),
        ("SREM a 9", 0, UNCHANGED),
        ("SREM a 1 2 3", 3, ""),
        ("SREM none 1", 0, UNCHANGED),
        ("SMEMBERS a", of("1 2 3"), UNCHANGED),
        ("SMEMBERS none", set(), UNCHANGED),
        ("SCARD a", 3, UNCHANGED),
        ("SCARD none", 0, UNCHANGED),
        ("SISMEMBER a 1", 1, UNCHANGED),
        ("SISMEMBER none 1", 0, UNCHANGED),
        ("SMISMEMBER a 1 9 3", [1, 0, 1], UNCHANGED),
        ("SMISMEMBER none 1 9", [0, 0], UNCHANGED),
        ("SMOVE a b 1", 1, "2 3"),
        ("SMOVE a b 2", 1, "1 3"),
        ("SMOVE a a 2", 1, UNCHANGED),
        ("SMOVE a b 9", 0, UNCHANGED),
        ("SMOVE a s 1", WRONG_TYPE, UNCHANGED),
        ("SMOVE a s 9", WRONG_TYPE, UNCHANGED),
        ("SMOVE none s 9", 0, UNCHANGED),
        ("SMOVE a waytoolongakey 1", LONG_KEY, UNCHANGED),
        ("SPOP a 3", of("1 2 3"), ""),
        ("SPOP a 0", set(), UNCHANGED),
        ("SPOP none", None, UNCHANGED),
        ("SPOP none 2", set(), UNCHANGED),
        ("SPOP a -1", NOT_POSITIVE, UNCHANGED),
        ("SPOP a x", NOT_POSITIVE, UNCHANGED),
        ("SPOP a 1 1", SYNTAX, UNCHANGED),
        ("SRANDMEMBER none", None, UNCHANGED),
        ("SRANDMEMBER none 2", [], UNCHANGED),
        ("SRANDMEMBER a 0", [], UNCHANGED),
        ("SRANDMEMBER a x", NOT_AN_INTEGER, UNCHANGED),
        ("SRANDMEMBER a 1 1", SYNTAX, UNCHANGED),
        ("SRANDMEMBER one -3", [b"x", b"x", b"x"], UNCHANGED),
        ("SINTER a b", of("2 3"), UNCHANGED),
        ("SINTER a b none", set(), UNCHANGED),
        ("SINTER none s", WRONG_TYPE, UNCHANGED),
        ("SUNION a b none", of("1 2 3 4"), UNCHANGED),
        ("SDIFF a b none", of("1"), UNCHANGED),
        ("SDIFF none a", set(), UNCHANGED),
        ("SDIFF a a", set(), UNCHANGED),
        ("SINTERSTORE a a b", 2, "2 3"),
        ("SUNIONSTORE a a b", 4, "1 2 3 4"),
        ("SDIFFSTORE a b a", 1, "4"),
        ("SDIFFSTORE a none", 0, ""),
        ("SINTERSTORE a s b", WRONG_TYPE, UNCHANGED),
        ("SUNIONSTORE waytoolongakey a", LONG_KEY, UNCHANGED),
        ("SINTERCARD 2 a b", 2, UNCHANGED),
        ("SINTERCARD 2 a b LIMIT 1", 1, UNCHANGED),
        ("SINTERCARD 2 a b LIMIT 0", 2, UNCHANGED),
        ("SINTERCARD 2 a b LIMIT -1", NEGATIVE_LIMIT, UNCHANGED),
        ("SINTERCARD 2 a b LIMIT", SYNTAX, UNCHANGED),
        ("SINTERCARD 0 a", NO_KEY_COUNT, UNCHANGED),
        (
            "SINTERCARD 2 a",
            error("ERR", "Number of keys can't be greater than number of args"),
            UNCHANGED,
        ),
        ("SSCAN a 0", [b"0", [b"1", b"2", b"3"]], UNCHANGED),
        ("SSCAN a 0 MATCH [13]", [b"0", [b"1", b"3"]], UNCHANGED),
        ("SSCAN none 0", [b"0", []], UNCHANGED),
        ("SSCAN a x", error("ERR", "invalid cursor"), UNCHANGED),
        ("SSCAN a 0 COUNT 0", SYNTAX, UNCHANGED),
        (
            f"SADD a {'v' * 21}",
            error("ERR", "value exceeds value_bytes_max (20 bytes)"),
            UNCHANGED,
        ),
    ],
)
def test_command(line: str, reply: object, left: str | None) -> None:
    store = make()
    before = store.digest()
    assert plain(ask(store, line)) == reply
    if left is UNCHANGED:
        assert store.digest() == before
    else:
        assert plain(ask(store, "SMEMBERS a")) == of(left)
        assert ask(store, "EXISTS a") == bool(left)


def test_a_store_replaces_whatever_was_there() -> None:
    store = make()
    ask(store, "PEXPIREAT s 50")
    assert ask(store, "SUNIONSTORE s a b") == 4
    assert plain(ask(store, "SMEMBERS s")) == of("1 2 3 4") and ask(store, "PTTL s") == -1


@pytest.mark.parametrize("line", ["SPOP one", "SREM one x", "SMOVE one a x", "SPOP one 5"])
def test_a_set_without_members_is_gone(line: str) -> None:
    store = make()
    ask(store, "PEXPIREAT one 50")
    ask(store, line)
    assert ask(store, "EXISTS one") == 0
    assert ask(store, "SADD one 1") == 1 and ask(store, "PTTL one") == -1


def fill(store: Store, count: int) -> None:
    store.execute(0, [b"SADD", b"many", *(b"%d" % number for number in range(count))], 0)


def test_what_is_taken_by_chance_is_the_same_on_every_copy() -> None:
    one = new_store(0, 16383)
    fill(one, 1000)
    ask(one, "SREM many 3 500 700")  # an order that is not that of the insertions
    other = restored(one.snapshot())
    for now_ms in range(1, 50):
        batch = encode_batch(
            now_ms, [(0, [b"SPOP", b"many"]), (0, [b"SPOP", b"many", b"7"])], 0, LIMITS
        )
        assert list(map(plain, one.apply(batch))) == list(map(plain, other.apply(batch)))  # type: ignore[arg-type]
        if now_ms == 20:
            other = restored(other.snapshot())
    assert one.digest() == other.digest() and ask(one, "SCARD many") == 997 - 49 * 8


def test_each_member_is_as_likely_as_another() -> None:
    popped, chosen, several = Counter[object](), Counter[object](), Counter[object]()
    for now_ms in range(2000):
        store = new_store(0, 16383)
        fill(store, 10)
        store.advance(now_ms * 7, 0)
        chosen[ask(store, "SRANDMEMBER many")] += 1
        found = ask(store, "SRANDMEMBER many 3")
        assert isinstance(found, list) and len(set(found)) == 3
        several.update(found)
        popped[ask(store, "SPOP many")] += 1
    for counted, share in ((popped, 200), (chosen, 200), (several, 600)):
        assert len(counted) == 10 and all(0.6 < n / share < 1.5 for n in counted.values())


def test_a_large_set_is_walked_in_steps() -> None:
    store = new_store(0, 16383)
    fill(store, 1000)
    cursor, found, steps = b"0", list[bytes](), 0
    while steps == 0 or cursor != b"0":
        cursor, some = ask(store, f"SSCAN many {cursor.decode()} COUNT 100")  # type: ignore[misc, union-attr]
        found += some
        steps += 1
    assert steps == 10 and len(found) == len(set(found)) == 1000


def test_how_many_members_are_looked_at_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_algebra, "LOOKED_AT_MAX", 6)
    store = make()
    ask(store, "SADD b 5")
    for line in (
        "SUNION a b",
        "SDIFF a b",
        "SUNIONSTORE d a b",
        "SINTER b b",
        "SINTERCARD 3 a b a",
    ):
        before = store.digest()
        assert ask(store, line) == set_algebra.TOO_MANY and store.digest() == before
    assert plain(ask(store, "SINTER a b")) == of("2 3")  # three members, each in two sets


def test_sort_of_a_set() -> None:
    store = make()
    ask(store, "SADD n 3 10 2")
    assert ask(store, "SORT n") == [b"2", b"3", b"10"]
    assert ask(store, "SORT n BY nosort STORE d") == 3
    assert ask(store, "LRANGE d 0 -1") == [b"10", b"2", b"3"]  # by their bytes
