"""The runner of scripts: what it refuses, and that a claim which does not hold fails, by line."""

import re
from functools import partial
from unittest import mock

import pytest

from distrodb.errors import InvariantViolation
from distrodb.slave.core import Core
from tests.scripts.runner import parse, play
from tests.scripts.test_scripts import SCRIPTS, SEEDS
from tests.scripts.verbs import VERBS, NotSo, Refused, vocabulary
from tests.sim.removed_cures import seeds_until_noticed


@pytest.fixture
def script(tmp_path):
    def write(*lines: str):
        path = tmp_path / "story.txt"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "story.txt:1: the file is empty"),
        (["set a 1"], "story.txt:1: a script begins with"),
        (["cluster 3 slaves"], "story.txt:1: a script begins with"),
        (["cluster 0 slaves 2 partitions", "get a is 1"], "story.txt:1: a script begins with"),
        (["cluster 3 slaves 2 partitions x=y"], "story.txt:1: 'x=y' is not OPTION=NUMBER"),
        (["cluster 3 slaves 2 partitions", "", "brew tea"], "story.txt:3: unknown verb 'brew'"),
        (["cluster 3 slaves 2 partitions", "get a"], "story.txt:2: 'get a' is not one of: get KEY"),
        (["cluster 3 slaves 2 partitions", "kill"], "story.txt:2: 'kill' is not one of: kill NODE"),
        (["cluster 3 slaves 2 partitions", "set a 1"], "story.txt:1: nothing is claimed"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(script, lines, complaint):
    with pytest.raises(Refused, match=re.escape(complaint)):
        parse(script(*lines))


BEGIN = "cluster 3 slaves 2 partitions"


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["kill node9", "get a is 1"], "story.txt:2: kill node9: there is no slave 'node9'"),
        (["kill node1", "kill node1", "get a is 1"], "story.txt:3: kill node1: node1 is down"),
        (["start node1", "get a is 1"], "story.txt:2: start node1: node1 runs already"),
        (["wait soon", "get a is 1"], "story.txt:2: wait soon: 'soon' is not a number of seconds"),
        (["fill x keys of 1 bytes", "get a is 1"], "'x' is not a whole number"),
        (["until whisper from node1 to node2"], "no message is called 'whisper'; there are"),
        (
            ["set a 1", "until node1 is ill"],
            "'ill' is no status; there are up down joining leaving",
        ),
        (["until answer ANY"], "nothing was sent under the name 'ANY'"),
        (["answer ANY is 1"], "nothing was sent under the name 'ANY'"),
        (["add node9", "get a is 1"], "story.txt:2: add node9: the next slave is node4"),
        (["judge clients"], "there are no clients"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_place(script, lines, complaint):
    with pytest.raises(Refused, match=re.escape(complaint)):
        play(parse(script(BEGIN, *lines)), 0)


def test_an_option_that_does_not_exist_is_refused(script):
    with pytest.raises(Refused, match=r"^story.txt:1: .*brews"):
        play(parse(script(BEGIN + " brews=1", "get a is nothing")), 0)


# A claim of each kind that does not hold.
@pytest.mark.parametrize(
    "lines",
    [
        ["get a is 1"],
        ["set a 1", "get a is nothing"],
        ["find 2 keys of 3 bytes"],
        ["send READ to node1 get a", "answer READ is 1"],
        ["send READ to node1 get a", "answer READ is not CLUSTERDOWN"],
        ["set a 1", "expect nobody leads a"],
        ["expect node1 leads a"],  # nobody does: the cluster is not born yet
        ["set a 1", "expect ring node1 node2"],
        ["set a 1", "kill node1", "until node1 leads a"],
        ["set a 1", "kill node1", "until whole"],
        ["set a 1", "until node1 is down"],
        ["set a 1", "until node1 has cut its log of a"],
        ["set a 1", "until healed", "expect not healed"],
        ["load 1 clients", "until 1000000 answers"],
        ["pause node1 100", "send READ to node1 get a", "until answer READ"],
        ["set a 1", "kill node1 node2", "until healed"],
        ["set a 1", "until node1 has left"],
        ["set a 1", "until snapshot from node1 to node2"],
        ["set a 1", "expect snapshot was sent from node1 to node2"],
        ["isolate node1", "isolate node2", "set a 1", "get a is 1"],
        ["load 1 clients", "judge clients"],
        ["set a 1", "remove node1", "remove node2", "remove node3", "get a is 1"],
    ],
)
def test_a_claim_that_does_not_hold_fails_and_names_its_line(script, lines):
    path = script(BEGIN, "# a remark", *lines)
    with pytest.raises(NotSo, match=r"^story.txt:\d+: ") as caught:
        play(parse(path), 0)
    number = int(str(caught.value).split(":")[1])
    assert str(caught.value).split(": ")[1] == path.read_text().splitlines()[number - 1]


def test_what_goes_wrong_inside_names_its_line_too(script):
    path = script(BEGIN, "set a 1", "wait 1", "get a is 1")
    breaks = mock.patch.object(Core, "flush", side_effect=InvariantViolation("broken"))
    with breaks, pytest.raises(InvariantViolation) as caught:
        play(parse(path), 0)
    assert caught.value.__notes__ == ["story.txt:2: set a 1 (seed 0)"]


def test_clients_of_a_script_are_answered(script):
    story = parse(script(BEGIN, "load 2 clients", "wait 10", "judge clients"))
    stage = play(story, 0)
    assert sum(client.answered for client in stage.clients) > 10


@pytest.mark.parametrize(
    ("cure", "name"),
    [
        ("messages wait for the fsync", "a_restart_of_all_loses_nothing"),
        ("read rounds", "a_leader_that_is_cut_off_reads_nothing_stale"),
        ("incarnations", "two_empty_directories_are_no_majority"),
    ],
)
def test_a_script_fails_without_the_cure_that_it_shows(cure, name):
    (path,) = [path for path in SCRIPTS if path.stem == name]
    count, _ = seeds_until_noticed(cure, SEEDS, partial(play, parse(path)))
    assert count


def test_every_verb_says_what_it_does_and_is_used_or_understood():
    assert all(verb.says.endswith(".") for verb in VERBS)
    assert len({verb.usage for verb in VERBS}) == len(VERBS) == len(list(vocabulary()))
    used = {line.verb.usage for path in SCRIPTS for line in parse(path).lines}
    assert len(used) > len(VERBS) / 2


def test_a_script_plays_the_same_again(script):
    story = parse(script(BEGIN, "load 2 clients", "wait 5", "judge clients"))
    assert play(story, 1).cluster.trace == play(story, 1).cluster.trace
    assert play(story, 1).cluster.trace != play(story, 2).cluster.trace
