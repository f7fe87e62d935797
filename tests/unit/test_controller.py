"""What the controller asks of the map, and what it answers a person."""

from dataclasses import replace

import pytest

from distrodb.raft.journal import Configuration
from distrodb.reply import ErrorReply
from distrodb.ring.clustermap import ClusterMap, first_map
from distrodb.ring.commands import apply
from distrodb.slave.controller import Controller, View
from distrodb.slave.gossip import Joiner
from distrodb.slave.hearing import Hearing
from distrodb.slave.reports import Report, Reports

NODES = "abcde"
BORN = first_map([(n, f"{n}:1", f"{n}:2") for n in NODES], 5, 3, dict.fromkeys(NODES, "1"))


class Beside:
    """A controller on slave a, and what it knows."""

    def __init__(self, cluster_map: ClusterMap = BORN):
        self.hearing, self.reports = Hearing("a"), Reports()
        self.controller = Controller(
            self.hearing, self.reports, replicas=3, moves_at_once=4, dead_after_s=10.0
        )
        self.joiners: dict[str, Joiner] = {}
        self.map = cluster_map
        self.heard(0.0, NODES)
        self.report()

    def heard(self, now: float, up: str, incarnations=("1",) * 5) -> None:
        names = dict(zip(NODES, incarnations, strict=True))
        for observer in up:
            hears = {node: names[node] for node in up if node != observer}
            self.hearing.heard(now, observer, hears)
        for observer in set(NODES) - set(up):
            self.hearing.lost(observer)
        self.hearing.watch(now, NODES)

    def report(self) -> None:
        """Every group has reached what the map says."""
        self.reports.map_changed(self.map)
        for p in self.map.partitions:
            configuration = Configuration(self.map.epoch, self.map.epoch, self.map.members(p.group))
            self.reports.heard(p.id, Report(configuration, 1, self.map.epoch))

    @property
    def view(self) -> View:
        return View(self.map, self.map.members(self.map.map_group), self.joiners)

    def commands(self, now: float) -> list[tuple[str, ...]]:
        return self.controller.commands(now, self.view)

    def says(self, *command: str) -> None:
        self.map = apply(self.map, command)
        self.report()

    def asked(self, *words: str):
        return self.controller.asked(self.view, words)


def test_nothing_is_asked_while_all_is_well():
    beside = Beside()
    assert beside.commands(0.0) == [] and beside.commands(100.0) == []


def test_a_dead_slave_is_marked_first_and_taken_out_then():
    beside = Beside()
    beside.heard(1.0, "abcd")
    assert beside.commands(5.0) == []
    assert beside.commands(11.0) == [("set_status", "e", "down")]
    beside.says("set_status", "e", "down")
    assert beside.commands(11.0) == [("change_ring", "-e")]


def test_one_that_is_heard_again_is_up():
    beside = Beside(apply(BORN, ["set_status", "e", "down"]))
    assert beside.commands(0.0) == [("set_status", "e", "up")]


def test_a_new_incarnation_is_written_down():
    beside = Beside()
    beside.heard(1.0, NODES, incarnations=("1", "1", "1", "1", "2"))
    assert beside.commands(1.0) == [("incarnate", "e", "2")]


def test_who_wants_to_join_is_added_once():
    beside = Beside()
    beside.joiners = {"f": Joiner("7", "f:1", "f:2")}
    assert beside.commands(0.0) == [("add_node", "f", "f:1", "f:2", "7")]
    beside.says("add_node", "f", "f:1", "f:2", "7")
    assert ("add_node", "f", "f:1", "f:2", "7") not in beside.commands(0.0)


def test_nothing_is_moved_to_a_slave_that_is_not_heard_at_the_moment():
    beside = Beside()
    beside.heard(1.0, "abcd")
    beside.says("set_status", "e", "down")
    beside.says("change_ring", "-e")
    assert ("set_group", "0", "d", "a", "b") in beside.commands(1.1)
    beside.heard(2.0, "abc")  # d is silent, but not for long enough
    commands = beside.commands(2.1)
    assert commands and not any(c[:2] == ("set_group", "0") and "d" in c for c in commands)


def test_the_same_is_not_planned_again_at_once():
    beside = Beside(apply(BORN, ["set_status", "e", "down"]))
    beside.heard(0.0, "abcd")
    assert beside.commands(0.0) == [("change_ring", "-e")]
    assert beside.commands(0.5) == []  # it is on its way
    assert beside.commands(1.5) == [("change_ring", "-e")]  # it was lost


def refusal(reply) -> str:
    assert isinstance(reply, ErrorReply)
    return reply.text.decode()


def test_remove_lets_a_live_slave_leave():
    beside = Beside()
    assert beside.asked("remove", "e") == ("set_status", "e", "leaving")
    beside.says("set_status", "e", "leaving")
    assert beside.asked("REMOVE", "e") is None  # it does already


def test_remove_says_no_when_too_few_would_stay():
    beside = Beside(apply(apply(BORN, ["set_status", "e", "leaving"]), ["set_status", "d", "down"]))
    assert "2 slaves would stay" in refusal(beside.asked("REMOVE", "c"))


def test_a_slave_that_is_down_is_forgotten_only_when_no_group_counts_it():
    """The map may have moved on while a group still counts the dead one (simulator, seed 2037)."""
    beside = Beside(apply(BORN, ["set_status", "e", "down"]))
    assert "still a member of ring, map" in refusal(beside.asked("REMOVE", "e"))
    bare = replace(
        beside.map,
        ring=("a", "b", "c", "d"),
        map_group=("a", "b", "c", "d"),
        partitions=tuple(
            replace(p, owner="a", group=("d", "a", "b")) for p in beside.map.partitions
        ),
    )
    beside.map = replace(bare, epoch=9)
    beside.report()
    assert beside.asked("REMOVE", "e") == ("remove_node", "e")
    members = ("a/1", "d/1", "e/1")
    beside.reports.heard(2, Report(Configuration(99, 9, members), 1, 9))
    assert "still a member of 2 " in refusal(beside.asked("REMOVE", "e"))


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["REMOVE", "x"], "no slave is called 'x'"),
        (["MOVE", "x", "a"], "'x' is not the number of a partition"),
        (["MOVE", "99", "a"], "partitions are 0 to 4"),
        (["MOVE", "1", "x"], "no slave is called 'x'"),
        (["MOVE", "9" * 999, "a"], "is not the number of a partition"),
        (["JUGGLE"], "use DISTRODB REMOVE"),
    ],
)
def test_what_makes_no_sense_gets_one_line(words, what):
    assert what in refusal(Beside().asked(*words))


def test_move_and_balance_are_the_map_s_commands():
    assert Beside().asked("MOVE", "03", "e") == ("move", "3", "e")
    assert Beside().asked("BALANCE") == ("balance",)
