"""Logical databases as a client sees them."""

from distrodb.keyspace.counts import keyspace_lines
from distrodb.keyspace.place_number import place_of
from distrodb.resp.reply import ErrorReply, Status
from distrodb.ring.slots import slot_of
from tests.support.resp import pack, read_replies
from tests.unit.session_world import KEYS, World

SLOT = slot_of(b"a")


def ask(world: World, *lines: str) -> list[object]:
    replies = read_replies(world.ask(b"".join(pack(*line.encode().split()) for line in lines)))
    return [reply.text if isinstance(reply, Status | ErrorReply) else reply for reply in replies]


def test_each_database_has_its_own_keys() -> None:
    world = World()
    for number in (b"0", b"1", b"15"):
        world.ask(pack(b"SELECT", number))
        world.ask(b"".join(pack(b"SET", key, number) for key in KEYS))
    assert ask(world, "SELECT 1", "GET a", "SELECT 15", "GET a") == [b"OK", b"1", b"OK", b"15"]
    assert ask(world, "DBSIZE", "FLUSHDB", "DBSIZE") == [len(KEYS), b"OK", 0]
    assert ask(world, "RANDOMKEY", "KEYS *") == [None, []]
    assert ask(world, "SELECT 1", "DBSIZE", "GET a") == [b"OK", len(KEYS), b"1"]
    assert ask(world, "FLUSHALL", "DBSIZE", "SELECT 0", "DBSIZE") == [b"OK", 0, b"OK", 0]


def test_select_says_what_is_wrong_and_changes_nothing() -> None:
    world = World(databases=4)
    assert ask(world, "SELECT 3", "SET a 3") == [b"OK", b"OK"]
    for word in ("4", "-1", "x", "01", "99999999999", "9" * 30):
        (reply,) = ask(world, f"SELECT {word}")
        assert "range" in str(reply)
    assert ask(world, "GET a", "RESET", "GET a") == [b"3", b"RESET", None]
    assert "SWAPDB is not supported" in str(ask(world, "SWAPDB 0 1")[0])


def test_what_describes_a_slave_tells_databases_apart() -> None:
    world = World()
    ask(world, "SET a 1", "SELECT 2", "SET a 1", "SET b 1", "PEXPIREAT b 5000")
    assert b" db=2 " in world.ask(pack(b"CLIENT", b"INFO"))
    assert ask(world, f"CLUSTER COUNTKEYSINSLOT {SLOT}") == [1]
    assert ask(world, "SELECT 1", f"CLUSTER COUNTKEYSINSLOT {SLOT}") == [b"OK", 0]
    assert keyspace_lines(store.counts() for store in world.stores) == {
        "db0": "keys=1,expires=0,avg_ttl=0",
        "db2": "keys=2,expires=1,avg_ttl=5000",
    }


def test_a_reader_of_a_copy_reads_its_own_database() -> None:
    world = World(led=(), has_copies=(0, 1, 2))
    store = next(store for store in world.stores if store.first_slot <= SLOT <= store.last_slot)
    for number in (0, 2):
        store.execute(place_of(number, SLOT), [b"SET", b"a", b"%d" % number], 0)
    expected = [b"OK", b"0", b"OK", b"2", b"OK", None]
    assert ask(world, "READONLY", "GET a", "SELECT 2", "GET a", "SELECT 1", "GET a") == expected
