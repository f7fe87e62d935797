"""Which events are told to whom: the letters of notify-keyspace-events, and what others want."""

import pytest

from distrodb.errors import PeerError
from distrodb.ring.slots import slot_of
from distrodb.slave.links.framing import PUBLISHED, WANTED
from distrodb.slave.notifications import kinds_of, text_of
from tests.unit.session_world import World


@pytest.mark.parametrize(
    ("set_", "shown"),  # as redis-server 7.0 does
    [
        ("KEA", "AKE"),
        ("", ""),
        ("K", "K"),
        ("KEm", "KEm"),
        ("Kg$lshzxetd", "AK"),
        ("nKE", "nKE"),
        ("AKEmn", "AKEm"),
        ("gK", "gK"),
    ],
)
def test_letters_are_shown_as_redis_shows_them(set_: str, shown: str) -> None:
    assert text_of(kinds_of(set_)) == shown


def test_a_letter_that_is_none_changes_nothing() -> None:
    world = World()
    world.notifications.flags = "KA"
    with pytest.raises(ValueError, match="Invalid event class character"):
        world.notifications.flags = "q"
    assert world.notifications.flags == "AK"


def observers(world: World) -> set[object]:
    return {store._shared.observer for store in world.stores}


@pytest.mark.parametrize("flags", ["", "A", "KE", "m"])
def test_what_can_tell_nothing_costs_nothing(flags: str) -> None:
    world = World()
    world.notifications.flags = "KEA"
    assert observers(world) == {world.notifications}
    world.notifications.flags = flags
    assert observers(world) == {None}


def sent(world: World, kind: int) -> list[tuple[str, object]]:
    world.notifications.publish()
    world.pubsub.send()
    found = [(peer, parcel[1]) for peer, parcel in world.parcels if parcel[0] == kind]
    world.parcels.clear()
    return found


def test_each_slave_hears_what_it_wants_whatever_the_leader_s_own_clients_want() -> None:
    world = World()
    world.notifications.heard("peer", "Kg")
    world.notifications.heard("other", "E$")
    for command in ([b"SET", b"a", b"1"], [b"DEL", b"a"]):
        world.stores[2].execute(slot_of(b"a"), command, 0)
    assert sent(world, PUBLISHED) == [
        ("other", [(0, b"__keyevent@0__:set", b"a")]),
        ("peer", [(0, b"__keyspace@0__:a", b"del")]),
    ]
    world.notifications.link_down("other")
    world.notifications.heard("peer", "")
    assert observers(world) == {None}


def test_what_nobody_wanted_any_more_is_not_told_when_somebody_does_again() -> None:
    world = World()
    world.notifications.heard("peer", "KEA")
    world.stores[2].execute(slot_of(b"a"), [b"SET", b"a", b"1"], 0)
    world.notifications.heard("peer", "")
    world.notifications.heard("peer", "KEA")
    assert sent(world, PUBLISHED) == []


def test_what_is_led_elsewhere_is_told_there() -> None:
    world = World(led=(0, 1))
    world.notifications.heard("peer", "KEA")
    world.stores[2].execute(slot_of(b"a"), [b"SET", b"a", b"1"], 0)
    assert sent(world, PUBLISHED) == []


def test_others_are_told_what_is_wanted_when_it_changes_and_when_they_come() -> None:
    world = World()
    world.notifications.link_up("peer")
    assert sent(world, WANTED) == []
    world.notifications.flags = "KEA"
    world.notifications.flags = "AKE"
    assert sent(world, WANTED) == [("peer", "AKE")]
    world.notifications.link_up("other")
    assert sent(world, WANTED) == [("other", "AKE")]
    world.notifications.flags = ""
    assert sent(world, WANTED) == [("peer", "")]


@pytest.mark.parametrize("content", [None, b"K", "q", ["K"]])
def test_a_peer_that_wants_nonsense_is_found_out(content: object) -> None:
    with pytest.raises(PeerError):
        World().notifications.heard("peer", content)
