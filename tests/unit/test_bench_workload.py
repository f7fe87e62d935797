"""Commands as bytes: what a parser makes of them, and whom they are for."""

from collections import Counter
from random import Random

import pytest
from redis.crc import key_slot

from distrodb.bench import workload
from distrodb.bench.slot_map import SlotMap
from distrodb.bench.workload import Shape, Workload
from distrodb.config import Address

ONE, TWO, THREE = (Address("127.0.0.1", port) for port in (1, 2, 3))


def shape(**given) -> Shape:
    usual = {"keys": 300, "prefix": b"k:", "sizes": (8,), "get_percent": 50.0, "pipeline": 4}
    return Shape(**{**usual, **given})


def cluster(*rows: tuple[int, int, Address]) -> SlotMap:
    slot_map = SlotMap()
    slot_map.learn([[a, b, [at.host.encode(), at.port, b"id"]] for a, b, at in rows], ONE)
    return slot_map


def words(pipeline) -> list[list[bytes]]:
    """The commands of the bytes that are sent, read by the protocol's rules."""
    data, found = b"".join(pipeline.pieces), []
    while data:
        head, _, data = data.partition(b"\r\n")
        assert head[:1] == b"*"
        command = []
        for _ in range(int(head[1:])):
            size, _, data = data.partition(b"\r\n")
            length = int(size[1:])
            command.append(data[:length])
            assert data[length : length + 2] == b"\r\n"
            data = data[length + 2 :]
        found.append(command)
    return found


@pytest.mark.parametrize("sizes", [(8,), (0, 20), (1 << 15, 8), (1 << 15,)])
def test_the_bytes_are_the_commands(sizes):
    made = Workload(shape(sizes=sizes), SlotMap(ONE), Random(1))
    for _ in range(50):
        pipeline = made.next()
        commands = words(pipeline)
        assert [b"".join(command) for command in pipeline.commands] != []
        assert len(commands) == len(pipeline.commands) == len(pipeline.is_set) == 4
        for command, is_set in zip(commands, pipeline.is_set, strict=True):
            assert command[0] == (b"SET" if is_set else b"GET")
            assert 0 <= int(command[1].removeprefix(b"k:")) < 300
            assert not is_set or len(command[2]) in sizes


@pytest.mark.parametrize("percent", [0, 30, 100])
def test_the_mix_is_as_asked_for(percent):
    made = Workload(shape(get_percent=percent), SlotMap(ONE), Random(1))
    is_set = b"".join(made.next().is_set for _ in range(1000))
    assert abs(is_set.count(0) / len(is_set) - percent / 100) < 0.03


def test_all_keys_come_up_as_often_while_they_have_room_in_the_ring(monkeypatch):
    monkeypatch.setattr(workload, "RING_COMMANDS", 600)
    made = Workload(shape(), SlotMap(ONE), Random(1))
    made.prepare()
    pipelines = [made.next() for _ in range(150)]
    assert Counter(command[1] for p in pipelines for command in words(p)).most_common()[-1][1] == 2
    assert [made.next() for _ in range(150)] == pipelines, "the ring begins anew"


def test_more_keys_than_room_are_drawn_for_ever(monkeypatch):
    monkeypatch.setattr(workload, "RING_COMMANDS", 10)
    made = Workload(shape(keys=2000), SlotMap(ONE), Random(1))
    made.prepare()
    keys = {command[1] for _ in range(2500) for command in words(made.next())}
    assert len(keys) > 1950


def test_a_pipeline_is_for_one_leader_and_they_get_their_share():
    slot_map = cluster((0, 4095, ONE), (4096, 8191, TWO), (8192, 16383, THREE))
    made = Workload(shape(keys=20_000), slot_map, Random(1))
    shares = Counter()
    for _ in range(4000):
        pipeline = made.next()
        shares[pipeline.leader] += 1
        assert {slot_map.leaders[key_slot(c[1])] for c in words(pipeline)} == {pipeline.leader}
    assert abs(shares[THREE] / 4000 - 0.5) < 0.03 and abs(shares[ONE] / 4000 - 0.25) < 0.03


