"""What slaves tell of themselves, and how their clocks are compared."""

import dataclasses
from pathlib import Path

import pytest

from distrodb.config import Address, load, render
from distrodb.config.sections import NodeAddress
from distrodb.errors import PeerError
from distrodb.slave.clocks import ENOUGH, KEPT, LEAP_MS, Clocks
from distrodb.slave.condition import (
    LENGTH_MAX,
    NO_PASSWORD,
    NO_SECRET,
    PEERS_REACHED,
    REACHED,
    SHORT_SECRET,
    UNPROTECTED,
    WORDS_MAX,
    Condition,
)
from distrodb.slave.disk_space import EVERY_S, DiskSpace
from distrodb.slave.gossip import Gossip
from distrodb.slave.own_condition import _flags, _settings, own_condition
from tests.unit.session_world import World

TOLD = Condition(
    version="1.0", disk_free=5, disk_total=7, flags=frozenset({"a", "b"}), settings={"x": "y"}
)


def test_it_travels_with_gossip():
    gossip = Gossip(4, condition=TOLD, wall_ms=123)
    assert Gossip.from_plain(gossip.to_plain()) == gossip


def test_slaves_of_a_version_before_say_nothing_and_later_ones_more():
    plain = Gossip(4, condition=TOLD, wall_ms=123).to_plain()
    older = {name: value for name, value in plain.items() if name not in ("wall", "condition")}
    read = Gossip.from_plain(older)
    assert (read.wall_ms, read.condition) == (0, None)
    later = {**plain, "condition": {**plain["condition"], "mood": "fine"}}
    assert Gossip.from_plain(later).condition == TOLD


@pytest.mark.parametrize(
    "told",
    [
        7,
        [],
        {"disk_free": -1},
        {"disk_free": True},
        {"disk_free": 1 << 63},
        {"version": 5},
        {"version": "x" * (LENGTH_MAX + 1)},
        {"version": "1\n2"},
        {"flags": "abc"},
        {"flags": ["a"] * (WORDS_MAX + 1)},
        {"flags": [1]},
        {"settings": ["a"]},
        {"settings": {"a": 1}},
        {"settings": {str(n): "" for n in range(WORDS_MAX + 1)}},
    ],
)
def test_what_is_none_closes_the_link(told):
    with pytest.raises(PeerError):
        Gossip.from_plain({**Gossip(4).to_plain(), "condition": told})


def test_a_slave_tells_how_it_is():
    world = World(maxmemory=5000, connections_max=20)
    told = own_condition(world, world.service, (10, 40), 100)  # type: ignore[arg-type]
    assert (told.disk_free, told.disk_total, told.data, told.data_max) == (10, 40, 1000, 5000)
    assert (told.connections, told.connections_max, told.certificate_ends_s) == (1, 20, 0)
    assert told.flags == {NO_SECRET, NO_PASSWORD} and told.connections_wanted == 100
    assert Condition.from_plain(told.to_plain()) == told


def config_of(tmp_path: Path, host: str = "127.0.0.1", **options: object):
    rows = [
        NodeAddress(f"node{n}", Address(host, 7000 + n), Address(host, 8000 + n)) for n in (1, 2, 3)
    ]
    text = render("node1", "data", rows, cluster_id="x")
    file = tmp_path / "node1.toml"
    file.write_text(text)
    return dataclasses.replace(load(file), **options)


@pytest.mark.parametrize(
    ("options", "is_open", "flags"),
    [
        ({}, True, {NO_SECRET, NO_PASSWORD}),
        ({"host": "10.0.0.1", "secret": "s" * 32}, False, {REACHED, PEERS_REACHED}),
        ({"secret": "short"}, False, {SHORT_SECRET}),
        (
            {"host": "10.0.0.1", "is_protected": False},
            True,
            {NO_SECRET, NO_PASSWORD, UNPROTECTED, REACHED, PEERS_REACHED},
        ),
    ],
)
def test_what_is_open_is_told(tmp_path, options, is_open, flags):
    assert _flags(config_of(tmp_path, **options), is_open) == flags


