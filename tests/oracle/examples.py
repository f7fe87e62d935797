"""Examples of every command of the families, in order, as a person reads them: examples/*.txt.

A line that begins with ``== `` says what follows is about, and begins with an empty server; each
other line is a command, in redis-cli's quotes.  All are asked beside a real Redis, in both
protocols and of both kinds of server.  What is newer than that Redis stands under a title that says
``since 7.4`` and has its answer behind `` => `` (in RESP2), by the documentation of Redis.

They are our own words: Redis' documentation has another licence (pages.py runs its examples).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from distrodb.commands.command import Command
from distrodb.commands.table import COMMANDS
from distrodb.commands.usage import TABLE
from tests.oracle.differences import DIFFERENCES
from tests.oracle.families import CONVERSATIONS, FAMILIES, NOT_COMPARED, WAITING
from tests.oracle.frames import Frame
from tests.oracle.pages import split

DIRECTORY = Path(__file__).parent / "examples"
NEWER = ", since "
# The families of containers, and what every kind of value has.
GROUPS = ("hash", "list", "set", "sorted-set", "geo", "stream", "scripting")
ALL_GROUPS = (*GROUPS, "generic", "string", "bitmap", "hyperloglog", "transactions")
OF_EVERY_KIND = {"dump", "restore", "copy", "sort", "sort_ro", "type", "scan", "memory|usage"}
OF_EVERY_KIND |= {"object|encoding", "object|refcount", "object|idletime", "object|freq"}


@dataclass
class Section:
    """A conversation, from an empty server on."""

    title: str
    commands: list[list[bytes]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)  # of what is newer

    @property
    def is_newer(self) -> bool:
        return NEWER in self.title


def sections() -> Iterator[Section]:
    for file in sorted(DIRECTORY.glob("*.txt")):
        section = None
        for line in file.read_text().splitlines():
            if line.startswith("== "):
                if section is not None:
                    yield section
                section = Section(f"{file.stem}: {line[3:]}")
            elif line:
                assert section is not None, f"{file.name} begins without a title"
                text, _, answer = line.partition(" => ") if section.is_newer else (line, "", "")
                words = split(text)
                assert words is not None, line
                assert bool(answer) == section.is_newer, f"{file.name}: {line}"
                section.commands.append(words)
                section.answers.append(answer)
        if section is not None:
            yield section


def shown(frame: Frame) -> str:
    """A reply as the files have it."""
    kind, content = frame
    if content is None:
        return "(nil)"
    if isinstance(content, list):
        return f"[{', '.join(map(shown, content))}]"
    if kind == b":":
        return str(content)
    text: str = content.decode()
    return f'"{text}"' if kind == b"$" else text


# -- what has examples -----------------------------------------------------------------------------


def row_of(words: list[bytes]) -> Command | None:
    row = COMMANDS.get(words[0].upper())
    return row.subcommand(words) if row is not None else None


def rows() -> list[Command]:
    return [each for row in COMMANDS.values() for each in (row.subcommands.values() or [row])]


def group_of(row: Command) -> str:
    return COMMANDS[row.name.partition("|")[0].upper().encode()].group


def options() -> dict[str, set[str]]:
    """By command, the words in capitals of how it is typed (commands/usage.py)."""
    found: dict[str, set[str]] = {}
    for line in TABLE.strip().replace("\n  ", " ").splitlines():
        name, _, usage = line.partition(":")
        words = usage.partition("  #")[0].translate(str.maketrans("[]()|", "     ")).split()
        found[name] = {word for word in words if word.isupper()}
    return found


def lines() -> list[str]:
    """Of the grammar: each makes as many commands as are wanted."""
    families = [*FAMILIES, *CONVERSATIONS, WAITING, *NOT_COMPARED]
    texts = dict.fromkeys(command.line for family in families for command in family.commands)
    return [line.lstrip("!") for line in texts]


def of_line(line: str) -> tuple[str, set[str]]:
    """The command that a line of the grammar makes, and the words that it can have."""
    words = line.translate(str.maketrans("[](){}|'", "        ")).split()
    row = row_of([word.encode() for word in words[:2]])
    return (row.name if row is not None else words[0].lower()), {*words[1:]}


def used() -> dict[str, set[str]]:
    """By command, all words of its examples and of its lines in the grammar, in capitals."""
    found: dict[str, set[str]] = {}
    for section in sections():
        for words in section.commands:
            row = row_of(words)
            if row is not None:
                texts = {word.upper().decode(errors="replace") for word in words}
                found.setdefault(row.name, set()).update(texts)
    for line in lines():
        name, texts = of_line(line)
        for each in (name, *_of_container(line)):
            found.setdefault(each, set()).update(map(str.upper, texts))
    return found


def _of_container(line: str) -> list[str]:
    """``OBJECT (ENCODING|FREQ) key`` is a line of each of them."""
    name, words = line.split()[0].lower(), of_line(line)[1]
    return [f"{name}|{word.lower()}" for word in words if word.isupper()]


def count() -> str:
    """A table for people, in Markdown: what is compared with Redis, family by family."""
    examples: Counter[str] = Counter()
    for section in sections():
        for words in section.commands:
            row = row_of(words)
            examples[group_of(row) if row is not None else "?"] += 1
    grammar = Counter(
        row.group for line in lines() if (row := COMMANDS.get(line.split()[0].encode()))
    )
    differences = Counter(
        row.group
        for difference in DIFFERENCES
        if (row := COMMANDS.get(difference.example[-1].split()[0].upper().encode()))
    )
    commands = Counter(map(group_of, rows()))
    table = ["| family | commands | examples | lines of the grammar | differences |"]
    table += ["| --- | --- | --- | --- | --- |"]
    for group in ALL_GROUPS:
        numbers = (counts[group] for counts in (commands, examples, grammar, differences))
        table.append(f"| {group} | {' | '.join(map(str, numbers))} |")
    return "\n".join(table)
