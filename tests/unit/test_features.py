"""Commands that are newer than what some slaves run: none yet, until the map's level says so."""

from dataclasses import replace
from types import SimpleNamespace

from distrodb.commands.table import DISPATCHED
from distrodb.resp.reply import error
from distrodb.ring.levels import LEVEL
from distrodb.slave.gateway import Gateway
from tests.unit.session_world import World

NEWER = {**DISPATCHED, b"NEWER": replace(DISPATCHED[b"SET"], name="newer", level=LEVEL + 1)}
NOT_YET = b"-ERR 'newer' is a command when all slaves of the cluster run a version that knows it;"


def newer() -> World:
    """A slave of a version that knows NEWER, in a cluster whose slaves do not all."""
    world = World(table=NEWER)
    for store in world.stores:
        store.table = {**store.table, b"NEWER": NEWER[b"NEWER"]}
    return world


def upgraded(world: World) -> None:
    world.map = SimpleNamespace(**{**vars(world.map), "level": LEVEL + 1})
    for tell in world.followed:
        tell(world.map)


def test_a_newer_command_is_none_until_all_slaves_know_it_also_for_who_is_connected():
    world = newer()
    assert world.ask(b"newer k v\r\n").startswith(NOT_YET)
    upgraded(world)
    assert world.ask(b"newer k v\r\nget k\r\n") == b"+OK\r\n$1\r\nv\r\n"


def test_it_ends_a_transaction_as_what_is_no_command_does():
    world = newer()
    assert world.ask(b"multi\r\n") == b"+OK\r\n"
    assert world.ask(b"newer k v\r\n").startswith(NOT_YET)
    assert world.ask(b"exec\r\n").startswith(b"-EXECABORT")


def test_a_gateway_waits_for_it_too():
    world = newer()
    gateway = Gateway(world.service)
    world.session = world.service.open_session(world._woken, "client:2", gateway)
    assert world.ask(b"newer k v\r\n").startswith(NOT_YET)
    upgraded(world)
    assert b"NEWER" in gateway.table
    assert world.ask(b"newer k v\r\n") == b"+OK\r\n"


def test_before_there_is_a_map_nobody_can_say_and_nothing_is_served():
    world = newer()
    world.map.epoch = 0
    world.no_leader = lambda partition: error("CLUSTERDOWN", "this slave is empty")
    assert world.ask(b"newer k v\r\n") == b"-CLUSTERDOWN this slave is empty\r\n"


def test_what_is_no_command_at_all_is_told_so():
    assert newer().ask(b"newest\r\n").startswith(b"-ERR unknown command 'newest'")
