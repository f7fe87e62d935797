"""Each page is linked from the README, each link and anchor of a page leads somewhere, and each
block of code is run by a test, or says here why not."""

import re
from collections import Counter
from pathlib import Path

import pytest

from distrodb.config.options import OPTIONS
from tests.support.pages import PAGES, README, ROOT, blocks

IN_BRACKETS = re.compile(r"\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]: +<?([^\s>]+)", re.M)
HTML = re.compile(r"<[a-z]+\b[^>]*?\b(?:href|src)\s*=\s*[\"']?([^\"'\s>]+)", re.I)
HTML_ANCHOR = re.compile(r"<[a-z]+\b[^>]*?\b(?:id|name)\s*=\s*[\"']?([^\"'\s>]+)", re.I)

PLACEHOLDERS = "its words stand for others, and what they stand for is typed by test_quickstart.py"
DEVELOPERS = "for who works on distrodb: it is how the tests themselves are run"
NO_SYSTEMD = "needs systemd; conf/ is checked by test_service_files.py"
NOT_RUN = {
    ("monitoring.md", "scrape_configs:"): "a file of Prometheus, which the tests do not have",
    ("operations.md", "sudo cp conf/distrodb-backup.service"): NO_SYSTEMD,
    ("operations.md", "0 2 * * *"): "needs cron",
    ("operations.md", "sudo /opt/distrodb/bin/pip"): "tests/upgrade does it; this needs systemd",
    ("operations.md", "   distrodb recover"): "asks; its test is test_recover.py",
    ("quickstart.md", "podman build"): "needs a daemon that makes images, and the network",
    ("security.md", "DISTRODB_PASSWORD=…"): PLACEHOLDERS,
    (
        "security.md",
        "redis-cli --tls",
    ): "asks for a password; test_quickstart.py gives it by --pass",
    ("testing.md", ".venv/bin/python -m pytest -n 2"): DEVELOPERS,
    ("testing.md", "DISTRODB_CFLAGS="): "builds anew what all other tests use meanwhile",
    ("testing.md", ".venv/bin/python -m tests.sim"): "takes ten minutes and more",
    ("testing.md", "DISTRODB_FAULT_S=600"): DEVELOPERS,
}


def prose(text: str) -> str:
    """Without code, in which nothing is a link."""
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.M | re.S)
    text = re.sub(r"(?:(?<=\n\n)|(?<=-->\n))(?: {4}.*\n|\n(?= {4}))+", "", text)
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", text)


def links(text: str) -> list[str]:
    text = prose(text)
    return [link for pattern in (IN_BRACKETS, REFERENCE, HTML) for link in pattern.findall(text)]


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings: of those of one name the second gets `-1`, and so on."""
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.M | re.S)
    found = set(HTML_ANCHOR.findall(prose(text)))
    seen: Counter[str] = Counter()
    for head in re.findall(r"^#{1,6} +(.+?)(?: +#+)?$", text, re.M):
        name = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head)  # a link counts by its text
        name = re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")
        seen[name] += 1
        found.add(name if seen[name] == 1 else f"{name}-{seen[name] - 1}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists() and target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target.read_text()), link


def test_links_are_found_wherever_markdown_has_them() -> None:
    text = (
        '[a](1.md "of a title") ![b](2.svg)\n<img alt="x" src="3.svg"> <A HREF=4.md>y</A>\n'
        "[c]: 5.md\n`[d](no.md)` ``[e]`(no.md)``\n\n    [f](no.md)\n\n"
        "```\n[g](no.md)\n```\n[h](6.md)\n"
    )
    assert sorted(links(text)) == ["1.md", "2.svg", "3.svg", "4.md", "5.md", "6.md"]


def test_anchors_are_those_of_github() -> None:
    text = (
        "# The `x` of *y*, 2.0\n## Again\n### Again\n## Again ##\n```\n# no heading\n```\n"
        '## [Link](a.md) here\n<a id="by-hand"></a>\n'
    )
    headings = {"the-x-of-y-20", "again", "again-1", "again-2", "link-here"}
    assert anchors(text) == headings | {"by-hand"}


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in links(README.read_text())}
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= linked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_that_is_named_with_its_section_is_there(page: Path) -> None:
    if page.name != "changes.md":  # which tells of options that are gone, too
        named = re.findall(r"`\[(\w+)\] (\w+)", page.read_text())
        assert {".".join(words) for words in named} <= {option.key for option in OPTIONS}


def test_every_block_is_run_or_it_is_said_why_not() -> None:
    unsaid = {
        (block.page.name, next(filter(str.strip, block.text.splitlines())))
        for page in PAGES
        for block in blocks(page)
        if not block.mark
    }
    said = {
        reason
        for reason in NOT_RUN
        for name, line in unsaid
        if name == reason[0] and line.startswith(reason[1])
    }
    assert said == set(NOT_RUN), "of blocks that are not there or are run"
    assert len(unsaid) == len(said), unsaid


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_mark_means_something(page: Path) -> None:
    for block in blocks(page):
        if block.mark.startswith("run by "):
            test = (ROOT / block.mark.removeprefix("run by ")).read_text()
            assert page.name in test or page.name.partition(".")[0] in test, block
        else:
            assert not block.mark or block.is_run or block.mark == "shown", block
    marks = re.findall(r"^<!-- (?:run|shown).*$", page.read_text(), re.M)
    assert len(marks) == sum(bool(block.mark) for block in blocks(page)), "one is of no block"


def test_blocks_are_found_as_markdown_has_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "A\n    no block\n\n    one\n\n      two\n\nB\n\n<!-- run: shell soak -->\n    three\n\n"
        "<!-- run: file a b -->\n```sh\nfour\n\n    five\n```\n\n<!-- shown -->\n\n    six\n"
    )
    found = [(b.line, b.mark, b.kind, b.is_soak, b.text) for b in blocks(page)]
    assert found == [
        (4, "", "", False, "one\n\n  two\n"),
        (11, "run: shell soak", "shell", True, "three\n"),
        (14 + 1, "run: file a b", "file a b", False, "four\n\n    five\n"),
        (22, "", "", False, "six\n"),
    ]
