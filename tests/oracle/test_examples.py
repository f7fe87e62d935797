"""The examples answer as a real Redis does, or as its documentation says; each command has some."""

import functools
import re
from pathlib import Path

import pytest

from tests.oracle import examples
from tests.oracle.compare import begin
from tests.oracle.differences import is_equal, meant
from tests.oracle.examples import Section
from tests.oracle.frames import shown
from tests.oracle.ours import PureServer
from tests.oracle.redis_server import RedisServer

SECTIONS = [*examples.sections()]
OURS = {"xpart"}  # of backups: no command of Redis
PAGE = (Path(__file__).parents[2] / "docs/testing.md").read_text()


@functools.cache
def pure(is_cluster: bool) -> PureServer:
    """One of each kind: ``begin`` empties it."""
    return PureServer(is_cluster)


@pytest.mark.parametrize("is_cluster", [True, False], ids=["cluster", "gateway"])
@pytest.mark.parametrize(
    "section", [each for each in SECTIONS if not each.is_newer], ids=lambda each: each.title
)
def test_they_answer_as_redis_does(
    section: Section, is_cluster: bool, node: RedisServer, single: RedisServer
) -> None:
    theirs, ours = (node if is_cluster else single).connect(), pure(is_cluster)
    for protocol in (2, 3):
        both = []
        for server in (theirs, ours):
            server.ask_all(begin(protocol))
            both.append(server.ask_all(section.commands))
        for words, their, our in zip(section.commands, *both, strict=True):
            is_right = is_equal(words, their, our) or meant(words, their, our) is not None
            assert is_right, f"{words}\n  Redis: {shown(their)}\n  ours:  {shown(our)}"
    theirs.close()


@pytest.mark.parametrize("is_cluster", [True, False], ids=["cluster", "gateway"])
@pytest.mark.parametrize(
    "section", [each for each in SECTIONS if each.is_newer], ids=lambda each: each.title
)
def test_what_is_newer_answers_as_documented(section: Section, is_cluster: bool) -> None:
    ours = pure(is_cluster)
    ours.ask_all(begin(2))
    replies = map(examples.shown, ours.ask_all(section.commands))
    asked = [" ".join(map(repr, words)) for words in section.commands]
    assert [*zip(asked, replies, strict=True)] == [*zip(asked, section.answers, strict=True)]
    for protocol in (2, 3):  # and an option that Redis has is no error in the other protocol
        ours.ask_all(begin(protocol))
        failed = [reply[0] == b"-" for reply in ours.ask_all(section.commands)]
        assert failed == [bool(re.match("[A-Z]{3,} ", answer)) for answer in section.answers]


def test_each_command_of_the_families_has_an_example() -> None:
    shown_ones = {
        row.name
        for section in SECTIONS
        for words in section.commands
        if (row := examples.row_of(words)) is not None
    }
    wanted = {
        row.name
        for row in examples.rows()
        if examples.group_of(row) in examples.GROUPS or row.name in examples.OF_EVERY_KIND
    }
    assert wanted - shown_ones - OURS == set()


def test_each_option_is_in_an_example_or_in_the_grammar() -> None:
    used, lacking = examples.used(), []
    by_name = {row.name: row for row in examples.rows()}
    for name, words in examples.options().items():
        row = by_name.get(name)
        if row is None:  # typed, and refused
            continue
        if examples.group_of(row) in examples.ALL_GROUPS or name in examples.OF_EVERY_KIND:
            lacking += [(name, word) for word in sorted(words - used.get(name, set()))]
    assert lacking == []


def test_the_page_says_no_more_than_there_is() -> None:
    """``python -m tests.oracle --count`` prints the table."""
    said, counted = (_numbers(text) for text in (PAGE, examples.count()))
    assert said.keys() == counted.keys()
    for group, numbers in said.items():
        *less, differences = zip(numbers, counted[group], strict=True)
        assert all(page <= now for page, now in less), group
        assert differences[0] == differences[1], group


def _numbers(text: str) -> dict[str, list[int]]:
    found = re.findall(r"^\| ([a-z-]+) ((?:\| \d+ ){4})\|$", text, re.M)
    return {group: [int(each) for each in numbers.split("|")[1:]] for group, numbers in found}
