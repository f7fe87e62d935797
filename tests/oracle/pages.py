"""Redis' own documentation: the examples of its pages run here and beside a real Redis.

    python -m tests.oracle --pages DIRECTORY

reads all pages (*.md) of a checkout of redis/docs or redis/redis-doc, or of a package that has
them.  The pages stay where they are: their licences (CC BY-NC-SA, CC BY-SA) are not ours, so the
project's own examples are others (examples/).  An example is a block of commands as those pages
have them, with or without the answers that redis-cli prints.  A command that the redis-server here
knows must get the same reply from both; one that is newer, the answer that the page prints.

Ids that a server makes (``XADD key *``) are another one's each time: a later command has the id
that the page prints, and is sent with the one that was made instead.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from distrodb.commands.table import COMMANDS
from tests.oracle.conversations import OurClients, TheirClients
from tests.oracle.differences import is_equal, meant
from tests.oracle.frames import Frame, is_error, shown
from tests.oracle.redis_server import RedisServer

Words = list[bytes]

_PROMPT = re.compile(r"^\s*(?:redis> |[\d.]+:\d+(?:\[\d+\])?> |redis [\d.]+:\d+> |> )(?=\S)(.*)$")
_BEGINS = re.compile(
    r"^(?:```\s*(?P<fence>\w*)|\{\{% redis-cli %\}\}|\{\{< clients-example.*>\}\})"
)
_ENDS = ("```", "{{% /redis-cli %}}", "{{< /clients-example")
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'|(\S+)', re.S)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.S)
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
_ID = re.compile(rb"^\d{10,}-\d+$")
# What tells of the server itself, or ends it, is not run.
GROUPS = ("hash", "list", "set", "sorted-set", "geo", "stream", "scripting", "generic")
GROUPS += ("string", "bitmap", "hyperloglog", "transactions")


@dataclass(frozen=True)
class Example:
    words: Words
    printed: str  # what the page says that redis-cli prints; empty: it does not say


@dataclass
class Outcome:
    """Of all pages."""

    commands: Counter[str] = field(default_factory=Counter)  # by what they were compared with
    groups: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    def story(self) -> str:
        counts = [f"{count:6} {what}" for what, count in self.commands.most_common()]
        groups = ", ".join(f"{count} {group}" for group, count in self.groups.most_common())
        return "\n".join([*self.differences, *counts, f"replies of groups: {groups}"])


def split(line: str) -> Words | None:
    """As redis-cli reads a line; None: no command."""
    text = line.strip().encode()
    words = []
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            return None
        double, single, plain = found.groups()
        if double is not None:
            words.append(_ESCAPE.sub(_letter, double))
        else:
            words.append(plain if single is None else single.replace(b"\\'", b"'"))
        at = found.end()
        while text[at : at + 1].isspace():
            at += 1
    return words


def _letter(found: re.Match[bytes]) -> bytes:
    escaped = found[1]
    if len(escaped) == 3:
        return bytes.fromhex(escaped[1:].decode())
    return _LETTERS.get(escaped, escaped)


def examples(page: str) -> Iterator[Example]:
    """All of a page, in order."""
    lines = page.splitlines()
    at = 0
    while at < len(lines):
        begins = _BEGINS.match(lines[at].lstrip())
        at += 1
        if begins is None:
            continue
        block = []
        while at < len(lines) and not lines[at].lstrip().startswith(_ENDS):
            block.append(lines[at])
            at += 1
        at += 1
        is_bare = begins["fence"] == "cli" or "redis-cli" in begins[0]
        is_bare = is_bare and not any(map(_PROMPT.match, block))
        yield from _of_block(block, is_bare)


def _of_block(block: list[str], is_bare: bool) -> Iterator[Example]:
    asked, printed = "", []
    for line in [*block, ""]:
        found = _PROMPT.match(line)
        if found is None and not is_bare and line.strip():
            if line.startswith("... ") or asked.count('"') % 2:  # a command of several lines
                asked += "\n" + line.removeprefix("... ")
            else:
                printed.append(line.strip())
            continue
        if asked and (words := split(asked)):
            yield Example(words, "\n".join(printed))
        asked, printed = (found[1] if found else line if is_bare else ""), []


def redis_cli(frame: Frame) -> str:
    """A reply as redis-cli prints it, without the blanks in front of a line."""
    kind, content = frame
    if kind == b"-":
        return "(error) " + content.decode(errors="replace")
    if kind == b":":
        return f"(integer) {content}"
    if content is None:
        return "(nil)"
    if isinstance(content, list):
        return "\n".join(f"{n}) {redis_cli(each)}" for n, each in enumerate(content, 1)) or (
            "(empty array)"
        )
    if kind == b"+":
        return str(content.decode())
    quoted = repr(content.replace(b'"', b"\0"))[2:-1].replace(r"\x00", r"\"")
    return f'"{quoted}"'


def is_as_printed(frame: Frame, printed: str) -> bool:
    ours, page = redis_cli(frame).split(), printed.replace("(empty list or set)", "(empty array)")
    return sorted(ours) == sorted(page.split())  # some pages are in no order


class Side:
    """One of the two servers, and the ids that it made."""

    def __init__(self, clients: TheirClients | OurClients):
        self._clients = clients
        self._made: dict[bytes, bytes] = {}  # by what the page prints
        self._names: dict[bytes, bytes] = {}  # for replies: the same on both sides

    def ask(self, example: Example) -> list[Frame]:
        words = [self._made.get(word, word) for word in example.words]
        frames = self._clients.ask((0, words))[0]
        if words[0].upper() == b"XADD" and b"*" in words and len(frames) == 1 and _is_id(frames[0]):
            made: bytes = frames[0][1]
            printed = example.printed.strip('"').encode()
            self._names[made] = printed or b"id %d" % len(self._names)
            self._made[printed] = made
        return [self._as_printed(frame) for frame in frames]

    def _as_printed(self, frame: Frame) -> Frame:
        kind, content = frame
        if isinstance(content, list):
            return kind, [self._as_printed(each) for each in content]
        return kind, self._names.get(content, content) if isinstance(content, bytes) else content


def run_page(
    page: Path, server: RedisServer, is_cluster: bool, protocol: int, outcome: Outcome
) -> None:
    theirs, ours = TheirClients(server, 1), OurClients(1, is_cluster)
    one, other = Side(theirs), Side(ours)
    try:
        for name in (b"FLUSHALL", b"SCRIPT FLUSH", b"FUNCTION FLUSH", b"HELLO %d" % protocol):
            for side in (one, other):
                side.ask(Example(name.split(), ""))
        is_page_right = False  # since something newer than the server here
        for example in examples(page.read_text(errors="replace")):
            row = COMMANDS.get(example.words[0].upper())
            if row is None or row.group not in GROUPS:
                outcome.commands["of other groups" if row else "no command here"] += 1
                continue
            their, our = one.ask(example), other.ask(example)
            if not (their and our):  # they wait, and nobody will come
                outcome.commands["waits for others"] += 1
                if bool(their) != bool(our):
                    _note(outcome, page, example, their, our)
                break
            outcome.groups[row.group] += 1
            is_page_right = is_page_right or _is_newer(example.words, their[0], our[0])
            if is_page_right and protocol == 2:
                _compare_with_page(outcome, page, example, their, our)
            elif is_page_right or not _compare(outcome, page, example, their, our):
                break
    finally:
        theirs.close()


def _compare(
    outcome: Outcome, page: Path, example: Example, their: list[Frame], our: list[Frame]
) -> bool:
    """By the server here.  False: what follows is not comparable."""
    words = example.words
    if their == our or (len(their) == len(our) == 1 and is_equal(words, their[0], our[0])):
        outcome.commands["as redis-server"] += 1
        return True
    known = meant(words, their[0], our[0])
    if known is None:
        outcome.commands["DIFFERENT"] += 1
        _note(outcome, page, example, their, our)
        return True
    outcome.commands[f"meant: {known.title[:60]}"] += 1
    return not known.parts_ways


def _compare_with_page(
    outcome: Outcome, page: Path, example: Example, their: list[Frame], our: list[Frame]
) -> None:
    if not example.printed:
        outcome.commands["no answer to compare with"] += 1
    elif is_as_printed(our[0], example.printed):
        outcome.commands["as the page prints"] += 1
    else:
        outcome.commands["DIFFERENT"] += 1
        _note(outcome, page, example, their, our)


def _is_newer(words: Words, theirs: Frame, ours: Frame) -> bool:
    """The server here does not know it; what is said of it is as redis-cli prints it in RESP2."""
    row = COMMANDS[words[0].upper()]
    is_option = is_error(theirs) and b"syntax error" in theirs[1] and not is_error(ours)
    return is_option or (is_error(theirs) and row.since > "7.0.99")


def _is_id(frame: Frame) -> bool:
    return frame[0] == b"$" and bool(_ID.match(frame[1] or b""))


def _note(
    outcome: Outcome, page: Path, example: Example, their: list[Frame], our: list[Frame]
) -> None:
    asked = " ".join(repr(word)[1:] for word in example.words)
    lines = [f"{page.name}: {asked}", *(f"   Redis: {shown(each)}" for each in their)]
    lines += [f"   ours:  {shown(each)}" for each in our]
    if example.printed:
        lines.append(f"   page:  {example.printed!r}")
    text = "\n".join(line[:600] for line in lines)
    if text not in outcome.differences:
        outcome.differences.append(text)


def run(directory: Path, servers: dict[bool, RedisServer]) -> Outcome:
    """All of them, beside a node of a cluster and beside a single server, in both protocols."""
    outcome = Outcome()
    pages = sorted(directory.rglob("*.md"))
    assert pages, f"no pages (*.md) in {directory}"
    for page in pages:
        for is_cluster, server in servers.items():
            for protocol in (2, 3):
                run_page(page, server, is_cluster, protocol, outcome)
    return outcome
