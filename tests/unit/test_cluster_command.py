"""CLUSTER on slots and what it refuses, on three partitions; who there is: tests/e2e."""

import pytest

from distrodb.resp.reply import ErrorReply
from distrodb.ring.slots import slot_of
from tests.support.resp import pack, read_reply
from tests.unit.session_world import KEYS, PARTITIONS, World

C = slot_of(b"c")


@pytest.fixture
def world():
    world = World()
    for key in KEYS:
        world.ask(pack(b"SET", key, b"1"))
    return world


def ask(world: World, line: str) -> object:
    reply, rest = read_reply(world.ask(pack(*line.encode().split())))
    assert not rest
    return reply


def test_the_keys_of_a_slot_are_named_and_counted(world):
    assert ask(world, f"CLUSTER COUNTKEYSINSLOT {C}") == 2
    assert sorted(ask(world, f"CLUSTER GETKEYSINSLOT {C} 10")) == [b"c", b"{c}d"]
    assert len(ask(world, f"CLUSTER GETKEYSINSLOT {C} 1")) == 1
    assert ask(world, f"CLUSTER GETKEYSINSLOT {C} 0") == []
    assert len(ask(world, f"CLUSTER GETKEYSINSLOT {C} {2**63 - 1}")) == 2


def test_slot_stats_of_a_range(world):
    rows = ask(world, f"CLUSTER SLOT-STATS SLOTSRANGE {C - 1} {C}")
    assert rows == [[C - 1, [b"key-count", 0]], [C, [b"key-count", 2]]]
    assert len(ask(world, "CLUSTER SLOT-STATS SLOTSRANGE 0 16383")) == 16384


def test_slot_stats_in_order(world):
    assert ask(world, "CLUSTER SLOT-STATS ORDERBY key-count LIMIT 1") == [[C, [b"key-count", 2]]]
    once = sorted(slot_of(key) for key in KEYS if slot_of(key) != C)
    rows = ask(world, "CLUSTER SLOT-STATS ORDERBY KEY-COUNT LIMIT 5 DESC")
    assert [slot for slot, _ in rows] == [C, *once]
    rows = ask(world, "CLUSTER SLOT-STATS ORDERBY KEY-COUNT ASC LIMIT 2")
    assert [count for _, (_, count) in rows] == [0, 0]
    assert len(ask(world, "CLUSTER SLOT-STATS ORDERBY KEY-COUNT")) == 16384


def test_slot_stats_speak_of_what_is_led_here():
    world = World(led=(1,))
    rows = ask(world, "CLUSTER SLOT-STATS SLOTSRANGE 0 16383")
    first, last = world.stores[1].first_slot, world.stores[1].last_slot
    assert [slot for slot, _ in rows] == list(range(first, last + 1))
    assert PARTITIONS == 3


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("SLOTSRANGE 0", "unknown subcommand or wrong number of arguments for 'SLOT-STATS'. Try"),
        ("SLOTSRANGE 0 x", "value is not an integer or out of range"),
        ("SLOTSRANGE 0 16384", "Invalid or out of range slot"),
        ("SLOTSRANGE 2 1", "Start slot number 2 is greater than end slot number 1"),
        ("ORDERBY CPU-USEC", "Unrecognized sort metric for ORDERBY."),
        ("ORDERBY KEY-COUNT LIMIT 0", "Limit has to lie in between 1 and 16384 (maximum number"),
        ("ORDERBY KEY-COUNT LIMIT x", "Limit has to lie in between 1 and 16384 (maximum number"),
        ("ORDERBY KEY-COUNT LIMIT", "syntax error"),
        ("ORDERBY KEY-COUNT ASC DESC", "syntax error"),
        ("ORDERBY KEY-COUNT LIMIT 1 LIMIT 1", "syntax error"),
        ("NOSUCH 1", "unknown subcommand or wrong number of arguments for 'SLOT-STATS'."),
    ],
)
def test_slot_stats_that_make_no_sense(world, words, error):
    """The errors of Redis 8, which no test can ask here."""
    reply = ask(world, f"CLUSTER SLOT-STATS {words}")
    assert reply.text.decode().startswith(f"ERR {error}")


@pytest.mark.parametrize("words", ["MEET 127.0.0.1 7000", "FORGET x", "SETSLOT 1 STABLE", "reset"])
def test_what_the_map_decides_is_refused_with_the_reason(world, words):
    text = ask(world, f"CLUSTER {words}").text.decode()
    verb = words.split()[0].upper()
    assert text.startswith(f"ERR CLUSTER {verb} is not supported: ")
    assert verb.encode() not in {line.text.split()[0] for line in ask(world, "CLUSTER HELP")}
    assert ask(world, f"COMMAND INFO cluster|{verb}") == [None]


@pytest.mark.parametrize("led", [(0, 1, 2), (0, 2), ()])
def test_a_failover_is_refused_whoever_leads(led):
    """Nothing would come of an OK."""
    reply = ask(World(led=led), "CLUSTER FAILOVER")
    assert isinstance(reply, ErrorReply)
    assert (b"partition 1 comes back" in reply.text) == (led == (0, 2))


def test_asking_changes_nothing(world):
    assert ask(world, "ASKING").text == b"OK"
    assert ask(world, "GET c") == b"1"
