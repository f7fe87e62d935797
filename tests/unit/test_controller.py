"""What the ring needs next, as the controller sees it: rows of the map, then the plan; and what a
person may ask for."""

from dataclasses import replace

import pytest

from distrodb.raft.log import Configuration
from distrodb.resp.reply import ErrorReply
from distrodb.ring.clustermap import ClusterMap, first_map
from distrodb.ring.map_commands import apply
from distrodb.slave.controller import PLAN_INTERVAL_S, Controller, Situation
from distrodb.slave.failure_detector import FailureDetector
from distrodb.slave.gossip import Joiner
from distrodb.slave.map_machine import UNCHANGED
from distrodb.slave.membership_reports import Report, Reports
from tests.library.slaves import config_of

DEAD_AFTER_S = 10.0


def born(names: str = "abcde") -> ClusterMap:
    nodes = [(name, f"{name}:1", f"{name}:2") for name in names]
    return first_map(nodes, len(names), 3, dict.fromkeys(names, "1"))


class Ring:
    """The books of slave a, whose controller it is, and the map that it may change."""

    def __init__(self, names: str = "abcde"):
        self.map, self.now, self.names = born(names), 0.0, names
        self.detector, self.reports = FailureDetector("a"), Reports()
        self.joiners: dict[str, Joiner] = {}
        self.empty: frozenset[str] = frozenset()
        self.levels: dict[str, int] = {}
        self.moved: dict[str, tuple[str, str]] = {}
        self.incarnations = dict.fromkeys(names, "1")
        self.controller = self.another_controller()
        self.alive(names)
        self.reach()

    def another_controller(self) -> Controller:
        config = config_of("a", self.names, len(self.names), dead_after_s=DEAD_AFTER_S)
        return Controller(config, self.detector, self.reports)

    def alive(self, names: str) -> None:
        """These hear each other, and nobody else."""
        for name in self.map.nodes:
            if name in names:
                hears = {n: self.incarnations[n] for n in names if n != name}
                self.detector.heard(self.now, name, hears)
            else:
                self.detector.lost(name)

    def reach(self) -> None:
        """All groups have the members that the map wants, and their leaders say so."""
        self.reports.map_changed(self.map)
        for p in self.map.partitions:
            members = tuple(sorted(self.map.members(p.group)))
            configuration = Configuration(self.map.epoch, self.map.epoch, members)
            self.reports.heard(p.id, Report(configuration, 1, self.map.epoch))

    def view(self) -> Situation:
        voters = self.map.members(self.map.map_group)
        return Situation(self.map, voters, self.joiners, self.empty, self.levels, self.moved)

    def commands(self) -> list:
        return self.controller.commands(self.now, self.view())

    def step(self, seconds: float = 0.0) -> list:
        """Time passes, the controller is asked, and the map does what it says."""
        self.now += seconds
        commands = self.commands()
        for command in commands:
            self.map = apply(self.map, command)
        self.reports.map_changed(self.map)
        return commands

    def status(self, node: str) -> str:
        return self.map.nodes[node].status

    def ask(self, *args: str):
        answer = self.controller.asked(self.view(), args)
        if isinstance(answer, tuple):
            self.map = apply(self.map, answer)
        return answer


@pytest.fixture
def ring():
    return Ring()


def dead(ring: Ring, name: str) -> Ring:
    ring.alive(ring.names.replace(name, ""))
    ring.step()
    ring.step(DEAD_AFTER_S)
    assert ring.status(name) == "down"
    return ring


# Which features may be used.


def test_the_level_grows_when_every_slave_of_the_map_has_told_a_higher_one(ring):
    ring.levels = {**dict.fromkeys("abcd", 3), "e": 1}
    assert ring.step() == []
    ring.levels["e"] = 2
    assert ring.step() == [("set_level", "2")] and ring.map.level == 2
    assert ring.step() == [("set_replicas", "3")]  # which this level brings
    assert ring.step() == []


def test_one_that_is_down_and_may_come_back_with_the_version_before_is_waited_for(ring):
    dead(ring, "e")
    ring.levels = dict.fromkeys("abcd", 2)
    ring.step(PLAN_INTERVAL_S)
    assert ring.map.level == 1
    ring.levels["e"] = 2
    assert ring.step(PLAN_INTERVAL_S) == [("set_level", "2")]