def test_what_was_made_for_an_older_map_is_made_anew():
    slot_map = cluster((0, 8191, ONE), (8192, 16383, TWO))
    made = Workload(shape(), slot_map, Random(1))
    made.prepare()
    assert {made.next().leader for _ in range(50)} == {ONE, TWO}
    slot_map.learn([[0, 16383, [b"127.0.0.1", 3, b"id"]]], ONE)
    assert {made.next().leader for _ in range(50)} == {THREE}


def test_to_fill_writes_every_key_once():
    slot_map = cluster((0, 8191, ONE), (8192, 16383, TWO))
    pipelines = list(Workload(shape(get_percent=100), slot_map, Random(1)).fill())
    commands = [command for pipeline in pipelines for command in words(pipeline)]
    assert {command[0] for command in commands} == {b"SET"}
    assert sorted(c[1] for c in commands) == [b"k:%012d" % number for number in range(300)]
    for pipeline in pipelines:
        assert {slot_map.leaders[key_slot(c[1])] for c in words(pipeline)} == {pipeline.leader}


@pytest.mark.parametrize(("size", "at_once"), [(8, 100), (1 << 18, 3), (1 << 21, 1)])
def test_to_fill_many_go_at_once_but_not_many_bytes(size, at_once):
    made = Workload(shape(keys=210, sizes=(size,), pipeline=1), SlotMap(ONE), Random(1))
    assert max(len(pipeline.commands) for pipeline in made.fill()) == at_once


def test_what_every_reply_should_be():
    kinds = {
        percent: Workload(shape(get_percent=percent), SlotMap(ONE), Random(1)).next()
        for percent in (0, 50, 100)
    }
    (value,) = {command[2] for command in words(kinds[0])}
    assert kinds[0].usual == b"+OK\r\n"
    assert kinds[100].usual == b"$8\r\n%b\r\n" % value
    assert {0, 1} == set(kinds[50].is_set) and kinds[50].usual == b""


def test_the_map_learns_slots_and_redirections():
    slot_map = cluster((0, 99, ONE), (200, 16383, TWO))
    assert slot_map.leaders[99:101] == [ONE, None] and slot_map.all_leaders() == [ONE, TWO]
    version = slot_map.version
    slot_map.learn([[0, 99, [b"", 1, b""]], [200, 16383, [b"127.0.0.1", 2, b""]]], ONE)
    assert slot_map.version == version, "nothing has changed; an empty host is who was asked"
    assert slot_map.redirect("MOVED 150 127.0.0.1:3", ONE) == THREE
    assert slot_map.leaders[150] == THREE and slot_map.version == version + 1
    assert slot_map.redirect("MOVED 150 :3", ONE) == THREE and slot_map.version == version + 1
    assert slot_map.redirect("MOVED 7 ::1:3", ONE) == Address("::1", 3)
    assert THREE in slot_map.known


@pytest.mark.parametrize(
    "text", ["MOVED", "MOVED x 127.0.0.1:3", "MOVED 1 here", "MOVED 99999 a:1"]
)
def test_a_redirection_that_says_nothing_changes_nothing(text):
    slot_map = cluster((0, 16383, ONE))
    assert slot_map.redirect(text, ONE) is None and set(slot_map.leaders) == {ONE}


@pytest.mark.parametrize("reply", [None, 5, [5], [[0]], [[0, 1, [b"a"]]], [[5, 99999, [b"a", 1]]]])
def test_a_reply_that_is_no_map_is_refused(reply):
    slot_map = cluster((0, 16383, ONE))
    with pytest.raises(ValueError):
        slot_map.learn(reply, ONE)
    assert set(slot_map.leaders) == {ONE}
