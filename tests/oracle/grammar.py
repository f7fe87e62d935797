"""What clients may send, as a grammar: a line a command; and what goes wrong with it.

A line is read from left to right:

    SET 0       capitals and digits: the command, a subcommand, the name of an option, a number
    'x          behind a quote: these letters as they are
    key         a word in small letters: one of the values of that name in ``POOLS``
    [NX|XX]     one of these, or none; each may have several words
    (a|b c)     one of these
    {key value} once or a few times

A line that begins with ! is never made wrong: what would come might hold up the server.

``Command.words`` makes a command of it.  Choices come from ``pick`` (a number below n), so that
hypothesis can choose, and shrink, or a seeded generator.  Of what is made most is right; the rest
is wrong in the ways of people: an argument too few or too many, options repeated, in another order
or two that exclude each other, values of another kind, letters small and large.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Pick: TypeAlias = Callable[[int], int]  # a number from 0 to n - 1
Words: TypeAlias = list[bytes]
Node: TypeAlias = Callable[[Pick], Words]

REPEATED_MAX = 3

_TOKENS = re.compile(r"[][(){}|]|[^][(){}|\s]+")


class _Reader:
    """One line of the grammar: the words that are always there, then its options."""

    def __init__(self, line: str, pools: Mapping[str, Sequence[bytes]]):
        self._tokens = _TOKENS.findall(line)
        self._pools = pools
        self._at = 0

    def read(self) -> tuple[list[Node], list[list[Node]]]:
        """The fixed parts, and for each option its alternatives."""
        parts: list[Node] = []
        options: list[list[Node]] = []
        while self._at < len(self._tokens):
            if self._tokens[self._at] == "[":
                self._at += 1
                options.append(self._alternatives("]"))
            else:
                assert not options, f"options come last: {self._tokens}"
                parts.append(self._part())
        return parts, options

    def _part(self) -> Node:
        token = self._tokens[self._at]
        self._at += 1
        if token == "(":
            return _one_of(self._alternatives(")"))
        if token == "{":
            (inner,) = self._alternatives("}")
            return _repeated(inner)
        if token == "[":
            return _perhaps(_one_of(self._alternatives("]")))
        if token in self._pools:
            return _one_of([_word(value) for value in self._pools[token]])
        assert not token.islower() or token[0] == "'", f"no pool for {token}"
        return _word(token.removeprefix("'").encode())

    def _alternatives(self, end: str) -> list[Node]:
        found: list[Node] = []
        parts: list[Node] = []
        while True:
            token = self._tokens[self._at]
            if token in ("|", end):
                found.append(_in_order(parts))
                parts = []
                self._at += 1
                if token == end:
                    return found
            else:
                parts.append(self._part())


def _word(value: bytes) -> Node:
    return lambda pick: [value]


def _one_of(nodes: list[Node]) -> Node:
    return lambda pick: nodes[pick(len(nodes))](pick)


def _in_order(nodes: list[Node]) -> Node:
    return lambda pick: [word for node in nodes for word in node(pick)]


def _repeated(node: Node) -> Node:
    return lambda pick: [word for _ in range(1 + pick(REPEATED_MAX)) for word in node(pick)]


def _perhaps(node: Node) -> Node:
    return lambda pick: node(pick) if pick(2) else []


@dataclass(frozen=True)
class Command:
    """One line of the grammar."""

    line: str
    name: bytes  # in capitals
    parts: list[Node]
    options: list[list[Node]]
    junk: Sequence[bytes]  # values of any kind; none: it is never wrong

    def words(self, pick: Pick) -> Words:
        how = pick(16)
        options: list[Words] = []
        if how in (1, 2, 3):  # any options, in any order, some twice
            every = [node for option in self.options for node in option]
            options = [every[pick(len(every))](pick) for _ in range(pick(4))] if every else []
        elif how != 4:
            for option in self.options:
                if chosen := pick(len(option) + 1):
                    options.append(option[chosen - 1](pick))
        words = [word for part in self.parts for word in part(pick)]
        words += [word for option in options for word in option]
        if not self.junk:
            return words
        if how == 5:
            words = words[: 1 + pick(len(words))]
        elif how == 6:
            words.append(self.junk[pick(len(self.junk))])
        elif how in (7, 8) and len(words) > 1:
            words[1 + pick(len(words) - 1)] = self.junk[pick(len(self.junk))]
        elif how == 9:
            words = [word.lower() if word.isupper() else word for word in words]
        return words


def commands(lines: str, pools: Mapping[str, Sequence[bytes]]) -> list[Command]:
    """Those of a text with a line each; empty lines and what is behind a # do not count."""
    junk = list(dict.fromkeys(value for pool in pools.values() for value in pool))
    found = []
    for line in lines.splitlines():
        line = line.partition("#")[0].strip()
        if line:
            is_exact = line.startswith("!")
            parts, options = _Reader(line.removeprefix("!"), pools).read()
            name = line.removeprefix("!").split()[0].encode()
            found.append(Command(line, name, parts, options, [] if is_exact else junk))
    return found
