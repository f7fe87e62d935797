"""Replies as they are on the wire, RESP2 and RESP3, for comparing two servers' own bytes.

Nothing of the product's, and stricter than a client's parser: ``+OK`` is not ``$2 OK``, a set is
not an array, a null string is not a null array.  A frame is a tuple: its type's byte and its
content (text, number or the frames within).
"""

from typing import Any, TypeAlias

Frame: TypeAlias = tuple[bytes, Any]
_LINES = b"+-:,#(_"
_TEXTS = b"$=!"
_ARRAYS = b"*~>"


class Cut(Exception):
    """The frame is not there whole."""


def read_frame(data: bytes, at: int) -> tuple[Frame, int]:
    """The frame that begins there, and where the next one does.  Raises ``Cut``."""
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Cut
    kind, text, after = data[at : at + 1], data[at + 1 : end], end + 2
    if kind in _LINES:
        return (kind, int(text) if kind == b":" else text), after
    count = int(text)
    if count < 0:
        return (kind, None), after
    if kind in _TEXTS:
        if len(data) < after + count + 2:
            raise Cut
        return (kind, data[after : after + count]), after + count + 2
    if kind not in _ARRAYS and kind != b"%":
        raise ValueError(f"not RESP: {data[at : at + 60]!r}")
    items = []
    for _ in range(count if kind in _ARRAYS else 2 * count):
        item, after = read_frame(data, after)
        items.append(item)
    return (kind, items), after


def read_frames(data: bytes) -> list[Frame]:
    """All of them; the last one must be whole."""
    frames, at = [], 0
    while at < len(data):
        frame, at = read_frame(data, at)
        frames.append(frame)
    return frames


def pack(args: list[bytes]) -> bytes:
    """A command's bytes."""
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(a), a) for a in args)


def is_error(frame: Frame) -> bool:
    return frame[0] == b"-"


def shown(frame: Frame) -> str:
    """For a person who reads a failure."""
    kind, content = frame
    if isinstance(content, list):
        return f"{kind.decode()}[{', '.join(map(shown, content))}]"
    return f"{kind.decode()}{content!r}"
