"""All commands: the rows of every family, by name in capitals."""

from collections.abc import Iterable, Mapping

from distrodb.commands import (
    acl,
    admin,
    bitfield,
    bits,
    blocking,
    clients,
    cluster,
    configuration,
    connection,
    counters,
    databases,
    dump,
    expiry,
    functions,
    geo,
    hash_expiry,
    hash_walks,
    hashes,
    hyperloglog,
    keys,
    keyspaces,
    latency,
    lists,
    memory,
    metadata,
    monitor,
    object,
    pubsub,
    replication,
    scripts,
    server,
    set_algebra,
    sets,
    slots,
    slow_log,
    sort,
    sorted_set_algebra,
    sorted_set_ranges,
    sorted_sets,
    stream_groups,
    stream_info,
    stream_pending,
    stream_references,
    streams,
    strings,
    transactions,
)
from distrodb.commands.command import Command
from distrodb.commands.gateway import GATEWAY

# The families of commands on data, and of those that a slave answers by itself.
_STRINGS = (strings, counters, bits, bitfield, hyperloglog)
_KEYS = (keys, keyspaces, expiry, dump, object, memory, sort)
_STREAMS = (streams, stream_groups, stream_pending, stream_references, stream_info)
_SCRIPTS = (scripts, functions)
_SORTED_SETS = (sorted_sets, sorted_set_ranges, sorted_set_algebra, geo)
_HASHES, _SETS = (hashes, hash_walks, hash_expiry), (sets, set_algebra)
_CONTAINERS = (*_HASHES, lists, *_SETS, *_SORTED_SETS, *_STREAMS, blocking)
_DATA = (*_STRINGS, *_KEYS, *_CONTAINERS)
_SESSION = (
    *(transactions, connection, clients, databases, metadata, server, configuration, replication),
    *(slow_log, latency, monitor, acl, cluster, admin, pubsub),
)


def _by_name(rows: Iterable[Command]) -> dict[bytes, Command]:
    return {row.name.upper().encode(): row for row in rows}


# What a partition's machine runs, entries of the log included.
DATA_COMMANDS = _by_name(row for family in (*_DATA, *_SCRIPTS) for row in family.COMMANDS)
# The same and what a slave asks a partition by itself.
MACHINE_COMMANDS = DATA_COMMANDS | _by_name(
    [
        *slots.ASKED,
        *streams.ASKED,
        *transactions.MACHINE_COMMANDS,
        *scripts.MACHINE_COMMANDS,
        GATEWAY,
    ]
)
# What COMMAND tells of.
COMMANDS = DATA_COMMANDS | _by_name(row for family in _SESSION for row in family.COMMANDS)
# What a session looks up: also what is refused in a way of its own.
DISPATCHED = COMMANDS | _by_name([*databases.REFUSED, *cluster.REFUSED])


def at_level(table: Mapping[bytes, Command], level: int) -> dict[bytes, Command]:
    """The rows that may be used where the cluster map has this level."""
    return {name: row for name, row in table.items() if row.level <= level}
