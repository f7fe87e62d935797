"""The longest common subsequence of two strings: LCS, without its command.

Bit-parallel (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004): the table's rows are
bits of one number each, so ten thousand characters against ten thousand take some 50 ms, where a
table of numbers would take ten seconds.  The way back is Redis' own, so that of several longest
ones the same is found.

Caveat: time and memory grow with the product of the lengths, which ``CELLS_MAX`` bounds, and with
each length by itself, the first one's squared; ``STEPS_MAX`` bounds these.
"""

from collections.abc import Iterator
from typing import NamedTuple

CELLS_MAX = 1 << 28  # bits of all rows: 32 MiB, about a tenth of a second
STEPS_MAX = 1 << 30  # bits that the steps look at, one for each byte of both; as long
LONGEST_US = 120_000.0  # what both bounds stand for
STEP_BITS = 4096  # what a step costs at least, however short the first string is


class Match(NamedTuple):
    """A stretch that both have, from first to last position in each; the last one comes first."""

    first_of_one: int
    last_of_one: int
    first_of_other: int
    last_of_other: int

    @property
    def length(self) -> int:
        return self.last_of_one - self.first_of_one + 1


def takes_too_long(one: int, other: int) -> bool:
    """By their lengths."""
    return one * other > CELLS_MAX or _steps(one, other) > STEPS_MAX


def cost_us(one: int, other: int) -> float:
    """Of what does not take too long."""
    share = max(one * other / CELLS_MAX, _steps(one, other) / STEPS_MAX)
    return share * LONGEST_US if share <= 1 else 0.0


def _steps(one: int, other: int) -> int:
    return (one + other) * (one + STEP_BITS)


def _rows(one: bytes, other: bytes) -> list[int]:
    """Row j: bit i is 0 where the common part of one[:i+1] and other[:j] is longer than that of
    one[:i] and other[:j]."""
    at: dict[int, int] = {}
    for position, byte in enumerate(one):
        at[byte] = at.get(byte, 0) | 1 << position
    everything = (1 << len(one)) - 1
    row = everything
    rows = [row]
    for byte in other:
        matching = row & at.get(byte, 0)
        row = (row + matching | row - matching) & everything
        rows.append(row)
    return rows


def length(one: bytes, other: bytes) -> int:
    return len(one) - _rows(one, other)[-1].bit_count()


def matches(one: bytes, other: bytes) -> Iterator[Match]:
    """From the end to the beginning."""
    rows = _rows(one, other)
    i, j = len(one), len(other)
    end: tuple[int, int] | None = None  # where the stretch that is being followed ends
    while i and j:
        if one[i - 1] == other[j - 1]:
            end = end or (i - 1, j - 1)
            i, j = i - 1, j - 1
            if i and j:
                continue
        if end is not None:
            yield Match(i, end[0], j, end[1])
            end = None
        if i and j:
            if _is_longer_without_last(rows, i, j):
                i -= 1
            else:
                j -= 1


def _is_longer_without_last(rows: list[int], i: int, j: int) -> bool:
    """The part of one[:i-1] and other[:j] is longer than that of one[:i] and other[:j-1]."""
    if not rows[j] >> i - 1 & 1:
        return False
    below = (1 << i) - 1
    return (rows[j] & below).bit_count() < (rows[j - 1] & below).bit_count()


def common(one: bytes, found: Iterator[Match]) -> bytes:
    parts = [one[match.first_of_one : match.last_of_one + 1] for match in found]
    return b"".join(reversed(parts))
