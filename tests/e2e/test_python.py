"""``distrodb.connect`` against real slaves, by their client ports and by their gateways."""

import asyncio
import contextlib
import itertools

import pytest
import redis

import distrodb

QUICK = {"raft_election_timeout_ms": 500, "raft_heartbeat_ms": 50}
names = map("lock{}".format, itertools.count())


@pytest.fixture(scope="module")
def cluster():
    with distrodb.LocalCluster(nodes=3, **QUICK) as cluster:
        yield cluster


@pytest.fixture(params=["client ports", "gateways"])
def addresses(cluster, request):
    if request.param == "gateways":
        return [cluster.gateway_address(node) for node in cluster.nodes]
    return list(cluster.addresses.values())


@pytest.fixture
def db(addresses):
    with distrodb.connect(addresses, text=True) as db:
        yield db
        for key in db:
            db.delete(key)


def test_a_mapping(db):
    db["a"] = "é"
    assert db["a"] == "é" and "a" in db and db.get("a") == "é"
    del db["a"]
    assert "a" not in db and db.get("a") is None and db.get("a", 5) == 5
    for change in (lambda: db["a"], lambda: db.__delitem__("a"), lambda: db.ttl_s("a")):
        with pytest.raises(KeyError, match="a"):
            change()
    assert db.add("n") == 1 and db.add("n", -3) == -2


def test_bytes_unless_text_is_asked_for(addresses, db):
    db["a"] = 1.5
    with distrodb.connect(addresses) as raw:
        assert raw["a"] == b"1.5" and list(raw) == [b"a"]
        raw[b"\xff"] = b"\x00\xff"
        assert raw[b"\xff"] == b"\x00\xff"
        del raw[b"\xff"]


def test_many_keys(db):
    values = {f"k{n}": str(n) for n in range(300)}
    db.set_many(values)
    assert db.get_many([*values, "none"]) == values
    assert set(db) == set(values) and len(db) == 300
    assert set(db.keys("k1?")) == {f"k1{n}" for n in range(10)}
    assert db.delete_many(values) == 300 and len(db) == 0 == len(list(db))


def test_times_to_live(db):
    db.set("a", "1", ttl_s=50)
    assert 40 < db.ttl_s("a") <= 50
    db.set("a", "2", keep_ttl=True)
    assert db.ttl_s("a") > 40
    assert db.expire("a", None) and db.ttl_s("a") is None
    assert db.expire("a", 9) and 0 < db.ttl_s("a") <= 9
    assert not db.expire("none", 9)


def test_compare_and_set(db):
    assert db.compare_and_set("a", None, "1") and not db.compare_and_set("a", None, "2")
    assert not db.compare_and_set("a", "2", "3") and db.compare_and_set("a", "1", "2", ttl_s=9)
    assert db["a"] == "2" and db.ttl_s("a") <= 9
    assert not db.compare_and_set("a", "1", None) and db.compare_and_set("a", "2", None)
    assert "a" not in db


def test_a_transaction_is_whole_or_not_at_all(db):
    with db.transaction("{t}a") as t:
        t["{t}a"] = 5
        t["{t}b"] = 6
        assert t.get("{t}a") is None
        t.command("INCR", "{t}b")
    assert t.results == [b"OK", b"OK", 7] and db["{t}b"] == "7"

    def in_between():
        with db.transaction("{t}a") as t:
            value = int(t["{t}a"])
            db["{t}a"] = 9
            t["{t}a"] = value + 1

    with pytest.raises(redis.WatchError):
        in_between()
    assert db["{t}a"] == "9"
    with contextlib.suppress(ZeroDivisionError), db.transaction("{t}a") as t:
        t["{t}a"] = 1
        raise ZeroDivisionError
    assert db["{t}a"] == "9"


def test_a_transaction_runs_again_when_a_key_was_touched(db):
    db["a"] = 0
    rivals = iter([10, 20])

    def work(t):
        value = int(t["a"])
        for rival in rivals:
            db["a"] = rival
            break
        t["a"] = value + 1
        return value

    assert db.transact(work, "a") == 20 and db["a"] == "21"


