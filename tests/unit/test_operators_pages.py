"""The commands of the pages for operators are ones that there are, with arguments they know."""

import re
import shlex
from pathlib import Path

import pytest

from distrodb.cli import _parser

ROOT = Path(__file__).parents[2]


def commands(page: str) -> list[list[str]]:
    """Of its blocks, and of what stands in code in its text, if it is whole."""
    text = (ROOT / page).read_text()
    lines = re.findall(r"^    (?:sudo (?:-u \S+ )?)?distrodb ([a-z].*)$", text, re.M)
    lines += re.findall(r"`distrodb ([a-z]+ [^`…]+)`", text)
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize(
    ("page", "verbs"),
    [
        ("docs/quickstart.md", {"init", "ready", "status", "master", "doctor"}),
        ("docs/operations.md", {"init", "ready", "slave", "certs", "local"}),
    ],
)
def test_its_commands_are_as_the_program_has_them(page: str, verbs: set[str]) -> None:
    found = commands(page)
    assert {words[0] for words in found} >= verbs
    for words in found:
        try:
            _parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"{page}: distrodb {shlex.join(words)}")