@pytest.mark.parametrize(
    ("made_with", "told", "is_let_in"), [("7", None, False), ("7.2", None, True), ("7", 2, True)]
)
def test_one_that_knows_less_than_is_used_is_not_let_in(ring, made_with, told, is_let_in):
    ring.map = replace(ring.map, level=2, replicas=3, replicas_at_birth=3)
    ring.joiners = {"f": Joiner(made_with, "f:1", "f:2")}
    ring.levels = {} if told is None else {"f": told}
    assert ring.commands() == [("add_node", "f", "f:1", "f:2", made_with)] * is_let_in


@pytest.mark.parametrize(("made_with", "is_let_in"), [("7", False), ("7.2", True), ("7.3", True)])
def test_nor_counted_again_with_another_directory(ring, made_with, is_let_in):
    ring.map = replace(ring.map, level=2, replicas=3, replicas_at_birth=3)
    ring.incarnations["e"] = made_with
    ring.alive("abcde")
    assert ring.commands() == [("incarnate", "e", made_with)] * is_let_in


# Where they are.


def test_the_map_follows_one_that_is_found_elsewhere(ring):
    ring.map = replace(ring.map, level=2)
    ring.moved = {"e": ("x:1", "x:2")}
    assert ("set_addresses", "e", "1", "x:1", "x:2") in ring.step()
    assert (ring.map.nodes["e"].client, ring.map.nodes["e"].peer) == ("x:1", "x:2")


def test_not_one_that_no_majority_hears(ring):
    """Nor, again and again, one that says it is where another slave is."""
    ring.map = replace(ring.map, level=2)
    ring.moved = {"e": ("x:1", "x:2")}
    for name in "bcd":
        ring.detector.heard(ring.now, name, {n: "1" for n in "abcd" if n != name})
    assert "set_addresses" not in [command[0] for command in ring.step()]
    ring.alive("abcde")
    ring.moved = {"e": ("a:1", "x:2")}
    assert "set_addresses" not in [command[0] for command in ring.step()]


def test_not_before_all_slaves_know_that_it_may_move(ring):
    ring.moved = {"e": ("x:1", "x:2")}
    assert "set_addresses" not in [command[0] for command in ring.step()]


# Who is up.


def test_a_whole_ring_needs_nothing(ring):
    assert ring.commands() == []


def test_one_that_is_not_heard_is_down_after_a_while(ring):
    ring.alive("abcd")
    assert ring.step() == [] and ring.step(DEAD_AFTER_S - 0.1) == []
    assert ring.step(0.1) == [("set_status", "e", "down")]


def test_one_that_is_down_and_heard_again_is_up(ring):
    dead(ring, "e").alive("abcde")
    assert ring.step()[0] == ("set_status", "e", "up")


def test_who_is_silent_but_not_yet_down_gets_nothing(ring):
    """b is to be replaced, and e has just gone silent."""
    dead(ring, "b").alive("acd")
    assert not [command for command in ring.step() if "e" in command[2:]]


def test_the_rows_come_before_the_plan(ring):
    """A plan that is made for an old row would be made again."""
    ring.alive("abcd")
    ring.step()
    ring.map = apply(ring.map, ("set_status", "d", "leaving"))
    ring.reports.map_changed(ring.map)
    assert {command[0] for command in ring.step(DEAD_AFTER_S)} == {"set_status"}
    assert {command[0] for command in ring.step()} != {"set_status"}


def test_one_that_leaves_is_forgotten_only_when_it_holds_nothing(ring):
    """A leader that has not heard of it yet could take it in again."""
    ring.map = apply(ring.map, ("set_status", "e", "leaving"))
    for _ in range(20):
        ring.step(PLAN_INTERVAL_S)
        ring.reach()
    assert not [p for p in ring.map.partitions if "e" in p.group] and "e" in ring.map.nodes
    ring.empty = frozenset("e")
    assert ring.step() == [("remove_node", "e")]


def test_one_that_comes_back_empty_is_another_member(ring):
    ring.incarnations["e"] = "2"
    ring.alive("abcde")
    assert ring.step() == [("incarnate", "e", "2")]
    assert ring.step() == []


def test_one_old_link_does_not_turn_the_map_back(ring):
    """This slave's own link to the old self of e still stands."""
    ring.incarnations["e"] = "2"
    ring.alive("abcde")
    ring.step()
    ring.detector.heard(ring.now, "a", {**dict.fromkeys("bcd", "1"), "e": "1"})
    assert not [command for command in ring.step() if command[0] == "incarnate"]


