"""The blocks of code in README.md and docs/, and the marks that say what becomes of each.

A block is what is indented by four blanks or stands between fences.  A comment on the line before
it, which no reader of the page sees, is its mark:

    <!-- run: shell -->      tests/e2e/test_pages.py runs it, and has all kinds
    <!-- run: shell soak --> the same, but in a soak only
    <!-- run by FILE -->     that test types it, in a set-up of its own
    <!-- shown -->           output, or a picture: there is nothing to run

A block without a mark is one of ``tests/unit/test_docs.py``, which says why it is not run.
Caveat: a block in a list, indented by more than four blanks, begins with its further blanks.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
_COMMENT = re.compile(r"<!-- (.*) -->")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int  # of its first line, from 1
    mark: str
    text: str

    @property
    def kind(self) -> str:
        """What `run:` names, without `soak`; empty for all others."""
        return self.mark.removeprefix("run: ").removesuffix(" soak") if self.is_run else ""

    @property
    def is_run(self) -> bool:
        return self.mark.startswith("run: ")

    @property
    def is_soak(self) -> bool:
        return self.is_run and self.mark.endswith(" soak")

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    lines = page.read_text().splitlines()
    found = []
    at = 0
    while at < len(lines):
        end = _end(lines, at)
        if end is None:
            at += 1
            continue
        comment = _COMMENT.fullmatch(lines[at - 1]) if at else None
        mark = comment[1] if comment else ""
        inner = lines[at:end]
        is_fenced = inner[0].startswith(("```", "~~~"))
        inner = inner[1:-1] if is_fenced else [line[4:] for line in inner]
        text = "\n".join(inner).rstrip() + "\n"
        found.append(Block(page, at + 1 + is_fenced, mark, text))
        at = end
    return found


def _end(lines: list[str], at: int) -> int | None:
    """Behind the block that begins there, if one does."""
    fence = lines[at][:3]
    if fence in ("```", "~~~"):
        return lines.index(fence, at + 1) + 1
    before = lines[at - 1].strip() if at else ""
    if not lines[at].startswith("    ") or (before and not _COMMENT.fullmatch(before)):
        return None
    end = at
    while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
        end += 1
    return end
