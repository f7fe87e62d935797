"""docs/redis.md lists every command, and says of each what is true of the table."""

import re
from collections import Counter
from pathlib import Path

from distrodb.commands.table import COMMANDS

PAGE = (Path(__file__).parents[2] / "docs/redis.md").read_text()
KINDS = {"full": True, "partial": True, "not yet": False, "not there, since": False}


def listed() -> dict[str, bool]:
    """Each command of the page, and whether the page says that it is there."""
    found: list[tuple[str, bool]] = []
    commands = PAGE.partition("## Commands")[2].partition("### Modules")[0]
    for entry in re.findall(r"^- (.*(?:\n  .*)*)", commands.partition("### Ours")[0], re.M):
        (is_there,) = {there for kind, there in KINDS.items() if entry.startswith(kind)}
        names = re.findall(r"`([^`]+)`", entry.partition(":")[2])
        found += [(name, is_there) for name in (names[:1] if entry[:7] == "partial" else names)]
    counted = Counter(name for name, _ in found)
    assert [name for name, count in counted.items() if count > 1] == [], "listed twice"
    return dict(found)


def there() -> set[str]:
    """A container counts by its subcommands, and by itself if it runs without one."""
    names = set()
    for row in COMMANDS.values():
        name = row.name.upper()
        names |= {f"{name} {word.decode()}" for word in row.subcommands}
        if not row.subcommands or row.arity != -2:
            names.add(name)
    return names


def _row(name: str) -> str:
    """Of a command whose subcommands have no rows: the command."""
    first = name.partition(" ")[0]
    row = COMMANDS.get(first.encode())
    return first if row is not None and not row.subcommands else name


def test_what_is_there_is_listed_as_full_or_partial_and_nothing_else() -> None:
    said = {_row(name) for name, is_there in listed().items() if is_there}
    ours = {name for name in there() if f"`{name}" in PAGE.partition("### Ours")[2]}
    assert said - there() == set(), "not there: these belong to `not yet`"
    assert there() - said - ours == set(), "there: these belong to `full` or `partial`"
    assert len(listed()) > 390
