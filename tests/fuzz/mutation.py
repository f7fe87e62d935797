"""Inputs for a target, out of its seeds.  The same generator makes the same inputs.

An input is one of the seeds with one to eight changes, or two of them spliced.  What is changed is
cheap to make, since a million are made; numbers at borders are put in, as these break readers.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

INPUT_BYTES_MAX = 4096
# What takes the place of a part of a value.
_JUNK: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 7, 16383, 16384, 1 << 31, (1 << 62) - 1, 1 << 62, 1 << 63),
    *(-(1 << 63), (1 << 64) - 1, 0.5, float("inf"), float("nan"), "", "a", "node1", "node1/a1"),
    *("\xff", "\u20ac", "a:1", "x" * 300, b"", b"a", b"\0", b"x" * 300, [], {}, [[]], [1], ["a"]),
    *([b"a"], {"a": 1}, {b"a": []}, [None] * 40, [[b"a", b"a"]], 10**30, [[[[[[[[[[]]]]]]]]]]),
]
_BORDERS = [
    *(n.to_bytes(size, order) for size in (1, 2, 4, 8) for order in ("big", "little")
      for n in (0, 1, (1 << 8 * size - 1) - 1, 1 << 8 * size - 1, (1 << 8 * size) - 1)),
    *(b"-1", b"0", b"00", b"+1", b"4294967295", b"9223372036854775808", b"9" * 30, b"9" * 5000),
    *(b"\r\n", b"\n", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"NaN", b"Infinity", b"1e999", b"[]"),
    *(b"[" * 2000, b"{\"a\":" * 2000, b"\x91" * 2000, b"\\", b"\"", b"'", b"(", b")", b"%s"),
    *(b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xd6\xff"),
]  # fmt: skip


def inputs(
    seeds: Sequence[bytes], words: Sequence[bytes], generator: random.Random
) -> Iterator[bytes]:
    """Without an end.  ``words``: what the target knows, to be put in anywhere."""
    pieces = [*_BORDERS, *words]
    while True:
        data = bytearray(generator.choice(seeds))
        for _ in range(generator.choice((1, 1, 1, 2, 2, 3, 5, 8))):
            _change(data, seeds, pieces, generator)
        yield bytes(data[:INPUT_BYTES_MAX])


def _change(
    data: bytearray, seeds: Sequence[bytes], pieces: Sequence[bytes], generator: random.Random
) -> None:
    size = len(data)
    at = int(generator.random() * (size + 1))
    kind = int(generator.random() * 8)
    if kind == 0 and at < size:
        data[at] ^= 1 << int(generator.random() * 8)
    elif kind == 1 and at < size:
        data[at] = int(generator.random() * 256)
    elif kind == 2:
        del data[at : at + 1 + int(generator.random() * 16)]
    elif kind == 3:
        data[at:at] = generator.choice(pieces)
    elif kind == 4:
        piece = generator.choice(pieces)
        data[at : at + len(piece)] = piece
    elif kind == 5:
        del data[at:]
    elif kind == 6:
        other = generator.choice(seeds)
        data[at:] = other[int(generator.random() * (len(other) + 1)) :]
    else:
        length = 1 + int(generator.random() * 32)
        data[at:at] = data[at : at + length] * (1 + int(generator.random() * 8))


def changed(value: Any, generator: random.Random) -> Any:
    """A value of lists, dictionaries and what is in them, with one to three parts changed."""
    for _ in range(generator.choice((1, 1, 1, 2, 3))):
        value = _changed(value, generator)
    return value


def _changed(value: Any, generator: random.Random) -> Any:
    is_branch = isinstance(value, (list, tuple, dict)) and len(value) > 0
    if not is_branch or generator.random() < 0.1:
        return _other(value, generator)
    if isinstance(value, dict):
        names = list(value)
        name = generator.choice(names)
        kind = generator.random()
        if kind < 0.1:
            return {n: value[n] for n in names if n != name}
        if kind < 0.2:
            return {**value, generator.choice(("other", "a", b"b", 3)): generator.choice(_JUNK)}
        return {**value, name: _changed(value[name], generator)}
    items, at, kind = list(value), int(generator.random() * len(value)), generator.random()
    if kind < 0.1:
        del items[at]
    elif kind < 0.2:
        items.insert(at, generator.choice((generator.choice(items), generator.choice(_JUNK))))
    else:
        items[at] = _changed(items[at], generator)
    return items


def _other(value: Any, generator: random.Random) -> Any:
    if generator.random() < 0.5:
        if type(value) is int:
            return value + generator.choice((-1, 1, -value, 255, 1 << 14, -value - 1))
        if isinstance(value, (bytes, str)) and value:
            at = int(generator.random() * len(value))
            return generator.choice((value[:at], value[at:], value + value, value[:at] * 3))
    return generator.choice(_JUNK)
