"""docs/shell.md has each verb with its arguments, option, escape and setting, and no others."""

import argparse
import re
from typing import Any, cast

import pytest

from distrodb.cli import _parser
from distrodb.errors import DistrodbError
from distrodb.master import quoting, shell
from distrodb.master.client import Cluster
from tests.support.pages import ROOT

PAGE = (ROOT / "docs" / "shell.md").read_text()
NOT_OURS = {  # cmd2's own have no usage of ours: what stands on the page of them
    "HELP": {"HELP [command]", "HELP -v"},
    "HISTORY": {"HISTORY"},
    "OPTION": {"OPTION [name [value]]"},
}


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    """Code in the first column of a table."""
    return [
        code
        for line in re.findall(r"^\| (`.*?) \| ", text, re.M)
        for code in re.findall(r"`([^`]+)`", line)
    ]


@pytest.fixture(scope="module")
def whole() -> shell.Shell:
    """As `distrodb local` opens it, with `START`."""
    return shell.Shell(cast(Cluster, None), local=cast(Any, object()))


def usage(whole: shell.Shell, verb: str) -> str:
    parser = whole.command_parsers.get(getattr(whole, f"do_{verb}"))
    assert parser is not None, verb
    text = re.sub(r"\x1b\[[\d;]*m", "", parser.format_usage())
    words = " ".join(text.split()).removeprefix("Usage: ").removeprefix(verb)
    return verb + re.sub(r" (\w+) \[\1 \.\.\.\]", r" \1…", words)


def test_every_verb_is_there_with_its_arguments(whole: shell.Shell) -> None:
    said = set(first_cells(section("Commands")))
    expected = set()
    for verb in whole.get_visible_commands():
        expected |= NOT_OURS.get(verb) or {usage(whole, verb)}
    assert said == expected


def test_every_option_of_its_command_line_is_there() -> None:
    verbs = next(a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    options = {
        name
        for action in verbs.choices["master"]._actions
        for name in action.option_strings
        if action.dest != "help" and action.help != argparse.SUPPRESS
    }
    said = first_cells(PAGE.partition("## Commands")[0])
    assert {word.partition(" ")[0] for word in said} == options


def test_every_setting_is_there(whole: shell.Shell) -> None:
    (line,) = [line for line in PAGE.splitlines() if line.startswith("| `OPTION")]
    said = dict(re.findall(r"`(\w+)` \(`?(\w+)", line))
    assert said == {name: str(each.value) for name, each in whole.settables.items()}


def test_escapes_are_those_that_are_said() -> None:
    (line,) = re.findall(r'^- Between `"…"`: `(.+)` \(one byte\) `(.+)`\. Between', PAGE, re.M)
    said = {escape[1] for escape in " ".join(line).split()}
    meant = {
        chr(code)
        for code in range(0x21, 0x7F)
        if quoting.unquote(f'"\\{chr(code)}00e9"') != f"\\{chr(code)}00e9".encode()
    }
    assert said == meant == {"n", "r", "t", '"', "\\", "x", "u"}
    assert quoting.unquote(r'"\xff\u00e9"') == b"\xff\xc3\xa9"
    assert quoting.unquote(r"'\'\n'") == rb"'\n"
    assert quoting.unquote(r"a\n") == rb"a\n"


def test_what_is_said_to_be_text_is_text() -> None:
    (line,) = re.findall(r"^- Nothing else is special: `(.+?)` are text", PAGE, re.M)
    for word in line.split():
        assert quoting.tokens(f"{word} a{word}") == [word, f"a{word}"]
        assert quoting.unquote(word) == word.encode()
    assert quoting.tokens("don't") == ["don't"]
    with pytest.raises(DistrodbError):
        quoting.tokens("'don't")


def test_exit_statuses() -> None:
    said = re.findall(r"^\| (\d+) \| ", section("In a pipe"), re.M)
    assert said == ["0", "1", "2", str(shell.INTERRUPTED_STATUS)]
