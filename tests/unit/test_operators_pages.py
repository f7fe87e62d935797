"""Commands on the pages, whether run by a test or not, are ones that there are, with arguments that
they know."""

import re
import shlex
from pathlib import Path

import pytest

from distrodb.cli import _parser
from tests.support.pages import PAGES


def commands(page: Path) -> list[list[str]]:
    """Of its blocks, and of what stands in code in its text, if it is whole."""
    text = page.read_text()
    before = r"(?:sudo (?:-u \S+ )?)?(?:\S*/)?"
    lines = re.findall(rf"^ {{4,}}{before}distrodb ([a-z].*)$", text, re.M)
    lines += re.findall(r"`distrodb ([a-z]+ [^`…]+)`", text)
    return [_words(line) for line in lines]


def _words(line: str) -> list[str]:
    """Of the one command: before a remark, a pipe, `&&` or `>`."""
    words = shlex.split(line, comments=True)
    ends = [words.index(end) for end in ("|", "&&", ">") if end in words]
    return words[: min(ends, default=len(words))]


def test_commands_are_found() -> None:
    verbs = {words[0] for page in PAGES for words in commands(page)}
    assert verbs >= {"init", "ready", "status", "master", "doctor", "slave", "certs", "local"}
    assert verbs >= {"backup", "verify", "restore", "recover", "export", "import", "bench"}


NOT_OF_TODAY = "changes.md"  # which has commands of older versions, and with words left open


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != NOT_OF_TODAY], ids=lambda page: page.name
)
def test_its_commands_are_as_the_program_has_them(page: Path) -> None:
    for words in commands(page):
        try:
            _parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"{page.name}: distrodb {shlex.join(words)}")
