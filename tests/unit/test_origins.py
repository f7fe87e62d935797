"""A command that a gateway forwards runs once, in its order, whatever is repeated on the way."""

import random

import pytest

from distrodb.commands.table import MACHINE_COMMANDS
from distrodb.keyspace import origins as module
from distrodb.keyspace.entry import encode_batch
from distrodb.keyspace.origins import NoReply
from distrodb.keyspace.store import Store, StoreBuilder
from distrodb.resp.reply import error

LIMITS = 65536, 1 << 24
INCR, SLOT = (b"INCR", b"a"), 15495


def opened(store: Store) -> int:
    number = store.execute(-1, (b"GATEWAY", b"OPEN"), 0)
    assert isinstance(number, int)
    return number


def incr(store: Store, origin: int, sequence: int, answered: int = 1) -> object:
    return store.execute_once((origin, sequence, answered), SLOT, INCR, 0)


def restored(store: Store) -> Store:
    builder = StoreBuilder(MACHINE_COMMANDS)
    for chunk in store.snapshot():
        builder.add(chunk)
    return builder.finish()


def new_store() -> Store:
    return Store(0, 16383, MACHINE_COMMANDS)


def test_a_retry_does_not_run_and_gets_the_same_reply() -> None:
    store = new_store()
    origin = opened(store)
    assert [incr(store, origin, n) for n in (1, 2, 1, 2, 3, 3)] == [1, 2, 1, 2, 3, 3]
    assert store.execute(SLOT, (b"GET", b"a"), 0) == b"3"


def test_a_refusal_is_a_reply_like_any_other() -> None:
    store = new_store()
    origin, bad = opened(store), (b"INCRBY", b"a", b"x")
    wrong = error("ERR", "value is not an integer or out of range")
    for _ in range(2):
        assert store.execute_once((origin, 1, 1), SLOT, bad, 0) == wrong


def test_numbers_run_in_their_order_and_none_is_left_out() -> None:
    store = new_store()
    origin = opened(store)
    assert incr(store, origin, 2) is NoReply.OUT_OF_ORDER
    assert incr(store, origin, 1) == 1
    assert incr(store, origin, 3) is NoReply.OUT_OF_ORDER
    assert incr(store, origin, 2) == 2


def test_what_is_answered_is_forgotten_and_does_not_run_again() -> None:
    store = new_store()
    origin = opened(store)
    incr(store, origin, 1)
    assert incr(store, origin, 2, answered=2) == 2
    assert incr(store, origin, 1) is NoReply.FORGOTTEN
    assert incr(store, origin, 2) == 2


def test_an_origin_that_is_gone_never_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ORIGINS_MAX", 3)
    store = new_store()
    first, second, third = (opened(store) for _ in range(3))
    incr(store, first, 1)  # so the second is the one that was not used for the longest time
    assert opened(store) == 4
    assert incr(store, second, 1) is NoReply.UNKNOWN_ORIGIN
    assert [incr(store, first, 1), incr(store, third, 1)] == [1, 2]
    assert opened(store) == 5 and len(store.origins) == 3
    assert incr(restored(store), second, 1) is NoReply.UNKNOWN_ORIGIN


def test_replies_are_bounded_and_one_that_is_gone_does_not_run_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES_MAX", 3000)
    store = new_store()
    idle, busy = opened(store), opened(store)
    store.execute(SLOT, (b"SET", b"a", b"x" * 1000), 0)

    def swap(origin: int, sequence: int) -> object:
        args = (b"SET", b"a", b"x" * 1000, b"GET")
        return store.execute_once((origin, sequence, 1), SLOT, args, 0)

    assert swap(idle, 1) == b"x" * 1000
    for number in range(1, 6):
        assert swap(busy, number) == b"x" * 1000
    assert store.origins.bytes <= 3000
    assert swap(idle, 1) is swap(busy, 1) is NoReply.FORGOTTEN
    assert swap(busy, 5) == b"x" * 1000 and swap(busy, 6) == b"x" * 1000
    assert restored(store).origins.bytes == store.origins.bytes


def test_replicas_agree_however_they_came_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the entries, or by a snapshot between any two."""
    monkeypatch.setattr(module, "ORIGINS_MAX", 4)
    monkeypatch.setattr(module, "KEPT_BYTES_MAX", 2000)
    choose = random.Random(7)
    leader, follower = new_store(), new_store()
    for now_ms in range(1, 300):
        rows, marks = [], []
        for number in range(choose.randrange(4)):
            name = choose.choice([b"INCR", b"APPEND", b"SET", b"GATEWAY"])
            args = {
                b"INCR": (b"INCR", b"a"),
                b"APPEND": (b"APPEND", b"{a}b", b"more"),
                b"SET": (b"SET", b"{a}b", b"x" * choose.randrange(300), b"GET"),
                b"GATEWAY": (b"GATEWAY", b"OPEN"),
            }[name]
            rows.append((-1 if name == b"GATEWAY" else SLOT, args))
            if name != b"GATEWAY" and choose.random() < 0.9:
                opened_ = max(1, leader.origins.opened)
                origin = choose.randint(max(1, opened_ - 4), opened_)
                last = choose.randrange(12)
                marks.append((number, origin, last, choose.randint(max(0, last - 3), last)))
        payload = encode_batch(now_ms, rows, 0, LIMITS, 0, marks)
        assert leader.apply(payload) == follower.apply(payload)
        if choose.random() < 0.2:
            follower = restored(follower)
        assert leader.digest() == follower.digest()
    assert leader.origins.opened > 8


def test_a_snapshot_that_lacks_an_origin_is_refused() -> None:
    store = new_store()
    incr(store, opened(store), 1)
    header, _, *rest = store.snapshot()
    builder = StoreBuilder(MACHINE_COMMANDS)
    for chunk in (header, *rest):
        builder.add(chunk)
    with pytest.raises(ValueError, match="origins"):
        builder.finish()


def test_replies_of_an_origin_may_be_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distrodb.keyspace.snapshot.CHUNK_BYTES", 64)
    store = new_store()
    origin, other = opened(store), opened(store)
    for number in range(1, 20):
        incr(store, origin, number)
    incr(store, other, 1)
    assert restored(store).digest() == store.digest()
    assert incr(restored(store), origin, 7) == 7
