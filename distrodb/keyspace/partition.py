"""What a script sees of its partition: it runs commands there, and all of them can be undone."""

from collections.abc import Sequence
from typing import Protocol

from distrodb.keyspace.chance import Chance
from distrodb.keyspace.context import StoreLimits, Table
from distrodb.keyspace.scripts import Scripts
from distrodb.resp.reply import Reply


class Partition(Protocol):
    first_slot: int
    last_slot: int
    table: Table
    scripts: Scripts
    chance: Chance

    def execute(self, place: int, args: Sequence[bytes], now_ms: int) -> Reply: ...

    def elements(self, place: int, key: bytes) -> int:
        """Of a key's value: bytes of a string, or what a container holds."""

    def key_count(self, database: int | None = None) -> int: ...

    @property
    def store_limits(self) -> StoreLimits:
        """Of the entry that is applied."""

    def begin_script(self) -> None:
        """What is written from now on can be undone."""

    @property
    def copied(self) -> int:
        """Elements that were copied for that by now."""

    def end_script(self, is_undone: bool) -> None: ...

    def publish(self, channel: bytes, message: bytes, is_sharded: bool) -> None:
        """A message, to be sent when the entry is applied by its leader."""
