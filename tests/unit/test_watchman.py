"""What a slave says in its log when something has changed, and that it says it once."""

from types import SimpleNamespace

import pytest

from distrodb.events import said
from distrodb.slave.clocks import Clocks
from distrodb.slave.condition import Condition
from distrodb.slave.group_ids import MAP_GROUP
from distrodb.slave.watchman import READY_S, Watchman


class World:
    """A core that can be changed."""

    def __init__(self, epoch: int = 1):
        self.now, self.id, self.clocks = 0.0, "a", Clocks()
        self.map = SimpleNamespace(epoch=epoch, ring=["a", "b", "c"])
        self.leads: dict[tuple[str, str], set[int]] = {}
        self.gossip = SimpleNamespace(condition=None)
        self.seen: list = []
        self.looks = 0
        self.led = {MAP_GROUP}
        self.leaderless: list[int] = []
        self.routing = SimpleNamespace(
            leads=lambda group: group in self.led, leaderless=lambda: self.leaderless
        )
        self.view = SimpleNamespace(
            maps=SimpleNamespace(waits_to_join=False, waits_for_cluster=False, waits_for=None),
            map=self.map,
            id="a",
            version=0,
            peers=SimpleNamespace(is_alive=lambda node: True),
            not_yet_in=self._not_yet_in,
            routing=self.routing,
        )
        self.lines: list = []
        happenings = SimpleNamespace(look=self._happened)
        self.watchman = Watchman(self, happenings, lambda each, who: self.lines.append(each))  # type: ignore[arg-type]

    def _happened(self):
        seen, self.seen = self.seen, []
        return seen

    def _not_yet_in(self):
        self.looks += 1
        return []

    def take_leads(self):
        leads, self.leads = self.leads, {}
        return leads

    def said(self, has_changed: bool = True) -> list[str]:
        self.now += READY_S
        self.view.version += has_changed
        self.watchman.look(self.now)
        lines, self.lines = self.lines, []
        return [f"{each.event.name}: {each}" for each in lines]


def well() -> World:
    world = World()
    assert world.said() == ["ready: is ready: clients may be sent here"]
    return world


def test_while_nothing_changes_nothing_is_said():
    assert [well().said() for _ in range(3)] == [[], [], []]


def test_the_birth_is_told_once_and_not_after_a_restart():
    world = World(epoch=0)
    world.leaderless = [1]
    assert world.said() == []
    world.map.epoch = 1
    assert world.said() == ["born: the cluster is there: epoch 1, ring a b c"]
    assert world.said() == []


def test_whether_it_is_ready_is_told_when_it_changes_and_not_while_it_starts():
    world = World()
    world.leaderless = [3]
    assert world.said() == []
    world.leaderless = []
    assert len(world.said()) == 1
    world.leaderless = [3]
    assert world.said() == ["not_ready: is not ready: without a leader: partition 3"]
    assert world.said() == []
    world.leaderless = []
    assert world.said() == ["ready: is ready: clients may be sent here"]


def test_one_that_is_ready_is_not_looked_through_again_and_one_that_is_not_is():
    world = World()
    world.leaderless = [3]
    for _ in range(3):
        world.said(has_changed=False)
    assert world.looks == 3
    world.leaderless = []
    for _ in range(5):
        world.said(has_changed=False)
    assert world.looks == 4


def test_leads_of_many_partitions_are_one_line_with_the_cause():
    world = well()
    world.leads = {
        ("leads_won", "its leader was silent"): {0, 1, 2, 7, MAP_GROUP},
        ("leads_lost", "handed over"): {4},
    }
    assert world.said() == [
        "leads_lost: leads partition 4 no more: handed over",
        "leads_won: leads partitions 0-2 7 and the cluster map: its leader was silent",
    ]
    assert world.said() == []


def test_what_all_see_is_told_by_one_and_a_disk_by_its_own_slave():
    world = well()
    happened = [
        said("slave_down", slave="b"),
        said("slave_disk_slow", slave="a"),
        said("slave_disk_slow", slave="b"),
        said("moves_begun", partitions="partition 1"),
    ]
    world.seen = list(happened)
    assert [each.partition(":")[0] for each in world.said()] == [
        "slave_down",
        "slave_disk_slow",
        "moves_begun",
    ]
    world.led = set()
    world.seen = list(happened)
    assert len(world.said()) == 2


def test_a_leap_of_the_clock():
    world = well()
    world.clocks.look(1.0, 1_000_000)
    world.clocks.look(2.0, 1_061_000)
    assert world.said() == ["clock_leapt: the machine's clock has leapt by 60.0 s"]
    assert world.said() == []


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ([50, 14.9, 15.1, 14.9, 50], ["disk_nearly_full", "disk_has_room"]),
        ([50, 4.9, 5.1, 4.9, 10, 50], ["disk_full", "disk_nearly_full", "disk_has_room"]),
        ([4], ["disk_full"]),
        ([50, 16, 50], []),
    ],
)
def test_the_room_on_the_disk_is_told_at_its_bounds_and_not_again_and_again(shares, told):
    world, lines = well(), []
    for share in shares:
        free = int(share * 10**9)
        world.gossip.condition = Condition(disk_free=free, disk_total=100 * 10**9)
        lines += world.said()
    assert [line.partition(":")[0] for line in lines] == told


def test_a_disk_of_which_nothing_is_known_is_not_full():
    world = well()
    world.gossip.condition = Condition()
    assert world.said() == []