def test_of_a_password_nothing_is_told_but_whether_it_is_the_same():
    def told(password: str, secret: str) -> str:
        world = World()
        clients = dataclasses.replace(world.config.clients, requirepass=password)
        config = dataclasses.replace(world.config, clients=clients, secret=secret)
        return _settings(config, world.service)["clients.requirepass"]

    hashed = "#5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"  # of "password"
    assert told("password", "s" * 32) == told(hashed, "s" * 32) == told(hashed.upper(), "s" * 32)
    assert told("password", "s" * 32) != told("passwore", "s" * 32)
    assert told("password", "s" * 32) != told("password", "t" * 32)
    assert told("password", "s" * 32)[1:] not in hashed
    assert (told("password", ""), told("", "s" * 32)) == ("some", "none")


# -- clocks ----------------------------------------------------------------------------------------


def test_a_clock_that_is_apart_is_found_and_delays_are_not_taken_for_it():
    clocks = Clocks()
    clocks.look(100.0, 1_000_000)
    for n in range(KEPT):
        now = 101.0 + n
        late_ms = 5000 if n < KEPT - 1 else 0  # most waited somewhere
        clocks.heard(now, "slow", clocks.wall_ms(now) - late_ms)
        clocks.heard(now, "ahead", clocks.wall_ms(now) + 7000 - late_ms // 10)
    assert clocks.skews_ms() == {"slow": 0, "ahead": 6500}


def test_nothing_is_said_of_a_clock_that_is_hardly_known():
    clocks = Clocks()
    clocks.heard(1.0, "early", 5)  # before our own was looked at
    clocks.look(100.0, 1_000_000)
    for n in range(ENOUGH):
        assert clocks.skews_ms() == {}
        clocks.heard(101.0 + n, "node2", 5_000_000)
        clocks.heard(101.0 + n, "silent", 0)
    assert list(clocks.skews_ms()) == ["node2"]
    clocks.lost("node2")
    assert clocks.skews_ms() == {}


def test_a_leap_is_told_once_and_what_was_known_of_others_goes():
    clocks = Clocks()
    clocks.look(100.0, 1_000_000)
    for _ in range(ENOUGH):
        clocks.heard(100.0, "node2", 1_000_000)
    clocks.look(103.0, 1_003_000 + LEAP_MS)  # set right, not a leap
    assert clocks.take_leap() == 0 and clocks.skews_ms()
    clocks.look(104.0, 1_004_000 + LEAP_MS - 60_000)
    assert clocks.take_leap() == -60_000 and clocks.take_leap() == 0
    assert clocks.skews_ms() == {}
    assert clocks.wall_ms(105.0) == 1_005_000 + LEAP_MS - 60_000


# -- the room on the disk --------------------------------------------------------------------------


def test_the_room_is_asked_for_by_a_thread_and_not_again_before_it_has_answered(
    tmp_path, monkeypatch
):
    given = []
    now = [50.0]
    monkeypatch.setattr("distrodb.slave.disk_space.monotonic", lambda: now[0])
    space = DiskSpace(tmp_path, given.append)
    space.begin()
    now[0] += 100 * EVERY_S
    space.begin()
    assert len(given) == 1 and space.free_and_total == (0, 0)
    given.pop()()()
    free, total = space.free_and_total
    assert 0 < free < total
    now[0] += EVERY_S - 0.1
    space.begin()
    assert given == []
    now[0] += 0.2
    space.begin()
    assert len(given) == 1


def test_a_directory_that_is_gone_is_not_known(tmp_path):
    given = []
    space = DiskSpace(tmp_path / "gone", given.append)
    space.begin()
    given.pop()()()
    assert space.free_and_total == (0, 0)
