"""A sequence of commands here and there, and what the replies differ in."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hypothesis import strategies as st

from tests.oracle.differences import is_equal, is_meant
from tests.oracle.families import POOLS, Family
from tests.oracle.frames import Frame, shown
from tests.oracle.grammar import Command

Words = list[bytes]
SHOWN_MAX = 1000  # letters of a reply that differs


class Server(Protocol):
    def ask_all(self, commands: list[Words]) -> list[Frame]: ...


COUNTED: Counter[str] = Counter()  # commands compared, and the differences that were meant


def begin(protocol: int) -> list[Words]:
    """Whatever a connection was used for before: an empty server, one's own state as at first."""
    return [[b"RESET"], [b"FLUSHALL"], [b"HELLO", b"%d" % protocol]]


def closing(commands: Iterable[bytes]) -> list[Words]:
    """What is left at the end, as far as our table can say it."""
    asked = [b"TYPE", b"GET", b"HGETALL", b"PEXPIRETIME", b"PTTL"]
    rest = [[name, key] for name in asked if name in commands for key in POOLS["key"]]
    return [[b"DISCARD"], *rest, [b"DBSIZE"]]


@dataclass(frozen=True)
class Found:
    """A difference that is not meant: all that was asked up to there, and the two replies."""

    asked: Sequence[Words]
    theirs: Frame
    ours: Frame

    @property
    def words(self) -> Words:
        return self.asked[-1]


def first_difference(
    theirs: Server, ours: Server, protocol: int, commands: list[Words], known: Iterable[bytes]
) -> Found | None:
    for server in (theirs, ours):
        server.ask_all(begin(protocol))
    asked = [*commands, *closing(known)]
    both = zip(asked, theirs.ask_all(asked), ours.ask_all(asked), strict=True)
    for number, (words, their, our) in enumerate(both):
        COUNTED["compared"] += 1
        if not is_equal(words, their, our):
            if not is_meant(words, their, our):
                return Found(asked[: number + 1], their, our)
            COUNTED["meant"] += 1
    return None


def story(found: Found) -> str:
    lines = [" ".join(repr(word)[1:] for word in words) for words in found.asked]
    replies = [shown(found.theirs)[:SHOWN_MAX], shown(found.ours)[:SHOWN_MAX]]
    return "\n".join(["", *lines, f"  Redis {replies[0]}", f"  ours  {replies[1]}"])


def sequences(family: Family, known: Iterable[bytes], size: int) -> st.SearchStrategy[list[Words]]:
    """Commands of a family, those in our table."""
    commands = [command for command in family.commands if command.name in known]
    return st.lists(_words(commands), min_size=1, max_size=size)


@st.composite
def _words(draw: st.DrawFn, commands: list[Command]) -> Words:
    return commands[draw(_below(len(commands)))].words(lambda n: draw(_below(n)))


_NUMBERS: dict[int, st.SearchStrategy[int]] = {}


def _below(n: int) -> st.SearchStrategy[int]:
    return _NUMBERS.setdefault(n, st.integers(0, n - 1)) if n > 1 else st.just(0)