def test_one_that_flaps_is_down_and_up_in_turn_and_each_is_one_command(ring):
    for _ in range(3):
        dead(ring, "e")
        ring.alive("abcde")
        assert ("set_status", "e", "up") in ring.step()
        assert not [c for c in ring.step() if c[0] == "set_status"]


def test_one_that_dies_while_it_leaves_is_down(ring):
    ring.ask("REMOVE", "e")
    dead(ring, "e").alive("abcde")
    assert ("set_status", "e", "up") in ring.step()  # and its leaving is forgotten


def test_one_that_wants_to_join_is_added_once(ring):
    ring.joiners["f"] = Joiner("7", "f:1", "f:2")
    assert ring.step() == [("add_node", "f", "f:1", "f:2", "7")]
    assert not [command for command in ring.step() if command[0] == "add_node"]
    assert ring.status("f") == "joining"


def test_who_is_in_the_map_is_not_added_whatever_is_said_of_it(ring):
    ring.joiners["e"] = Joiner("7", "elsewhere:1", "elsewhere:2")
    assert ring.commands() == []


# Controllers that follow one another.


def test_the_next_controller_goes_on_as_this_one_would(ring):
    ring.alive("abcd")
    for seconds in (0.0, DEAD_AFTER_S, 0.0, 1.0, 1.0, 1.0):
        ring.now += seconds
        another = ring.another_controller().commands(ring.now, ring.view())
        ring.controller = ring.another_controller()
        assert ring.step() == another


def test_two_controllers_at_once_do_no_harm(ring):
    """One has lost its place and does not know it yet: what both say changes the map once."""
    dead(ring, "e")
    commands = ring.another_controller().commands(ring.now, ring.view())
    once = twice = ring.map
    for command in commands:
        once = apply(once, command)
    for command in [*commands, *commands]:
        twice = apply(twice, command)
    assert commands and once == twice


def test_nothing_new_is_no_reason_to_plan_again_for_a_while(ring):
    dead(ring, "e")
    view = ring.view()
    planned = ring.controller.commands(ring.now, view)
    assert planned and ring.controller.commands(ring.now, view) == []
    assert ring.controller.commands(ring.now + PLAN_INTERVAL_S, view) == planned
    ring.reports.heard(0, Report(Configuration(99, 1, ("a/1",)), 9, 99))
    assert ring.controller.commands(ring.now + PLAN_INTERVAL_S, view)


# What a person may ask for.


def refused(answer) -> str:
    assert isinstance(answer, ErrorReply)
    return answer.text.decode()


def test_remove_begins_a_leaving_and_a_second_time_changes_nothing(ring):
    assert ring.ask("remove", "e") == ("set_status", "e", "leaving")
    assert ring.ask("REMOVE", "e") is None


def test_one_that_leaves_is_kept_and_stands_in_the_ring_again(ring):
    ring.ask("REMOVE", "e")
    while "e" in ring.map.ring:
        ring.step()
    assert ring.ask("KEEP", "e") == ("set_status", "e", "up")
    while "e" not in ring.map.ring:
        ring.step()
    assert ring.ask("KEEP", "e") == UNCHANGED


def test_nobody_leaves_where_three_copies_would_not_find_three_slaves():
    ring = Ring("abc")
    assert "2 slaves would stay up" in refused(ring.ask("REMOVE", "c"))


def test_those_that_leave_already_do_not_count_as_staying():
    ring = Ring("abcd")
    ring.ask("REMOVE", "d")
    assert "cannot leave" in refused(ring.ask("REMOVE", "c"))


def test_one_that_is_down_is_forgotten_only_when_it_is_in_nothing(ring):
    """The map may have moved on while a group still counts it (simulator, seed 2037)."""
    dead(ring, "e")
    assert "still a member of ring, map" in refused(ring.ask("REMOVE", "e"))
    rows = [replace(p, group=tuple("abc"), owner="a") for p in ring.map.partitions]
    ring.map = replace(ring.map, partitions=tuple(rows), ring=tuple("abcd"))
    ring.map = replace(ring.map, map_group=tuple("abcd"))
    ring.reports.map_changed(ring.map)
    for p in ring.map.partitions:
        members = ("a/1", "b/1", "e/1" if p.id == 3 else "c/1")
        ring.reports.heard(p.id, Report(Configuration(99, 9, members), 99, 99))
    assert "still a member of 3 " in refused(ring.ask("REMOVE", "e"))
    ring.reports.heard(3, Report(Configuration(100, 9, ("a/1", "b/1", "c/1")), 99, 99))
    assert ring.ask("REMOVE", "e") == ("remove_node", "e")


