"""The state machines of groups: new ones, and those read back from their snapshots.

The one place where the store meets the table of commands.
"""

from collections.abc import Callable, Iterable, Mapping

from distrodb.commands.command import Command
from distrodb.commands.table import MACHINE_COMMANDS
from distrodb.errors import CorruptionError, VersionError
from distrodb.keyspace.context import StoreLimits
from distrodb.keyspace.store import Store, StoreBuilder
from distrodb.slave.map_machine import MapMachine

AnyMachine = MapMachine | Store
Restore = Callable[[Iterable[bytes]], AnyMachine]


def new_store(
    first_slot: int,
    last_slot: int,
    limits: StoreLimits | None = None,
    table: Mapping[bytes, Command] = MACHINE_COMMANDS,
) -> Store:
    return Store(first_slot, last_slot, table, limits)


def restore_store(
    limits: StoreLimits,
    chunks: Iterable[bytes],
    table: Mapping[bytes, Command] = MACHINE_COMMANDS,
) -> Store:
    """Raises ``ValueError`` for a damaged snapshot, ``VersionError`` for a later version's."""
    builder = StoreBuilder(table, limits)
    for chunk in chunks:
        builder.add(chunk)
    return builder.finish()


def read_back(
    what: str, chunks: Iterable[bytes], restore: Restore, empty: AnyMachine
) -> AnyMachine:
    """A group's own snapshot; raises ``CorruptionError`` for a damaged one, or another group's,
    ``VersionError`` for a later version's.

    ``empty`` is the machine that the group began with.
    """
    try:
        machine = restore(chunks)
    except ValueError as problem:
        raise CorruptionError(f"{what}: {problem}") from None
    except VersionError as problem:
        raise VersionError(f"{what}: {problem}") from None
    if isinstance(machine, Store) and isinstance(empty, Store):
        ours = empty.first_slot, empty.last_slot
        if (machine.first_slot, machine.last_slot) != ours:
            raise CorruptionError(f"{what} is of other slots")
    return machine
