"""What the store asks of a command, and what it tells its handler: no command is known here.

The table of commands comes in with the store's constructor (``Row`` is what the store needs of a
row), so imports point from ``commands/`` to here and never back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Bounds on one key and one value, in bytes: an entry of the log must hold them whole; and how
    many logical databases there are for a key to be moved to."""

    key_bytes_max: int = 65536
    value_bytes_max: int = 16777216
    databases: int = 16


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler may know beside its arguments."""

    now_ms: int
    database: int  # of a command on the whole partition
    limits: StoreLimits


class Unsettled:
    """The type of ``UNSETTLED``."""


UNSETTLED = Unsettled()  # no reply yet: an entry of that time must be applied first


class Row(Protocol):
    """A command as the store sees it; commands/command.py says what the fields mean."""

    @property
    def name(self) -> str: ...

    @property
    def is_on_keys(self) -> bool: ...  # else on the whole partition

    @property
    def is_plain(self) -> bool: ...  # on one key, and not weighed

    @property
    def is_write(self) -> bool: ...

    @property
    def cost(self) -> Callable[..., float] | None: ...

    @property
    def group(self) -> str: ...

    def keys_of(self, args: Sequence[bytes]) -> list[bytes]: ...

    @property
    def handler(self) -> Callable[..., Any]: ...

    @property
    def words_min(self) -> int: ...

    @property
    def words_max(self) -> int: ...

    @property
    def subcommands(self) -> "Mapping[bytes, Row]": ...  # by word in capitals; mostly none

    def subcommand(self, args: Sequence[bytes]) -> "Row | None": ...


Table: TypeAlias = Mapping[bytes, Row]  # by name in capitals


def row_of(table: Table, args: Sequence[bytes]) -> Row | None:
    """That of a command, however its name is written."""
    row = table.get(args[0]) or table.get(args[0].upper())
    return row.subcommand(args) if row is not None and row.subcommands else row


def is_write(table: Table, args: Sequence[bytes]) -> bool:
    row = row_of(table, args)
    return row is not None and row.is_write