def test_move_gives_a_partition_another_owner(ring):
    assert ring.ask("MOVE", "0", "b") == ("move", "0", "b")
    assert ring.map.partitions[0].owner == "b"
    assert ring.ask("BALANCE") == ("balance",)


def with_copies(names: str = "abcde", number: int = 3) -> Ring:
    ring = Ring(names)
    ring.map = replace(ring.map, level=2, replicas=number, replicas_at_birth=number)
    return ring


def test_the_map_s_number_of_copies_is_that_of_the_files_until_somebody_changes_it(ring):
    assert "upgrade all" in refused(ring.ask("REPLICAS", "5"))
    ring.map = replace(ring.map, level=2)
    assert refused(ring.ask("REPLICAS", "5")).startswith("TRYAGAIN the cluster map does not")
    assert ring.step() == [("set_replicas", "3")]
    assert ring.ask("replicas", "5") == ("set_replicas", "5") and ring.map.replicas == 5
    assert ring.ask("REPLICAS", "5") == UNCHANGED
    assert {command[0] for command in ring.step(PLAN_INTERVAL_S)} == {"set_group"}
    assert ring.map.replicas_at_birth == 3


def test_more_copies_than_slaves_are_refused_and_fewer_never():
    ring = with_copies("abcd")
    assert "5 copies of each partition need 5 slaves, and 4 are up" in refused(
        ring.ask("REPLICAS", "5")
    )
    assert ring.ask("REPLICAS", "1") == ("set_replicas", "1")
    assert ring.ask("REPLICAS", "3") == ("set_replicas", "3")
    ring = with_copies("ab", 5)
    assert ring.ask("REPLICAS", "3") == ("set_replicas", "3")
    assert "and 2 are up" in refused(ring.ask("REPLICAS", "5"))
    leaves = with_copies("abcde")
    leaves.ask("REMOVE", "e")
    assert "and 4 are up" in refused(leaves.ask("REPLICAS", "5"))


@pytest.mark.parametrize("number", ["2", "4", "0", "-3", "7", "", "three", "\u0663", "3" * 5000])
def test_what_is_no_number_of_copies_is_refused(number):
    assert "use one of 1, 3, 5" in refused(with_copies().ask("REPLICAS", number))


def test_who_may_leave_depends_on_the_map_s_number_of_copies():
    assert "2 slaves would stay up" in refused(with_copies("abc", 3).ask("REMOVE", "c"))
    assert with_copies("abc", 1).ask("REMOVE", "c") == ("set_status", "c", "leaving")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("REPLICAS",), "use DISTRODB REMOVE"),
        (("REPLICAS", "3", "5"), "use DISTRODB REMOVE"),
        (("REMOVE", "z"), "no slave is called 'z'"),
        (("REMOVE", ""), "no slave is called ''"),
        (("MOVE", "0", "z"), "no slave is called 'z'"),
        (("MOVE", "5", "b"), "partitions are 0 to 4"),
        (("MOVE", "-1", "b"), "not the number of a partition"),
        (("MOVE", "\u0662", "b"), "not the number of a partition"),
        (("MOVE", "9" * 5000, "b"), "not the number of a partition"),
        (("REMOVE", "x" * 5000), "no slave is called"),
        (("KEEP", "z"), "no slave is called 'z'"),
        (("REMOVE",), "use DISTRODB REMOVE"),
        (("MOVE", "b"), "use DISTRODB REMOVE"),
        (("BALANCE", "b"), "use DISTRODB REMOVE"),
        (("NONSENSE",), "use DISTRODB REMOVE"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_short_line(ring, args, says):
    text = refused(ring.ask(*args))
    assert says in text and "\n" not in text and len(text) < 300


def test_nothing_is_moved_to_one_that_is_down_or_leaves(ring):
    ring.ask("REMOVE", "e")
    assert "is leaving and owns nothing" in refused(ring.ask("MOVE", "0", "e"))
    dead(ring, "d")
    assert "is down and owns nothing" in refused(ring.ask("MOVE", "0", "d"))
    assert "d is down" in refused(ring.ask("KEEP", "d"))
