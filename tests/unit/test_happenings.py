"""What the page's list of events says when something has changed, and what it costs to look."""

from types import SimpleNamespace

import pytest

from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.happenings import EVENTS_MAX, NAMED_MAX, Happenings
from distrodb.slave.http.document import SHARE


class World:
    """A view that can be changed."""

    def __init__(self, partitions: int = 4) -> None:
        self.now, self.takes_s, self.looks, self.version = 1.0, 0.0, 0, 0
        self.leaders: dict[int, str | None] = dict.fromkeys(range(partitions), "a")
        self.leaders[MAP_GROUP] = "a"
        self.moving: tuple[int, ...] = ()
        self.heard, self.slow, self.is_healed = {"a", "b", "c"}, set[str](), True
        rows = {name: SimpleNamespace(status="up") for name in "abc"}
        self.map = SimpleNamespace(
            epoch=1,
            nodes=rows,
            ring=["a", "b", "c"],
            partitions=[SimpleNamespace(id=n, group=("a", "b")) for n in range(partitions)],
        )
        self.peers = SimpleNamespace(is_alive=lambda node: node in self.heard)
        self.routing = SimpleNamespace(leader_of=lambda group: self.leaders[group])
        self.events = Happenings(self, lambda: self.now, lambda: int(1000 * self.now))  # type: ignore[arg-type]
        self.events.look()

    def healing(self):
        self.looks += 1
        self.now += self.takes_s
        return SimpleNamespace(is_done=self.is_healed, moving=self.moving)

    def has_slow_disk(self, node: str) -> bool:
        return node in self.slow

    def happened(self) -> list[tuple[str, str]]:
        """Since the last time, newest last."""
        before = len(self.events.newest_first())
        self.now += 1.0
        self.version += 1
        self.events.look()
        newest = self.events.newest_first()
        return [(each.kind, each.text) for each in reversed(newest[: len(newest) - before])]


def test_nothing_has_happened_at_first_nor_when_nothing_changes():
    world = World()
    assert world.events.newest_first() == [] and world.happened() == []


def test_while_the_view_is_the_same_it_is_not_looked_through():
    world = World(16384)
    looks = world.looks
    for _ in range(100):
        world.now += 1.0
        world.events.look()
    assert world.looks == looks
    world.slow.add("b")  # which the view's version does not tell
    world.now += 1.0
    world.events.look()
    assert world.looks == looks + 1


def test_a_death_and_the_gap_that_closes():
    world = World()
    world.heard.discard("c")
    assert world.happened() == [("bad", "c is not heard here")]
    world.map.nodes["c"].status = "down"
    world.map.ring, world.is_healed = ["a", "b"], False
    assert world.happened() == [
        ("bad", "c is down: a majority does not hear it"),
        ("note", "the ring is a b"),
        ("note", "the ring heals: copies are on their way"),
    ]
    world.is_healed = True
    assert world.happened() == [
        ("good", "the ring is whole: every copy is where it should be, without c")
    ]
    world.heard.add("c")
    world.map.nodes["c"].status = "up"
    assert world.happened() == [("good", "c is up")]


def test_copies_that_nobody_is_left_to_take_are_no_closed_gap():
    world = World(2)
    world.map.partitions[1].group = ("a", "c")
    world.map.nodes["c"].status = "down"
    world.map.ring, world.is_healed = ["a", "b"], False
    world.happened()
    world.is_healed = True
    says = "nobody is left to take the copies of c, so these have one less: partition 1"
    assert world.happened() == [("bad", says)]


def test_slaves_join_leave_and_are_forgotten():
    world = World()
    world.map.nodes["d"] = SimpleNamespace(status="up")
    world.map.nodes["b"].status = "leaving"
    world.heard.add("d")
    assert world.happened() == [
        ("note", "b is leaving: others take over what it holds"),
        ("good", "d has joined the cluster"),
    ]
    del world.map.nodes["b"]
    assert world.happened() == [("note", "b has left the cluster")]


def test_leads_that_went_the_same_way_are_one_event():
    world = World(4 + NAMED_MAX)
    world.leaders |= {0: "b", 1: None, 2: "b"}
    assert world.happened() == [
        ("note", "b leads partitions 0, 2 (a did)"),
        ("bad", "nobody leads partition 1 (a did)"),
    ]
    world.leaders |= {1: "c"} | dict.fromkeys(range(3, 4 + NAMED_MAX), "b")
    assert world.happened() == [
        ("note", "c leads partition 1"),
        ("note", "b leads partitions 3, 4, 5, 6, 7, 8, 9, 10 and 1 more (a did)"),
    ]


def test_disks_and_who_heals():
    world = World()
    world.slow.add("b")
    world.leaders[MAP_GROUP] = None
    assert world.happened() == [
        ("bad", "the disk of b is slow: it hands on what it leads"),
        ("bad", "nobody leads the cluster map"),
    ]
    world.slow.clear()
    world.leaders[MAP_GROUP] = "c"
    assert world.happened() == [
        ("good", "the disk of b is fast again"),
        ("note", "c heals the ring"),
    ]


def test_a_bounded_number_is_kept_the_newest_first():
    world = World()
    for number in range(2 * EVENTS_MAX):
        world.map.ring = [f"slave{number}"]
        world.now += 1.0
        world.version += 1
        world.events.look()
    kept = world.events.newest_first()
    assert len(kept) == EVENTS_MAX and kept[0].text == f"the ring is slave{2 * EVENTS_MAX - 1}"
    assert kept[0].at_ms > kept[-1].at_ms


@pytest.mark.parametrize("takes_s", [0.001, 0.05])
def test_to_look_takes_a_bounded_share(takes_s):
    world = World()
    world.takes_s = takes_s
    began, looks = world.now, world.looks
    while world.now < began + 1000 * takes_s:
        world.version += 1
        world.events.look()
        world.now += takes_s / 10
    assert 10 < world.looks - looks <= 1000 / SHARE + 1


def test_before_the_cluster_is_born_there_is_nothing_to_see():
    world = World()
    world.map.epoch = 0
    world.heard.clear()
    assert world.happened() == []
