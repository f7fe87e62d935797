"""The values that commands answer with; resp/ turns them into bytes.  Pure.

bytes bulk string · int integer · None null · NULL_ARRAY no array · list, tuple array · dict map
bool, float
Status +OK · ErrorReply -ERR … · Verbatim text · SetReply set · Encoded (RESP already)
Pairs elements with what belongs to each · NumberText a number by its letters
Named what stands under names, one of which may come twice
Push what no command asked for · Several what answers one command with several replies
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Status:
    """A simple string, ``+OK``; ``text`` is one line."""

    text: bytes


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error reply; ``text`` is the whole line without the leading ``-``."""

    text: bytes

    @property
    def code(self) -> str:
        """The first word, by which clients tell errors apart."""
        return self.text.split(b" ", 1)[0].decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Text for people: a verbatim string in RESP3, a bulk string in RESP2."""

    text: bytes


@dataclass(frozen=True, slots=True)
class SetReply:
    """A set in RESP3, an array in RESP2."""

    items: "Sequence[Reply]"


@dataclass(frozen=True, slots=True)
class Pairs:
    """Members with their scores, fields with their values: an array of arrays of two in RESP3, one
    array in RESP2."""

    items: "Sequence[tuple[Reply, Reply]]"


@dataclass(frozen=True, slots=True)
class NumberText:
    """A number with more digits than a double's shortest form: a double in RESP3, a string in
    RESP2."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Named:
    """What stands under names, one of which may come twice: a map in RESP3, an array of arrays of
    two in RESP2."""

    items: "Sequence[tuple[Reply, Reply]]"


@dataclass(frozen=True, slots=True)
class Encoded:
    """Bytes that are RESP already; they are sent as they are."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Push:
    """A message, or the confirmation of a subscription: a push in RESP3, an array in RESP2."""

    items: "tuple[Reply, ...]"


@dataclass(frozen=True, slots=True)
class Several:
    """One reply behind the other: SUBSCRIBE confirms each of its channels."""

    replies: "tuple[Reply, ...]"


class NullArray:
    """The type of ``NULL_ARRAY``."""

    def __repr__(self) -> str:
        return "NULL_ARRAY"


Reply: TypeAlias = (
    "bytes | int | float | bool | list[Reply] | tuple[Reply, ...] | dict[Reply, Reply]"
    " | Status | ErrorReply | Verbatim | SetReply | Encoded | Push | Several"
    " | Pairs | NumberText | Named | NullArray"
    " | None"
)

OK = Status(b"OK")
NULL_ARRAY = NullArray()  # where an array is missing: in RESP3 as any null, in RESP2 not


def error(code: str, message: str) -> ErrorReply:
    """An error reply, always one line whatever the message quotes."""
    text = f"{code} {message}".strip("\r\n").replace("\r", " ").replace("\n", " ")
    return ErrorReply(text.encode(errors="surrogateescape"))
