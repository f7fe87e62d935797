"""What hot.pyx has.  Callers know the functions by their references, which ``@compiled`` marks."""

from collections.abc import Iterable, Sequence
from typing import Any

source: str  # the checksum of the file that this was built from

def find_commands(data: bytes, commands: list[list[bytes]], arguments_max: int) -> int: ...
def slot_of(key: bytes) -> int: ...
def share_out(
    waiting: Iterable[Any],
    count_max: int,
    table: dict[bytes, Any],
    partition_of_slot: list[int],
    base: int,
) -> tuple[
    dict[int, tuple[list[tuple[int, Sequence[bytes]]], list[int], list[bool]]],
    dict[str, int],
    Any,
]: ...
def measure(commands: list[tuple[int, Sequence[bytes]]]) -> tuple[int, int]: ...
def keep_plain(
    part: Any,
    replies: list[Any],
    position: int,
    bytes_max: int,
    nothing: bytes,
    ok: object,
    late_bytes: int,
) -> tuple[int, int, int]: ...
def take_plain(
    answers: list[Any], number: int, pieces: list[bytes | memoryview], bytes_max: int
) -> tuple[int, int]: ...
def check_rows(rows: tuple[object, ...]) -> None: ...
