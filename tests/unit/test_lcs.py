"""The bit-parallel way gives what Redis' table gives, also which of several longest it is."""

from hypothesis import given
from hypothesis import strategies as st

from distrodb.commands import lcs


def by_table(one: bytes, other: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """Redis' own algorithm (t_string.c): the sequence, and the positions that match."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            is_same = one[i - 1] == other[j - 1]
            best = max(table[i - 1][j], table[i][j - 1])
            table[i][j] = table[i - 1][j - 1] + 1 if is_same else best
    i, j = len(one), len(other)
    found, pairs = b"", []
    while i and j:
        if one[i - 1] == other[j - 1]:
            i, j = i - 1, j - 1
            found = one[i : i + 1] + found
            pairs.append((i, j))
        elif table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return found, pairs


WORDS = st.binary(max_size=24).map(lambda word: bytes(byte & 3 for byte in word))


@given(WORDS, WORDS)
def test_as_with_a_table(one: bytes, other: bytes) -> None:
    found, pairs = by_table(one, other)
    assert lcs.length(one, other) == len(found)
    matches = list(lcs.matches(one, other))
    assert lcs.common(one, iter(matches)) == found
    assert [
        (match.first_of_one + step, match.first_of_other + step)
        for match in matches
        for step in reversed(range(match.length))
    ] == pairs


def test_what_takes_too_long() -> None:
    """The time grows with each length, too: 16 MiB and one byte took half an hour."""
    assert not lcs.takes_too_long(16384, 16384)
    assert not lcs.takes_too_long(1, 250_000)
    assert not lcs.takes_too_long(30_000, 1)
    assert lcs.takes_too_long(16385, 16384)
    assert lcs.takes_too_long(1, 1 << 19) and lcs.takes_too_long(1 << 16, 0)
