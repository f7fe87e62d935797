"""A sequence of commands here and there, and what the replies differ in."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hypothesis import strategies as st

from distrodb.commands.table import COMMANDS
from tests.oracle.differences import is_equal, is_of_the_clock, meant, overflows
from tests.oracle.families import Family
from tests.oracle.frames import Frame, is_error, shown
from tests.oracle.grammar import Command

Words = list[bytes]
SHOWN_MAX = 1000  # letters of a reply that differs


class Server(Protocol):
    def ask_all(self, commands: list[Words]) -> list[Frame]: ...


COUNTED: Counter[str] = Counter()  # replies compared, and the differences that were meant
COMPARED: set[str] = set()  # names of rows


def note(words: Words) -> None:
    """A reply to this command is compared."""
    COUNTED["compared"] += 1
    row = COMMANDS.get(words[0].upper()) if words else None
    found = row.subcommand(words) if row is not None else None
    if found is not None:
        COMPARED.add(found.name)


def summary() -> str:
    rows = [each for row in COMMANDS.values() for each in (row.subcommands.values() or [row])]
    lacking = sorted({row.name for row in rows} - COMPARED)
    return (
        f"{COUNTED['compared']} replies to {len(COMPARED)} commands are compared with Redis',"
        f" {COUNTED['meant']} differ and are meant to; {len(rows)} commands are there;"
        f" not in the grammar: {' '.join(lacking)}"
    )


def begin(protocol: int) -> list[Words]:
    """Whatever a connection was used for before: an empty server, one's own state as at first."""
    scripts = [[b"SCRIPT", b"FLUSH"], [b"FUNCTION", b"FLUSH"]]
    return [[b"RESET"], [b"FLUSHALL"], *scripts, [b"HELLO", b"%d" % protocol]]


def closing(commands: Iterable[bytes], keys: Sequence[bytes]) -> list[Words]:
    """What is left at the end, as far as our table can say it."""
    asked = [b"TYPE", b"GET", b"HGETALL", b"PEXPIRETIME", b"PTTL"]
    rest = [[name, key] for name in asked if name in commands for key in keys]
    rest += [[b"SMEMBERS", key] for key in keys if b"SMEMBERS" in commands]
    rest += [[b"LRANGE", key, b"0", b"-1"] for key in keys if b"LRANGE" in commands]
    rest += [[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"] for key in keys if b"ZRANGE" in commands]
    return [[b"DISCARD"], *rest, [b"DBSIZE"]]


@dataclass(frozen=True)
class Difference:
    """One that is not meant: all that was asked up to there, by whom, and what somebody got."""

    asked: Sequence[tuple[int, Words]]
    who: int
    theirs: Sequence[Frame]
    ours: Sequence[Frame]

    @property
    def words(self) -> Words:
        return self.asked[-1][1]

    def story(self) -> str:
        lines = [
            f"client {who}: " + " ".join(repr(word)[1:] for word in words)
            for who, words in self.asked
        ]
        for name, frames in (("Redis", self.theirs), ("ours ", self.ours)):
            lines.append(f"  {name} to client {self.who}: {' '.join(map(shown, frames))}")
        return "\n".join(line[:SHOWN_MAX] for line in ["", *lines])


_MS_AT = {b"PEXPIRE": 2, b"PSETEX": 2, b"RESTORE": 2}
_SECONDS_AT = {b"EXPIRE": 2, b"SETEX": 2}
SOON_S = 20


def expires_soon(words: Words) -> bool:
    """It lets a key expire while the test runs, so here or there first."""
    upper = [word.upper() for word in words]
    place = _MS_AT.get(upper[0]) or _SECONDS_AT.get(upper[0])
    times = [(words[place], upper[0] in _MS_AT)] if place and len(words) > place else []
    for option, value in zip(upper, words[1:], strict=False):
        if option in (b"EX", b"PX"):
            times.append((value, option == b"PX"))
    return any(
        value.isdigit() and 0 < int(value) < SOON_S * (1000 if is_ms else 1)
        for value, is_ms in times
    )


def first_difference(
    theirs: Server,
    ours: Server,
    protocol: int,
    commands: list[Words],
    known: Iterable[bytes],
    keys: Sequence[bytes] = (),
) -> Difference | None:
    """``keys``: those that are looked at in the end."""
    for server in (theirs, ours):
        server.ask_all(begin(protocol))
    asked = [*(words for words in commands if not expires_soon(words)), *closing(known, keys)]
    both = zip(asked, theirs.ask_all(asked), ours.ask_all(asked), strict=True)
    for number, (words, their, our) in enumerate(both):
        note(words)
        if not is_equal(words, their, our):
            known_one = meant(words, their, our)
            if known_one is None:
                return Difference([(0, each) for each in asked[: number + 1]], 0, [their], [our])
            COUNTED["meant"] += 1
            if known_one.parts_ways:
                return None
        if overflows(words) or (is_of_the_clock(words) and not is_error(our)):
            return None
    return None


def sequences(family: Family, known: Iterable[bytes], size: int) -> st.SearchStrategy[list[Words]]:
    """Commands of a family, those in our table."""
    return st.lists(words_of(of_table(family, known)), min_size=1, max_size=size)


def by_chance(
    family: Family, known: Iterable[bytes], size: int, chance: random.Random
) -> list[Words]:
    """The same, each command as likely as another."""
    commands = of_table(family, known)
    count = chance.randint(1, size)
    return [chance.choice(commands).words(chance.randrange) for _ in range(count)]


def of_table(family: Family, known: Iterable[bytes]) -> list[Command]:
    known = {*known, b"NOSUCH"}
    return [command for command in family.commands if command.name in known]


@st.composite
def words_of(draw: st.DrawFn, commands: list[Command]) -> Words:
    return commands[draw(_below(len(commands)))].words(lambda n: draw(_below(n)))


_NUMBERS: dict[int, st.SearchStrategy[int]] = {}


def _below(n: int) -> st.SearchStrategy[int]:
    return _NUMBERS.setdefault(n, st.integers(0, n - 1)) if n > 1 else st.just(0)
