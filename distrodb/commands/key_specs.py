"""Where the keys of a command are among its words: Redis' "key specifications", and what is done
with them (https://redis.io/docs/latest/develop/reference/key-specs/).

Caveat: where keys depend on words that may stand anywhere (SORT's STORE) a spec says so
(``UNKNOWN``), and the row has a function that finds them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(rb"\s*\+?([0-9]+)")


@dataclass(frozen=True, slots=True)
class KeySpec:
    """Keys from position ``at`` (the name is 0), or behind ``word`` where it is found from there
    on; then either a range, or with ``count_at`` as many as a number says."""

    flags: str  # as COMMAND shows them: "RO access"
    at: int = 1
    word: bytes = b""  # in capitals
    last: int = 0  # counted from the first one; negative: from the end of all words
    step: int = 1
    limit: int = 0  # with last -1: only the first 1/limit of the rest are keys
    count_at: int | None = None  # where the number is, counted from the beginning of the spec
    first: int = 1  # where the first key is, counted likewise
    notes: str = ""
    is_unknown: bool = False  # the row's ``find_keys`` knows

    @property
    def is_one(self) -> bool:
        """One key at a position that never changes."""
        return not (self.word or self.last or self.is_unknown) and self.count_at is None

    def positions(self, args: Sequence[bytes]) -> list[int]:
        """None if the words make no sense to it."""
        begin = self._begin(args)
        if begin is None or begin >= len(args):
            return []
        if self.count_at is None:
            last = begin + self.last if self.last >= 0 else len(args) + self.last
            if self.limit:
                last = begin + (len(args) - begin) // self.limit - 1
            return list(range(begin, min(last, len(args) - 1) + 1, self.step))
        text = args[begin + self.count_at] if begin + self.count_at < len(args) else b""
        first = begin + self.first
        number = _NUMBER.match(text)  # what stands behind it the command itself refuses
        count = int(number[1][:10]) if number is not None else 0
        if not 0 < count <= len(args):
            return []
        end = first + (count - 1) * self.step + 1
        return list(range(first, end, self.step)) if end <= len(args) else []

    def _begin(self, args: Sequence[bytes]) -> int | None:
        if self.is_unknown:
            return None
        if not self.word:
            return self.at
        found = (n + 1 for n in range(self.at, len(args)) if args[n].upper() == self.word)
        return next(found, None)


def one(flags: str, at: int = 1, notes: str = "") -> tuple[KeySpec]:
    return (KeySpec(flags, at, notes=notes),)


def many(flags: str, at: int = 1, last: int = -1, step: int = 1) -> tuple[KeySpec]:
    return (KeySpec(flags, at, last=last, step=step),)


def counted(flags: str, at: int = 1) -> tuple[KeySpec]:
    """``numkeys key [key …]`` from this position on."""
    return (KeySpec(flags, at, count_at=0, first=1),)


NO_KEYS: tuple[KeySpec, ...] = ()
READS = one("RO access")  # its value
LOOKS = one("RO")  # whether it is there, its type, its length
UPDATES = one("RW access update")  # it depends on what was there, and gives some of it
WRITES = one("OW update")  # whatever was there
INSERTS = one("RW insert")  # adds to what was there
DELETES = one("RW delete")  # takes from it
