"""The words of EXEC, the command by which a partition runs a whole transaction at once.

    EXEC RUN          {place, number of words, word …} for each command
    EXEC IF  count    {token, place, key} for each watched key, then the commands as behind RUN
    EXEC NOT          nothing: a watched key has changed

A session sends RUN, or IF where keys are watched.  Whether these still are as they were is known to
the leader alone (watched.py), so it makes RUN or NOT of an IF when it proposes it.  An IF that
nobody has decided does nothing: it is answered as NOT is.  All of it is one command of one entry,
so nothing comes between the commands of a transaction.

EXEC_RO is EXEC RUN of commands that only read.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

EXEC, EXEC_RO, WATCH = b"EXEC", b"EXEC_RO", b"WATCH"
RUN, IF, NOT = b"RUN", b"IF", b"NOT"

PLACE_BITS = 32  # far above the databases that there may be
_TOKEN = re.compile(rb"[0-9]{1,20}\.[0-9]{1,20}")

Queued = tuple[int, Sequence[bytes]]  # place (place_number.py), and the words of a command


class Condition(NamedTuple):
    """A key that must be as it was when it was watched."""

    token: bytes  # what WATCH has answered
    place: int
    key: bytes


def pack(commands: Iterable[Queued], conditions: Sequence[Condition] = ()) -> list[bytes]:
    """The words behind the name."""
    words = [RUN]
    if conditions:
        words = [IF, b"%d" % len(conditions)]
        for token, place, key in conditions:
            words += token, b"%d" % place, key
    for place, args in commands:
        words += b"%d" % place, b"%d" % len(args)
        words += args
    return words


def commands_of(args: Sequence[bytes]) -> list[Queued] | None:
    """Those that are to run; None if nothing is.  Raises ``ValueError`` for what ``pack`` never
    made."""
    if args[1] != RUN:
        return None
    commands: list[Queued] = []
    at = 2
    while at < len(args):
        begin = at + 2
        end = begin + int(args[at + 1])
        if not begin < end <= len(args):
            raise ValueError("a transaction with a command that is cut off")
        commands.append((int(args[at]), args[begin:end]))
        at = end
    return commands


def parts_of(args: Sequence[bytes]) -> tuple[list[Condition], list[Queued]]:
    """All of a transaction's conditions and commands.  Raises ``ValueError`` for what no session
    sends."""
    try:
        conditions = conditions_of(args) if is_undecided(args) else []
        if not all(_TOKEN.fullmatch(token) for token, _, _ in conditions):
            raise ValueError("a token that no leader gave")
        commands = commands_of(decided(args, True) if conditions else args)
        places = [place for place, *_ in (*(commands or ()), *(each[1:] for each in conditions))]
        if any(place.bit_length() > PLACE_BITS for place in places):
            raise ValueError("a place that no store has")
    except LookupError:
        raise ValueError("a transaction that is cut off") from None
    if commands is None:
        raise ValueError("a transaction that is decided")
    return conditions, commands


def is_undecided(args: Sequence[bytes]) -> bool:
    return args[0] == EXEC and args[1] == IF


def conditions_of(args: Sequence[bytes]) -> list[Condition]:
    """Of one that is undecided."""
    end = _end_of_conditions(args)
    return [Condition(args[at], int(args[at + 1]), args[at + 2]) for at in range(3, end, 3)]


def decided(args: Sequence[bytes], holds: bool) -> list[bytes]:
    """The same command when it is known whether its conditions hold."""
    return [EXEC, RUN, *args[_end_of_conditions(args) :]] if holds else [EXEC, NOT]


def _end_of_conditions(args: Sequence[bytes]) -> int:
    return 3 + 3 * int(args[2])
