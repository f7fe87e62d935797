"""DISTRODB BACKUP: a partition's picture, piece by piece."""

from itertools import count

import pytest

from distrodb.keyspace import snapshot
from distrodb.keyspace.context import StoreLimits
from distrodb.resp.reply import OK, ErrorReply
from distrodb.ring.slots import slot_of
from distrodb.slave.machine_factory import restore_store
from distrodb.slave.pictures import IDLE_S, PICTURES_MAX
from tests.support.resp import pack, read_replies
from tests.unit.session_world import World

ALL = (0, 1, 2)


def a_world() -> World:
    """Its chance gives each picture another token."""
    world, numbers = World(has_copies=ALL), count(1)
    world.process.random_bytes = lambda size: next(numbers).to_bytes(size, "big")  # type: ignore[method-assign]
    return world


def ask(world: World, *words):
    (reply,) = read_replies(world.ask(pack(*[str(word).encode() for word in words])))
    return reply


def begin(world: World, partition: int):
    return ask(world, "DISTRODB", "BACKUP", "BEGIN", partition)


def read(world: World, token: bytes, number: int):
    return ask(world, "DISTRODB", "BACKUP", "READ", token.decode(), number)


def fill(world: World) -> None:
    for number in range(30):
        assert ask(world, "SET", f"k{number}", number) == OK


def pieces_of(world: World, token: bytes) -> list[bytes]:
    pieces: list[bytes] = []
    while (piece := read(world, token, len(pieces))) is not None:
        pieces.append(piece)
    return pieces


def test_the_pieces_are_the_partition_as_it_was():
    world = a_world()
    fill(world)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "CHUNK_BYTES", 50)
        for partition in ALL:
            store = world.stores[partition]
            before, there = store.digest(), store.key_count()
            token, first, last, keys, size = begin(world, partition)
            assert (first, last, keys) == (store.first_slot, store.last_slot, there)
            assert size > 0
            for number in range(30):  # what comes afterwards is not in it
                ask(world, "SET", f"k{number}", f"later {partition}")
            pieces = pieces_of(world, token)
            assert len(pieces) > 3
            assert restore_store(StoreLimits(), pieces).digest() == before != store.digest()
            assert ask(world, "DISTRODB", "BACKUP", "END", token.decode()) == OK


def test_a_picture_is_taken_when_the_partition_answers_not_when_it_is_asked():
    """Commands before it are in it, even if they were not answered when it was asked for."""
    world = a_world()
    partition = world.partition_of_slot[slot_of(b"a")]
    world.session.receive(pack(b"SET", b"a", b"1"))
    (_, (token, *_)) = read_replies(
        world.ask(pack(b"DISTRODB", b"BACKUP", b"BEGIN", b"%d" % partition))
    )
    store = restore_store(StoreLimits(), pieces_of(world, token))
    assert store.execute(slot_of(b"a"), [b"GET", b"a"], 0) == b"1"


def test_what_gateways_may_ask_again_is_no_part_of_it():
    world = a_world()
    store = world.stores[0]
    number = store.origins.open()
    key = next(k for k in (b"k%d" % n for n in range(99)) if slot_of(k) <= store.last_slot)
    assert store.execute_once((number, 1, 0), slot_of(key), [b"SET", key, b"v"], 5) == OK
    token, *_ = begin(world, 0)
    restored = restore_store(StoreLimits(), pieces_of(world, token))
    assert restored.origins.counts == (0, 0) and restored.key_count() == 1
    assert restore_store(StoreLimits(), store.snapshot()).origins.counts == (1, 1)


def test_the_last_piece_may_be_asked_for_again_and_no_other():
    world = a_world()
    fill(world)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "CHUNK_BYTES", 50)
        token, *_ = begin(world, 0)
        first = read(world, token, 0)
        assert read(world, token, 0) == first
        second = read(world, token, 1)
        assert second not in (first, None) and read(world, token, 1) == second
        for number in (0, 3, -1):
            refused = read(world, token, number)
            assert isinstance(refused, ErrorReply) and b"in their order" in refused.text
        end = len(pieces_of_rest(world, token, 2)) + 2
        assert read(world, token, end) is None, "the end may be asked for again"
        assert isinstance(read(world, token, end + 1), ErrorReply)


def pieces_of_rest(world: World, token: bytes, number: int) -> list[bytes]:
    pieces: list[bytes] = []
    while (piece := read(world, token, number + len(pieces))) is not None:
        pieces.append(piece)
    return pieces


def test_one_that_nobody_asks_for_is_dropped():
    world = a_world()
    token, *_ = begin(world, 0)
    other, *_ = begin(world, 1)
    world.process.pass_time(IDLE_S * 0.7)
    assert read(world, token, 0) is not None
    world.process.pass_time(IDLE_S * 0.7)
    assert read(world, token, 1) is None, "it was in use"
    gone = read(world, other, 0)
    assert isinstance(gone, ErrorReply) and gone.code == "NOBACKUP"
    for _ in range(3):
        world.process.pass_time(IDLE_S * 0.7)
    assert len(world.service.pictures) == 0 and not world.process.later_calls


def test_there_are_few_at_a_time():
    world = a_world()
    tokens = []
    for _ in range(PICTURES_MAX):
        tokens.append(begin(world, 0)[0])
    refused = begin(world, 0)
    assert isinstance(refused, ErrorReply) and b"backups are at work" in refused.text
    assert ask(world, "DISTRODB", "BACKUP", "END", tokens[0].decode()) == OK
    assert isinstance(begin(world, 0), list)


def test_who_does_not_lead_says_who_does():
    world = World(led=(1,), has_copies=ALL)
    moved = begin(world, 0)
    assert isinstance(moved, ErrorReply) and moved.code == "MOVED"
    assert len(world.service.pictures) == 0


@pytest.mark.parametrize(
    "words",
    [
        "BEGIN 3",
        "BEGIN -1",
        "BEGIN x",
        "BEGIN 0 0",
        "READ nosuch 0",
        "READ nosuch x",
        "READ nosuch",
        "END",
        "NONSENSE 0",
        "",
    ],
)
def test_nonsense_is_an_error(words):
    world = a_world()
    assert isinstance(ask(world, "DISTRODB", "BACKUP", *words.split()), ErrorReply)
    assert len(world.service.pictures) == 0
