"""Where our replies differ from Redis' and are meant to: the whole table, each with its reason.

docs/redis.md has the same list for people, and test_differences.py shows that each is really there:
one that is gone must leave both.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.oracle.frames import Frame, is_error

Words = list[bytes]


@dataclass(frozen=True)
class Difference:
    title: str  # as docs/redis.md has it
    is_meant: Callable[[Words, Frame, Frame], bool]  # the command, Redis' reply and ours
    example: tuple[str, ...]  # commands that show it, by the last one
    is_cluster: bool = True


def _command(words: Words, *names: bytes) -> bool:
    return [word.upper() for word in words[: len(names)]] == list(names)


_TOLD = (b"COUNT", b"LIST", b"DOCS", b"INFO", b"HELP")

DIFFERENCES: list[Difference] = [
    Difference(
        "`COMMAND` tells of the commands that are here, and in words of its own",
        lambda words, theirs, ours: (
            _command(words, b"COMMAND")
            and (len(words) == 1 or words[1].upper() in _TOLD)
            and not is_error(theirs)
        ),
        ("COMMAND COUNT",),
    ),
    Difference(
        "`HELP` tells of the subcommands that are here",
        lambda words, theirs, ours: words[1:2] == [b"HELP"] and not is_error(theirs),
        ("CLUSTER HELP",),
    ),
    Difference(
        "`WATCH` takes keys of one partition",
        lambda words, theirs, ours: (
            (_command(words, b"WATCH") or _command(words, b"EXEC"))
            and ours == (b"-", b"CROSSSLOT Watched keys are in another partition")
        ),
        ("WATCH a", "WATCH b"),
    ),
]


def is_meant(words: Words, theirs: Frame, ours: Frame) -> bool:
    return any(difference.is_meant(words, theirs, ours) for difference in DIFFERENCES)


# -- replies that are equal in what they say -------------------------------------------------------

CLOCK_MS_MAX = 5000  # between the same command's run here and there; a moment's, on a busy machine
_CLOCKS = {b"TTL": 1 + CLOCK_MS_MAX // 1000, b"EXPIRETIME": 1 + CLOCK_MS_MAX // 1000}
_CLOCKS |= {b"PTTL": CLOCK_MS_MAX, b"PEXPIRETIME": CLOCK_MS_MAX}


def is_equal(words: Words, theirs: Frame, ours: Frame) -> bool:
    """Byte for byte, but for clocks, for what is in no order, and for chance."""
    if theirs == ours:
        return True
    if theirs[0] != ours[0] or is_error(theirs):
        return False
    name = words[0].upper()
    if name in _CLOCKS:
        one, other = int(theirs[1]), int(ours[1])
        return min(one, other) >= 0 and abs(one - other) <= _CLOCKS[name]
    if name == b"KEYS":
        return bool(sorted(theirs[1]) == sorted(ours[1]))
    if name == b"HGETALL":
        return _pairs(theirs) == _pairs(ours)
    if name == b"RANDOMKEY":
        return None not in (theirs[1], ours[1])
    return name == b"SCAN"  # its cursors are each server's own


def _pairs(frame: Frame) -> list[tuple[Frame, Frame]]:
    items = frame[1]
    return sorted(zip(items[::2], items[1::2], strict=True))