def test_locks_exclude_and_their_tokens_grow(db):
    name = next(names)
    one, other = db.lock(name, 1.0), db.lock(name, 1.0)
    with one:
        assert one.is_held and not other.acquire(0) and not other.acquire(0.1)
        one.renew()
        first = one.token
    assert not one.is_held and other.acquire(0) and other.token > first
    assert one.acquire()  # waits until the other's time is over
    assert not other.is_held and one.token > other._lease.token
    with pytest.raises(distrodb.LeaseLost):
        other.renew()
    assert not other.is_held and one.release()


def test_a_lock_that_was_lost_in_its_block_is_an_error(db):
    def too_long():
        with db.lock(name := next(names), 0.5) as lock:
            db.delete(f"{{{name}}}:lock")
            assert db.lock(name, 5.0).acquire(0)
        return lock

    with pytest.raises(distrodb.LeaseLost):
        too_long()


def test_an_election_is_seen_by_others(db):
    one, other = db.election("e", "Ann"), db.election("e", "Bob: B")
    seen = other.observe(every_s=0.01)
    assert next(seen) is None
    with one:
        assert one.is_leader and next(seen) == "Ann" and not other.campaign(0)
    assert next(seen) is None and other.campaign() and other.leader() == "Bob: B"
    assert other.token > 1 and other.left_s > 1 and other.resign()


def test_it_goes_on_when_a_slave_dies(cluster, addresses):
    with distrodb.connect(addresses) as db:
        victim = cluster.nodes[0]  # the first that is asked
        values = {f"key{n}": b"1" for n in range(30)}
        db.set_many(values)
        cluster.kill(victim)
        try:
            assert db.get_many(values) == values
            assert set(db) >= {key.encode() for key in values}
            for key in values:
                with contextlib.suppress(distrodb.OutcomeUnknown):
                    db[key] = 2
            assert set(db.get_many(values).values()) <= {b"1", b"2"}
        finally:
            cluster.start(victim)
            cluster.wait_healed()
        db.delete_many(values)


def test_nobody_there_is_said_at_once():
    with pytest.raises(redis.ConnectionError, match="127.0.0.1:1"):
        distrodb.connect("127.0.0.1:1")


def test_all_of_it_in_asyncio(addresses, db):
    asyncio.run(in_asyncio(addresses))


async def in_asyncio(addresses):
    async with await distrodb.connect_async(addresses, text=True) as db:
        await db.set("a", "é", ttl_s=50)
        assert await db.get("a") == "é" and 40 < await db.ttl_s("a") <= 50
        assert await db.expire("a", None) and await db.exists("a") and await db.delete("a")
        assert await db.get("a", 5) == 5 and await db.add("n", 2) == 2
        values = {f"k{n}": str(n) for n in range(100)}
        await db.set_many(values)
        assert await db.get_many([*values, "none"]) == values
        assert {key async for key in db.keys("k*")} == set(values) and await db.size() == 101
        assert await db.delete_many(values) == 100
        assert await db.compare_and_set("a", None, "0") and not await db.compare_and_set("a", 1, 2)

        async def work(t):
            value = int(await t.get("a"))
            await asyncio.sleep(0)
            t.set("a", value + 1)

        await asyncio.gather(*(db.transact(work, "a") for _ in range(5)))
        assert await db.get("a") == "5"
        name = next(names)
        other = db.lock(name, 0.5)
        async with db.lock(name, 5.0) as lock:
            assert not await other.acquire(0)
            await lock.renew()
            token = lock.token
        assert await other.acquire() and other.token > token
        assert await lock.acquire() and not other.is_held
        with pytest.raises(distrodb.LeaseLost):
            await other.renew()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await other.acquire()
        assert await lock.release()
        one, other = db.election("e2", "Ann"), db.election("e2", "Bob")
        seen = other.observe(every_s=0.01)
        assert await anext(seen) is None
        async with one:
            assert one.is_leader and await anext(seen) == "Ann" and not await other.campaign(0)
            await one.renew()
        assert await other.campaign() and await other.leader() == "Bob" and other.token > 1
        assert await other.resign() and not other.is_leader
