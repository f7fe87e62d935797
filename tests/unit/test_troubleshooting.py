"""docs/troubleshooting.md has every error text that a user may meet, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from distrodb.slave.gathering import IN_PART

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
RAISED = {"StorageError", "CorruptionError", "UnavailableError", "VersionError"}
HOLE = "…"  # a name or a number


def words_of(node: ast.expr) -> str | None:
    """A text with holes; None if it is made elsewhere."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(v.value if isinstance(v, ast.Constant) else HOLE for v in values)
    return None


def plain(text: str) -> str:
    """Holes side by side are one, and how it is broken into lines does not count."""
    return " ".join(re.sub(f"{HOLE}+", HOLE, text.replace("``", "`")).split())


def texts() -> Iterator[str]:
    for path in sorted((ROOT / "distrodb").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id == "error" and len(node.args) == 2:
                code, said = map(words_of, node.args)
                if code not in (None, "ERR") and said is not None:
                    yield plain(f"{code} {said}")
            elif node.func.id in RAISED and node.args:
                said = words_of(node.args[0])
                if said is not None and said.strip(f"{HOLE};: "):
                    yield plain(said)


SAID = sorted(set(texts()))
SPANS = {plain(each) for each in re.findall(r"`((?:[^`]|``)+)`(?!`)", PAGE)}


def test_there_are_texts():
    assert len(SAID) > 60 and "NOAUTH Authentication required." in SAID


@pytest.mark.parametrize("said", SAID)
def test_it_is_on_the_page(said):
    assert said in SPANS


def test_what_the_page_quotes_is_said_by_somebody():
    """What begins as an error of ours does, with its code."""
    codes = {said.split()[0] for said in SAID if said.split()[0].isupper()}
    quoted = {span for span in SPANS if span.split()[0] in codes and " " in span}
    made_elsewhere = {"OOM …", "NOPERM … …", f"{IN_PART.decode()}…"}
    assert quoted - made_elsewhere <= set(SAID)
